//! The server: the crate's core, and an application that knows the plan.

use std::collections::{BTreeMap, VecDeque};

use ajay_h3::{
    Command, Config, Connection, Drain, ErrorCode, Event, ResetCause, StreamKey, UniStream,
};
use ajay_http::{ContentSize, FieldSection, RequestHead, ResponseHead, SendBody, StatusCode};

use crate::plan::{Act, Exchange, Plan, Random, content};

pub(crate) struct Server {
    core: Connection,
    config: Config,
    head: RequestHead,
    now: u64,
    requests: BTreeMap<u64, Request>,
    /// Bytes of streams that wait for fields, and whether they end.
    held: BTreeMap<u64, (Vec<u8>, bool)>,
    pub(crate) output: VecDeque<Act>,
    drained: bool,
    pub(crate) blocked: u64,
    pub(crate) early: u64,
    pub(crate) broken_off: u64,
    pub(crate) seen: u64,
}

struct Request {
    key: StreamKey,
    received: Vec<u8>,
    /// None before the response is begun.
    framed: Option<usize>,
    /// All of its content has come.
    is_complete: bool,
    is_over: bool,
}

/// The streams of the server, in the order in which they are opened.
const CONTROL: u64 = 3;
const DECODER: u64 = 7;

impl Server {
    pub(crate) fn new(plan: &Plan) -> Server {
        let config = Config {
            qpack_table_bytes_max: plan.table_bytes_max,
            qpack_blocked_streams_max: plan.blocked_streams_max,
            ..Config::new()
        };
        Server {
            core: Connection::new(&config, 0),
            config,
            head: RequestHead::new(),
            now: 1000,
            requests: BTreeMap::new(),
            held: BTreeMap::new(),
            output: VecDeque::new(),
            drained: false,
            blocked: 0,
            early: 0,
            broken_off: 0,
            seen: 0,
        }
    }

    /// The client does something.
    pub(crate) fn receive(&mut self, plan: &Plan, act: Act) {
        self.now += 1;
        match act {
            Act::Bytes(stream, bytes, end) => self.feed(plan, stream, &bytes, end),
            Act::Reset(stream, code) => {
                self.held.remove(&stream);
                let event = self.core.handle_reset(&self.config, self.now, stream, code);
                self.given_up(event.expect("no rule is broken"));
            }
            Act::Stop(stream, code) => {
                let event = self
                    .core
                    .handle_stop_sending(&self.config, self.now, stream, code);
                self.given_up(event.expect("no rule is broken"));
            }
        }
        while let Some(stream) = self.core.poll_unblocked() {
            let (bytes, end) = self.held.remove(&stream).expect("it waits");
            self.feed(plan, stream, &bytes, end);
        }
        self.collect();
    }

    fn feed(&mut self, plan: &Plan, stream: u64, bytes: &[u8], end: bool) {
        if let Some((held, ends)) = self.held.get_mut(&stream) {
            held.extend_from_slice(bytes);
            *ends |= end;
            return;
        }
        let (mut used, mut head) = (0, std::mem::take(&mut self.head));
        loop {
            let rest = &bytes[used..];
            let (config, now) = (self.config, self.now);
            let step = self
                .core
                .next_event(&config, now, stream, rest, end, &mut head);
            let step = step.expect("no rule is broken");
            used += step.consumed;
            match step.event {
                Event::NeedData => {
                    assert_eq!(used, bytes.len());
                    break;
                }
                Event::Blocked => {
                    self.blocked += 1;
                    self.held.insert(stream, (bytes[used..].to_vec(), end));
                    break;
                }
                Event::Request {
                    key,
                    end_of_content,
                    ..
                } => {
                    self.begin(plan, key, &head);
                    if end_of_content {
                        self.complete(plan, key);
                    } else if exchange(plan, key).is_early {
                        self.early += 1;
                        self.respond(plan, key);
                    }
                }
                Event::Data { key, data } => {
                    let request = self.requests.get_mut(&key.id()).expect("it was told of");
                    request.received.extend_from_slice(data);
                }
                Event::EndOfContent { key } => self.complete(plan, key),
                event => panic!("stream {stream}: {event:?}"),
            }
        }
        self.head = head;
    }

    fn begin(&mut self, plan: &Plan, key: StreamKey, head: &RequestHead) {
        let exchange = exchange(plan, key);
        assert_eq!(head.method().as_str(), exchange.method);
        assert_eq!(head.target(), format!("/{}", key.id() / 4));
        assert_eq!(head.authority(), Some("example.com"));
        let fields = head
            .fields()
            .iter()
            .filter(|(name, _)| name.starts_with("x-"));
        let expected = exchange.fields.iter();
        assert!(
            fields.eq(expected.map(|line| (
                std::str::from_utf8(&line.name).expect("text"),
                &line.value[..]
            ))),
            "{:?}",
            head.fields()
        );
        self.requests.insert(
            key.id(),
            Request {
                key,
                received: Vec::new(),
                framed: None,
                is_complete: false,
                is_over: false,
            },
        );
    }

    fn complete(&mut self, plan: &Plan, key: StreamKey) {
        let exchange = exchange(plan, key);
        let request = &self.requests[&key.id()];
        let expected = content(key.id(), true, exchange.content_len);
        assert!(request.received == expected, "stream {}", key.id());
        let trailers = self.core.take_trailers();
        let lines = trailers.iter().flat_map(|fields| fields.iter());
        let expected = exchange.trailers.iter().map(|line| {
            (
                std::str::from_utf8(&line.name).expect("text"),
                &line.value[..],
            )
        });
        assert!(lines.eq(expected), "stream {}: {trailers:?}", key.id());
        self.seen += 1;
        let is_due = request.framed.is_none();
        if let Some(request) = self.requests.get_mut(&key.id()) {
            request.is_complete = true;
        }
        if is_due {
            self.respond(plan, key);
        }
    }

