//! The types of single values.

use std::net::IpAddr;
use std::time::Duration;

use ajayserver::{FieldSection, ListenAddr, Method, StatusCode, Version};

use super::read::{Context, FromText, Kind, Node, Read, Table, read_from_text, text_of};
use super::source::Spanned;
use crate::args::Limits;
use crate::routing::{CAPTURES_MAX, Pattern};
use crate::units::{self, Switch};

/// Declares a type around one value that is made of text.
macro_rules! values {
    ($($(#[doc = $doc:literal])+ $name:ident($inner:ty), $kind:literal, $parse:expr;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Debug)]
            pub(crate) struct $name(pub(crate) $inner);

            impl FromText for $name {
                const KIND: &'static str = $kind;

                fn from_text(text: &str) -> Result<$name, String> {
                    let parse: fn(&str) -> Result<$inner, String> = $parse;
                    parse(text).map($name)
                }
            }
            read_from_text!($name);
        )+
    };
}

values! {
    /// Any text.
    Text(String), "text", |text| Ok(text.to_owned());
    /// A path of the file system, from the directory of the file that names it.
    FilePath(String), "path of a file", |text| match text {
        "" => Err("a path is not empty".to_owned()),
        path => Ok(path.to_owned()),
    };
    /// Bytes.
    Size(u64), "size", units::bytes;
    /// A time that passes.
    Span(Duration), "time", |text| match units::duration(text)? {
        Duration::ZERO => Err("no time at all is too little here".to_owned()),
        time => Ok(time),
    };
    /// A whole number.
    Count(u32), "number", units::number;
    /// Workers of each process.
    Threads(Option<u16>), "number or `auto`", |text| match text {
        "auto" => Ok(None),
        "0" => Err("there is at least one thread".to_owned()),
        number => units::number(number).map(Some),
    };
    /// Processes.
    Processes(Option<u16>), "number or `auto`", |text| match text {
        "auto" => Ok(None),
        "0" => Err("there is at least one process".to_owned()),
        number => units::number(number).map(Some),
    };
    /// Where to listen.
    Listen(ListenAddr), "address", |text| text.parse().map_err(|_| format!(
        "`{text}` is no address to listen on; write it as in 127.0.0.1:8080, [::1]:8080, :8080 or unix:/run/a.sock"
    ));
    /// A host, or `*.` and a host.
    Host(String), "host name", host;
    /// Addresses: one, or a network.
    Network((IpAddr, u8)), "address or network", network;
    /// A method.
    MethodName(Method), "method", method;
    /// A status of an answer.
    Status(StatusCode), "status code", |text| match text.parse::<u16>() {
        Ok(code @ 200..=599) => StatusCode::from_u16(code).map_err(|_| not_status(text)),
        _ => Err(not_status(text)),
    };
    /// A status that tells clients to go elsewhere.
    RedirectStatus(StatusCode), "status code", |text| match text {
        "301" | "302" | "303" | "307" | "308" => StatusCode::from_bytes(text.as_bytes()).map_err(|_| not_status(text)),
        _ => Err(format!("`{text}` is no status of a redirect; those are 301, 302, 303, 307 and 308")),
    };
    /// A version of HTTP.
    HttpVersion(Version), "version", |text| match text {
        "1.0" => Ok(Version::HTTP_10),
        "1.1" => Ok(Version::HTTP_11),
        "2" => Ok(Version::HTTP_2),
        "3" => Ok(Version::HTTP_3),
        _ => Err(format!("`{text}` is no version of HTTP; those are \"1.0\", \"1.1\", \"2\" and \"3\"")),
    };
    /// The name of a field.
    FieldName(String), "field name", field_name;
    /// The value of a field.
    FieldValue(String), "field value", |text| match FieldSection::new().append("x", text) {
        Ok(()) => Ok(text.to_owned()),
        Err(_) => Err(format!("{text:?} cannot be the value of a field")),
    };
    /// A path of requests, with what may stand in its place.
    PathPattern(Pattern), "path", Pattern::parse;
    /// A regular expression that the path has to match.
    PathRegex(regex::Regex), "regular expression", |text| {
        let regex = regex::Regex::new(text).map_err(|error| regex_error(text, &error))?;
        match regex.capture_names().flatten().count() > CAPTURES_MAX {
            true => Err(format!("`{text}` has more than {CAPTURES_MAX} parts with names")),
            false => Ok(regex),
        }
    };
    /// A path of requests to go on with.
    Target(String), "path", |text| match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no path of requests: it has to begin with `/`")),
    };
    /// A password as `ajayserver hash-password` prints it.
    PasswordHash(String), "password hash", password_hash;
    /// An origin of pages.
    Origin(String), "origin or `*`", origin;
    /// The name of a file in a directory, or none.
    Index(Switch<String>), "file name or `off`", |text| match text {
        "off" => Ok(Switch::Off),
        name if name.is_empty() || name.contains('/') => Err(format!("`{name}` is no name of a file in a directory")),
        name => Ok(Switch::On(name.to_owned())),
    };
    /// Who names requests.
    RequestIds(bool), "`make` or `keep`", |text| match text {
        "make" => Ok(false),
        "keep" => Ok(true),
        _ => Err(format!("`{text}` is neither `make` nor `keep`")),
    };
}

