//! The request-line (RFC 9112 §3) and what may stand before it (§2.2).

use super::Vector;

pub(super) const VECTORS: &[Vector] = &[
    // Methods.
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
    (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /"),
    (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /"),
    (b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", "PUT /"),
    (b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE /"),
    (b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /"),
    (b"PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", "PATCH /"),
    (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE /"),
    (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", "get /"),
    (b"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH /"),
    (
        b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
        "!#$%&'*+-.^_`|~ /",
    ),
    (b"GETT / HTTP/1.1\r\nHost: a\r\n\r\n", "GETT /"),
    (b"G / HTTP/1.1\r\nHost: a\r\n\r\n", "G /"),
    (b"HEADS / HTTP/1.1\r\nHost: a\r\n\r\n", "HEADS /"),
    (b"POSTX / HTTP/1.1\r\nHost: a\r\n\r\n", "POSTX /"),
    (
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\nHost: a\r\n\r\n",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF /",
    ),
    (
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n",
        "!MethodTooLong",
    ),
    (b" / HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"   \r\n\r\n", "!MethodInvalid"),
    (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (
        b"G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "!MethodInvalid",
    ),
    (b"GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"GET{} / HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"POSTX/ HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"POST\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"POST// HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"HEADX/ HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"HEAD\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"GET\r\n", "!MethodInvalid"),
    (b"GET\n", "!MethodInvalid"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "!MethodInvalid"),
    (b"\x05\x01\x00", "!MethodInvalid"),
    // Empty lines before it.
    (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
    (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
    (
        b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TooManyEmptyLines",
    ),
    (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "!BareCr"),
    (b"\r\n\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "!BareCr"),
    (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "!MethodInvalid"),
    (b"\r", "~Head"),
    (b"\r\n", "~Head"),
    (b"", ""),
    // Separators.
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetMissing"),
    (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/1.1\t\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", "!VersionMissing"),
    (b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetMissing"),
    (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    // Line ends.
    (b"GET / HTTP/1.1\nHost: a\r\n\r\n", "!BareLf"),
    (b"GET / HTTP/1.1\rHost: a\r\r", "!BareCr"),
    (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "!BareCr"),
    (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "!VersionMissing"),
    (b"GET /\n", "!VersionMissing"),
    // Versions.
    (b"GET / HTTP/1.0\r\n\r\n", "GET /; closed"),
    (b"GET /\r\n", "!VersionMissing"),
    (b"GET / \r\n", "!VersionMissing"),
    (b"GET / \n", "!VersionMissing"),
    (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", "!VersionNotSupported"),
    (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "!VersionNotSupported"),
    (b"GET / HTTP/1.9\r\nHost: a\r\n\r\n", "!VersionNotSupported"),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "!VersionNotSupported"),
    (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "!VersionNotSupported"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "!VersionNotSupported"),
    (b"GET / HTTP/2\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/1.\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/11.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/1.01\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/1,1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP / 1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/+1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / http/1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / Http/1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTP/1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / HTTP/x.y\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (b"GET / ICY/1.1\r\nHost: a\r\n\r\n", "!VersionInvalid"),
    (
        b"GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!VersionInvalid",
    ),
    // Origin-form.
    (
        b"GET /a/b.html HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a/b.html",
    ),
    (b"GET //a//b HTTP/1.1\r\nHost: a\r\n\r\n", "GET //a//b"),
    (b"GET /../etc HTTP/1.1\r\nHost: a\r\n\r\n", "GET /../etc"),
    (
        b"GET /-._~!$&'()*+,;=:@ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /-._~!$&'()*+,;=:@",
    ),
    (
        b"GET /%20%c3%A9 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%20%c3%A9",
    ),
    (
        b"GET /?a=b&c=%2f/?d HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?a=b&c=%2f/?d",
    ),
    (b"GET /? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?"),
    (b"GET /?? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /??"),
    (
        b"GET /a|b^c[d]e HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a|b^c[d]e",
    ),
    (
        b"GET /?a|b^c[d]`{e}\\ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?a|b^c[d]`{e}\\",
    ),
    (b"GET /a{b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /a}b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /a<b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /a>b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /?a\"b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /?a<b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (
        b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetInvalid",
    ),
    (b"GET /?\xff HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetInvalid"),
    (
        b"GET /\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetInvalid",
    ),
    (
        b"GET /% HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetPercentInvalid",
    ),
    (
        b"GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetPercentInvalid",
    ),
    (
        b"GET /%2g HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetPercentInvalid",
    ),
    (
        b"GET /%%41 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetPercentInvalid",
    ),
    (
        b"GET /?%u0041 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetPercentInvalid",
    ),
    // Absolute-form.
    (
        b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/b",
    ),
    (b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a"),
    (
        b"GET http://a/%41%2fb%7E?%41c%20 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/%41%2fb%7E?%41c%20",
    ),
    (
        b"GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a?q",
    ),
    (
        b"GET http://a:80/b?c=d HTTP/1.1\r\nHost: other\r\n\r\n",
        "GET http://a:80/b?c=d",
    ),
    (
        b"GET HTTPS://[::1]:443/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET HTTPS://[::1]:443/",
    ),
    (
        b"GET http://a:/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a:/",
    ),
    (
        b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS http://a",
    ),
    (b"GET http://a/ HTTP/1.0\r\n\r\n", "GET http://a/; closed"),
    (
        b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http://user:pw@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http://a:x/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http://a:65536/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http://[::g]/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"GET http://a/b\\c HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetInvalid",
    ),
    (
        b"GET http://a/b#c HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetInvalid",
    ),
    (
        b"GET http://a/%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetPercentInvalid",
    ),
    (
        b"GET http://a/?% HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetPercentInvalid",
    ),
    (
        b"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormInvalid",
    ),
    (
        b"GET ://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormInvalid",
    ),
    (
        b"GET 1http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormInvalid",
    ),
    (
        b"GET index.html HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormInvalid",
    ),
    (b"GET ?q HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetFormInvalid"),
    (b"GET \\a HTTP/1.1\r\nHost: a\r\n\r\n", "!TargetFormInvalid"),
    (
        b"GET ../a HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormInvalid",
    ),
    (
        b"GET http://\x80/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetInvalid",
    ),
    // Authority-form.
    (
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "CONNECT a:443; hand-over",
    ),
    (
        b"CONNECT [::1]:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT [::1]:443; hand-over",
    ),
    (
        b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"CONNECT a:x HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"CONNECT a:70000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"CONNECT :443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"CONNECT u@a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormNotForMethod",
    ),
    (
        b"CONNECT * HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetAuthorityInvalid",
    ),
    (
        b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormNotForMethod",
    ),
    (
        b"GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormNotForMethod",
    ),
    // Asterisk-form.
    (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *"),
    (
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormNotForMethod",
    ),
    (
        b"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormInvalid",
    ),
    (
        b"OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n",
        "!TargetFormInvalid",
    ),
    // What has not ended yet.
    (b"G", "~Head"),
    (b"GET ", "~Head"),
    (b"GET /a", "~Head"),
    (b"GET /%4", "~Head"),
    (b"GET http://user@a", "~Head"),
    (b"GET / HTTP/1.1", "~Head"),
    (b"GET / HTTP/1.1\r", "~Head"),
    (b"GET / HTTP/9.9", "~Head"),
];
