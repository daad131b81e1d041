//! For tests and fuzz targets: a driver that replays bytes in pieces and writes down what came of
//! them, and the bodies of the fuzz targets.
//!
//! Behind the feature `testing`, which nothing but tests turns on.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use ajay_http::{FieldSection, Limits, RequestHead, StatusCode};

use crate::{
    Config, Connection, ContentRemaining, ContentSize, EofEffect, Event, Framing, NextCycle,
    Reading, ResponseHead, SendBody, Violation,
};

/// A request as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its method.
    pub method: String,
    /// Its target as received.
    pub target: String,
    /// Whether it is HTTP/1.0.
    pub is_http10: bool,
    /// Its fields: known names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    /// How its content is delimited.
    pub framing: Framing,
    /// Whether it asks for 100 (Continue).
    pub expect_continue: bool,
    /// Its content, in one piece.
    pub content: Vec<u8>,
    /// Its trailer fields.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether all of it arrived.
    pub complete: bool,
}

/// How a connection's bytes ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// More bytes are needed in this state.
    Open(Reading),
    /// The last exchange was the last one.
    Closed,
    /// The bytes belong to another protocol.
    HandOver,
    /// A rule was broken.
    Violation(Violation),
}

/// All that came of a connection's bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transcript {
    /// The requests in order; the last one may be incomplete.
    pub requests: Vec<Record>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the server wrote.
    pub output: Vec<u8>,
}

/// Feeds `wire` to a connection in pieces that end at `cuts` (ascending) and at its end, and answers
/// every request with an empty 200 once it is complete.
pub fn replay(config: &Config, wire: &[u8], cuts: impl IntoIterator<Item = usize>) -> Transcript {
    let mut driver = Driver::new();
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
    requests: Vec<Record>,
    output: Vec<u8>,
}

