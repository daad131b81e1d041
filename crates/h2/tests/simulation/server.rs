//! A server whose handlers read, answer, and give up at random times.

use std::collections::HashMap;

use ajay_h2::{
    Budget, Budgets, Config, Connection, Drain, ErrorCode, Event, Grant, StreamKey, Violation,
};
use ajay_http::{ContentSize, FieldSection, RequestHead, ResponseHead, SendBody, StatusCode};

use crate::{Random, content, content_at};

pub(crate) struct Server {
    pub(crate) input: Vec<u8>,
    output: Vec<u8>,
    connection: Connection,
    config: Config,
    head: RequestHead,
    handlers: HashMap<StreamKey, Handler>,
    now: u64,
    hurry: bool,
    pub(crate) reset: u64,
    pub(crate) early: u64,
    pub(crate) starved: u64,
}

struct Handler {
    response_len: usize,
    received: usize,
    /// Received and not given back.
    held: u32,
    content_ended: bool,
    /// Answers before the content is complete.
    is_early: bool,
    gives_up: bool,
    trailers: bool,
    declares_length: bool,
    state: State,
    sent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    Sending,
    Finished,
    /// The stream is over, and the handler has not noticed.
    Gone,
}

const MANY: Budget = Budget {
    burst: 1_000_000,
    per_second: 1000,
};

impl Server {
    pub(crate) fn new(random: &mut Random) -> Self {
        let config = Config {
            concurrent_streams_max: random.pick(&[1, 3, 100]),
            stream_window: random.pick(&[65_535, 100_000]),
            connection_window: random.pick(&[65_535, 200_000]),
            budgets: Budgets {
                // The client opens windows byte by byte, and refused streams are tried again at once.
                window_updates: MANY,
                refused_streams: MANY,
                resets: MANY,
                ..Budgets::new()
            },
            ..Config::new()
        };
        let mut output = Vec::new();
        Self {
            input: Vec::new(),
            connection: Connection::new(&config, 0, &mut output),
            output,
            config,
            head: RequestHead::new(),
            handlers: HashMap::new(),
            now: 0,
            hurry: false,
            reset: 0,
            early: 0,
            starved: 0,
        }
    }

    pub(crate) fn transmit(&mut self, amount: usize, to: &mut Vec<u8>) -> bool {
        let len = amount.min(self.output.len());
        to.extend(self.output.drain(..len));
        len > 0
    }

    pub(crate) fn turn(&mut self, random: &mut Random, now: u64) -> bool {
        self.now = now;
        let mut progress = self.read(random);
        let mut keys: Vec<StreamKey> = self.handlers.keys().copied().collect();
        keys.sort_by_key(|key| key.id());
        for key in keys {
            if random.one_in(3) || self.hurry {
                progress |= self.run_handler(random, key);
            }
        }
        self.hurry = false;
        progress | self.send(random)
    }

    /// When nothing happens any more: every handler is run.
    pub(crate) fn lose_patience(&mut self) -> bool {
        let is_first = !self.hurry && !self.handlers.is_empty();
        self.hurry = true;
        is_first
    }

    fn read(&mut self, random: &mut Random) -> bool {
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        let mut progress = false;
        loop {
            let step = self
                .connection
                .next_event(
                    &self.config,
                    self.now,
                    rest,
                    &mut self.head,
                    &mut self.output,
                )
                .expect("the client breaks no rule");
            progress |= step.consumed > 0;
            let data = match step.event {
                Event::Data { key, data } => Some((key, data)),
                _ => None,
            };
            rest = &rest[step.consumed..];
            match step.event {
                Event::NeedData | Event::Paused => break,
                Event::Data { .. } => {
                    let (key, data) = data.expect("it is data");
                    self.receive(key, data);
                }
                Event::Request {
                    key,
                    end_of_content,
                    ..
                } => self.begin(random, key, end_of_content),
                Event::EndOfContent { key } => {
                    let trailers = self.connection.take_trailers();
                    if let Some(trailers) = trailers {
                        assert!(trailers.get_name("x-len").is_some());
                    }
                    if let Some(handler) = self.handlers.get_mut(&key) {
                        handler.content_ended = true;
                    }
                }
                Event::Reset { key, .. } => {
                    if let Some(handler) = self.handlers.get_mut(&key) {
                        handler.state = State::Gone;
                    }
                }
                // The handler of one that was cancelled still runs.
                Event::Rejected {
                    violation: Violation::TooManyStreams,
                    ..
                } => {}
                event => panic!("{event:?}"),
            }
        }
        self.input = rest.to_vec();
        progress
    }