fn not_status(text: &str) -> String {
    format!("`{text}` is no status of an answer; those are 200 to 599")
}

fn host(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if name.starts_with('[') && name.ends_with(']') {
        let inner = &name[1..name.len() - 1];
        let is_address = inner.parse::<std::net::Ipv6Addr>().is_ok();
        return match is_address && name == text {
            true => Ok(text.to_ascii_lowercase()),
            false => Err(format!("`{text}` is no IPv6 address in brackets")),
        };
    }
    if name.contains(':') {
        return Err(format!(
            "`{text}` is no host: a port is not part of it, see `listen`"
        ));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match name.len() <= 253 && name.split('.').all(is_label) {
        true => Ok(text.to_ascii_lowercase()),
        false if name.contains('*') => Err(format!(
            "`{text}` is no host: `*` stands only at the beginning, for all names below a host"
        )),
        false if !name.is_ascii() => Err(format!(
            "`{text}` is no host: write names in other scripts as `xn--...`"
        )),
        false => Err(format!("`{text}` is no host name")),
    }
}

fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong =
        || format!("`{text}` is no address or network; write it as in 10.0.0.0/8 or 2001:db8::/32");
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let whole = match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let bits = match bits {
        None => whole,
        Some(bits) => bits.parse().map_err(|_| wrong())?,
    };
    if bits > whole {
        return Err(format!("`{text}`: such addresses have {whole} bits"));
    }
    let is_network = match address {
        IpAddr::V4(address) => {
            u64::from(address.to_bits()).trailing_zeros() >= 32 - u32::from(bits)
        }
        IpAddr::V6(address) => address.to_bits().trailing_zeros() >= 128 - u32::from(bits),
    };
    match is_network || bits == whole {
        true => Ok((address, bits)),
        false => Err(format!(
            "`{text}` is an address inside a network, not the network: bits after the first {bits} are set"
        )),
    }
}

