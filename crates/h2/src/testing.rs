//! For tests and fuzz targets: a driver that replays bytes in pieces and writes down what came of
//! them, a reader of what was written, and the bodies of the fuzz targets.
//!
//! Behind the feature `testing`, which nothing but tests turns on.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod fuzz;
pub mod wire;

use ajay_http::{
    ContentSize, FieldSection, Limits, RequestHead, ResponseHead, SendBody, StatusCode,
};

use crate::{
    Config, Connection, Effect, EofEffect, ErrorCode, Event, Reading, ResetCause, StreamKey,
    Violation,
};

pub use fuzz::{fuzz_frames, fuzz_ops};

/// A request as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its stream.
    pub stream: u32,
    /// Its method.
    pub method: String,
    /// Its target, or its authority for CONNECT.
    pub target: String,
    /// Its authority.
    pub authority: Option<String>,
    /// Its fields.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Its declared length.
    pub content_length: Option<u64>,
    /// Its content, in one piece.
    pub content: Vec<u8>,
    /// Its trailer fields.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// All of it arrived.
    Complete,
    /// It was reset by the peer.
    Reset(ErrorCode),
    /// It broke a rule.
    Violation(Violation),
}

/// What happened on a connection, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// A request began.
    Request(Record),
    /// A stream was reset before it was told of.
    Rejected(u32, Violation),
    /// A stream was refused with a status before it was told of.
    Refused(u32, Violation),
    /// The peer leaves.
    GoAway(ErrorCode),
}

/// How a connection's bytes ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// More bytes are needed in this state.
    Open(Reading),
    /// A rule was broken.
    Violation(Violation),
}

/// All that came of a connection's bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transcript {
    /// What happened.
    pub entries: Vec<Entry>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the server wrote after its own preface.
    pub output: Vec<u8>,
}

/// Feeds `wire` to a connection in pieces that end at `cuts` (ascending) and at its end, and answers
/// every request with an empty 200 once it is complete.
pub fn replay(config: &Config, wire: &[u8], cuts: impl IntoIterator<Item = usize>) -> Transcript {
    let mut driver = Driver::new(config);
    let mut from = 0;
    for cut in cuts.into_iter().chain([wire.len()]) {
        let Some(piece) = wire.get(from..cut.min(wire.len())) else {
            continue;
        };
        from = cut;
        if let Some(outcome) = driver.feed(config, piece) {
            return driver.end(outcome);
        }
    }
    let outcome = Outcome::Open(driver.connection.reading());
    driver.end(outcome)
}

struct Driver {
    connection: Connection,
    head: RequestHead,
    pending: Vec<u8>,
    entries: Vec<Entry>,
    output: Vec<u8>,
}

/// Nothing in a vector depends on time.
const NOW: u64 = 1000;

