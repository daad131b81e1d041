//! Against the `h2` crate, in both directions: its server reads what our encoder writes, and our
//! decoder what its encoder writes. Hundreds of exchanges share the connection's dynamic tables,
//! whose sizes change in between.

use std::iter::zip;

use ajay_fields::{
    hpack::{Decoder, Encoder},
    testing::{Line, decode, encode},
};
use ajay_http::KnownField;
use h2::server;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use proptest::{
    collection::vec, prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const CONNECTIONS: usize = 10;
const EXCHANGES: usize = 100;
/// What our SETTINGS announce at most.
const TABLE_BYTES_MAX: u32 = 16_384;

/// A request and its response, and changes of the tables' sizes before it.
#[derive(Clone, Debug)]
struct Exchange {
    path: String,
    request: Vec<Line>,
    status: u16,
    response: Vec<Line>,
    /// Of what our encoder uses.
    request_table: Option<u32>,
    /// Of what our SETTINGS allow.
    response_table: Option<u32>,
}

fn line() -> impl Strategy<Value = Line> {
    // What a message may have whatever else is in it.
    let of_connections = [
        KnownField::Connection,
        KnownField::ContentLength,
        KnownField::Host,
        KnownField::Http2Settings,
        KnownField::KeepAlive,
        KnownField::ProxyConnection,
        KnownField::Te,
        KnownField::TransferEncoding,
        KnownField::Upgrade,
    ];
    let fields: Vec<KnownField> = KnownField::ALL
        .iter()
        .copied()
        .filter(|field| !of_connections.contains(field))
        .collect();
    let name = prop_oneof![
        select(fields).prop_map(|field| field.as_str().to_owned()),
        "x-[a-d]{1,2}",
    ];
    let value = prop_oneof![
        3 => "[a-c]{0,2}".prop_map(String::into_bytes),
        2 => "[ -~]{0,60}".prop_map(String::into_bytes),
        1 => vec(prop_oneof![b' '..=b'~', 0x80..=0xff_u8, Just(b'\t')], 0..300),
    ];
    (name, value, prop::bool::weighted(0.1)).prop_map(|(name, value, never_indexed)| Line {
        never_indexed,
        ..Line::new(name, value)
    })
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let table =
        |bytes_max| prop::option::weighted(0.1, prop_oneof![Just(0), 0..300_u32, 0..=bytes_max]);
    (
        "/[a-c]{0,2}",
        vec(line(), 0..10),
        select(vec![200, 204, 301, 302, 304, 404, 418, 500, 503]),
        vec(line(), 0..10),
        table(4096),
        table(TABLE_BYTES_MAX),
    )
        .prop_map(
            |(path, request, status, response, request_table, response_table)| Exchange {
                path,
                request,
                status,
                response,
                request_table,
                response_table,
            },
        )
}

#[test]
fn a_server_of_h2_and_we_understand_each_other() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut runner = TestRunner::deterministic();
    for _ in 0..CONNECTIONS {
        let exchanges = vec(exchange(), EXCHANGES)
            .new_tree(&mut runner)
            .expect("a value")
            .current();
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        runtime.block_on(async {
            let server = serve(theirs, &exchanges);
            let client = Client::new(ours).run(&exchanges);
            tokio::join!(server, client)
        });
    }
}

/// Compares each request with what was sent.
async fn serve(io: DuplexStream, exchanges: &[Exchange]) {
    let mut connection = server::handshake(io).await.expect("a handshake");
    let mut exchanges = exchanges.iter();
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted.expect("a request");
        let exchange = exchanges.next().expect("one request for each");
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri().path(), exchange.path);
        assert_eq!(
            request.uri().authority().expect("an authority"),
            "www.example.org"
        );
        // h2 does not tell which lines were never indexed.
        let expected = exchange.request.iter().map(|line| Line {
            never_indexed: false,
            ..line.clone()
        });
        assert_eq!(lines_of(request.headers()), sorted(expected.collect()));

        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(exchange.status).expect("a status");
        for line in &exchange.response {
            let name = HeaderName::from_bytes(&line.name).expect("a name");
            let mut value = HeaderValue::from_bytes(&line.value).expect("a value");
            value.set_sensitive(line.never_indexed);
            response.headers_mut().append(name, value);
        }
        respond.send_response(response, true).expect("it is sent");
    }
    assert!(exchanges.next().is_none());
}

