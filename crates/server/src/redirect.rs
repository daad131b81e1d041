//! Addresses that only send clients on to HTTPS.

use std::sync::Arc;

use ajay_engine::{Method, Request, Response, StatusCode};

/// By the number of the `listen` call: the port of HTTPS that its clients are sent to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redirects(Arc<[Option<u16>]>);

impl Redirects {
    pub(crate) fn new(ports: Vec<Option<u16>>) -> Redirects {
        Redirects(ports.into())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The answer for a request to such an address.
    pub(crate) fn answer(&self, request: &Request) -> Option<Response> {
        let port = (*self.0.get(request.listener())?)?;
        Some(redirect(request, port))
    }
}

/// 308 keeps the method and the content (RFC 9110 §15.4.9).
fn redirect(request: &Request, port: u16) -> Response {
    let host = request
        .authority()
        .map(without_port)
        .filter(|host| !host.is_empty());
    let (Some(host), false) = (host, request.method() == Method::CONNECT) else {
        return Response::new(StatusCode::BAD_REQUEST);
    };
    let path = match request.path() {
        "*" => "/",
        path => path,
    };
    let port = match port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let query = request
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let location = format!("https://{host}{port}{path}{query}");
    Response::new(StatusCode::PERMANENT_REDIRECT)
        .with_field("Location", location)
        // Made of what the client sent, which was checked as a target.
        .unwrap_or_else(|_| Response::new(StatusCode::BAD_REQUEST))
}

/// The host of an authority; an IPv6 address keeps its brackets.
fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn a_host_is_found_with_and_without_a_port() {
        for (authority, host) in [
            ("a.example", "a.example"),
            ("a.example:8080", "a.example"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("127.0.0.1:", "127.0.0.1"),
        ] {
            assert_eq!(without_port(authority), host, "{authority}");
        }
    }
}