impl Driver {
    fn new(config: &Config) -> Self {
        let mut preface = Vec::new();
        Self {
            connection: Connection::new(config, NOW, &mut preface),
            head: RequestHead::new(),
            pending: Vec::new(),
            entries: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Takes all events; returns the outcome if the connection is at its end.
    fn feed(&mut self, config: &Config, piece: &[u8]) -> Option<Outcome> {
        self.pending.extend_from_slice(piece);
        let input = std::mem::take(&mut self.pending);
        let mut rest = input.as_slice();
        loop {
            let step = match self.connection.next_event(
                config,
                NOW,
                rest,
                &mut self.head,
                &mut self.output,
            ) {
                Ok(step) => step,
                Err(violation) => return Some(self.fail(config, violation)),
            };
            assert!(step.consumed <= rest.len(), "consumed more than there is");
            let unread = &rest[step.consumed..];
            match step.event {
                Event::NeedData => {
                    rest = unread;
                    break;
                }
                Event::Data { key, data } => {
                    assert!(!data.is_empty() && data.len() <= step.consumed);
                    self.record(key).content.extend_from_slice(data);
                }
                event => self.take(event),
            }
            rest = unread;
        }
        self.pending = rest.to_vec();
        None
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::NeedData | Event::Data { .. } => {}
            Event::Request {
                key,
                end_of_content,
                content_length,
                expect_continue,
            } => {
                assert_eq!(self.connection.expects_continue(key), expect_continue);
                assert_eq!(self.connection.is_receiving(key), !end_of_content);
                let record = self.request(key, content_length);
                self.entries.push(Entry::Request(record));
                self.connection
                    .send_continue(key, &mut self.output)
                    .unwrap();
                assert!(!self.connection.expects_continue(key));
                if end_of_content {
                    self.complete(key);
                }
            }
            Event::EndOfContent { key } => {
                let trailers = self.connection.take_trailers();
                self.record(key).trailers =
                    trailers.map_or_else(Vec::new, |section| lines(&section));
                self.complete(key);
            }
            Event::Refused { key, violation } => {
                if self.knows(key.id()) {
                    self.record(key).ending = Some(Ending::Violation(violation));
                } else {
                    self.entries.push(Entry::Refused(key.id(), violation));
                }
                self.respond(key, violation.status().unwrap());
                self.give_back(key);
            }
            Event::Rejected { stream, violation } => {
                self.check_rst_stream(stream, violation);
                self.entries.push(Entry::Rejected(stream, violation));
            }
            Event::Reset { key, cause } => {
                self.record(key).ending = Some(match cause {
                    ResetCause::Peer(code) => Ending::Reset(code),
                    ResetCause::Violation(violation) => {
                        self.check_rst_stream(key.id(), violation);
                        Ending::Violation(violation)
                    }
                });
                self.give_back(key);
            }
            Event::GoAway { code } => self.entries.push(Entry::GoAway(code)),
            Event::Paused => panic!("a vector writes little"),
            Event::Closed => panic!("only after the outcome"),
        }
    }

    fn request(&self, key: StreamKey, content_length: Option<u64>) -> Record {
        Record {
            stream: key.id(),
            method: self.head.method().to_string(),
            target: self.head.target().to_owned(),
            authority: self.head.authority().map(str::to_owned),
            fields: lines(self.head.fields()),
            content_length,
            content: Vec::new(),
            trailers: Vec::new(),
            ending: None,
        }
    }

    fn complete(&mut self, key: StreamKey) {
        self.record(key).ending = Some(Ending::Complete);
        let len = self.record(key).content.len() as u32;
        self.connection.release(key, len, &mut self.output);
        self.respond(key, StatusCode::OK);
        self.connection.stream_done(key, &mut self.output);
    }

    /// The content of a stream that ended early was used, too.
    fn give_back(&mut self, key: StreamKey) {
        let len = self
            .records()
            .find(|record| record.stream == key.id())
            .map_or(0, |record| record.content.len() as u32);
        self.connection.release(key, len, &mut self.output);
        self.connection.stream_done(key, &mut self.output);
    }

    fn respond(&mut self, key: StreamKey, status: StatusCode) {
        assert!(self.connection.is_response_due(key));
        let fields = FieldSection::new();
        let head = ResponseHead {
            status,
            fields: &fields,
            content_type: None,
            server: None,
            date: None,
        };
        let sent = self
            .connection
            .send_head(key, &head, ContentSize::Empty, &mut self.output);
        match sent.expect("a response is due") {
            SendBody::None => {}
            // A tunnel.
            SendBody::Payload => self
                .connection
                .finish(key, None, &mut self.output)
                .expect("it may end"),
        }
    }

    /// GOAWAY has told the code, and nothing more is read.
    fn fail(&mut self, config: &Config, violation: Violation) -> Outcome {
        let Effect::Connection(code) = violation.effect() else {
            panic!("{violation:?} does not end the connection");
        };
        let frames = wire::frames(&self.output);
        let last = frames.last().expect("GOAWAY is written");
        assert_eq!((last.kind, last.stream), (7, 0));
        assert_eq!(last.payload[4..], code.0.to_be_bytes());
        let rest = b"\0\0\x08\x06\0\0\0\0\0\x31\x32345678";
        let step = self
            .connection
            .next_event(config, NOW, rest, &mut self.head, &mut self.output);
        assert!(matches!(step, Ok(step) if step.event == Event::Closed && step.consumed == 0));
        assert_eq!(self.connection.handle_eof(0), EofEffect::AfterLast);
        assert!(self.connection.wants_close() && self.connection.is_idle());
        Outcome::Violation(violation)
    }

    fn check_rst_stream(&self, stream: u32, violation: Violation) {
        let Effect::Stream(code) = violation.effect() else {
            panic!("{violation:?} does not reset a stream");
        };
        let frames = wire::frames(&self.output);
        let last = frames.last().expect("RST_STREAM is written");
        assert_eq!((last.kind, last.stream), (3, stream));
        assert_eq!(last.payload, code.0.to_be_bytes());
    }

    fn records(&mut self) -> impl Iterator<Item = &mut Record> {
        self.entries.iter_mut().filter_map(|entry| match entry {
            Entry::Request(record) => Some(record),
            _ => None,
        })
    }

    fn knows(&mut self, stream: u32) -> bool {
        self.records().any(|record| record.stream == stream)
    }

    fn record(&mut self, key: StreamKey) -> &mut Record {
        self.records()
            .find(|record| record.stream == key.id())
            .expect("a request comes first")
    }

    fn end(self, outcome: Outcome) -> Transcript {
        Transcript {
            entries: self.entries,
            outcome,
            output: self.output,
        }
    }
}

/// The lines of a section, owned.
#[must_use]
pub fn lines(section: &FieldSection) -> Vec<(String, Vec<u8>)> {
    section
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect()
}

impl Transcript {
    /// A short text for tables of vectors: what happened separated by `; `, then the outcome.
    ///
    /// `1:GET /`, `1:POST /=content`, `1:POST /=content+name:value` for complete requests, with `…`
    /// at the end of incomplete ones, `…CANCEL` and `…!Name` for those that were cut short; `1!Name`
    /// for streams that never began; `goaway NO_ERROR`; `!Name` for the end of the connection;
    /// `~Preface`, `~Frame`, and nothing for a connection between frames.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = self.entries.iter().map(Entry::summary).collect();
        match self.outcome {
            Outcome::Open(Reading::Idle | Reading::Streams) => {}
            Outcome::Open(reading) => parts.push(format!("~{reading:?}")),
            Outcome::Violation(violation) => parts.push(format!("!{}", violation.name())),
        }
        parts.join("; ")
    }
}

