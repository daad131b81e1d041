//! The bodies of the fuzz targets: each takes any bytes and panics if a property does not hold.

use ajay_http::{ContentSize, FieldSection, RequestHead, ResponseHead, SendBody, StatusCode};

use super::{
    replay, small_limits,
    wire::{self, CLIENT_START},
};
use crate::{Config, Connection, Drain, ErrorCode, Event, Grant, StreamKey};

/// The first byte chooses limits and where the input is cut; the rest is a connection's bytes after
/// the client's preface. However the bytes are cut, the same comes of them.
pub fn fuzz_frames(data: &[u8]) {
    let Some((&choice, frames)) = data.split_first() else {
        return;
    };
    let config = if choice & 1 == 0 {
        Config::default()
    } else {
        small_limits()
    };
    let wire = [CLIENT_START, frames].concat();
    let whole = replay(&config, &wire, []);
    assert_eq!(whole, replay(&config, &wire, 1..wire.len()), "byte by byte");
    let cut = usize::from(choice >> 1) * wire.len() / 128;
    assert_eq!(whole, replay(&config, &wire, [cut]), "cut at {cut}");
}

/// A sequence of operations: each byte of `data` is one, and some take the bytes after it.
///
/// Whatever a client and a caller do in whatever order, nothing panics, refused commands write
/// nothing, no window is exceeded, and what was written is a sequence of frames that a client can
/// read.
pub fn fuzz_ops(data: &[u8]) {
    let mut caller = Caller::new();
    let mut operations = data.iter().copied();
    while let Some(operation) = operations.next() {
        let mut take = |count: usize| operations.by_ref().take(count).collect::<Vec<u8>>();
        match operation {
            // Bytes arrive: raw ones, or a frame that a client would send.
            0..=31 => caller.pending.extend(take(usize::from(operation) + 1)),
            32..=95 => {
                let stream = take(1).first().copied().unwrap_or(1);
                caller.client_sends(operation, stream);
            }
            96..=127 => caller.read(),
            128..=159 => caller.send_head(operation, take(1).first().copied().unwrap_or(0)),
            160..=175 => caller.send_whole(operation),
            176..=191 => caller.set_ready(operation, take(1).first().copied().unwrap_or(0)),
            192..=207 => caller.use_grants(operation),
            208..=215 => caller.frame_data(operation, take(1).first().copied().unwrap_or(0)),
            216..=223 => caller.finish(operation),
            224..=231 => caller.release(operation, take(1).first().copied().unwrap_or(0)),
            232..=237 => caller.done(operation),
            238..=240 => caller.reset(operation),
            241..=243 => caller.informational(operation),
            244 => caller.connection.drain(Drain::Announce, &mut caller.output),
            245 => caller.connection.drain(Drain::Last, &mut caller.output),
            246 => caller.connection.shrink(),
            247 => drop(caller.connection.handle_eof(caller.pending.len())),
            248 => caller.close(),
            249..=251 => caller.now += u64::from(operation),
            252.. => caller.getters(),
        }
    }
    caller.check_output();
}

struct Caller {
    connection: Connection,
    head: RequestHead,
    config: Config,
    now: u64,
    pending: Vec<u8>,
    output: Vec<u8>,
    keys: Vec<StreamKey>,
}

impl Caller {
    fn new() -> Self {
        let (config, mut output) = (small_limits(), Vec::new());
        let config = Config {
            concurrent_streams_max: 4,
            ..config
        };
        Self {
            connection: Connection::new(&config, 0, &mut output),
            head: RequestHead::new(),
            config,
            now: 0,
            pending: CLIENT_START.to_vec(),
            output,
            keys: Vec::new(),
        }
    }

    /// One of the frames that a client sends, on a small stream.
    fn client_sends(&mut self, choice: u8, stream: u8) {
        let stream = u32::from(stream) | 1;
        let get = b"\x82\x84\x86\x41\x01a";
        let post = b"\x83\x84\x86\x41\x01a\x0f\x0d\x0210";
        let update = [0, 0, 1, choice];
        let setting = [0, 4, 0, 0, choice, 0];
        let frame = match choice % 16 {
            0 | 1 => wire::frame(1, 5, stream, get),
            2 => wire::frame(1, 4, stream, get),
            3 => wire::frame(1, 4, stream, post),
            4 => wire::frame(1, 1, stream, &get[..3]),
            5 => wire::frame(9, 4, stream, &get[3..]),
            6 => wire::frame(0, 0, stream, b"hello"),
            7 => wire::frame(0, 1, stream, b"world"),
            8 => wire::frame(0, 8, stream, b"\x02abc\0\0"),
            9 => wire::frame(1, 5, stream, b"\0\x01t\x01v"),
            10 => wire::frame(3, 0, stream, b"\0\0\0\x08"),
            11 => wire::frame(4, 0, 0, &setting),
            12 => wire::frame(8, 0, 0, &update),
            13 => wire::frame(8, 0, stream, &update),
            14 => wire::frame(16, 0, 0, &[0, 0, 0, stream as u8, b'u', b'=', b'1']),
            _ => wire::frame(6, choice & 1, 0, b"ajay-rtt"),
        };
        self.pending.extend(frame);
    }