    /// The response is complete. Content that still comes is not wanted, and the client has to be told so.
    fn answered(&mut self, key: StreamKey) {
        self.done(key);
        if !self.requests[&key.id()].is_complete {
            let stop = Act::Stop(key.id(), ErrorCode::NO_ERROR.0);
            assert!(self.output.contains(&stop), "stream {}", key.id());
        }
    }

    fn respond(&mut self, plan: &Plan, key: StreamKey) {
        let exchange = exchange(plan, key);
        let head = ResponseHead {
            status: StatusCode::OK,
            fields: &FieldSection::new(),
            content_type: Some("text/plain"),
            server: Some("simulated"),
            date: None,
        };
        let size = match exchange.response_len {
            0 => ContentSize::Empty,
            // Trailers and a length do not go together everywhere; here they do.
            len if exchange.response_declares_length => ContentSize::Exact(len as u64),
            _ => ContentSize::Unknown,
        };
        let mut out = Vec::new();
        let sent = self
            .core
            .send_head(key, &head, size, &mut out)
            .expect("it is due");
        let request = self.requests.get_mut(&key.id()).expect("it was told of");
        request.framed = Some(0);
        let is_over = sent == SendBody::None;
        self.output.push_back(Act::Bytes(key.id(), out, is_over));
        if is_over {
            self.answered(key);
        } else {
            let len = exchange.response_len as u64;
            self.core
                .set_ready(key, len, self.now)
                .expect("the head was sent");
        }
    }

    fn done(&mut self, key: StreamKey) {
        self.core.stream_done(key);
        // What its trailers have waited for is nobody's any more.
        self.held.remove(&key.id());
        if let Some(request) = self.requests.get_mut(&key.id()) {
            request.is_over = true;
        }
        self.collect();
    }

    fn given_up(&mut self, event: Option<Event<'_>>) {
        match event {
            Some(Event::Reset {
                key,
                cause: ResetCause::Peer(_),
            }) => self.done(key),
            None => {}
            Some(event) => panic!("{event:?}"),
        }
    }

    /// Takes what the core has for the transport.
    fn collect(&mut self) {
        while let Some(command) = self.core.poll_command() {
            self.output.push_back(match command {
                Command::StopSending { stream, code } => Act::Stop(stream, code.0),
                Command::Reset { stream, code } => Act::Reset(stream, code.0),
            });
        }
        for (kind, stream) in [
            (UniStream::Control, CONTROL),
            (UniStream::QpackDecoder, DECODER),
        ] {
            let bytes = self.core.output(kind).to_vec();
            if !bytes.is_empty() {
                self.core.consume_output(kind, bytes.len());
                self.output.push_back(Act::Bytes(stream, bytes, false));
            }
        }
    }

    /// Sends a piece of what may be sent, or finds that the transport takes none of it. False if there is
    /// nothing.
    pub(crate) fn turn(&mut self, plan: &Plan, random: &mut Random) -> bool {
        self.now += 1;
        self.collect();
        if random.one_in(4) {
            for request in self.requests.values() {
                self.core.set_blocked(request.key, random.one_in(3));
            }
        }
        let Some(grant) = self.core.next_grant(self.now) else {
            // Whatever was blocked is not for ever.
            for request in self.requests.values() {
                self.core.set_blocked(request.key, false);
            }
            return self.core.next_grant(self.now).is_some();
        };
        let key = grant.key;
        let exchange = exchange(plan, key);
        let request = self.requests.get_mut(&key.id()).expect("it was told of");
        let framed = request.framed.expect("the head was sent");
        if exchange.breaks_off_at.is_some_and(|at| framed >= at) {
            self.broken_off += 1;
            self.core
                .reset(key, ErrorCode::INTERNAL_ERROR)
                .expect("it is open");
            self.done(key);
            return true;
        }
        let len = 1 + random.below(grant.bytes_max as usize);
        let after = framed + len;
        request.framed = Some(after);
        let is_last = after == exchange.response_len;
        let ends = is_last && !exchange.response_trailers && random.one_in(2);
        let mut out = Vec::new();
        self.core
            .frame_data(key, len as u32, ends, &mut out)
            .expect("it was granted");
        out.extend_from_slice(&content(key.id(), false, after)[framed..]);
        if is_last && !ends {
            let mut trailers = FieldSection::new();
            trailers.append("x-sum", after.to_string()).expect("valid");
            let trailers = exchange.response_trailers.then_some(&trailers);
            self.core
                .finish(key, trailers, &mut out)
                .expect("all was sent");
        }
        self.output.push_back(Act::Bytes(key.id(), out, is_last));
        if is_last {
            self.answered(key);
        }
        true
    }

    /// Whether nothing is to be sent.
    pub(crate) fn is_done(&self) -> bool {
        // A client that has given up may not have been heard yet.
        self.output.is_empty()
            && self.core.open_streams() == 0
            && self.requests.values().all(|request| request.is_over)
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.drained
    }

    pub(crate) fn drain(&mut self) {
        if !std::mem::replace(&mut self.drained, true) {
            self.core.drain(Drain::Announce);
            self.collect();
            self.core.drain(Drain::Last);
            self.collect();
        }
    }

    /// All that was to come has come.
    pub(crate) fn finish(&mut self) {
        assert!(self.held.is_empty(), "nothing waits for fields");
        assert_eq!(self.core.open_streams(), 0);
        assert!(self.requests.values().all(|request| request.is_over));
        assert!(self.core.is_idle());
    }
}

fn exchange(plan: &Plan, key: StreamKey) -> &Exchange {
    &plan.exchanges[(key.id() / 4) as usize]
}