    fn begin(&mut self, random: &mut Random, key: StreamKey, content_ended: bool) {
        let response_len = self.head.path()[1..].parse().expect("the path is a length");
        let handler = Handler {
            response_len,
            received: 0,
            held: 0,
            content_ended,
            is_early: random.one_in(8),
            gives_up: random.one_in(12),
            trailers: random.one_in(4),
            declares_length: random.one_in(2),
            state: State::Waiting,
            sent: 0,
        };
        let previous = self.handlers.insert(key, handler);
        assert!(previous.is_none(), "a key is not used twice");
        assert!(self.connection.open_streams() <= self.config.concurrent_streams_max as usize);
        if random.one_in(5) {
            let fields = FieldSection::new();
            self.connection
                .send_informational(key, StatusCode::EARLY_HINTS, &fields, &mut self.output)
                .expect("a response is due");
        }
    }

    fn receive(&mut self, key: StreamKey, data: &[u8]) {
        let handler = self.handlers.get_mut(&key).expect("a handler");
        for (at, byte) in (handler.received..).zip(data) {
            assert_eq!(
                *byte,
                content_at(key.id(), at),
                "stream {} at {at}",
                key.id()
            );
        }
        handler.received += data.len();
        handler.held += data.len() as u32;
    }

    /// One step of a handler.
    fn run_handler(&mut self, random: &mut Random, key: StreamKey) -> bool {
        let handler = self.handlers.get_mut(&key).expect("a handler");
        if handler.held > 0 {
            let part = 1 + random.below(handler.held as usize) as u32;
            handler.held -= part;
            self.connection.release(key, part, &mut self.output);
            return true;
        }
        let is_ready = handler.content_ended || handler.is_early;
        match handler.state {
            State::Waiting if handler.gives_up && is_ready => {
                self.reset += 1;
                self.done(key);
                true
            }
            State::Waiting if is_ready => {
                self.respond(key);
                true
            }
            State::Waiting | State::Sending => false,
            State::Finished => {
                // One in the middle of an upload stops it, sooner or later.
                self.done(key);
                true
            }
            State::Gone => {
                let late = self
                    .connection
                    .reset(key, ErrorCode::CANCEL, &mut self.output);
                assert!(late.is_err(), "the stream is over");
                self.done(key);
                true
            }
        }
    }

    fn respond(&mut self, key: StreamKey) {
        let handler = self.handlers.get_mut(&key).expect("a handler");
        let len = handler.response_len as u64;
        let content = if handler.declares_length {
            ContentSize::Exact(len)
        } else {
            ContentSize::Unknown
        };
        self.early += u64::from(!handler.content_ended);
        let fields = FieldSection::new();
        let head = ResponseHead {
            status: StatusCode::OK,
            fields: &fields,
            content_type: Some("text/plain"),
            server: Some("ajay"),
            date: None,
        };
        let sent = self
            .connection
            .send_head(key, &head, content, &mut self.output)
            .expect("a response is due");
        if sent == SendBody::None {
            handler.state = State::Finished;
            return;
        }
        handler.state = State::Sending;
        if len == 0 {
            self.finish_response(key);
        } else {
            self.connection
                .set_ready(key, len, self.now)
                .expect("content is due");
        }
    }

    fn finish_response(&mut self, key: StreamKey) {
        let handler = self.handlers.get_mut(&key).expect("a handler");
        let mut trailers = FieldSection::new();
        trailers.append("x-done", "yes").expect("a valid field");
        let trailers = handler.trailers.then_some(&trailers);
        self.connection
            .finish(key, trailers, &mut self.output)
            .expect("all was sent");
        handler.state = State::Finished;
    }

    fn done(&mut self, key: StreamKey) {
        self.handlers.remove(&key);
        self.connection.stream_done(key, &mut self.output);
    }

    /// Sends what is granted.
    fn send(&mut self, random: &mut Random) -> bool {
        let mut progress = false;
        while self.output.len() < 50_000 {
            let Some(Grant { key, bytes_max }) = self.connection.next_grant(self.now) else {
                assert!(!self.connection.has_grants());
                let waits = self.connection.unfinished_since().output.is_some();
                self.starved += u64::from(waits);
                break;
            };
            assert!((1..=16_384).contains(&bytes_max));
            progress = true;
            let len = 1 + random.below(bytes_max as usize);
            let handler = self.handlers.get_mut(&key).expect("a handler");
            let sent = handler.sent;
            handler.sent += len;
            self.connection
                .frame_data(key, len as u32, false, &mut self.output)
                .expect("it was granted");
            self.output.extend(content(key.id(), sent..sent + len));
            if handler.sent == handler.response_len {
                self.finish_response(key);
            }
        }
        progress
    }

    pub(crate) fn drain(&mut self) {
        self.connection.drain(Drain::Announce, &mut self.output);
        self.connection.drain(Drain::Last, &mut self.output);
    }

    pub(crate) fn finish(&mut self) {
        assert!(self.input.is_empty() && self.handlers.is_empty());
        assert!(self.connection.is_idle() && !self.connection.has_grants());
        assert_eq!(self.connection.unfinished_since().settings, None);
    }
}
