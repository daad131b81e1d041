//! The client, which shares no code with the crate but field compression.

use std::collections::{BTreeMap, VecDeque};

use ajay_fields::Scratch;
use ajay_fields::qpack::Decoder;
use ajay_fields::testing::{Line, ModelEncoder, decode_section};

use crate::plan::{Act, Plan, Random, content};

const CONTROL: u64 = 2;
const ENCODER: u64 = 6;
const DECODER: u64 = 10;

pub(crate) struct Client {
    encoder: ModelEncoder,
    decoder: Decoder,
    scratch: Scratch,
    /// What is to be sent, by streams: bytes, and whether they end it.
    queues: BTreeMap<u64, (VecDeque<u8>, bool)>,
    sent: BTreeMap<u64, usize>,
    requests: Vec<Request>,
    started: usize,
    /// What came on the server's own streams.
    own: BTreeMap<u64, Vec<u8>>,
    goaways: Vec<u64>,
    pub(crate) cancelled: u64,
}

#[derive(Default)]
struct Request {
    received: Vec<u8>,
    is_complete: bool,
    reset: Option<u64>,
    is_stopped: bool,
    is_given_up: bool,
}

impl Client {
    pub(crate) fn new(plan: &Plan, random: &mut Random) -> Client {
        let mut encoder = ModelEncoder::new(plan.table_bytes_max, plan.blocked_streams_max);
        if plan.table_bytes_max > 0 {
            let capacity = random.below(plan.table_bytes_max as usize + 1);
            encoder.set_capacity(capacity as u32);
        }
        let mut client = Client {
            encoder,
            decoder: Decoder::new(0, 0),
            scratch: Scratch::new(),
            queues: BTreeMap::new(),
            sent: BTreeMap::new(),
            requests: Vec::new(),
            started: 0,
            own: BTreeMap::new(),
            goaways: Vec::new(),
            cancelled: 0,
        };
        let mut control = number(0);
        control.extend(frame(4, &[number(0x21 + 0x1f), number(7)].concat()));
        client.queue(CONTROL, control, false);
        client.queue(ENCODER, number(2), false);
        client.queue(DECODER, number(3), false);
        client
    }

    fn queue(&mut self, stream: u64, bytes: Vec<u8>, end: bool) {
        let (queue, ends) = self.queues.entry(stream).or_default();
        queue.extend(bytes);
        *ends |= end;
    }

    /// Begins the next request, if there is one.
    pub(crate) fn begin(&mut self, plan: &Plan, random: &mut Random) -> bool {
        let Some(exchange) = plan.exchanges.get(self.started) else {
            return false;
        };
        let stream = self.started as u64 * 4;
        self.started += 1;
        self.requests.push(Request::default());
        let mut lines = vec![
            Line::new(":method", exchange.method),
            Line::new(":scheme", "https"),
            Line::new(":authority", "example.com"),
            Line::new(":path", format!("/{}", stream / 4)),
        ];
        lines.extend(exchange.fields.iter().cloned());
        if exchange.declares_length && exchange.content_len > 0 {
            lines.push(Line::new(
                "content-length",
                exchange.content_len.to_string(),
            ));
        }
        let mut bytes = self.section(stream, &lines, random);
        let all = content(stream, true, exchange.content_len);
        let mut rest = &all[..];
        while !rest.is_empty() {
            if random.one_in(6) {
                bytes.extend(frame(0x21, b"stray"));
            }
            let (piece, after) = rest.split_at(1 + random.below(rest.len()));
            bytes.extend(frame(0, piece));
            rest = after;
        }
        if !exchange.trailers.is_empty() {
            bytes.extend(self.section(stream, &exchange.trailers, random));
        }
        self.queue(stream, bytes, true);
        if random.one_in(4) {
            let field = random.pick(&["u=0", "u=7, i", "i"]);
            let update = frame(0xf_0700, &[number(stream), field.into()].concat());
            self.queue(CONTROL, update, false);
        }
        true
    }

    fn section(&mut self, stream: u64, lines: &[Line], random: &mut Random) -> Vec<u8> {
        let section = self.encoder.encode(stream, lines, || random.next() as u8);
        let instructions = self.encoder.take_encoder_stream();
        self.queue(ENCODER, instructions, false);
        frame(1, &section)
    }

    /// Something that it can send now, of a stream of its choice.
    pub(crate) fn act(&mut self, plan: &Plan, random: &mut Random) -> Option<Act> {
        let able = |(_, (queue, ends)): &(&u64, &(VecDeque<u8>, bool))| !queue.is_empty() || *ends;
        let streams: Vec<u64> = self.queues.iter().filter(able).map(|(id, _)| *id).collect();
        if streams.is_empty() {
            return None;
        }
        let stream = random.pick(&streams);
        if is_request(stream) {
            let number = (stream / 4) as usize;
            let sent = self.sent.get(&stream).copied().unwrap_or_default();
            let gives_up_at = plan.exchanges[number].gives_up_at;
            if gives_up_at.is_some_and(|at| sent >= at) {
                self.queues.remove(&stream);
                self.requests[number].is_given_up = true;
                self.cancelled += 1;
                return Some(Act::Reset(stream, 0x10c));
            }
        }
        let (queue, ends) = self.queues.get_mut(&stream)?;
        let amount = 1 + random.below(queue.len().clamp(1, 3000));
        let bytes: Vec<u8> = queue.drain(..amount.min(queue.len())).collect();
        *self.sent.entry(stream).or_default() += bytes.len();
        let is_end = *ends && queue.is_empty() && (bytes.is_empty() || random.one_in(2));
        if is_end {
            self.queues.remove(&stream);
        }
        Some(Act::Bytes(stream, bytes, is_end))
    }