    fn read(&mut self) {
        let step = match self.connection.next_event(
            &self.config,
            self.now,
            &self.pending,
            &mut self.head,
            &mut self.output,
        ) {
            Ok(step) => step,
            Err(_) => {
                assert!(self.connection.is_closed() && self.connection.is_idle());
                return;
            }
        };
        assert!(step.consumed <= self.pending.len());
        match step.event {
            Event::Request { key, .. } | Event::Refused { key, .. } => {
                assert!(self.connection.open_streams() <= 4);
                if !self.keys.contains(&key) {
                    self.keys.push(key);
                }
            }
            Event::Data { key, data } => {
                assert!(!data.is_empty() && self.keys.contains(&key));
            }
            Event::EndOfContent { key } => {
                assert!(self.keys.contains(&key) && !self.connection.is_receiving(key));
                drop(self.connection.take_trailers());
            }
            Event::Reset { key, .. } => {
                let again = self
                    .connection
                    .reset(key, ErrorCode::CANCEL, &mut self.output);
                assert!(again.is_err());
            }
            Event::Paused | Event::Closed => assert_eq!(step.consumed, 0),
            Event::NeedData | Event::Rejected { .. } | Event::GoAway { .. } => {}
        }
        self.pending.drain(..step.consumed);
    }

    fn key(&self, choice: u8) -> Option<StreamKey> {
        let at = usize::from(choice) % self.keys.len().max(1);
        self.keys.get(at).copied()
    }

