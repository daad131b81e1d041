//! An HTTP/3 client: the `h3` crate over `quinn`, for tests that wait, and raw streams for what no client does.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::runtime::Runtime;

use crate::PATIENCE;

/// Error codes of RFC 9114 §8.1 and RFC 9204 §6.
pub mod code {
    #![allow(missing_docs, reason = "the names are the RFCs'")]
    pub const NO_ERROR: u64 = 0x100;
    pub const INTERNAL_ERROR: u64 = 0x102;
    pub const STREAM_CREATION_ERROR: u64 = 0x103;
    pub const CLOSED_CRITICAL_STREAM: u64 = 0x104;
    pub const FRAME_UNEXPECTED: u64 = 0x105;
    pub const FRAME_ERROR: u64 = 0x106;
    pub const EXCESSIVE_LOAD: u64 = 0x107;
    pub const ID_ERROR: u64 = 0x108;
    pub const SETTINGS_ERROR: u64 = 0x109;
    pub const MISSING_SETTINGS: u64 = 0x10a;
    pub const REQUEST_REJECTED: u64 = 0x10b;
    pub const REQUEST_CANCELLED: u64 = 0x10c;
    pub const REQUEST_INCOMPLETE: u64 = 0x10d;
    pub const MESSAGE_ERROR: u64 = 0x10e;
    pub const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
}

/// A response as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status code; 0 if no head came.
    pub status: u16,
    /// The head's lines.
    pub fields: HeaderMap,
    /// The status codes of the informational responses before it.
    pub interim: Vec<u16>,
    /// The values of `Link` in those.
    pub links: Vec<String>,
    /// The content.
    pub body: Vec<u8>,
    /// The trailer section's lines, if there was one.
    pub trailers: Option<HeaderMap>,
    /// Why it is not complete.
    pub error: Option<String>,
}

impl Answer {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(|value| value.to_str().ok())
    }

    /// The content as text.
    ///
    /// # Panics
    /// When it is none.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the content is text")
    }
}

type Requests = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;
type Driver = h3::client::Connection<h3_quinn::Connection, Bytes>;
type RequestStream = h3::client::RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// A connection.
pub struct Http3 {
    runtime: Runtime,
    endpoint: quinn::Endpoint,
    /// The transport's.
    pub connection: quinn::Connection,
    requests: Requests,
    authority: String,
    /// What would read the server's settings, if nothing is to.
    _driver: Option<Driver>,
}

/// How a client is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The window for each response, if not quinn's own.
    pub window: Option<u32>,
    /// Congestion control by BBR, not Cubic.
    pub bbr: bool,
    /// Does not read the server's settings, and so may send what they forbid.
    pub is_deaf: bool,
}

/// An endpoint that believes every certificate.
///
/// # Panics
/// When there is no socket to be had.
pub fn endpoint(server: SocketAddr, options: Options) -> quinn::Endpoint {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => "127.0.0.1:0".parse().expect("an address"),
        SocketAddr::V6(_) => "[::1]:0".parse().expect("an address"),
    };
    let mut tls = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = QuicClientConfig::try_from(tls).expect("TLS 1.3 for QUIC");
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    let mut transport = quinn::TransportConfig::default();
    if let Some(window) = options.window {
        transport.stream_receive_window(window.into());
    }
    if options.bbr {
        let bbr = quinn::congestion::BbrConfig::default();
        transport.congestion_controller_factory(Arc::new(bbr));
    }
    config.transport_config(Arc::new(transport));
    let mut endpoint = quinn::Endpoint::client(any).expect("a UDP socket");
    endpoint.set_default_client_config(config);
    endpoint
}

impl Http3 {
    /// Connects.
    ///
    /// # Panics
    /// When that fails.
    pub fn connect(server: SocketAddr) -> Http3 {
        Http3::connect_with(server, Options::default())
    }

    /// Connects without reading the server's settings, and so may send what they forbid.
    ///
    /// # Panics
    /// When that fails.
    pub fn connect_deaf(server: SocketAddr) -> Http3 {
        let is_deaf = true;
        Http3::connect_with(
            server,
            Options {
                is_deaf,
                ..Options::default()
            },
        )
    }

    /// Connects in this way.
    ///
    /// # Panics
    /// When that fails.
    pub fn connect_with(server: SocketAddr, options: Options) -> Http3 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (endpoint, connection, requests, driver) = runtime.block_on(async {
            let endpoint = endpoint(server, options);
            let connecting = endpoint.connect(server, "localhost").expect("a connection");
            let connection = tokio::time::timeout(PATIENCE, connecting)
                .await
                .expect("the server answers")
                .expect("a handshake");
            let transport = h3_quinn::Connection::new(connection.clone());
            let (mut driver, requests) = h3::client::new(transport).await.expect("HTTP/3");
            if options.is_deaf {
                return (endpoint, connection, requests, Some(driver));
            }
            tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
            (endpoint, connection, requests, None)
        });
        Http3 {
            runtime,
            endpoint,
            connection,
            requests,
            authority: format!("localhost:{}", server.port()),
            _driver: driver,
        }
    }

    /// Waits for something.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.wait_for(PATIENCE, future)
    }

    /// Waits for something so long.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait_for<F: Future>(&self, patience: Duration, future: F) -> F::Output {
        self.runtime
            .block_on(async { tokio::time::timeout(patience, future).await })
            .expect("it came in time")
    }

    /// The response to a GET.
    ///
    /// # Panics
    /// When the request cannot be sent.
    pub fn fetch(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], &[])
    }

    /// The response to a request with this content.
    ///
    /// # Panics
    /// When the request cannot be sent.
    pub fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)], content: &[u8]) -> Answer {
        self.wait(async {
            let stream = match self.open(method, path, fields).await {
                Ok(stream) => stream,
                Err(error) => return error,
            };
            let (mut send, receive) = stream.split();
            let content = Bytes::copy_from_slice(content);
            let sending = async move {
                // An answer may come before all of it is sent, and end it.
                if !content.is_empty() {
                    let _ = send.send_data(content).await;
                }
                let _ = send.finish().await;
                send
            };
            let (_send, answer) = tokio::join!(sending, receive_answer(receive));
            answer
        })
    }

    /// Begins a request.
    ///
    /// # Errors
    /// The connection does not take it.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<RequestStream, Answer> {
        let uri = format!("https://{}{path}", self.authority);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a valid request");
        let opened = self.requests.clone().send_request(request).await;
        opened.map_err(|error| Answer {
            error: Some(error.to_string()),
            ..Answer::default()
        })
    }

    /// Goes on from another port, as after a change of a NAT's mind.
    ///
    /// # Panics
    /// When there is none.
    pub fn rebind(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
        let _context = self.runtime.enter();
        self.endpoint.rebind(socket).expect("another socket");
    }

    /// The code with which the server closes the connection.
    ///
    /// # Panics
    /// When it ends otherwise.
    pub fn close_code(&self) -> u64 {
        let error = self.wait(self.connection.closed());
        application_code(&error)
    }

    /// Ends the connection.
    pub fn close(self) {
        self.connection.close(0x100_u32.into(), b"");
        self.wait(self.endpoint.wait_idle());
    }
}

