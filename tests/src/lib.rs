//! What the black-box suites share: [`Server`] runs a program and looks at it from outside,
//! [`Client`] speaks HTTP/1 over a raw socket and believes nothing, [`Http2`](http2::Http2) does the
//! same with HTTP/2, [`Http3`](http3::Http3) is the `h3` crate over `quinn`, [`Random`] is a seeded generator.
//!
//! Nothing here uses the code under test: responses are parsed with `httparse`, `fluke-hpack` and strict
//! decoders of our own.

#![forbid(unsafe_code)]

pub mod axum_app;
mod certificates;
mod client;
pub mod http2;
pub mod http3;
mod random;
pub mod relay;
mod response;
mod server;

pub use certificates::{Authority, Issued, text_of};
pub use client::{Client, End};
pub use random::Random;
pub use response::Response;
pub use server::{
    Address, Exit, Server, cpu_time, is_running, resident_bytes, run, signal, stdin_from,
};

use std::time::{Duration, Instant};

/// The path of a program of this package: `program!("testserver")`.
#[macro_export]
macro_rules! program {
    ($name:literal) => {
        env!(concat!("CARGO_BIN_EXE_", $name))
    };
}

/// How long anything may take that should happen soon. Far above what a busy machine needs, so
/// that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives a value.
///
/// # Panics
/// After [`PATIENCE`], with `what` was waited for.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "waited {PATIENCE:?} for {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// FNV-1a, so that the test server can say what it received without sending it back.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_continued(FNV1A_START, bytes)
}

/// [`fnv1a`] of content that comes in pieces, beginning with [`FNV1A_START`].
pub fn fnv1a_continued(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The hash of nothing.
pub const FNV1A_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Bytes in which every place can be told from its neighbours.
pub fn pattern(len: usize) -> Vec<u8> {
    const PERIOD: usize = 251 * 256;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend((0..len.min(PERIOD)).map(|at| (at % 251) as u8 ^ (at / 251) as u8));
    // Doubled, not computed: tests are not optimised.
    while bytes.len() < len {
        let more = bytes.len().min(len - bytes.len());
        bytes.extend_from_within(..more);
    }
    bytes
}

/// Large content, piece by piece: each place in it can be told from all others.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    piece: Vec<u8>,
    number: u64,
    /// Of the next piece, so much has been compared.
    compared: usize,
}

impl Numbers {
    /// The size of its pieces.
    pub const PIECE_BYTES: usize = 64 * 1024;

    /// The next piece.
    pub fn next_piece(&mut self) -> Vec<u8> {
        if self.piece.is_empty() {
            self.piece = pattern(Numbers::PIECE_BYTES);
        }
        for place in self.piece.chunks_exact_mut(Numbers::PIECE_BYTES / 16) {
            place[..8].copy_from_slice(&self.number.to_be_bytes());
        }
        self.number += 1;
        self.piece.clone()
    }

    /// Compares what comes next. False where it differs.
    pub fn goes_on_with(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.compared == 0 || self.compared == Numbers::PIECE_BYTES {
                self.next_piece();
                self.compared = 0;
            }
            let rest = &self.piece[self.compared..];
            let len = rest.len().min(bytes.len());
            if rest[..len] != bytes[..len] {
                return false;
            }
            self.compared += len;
            bytes = &bytes[len..];
        }
        true
    }
}

/// Chunked content: `data` in chunks of `chunk` bytes, the last chunk, and trailers (complete
/// lines, or nothing).
pub fn chunked(data: &[u8], chunk: usize, trailers: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + data.len() / chunk * 12 + 64);
    for piece in data.chunks(chunk) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    out
}
