//! The client of the `h2` crate, an implementation of somebody else's, against our server: uploads and
//! downloads of many sizes at once, trailers, informational and early responses, resets, pings, and a
//! graceful end.

use std::{collections::HashMap, rc::Rc};

use ajay_h2::{Config, Connection, Drain, Event, Grant, ResetCause, StreamKey};
use ajay_http::{ContentSize, FieldSection, RequestHead, ResponseHead, StatusCode};
use bytes::Bytes;
use h2::{Reason, RecvStream, client::SendRequest};
use http::{HeaderMap, Method, Request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::LocalSet,
};

/// Requests of a connection.
const REQUESTS: usize = 60;
const SIZES: [usize; 6] = [0, 1, 1000, 16_384, 70_000, 400_000];

#[test]
fn an_independent_client_is_served() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let (client_io, server_io) = tokio::io::duplex(30_000);
        let server = tokio::task::spawn_local(Server::new().serve(server_io));
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(100_000)
            .initial_connection_window_size(150_000)
            .handshake::<_, Bytes>(client_io)
            .await
            .expect("a connection");
        let mut connection = connection;
        let mut pings = connection.ping_pong().expect("the first one");
        let driver = tokio::task::spawn_local(connection);
        pings.ping(h2::Ping::opaque()).await.expect("an answer");
        let sender = sender.ready().await.expect("room for a stream");
        let requests: Vec<_> = (0..REQUESTS)
            .map(|at| {
                let size = SIZES[at % SIZES.len()];
                tokio::task::spawn_local(echo(sender.clone(), at, size))
            })
            .collect();
        for request in requests {
            request.await.expect("the exchange is as it must be");
        }
        cancel(sender.clone()).await;
        early(sender.clone()).await;
        // The last request asks for the end; the server closes when it has been answered.
        drop(exchange(sender, "/drain", Bytes::new(), None).await);
        let counts = server.await.expect("the server ends");
        let end = driver.await.expect("no panic");
        assert!(end.is_ok(), "{end:?}");
        assert_eq!(counts.requests, REQUESTS + 3);
        assert_eq!(counts.cancelled, 1);
    });
}

/// Sends content and trailers; the same comes back.
async fn echo(sender: SendRequest<Bytes>, at: usize, size: usize) {
    let content: Bytes = (0..size).map(|place| (place * 7 + at) as u8).collect();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-at", at.to_string().parse().expect("a valid value"));
    let with_trailers = at.is_multiple_of(2);
    let sent = with_trailers.then(|| trailers.clone());
    let path = format!("/echo?at={at}");
    let mut received = exchange(sender, &path, content.clone(), sent).await;
    let mut back = Vec::new();
    while let Some(data) = received.data().await {
        let data = data.expect("content");
        back.extend_from_slice(&data);
        received
            .flow_control()
            .release_capacity(data.len())
            .expect("it was received");
    }
    assert!(back == content, "{at}: {} bytes of {size}", back.len());
    let back = received.trailers().await.expect("an end");
    assert_eq!(back, with_trailers.then_some(trailers), "{at}");
}

/// Sends a request as fast as the windows allow; returns the content of a 200.
async fn exchange(
    sender: SendRequest<Bytes>,
    path: &str,
    mut content: Bytes,
    trailers: Option<HeaderMap>,
) -> RecvStream {
    let mut sender = sender.ready().await.expect("room for a stream");
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("https://example.org{path}"))
        .header("x-own", "something")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(())
        .expect("a valid request");
    let ends = content.is_empty() && trailers.is_none();
    let (response, mut stream) = sender.send_request(request, ends).expect("it is sent");
    let upload = async {
        while !content.is_empty() {
            stream.reserve_capacity(content.len());
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
            let room = match room {
                Some(Ok(room)) => room.min(content.len()),
                // Reset with NO_ERROR after an early response.
                _ => return,
            };
            let piece = content.split_to(room);
            let is_last = content.is_empty() && trailers.is_none();
            stream.send_data(piece, is_last).expect("there is room");
        }
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers).expect("they are sent");
        }
    };
    let (response, ()) = tokio::join!(response, upload);
    let response = response.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["server"], "ajay");
    response.into_body()
}

/// A request that is cancelled before it is answered.
async fn cancel(sender: SendRequest<Bytes>) {
    let mut sender = sender.ready().await.expect("room for a stream");
    let request = Request::post("https://example.org/never").body(());
    let (response, mut stream) = sender
        .send_request(request.expect("a valid request"), false)
        .expect("it is sent");
    stream.send_reset(Reason::CANCEL);
    assert!(response.await.is_err());
}

/// A response that comes before the content: the rest is not wanted.
async fn early(sender: SendRequest<Bytes>) {
    let content = Bytes::from(vec![0; 1_000_000]);
    let mut received = exchange(sender, "/early", content, None).await;
    while let Some(data) = received.data().await {
        match data {
            Ok(data) => assert!(data.is_empty(), "there is no content"),
            // The client may see the reset before the end.
            Err(error) => return assert_eq!(error.reason(), Some(Reason::NO_ERROR)),
        }
    }
}

