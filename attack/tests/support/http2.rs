//! HTTP/2 for the tests, with a reader and writer of its own: what the crate writes is not judged
//! by what the crate reads.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use ajay_attack::Loopback;

use super::{Client, wait_for};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `:status 200` in a field block.
pub(crate) const OK: &[u8] = &[0x88];
/// The same with 503.
pub(crate) const UNAVAILABLE: &[u8] = b"\x08\x03503";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&len[1..], &[kind, flags], &stream, payload].concat()
}

/// Takes the first frame, if all of it is there.
pub(crate) fn take_frame(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<9>()?;
    let len = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
    let (payload, rest) = rest.split_at_checked(len)?;
    let frame = Frame {
        kind: header[3],
        flags: header[4],
        stream: u32::from_be_bytes(*header.last_chunk().unwrap()),
        payload: payload.to_vec(),
    };
    Some((frame, rest))
}

/// What a client sent, but for a frame that is cut off at the end.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut rest = bytes
        .strip_prefix(PREFACE)
        .expect("it begins with the preface");
    let mut frames = Vec::new();
    while let Some((frame, behind)) = take_frame(rest) {
        frames.push(frame);
        rest = behind;
    }
    frames
}

/// A request of the counting client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) stream: u32,
    pub(crate) number: u64,
}

/// A connection of the counting client.
pub(crate) struct Http2 {
    pub(crate) client: Client,
    held: Vec<u8>,
    begun: bool,
}

impl Http2 {
    pub(crate) fn new(client: Client) -> Http2 {
        Http2 {
            client,
            held: Vec::new(),
            begun: false,
        }
    }

    /// The next frame; none at the end.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            if !self.begun && self.held.len() >= PREFACE.len() {
                assert!(self.held.starts_with(PREFACE));
                self.held.drain(..PREFACE.len());
                self.begun = true;
                self.send(&frame(SETTINGS, 0, 0, b""));
            }
            if self.begun
                && let Some((frame, rest)) = take_frame(&self.held)
            {
                self.held = rest.to_vec();
                return Some(frame);
            }
            let mut piece = [0; 16 * 1024];
            match self.client.receive(&mut piece) {
                Ok(0) | Err(_) => return None,
                Ok(len) => self.held.extend_from_slice(&piece[..len]),
            }
        }
    }

    /// The next request; its number is in the target.
    pub(crate) fn request(&mut self) -> Option<Request> {
        loop {
            let frame = self.next()?;
            if frame.kind == HEADERS {
                let block = &frame.payload;
                let at = block.windows(3).position(|w| w == b"/n/").unwrap() + 3;
                let digits = std::str::from_utf8(&block[at..at + 12]).unwrap();
                return Some(Request {
                    stream: frame.stream,
                    number: digits.parse().unwrap(),
                });
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.client.send(bytes);
    }

    /// Answers with the number.
    pub(crate) fn right(&mut self, request: Request) {
        self.answer(request.stream, request.number);
    }

    pub(crate) fn answer(&mut self, stream: u32, number: u64) {
        let content = format!("number {number:012}.");
        self.send(&answer_of(stream, content.as_bytes()));
    }

    pub(crate) fn reset_stream(&mut self, stream: u32, code: u32) {
        self.send(&frame(RST_STREAM, 0, stream, &code.to_be_bytes()));
    }

    pub(crate) fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(&frame(GOAWAY, 0, 0, &payload));
    }
}

/// Status 200 with this content.
pub(crate) fn answer_of(stream: u32, content: &[u8]) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, OK);
    [head, frame(DATA, END_STREAM, stream, content)].concat()
}

/// nghttpd of nghttp2, in cleartext. It serves `/` with a few bytes and `/large` with a megabyte.
pub(crate) struct Nghttpd {
    pub(crate) address: Loopback,
    process: Child,
    files: PathBuf,
}

impl Nghttpd {
    pub(crate) fn start(options: &[&str]) -> Nghttpd {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("ajay-nghttpd-{}-{number}", std::process::id());
        let files = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&files).unwrap();
        std::fs::write(files.join("index.html"), "hello").unwrap();
        std::fs::write(files.join("large"), vec![b'x'; 1_000_000]).unwrap();
        let address: Loopback = {
            let any = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            Loopback::new(any.local_addr().unwrap()).unwrap()
        };
        // Debian has it where only root looks.
        let start = |program: &str| {
            Command::new(program)
                .args(["--no-tls", "--address", "127.0.0.1", "--htdocs"])
                .arg(&files)
                .args(options)
                .arg(address.get().port().to_string())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let process = start("nghttpd")
            .or_else(|_| start("/usr/sbin/nghttpd"))
            .expect("nghttpd starts; `cargo xtask setup` installs it");
        wait_for(|| std::net::TcpStream::connect(address.get()).is_ok());
        Nghttpd {
            address,
            process,
            files,
        }
    }

    /// SIGKILL: every connection ends where it is.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Nghttpd {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.files);
    }
}