fn method(text: &str) -> Result<Method, String> {
    const KNOWN: [&str; 8] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
    ];
    let upper = text.to_ascii_uppercase();
    if KNOWN.contains(&&*upper) && upper != text {
        return Err(format!(
            "`{text}` is not the method `{upper}`: methods differ by case"
        ));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` cannot be a method"))
}

fn field_name(text: &str) -> Result<String, String> {
    match FieldSection::new().append(text, "") {
        Ok(()) => Ok(text.to_ascii_lowercase()),
        Err(_) => Err(format!("`{text}` cannot be the name of a field")),
    }
}

/// The last line of the crate's message says what is wrong; the others draw the place.
pub(crate) fn regex_error(text: &str, error: &regex::Error) -> String {
    let message = error.to_string();
    let last = message.lines().last().unwrap_or_default();
    let last = last.trim_start_matches("error: ");
    format!("`{text}` is no regular expression: {last}")
}

fn password_hash(text: &str) -> Result<String, String> {
    match crate::password::is_hash(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("this is no password hash; make one with `ajayserver hash-password`".to_owned())
        }
    }
}

fn origin(text: &str) -> Result<String, String> {
    let wrong =
        || format!("`{text}` is no origin; write it as in https://example.com, without a path");
    if text == "*" {
        return Ok(text.to_owned());
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (rest, None),
    };
    let is_default = matches!(
        (scheme, port),
        ("https", Some("443")) | ("http", Some("80"))
    );
    let is_port =
        port.is_none_or(|port| port.parse::<u16>().is_ok_and(|it| it.to_string() == port));
    let is_host = !name.starts_with("*.") && host(name).is_ok_and(|lower| lower == name);
    match ["http", "https"].contains(&scheme) && is_host && is_port && !is_default {
        true => Ok(text.to_owned()),
        false => Err(wrong()),
    }
}

/// What a field of the request, or a part of its query, has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Anything, but there.
    Present,
    Absent,
    /// This.
    Exactly(String),
}

impl Read for Wanted {
    const KIND: &'static str = "text, true or false";

    fn read(node: &Node, context: &mut Context) -> Option<Wanted> {
        match node.kind {
            Kind::Bool(true) => Some(Wanted::Present),
            Kind::Bool(false) => Some(Wanted::Absent),
            _ => text_of(node, Self::KIND, context).map(Wanted::Exactly),
        }
    }
}

/// The certificate of a site.
#[derive(Clone, Debug)]
pub(crate) enum TlsValue {
    SelfSigned,
    Files {
        cert: Spanned<FilePath>,
        key: Spanned<FilePath>,
    },
}

impl Read for TlsValue {
    const KIND: &'static str = "{ cert, key } or `self-signed`";

    fn read(node: &Node, context: &mut Context) -> Option<TlsValue> {
        if let Kind::Text(text) = &node.kind {
            if text == "self-signed" {
                return Some(TlsValue::SelfSigned);
            }
            let message = format!("`{text}` is no certificate");
            let hint = "write \"self-signed\", or { cert = \"FILE\", key = \"FILE\" }";
            context.problems.error(node.span, message).hint(hint);
            return None;
        }
        let mut table = Table::of(node, context)?;
        let cert = table.take::<FilePath>("cert", context);
        let key = table.take::<FilePath>("key", context);
        let has = (table.has("cert"), table.has("key"));
        table.finish(context);
        for (name, there) in [("cert", has.0), ("key", has.1)] {
            if !there {
                let message = format!("`tls` needs `{name}`");
                context.problems.error(node.span, message);
            }
        }
        Some(TlsValue::Files {
            cert: cert?,
            key: key?,
        })
    }
}

/// The limits of the whole server.
#[derive(Debug)]
pub(crate) struct LimitsTable(pub(crate) Limits);

impl Read for LimitsTable {
    const KIND: &'static str = "table";

    fn read(node: &Node, context: &mut Context) -> Option<LimitsTable> {
        let Kind::Table(keys) = &node.kind else {
            context.wrong_kind(node, "a table");
            return None;
        };
        let mut limits = Limits::default();
        for (key, node) in keys {
            let text = match node.kind {
                Kind::Bool(value) => Some(value.to_string()),
                _ => text_of(node, "a limit", context),
            };
            let Some(text) = text else { continue };
            match limits.set(&key.value, &text) {
                None => {
                    let names = Limits::KEYS.iter().map(|key| key.name);
                    let message = format!("unknown key `{}`", key.value);
                    let problem = context.problems.error(key.span, message);
                    problem.nearest(&key.value, names);
                }
                Some(Err(message)) => {
                    context.problems.error(node.span, message);
                }
                Some(Ok(())) => {}
            }
        }
        Some(LimitsTable(limits))
    }
}
