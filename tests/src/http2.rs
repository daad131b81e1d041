//! A client of HTTP/2 that sees every frame.
//!
//! It checks what every peer of a server relies on: frames that fit the state of their stream, windows that
//! are kept, heads that are well formed, lengths that are true. It sends whatever it is told to.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::{Duration, Instant};

use fluke_hpack::Decoder;

use crate::{Address, Client, End};

/// Frame types (RFC 9113 §6, RFC 9218 §7.1).
#[allow(missing_docs)]
pub mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
    pub const PRIORITY_UPDATE: u8 = 0x10;
}

/// Flags of frames (RFC 9113 §6).
#[allow(missing_docs)]
pub mod flag {
    pub const NONE: u8 = 0;
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
}

/// Error codes (RFC 9113 §7).
#[allow(missing_docs)]
pub mod code {
    pub const NO_ERROR: u32 = 0x0;
    pub const PROTOCOL_ERROR: u32 = 0x1;
    pub const INTERNAL_ERROR: u32 = 0x2;
    pub const FLOW_CONTROL_ERROR: u32 = 0x3;
    pub const STREAM_CLOSED: u32 = 0x5;
    pub const FRAME_SIZE_ERROR: u32 = 0x6;
    pub const REFUSED_STREAM: u32 = 0x7;
    pub const CANCEL: u32 = 0x8;
    pub const COMPRESSION_ERROR: u32 = 0x9;
    pub const ENHANCE_YOUR_CALM: u32 = 0xb;
}

/// Settings (RFC 9113 §6.5.2).
#[allow(missing_docs)]
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    pub const ENABLE_PUSH: u16 = 0x2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    pub const NO_RFC7540_PRIORITIES: u16 = 0x9;
}

/// What a client begins with (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A window before any SETTINGS (RFC 9113 §6.9.2).
pub const WINDOW_INITIAL: i64 = 65_535;

/// What every peer takes (RFC 9113 §4.2).
const FRAME_BYTES_MAX: usize = 16_384;

const HEADER_LEN: usize = 9;

/// A frame as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of these parts, right or wrong.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// SETTINGS with these parameters.
    pub fn settings(parameters: &[(u16, u32)]) -> Frame {
        let pairs = parameters.iter().flat_map(|(id, value)| {
            let (id, value) = (id.to_be_bytes(), value.to_be_bytes());
            id.into_iter().chain(value)
        });
        Frame::new(kind::SETTINGS, flag::NONE, 0, pairs.collect::<Vec<u8>>())
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let len = (self.payload.len() as u32).to_be_bytes();
        let mut bytes = vec![len[1], len[2], len[3], self.kind, self.flags];
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The big-endian number that the payload has at this place.
    fn number(&self, at: usize) -> Result<u32, String> {
        let bytes = self.payload.get(at..).and_then(|rest| rest.first_chunk());
        let bytes = bytes.ok_or_else(|| format!("too short: {self:?}"))?;
        Ok(u32::from_be_bytes(*bytes))
    }
}

/// A field block of these lines, without compression (RFC 7541 §6.2.2).
pub fn field_block<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            put_length(text.len(), &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn put_length(mut len: usize, block: &mut Vec<u8>) {
    if len < 127 {
        return block.push(len as u8);
    }
    block.push(127);
    len -= 127;
    while len >= 128 {
        block.push(len as u8 | 0x80);
        len >>= 7;
    }
    block.push(len as u8);
}

/// What came on a stream.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status code; 0 before there is a final head.
    pub status: u16,
    /// The head's lines but for `:status`.
    pub fields: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// The sizes of the DATA frames.
    pub pieces: Vec<usize>,
    /// The trailer section's lines.
    pub trailers: Vec<(String, String)>,
    /// The status codes of the informational responses before it.
    pub interim: Vec<u16>,
    /// The values of `Link` in those.
    pub links: Vec<String>,
    /// END_STREAM has come.
    pub is_complete: bool,
    /// The code of RST_STREAM, if it has come.
    pub reset: Option<u32>,
    /// The request was HEAD.
    is_head: bool,
}

