//! The bodies of the fuzz targets: each takes any bytes and panics if a property does not hold.
//!
//! rustls draws random numbers, so that a run is not the same twice to the byte. The lengths of what
//! the client sends are, and with them what the operations do.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::OnceLock;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs as provider;
use rustls::{ClientConfig, version};

use super::{Authority, Directory, Made, Pair, records, showing};
use crate::session::HELD_MAX;
use crate::{ClientCertificates, Config, Failure, InputEnd, Options, Session, VersionMin};

/// The first byte chooses what the server asks for and where the input is cut; the rest is what a
/// client sends. However the bytes are cut, the same comes of them, and never a session: whoever sends
/// bytes that were made beforehand has no keys.
pub fn fuzz_session(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let config = &endpoints().servers[usize::from(choice % 3)];
    let whole = outcome(config, bytes, bytes.len());
    assert_eq!(whole, outcome(config, bytes, 1), "byte by byte");
    let piece = usize::from(choice / 3) * bytes.len() / 86;
    assert_eq!(whole, outcome(config, bytes, piece), "pieces of {piece}");
}

/// All that shows of a session, but for what is random in its output.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: Result<(), Failure>,
    sni: Option<String>,
    /// The content types of the records that are to be sent.
    answers: Vec<u8>,
}

fn outcome(config: &Config, bytes: &[u8], piece_len: usize) -> Outcome {
    let mut session = Session::new(config).unwrap();
    let (mut result, mut output) = (Ok(()), Vec::new());
    for piece in bytes.to_vec().chunks_mut(piece_len.max(1)) {
        let before = (result, output.len());
        result = session.receive(piece, &mut output, |_| panic!("plaintext"));
        assert!(session.held_len() <= HELD_MAX);
        if before.0.is_err() {
            assert_eq!((result, output.len()), before, "a failure stays");
        }
    }
    assert!(result.is_ok() || session.held_len() == 0);
    assert!(session.is_handshaking() && !session.peer_has_closed());
    assert_eq!(session.input_ended(), InputEnd::DuringHandshake);
    assert!(output.len() <= OUTPUT_MAX);
    let answers = content_types(&output);
    let len = output.len();
    assert!(session.encrypt(b"x", &mut output).is_err());
    assert_eq!(output.len(), len);
    session.close(&mut output);
    assert!(content_types(&output).len() <= answers.len() + 1);
    Outcome {
        result,
        sni: session.sni().map(str::to_owned),
        answers,
    }
}

fn content_types(mut output: &[u8]) -> Vec<u8> {
    let lens = records(output);
    let mut types = Vec::new();
    for len in lens {
        types.push(output[0]);
        output = &output[len..];
    }
    types
}

/// A sequence of operations: each byte of `data` is one, and some take the byte after it. The first
/// chooses the version and whether the client shows a certificate.
///
/// Whatever happens to the client's records on their way, nothing panics, memory is bounded, and what
/// arrives is what was sent, as far as it arrives. If nothing happens to them, all of it arrives.
pub fn fuzz_session_pair(data: &[u8]) {
    let mut operations = data.iter().copied();
    let mut link = Link::new(operations.next().unwrap_or(0));
    while let Some(operation) = operations.next() {
        let mut take = || operations.next().unwrap_or(0);
        match operation % 16 {
            0..=2 => link.deliver(1, usize::MAX),
            3 => link.deliver(1, usize::from(take()) + 1),
            4 => link.deliver(1, 1),
            5 => link.deliver(usize::MAX, usize::MAX),
            6 => link.deliver(usize::MAX, usize::from(take()) * 16 + 1),
            7 => link.client_sends(take()),
            8 => link.server_sends(take()),
            9 => link.flip(take(), take()),
            10 => link.drop_first(),
            11 => link.repeat_first(),
            12 => link.exchange_first_two(),
            13 => link.insert(take(), take()),
            14 => link.update_keys(),
            _ => link.end(take()),
        }
    }
    link.finish();
}