struct Server {
    connection: Connection,
    config: Config,
    head: RequestHead,
    out: Vec<u8>,
    exchanges: HashMap<StreamKey, Exchange>,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    requests: usize,
    cancelled: usize,
}

struct Exchange {
    path: Rc<str>,
    content: Vec<u8>,
    sent: usize,
    trailers: Option<Box<FieldSection>>,
}

impl Server {
    fn new() -> Self {
        let (config, mut out) = (Config::default(), Vec::new());
        Self {
            connection: Connection::new(&config, 0, &mut out),
            config,
            head: RequestHead::new(),
            out,
            exchanges: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// Reads and writes whatever is possible: a client that cannot write may not read either.
    async fn serve(mut self, io: DuplexStream) -> Counts {
        let (mut reader, mut writer) = tokio::io::split(io);
        let mut input = Vec::new();
        loop {
            self.take_events(&mut input);
            self.send();
            if self.out.is_empty() && self.connection.wants_close() {
                return self.counts;
            }
            tokio::select! {
                read = reader.read_buf(&mut input) => {
                    assert!(read.expect("the client writes") > 0, "it waits for our end");
                }
                written = writer.write(&self.out), if !self.out.is_empty() => {
                    self.out.drain(..written.expect("the client reads"));
                }
            }
        }
    }

    fn take_events(&mut self, input: &mut Vec<u8>) {
        let mut at = 0;
        loop {
            let step = self
                .connection
                .next_event(&self.config, 0, &input[at..], &mut self.head, &mut self.out)
                .expect("the client breaks no rule");
            at += step.consumed;
            match step.event {
                Event::NeedData | Event::Paused => break,
                Event::Request {
                    key,
                    end_of_content,
                    ..
                } => self.begin(key, end_of_content),
                Event::Data { key, data } => {
                    let exchange = self.exchanges.get_mut(&key).expect("an exchange");
                    exchange.content.extend_from_slice(data);
                    self.connection
                        .release(key, data.len() as u32, &mut self.out);
                }
                Event::EndOfContent { key } => {
                    let trailers = self.connection.take_trailers();
                    let exchange = self.exchanges.get_mut(&key).expect("an exchange");
                    exchange.trailers = trailers;
                    self.respond(key);
                }
                Event::Reset { key, cause } => {
                    assert!(matches!(cause, ResetCause::Peer(_)));
                    self.counts.cancelled += 1;
                    self.exchanges.remove(&key);
                    self.connection.stream_done(key, &mut self.out);
                }
                Event::GoAway { .. } => {}
                event => panic!("{event:?}"),
            }
        }
        input.drain(..at);
    }

    fn begin(&mut self, key: StreamKey, end_of_content: bool) {
        self.counts.requests += 1;
        let fields = self.head.fields();
        assert_eq!(
            fields.get_name("cookie").is_some(),
            self.head.path() != "/never"
        );
        let path = self.head.path();
        let exchange = Exchange {
            path: path.into(),
            content: Vec::new(),
            sent: 0,
            trailers: None,
        };
        let is_early = path == "/early";
        self.exchanges.insert(key, exchange);
        let none = FieldSection::new();
        self.connection
            .send_informational(key, StatusCode::EARLY_HINTS, &none, &mut self.out)
            .expect("a response is due");
        if is_early || end_of_content {
            self.respond(key);
        }
    }

    fn respond(&mut self, key: StreamKey) {
        let exchange = self.exchanges.get(&key).expect("an exchange");
        let (len, fields) = (exchange.content.len() as u64, FieldSection::new());
        let is_drain = &*exchange.path == "/drain";
        let head = ResponseHead {
            status: StatusCode::OK,
            fields: &fields,
            content_type: Some("application/octet-stream"),
            server: Some("ajay"),
            date: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
        };
        let (connection, out) = (&mut self.connection, &mut self.out);
        if is_drain {
            connection.drain(Drain::Announce, out);
            connection.drain(Drain::Last, out);
        }
        connection
            .send_head(key, &head, ContentSize::Unknown, out)
            .expect("a response is due");
        if len > 0 {
            connection.set_ready(key, len, 0).expect("content is due");
        } else {
            self.finish(key);
        }
    }

    fn finish(&mut self, key: StreamKey) {
        let exchange = self.exchanges.remove(&key).expect("an exchange");
        let trailers = exchange.trailers.as_deref();
        self.connection
            .finish(key, trailers, &mut self.out)
            .expect("all was sent");
        self.connection.stream_done(key, &mut self.out);
    }

    fn send(&mut self) {
        while self.out.len() < 100_000
            && let Some(Grant { key, bytes_max }) = self.connection.next_grant(0)
        {
            self.connection
                .frame_data(key, bytes_max, false, &mut self.out)
                .expect("it was granted");
            let exchange = self.exchanges.get_mut(&key).expect("an exchange");
            let end = exchange.sent + bytes_max as usize;
            self.out
                .extend_from_slice(&exchange.content[exchange.sent..end]);
            exchange.sent = end;
            if end == exchange.content.len() {
                self.finish(key);
            }
        }
    }
}
