//! Counting requests without parsing them: what a server could not do less than.
//!
//! A request ends with the blank line after its head; one that starts with `P` (POST) has
//! [`CONTENT_BYTES`] more, the fixed content of the load definitions. A head that came in part is
//! kept until its end comes; in the steady state nothing is kept and nothing is allocated.

use memchr::memmem::Finder;
use std::sync::LazyLock;

static BLANK_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));
static CLOSE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"close"));
static CLOSE_LINE: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(b"\r\nConnection: close\r\n"));

/// The content of every POST of the load definitions.
pub const CONTENT_BYTES: usize = 1024;

/// A head may not be longer: the default of the server that the floor is held against.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A connection's place in the stream of requests, between two reads.
#[derive(Debug, Default)]
pub struct Framing {
    /// The beginning of a head whose end has not been read; empty between requests.
    head: Vec<u8>,
    /// Content still to come of the request whose head was read last.
    content_left: usize,
    /// That request asked for the connection to be closed; false while `content_left` is 0.
    close_after_content: bool,
}

/// What one read completed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    pub requests: usize,
    /// The last of them ends the connection; what follows it is not looked at.
    pub close: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct HeadTooLong;

impl Framing {
    /// Takes the bytes of one read.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Turn, HeadTooLong> {
        if self.head.is_empty() {
            return self.count(bytes);
        }
        let mut joined = std::mem::take(&mut self.head);
        joined.extend_from_slice(bytes);
        self.count(&joined)
    }

    fn count(&mut self, bytes: &[u8]) -> Result<Turn, HeadTooLong> {
        let mut turn = Turn::default();
        // One look over all the requests of this read instead of one per head.
        let may_close = CLOSE.find(bytes).is_some();
        let mut rest = bytes;
        if self.content_left > 0 {
            rest = self.skip_content(rest, &mut turn);
        }
        while !rest.is_empty() && !turn.close {
            let Some(end) = BLANK_LINE.find(rest) else {
                if rest.len() > HEAD_BYTES_MAX {
                    return Err(HeadTooLong);
                }
                self.head.extend_from_slice(rest);
                break;
            };
            let (head, after) = rest.split_at(end + 4);
            let close = may_close && CLOSE_LINE.find(head).is_some();
            rest = after;
            if head[0] == b'P' {
                self.content_left = CONTENT_BYTES;
                self.close_after_content = close;
                rest = self.skip_content(rest, &mut turn);
            } else {
                turn.requests += 1;
                turn.close = close;
            }
        }
        Ok(turn)
    }

    fn skip_content<'a>(&mut self, bytes: &'a [u8], turn: &mut Turn) -> &'a [u8] {
        let (content, after) = bytes.split_at(self.content_left.min(bytes.len()));
        self.content_left -= content.len();
        if self.content_left == 0 {
            turn.requests += 1;
            turn.close = std::mem::take(&mut self.close_after_content);
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::{CONTENT_BYTES, Framing, HEAD_BYTES_MAX, HeadTooLong};

    const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const CLOSE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    fn post() -> String {
        format!(
            "POST / HTTP/1.1\r\nContent-Length: {CONTENT_BYTES}\r\n\r\n{}",
            "x".repeat(CONTENT_BYTES)
        )
    }

    /// Requests and whether the connection closes, with the wire cut into reads of `size` bytes.
    fn replay(wire: &str, size: usize) -> (usize, bool) {
        let mut framing = Framing::default();
        let mut requests = 0;
        for read in wire.as_bytes().chunks(size) {
            let turn = framing.receive(read).unwrap();
            requests += turn.requests;
            if turn.close {
                return (requests, true);
            }
        }
        (requests, false)
    }

    #[test]
    fn counts_alike_however_the_wire_is_cut() {
        let wire = format!("{GET}{}{GET}{}{}{GET}", post(), post(), post());
        for size in 1..=wire.len() {
            assert_eq!(replay(&wire, size), (6, false), "reads of {size}");
        }
    }

    #[test]
    fn stops_at_the_request_that_closes() {
        let wire = format!("{GET}{GET}{CLOSE}{GET}");
        for size in 1..=wire.len() {
            assert_eq!(replay(&wire, size), (3, true), "reads of {size}");
        }
    }

    #[test]
    fn the_word_alone_does_not_close() {
        let wire = "GET /close HTTP/1.1\r\nHost: close\r\n\r\n";
        assert_eq!(replay(wire, wire.len()), (1, false));
    }

    #[test]
    fn an_endless_head_is_refused() {
        let mut framing = Framing::default();
        let part = [b'a'; 1024];
        for _ in 0..HEAD_BYTES_MAX / part.len() {
            assert!(framing.receive(&part).is_ok());
        }
        assert_eq!(framing.receive(&part), Err(HeadTooLong));
    }
}