/// A client, a session, and the client's records that are under way.
struct Link {
    pair: Pair,
    wire: VecDeque<Vec<u8>>,
    /// What the client and the server wanted to say.
    said: Vec<u8>,
    answered: Vec<u8>,
    /// What of the latter has arrived.
    heard: Vec<u8>,
    /// Not all records arrive as the client sent them.
    is_mangled: bool,
    client_closed: bool,
    server_closed: bool,
    /// The client closed in the midst of the handshake: what it wanted to say is lost, and the session
    /// may fail.
    closed_early: bool,
    is_13: bool,
    updates: u8,
    result: Result<(), Failure>,
}

impl Link {
    fn new(choice: u8) -> Link {
        let endpoints = endpoints();
        let (version, shows) = (usize::from(choice & 1), usize::from(choice >> 1 & 1));
        let client = &endpoints.clients[version][shows];
        let mut pair = Pair::new(client, &endpoints.servers[shows], "a");
        pair.client.set_buffer_limit(None);
        Link {
            pair,
            wire: VecDeque::new(),
            said: Vec::new(),
            answered: Vec::new(),
            heard: Vec::new(),
            is_mangled: false,
            client_closed: false,
            server_closed: false,
            closed_early: false,
            is_13: version == 1,
            updates: 0,
            result: Ok(()),
        }
    }

    /// Puts what the client has to send on its way, each record by itself.
    fn collect(&mut self) {
        let flight = self.pair.flight();
        let mut rest = &flight[..];
        for len in records(&flight) {
            let (record, after) = rest.split_at(len);
            self.wire.push_back(record.to_vec());
            rest = after;
        }
    }

    /// Gives so many records to the session, in one read or in pieces.
    fn deliver(&mut self, count: usize, piece_len: usize) {
        self.collect();
        let count = count.min(self.wire.len());
        let mut bytes: Vec<u8> = self.wire.drain(..count).flatten().collect();
        for piece in bytes.chunks_mut(piece_len) {
            let before = self.result;
            self.result = self.pair.give(piece);
            assert!(before.is_ok() || self.result == before, "a failure stays");
            assert!(self.pair.session.held_len() <= HELD_MAX);
        }
        self.check();
    }

    fn check(&mut self) {
        assert!(self.said.starts_with(&self.pair.received));
        if self.pair.client_error.is_none() {
            // Ends with an error: there is no more for now.
            let _ = self.pair.client.reader().read_to_end(&mut self.heard);
        }
        assert!(self.answered.starts_with(&self.heard));
        if !self.is_mangled && !self.closed_early {
            assert_eq!(self.result, Ok(()));
            assert!(self.pair.client_error.is_none());
        }
    }

    fn client_sends(&mut self, len: u8) {
        if self.pair.client_error.is_some() || self.client_closed {
            return;
        }
        let content = vec![b'a' + len % 26; usize::from(len) * 9 + 1];
        self.pair.client.writer().write_all(&content).unwrap();
        self.said.extend(content);
        self.updates = 0;
    }

    fn server_sends(&mut self, len: u8) {
        let content = vec![b'A' + len % 26; usize::from(len) * 999 + 1];
        let mut output = Vec::new();
        if self.pair.session.encrypt(&content, &mut output).is_ok() {
            self.answered.extend(content);
        } else {
            assert!(output.is_empty());
        }
        if self.pair.client_error.is_none() {
            self.pair.client.set_buffer_limit(None);
            for piece in output.chunks(4_096) {
                self.pair.give_client(piece);
                self.check();
            }
        }
    }

    /// rustls asserts, on both sides, that it sends no alert after close_notify, and does when something
    /// bad comes then. What we do about it has unit tests; the assertion is in the way here.
    fn may_mangle(&mut self) -> bool {
        self.collect();
        !self.client_closed && !self.server_closed
    }

    fn flip(&mut self, at: u8, bit: u8) {
        if !self.may_mangle() {
            return;
        }
        if let Some(record) = self.wire.front_mut() {
            let at = usize::from(at) * record.len() / 256;
            record[at] ^= 1 << (bit % 8);
            self.is_mangled = true;
        }
    }

    fn drop_first(&mut self) {
        if !self.may_mangle() {
            return;
        }
        self.is_mangled |= self.wire.pop_front().is_some();
    }