    /// Whether nothing is to be sent any more.
    pub(crate) fn is_done(&self, plan: &Plan) -> bool {
        let mut queues = self.queues.values();
        self.started == plan.exchanges.len()
            && queues.all(|(queue, ends)| queue.is_empty() && !ends)
    }

    /// Whether all responses have come, as far as they do.
    pub(crate) fn has_answers(&self) -> bool {
        let is_over = |it: &Request| it.is_complete || it.reset.is_some() || it.is_given_up;
        self.requests.iter().all(is_over)
    }

    /// Whether it knows of the graceful end.
    pub(crate) fn knows_of_the_end(&self) -> bool {
        self.goaways.len() == 2
    }

    /// The server does something.
    pub(crate) fn receive(&mut self, act: Act) -> Option<Act> {
        match act {
            Act::Bytes(stream, bytes, end) if is_request(stream) => {
                let request = &mut self.requests[(stream / 4) as usize];
                request.received.extend(bytes);
                request.is_complete |= end;
                None
            }
            Act::Bytes(stream, bytes, end) => {
                assert!(!end, "a critical stream ends");
                self.own.entry(stream).or_default().extend(bytes);
                self.read_own(stream);
                None
            }
            Act::Reset(stream, code) => {
                self.requests[(stream / 4) as usize].reset = Some(code);
                None
            }
            Act::Stop(stream, code) => {
                self.requests[(stream / 4) as usize].is_stopped = true;
                // What was not sent yet never is.
                let rest = self.queues.remove(&stream);
                rest.map(|_| Act::Reset(stream, code))
            }
        }
    }

    fn read_own(&mut self, stream: u64) {
        let bytes = self.own.entry(stream).or_default();
        match bytes.first() {
            Some(3) => {
                let instructions = bytes.split_off(1);
                self.encoder.receive_decoder_stream(&instructions);
            }
            Some(0) => {
                let mut at = 1;
                let mut goaways = Vec::new();
                while let Some((kind, payload, next)) = read_frame(bytes, at) {
                    if kind == 7 {
                        goaways.extend(read_number(payload, 0).map(|(number, _)| number));
                    }
                    at = next;
                }
                self.goaways = goaways;
            }
            _ => {}
        }
    }

    /// All that was to come has come.
    pub(crate) fn finish(&mut self, plan: &Plan) -> u64 {
        let mut answered = 0;
        for number in 0..self.requests.len() {
            let exchange = &plan.exchanges[number];
            let stream = number as u64 * 4;
            let request = std::mem::take(&mut self.requests[number]);
            if request.is_given_up {
                continue;
            }
            // It may have been framed as a whole before it could be broken off.
            if exchange.breaks_off_at.is_some() && request.reset.is_some() {
                assert_eq!(request.reset, Some(0x102), "stream {stream}");
                assert!(
                    !request.is_complete,
                    "stream {stream} does not look complete"
                );
                continue;
            }
            assert_eq!(request.reset, None, "stream {stream}");
            assert!(request.is_complete, "stream {stream} is answered");
            if request.is_stopped {
                assert!(exchange.is_early, "stream {stream} was stopped");
            }
            self.check(plan, number, &request.received);
            answered += 1;
        }
        if plan.drains {
            assert_eq!(self.goaways.len(), 2, "{:?}", self.goaways);
            assert_eq!(self.goaways[1], self.started as u64 * 4);
        }
        answered
    }

    fn check(&mut self, plan: &Plan, number: usize, received: &[u8]) {
        let (exchange, stream) = (&plan.exchanges[number], number as u64 * 4);
        let (mut at, mut sections, mut got) = (0, Vec::new(), Vec::new());
        while let Some((kind, payload, next)) = read_frame(received, at) {
            match kind {
                0 => got.extend_from_slice(payload),
                1 => {
                    let lines =
                        decode_section(&mut self.decoder, &mut self.scratch, stream, payload);
                    sections.push(lines.expect("a valid section").expect("nothing waits"));
                }
                other => panic!("frame {other:#x} on stream {stream}"),
            }
            at = next;
        }
        assert_eq!(at, received.len(), "stream {stream} ends after a frame");
        let is_head = exchange.method == "HEAD";
        let expected = match is_head {
            true => Vec::new(),
            false => content(stream, false, exchange.response_len),
        };
        assert!(got == expected, "stream {stream}: {} bytes", got.len());
        assert_eq!(sections[0][0], Line::new(":status", "200"));
        let has_trailers = exchange.response_trailers && exchange.response_len > 0 && !is_head;
        assert_eq!(
            sections.len(),
            1 + usize::from(has_trailers),
            "stream {stream}"
        );
        if has_trailers {
            assert_eq!(
                sections[1],
                [Line::new("x-sum", exchange.response_len.to_string())]
            );
        }
    }
}

pub(crate) fn is_request(stream: u64) -> bool {
    stream.is_multiple_of(4)
}

/// RFC 9000 §16.
fn number(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
        _ => (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
    }
}

fn read_number(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    let len = 1 << (first >> 6);
    let rest = bytes.get(at + 1..at + len)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, byte| {
        value << 8 | u64::from(*byte)
    });
    Some((value, at + len))
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    [number(kind), number(payload.len() as u64), payload.to_vec()].concat()
}

/// A frame that begins there, if it is whole: its type, its payload, and where the next one begins.
fn read_frame(bytes: &[u8], at: usize) -> Option<(u64, &[u8], usize)> {
    let (kind, at) = read_number(bytes, at)?;
    let (len, at) = read_number(bytes, at)?;
    let payload = bytes.get(at..at + len as usize)?;
    Some((kind, payload, at + len as usize))
}