impl Answer {
    /// The value of the field line of this name.
    ///
    /// # Panics
    /// When there is more than one.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is repeated: {self:?}");
        value
    }

    /// The content as text.
    ///
    /// # Panics
    /// When it is not.
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => panic!("the content is not text: {error}"),
        }
    }

    fn is_over(&self) -> bool {
        self.is_complete || self.reset.is_some()
    }

    /// What a whole message has to fulfil (RFC 9113 §8.1.1).
    fn check_length(&self) -> Result<(), String> {
        let has_content = !self.is_head && !matches!(self.status, 204 | 304);
        let Some(length) = self.field("content-length").filter(|_| has_content) else {
            return Ok(());
        };
        if length.parse() == Ok(self.body.len()) {
            return Ok(());
        }
        Err(format!(
            "{} bytes, content-length: {length}",
            self.body.len()
        ))
    }
}

/// GOAWAY (RFC 9113 §6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway {
    /// The last stream that was or will be dealt with.
    pub last: u32,
    /// Why.
    pub code: u32,
}

/// The last stream of a GOAWAY that only asks for no more streams.
pub const STREAM_MAX: u32 = (1 << 31) - 1;

/// One connection of HTTP/2.
#[derive(Debug)]
pub struct Http2 {
    connection: Client,
    /// Received, and no whole frame.
    received: Vec<u8>,
    decoder: Hpack,
    next_stream: u32,
    answers: BTreeMap<u32, Answer>,
    /// The server's, once they have come.
    settings: Option<BTreeMap<u16, u32>>,
    /// How often it has acknowledged ours.
    acknowledged: usize,
    /// What may be sent on the connection and, in difference to the server's initial window, on streams.
    window: i64,
    windows: HashMap<u32, i64>,
    /// What the server may send on the connection and, in difference to our initial window, on streams.
    room: i64,
    rooms: HashMap<u32, i64>,
    room_initial: i64,
    gives_back: bool,
    goaways: Vec<GoAway>,
    goaways_seen: usize,
    pongs: Vec<Vec<u8>>,
}

/// `Decoder` has no `Debug`.
struct Hpack(Decoder<'static>);

impl std::fmt::Debug for Hpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hpack")
    }
}

/// Beginning.
impl Http2 {
    /// Connects, and sends the preface with SETTINGS that leave everything as it is.
    pub fn connect(address: &Address) -> Http2 {
        Http2::connect_with(address, &[])
    }

    /// Connects, and sends the preface with these SETTINGS.
    pub fn connect_with(address: &Address, settings: &[(u16, u32)]) -> Http2 {
        let mut client = Http2::over(Client::connect(address));
        client.send(PREFACE);
        client.send_settings(settings);
        client
    }

    /// A client on a connection on which nothing was sent.
    pub fn over(connection: Client) -> Http2 {
        Http2 {
            connection,
            received: Vec::new(),
            decoder: Hpack(Decoder::new()),
            next_stream: 1,
            answers: BTreeMap::new(),
            settings: None,
            acknowledged: 0,
            window: WINDOW_INITIAL,
            windows: HashMap::new(),
            room: WINDOW_INITIAL,
            rooms: HashMap::new(),
            room_initial: WINDOW_INITIAL,
            gives_back: true,
            goaways: Vec::new(),
            goaways_seen: 0,
            pongs: Vec::new(),
        }
    }

    /// Gives no windows back for content that comes, until [`give`](Http2::give) is called.
    #[must_use]
    pub fn holding_windows(mut self) -> Http2 {
        self.gives_back = false;
        self
    }

    /// The connection below.
    pub fn connection(&mut self) -> &mut Client {
        &mut self.connection
    }
}