impl Entry {
    fn summary(&self) -> String {
        match self {
            Self::Request(record) => record.summary(),
            Self::Rejected(stream, violation) | Self::Refused(stream, violation) => {
                format!("{stream}!{}", violation.name())
            }
            Self::GoAway(code) => format!("goaway {code}"),
        }
    }
}

impl Record {
    fn summary(&self) -> String {
        let mut text = format!("{}:{} {}", self.stream, self.method, self.target);
        if !self.content.is_empty() {
            text += &format!("={}", self.content.escape_ascii());
        }
        for (name, value) in &self.trailers {
            text += &format!("+{name}:{}", value.escape_ascii());
        }
        match self.ending {
            None => text.push('…'),
            Some(Ending::Complete) => {}
            Some(Ending::Reset(code)) => text += &format!("…{code}"),
            Some(Ending::Violation(violation)) => text += &format!("…!{}", violation.name()),
        }
        text
    }
}

/// Small limits, so that short inputs reach them.
#[must_use]
pub fn small_limits() -> Config {
    let budget = |burst| crate::Budget {
        burst,
        per_second: 1,
    };
    Config {
        limits: Limits {
            head_bytes_max: 400,
            target_bytes_max: 32,
            field_lines_max: 4,
            trailer_bytes_max: 100,
            trailer_lines_max: 2,
            chunk_extension_bytes_max: 0,
            content_bytes_max: 1000,
        },
        concurrent_streams_max: 2,
        budgets: crate::Budgets {
            resets: budget(2),
            provoked_resets: budget(2),
            refused_streams: budget(2),
            refused_heads: budget(2),
            settings: budget(4),
            pings: budget(2),
            priorities: budget(2),
            window_updates: budget(2),
            empty_frames: budget(2),
            tiny_data: budget(2),
            stray_frames: budget(2),
        },
        ..Config::new()
    }
}
