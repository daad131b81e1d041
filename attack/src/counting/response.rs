//! Responses out of a stream of bytes: as much of RFC 9112 as it takes to know where each ends,
//! and no leniency, so that whatever is mixed up shows.

use std::fmt;

/// A head, or a line of the chunked coding, may not be longer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Of head and content together, to look for the number in.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// A complete response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    /// The connection ends with it.
    pub(super) close: bool,
    /// Its beginning, head and content without framing.
    pub(super) kept: Vec<u8>,
}

/// Why the bytes are no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    StatusLine,
    FieldLine,
    HeadTooLong,
    ContentLength,
    TransferCoding,
    ChunkSize,
    ChunkEnd,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broken::StatusLine => "not a status line",
            Broken::FieldLine => "not a field line",
            Broken::HeadTooLong => "a head without end",
            Broken::ContentLength => "not a Content-Length",
            Broken::TransferCoding => "not a transfer coding we know",
            Broken::ChunkSize => "not a chunk size",
            Broken::ChunkEnd => "no CRLF after a chunk",
        })
    }
}

/// Reads the responses of one connection.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were used.
    used: usize,
    state: State,
    status: u16,
    close: bool,
    kept: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes of content to come.
    Content(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
}

impl Reader {
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Nothing of another response has come.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Head && self.used == self.buffer.len()
    }

    /// The next response, if all of it has come.
    pub(super) fn next(&mut self) -> Result<Option<Response>, Broken> {
        loop {
            let done = match self.state {
                State::Head => self.head()?,
                State::Content(left) => self.content(left),
                State::ChunkSize => self.chunk_size()?,
                State::Chunk(left) => self.chunk(left),
                State::ChunkEnd => self.chunk_end()?,
                State::Trailers => self.trailers()?,
                State::UntilClose => {
                    self.keep(u64::MAX);
                    Progress::More
                }
            };
            match done {
                Progress::Step => {}
                Progress::More => return Ok(None),
                Progress::Complete => return Ok(Some(self.complete())),
            }
        }
    }

    /// The connection has ended: a response that ends with it is complete.
    pub(super) fn end(&mut self) -> Option<Response> {
        (self.state == State::UntilClose).then(|| self.complete())
    }

    fn complete(&mut self) -> Response {
        self.state = State::Head;
        Response {
            status: self.status,
            close: self.close,
            kept: std::mem::take(&mut self.kept),
        }
    }

    fn head(&mut self) -> Result<Progress, Broken> {
        let rest = &self.buffer[self.used..];
        let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            // A first byte that is wrong is not waited on.
            if !rest.iter().zip(b"HTTP/1.").all(|(a, b)| a == b) {
                return Err(Broken::StatusLine);
            }
            return self.more(rest.len());
        };
        let head = Head::parse(&rest[..end])?;
        self.status = head.status;
        self.close = head.close;
        self.state = head.framing;
        self.keep(end as u64 + 4);
        if head.status < 200 {
            self.kept.clear();
            self.state = State::Head;
            return Ok(Progress::Step);
        }
        Ok(match head.framing {
            State::Content(0) => Progress::Complete,
            _ => Progress::Step,
        })
    }

    fn content(&mut self, left: u64) -> Progress {
        let left = left - self.keep(left);
        self.state = State::Content(left);
        if left == 0 {
            return Progress::Complete;
        }
        Progress::More
    }

    fn chunk_size(&mut self) -> Result<Progress, Broken> {
        let Some(line) = self.line()? else {
            return Ok(Progress::More);
        };
        let digits = !line.is_empty() && line.len() <= 16 && line.iter().all(u8::is_ascii_hexdigit);
        let size = std::str::from_utf8(&line)
            .ok()
            .filter(|_| digits)
            .and_then(|line| u64::from_str_radix(line, 16).ok())
            .ok_or(Broken::ChunkSize)?;
        self.state = match size {
            0 => State::Trailers,
            size => State::Chunk(size),
        };
        Ok(Progress::Step)
    }

    fn chunk(&mut self, left: u64) -> Progress {
        let left = left - self.keep(left);
        if left > 0 {
            self.state = State::Chunk(left);
            return Progress::More;
        }
        self.state = State::ChunkEnd;
        Progress::Step
    }

    fn chunk_end(&mut self) -> Result<Progress, Broken> {
        let rest = &self.buffer[self.used..];
        if rest.len() < 2 {
            return Ok(Progress::More);
        }
        if !rest.starts_with(b"\r\n") {
            return Err(Broken::ChunkEnd);
        }
        self.used += 2;
        self.state = State::ChunkSize;
        Ok(Progress::Step)
    }

    fn trailers(&mut self) -> Result<Progress, Broken> {
        Ok(match self.line()? {
            None => Progress::More,
            Some(line) if line.is_empty() => Progress::Complete,
            Some(line) if line.contains(&b':') => Progress::Step,
            Some(_) => return Err(Broken::FieldLine),
        })
    }

    /// A line without its CRLF, once it is there.
    fn line(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let rest = &self.buffer[self.used..];
        let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") else {
            return self.more(rest.len()).map(|_| None);
        };
        let line = rest[..end].to_vec();
        self.used += end + 2;
        Ok(Some(line))
    }

    fn more(&self, held: usize) -> Result<Progress, Broken> {
        if held > HEAD_BYTES_MAX {
            return Err(Broken::HeadTooLong);
        }
        Ok(Progress::More)
    }

    /// Uses up to `wanted` bytes; how many it were.
    fn keep(&mut self, wanted: u64) -> u64 {
        let rest = &self.buffer[self.used..];
        let len = usize::try_from(wanted).map_or(rest.len(), |wanted| wanted.min(rest.len()));
        let kept = len.min(KEPT_BYTES_MAX.saturating_sub(self.kept.len()));
        self.kept.extend_from_slice(&rest[..kept]);
        self.used += len;
        len as u64
    }
}