/// Sending.
impl Http2 {
    /// Writes all of `bytes`.
    ///
    /// # Panics
    /// When the server does not take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.send(bytes);
    }

    /// Writes a frame.
    pub fn send_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) {
        self.send(Frame::new(kind, flags, stream, payload).to_bytes());
    }

    /// Writes SETTINGS, and keeps to them from now on.
    pub fn send_settings(&mut self, settings: &[(u16, u32)]) {
        for (id, value) in settings {
            if *id == setting::INITIAL_WINDOW_SIZE {
                self.room_initial = i64::from(*value);
            }
        }
        self.send(Frame::settings(settings).to_bytes());
    }

    /// Opens a stream with exactly these lines.
    pub fn open(&mut self, fields: &[(&str, &str)], end: bool) -> u32 {
        let stream = self.opened_by_hand();
        let is_head = fields.contains(&(":method", "HEAD"));
        self.answers.entry(stream).or_default().is_head = is_head;
        let block = field_block(fields.iter().copied());
        let frames = headers(stream, &block, end);
        self.send(frames);
        stream
    }

    /// The next stream, which was opened by bytes of the caller's.
    pub fn opened_by_hand(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.answers.insert(stream, Answer::default());
        stream
    }

    /// Opens a stream with a request and these other lines.
    pub fn request(&mut self, method: &str, path: &str, fields: &[(&str, &str)], end: bool) -> u32 {
        let control = [
            (":method", method),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", path),
        ];
        self.open(&[&control, fields].concat(), end)
    }

    /// Sends `GET path`.
    pub fn get(&mut self, path: &str) -> u32 {
        self.request("GET", path, &[], true)
    }

    /// Sends `POST path` with content of known length, as far as the windows allow; reads meanwhile.
    pub fn post(&mut self, path: &str, content: &[u8]) -> u32 {
        let length = content.len().to_string();
        let stream = self.request("POST", path, &[("content-length", &length)], false);
        self.upload(stream, content, true);
        stream
    }

    /// Asks and reads the answer.
    pub fn fetch(&mut self, path: &str) -> Answer {
        let stream = self.get(path);
        self.response(stream)
    }

    /// Writes one DATA frame, whatever the windows say.
    pub fn data(&mut self, stream: u32, data: &[u8], end: bool) {
        self.window -= data.len() as i64;
        *self.windows.entry(stream).or_default() -= data.len() as i64;
        let flags = u8::from(end) * flag::END_STREAM;
        self.send_frame(kind::DATA, flags, stream, data);
    }

    /// Writes content as the windows allow, and reads meanwhile. It stops where the server has reset the
    /// stream.
    ///
    /// # Panics
    /// When the connection ends before.
    pub fn upload(&mut self, stream: u32, content: &[u8], end: bool) {
        let mut rest = content;
        loop {
            self.take_arrived();
            if self
                .answers
                .get(&stream)
                .is_some_and(|answer| answer.reset.is_some())
            {
                return;
            }
            let room = usize::try_from(self.sendable(stream)).unwrap_or(0);
            let (piece, later) = rest.split_at(room.min(FRAME_BYTES_MAX).min(rest.len()));
            rest = later;
            if rest.is_empty() {
                return self.data(stream, piece, end);
            }
            if piece.is_empty() {
                assert!(
                    self.must_step(),
                    "the connection ended before a window was opened"
                );
            } else {
                self.data(stream, piece, false);
            }
        }
    }

    /// What the windows allow to be sent on a stream.
    pub fn sendable(&self, stream: u32) -> i64 {
        let initial = match &self.settings {
            Some(settings) => settings.get(&setting::INITIAL_WINDOW_SIZE).copied(),
            None => None,
        };
        let initial = initial.map_or(WINDOW_INITIAL, i64::from);
        let used = self.windows.get(&stream).copied().unwrap_or(0);
        self.window.min(initial + used)
    }

    /// Writes trailers, which end a stream.
    pub fn trailers(&mut self, stream: u32, fields: &[(&str, &str)]) {
        let frames = headers(stream, &field_block(fields.iter().copied()), true);
        self.send(frames);
    }

    /// Writes RST_STREAM.
    pub fn reset(&mut self, stream: u32, code: u32) {
        self.send_frame(kind::RST_STREAM, flag::NONE, stream, code.to_be_bytes());
        // What is under way may still come.
        self.answers.remove(&stream);
    }

    /// Lets the server send so much more on a stream, or, with stream 0, on the connection.
    pub fn give(&mut self, stream: u32, bytes: u32) {
        match stream {
            0 => self.room += i64::from(bytes),
            stream => *self.rooms.entry(stream).or_default() += i64::from(bytes),
        }
        self.send_frame(kind::WINDOW_UPDATE, flag::NONE, stream, bytes.to_be_bytes());
    }

    /// Sends PING and waits for the answer: everything before it has been read then.
    ///
    /// # Panics
    /// When it does not come.
    pub fn ping(&mut self) {
        let payload = (self.pongs.len() as u64).to_be_bytes().to_vec();
        self.send_frame(kind::PING, flag::NONE, 0, payload.clone());
        while self.pongs.last() != Some(&payload) {
            assert!(
                self.must_step(),
                "the connection ended before PING was answered"
            );
        }
    }
}

