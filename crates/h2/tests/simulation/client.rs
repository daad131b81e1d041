//! A client that plans its requests, keeps books of all windows, and knows what must come back.

use std::collections::BTreeMap;

use ajay_fields::hpack;
use ajay_h2::testing::wire::{self, Frame, block, frame};

use crate::{Random, content, content_at};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const REFUSED_STREAM: u32 = 7;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;

pub(crate) struct Client {
    pub(crate) input: Vec<u8>,
    output: Vec<u8>,
    encoder: hpack::Encoder,
    decoder: hpack::Decoder,
    planned: Vec<Plan>,
    streams: BTreeMap<u32, Stream>,
    next_id: u32,
    /// What the server lets us send.
    window: i64,
    initial_window: i64,
    concurrent_max: usize,
    /// What we let the server send on the connection, and on streams that open.
    receive_window: i64,
    own_initial_window: i64,
    /// As the server knows it: what it sent before an acknowledgement, it sent under the old one.
    acknowledged_window: i64,
    /// The windows in SETTINGS that were not acknowledged, oldest first.
    unacknowledged: Vec<i64>,
    /// Content that was received and not given back.
    held: i64,
    settings_changes: usize,
    patience: u32,
    pub(crate) cancelled: u64,
    last_goaway: Option<(u32, u32)>,
}

/// What a request is to be.
#[derive(Clone, Copy)]
struct Plan {
    content_len: usize,
    declares_length: bool,
    trailers: bool,
    /// The client cancels it when so much of the response has come.
    cancel_after: Option<usize>,
    response_len: usize,
    urgency: u8,
    incremental: bool,
}

struct Stream {
    plan: Plan,
    sent: usize,
    ended: bool,
    window: i64,
    /// Beyond the initial one.
    receive_window: i64,
    held: i64,
    received: usize,
    has_head: bool,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Answered,
    Cancelled,
    /// By the server, with this code.
    Reset(u32),
}

impl Client {
    pub(crate) fn new(random: &mut Random) -> Self {
        let lens = [0, 1, 100, 1000, 20_000, 80_000];
        let planned = (0..1 + random.below(16))
            .map(|_| {
                let response_len = random.pick(&lens);
                Plan {
                    content_len: random.pick(&lens),
                    declares_length: random.one_in(2),
                    trailers: random.one_in(4),
                    cancel_after: random.one_in(6).then(|| random.below(response_len + 1)),
                    response_len,
                    urgency: random.below(8) as u8,
                    incremental: random.one_in(2),
                }
            })
            .collect();
        let own_initial_window = random.pick(&[0, 1, 1000, 65_535, 500_000]);
        let mut output = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut settings = b"\0\x04".to_vec();
        settings.extend((own_initial_window as u32).to_be_bytes());
        output.extend(frame(SETTINGS, 0, 0, &settings));
        Self {
            input: Vec::new(),
            output,
            encoder: hpack::Encoder::new(),
            decoder: hpack::Decoder::new(4096),
            planned,
            streams: BTreeMap::new(),
            next_id: 1,
            window: 65_535,
            initial_window: 65_535,
            concurrent_max: 1,
            receive_window: 65_535,
            own_initial_window,
            acknowledged_window: 65_535,
            unacknowledged: vec![own_initial_window],
            held: 0,
            settings_changes: random.below(3),
            patience: 20_000,
            cancelled: 0,
            last_goaway: None,
        }
    }

    pub(crate) fn transmit(&mut self, amount: usize, to: &mut Vec<u8>) -> bool {
        let len = amount.min(self.output.len());
        to.extend(self.output.drain(..len));
        len > 0
    }

    /// Reads what came, and does one more thing.
    pub(crate) fn turn(&mut self, random: &mut Random) -> bool {
        let mut progress = false;
        while let Some((frame, len)) = wire::read_frame(&self.input) {
            self.input.drain(..len);
            self.receive(&frame);
            progress = true;
        }
        progress
            | match random.below(6) {
                0 | 1 => self.open(),
                2 | 3 => self.send_content(random),
                4 => self.give_back(random),
                _ => self.change_settings(random),
            }
    }