impl Driver {
    fn new() -> Self {
        Self {
            connection: Connection::new(),
            head: RequestHead::new(),
            pending: Vec::new(),
            requests: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Takes all events; returns the outcome if the connection is at its end.
    fn feed(&mut self, config: &Config, piece: &[u8]) -> Option<Outcome> {
        self.pending.extend_from_slice(piece);
        let input = std::mem::take(&mut self.pending);
        let mut rest = input.as_slice();
        loop {
            let step = match self.connection.next_event(config, rest, &mut self.head) {
                Ok(step) => step,
                Err(violation) => return Some(self.refuse(config, violation)),
            };
            assert!(step.consumed <= rest.len(), "consumed more than there is");
            if let Event::Data(data) = step.event {
                assert!(
                    !data.is_empty() && data.len() <= step.consumed,
                    "data is consumed"
                );
            }
            rest = &rest[step.consumed..];
            match step.event {
                Event::NeedData => break,
                Event::Request {
                    framing,
                    expect_continue,
                } => {
                    self.begin(framing, expect_continue);
                    if !framing.has_content() {
                        self.complete();
                    }
                }
                Event::Data(data) => self.last().content.extend_from_slice(data),
                Event::End => {
                    let trailers = self.connection.take_trailers();
                    self.last().trailers =
                        trailers.map_or_else(Vec::new, |section| lines(&section));
                    self.complete();
                }
                Event::Paused => match self.connection.start_next_cycle() {
                    Ok(NextCycle::Ready) => {}
                    other => panic!("a paused connection is ready: {other:?}"),
                },
                Event::HandOver => return Some(Outcome::HandOver),
                Event::Closed => {
                    assert_eq!(self.connection.start_next_cycle(), Ok(NextCycle::Close));
                    return Some(Outcome::Closed);
                }
            }
        }
        self.pending = rest.to_vec();
        None
    }

    fn begin(&mut self, framing: Framing, expect_continue: bool) {
        assert_eq!(self.connection.expects_continue(), expect_continue);
        assert_eq!(
            self.connection.content_remaining(),
            match framing {
                Framing::None | Framing::Length(0) => ContentRemaining::None,
                Framing::Length(length) => ContentRemaining::Known(length),
                Framing::Chunked => ContentRemaining::Unknown,
            }
        );
        self.requests.push(Record {
            method: self.head.method().to_string(),
            target: self.head.target().to_owned(),
            is_http10: self.head.version() == ajay_http::Version::HTTP_10,
            fields: lines(self.head.fields()),
            framing,
            expect_continue,
            content: Vec::new(),
            trailers: Vec::new(),
            complete: false,
        });
        self.connection.send_continue(&mut self.output).unwrap();
        assert!(!self.connection.expects_continue());
    }

    fn complete(&mut self) {
        self.last().complete = true;
        assert!(self.connection.is_request_complete());
        let (status, content) = (StatusCode::OK, ContentSize::Empty);
        assert_eq!(
            respond(&mut self.connection, status, content, &mut self.output),
            SendBody::None
        );
    }

    /// After a violation one response can be sent and nothing more is read.
    fn refuse(&mut self, config: &Config, violation: Violation) -> Outcome {
        assert!(!self.connection.is_persistent());
        assert!(self.connection.is_response_due());
        let status = violation.status();
        respond(
            &mut self.connection,
            status,
            ContentSize::Exact(0),
            &mut self.output,
        );
        let step = self
            .connection
            .next_event(config, b"GET / HTTP/1.1\r\n", &mut self.head);
        assert!(matches!(step, Ok(step) if step.event == Event::Closed && step.consumed == 0));
        assert_eq!(self.connection.handle_eof(0), EofEffect::AfterLast);
        assert_eq!(self.connection.start_next_cycle(), Ok(NextCycle::Close));
        Outcome::Violation(violation)
    }

    fn last(&mut self) -> &mut Record {
        self.requests.last_mut().expect("content follows a request")
    }

    fn end(self, outcome: Outcome) -> Transcript {
        Transcript {
            requests: self.requests,
            outcome,
            output: self.output,
        }
    }
}

fn respond(
    connection: &mut Connection,
    status: StatusCode,
    content: ContentSize,
    out: &mut Vec<u8>,
) -> SendBody {
    let fields = FieldSection::new();
    let head = ResponseHead {
        status,
        fields: &fields,
        content_type: None,
        server: None,
        date: None,
    };
    connection
        .send_head(&head, content, out)
        .expect("a response is due")
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
    /// A short text for tables of vectors: requests separated by `; `, then the outcome.
    ///
    /// `GET /`, `POST /=content`, `POST /=content+name:value` for complete requests, with `…` at the
    /// end of incomplete ones; `!Name` for violations, `closed`, `hand-over`, `~Head`, `~Content`, and
    /// nothing for a connection between requests.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = self.requests.iter().map(Record::summary).collect();
        match self.outcome {
            Outcome::Open(Reading::FirstByte | Reading::Idle) => {}
            Outcome::Open(reading) => parts.push(format!("~{reading:?}")),
            Outcome::Closed => parts.push("closed".to_owned()),
            Outcome::HandOver => parts.push("hand-over".to_owned()),
            Outcome::Violation(violation) => parts.push(format!("!{}", violation.name())),
        }
        parts.join("; ")
    }
}

impl Record {
    fn summary(&self) -> String {
        let mut text = format!("{} {}", self.method, self.target);
        if self.framing.has_content() || !self.content.is_empty() {
            text += &format!("={}", self.content.escape_ascii());
        }
        for (name, value) in &self.trailers {
            text += &format!("+{name}:{}", value.escape_ascii());
        }
        if !self.complete {
            text.push('…');
        }
        text
    }
}

/// Small limits, so that short inputs reach them.
#[must_use]
pub fn small_limits() -> Config {
    Config {
        limits: Limits {
            head_bytes_max: 256,
            target_bytes_max: 64,
            field_lines_max: 8,
            trailer_bytes_max: 64,
            trailer_lines_max: 3,
            chunk_extension_bytes_max: 32,
            content_bytes_max: 1000,
        },
    }
}

mod fuzz;
pub use fuzz::{fuzz_chunked, fuzz_connection, fuzz_head};