    fn repeat_first(&mut self) {
        if !self.may_mangle() {
            return;
        }
        if let Some(record) = self.wire.front().cloned() {
            self.wire.push_front(record);
            self.is_mangled = true;
        }
    }

    fn exchange_first_two(&mut self) {
        if !self.may_mangle() {
            return;
        }
        if self.wire.len() >= 2 {
            self.wire.swap(0, 1);
            self.is_mangled = true;
        }
    }

    /// A record that anyone on the way can write.
    fn insert(&mut self, content_type: u8, content: u8) {
        if !self.may_mangle() {
            return;
        }
        let content_type = 20 + content_type % 5;
        let len = content % 8;
        let mut record = vec![content_type, 3, 3, 0, len];
        record.extend(vec![content; usize::from(len)]);
        self.wire.push_front(record);
        self.is_mangled = true;
    }

    fn update_keys(&mut self) {
        // More of them with nothing between are refused.
        if self.is_13 && self.updates < 20 && self.pair.client_error.is_none() {
            self.updates += u8::from(self.pair.client.refresh_traffic_keys().is_ok());
        }
    }

    fn end(&mut self, choice: u8) {
        let is_early = self.pair.client.is_handshaking();
        match choice % 3 {
            0 if !self.is_mangled && !self.server_closed => {
                self.client_closed = true;
                self.closed_early |= is_early;
                self.pair.client.send_close_notify();
            }
            1 if !self.is_mangled && !is_early => {
                self.server_closed = true;
                let mut output = Vec::new();
                self.pair.session.close(&mut output);
                self.pair.give_client(&output);
                self.check();
            }
            _ => self.pair.session.was_idle(),
        }
    }

    /// Delivers all that is under way, and what follows from it.
    fn finish(&mut self) {
        loop {
            self.collect();
            if self.wire.is_empty() || self.result.is_err() {
                break;
            }
            self.deliver(usize::MAX, usize::MAX);
        }
        let session = &self.pair.session;
        let is_clean = session.input_ended() == InputEnd::Clean;
        assert_eq!(is_clean, session.peer_has_closed());
        // Nobody on the way can end a session cleanly, or make content disappear.
        assert!(!is_clean || self.client_closed);
        if is_clean && !self.closed_early {
            assert_eq!(self.pair.received, self.said);
        }
        if !self.is_mangled && !self.closed_early && !session.is_handshaking() {
            assert_eq!(self.pair.received, self.said);
            assert_eq!(self.heard, self.answered);
        }
    }
}

/// What all runs share.
struct Endpoints {
    /// With no certificates of clients, with required ones, and with TLS 1.3 only.
    servers: [Config; 3],
    /// With TLS 1.2 and 1.3; without a certificate and with one.
    clients: [[ClientConfig; 2]; 2],
}

fn endpoints() -> &'static Endpoints {
    static ENDPOINTS: OnceLock<Endpoints> = OnceLock::new();
    ENDPOINTS.get_or_init(|| {
        let made = Made::new(&["a"]);
        let authority = Authority::new("clients");
        let directory = Directory::new("fuzz");
        let required = directory.file("authorities.pem", authority.pem());
        let options = Options {
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            clock: super::Clock::new(),
            ..Options::default()
        };
        let servers = [
            options.clone(),
            Options {
                client_certificates: ClientCertificates::Required(required),
                ..options.clone()
            },
            Options {
                version_min: VersionMin::Tls13,
                ..options
            },
        ];
        let shown = authority.issue("client", |_| ());
        let clients = [&version::TLS12, &version::TLS13].map(|version| {
            let mut provider = provider::default_provider();
            // Its flights are short.
            provider.kx_groups = vec![provider::kx_group::X25519];
            let mut client = made.client_with(provider, &[version]);
            client.resumption = Resumption::disabled();
            let shows = showing(client.clone(), &shown.chain, &shown.key);
            [client, shows]
        });
        Endpoints {
            servers: servers.map(|options| made.config(&options)),
            clients,
        }
    })
}

/// A server's first flight with a chain of one certificate, and an alert.
const OUTPUT_MAX: usize = 4 * 1024;