    /// A refused command writes nothing.
    fn command<T, E>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, E>) -> Option<T> {
        let before = self.output.len();
        let result = run(self);
        if result.is_err() {
            assert_eq!(
                self.output.len(),
                before,
                "a refused command writes nothing"
            );
        }
        result.ok()
    }

    fn send_head(&mut self, operation: u8, choice: u8) {
        let Some(key) = self.key(operation) else {
            return;
        };
        let codes = [200, 204, 304, 101, 205, 404, 500, 103];
        let code = codes[usize::from(choice) % codes.len()];
        let mut fields = FieldSection::new();
        let extra: &[(&str, &str)] = match choice >> 4 {
            0 => &[("content-length", "5")],
            1 => &[("connection", "close")],
            2 => &[("transfer-encoding", "chunked")],
            3 => &[("X-Own", "value"), ("date", "today")],
            _ => &[],
        };
        for (name, value) in extra {
            fields.append(name, value).expect("a valid field");
        }
        let content = match operation % 3 {
            0 => ContentSize::Empty,
            1 => ContentSize::Exact(u64::from(choice) * 100),
            _ => ContentSize::Unknown,
        };
        let head = ResponseHead {
            status: StatusCode::from_u16(code).expect("a valid code"),
            fields: &fields,
            content_type: Some("text/plain"),
            server: None,
            date: None,
        };
        let was_due = self.connection.is_response_due(key);
        let sent = self.command(|caller| {
            caller
                .connection
                .send_head(key, &head, content, &mut caller.output)
        });
        if let Some(body) = sent {
            assert!(was_due && !self.connection.is_response_due(key));
            if body == SendBody::None {
                let more = self.connection.frame_data(key, 1, false, &mut self.output);
                assert!(more.is_err());
            }
        }
    }

    fn send_whole(&mut self, operation: u8) {
        let Some(key) = self.key(operation) else {
            return;
        };
        let fields = FieldSection::new();
        let head = ResponseHead {
            status: StatusCode::OK,
            fields: &fields,
            content_type: None,
            server: None,
            date: None,
        };
        let before = self.output.len();
        let sent = self.command(|caller| {
            let content = &b"0123456789abcdef"[..usize::from(operation - 160)];
            caller
                .connection
                .send_whole(key, &head, content, &mut caller.output)
        });
        if sent == Some(false) {
            assert_eq!(self.output.len(), before);
        }
    }

    fn set_ready(&mut self, operation: u8, choice: u8) {
        let Some(key) = self.key(operation) else {
            return;
        };
        let (bytes, now) = (u64::from(choice) * u64::from(choice), self.now);
        self.command(|caller| caller.connection.set_ready(key, bytes, now));
    }

    fn use_grants(&mut self, operation: u8) {
        for _ in 0..operation % 8 {
            let Some(Grant { key, bytes_max }) = self.connection.next_grant(self.now) else {
                assert!(!self.connection.has_grants());
                return;
            };
            assert!(bytes_max > 0 && bytes_max <= 16_384);
            let len = 1 + (bytes_max - 1) / (1 + u32::from(operation & 3));
            let sent = self
                .connection
                .frame_data(key, len, false, &mut self.output);
            match sent {
                Ok(()) => self.output.resize(self.output.len() + len as usize, b'y'),
                Err(misuse) => {
                    // More is ready than was declared.
                    assert_eq!(misuse, crate::Misuse::ContentTooLong);
                    self.connection
                        .set_ready(key, 0, self.now)
                        .expect("it had a grant");
                }
            }
        }
    }

    fn frame_data(&mut self, operation: u8, choice: u8) {
        let Some(key) = self.key(operation) else {
            return;
        };
        let (len, end) = (u32::from(choice) * 10, operation & 1 == 1);
        let sent = self.command(|caller| {
            caller
                .connection
                .frame_data(key, len, end, &mut caller.output)
        });
        if sent.is_some() {
            self.output.resize(self.output.len() + len as usize, b'z');
        }
    }

    fn finish(&mut self, operation: u8) {
        let Some(key) = self.key(operation) else {
            return;
        };
        let mut trailers = FieldSection::new();
        trailers.append("X-Sum", "1").expect("a valid field");
        trailers
            .append("content-length", "1")
            .expect("a valid field");
        let trailers = (operation & 1 == 1).then_some(&trailers);
        self.command(|caller| caller.connection.finish(key, trailers, &mut caller.output));
    }

    fn release(&mut self, operation: u8, choice: u8) {
        if let Some(key) = self.key(operation) {
            // More than came must do no harm.
            let len = u32::from(choice) * 1000;
            self.connection.release(key, len, &mut self.output);
        }
    }

    fn done(&mut self, operation: u8) {
        if let Some(key) = self.key(operation) {
            self.keys.retain(|known| *known != key);
            self.connection.stream_done(key, &mut self.output);
        }
    }

    fn reset(&mut self, operation: u8) {
        if let Some(key) = self.key(operation) {
            self.command(|caller| {
                caller
                    .connection
                    .reset(key, ErrorCode::CANCEL, &mut caller.output)
            });
        }
    }

    fn informational(&mut self, operation: u8) {
        if let Some(key) = self.key(operation) {
            let status = [100, 101, 103][usize::from(operation) % 3];
            let status = StatusCode::from_u16(status).expect("a valid code");
            self.command(|caller| {
                let fields = FieldSection::new();
                caller
                    .connection
                    .send_informational(key, status, &fields, &mut caller.output)
            });
            self.command(|caller| caller.connection.send_continue(key, &mut caller.output));
        }
    }

    fn close(&mut self) {
        self.connection
            .close(ErrorCode::ENHANCE_YOUR_CALM, &mut self.output);
        assert!(self.connection.wants_close());
    }

    fn getters(&mut self) {
        let since = self.connection.unfinished_since();
        for moment in [since.reading, since.settings, since.output]
            .into_iter()
            .flatten()
        {
            assert!(moment <= self.now);
        }
        if let Some(key) = self.connection.find_blocked(self.now) {
            assert!(self.keys.contains(&key) && since.output.is_some());
        }
        if let Some(key) = self.connection.find_stalled(self.now) {
            assert!(self.connection.is_receiving(key));
        }
        let _ = (self.connection.reading(), self.connection.capacity_bytes());
    }

    /// Whole frames, of types that a server sends, on streams that the client opened; field blocks
    /// that can be decoded; nothing on a stream after its end.
    fn check_output(&self) {
        let mut decoder = ajay_fields::hpack::Decoder::new(4096);
        let mut ended = std::collections::BTreeSet::new();
        for frame in wire::frames(&self.output) {
            match frame.kind {
                0 | 1 => {
                    assert!(!ended.contains(&frame.stream), "{frame:?} after the end");
                    assert!(frame.kind == 1 || frame.payload.len() <= 16_384);
                    if frame.kind == 1 {
                        assert!(!wire::fields(&mut decoder, &frame.payload).is_empty());
                    }
                    if frame.flags & 1 == 1 {
                        ended.insert(frame.stream);
                    }
                }
                3 => assert!(frame.stream % 2 == 1 && frame.payload.len() == 4),
                4 | 6 | 7 => assert_eq!(frame.stream, 0),
                8 => assert_ne!(frame.payload, [0; 4]),
                other => panic!("a server does not send {other}"),
            }
        }
    }
}