fn lines_of(fields: &HeaderMap) -> Vec<Line> {
    let lines = fields
        .iter()
        .map(|(name, value)| Line::new(name.as_str(), value.as_bytes()));
    sorted(lines.collect())
}

/// By name; lines of one name stay in their order.
fn sorted(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    lines
}

/// As much of a client as is needed, on our encoder and decoder.
struct Client {
    io: DuplexStream,
    encoder: Encoder,
    decoder: Decoder,
    /// Lines that came so.
    never_indexed: usize,
}

impl Client {
    fn new(io: DuplexStream) -> Self {
        Self {
            io,
            encoder: Encoder::new(),
            decoder: Decoder::new(TABLE_BYTES_MAX),
            never_indexed: 0,
        }
    }

    async fn run(mut self, exchanges: &[Exchange]) {
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        self.send(&frame(SETTINGS, 0, 0, &[])).await;
        for (exchange, stream) in zip(exchanges, (1_u32..).step_by(2)) {
            if let Some(bytes_max) = exchange.response_table {
                let setting = [&[0, 1][..], &bytes_max.to_be_bytes()].concat();
                self.send(&frame(SETTINGS, 0, 0, &setting)).await;
            }
            if let Some(bytes_max) = exchange.request_table {
                self.encoder.set_table_bytes_max(bytes_max);
            }
            let block = self.encode(exchange);
            let flags = END_STREAM | END_HEADERS;
            self.send(&frame(HEADERS, flags, stream, &block)).await;

            let block = self.response_block(stream).await;
            let lines = decode(&mut self.decoder, &block).expect("a block of h2");
            let (status, lines) = lines.split_first().expect("a status");
            assert_eq!(*status, Line::new(":status", exchange.status.to_string()));
            self.compare(lines, &exchange.response);
        }
        assert!(self.never_indexed > 0);
    }

    fn compare(&mut self, lines: &[Line], expected: &[Line]) {
        let (lines, expected) = (sorted(lines.to_vec()), sorted(expected.to_vec()));
        assert_eq!(lines.len(), expected.len());
        for (line, expected) in zip(lines, expected) {
            assert_eq!((&line.name, &line.value), (&expected.name, &expected.value));
            // A sensitive line that is in its table already, h2 takes from there.
            assert!(expected.never_indexed || !line.never_indexed);
            self.never_indexed += usize::from(line.never_indexed);
        }
    }

    fn encode(&mut self, exchange: &Exchange) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        let pseudo = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "www.example.org"),
            (":path", &exchange.path),
        ];
        let pseudo = pseudo.map(|(name, value)| Line::new(name, value));
        for line in pseudo.iter().chain(&exchange.request) {
            encode(&mut self.encoder, line, &mut block);
        }
        block
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.expect("the server reads");
    }

    /// The field block of the next response.
    async fn response_block(&mut self, stream: u32) -> Vec<u8> {
        let mut block = Vec::new();
        loop {
            let mut header = [0; 9];
            self.io.read_exact(&mut header).await.expect("a frame");
            let len = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; len as usize];
            self.io.read_exact(&mut payload).await.expect("its payload");
            let (kind, flags) = (header[3], header[4]);
            match kind {
                HEADERS | CONTINUATION => {
                    assert_eq!(header[5..], stream.to_be_bytes());
                    block.extend_from_slice(&payload);
                    if flags & END_HEADERS != 0 {
                        return block;
                    }
                }
                SETTINGS if flags & ACK == 0 => self.send(&frame(SETTINGS, ACK, 0, &[])).await,
                SETTINGS | WINDOW_UPDATE => {}
                _ => panic!("frame {kind}: {payload:?}"),
            }
        }
    }
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len())
        .expect("a short payload")
        .to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}
