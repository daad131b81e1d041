//! For tests and fuzz targets: a driver that feeds streams in pieces, answers what comes of them and writes
//! down what happened; and the bodies of the fuzz targets.
//!
//! Behind the feature `testing`, which nothing but tests turns on.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod fuzz;
pub mod wire;

use std::fmt::Write as _;

use ajay_http::{ContentSize, FieldSection, Limits, RequestHead, ResponseHead, StatusCode};

use crate::{
    Command, Config, Connection, Effect, ErrorCode, Event, ResetCause, StreamKey, UniStream,
    Violation,
};

pub use fuzz::{fuzz_frames, fuzz_streams};

/// What a client does on one stream.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends these bytes, and nothing after them if that is said.
    Bytes(u64, Vec<u8>, bool),
    /// Resets what it sends.
    Reset(u64, u64),
    /// Wants no more of what we send.
    Stop(u64, u64),
}

/// A connection, a client's acts on it, and what came of them.
#[derive(Debug)]
pub struct Driver {
    /// The connection.
    pub connection: Connection,
    config: Config,
    head: RequestHead,
    requests: Vec<Request>,
    /// What happened that is not a request's.
    notes: Vec<String>,
    /// The rule that ended the connection.
    pub violation: Option<Violation>,
    /// Answer requests once they are complete, with an empty 200.
    pub answers: bool,
    /// Bytes of streams that wait for fields, and whether they end.
    held: Vec<(u64, Vec<u8>, bool)>,
    now: u64,
}

#[derive(Debug)]
struct Request {
    key: StreamKey,
    text: String,
    content: Vec<u8>,
    ending: String,
    is_over: bool,
}

