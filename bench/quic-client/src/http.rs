//! As much of HTTP/3 as a load needs: requests whose bytes are always the same, and responses of which status
//! and length are looked at.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{Connection, Dir, Event, ReadError, SendStream, StreamEvent, StreamId};

/// What is asked for again and again.
#[derive(Clone, Debug)]
pub struct Request {
    /// The frames before the content.
    head: Bytes,
    content: Bytes,
}

impl Request {
    pub fn get(path: &str) -> Request {
        Request {
            head: head(0xd1, path),
            content: Bytes::new(),
        }
    }

    /// A POST with so many bytes of content.
    pub fn post(path: &str, content: Bytes) -> Request {
        let mut bytes = head(0xd4, path).to_vec();
        bytes.push(0x00);
        varint(content.len() as u64, &mut bytes);
        Request {
            head: bytes.into(),
            content,
        }
    }
}

/// HEADERS of a request whose method has this indexed line.
fn head(method: u8, path: &str) -> Bytes {
    // `:scheme: https`, `:authority: localhost`, `:path`.
    let mut section = vec![0, 0, method, 0xd7];
    section.extend_from_slice(b"\x50\x09localhost\x51");
    section.push(path.len() as u8);
    section.extend_from_slice(path.as_bytes());
    // `user-agent: bench`.
    section.extend_from_slice(b"\x5f\x50\x05bench");
    let mut frame = vec![0x01];
    varint(section.len() as u64, &mut frame);
    frame.extend_from_slice(&section);
    frame.into()
}

fn varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// The requests under way on a connection.
#[derive(Default)]
pub struct Session {
    streams: HashMap<StreamId, Exchange>,
    pub is_connected: bool,
    pub is_lost: Option<String>,
    has_control: bool,
    pub done: Progress,
}

/// What came of requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub started: u64,
    /// Answered with 200 and the expected length.
    pub succeeded: u64,
    pub failed: u64,
    pub content_bytes: u64,
    /// The sum of all times from sending to the last byte, and the longest, in microseconds.
    pub micros: u64,
    pub micros_max: u64,
}

struct Exchange {
    began: Instant,
    /// The beginning of a frame's header.
    partial: Vec<u8>,
    frame: Option<(u64, u64)>,
    is_ok: bool,
    content_bytes: u64,
    unsent: Bytes,
}

impl Session {
    pub fn open(&self) -> usize {
        self.streams.len()
    }

    /// Takes what the connection tells. `expected`: the length of each response's content.
    pub fn events(&mut self, quic: &mut Connection, now: Instant, expected: Option<u64>) {
        while let Some(event) = quic.poll() {
            match event {
                Event::Connected => self.is_connected = true,
                Event::ConnectionLost { reason } => {
                    self.is_lost = Some(reason.to_string());
                    self.done.failed += self.streams.len() as u64;
                    self.streams.clear();
                }
                Event::Stream(StreamEvent::Readable { id }) => {
                    self.read(quic, id, now, expected);
                }
                Event::Stream(StreamEvent::Writable { id }) => self.write(quic, id),
                Event::Stream(StreamEvent::Opened { dir: Dir::Uni }) => {
                    while let Some(id) = quic.streams().accept(Dir::Uni) {
                        self.read(quic, id, now, expected);
                    }
                }
                _ => {}
            }
        }
    }

    /// Sends one more request, if the server lets us. False otherwise.
    pub fn request(&mut self, quic: &mut Connection, request: &Request, now: Instant) -> bool {
        if !std::mem::replace(&mut self.has_control, true)
            && let Some(control) = quic.streams().open(Dir::Uni)
        {
            let _ = quic.send_stream(control).write(b"\x00\x04\x00");
        }
        let Some(id) = quic.streams().open(Dir::Bi) else {
            return false;
        };
        self.done.started += 1;
        let mut stream = quic.send_stream(id);
        let mut chunks = [request.head.clone(), request.content.clone()];
        write_all(&mut stream, &mut chunks);
        let unsent = if chunks[0].is_empty() {
            chunks[1].clone()
        } else {
            [&chunks[0][..], &chunks[1][..]].concat().into()
        };
        if unsent.is_empty() {
            let _ = stream.finish();
        }
        self.streams.insert(
            id,
            Exchange {
                began: now,
                partial: Vec::new(),
                frame: None,
                is_ok: false,
                content_bytes: 0,
                unsent,
            },
        );
        true
    }