/// HEADERS, and CONTINUATION where it is long.
pub fn headers(stream: u32, block: &[u8], end: bool) -> Vec<u8> {
    let mut frames = Vec::new();
    let last = block.len().div_ceil(FRAME_BYTES_MAX).max(1) - 1;
    for number in 0..=last {
        let start = number * FRAME_BYTES_MAX;
        let piece = &block[start..block.len().min(start + FRAME_BYTES_MAX)];
        let mut flags = u8::from(number == last) * flag::END_HEADERS;
        let kind = if number == 0 {
            flags |= u8::from(end) * flag::END_STREAM;
            kind::HEADERS
        } else {
            kind::CONTINUATION
        };
        frames.extend(Frame::new(kind, flags, stream, piece).to_bytes());
    }
    frames
}

/// Receiving.
impl Http2 {
    /// Reads until the stream is over: its response is complete, or it was reset.
    ///
    /// # Panics
    /// When the connection ends before, or the server breaks a rule.
    pub fn response(&mut self, stream: u32) -> Answer {
        match self.try_response(stream) {
            Ok(answer) => answer,
            Err(problem) => panic!("no response on stream {stream}: {problem}"),
        }
    }

    /// Reads until the stream is over.
    ///
    /// # Errors
    /// What was wrong.
    pub fn try_response(&mut self, stream: u32) -> Result<Answer, String> {
        loop {
            match self.answers.get(&stream) {
                None => return Err("it was not asked for".to_owned()),
                Some(answer) if answer.is_over() => return Ok(answer.clone()),
                Some(_) => {}
            }
            if !self.step()? {
                return Err(format!("the connection ended; {:?}", self.goaways));
            }
        }
    }

    /// Reads until the final head of a response is here.
    ///
    /// # Panics
    /// As [`response`](Http2::response).
    pub fn head(&mut self, stream: u32) -> Answer {
        self.wait(stream, |answer| answer.status != 0)
    }

    /// Reads until what came on a stream fulfils this, and returns it.
    ///
    /// # Panics
    /// When the stream is over before.
    pub fn wait(&mut self, stream: u32, is_enough: impl Fn(&Answer) -> bool) -> Answer {
        loop {
            let Some(answer) = self.answers.get(&stream) else {
                panic!("stream {stream} was not asked for");
            };
            if is_enough(answer) {
                return answer.clone();
            }
            assert!(answer.reset.is_none(), "stream {stream}: {answer:?}");
            assert!(self.must_step(), "the connection ended: {:?}", self.goaways);
        }
    }

    /// Reads until the server resets a stream, which may have been complete before. Returns the code.
    pub fn reset_code(&mut self, stream: u32) -> u32 {
        self.wait(stream, |answer| answer.reset.is_some())
            .reset
            .unwrap_or_default()
    }

    /// What has come on a stream up to now.
    ///
    /// # Panics
    /// When it was not opened.
    pub fn so_far(&self, stream: u32) -> &Answer {
        match self.answers.get(&stream) {
            Some(answer) => answer,
            None => panic!("stream {stream} was not asked for"),
        }
    }