    /// When nothing happens any more: windows are opened that were kept shut.
    pub(crate) fn lose_patience(&mut self) -> bool {
        if self.patience == 0 || self.is_done() {
            return false;
        }
        self.patience -= 1;
        if self.own_initial_window < 1000 {
            self.set_initial_window(1000);
        }
        self.give_back_all();
        true
    }

    fn is_done(&self) -> bool {
        self.planned.is_empty() && self.streams.values().all(|it| it.outcome.is_some())
    }

    fn open(&mut self) -> bool {
        let open = self
            .streams
            .values()
            .filter(|stream| stream.outcome.is_none() || !stream.ended)
            .count();
        if open >= self.concurrent_max || self.last_goaway.is_some() {
            return false;
        }
        let Some(plan) = self.planned.pop() else {
            return false;
        };
        let id = self.next_id;
        self.next_id += 2;
        let (path, length) = (
            format!("/{}", plan.response_len),
            plan.content_len.to_string(),
        );
        let priority = format!(
            "u={}{}",
            plan.urgency,
            if plan.incremental { ", i" } else { "" }
        );
        let mut fields: Vec<(&str, &[u8])> = vec![
            (":method", b"POST"),
            (":scheme", b"https"),
            (":authority", b"a"),
            (":path", path.as_bytes()),
            ("priority", priority.as_bytes()),
        ];
        if plan.declares_length {
            fields.push(("content-length", length.as_bytes()));
        }
        let ended = plan.content_len == 0 && !plan.trailers;
        let payload = block(&mut self.encoder, &fields);
        self.output
            .extend(frame(HEADERS, 4 | u8::from(ended), id, &payload));
        self.streams.insert(
            id,
            Stream {
                plan,
                sent: 0,
                ended,
                window: self.initial_window,
                receive_window: 0,
                held: 0,
                received: 0,
                has_head: false,
                outcome: None,
            },
        );
        true
    }

    /// Sends a piece of content of some stream, as far as the windows go.
    fn send_content(&mut self, random: &mut Random) -> bool {
        let ready: Vec<u32> = self
            .streams
            .iter()
            .filter(|(_, stream)| !stream.ended && stream.outcome.is_none())
            .map(|(&id, _)| id)
            .collect();
        if ready.is_empty() {
            return false;
        }
        let id = random.pick(&ready);
        let window = self.window;
        let stream = self.stream(id);
        let left = stream.plan.content_len - stream.sent;
        let windows = window.min(stream.window).min(16_384);
        let padding = if random.one_in(4) {
            1 + random.below(50)
        } else {
            0
        };
        let room = (windows - if padding > 0 { padding as i64 + 1 } else { 0 }).max(0) as usize;
        let len = left.min(room).min(1 + random.below(20_000));
        if len == 0 && left > 0 {
            return false;
        }
        let (sent, is_last) = (stream.sent, len == left);
        stream.sent += len;
        let has_trailers = stream.plan.trailers;
        stream.ended = is_last;
        let end = is_last && !has_trailers;
        let data = content(id, sent..sent + len);
        if len > 0 || end {
            let flags = if end { END_STREAM } else { 0 };
            // Nothing but the end needs no window.
            let padding = if len == 0 { 0 } else { padding };
            let payload = if padding > 0 {
                [&[padding as u8][..], &data, &vec![0; padding]].concat()
            } else {
                data
            };
            let flags = flags | if padding > 0 { PADDED } else { 0 };
            self.stream(id).window -= payload.len() as i64;
            self.window -= payload.len() as i64;
            self.output.extend(frame(DATA, flags, id, &payload));
        }
        if is_last && has_trailers {
            let payload = block(&mut self.encoder, &[("x-len", sent.to_string().as_bytes())]);
            self.output.extend(frame(HEADERS, 5, id, &payload));
        }
        true
    }