fn application_code(error: &quinn::ConnectionError) -> u64 {
    match error {
        quinn::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("the connection was not closed by the application: {other}"),
    }
}

/// Receives a response to its end.
pub async fn receive_answer<S>(mut stream: h3::client::RequestStream<S, Bytes>) -> Answer
where
    S: h3::quic::RecvStream,
{
    let mut answer = Answer::default();
    loop {
        match stream.recv_response().await {
            Ok(head) if head.status().is_informational() => {
                answer.interim.push(head.status().as_u16());
                let links = head.headers().get_all("link").iter();
                let texts = links.filter_map(|value| value.to_str().ok());
                answer.links.extend(texts.map(str::to_owned));
            }
            Ok(head) => {
                answer.status = head.status().as_u16();
                answer.fields = head.headers().clone();
                break;
            }
            Err(error) => {
                answer.error = Some(error.to_string());
                return answer;
            }
        }
    }
    loop {
        match stream.recv_data().await {
            Ok(Some(mut data)) => {
                while data.has_remaining() {
                    let piece = data.chunk().to_vec();
                    data.advance(piece.len());
                    answer.body.extend_from_slice(&piece);
                }
            }
            Ok(None) => break,
            Err(error) => {
                answer.error = Some(error.to_string());
                return answer;
            }
        }
    }
    match stream.recv_trailers().await {
        Ok(trailers) => answer.trailers = trailers,
        Err(error) => answer.error = Some(error.to_string()),
    }
    answer
}

/// A connection on which nothing is done that the test does not do.
pub struct Raw {
    runtime: Runtime,
    /// The transport's.
    pub connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

impl Raw {
    /// Connects.
    ///
    /// # Panics
    /// When that fails.
    pub fn connect(server: SocketAddr) -> Raw {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (endpoint, connection) = runtime.block_on(async {
            let endpoint = endpoint(server, Options::default());
            let connecting = endpoint.connect(server, "localhost").expect("a connection");
            let connected = tokio::time::timeout(PATIENCE, connecting).await;
            (
                endpoint,
                connected.expect("an answer").expect("a handshake"),
            )
        });
        Raw {
            runtime,
            connection,
            _endpoint: endpoint,
        }
    }

    /// Waits for something.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, future).await })
            .expect("it came in time")
    }

    /// Opens a unidirectional stream with these bytes.
    ///
    /// # Panics
    /// When the connection is over.
    pub fn unidirectional(&self, bytes: &[u8]) -> quinn::SendStream {
        self.wait(async {
            let mut stream = self.connection.open_uni().await.expect("a stream");
            // It may be stopped already.
            let _ = stream.write_all(bytes).await;
            stream
        })
    }

    /// Opens a request's stream with these bytes, which are all if `end`.
    ///
    /// # Panics
    /// When the connection is over.
    pub fn request(&self, bytes: &[u8], end: bool) -> (quinn::SendStream, quinn::RecvStream) {
        self.wait(async {
            let (mut send, receive) = self.connection.open_bi().await.expect("a stream");
            let _ = send.write_all(bytes).await;
            if end {
                let _ = send.finish();
            }
            (send, receive)
        })
    }

    /// All that comes on a stream, or the code with which it was reset.
    ///
    /// # Errors
    /// That code.
    ///
    /// # Panics
    /// When the connection ends.
    pub fn read(&self, mut stream: quinn::RecvStream) -> Result<Vec<u8>, u64> {
        match self.wait(stream.read_to_end(1 << 20)) {
            Ok(bytes) => Ok(bytes),
            Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => {
                Err(code.into_inner())
            }
            Err(error) => panic!("the stream ended otherwise: {error}"),
        }
    }

    /// The code with which the server closes the connection.
    ///
    /// # Panics
    /// When it ends otherwise.
    pub fn close_code(&self) -> u64 {
        application_code(&self.wait(self.connection.closed()))
    }

    /// Whether the connection is open after this time.
    pub fn stays_open(&self, time: Duration) -> bool {
        let closed = async { tokio::time::timeout(time, self.connection.closed()).await };
        self.runtime.block_on(closed).is_err()
    }
}

/// Believes every certificate.
#[derive(Debug)]
struct Believer;

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