    /// The server's SETTINGS.
    ///
    /// # Panics
    /// When they do not come.
    pub fn settings(&mut self) -> BTreeMap<u16, u32> {
        loop {
            if let Some(settings) = &self.settings {
                return settings.clone();
            }
            assert!(self.must_step(), "the connection ended before SETTINGS");
        }
    }

    /// Waits until the server has acknowledged so many SETTINGS of ours.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_acknowledged(&mut self, count: usize) {
        while self.acknowledged < count {
            assert!(
                self.must_step(),
                "the connection ended before SETTINGS were acknowledged"
            );
        }
    }

    /// Waits for the next GOAWAY.
    ///
    /// # Panics
    /// When the connection ends before.
    pub fn goaway(&mut self) -> GoAway {
        loop {
            if let Some(goaway) = self.goaways.get(self.goaways_seen) {
                self.goaways_seen += 1;
                return *goaway;
            }
            assert!(self.must_step(), "the connection ended without GOAWAY");
        }
    }

    /// Every GOAWAY that has come.
    pub fn goaways(&self) -> &[GoAway] {
        &self.goaways
    }

    /// Waits for GOAWAY with this code and the end in order after it.
    #[track_caller]
    pub fn expect_goodbye(&mut self, code: u32) {
        assert_eq!(self.goaway().code, code);
        assert_eq!(self.end(), End::Fin, "the connection was reset");
    }

    /// Reads to the end of the connection.
    pub fn end(&mut self) -> End {
        while self.must_step() {}
        self.connection.end()
    }

    /// Takes what comes in this time.
    ///
    /// # Panics
    /// When the server breaks a rule.
    pub fn listen_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.arrives_within(left) {
                return;
            }
            if !self.must_step() {
                return;
            }
        }
    }

    /// Takes the frames that are here.
    fn take_arrived(&mut self) {
        while self.arrives_within(Duration::from_micros(1)) && self.must_step() {}
    }

    /// Whether there is something to read, the end included, before this time has passed.
    fn arrives_within(&mut self, time: Duration) -> bool {
        if self.received.len() >= HEADER_LEN {
            return true;
        }
        let is_quiet = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        !self
            .connection
            .peek(time)
            .is_err_and(|error| is_quiet(&error))
    }

    /// Takes the next frame. False at the end of the connection.
    ///
    /// # Panics
    /// When the server breaks a rule.
    pub fn must_step(&mut self) -> bool {
        match self.step() {
            Ok(goes_on) => goes_on,
            Err(problem) => panic!("{problem}"),
        }
    }

    /// Takes the next frame. False at the end of the connection.
    ///
    /// # Errors
    /// The rule that the server has broken.
    pub fn step(&mut self) -> Result<bool, String> {
        let Some(frame) = self.frame()? else {
            return Ok(false);
        };
        if self.settings.is_none() && (frame.kind != kind::SETTINGS || frame.has(flag::ACK)) {
            return Err(format!("the first frame is not SETTINGS: {frame:?}"));
        }
        self.take(&frame)?;
        Ok(true)
    }

    /// Reads a frame. None at the end of the connection.
    fn frame(&mut self) -> Result<Option<Frame>, String> {
        loop {
            if let Some(header) = self.received.first_chunk::<HEADER_LEN>() {
                let [len0, len1, len2, kind, flags, id0, id1, id2, id3] = *header;
                let len = u32::from_be_bytes([0, len0, len1, len2]) as usize;
                if len > FRAME_BYTES_MAX {
                    return Err(format!("a frame of {len} bytes"));
                }
                let end = HEADER_LEN + len;
                if self.received.len() >= end {
                    let payload = self.received[HEADER_LEN..end].to_vec();
                    self.received.drain(..end);
                    let stream = u32::from_be_bytes([id0, id1, id2, id3]);
                    return Ok(Some(Frame::new(kind, flags, stream, payload)));
                }
            }
            let goes_on = self.connection.receive();
            self.received.extend(self.connection.take_received());
            if !goes_on {
                return match self.received.len() {
                    0 => Ok(None),
                    len => Err(format!(
                        "the connection ended inside a frame, after {len} bytes"
                    )),
                };
            }
        }
    }

    fn take(&mut self, frame: &Frame) -> Result<(), String> {
        match frame.kind {
            kind::DATA => self.take_data(frame),
            kind::HEADERS => self.take_headers(frame),
            kind::RST_STREAM => {
                let code = frame.number(0)?;
                if frame.stream >= self.next_stream {
                    return Err(format!("of a stream that was not opened: {frame:?}"));
                }
                if let Some(answer) = self.answers.get_mut(&frame.stream) {
                    if answer.reset.is_some() {
                        return Err(format!("reset twice: {frame:?}"));
                    }
                    answer.reset = Some(code);
                }
                Ok(())
            }
            kind::SETTINGS => self.take_settings(frame),
            kind::PING if frame.has(flag::ACK) => {
                self.pongs.push(frame.payload.clone());
                Ok(())
            }
            kind::PING => {
                let pong = Frame::new(kind::PING, flag::ACK, 0, frame.payload.clone());
                self.answer(&pong);
                Ok(())
            }
            kind::GOAWAY => {
                let (last, code) = (frame.number(0)?, frame.number(4)?);
                if self.goaways.last().is_some_and(|before| last > before.last) {
                    return Err(format!("GOAWAY takes {last} after {:?}", self.goaways));
                }
                self.goaways.push(GoAway { last, code });
                Ok(())
            }
            kind::WINDOW_UPDATE => self.take_window(frame),
            _ => Err(format!("a server sends no such frame: {frame:?}")),
        }
    }

    fn take_settings(&mut self, frame: &Frame) -> Result<(), String> {
        if frame.has(flag::ACK) {
            self.acknowledged += 1;
            return Ok(());
        }
        let mut settings = BTreeMap::new();
        for parameter in frame.payload.chunks(6) {
            let &[id0, id1, value0, value1, value2, value3] = parameter else {
                return Err(format!("SETTINGS of a wrong length: {frame:?}"));
            };
            let value = u32::from_be_bytes([value0, value1, value2, value3]);
            settings.insert(u16::from_be_bytes([id0, id1]), value);
        }
        if self.settings.replace(settings).is_some() {
            return Err("SETTINGS again, which this server has no reason for".to_owned());
        }
        self.answer(&Frame::new(kind::SETTINGS, flag::ACK, 0, []));
        Ok(())
    }

    fn take_window(&mut self, frame: &Frame) -> Result<(), String> {
        let increment = i64::from(frame.number(0)?);
        let window = match frame.stream {
            0 => &mut self.window,
            stream => self.windows.entry(stream).or_default(),
        };
        *window += increment;
        if increment == 0 || *window > i64::from(STREAM_MAX) {
            return Err(format!("WINDOW_UPDATE by {increment} to {window}"));
        }
        Ok(())
    }

    fn take_data(&mut self, frame: &Frame) -> Result<(), String> {
        let len = frame.payload.len();
        if frame.flags & !flag::END_STREAM != 0 {
            return Err(format!("flags {:#x} on DATA", frame.flags));
        }
        self.room -= len as i64;
        if self.room < 0 {
            return Err(format!(
                "the connection's window is exceeded by {}",
                -self.room
            ));
        }
        let ends = frame.has(flag::END_STREAM);
        if let Some(answer) = self.answers.get_mut(&frame.stream) {
            let room = self.rooms.entry(frame.stream).or_default();
            *room -= len as i64;
            if self.room_initial + *room < 0 && len > 0 {
                return Err(format!("the window of stream {} is exceeded", frame.stream));
            }
            if answer.status == 0 || answer.is_over() {
                return Err(format!("DATA of {len} bytes out of place: {answer:?}"));
            }
            answer.body.extend_from_slice(&frame.payload);
            answer.pieces.push(len);
            answer.is_complete = ends;
            if ends {
                answer.check_length()?;
            }
        } else if frame.stream >= self.next_stream || frame.stream.is_multiple_of(2) {
            return Err(format!("DATA on stream {}", frame.stream));
        }
        if self.gives_back && len > 0 {
            self.give_back(0, len);
            if !ends {
                self.give_back(frame.stream, len);
            }
        }
        Ok(())
    }

    fn give_back(&mut self, stream: u32, len: usize) {
        match stream {
            0 => self.room += len as i64,
            stream => *self.rooms.entry(stream).or_default() += len as i64,
        }
        let bytes = (len as u32).to_be_bytes();
        self.answer(&Frame::new(kind::WINDOW_UPDATE, flag::NONE, stream, bytes));
    }

    /// Sends what follows from a frame. The server may have closed meanwhile.
    fn answer(&mut self, frame: &Frame) {
        let _ = self.connection.try_send(frame.to_bytes());
    }

    fn take_headers(&mut self, frame: &Frame) -> Result<(), String> {
        let (mut block, mut flags) = (frame.payload.clone(), frame.flags);
        let ends = frame.has(flag::END_STREAM);
        while flags & flag::END_HEADERS == 0 {
            let Some(next) = self.frame()? else {
                return Err("the connection ended inside a field block".to_owned());
            };
            if next.kind != kind::CONTINUATION || next.stream != frame.stream {
                return Err(format!("inside a field block: {next:?}"));
            }
            block.extend(next.payload);
            flags = next.flags;
        }
        // Decoded whatever becomes of it (RFC 9113 §4.3).
        let lines = self.decoder.0.decode(&block);
        let lines = lines.map_err(|error| format!("a field block: {error:?}"))?;
        let mut fields = Vec::with_capacity(lines.len());
        for (name, value) in lines {
            let text = |bytes| String::from_utf8(bytes).map_err(|error| error.to_string());
            fields.push((text(name)?, text(value)?));
        }
        let Some(answer) = self.answers.get_mut(&frame.stream) else {
            // One that we have reset.
            if frame.stream < self.next_stream && !frame.stream.is_multiple_of(2) {
                return Ok(());
            }
            return Err(format!("HEADERS on stream {}", frame.stream));
        };
        if answer.is_over() {
            return Err(format!("HEADERS {fields:?} after the end of {answer:?}"));
        }
        take_section(answer, fields, ends)
    }
}

