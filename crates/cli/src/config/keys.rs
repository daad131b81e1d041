//! Every key of the configuration. The reference is made of this file.

use super::read::{OneOrMore, Pairs, Whole, section};
use super::source::Spanned;
use super::values::*;
use crate::units::Switch;

section! {
    /// A file.
    File {
        /// More files, with `*` and `?` in their names; in the order of the names
        include: Vec<Spanned<FilePath>>, "none", "[\"sites/*.toml\"]";
        /// The whole process; in the main file only
        server: Server, "", "";
        /// A site; may be repeated
        site: Vec<Spanned<Site>>, "", "";
    }
}

section! {
    /// `[server]`
    Server {
        /// Worker processes
        processes: Processes, "1", "2";
        /// Worker threads of each process; `auto` is one for each CPU, divided by the processes
        threads: Threads, "auto", "4";
        /// Pin each worker to a CPU
        pin_workers: bool, "false", "true";
        /// Whom to run as once the addresses are bound: `NAME` or `NAME:GROUP`; needs root
        user: Text, "who started it", "\"www-data\"";
        /// Send the `Date` field
        date: bool, "true", "false";
        /// Send the `Server` field
        server_name: bool, "true", "false";
        /// Limits, deadlines and socket options
        limits: LimitsTable, "", "";
    }
}

section! {
    /// `[[site]]`
    Site {
        /// Names that clients ask for: a host, or `*.` and a host for all names below it. Without it, all that no other site has
        hosts: Vec<Spanned<Host>>, "all", "[\"example.com\", \"*.example.com\"]";
        /// Where to listen, as `--listen`
        listen: Vec<Spanned<Listen>>, "localhost, port 8080, with TLS 8443", "[\":443\"]";
        /// The certificate; with it HTTP/1.1, HTTP/2 and HTTP/3 are spoken
        tls: TlsValue, "no TLS", "{ cert = \"cert.pem\", key = \"key.pem\" }";
        /// Take paths with encoded slashes and backslashes (`%2F`, `%5C`) too, as part of a name; otherwise 400
        encoded_slashes: bool, "false", "true";
        /// A route; may be repeated. What no route answers is 404
        route: Vec<Spanned<Whole<Route>>>, "", "";
        .. options: Options;
    }
}

section! {
    /// `[[site.route]]`
    Route {
        /// Which requests it is for: all that is said has to hold
        r#match: Whole<Match>, "all requests", "{ path = \"/assets/*\" }";
        /// Answer with files of a directory
        files: FilesAnswer, "", "{ root = \"public\" }";
        /// Answer with a text
        respond: RespondAnswer, "", "{ status = 200, body = \"OK\" }";
        /// Send clients elsewhere
        redirect: RedirectAnswer, "", "{ to = \"/new/{rest}\", status = 308 }";
        /// Look for a route again, with another path
        rewrite: Target, "", "\"/new/{rest}\"";
        .. options: Options;
    }
}

section! {
    /// `match` of a route
    Match {
        /// Paths: a whole one; one with `{name}` for a part between slashes; or the beginning of one, with `/*` at its end
        path: OneOrMore<PathPattern>, "any", "\"/users/{id}/*\"";
        /// A regular expression for the path; its named groups can be used as `{name}`
        path_regex: PathRegex, "any", "\"^/(?<year>[0-9]{4})/\"";
        /// Methods; GET stands for HEAD too
        methods: Vec<MethodName>, "any", "[\"GET\", \"POST\"]";
        /// Fields of the request: a value, `true` for any, `false` for none
        headers: Pairs<Wanted>, "any", "{ x-beta = \"1\" }";
        /// Parts of the query: a value as it is sent, `true` for any, `false` for none
        query: Pairs<Wanted>, "any", "{ debug = true }";
        /// Addresses of clients
        client: Vec<Network>, "any", "[\"10.0.0.0/8\"]";
        /// Versions of HTTP
        versions: Vec<HttpVersion>, "any", "[\"2\", \"3\"]";
    }
}

section! {
    /// `files`
    FilesAnswer {
        /// The directory; the request's path is looked for below it
        root: FilePath, "required", "\"public\"";
        /// Leave out the part of the path before the `*` of the route's `path`
        strip_prefix: bool, "false", "true";
        /// The file of a directory
        index: Index, "index.html", "\"off\"";
        /// The file below `root` where there is no other, for single-page applications
        fallback: FilePath, "none", "\"index.html\"";
        /// Send `FILE.br`, `FILE.zst` or `FILE.gz` to clients that take it
        precompressed: bool, "false", "true";
        /// Serve names that begin with a dot
        dot_files: bool, "false", "true";
        /// The value of `Cache-Control`
        cache_control: FieldValue, "none", "\"max-age=3600\"";
    }
}