enum Progress {
    Step,
    More,
    Complete,
}

struct Head {
    status: u16,
    close: bool,
    framing: State,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Head, Broken> {
        let text = std::str::from_utf8(bytes).map_err(|_| Broken::FieldLine)?;
        let mut lines = text.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let (minor, status) = status_of(status_line).ok_or(Broken::StatusLine)?;
        let mut close = minor == 0;
        let mut framing = State::UntilClose;
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Broken::FieldLine)?;
            let value = value.trim_matches([' ', '\t']);
            if name.eq_ignore_ascii_case("content-length") {
                let length = value.parse().map_err(|_| Broken::ContentLength)?;
                if framing != State::UntilClose {
                    return Err(Broken::ContentLength);
                }
                framing = State::Content(length);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if framing != State::UntilClose || !value.eq_ignore_ascii_case("chunked") {
                    return Err(Broken::TransferCoding);
                }
                framing = State::ChunkSize;
            } else if name.eq_ignore_ascii_case("connection") {
                close = value.eq_ignore_ascii_case("close");
            }
        }
        if matches!(status, 204 | 304) {
            framing = State::Content(0);
        }
        Ok(Head {
            status,
            close: close || framing == State::UntilClose,
            framing,
        })
    }
}

/// `HTTP/1.1 200 OK`: minor version and status.
fn status_of(line: &str) -> Option<(u8, u16)> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let (minor, rest) = rest.split_once(' ')?;
    let digits = rest
        .get(..3)
        .filter(|digits| digits.bytes().all(|d| d.is_ascii_digit()))?;
    let ends = rest.len() == 3 || rest.as_bytes()[3] == b' ';
    let minor = match minor {
        "0" => 0,
        "1" => 1,
        _ => return None,
    };
    let status = digits
        .parse()
        .ok()
        .filter(|status| (100..600).contains(status))?;
    ends.then_some((minor, status))
}

#[cfg(test)]
mod tests;