    fn write(&mut self, quic: &mut Connection, id: StreamId) {
        let Some(exchange) = self.streams.get_mut(&id) else {
            return;
        };
        if exchange.unsent.is_empty() {
            return;
        }
        let mut stream = quic.send_stream(id);
        let mut chunks = [std::mem::take(&mut exchange.unsent)];
        write_all(&mut stream, &mut chunks);
        let [rest] = chunks;
        exchange.unsent = rest;
        if exchange.unsent.is_empty() {
            let _ = stream.finish();
        }
    }

    fn read(&mut self, quic: &mut Connection, id: StreamId, now: Instant, expected: Option<u64>) {
        let mut receive = quic.recv_stream(id);
        let Ok(mut chunks) = receive.read(true) else {
            return;
        };
        let mut is_over = None;
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => {
                    if let Some(exchange) = self.streams.get_mut(&id) {
                        exchange.take(&chunk.bytes);
                    }
                }
                Ok(None) => {
                    is_over = Some(true);
                    break;
                }
                Err(ReadError::Blocked) => break,
                Err(ReadError::Reset(_)) => {
                    is_over = Some(false);
                    break;
                }
            }
        }
        let _ = chunks.finalize();
        let Some(is_complete) = is_over else {
            return;
        };
        let Some(exchange) = self.streams.remove(&id) else {
            return;
        };
        let has_length = expected.is_none_or(|bytes| bytes == exchange.content_bytes);
        if is_complete && exchange.is_ok && has_length && exchange.partial.is_empty() {
            self.done.succeeded += 1;
        } else {
            self.done.failed += 1;
        }
        self.done.content_bytes += exchange.content_bytes;
        let micros = now.duration_since(exchange.began).as_micros() as u64;
        self.done.micros += micros;
        self.done.micros_max = self.done.micros_max.max(micros);
    }
}

/// Writes as much as is taken. That more is taken is told only after it was refused.
fn write_all(stream: &mut SendStream<'_>, chunks: &mut [Bytes]) {
    while chunks.iter().any(|chunk| !chunk.is_empty()) {
        if stream.write_chunks(chunks).is_err() {
            return;
        }
    }
}

impl Exchange {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some((kind, left)) = self.frame else {
                self.partial.push(bytes[0]);
                bytes = &bytes[1..];
                if let Some(header) = header(&self.partial) {
                    self.partial.clear();
                    self.frame = (header.1 > 0).then_some(header);
                }
                continue;
            };
            let len = bytes.len().min(left as usize);
            match kind {
                0x00 => self.content_bytes += len as u64,
                // `:status: 200` (static index 25), the first line in every server's head, after the
                // prefix; some have it as a literal.
                0x01 if !self.is_ok => {
                    self.is_ok = bytes[..len].contains(&0xd9)
                        || bytes[..len].windows(3).any(|it| it == b"200");
                }
                _ => {}
            }
            bytes = &bytes[len..];
            let left = left - len as u64;
            self.frame = (left > 0).then_some((kind, left));
        }
    }
}

fn header(bytes: &[u8]) -> Option<(u64, u64)> {
    let (kind, rest) = number(bytes)?;
    let (len, _) = number(rest)?;
    Some((kind, len))
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = 1 << (bytes.first()? >> 6);
    let (number, rest) = bytes.split_at_checked(len)?;
    let value = number
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let bits = 8 * len as u32 - 2;
    Some((value & (u64::MAX >> (64 - bits)), rest))
}