/// Takes a head or trailers.
fn take_section(
    answer: &mut Answer,
    mut fields: Vec<(String, String)>,
    ends: bool,
) -> Result<(), String> {
    let is_head = answer.status == 0;
    let status = match fields.first() {
        Some((name, value)) if is_head && name == ":status" => value
            .parse::<u16>()
            .map_err(|_| format!(":status {value}"))?,
        _ if is_head => return Err(format!("a head without :status: {fields:?}")),
        _ => 0,
    };
    if is_head {
        fields.remove(0);
    }
    for (name, value) in &fields {
        check_line(name, value)?;
    }
    match status {
        0 if !ends => return Err(format!("trailers that end nothing: {fields:?}")),
        0 => answer.trailers = fields,
        100..200 if ends || status == 101 => return Err(format!("{status} that ends a stream")),
        100..200 => {
            answer.interim.push(status);
            let links = fields.into_iter().filter(|(name, _)| name == "link");
            answer.links.extend(links.map(|(_, value)| value));
            return Ok(());
        }
        200..600 => {
            answer.status = status;
            answer.fields = fields;
        }
        _ => return Err(format!(":status {status}")),
    }
    answer.is_complete = ends;
    if ends { answer.check_length() } else { Ok(()) }
}

/// RFC 9113 §8.2.
fn check_line(name: &str, value: &str) -> Result<(), String> {
    let is_bad_name = name.is_empty() || name.starts_with(':') || name.contains(char::is_uppercase);
    let is_of_http1 = matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
    );
    if is_bad_name || is_of_http1 || value.trim() != value || value.contains(['\r', '\n', '\0']) {
        return Err(format!("no field line of HTTP/2: {name:?}: {value:?}"));
    }
    Ok(())
}