    /// Opens the windows for some of what was received.
    fn give_back(&mut self, random: &mut Random) -> bool {
        let held = self.held;
        if held > 0 && random.one_in(2) {
            let part = 1 + random.below(held as usize) as i64;
            self.held -= part;
            self.receive_window += part;
            self.window_update(0, part);
            return true;
        }
        let holding: Vec<u32> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.held > 0 && stream.outcome.is_none())
            .map(|(&id, _)| id)
            .collect();
        if holding.is_empty() {
            return false;
        }
        let id = random.pick(&holding);
        let stream = self.stream(id);
        let part = 1 + random.below(stream.held as usize) as i64;
        stream.held -= part;
        stream.receive_window += part;
        self.window_update(id, part);
        true
    }

    fn give_back_all(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.receive_window += held;
        self.window_update(0, held);
        let holding: Vec<u32> = self.streams.keys().copied().collect();
        for id in holding {
            let stream = self.stream(id);
            let held = std::mem::take(&mut stream.held);
            if stream.outcome.is_none() {
                stream.receive_window += held;
                self.window_update(id, held);
            }
        }
    }

    fn window_update(&mut self, id: u32, increment: i64) {
        if increment > 0 {
            let payload = (increment as u32).to_be_bytes();
            self.output.extend(frame(WINDOW_UPDATE, 0, id, &payload));
        }
    }

    fn change_settings(&mut self, random: &mut Random) -> bool {
        if self.settings_changes == 0 {
            return false;
        }
        self.settings_changes -= 1;
        self.set_initial_window(random.pick(&[0, 500, 30_000, 200_000]));
        true
    }

    fn set_initial_window(&mut self, window: i64) {
        self.own_initial_window = window;
        self.unacknowledged.push(window);
        let mut payload = b"\0\x04".to_vec();
        payload.extend((window as u32).to_be_bytes());
        self.output.extend(frame(SETTINGS, 0, 0, &payload));
    }

    fn receive(&mut self, frame: &Frame) {
        match frame.kind {
            DATA => self.receive_data(frame),
            HEADERS => self.receive_headers(frame),
            RST_STREAM => {
                let code = u32::from_be_bytes(frame.payload[..].try_into().unwrap());
                let stream = self.stream(frame.stream);
                let plan = stream.plan;
                let is_news = stream.outcome.is_none();
                stream.outcome.get_or_insert(Outcome::Reset(code));
                stream.ended = true;
                if is_news && code == REFUSED_STREAM {
                    self.planned.push(plan);
                }
            }
            SETTINGS if frame.flags & 1 != 0 => self.receive_settings_ack(),
            SETTINGS => self.receive_settings(frame),
            PING if frame.flags & 1 == 0 => {
                self.output.extend(wire::frame(PING, 1, 0, &frame.payload));
            }
            GOAWAY => {
                let number =
                    |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
                assert_eq!(number(4), 0, "the server has no reason to complain");
                self.last_goaway = Some((number(0), number(4)));
            }
            WINDOW_UPDATE => {
                let increment =
                    i64::from(u32::from_be_bytes(frame.payload[..].try_into().unwrap()));
                assert!(increment > 0);
                if frame.stream == 0 {
                    self.window += increment;
                } else {
                    let stream = self.stream(frame.stream);
                    stream.window += increment;
                    assert!(stream.window <= 1 << 21, "it never exceeds its bound");
                }
            }
            other => panic!("the server does not send {other}"),
        }
    }

    fn receive_data(&mut self, frame: &Frame) {
        let (id, len) = (frame.stream, frame.payload.len());
        self.receive_window -= len as i64;
        assert!(
            self.receive_window >= 0,
            "more than the connection's window"
        );
        self.held += len as i64;
        let initial_window = self.acknowledged_window;
        let stream = self.stream(id);
        stream.receive_window -= len as i64;
        if stream.outcome == Some(Outcome::Cancelled) {
            return;
        }
        assert_eq!(stream.outcome, None, "nothing follows the end");
        assert!(
            initial_window + stream.receive_window >= 0 || len == 0,
            "more than the stream's window"
        );
        assert!(stream.has_head && len <= 16_384);
        stream.held += len as i64;
        for (at, byte) in (stream.received..).zip(&frame.payload) {
            assert_eq!(*byte, content_at(id, at), "stream {id} at {at}");
        }
        stream.received += len;
        if frame.flags & END_STREAM != 0 {
            assert_eq!(stream.received, stream.plan.response_len);
            stream.outcome = Some(Outcome::Answered);
        }
        self.maybe_cancel(id);
    }

    fn receive_headers(&mut self, frame: &Frame) {
        assert_eq!(frame.flags & 4, 4, "END_HEADERS");
        let fields = wire::fields(&mut self.decoder, &frame.payload);
        let stream = self.stream(frame.stream);
        if stream.outcome == Some(Outcome::Cancelled) {
            return;
        }
        assert_eq!(stream.outcome, None, "nothing follows the end");
        let status = fields.first().filter(|(name, _)| name == ":status");
        match status.map(|(_, value)| value.as_slice()) {
            Some(b"103") => assert!(!stream.has_head),
            Some(b"200") => {
                assert!(!stream.has_head, "one final response");
                stream.has_head = true;
                for (name, value) in &fields {
                    if name == "content-length" {
                        assert_eq!(*value, stream.plan.response_len.to_string().into_bytes());
                    }
                }
            }
            None => {
                assert!(stream.has_head && frame.flags & END_STREAM != 0, "trailers");
                assert_eq!(fields, [("x-done".to_owned(), b"yes".to_vec())]);
            }
            other => panic!("{other:?}"),
        }
        if frame.flags & END_STREAM != 0 {
            assert_eq!(stream.received, stream.plan.response_len);
            stream.outcome = Some(Outcome::Answered);
        }
        self.maybe_cancel(frame.stream);
    }

    fn maybe_cancel(&mut self, id: u32) {
        let stream = self.stream(id);
        let is_due = stream
            .plan
            .cancel_after
            .is_some_and(|after| stream.received >= after);
        if is_due && stream.outcome.is_none() {
            stream.outcome = Some(Outcome::Cancelled);
            stream.ended = true;
            self.cancelled += 1;
            self.output.extend(frame(RST_STREAM, 0, id, b"\0\0\0\x08"));
        }
    }

    fn receive_settings(&mut self, frame: &Frame) {
        for parameter in frame.payload.chunks_exact(6) {
            let value = u32::from_be_bytes(parameter[2..].try_into().unwrap());
            match u16::from_be_bytes([parameter[0], parameter[1]]) {
                3 => self.concurrent_max = value as usize,
                4 => {
                    let change = i64::from(value) - self.initial_window;
                    self.initial_window = i64::from(value);
                    for stream in self.streams.values_mut() {
                        stream.window += change;
                    }
                }
                _ => {}
            }
        }
        self.output.extend(wire::frame(SETTINGS, 1, 0, b""));
    }

    fn receive_settings_ack(&mut self) {
        self.acknowledged_window = self.unacknowledged.remove(0);
    }

    fn stream(&mut self, id: u32) -> &mut Stream {
        self.streams.get_mut(&id).expect("a stream that was opened")
    }

    pub(crate) fn answered(&self) -> u64 {
        let answered = |stream: &&Stream| stream.outcome == Some(Outcome::Answered);
        self.streams.values().filter(answered).count() as u64
    }

    pub(crate) fn finish(&self) {
        assert!(
            self.input.is_empty() && self.is_done(),
            "requests are left without an answer"
        );
        for (id, stream) in &self.streams {
            match stream.outcome {
                Some(Outcome::Answered) => {
                    assert_eq!(stream.received, stream.plan.response_len);
                }
                // The server resets one in so many with INTERNAL_ERROR.
                Some(Outcome::Reset(code)) => {
                    assert!(code == 2 || code == REFUSED_STREAM, "{id}: {code}");
                }
                Some(Outcome::Cancelled) => {}
                None => panic!("stream {id} has no end"),
            }
        }
        // All content was given back, but for less than half a window.
        assert!(
            self.window > 65_535 / 2,
            "{} is left of the window",
            self.window
        );
        if let Some((last, _)) = self.last_goaway {
            assert!(
                last >= self.next_id.saturating_sub(2),
                "what was accepted was answered"
            );
        }
    }
}
