//! Testing an application without a socket.
//!
//! ```
//! # use ajayserver::{Request, Router};
//! use ajayserver::testing::TestClient;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let router = Router::new().get("/hello/{name}", async |request: Request| {
//!     format!("Hello, {}!\n", request.param("name").unwrap_or_default())
//! });
//! let client = TestClient::new(&router.build().unwrap());
//! let response = client.get("/hello/Ada").await;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.text(), "Hello, Ada!\n");
//! # });
//! ```
//!
//! A request goes through the same HTTP/1 core as on a connection, and so does the response: what breaks a rule is
//! refused, and [`TestResponse::wire`] has the bytes that a client would get, but for `Date`. What belongs to
//! connections is not here: their limits and deadlines, TLS, and the other versions. Handlers that sleep are tested in virtual time
//! under `#[tokio::test(start_paused = true)]`.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;

use ajay_engine::{FieldSection, Limits, Method, PeerAddr, offline};
use bytes::Bytes;

use crate::{Application, Handler};

/// Sends requests to an application, as a client that is always a new one.
pub struct TestClient<H> {
    handler: Rc<H>,
    peer: PeerAddr,
    limits: Limits,
}

impl<H: Handler> TestClient<H> {
    /// A client of an application as one worker would run it.
    pub fn new<A: Application<Handler = H>>(application: &A) -> TestClient<H> {
        TestClient {
            handler: Rc::new(application.handler()),
            peer: PeerAddr::Ip((Ipv4Addr::LOCALHOST, 50_000).into()),
            limits: Limits::default(),
        }
    }

    /// A client of a handler that needs no cloning, such as one in a [`Layer`](crate::Layer).
    pub fn of(handler: H) -> TestClient<H> {
        TestClient {
            handler: Rc::new(handler),
            peer: PeerAddr::Ip((Ipv4Addr::LOCALHOST, 50_000).into()),
            limits: Limits::default(),
        }
    }

    /// Requests come from this address; `127.0.0.1:50000` if nothing is said.
    #[must_use]
    pub fn peer_addr(mut self, address: SocketAddr) -> TestClient<H> {
        self.peer = PeerAddr::Ip(address);
        self
    }

    /// The limits on requests; those of a server if nothing is said.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> TestClient<H> {
        self.limits = limits;
        self
    }

    /// A GET request for `localhost`; the target is a path, with a query if there is one.
    pub fn get(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::GET, target)
    }

    /// A POST request.
    pub fn post(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::POST, target)
    }

    /// A PUT request.
    pub fn put(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::PUT, target)
    }

    /// A PATCH request.
    pub fn patch(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::PATCH, target)
    }

    /// A DELETE request.
    pub fn delete(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::DELETE, target)
    }

    /// A request for `localhost`.
    pub fn request(&self, method: Method, target: &str) -> TestRequest<'_, H> {
        TestRequest {
            client: self,
            line: format!("{method} {target} HTTP/1.1\r\n"),
            fields: Vec::new(),
            content: Bytes::new(),
            is_head_only: false,
        }
    }

    /// Sends a request as it is: head and content in the form of HTTP/1.1 (RFC 9112). One that is malformed
    /// is answered as a server would. Dropping the future drops the handler, as a client that leaves does.
    pub async fn raw(&self, request: impl AsRef<[u8]>) -> TestResponse {
        let bytes = request.as_ref();
        let is_head = bytes.starts_with(b"HEAD ");
        let call = |request: ajay_engine::Request| self.handler.call(request.into());
        let wire = offline::exchange(bytes, self.peer, self.limits, call).await;
        TestResponse::parse(wire, is_head)
    }
}

impl<H> fmt::Debug for TestClient<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A request that is sent when it is awaited.
#[derive(Debug)]
#[must_use = "it is sent when it is awaited"]
pub struct TestRequest<'c, H> {
    client: &'c TestClient<H>,
    line: String,
    fields: Vec<(String, Vec<u8>)>,
    content: Bytes,
    is_head_only: bool,
}