section! {
    /// `respond`
    RespondAnswer {
        /// The status
        status: Status, "200", "404";
        /// The content
        body: Text, "empty", "\"Back at noon\"";
        /// Its media type
        content_type: FieldValue, "text/plain; charset=utf-8", "\"text/html; charset=utf-8\"";
    }
}

section! {
    /// `redirect`
    RedirectAnswer {
        /// Where to, with `{name}` and `{rest}` of the route's path, `{host}`, `{path}`, `{query}` and `{uri}` (path and query)
        to: Text, "required", "\"https://example.com{uri}\"";
        /// The status
        status: RedirectStatus, "308", "302";
    }
}

section! {
    /// What sites and routes have alike; a route's takes the place of its site's, and `off` is none
    Options {
        /// Fields of the response
        headers: Switch<Headers>, "", "{ set = { x-frame-options = \"DENY\" } }";
        /// Limits of these requests
        limits: RouteLimits, "", "{ content_bytes_max = \"1m\" }";
        /// Only these clients; others get 403
        allow: Switch<Vec<Network>>, "all", "[\"10.0.0.0/8\"]";
        /// Not these clients, even if they are allowed; they get 403
        deny: Switch<Vec<Network>>, "none", "[\"10.0.0.13\"]";
        /// Ask for name and password
        basic_auth: Switch<BasicAuthTable>, "off", "";
        /// How many requests a client may make, of each process; more: 429
        rate_limit: Switch<RateLimitTable>, "off", "{ requests = 10, per = \"1s\" }";
        /// Files to send for statuses of 400 and above
        error_pages: Switch<Pairs<FilePath>>, "none", "{ 404 = \"errors/404.html\" }";
        /// Let pages of other origins read the answers
        cors: Switch<CorsTable>, "off", "{ origins = [\"https://shop.example\"] }";
        /// Tell browsers to use TLS only; sent over TLS
        hsts: Switch<HstsTable>, "off", "{ max_age = \"8760h\" }";
        /// Name each request in `X-Request-Id`: `make` a name, or `keep` the one that a proxy has given
        request_id: Switch<RequestIds>, "off", "\"make\"";
        /// Compress what is worth it with zstd, brotli or gzip
        compression: bool, "false", "true";
    }
}

section! {
    /// `headers`: changes to the response
    Headers {
        /// Fields to set, in place of others of the name
        set: Pairs<FieldValue>, "none", "{ cache-control = \"no-store\" }";
        /// Fields to add
        add: Pairs<FieldValue>, "none", "{ link = \"</a.css>; rel=preload\" }";
        /// Fields to remove
        remove: Vec<FieldName>, "none", "[\"x-powered-by\"]";
    }
}

section! {
    /// `limits` of a site or route
    RouteLimits {
        /// Declared content of a request; larger: 413. No more than the server's
        content_bytes_max: Size, "the server's", "\"1m\"";
        /// From the request to the head of its response; then: 503. No more than the server's `handler_timeout`
        timeout: Span, "the server's", "\"5s\"";
    }
}

section! {
    /// `basic_auth`
    BasicAuthTable {
        /// What browsers show to users
        realm: FieldValue, "restricted", "\"cellar\"";
        /// Names, and hashes of their passwords by `ajayserver hash-password`
        users: Pairs<PasswordHash>, "required", "{ ada = { file = \"ada.hash\" } }";
    }
}

section! {
    /// `rate_limit`
    RateLimitTable {
        /// So many requests
        requests: Count, "required", "10";
        /// in this time
        per: Span, "1s", "\"1m\"";
        /// So many at once, after a pause
        burst: Count, "as `requests`", "20";
        /// The field that tells clients apart, such as a key; requests without it are told apart by address
        header: FieldName, "by address", "\"x-api-key\"";
    }
}

section! {
    /// `cors`
    CorsTable {
        /// Origins of the pages, or `*` alone
        origins: Vec<Spanned<Origin>>, "required", "[\"https://shop.example\"]";
        /// Methods beside GET, HEAD and POST
        methods: Vec<MethodName>, "none", "[\"PUT\"]";
        /// Fields of requests beside those that browsers always send
        headers: Vec<FieldName>, "none", "[\"authorization\"]";
        /// Fields of responses that pages may read beside those they always may
        expose: Vec<FieldName>, "none", "[\"x-total\"]";
        /// Allow cookies and credentials
        credentials: bool, "false", "true";
        /// How long browsers remember this
        max_age: Span, "as they like", "\"1h\"";
    }
}

section! {
    /// `hsts`
    HstsTable {
        /// How long browsers remember this
        max_age: Span, "8760h", "\"24h\"";
        /// For all hosts below this one too
        subdomains: bool, "false", "true";
    }
}