impl Driver {
    /// A new connection.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            connection: Connection::new(config, 0),
            config: *config,
            head: RequestHead::new(),
            requests: Vec::new(),
            notes: Vec::new(),
            violation: None,
            answers: true,
            held: Vec::new(),
            now: 1000,
        }
    }

    /// Lets the client do something.
    pub fn act(&mut self, act: &Act) {
        match act {
            Act::Bytes(stream, bytes, fin) => self.feed(*stream, bytes, *fin),
            Act::Reset(stream, code) => {
                let (config, now) = (self.config, self.now);
                let event = self.connection.handle_reset(&config, now, *stream, *code);
                self.ended(event);
            }
            Act::Stop(stream, code) => {
                let (config, now) = (self.config, self.now);
                let event = self
                    .connection
                    .handle_stop_sending(&config, now, *stream, *code);
                self.ended(event);
            }
        }
        while let Some(stream) = self.connection.poll_unblocked() {
            let at = self.held.iter().position(|(held, ..)| *held == stream);
            let (_, bytes, fin) = at.map_or((stream, Vec::new(), false), |at| self.held.remove(at));
            self.feed(stream, &bytes, fin);
        }
        assert!(self.connection.open_streams() <= 200, "streams are bounded");
    }

    fn ended(&mut self, event: Result<Option<Event<'static>>, Violation>) {
        match event {
            Ok(Some(event)) => self.note(&event),
            Ok(None) => {}
            Err(violation) => self.violated(violation),
        }
    }

    /// Passes bytes in, until they are used up.
    pub fn feed(&mut self, stream: u64, bytes: &[u8], fin: bool) {
        if let Some(held) = self.held.iter_mut().find(|(held, ..)| *held == stream) {
            held.1.extend_from_slice(bytes);
            held.2 |= fin;
            return;
        }
        let mut used = 0;
        let mut head = std::mem::take(&mut self.head);
        loop {
            let config = self.config;
            let rest = &bytes[used..];
            let step = self
                .connection
                .next_event(&config, self.now, stream, rest, fin, &mut head);
            let step = match step {
                Ok(step) => step,
                Err(violation) => {
                    self.violated(violation);
                    break;
                }
            };
            used += step.consumed;
            assert!(used <= bytes.len());
            match step.event {
                Event::NeedData => {
                    assert_eq!(used, bytes.len(), "all was used");
                    break;
                }
                Event::Closed => break,
                Event::Blocked => {
                    self.held.push((stream, bytes[used..].to_vec(), fin));
                    break;
                }
                Event::Request {
                    key,
                    end_of_content,
                    content_length,
                    expect_continue,
                } => {
                    let mut text = format!("{} {}", head.method(), head.target());
                    if let Some(length) = content_length {
                        let _ = write!(text, " ({length})");
                    }
                    if expect_continue {
                        text.push_str(" waits");
                    }
                    self.begin(key, text);
                    if end_of_content {
                        self.end(key, String::new());
                    }
                }
                event => self.note(&event),
            }
        }
        self.head = head;
    }

    fn begin(&mut self, key: StreamKey, text: String) {
        self.requests.push(Request {
            key,
            text,
            content: Vec::new(),
            ending: "…".to_owned(),
            is_over: false,
        });
    }

    fn request(&mut self, key: StreamKey) -> &mut Request {
        let found = self.requests.iter_mut().find(|request| request.key == key);
        found.expect("an event is of a request that was told of")
    }

    fn note(&mut self, event: &Event<'_>) {
        match *event {
            Event::Data { key, data } => {
                assert!(!data.is_empty());
                self.request(key).content.extend_from_slice(data);
            }
            Event::EndOfContent { key } => {
                let trailers = self.connection.take_trailers();
                let lines = trailers.iter().flat_map(|fields| fields.iter());
                let text: String = lines
                    .map(|(name, value)| format!(" {name}={}", value.escape_ascii()))
                    .collect();
                self.end(key, text);
            }
            Event::Refused { key, violation } => {
                assert!(violation.status().is_some());
                match self.requests.iter_mut().find(|request| request.key == key) {
                    Some(request) => request.ending = format!("!{}", violation.name()),
                    None => {
                        self.begin(key, "refused".to_owned());
                        self.request(key).ending = format!("!{}", violation.name());
                    }
                }
                self.respond(key);
            }
            Event::Rejected { stream, violation } => {
                assert!(matches!(violation.effect(), Effect::Stream(_)));
                self.notes.push(format!("{stream}!{}", violation.name()));
            }
            Event::Reset { key, cause } => {
                let ending = match cause {
                    ResetCause::Peer(code) => format!("{code}"),
                    ResetCause::Violation(violation) => {
                        assert!(matches!(violation.effect(), Effect::Stream(_)));
                        format!("!{}", violation.name())
                    }
                };
                let request = self.request(key);
                request.ending.push_str(&ending);
                request.is_over = true;
                self.connection.stream_done(key);
            }
            Event::Request { .. } | Event::NeedData | Event::Blocked | Event::Closed => {}
        }
    }

    fn end(&mut self, key: StreamKey, trailers: String) {
        self.request(key).ending = trailers;
        if self.answers {
            self.respond(key);
        }
    }

    /// Answers a request, if a response is due.
    fn respond(&mut self, key: StreamKey) {
        let head = ResponseHead {
            status: StatusCode::OK,
            fields: &FieldSection::new(),
            content_type: None,
            server: None,
            date: None,
        };
        let mut out = Vec::new();
        if self.connection.is_response_due(key) {
            let sent = self
                .connection
                .send_head(key, &head, ContentSize::Empty, &mut out);
            sent.expect("a response is due");
            assert_eq!(out[0], 0x01);
        }
        self.connection.stream_done(key);
        self.request(key).is_over = true;
    }

    fn violated(&mut self, violation: Violation) {
        assert!(
            matches!(violation.effect(), Effect::Connection(_)),
            "{violation:?} does not end the connection"
        );
        assert!(self.connection.is_closed());
        self.violation = Some(violation);
    }

    /// What happened: requests in the order in which they began, what is no request's, commands to the
    /// transport but those that say that all is well, and the end.
    #[must_use]
    pub fn summary(&mut self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for request in &self.requests {
            let mut text = format!("{}:{}", request.key.id(), request.text);
            if !request.content.is_empty() {
                let _ = write!(text, " +{}", request.content.escape_ascii());
            }
            text.push_str(&request.ending);
            parts.push(text);
        }
        parts.append(&mut self.notes);
        while let Some(command) = self.connection.poll_command() {
            parts.push(match command {
                Command::StopSending { code, .. } if code == ErrorCode::NO_ERROR => continue,
                Command::StopSending { stream, code } => format!("stop {stream} {code}"),
                Command::Reset { stream, code } => format!("reset {stream} {code}"),
            });
        }
        parts.extend(
            self.violation
                .map(|violation| format!("!{}", violation.name())),
        );
        parts.join("; ")
    }

    /// What is on one of our streams.
    pub fn output(&mut self, stream: UniStream) -> Vec<u8> {
        let bytes = self.connection.output(stream).to_vec();
        self.connection.consume_output(stream, bytes.len());
        bytes
    }
}

/// Lets a client do all of this, each act's bytes in pieces of `size`, and sums up what came of it.
#[must_use]
pub fn replay(config: &Config, acts: &[Act], size: usize) -> String {
    let mut driver = Driver::new(config);
    for act in acts {
        let Act::Bytes(stream, bytes, fin) = act else {
            driver.act(act);
            continue;
        };
        let pieces = bytes.chunks(size.max(1)).count().max(1);
        let mut chunks = bytes.chunks(size.max(1));
        for at in 0..pieces {
            let piece = chunks.next().unwrap_or_default().to_vec();
            // The end may come with the last bytes or after them.
            let is_last = at + 1 == pieces;
            match (is_last && *fin, size % 2) {
                (true, 1) => {
                    driver.act(&Act::Bytes(*stream, piece, false));
                    driver.act(&Act::Bytes(*stream, Vec::new(), true));
                }
                (ends, _) => driver.act(&Act::Bytes(*stream, piece, ends)),
            }
        }
    }
    driver.summary()
}

/// Limits that vectors reach.
#[must_use]
pub fn small_limits() -> Config {
    Config {
        limits: Limits {
            head_bytes_max: 400,
            target_bytes_max: 32,
            field_lines_max: 4,
            trailer_bytes_max: 64,
            trailer_lines_max: 1,
            content_bytes_max: 10,
            ..Limits::new()
        },
        concurrent_streams_max: 2,
        ..Config::new()
    }
}