impl<H> TestRequest<'_, H> {
    /// Adds a field line. `Host` replaces the one that is there by default.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the content, with its length.
    pub fn content(mut self, content: impl Into<Bytes>) -> Self {
        self.content = content.into();
        self
    }

    /// The head alone, with what its fields say of the content: for requests that are to be refused before any content.
    pub fn head_only(mut self) -> Self {
        self.is_head_only = true;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.line.clone().into_bytes();
        let has = |name: &str| {
            let mut fields = self.fields.iter();
            fields.any(|(field, _)| field.eq_ignore_ascii_case(name))
        };
        if !has("host") {
            bytes.extend_from_slice(b"Host: localhost\r\n");
        }
        for (name, value) in &self.fields {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.content.is_empty() && !has("content-length") && !has("transfer-encoding") {
            let length = format!("Content-Length: {}\r\n", self.content.len());
            bytes.extend_from_slice(length.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.content);
        bytes
    }
}

impl<'c, H: Handler> IntoFuture for TestRequest<'c, H> {
    type Output = TestResponse;
    type IntoFuture = Pin<Box<dyn Future<Output = TestResponse> + 'c>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw(self.bytes()).await })
    }
}

/// A response as a client would see it.
#[derive(Clone, Debug)]
pub struct TestResponse {
    status: u16,
    fields: FieldSection,
    informational: Vec<(u16, FieldSection)>,
    content: Vec<u8>,
    trailers: FieldSection,
    wire: Vec<u8>,
    broken_off: Option<String>,
}

impl TestResponse {
    fn parse(wire: offline::Wire, is_head: bool) -> TestResponse {
        let mut rest = &wire.bytes[..];
        let mut informational = Vec::new();
        let (status, fields) = loop {
            let (status, fields) = take_head(&mut rest);
            if !(100..200).contains(&status) || status == 101 {
                break (status, fields);
            }
            informational.push((status, fields));
        };
        let is_chunked = fields.get_name("transfer-encoding").is_some();
        let (content, trailers) = match is_chunked && !is_head {
            true => take_chunks(rest),
            false => (rest.to_owned(), FieldSection::new()),
        };
        TestResponse {
            status,
            fields,
            informational,
            content,
            trailers,
            broken_off: wire.broken_off,
            wire: wire.bytes,
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of the first field line of this name, compared without case, if it is text.
    pub fn field(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.fields.get_name(name)?).ok()
    }

    /// All field lines of the head.
    pub fn fields(&self) -> &FieldSection {
        &self.fields
    }

    /// The status codes and fields of the informational responses before it.
    pub fn informational(&self) -> &[(u16, FieldSection)] {
        &self.informational
    }

    /// The content, without its transfer coding.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The content as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.content) {
            Ok(text) => text,
            Err(error) => panic!("the content is not text: {error}"),
        }
    }

    /// The trailer section.
    pub fn trailers(&self) -> &FieldSection {
        &self.trailers
    }

    /// All bytes that a client would get.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Why the response is not complete, if it is not: its stream failed, was dropped, or did not keep to its
    /// length.
    pub fn broken_off(&self) -> Option<&str> {
        self.broken_off.as_deref()
    }
}

/// What our own core writes is well formed.
const WELL_FORMED: &str = "the core writes well-formed messages";

fn take_head(rest: &mut &[u8]) -> (u16, FieldSection) {
    let mut lines = vec![httparse::EMPTY_HEADER; 256];
    let (len, status) = loop {
        let mut head = httparse::Response::new(&mut lines);
        match head.parse(rest) {
            Ok(httparse::Status::Complete(len)) => break (len, head.code.expect(WELL_FORMED)),
            Err(httparse::Error::TooManyHeaders) => {
                let more = lines.len() * 2;
                lines = vec![httparse::EMPTY_HEADER; more];
            }
            other => panic!("{WELL_FORMED}: {other:?}"),
        }
    };
    let fields = section(lines.iter().filter(|line| !line.name.is_empty()));
    *rest = &rest[len..];
    (status, fields)
}

fn section<'a>(lines: impl Iterator<Item = &'a httparse::Header<'a>>) -> FieldSection {
    let mut fields = FieldSection::new();
    for line in lines {
        fields.append(line.name, line.value).expect(WELL_FORMED);
    }
    fields
}

fn take_chunks(mut rest: &[u8]) -> (Vec<u8>, FieldSection) {
    let mut content = Vec::new();
    // One that was broken off ends anywhere between two chunks.
    while !rest.is_empty() {
        let Ok(httparse::Status::Complete((start, len))) = httparse::parse_chunk_size(rest) else {
            panic!("{WELL_FORMED}");
        };
        let end = start + len as usize;
        if len == 0 {
            let mut lines = vec![httparse::EMPTY_HEADER; 256];
            let trailers = httparse::parse_headers(&rest[start..], &mut lines);
            let Ok(httparse::Status::Complete((_, lines))) = trailers else {
                panic!("{WELL_FORMED}: {trailers:?}");
            };
            return (content, section(lines.iter()));
        }
        content.extend_from_slice(&rest[start..end]);
        rest = &rest[end + 2..];
    }
    (content, FieldSection::new())
}
