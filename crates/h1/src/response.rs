//! Response heads on the wire (RFC 9112 §4, §5).

use ajay_http::{FieldSection, KnownField, ResponseHead, StatusCode, class};

use crate::exchange::ConnectionOptions;

/// The field that delimits the content (RFC 9112 §6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Delimiter {
    None,
    Length(u64),
    Chunked,
}

/// Writes the head of a final response, complete with the empty line.
#[inline]
pub(crate) fn write_head(
    head: &ResponseHead<'_>,
    delimiter: Delimiter,
    options: ConnectionOptions,
    out: &mut Vec<u8>,
) {
    let fields = head.fields;
    // One growth at most for the usual head; what exceeds it grows the buffer as it comes.
    out.reserve(USUAL_HEAD_LEN);
    write_common(head, out);
    if let Some(content_type) = head.content_type
        && !fields.contains(KnownField::ContentType)
    {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(content_type.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match delimiter {
        Delimiter::None => {}
        Delimiter::Length(length) => content_length(length, out),
        Delimiter::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    if !fields.is_empty() {
        field_lines(fields, out);
    }
    if options != ConnectionOptions::default() || fields.contains(KnownField::Connection) {
        connection_line(options, fields, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the status-line, `Server` and `Date`.
#[inline]
pub(crate) fn write_common(head: &ResponseHead<'_>, out: &mut Vec<u8>) {
    status_line(head.status, out);
    if let Some(server) = head.server
        && !head.fields.contains(KnownField::Server)
    {
        out.extend_from_slice(b"Server: ");
        out.extend_from_slice(server.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(date) = head.date
        && !head.fields.contains(KnownField::Date)
    {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
}

/// Status-line, three automatic fields, a length and a few fields of the application.
const USUAL_HEAD_LEN: usize = 512;

/// Writes an informational response: status-line, fields, empty line (RFC 9110 §15.2).
pub(crate) fn write_informational(status: StatusCode, fields: &FieldSection, out: &mut Vec<u8>) {
    status_line(status, out);
    field_lines(fields, out);
    out.extend_from_slice(b"\r\n");
}

/// The whole 100 (Continue) response.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Writes one field line. Known names are written the conventional way, others as they are.
#[inline]
pub(crate) fn field_line(known: Option<KnownField>, name: &str, value: &[u8], out: &mut Vec<u8>) {
    let name = match known {
        Some(field) => field.as_h1_str(),
        None => name,
    };
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes the application's fields but for those that the connection decides about.
pub(crate) fn field_lines(fields: &FieldSection, out: &mut Vec<u8>) {
    let mut lines = fields.iter();
    while let Some((known, name, value)) = lines.next_with_known() {
        let is_ours = matches!(
            known,
            Some(KnownField::ContentLength | KnownField::TransferEncoding | KnownField::Connection)
        );
        if !is_ours {
            field_line(known, name, value, out);
        }
    }
}

/// Writes one `Connection` line: our options and those of the application that we do not decide.
#[cold]
fn connection_line(options: ConnectionOptions, fields: &FieldSection, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(b"Connection: ");
    let mut separator: &[u8] = b"";
    let ours = [
        (options.close, &b"close"[..]),
        (options.keep_alive, b"keep-alive"),
        (options.upgrade, b"upgrade"),
    ];
    let ours = ours
        .iter()
        .filter(|(present, _)| *present)
        .map(|(_, option)| *option);
    let others = fields
        .get_all(KnownField::Connection)
        .flat_map(class::list_elements)
        .filter(|option| !ConnectionOptions::default().add(option));
    for option in ours.chain(others) {
        out.extend_from_slice(separator);
        out.extend_from_slice(option);
        separator = b", ";
    }
    if separator.is_empty() {
        out.truncate(start);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

#[inline]
fn content_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(CONTENT_LENGTH);
    decimal(length, b"\r\n", out);
}

/// What stands before the digits of a length.
pub(crate) const CONTENT_LENGTH: &[u8] = b"Content-Length: ";

/// Writes a number and, after it, `end`.
#[inline]
pub(crate) fn decimal<const N: usize>(number: u64, end: &[u8; N], out: &mut Vec<u8>) {
    // Digits are found from the right, and each pushes what is after it up by a byte. Sixteen bytes
    // are copied, whatever their number: a copy of fixed length is two stores.
    const BYTES: usize = size_of::<u128>();
    if number >= const { 10_u64.pow((BYTES - N) as u32) } {
        return long_decimal(number, end, out);
    }
    let mut text = [0; BYTES];
    text[..N].copy_from_slice(end);
    let (mut text, mut len) = (u128::from_le_bytes(text), N);
    let mut rest = number;
    loop {
        text = text << 8 | u128::from(b'0' + (rest % 10) as u8);
        len += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let len = out.len() + len;
    out.extend_from_slice(&text.to_le_bytes());
    out.truncate(len);
}

#[cold]
fn long_decimal(number: u64, end: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(end);
}

#[inline]
fn status_line(status: StatusCode, out: &mut Vec<u8>) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    match STATUS_LINES.get(usize::from(status.as_u16()).wrapping_sub(STATUS_MIN)) {
        Some(line) if !line.is_empty() => out.extend_from_slice(line.as_bytes()),
        _ => {
            // The space stays even without a reason phrase (RFC 9112 §4).
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(status.as_str().as_bytes());
            out.extend_from_slice(b" \r\n");
        }
    }
}

const STATUS_MIN: usize = 100;
const STATUS_END: usize = 600;

macro_rules! status_lines {
    ($($code:literal $phrase:literal,)*) => {{
        let mut lines = [""; STATUS_END - STATUS_MIN];
        $(lines[$code - STATUS_MIN] = concat!("HTTP/1.1 ", $code, " ", $phrase, "\r\n");)*
        lines
    }};
}

/// Status-lines with the reason phrases of the IANA registry; empty where there is none.
static STATUS_LINES: [&str; STATUS_END - STATUS_MIN] = status_lines! {
    100 "Continue",
    101 "Switching Protocols",
    102 "Processing",
    103 "Early Hints",
    200 "OK",
    201 "Created",
    202 "Accepted",
    203 "Non-Authoritative Information",
    204 "No Content",
    205 "Reset Content",
    206 "Partial Content",
    207 "Multi-Status",
    208 "Already Reported",
    226 "IM Used",
    300 "Multiple Choices",
    301 "Moved Permanently",
    302 "Found",
    303 "See Other",
    304 "Not Modified",
    305 "Use Proxy",
    307 "Temporary Redirect",
    308 "Permanent Redirect",
    400 "Bad Request",
    401 "Unauthorized",
    402 "Payment Required",
    403 "Forbidden",
    404 "Not Found",
    405 "Method Not Allowed",
    406 "Not Acceptable",
    407 "Proxy Authentication Required",
    408 "Request Timeout",
    409 "Conflict",
    410 "Gone",
    411 "Length Required",
    412 "Precondition Failed",
    413 "Content Too Large",
    414 "URI Too Long",
    415 "Unsupported Media Type",
    416 "Range Not Satisfiable",
    417 "Expectation Failed",
    418 "I'm a teapot",
    421 "Misdirected Request",
    422 "Unprocessable Content",
    423 "Locked",
    424 "Failed Dependency",
    425 "Too Early",
    426 "Upgrade Required",
    428 "Precondition Required",
    429 "Too Many Requests",
    431 "Request Header Fields Too Large",
    451 "Unavailable For Legal Reasons",
    500 "Internal Server Error",
    501 "Not Implemented",
    502 "Bad Gateway",
    503 "Service Unavailable",
    504 "Gateway Timeout",
    505 "HTTP Version Not Supported",
    506 "Variant Also Negotiates",
    507 "Insufficient Storage",
    508 "Loop Detected",
    510 "Not Extended",
    511 "Network Authentication Required",
};

#[cfg(test)]
mod tests;
