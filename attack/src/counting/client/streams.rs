//! What the frames of a connection mean for its requests.

use super::{Client, Connection, End, Request, Speech, State, first_byte, lose, phase, waited};
use crate::counting::http2::Event;
use crate::counting::response::Response;
use crate::h2::{code, code_name};

/// Of content, to look for the number in.
const KEPT_BYTES_MAX: usize = 16 * 1024;

impl Client<'_> {
    /// Everything in what was received.
    pub(super) fn frames(&mut self, slot: u32) {
        while let Some(connection) = self.open(slot)
            && let Speech::Http2(reader) = &mut connection.speech
        {
            match reader.next(&mut connection.unsent) {
                Ok(None) => return,
                Ok(Some(event)) => self.happened(slot, event),
                Err(broken) => return self.broken(slot, 0, &broken.to_string()),
            }
        }
    }

    fn happened(&mut self, slot: u32, event: Event) {
        match event {
            Event::Fields {
                stream,
                status,
                ends,
            } => self.fields(slot, stream, status, ends),
            Event::Content {
                stream,
                bytes,
                ends,
            } => self.content(slot, stream, &bytes, ends),
            Event::Reset { stream, code } => self.stream_reset(slot, stream, code),
            Event::GoAway { last, code } => self.go_away(slot, last, code),
            Event::Room => {
                let token = self.token(slot);
                if let Some(connection) = self.open(slot) {
                    let withheld = std::mem::take(&mut connection.withheld);
                    self.wanting.extend(std::iter::repeat_n(token, withheld));
                }
            }
        }
    }

    /// A head, or trailers.
    fn fields(&mut self, slot: u32, stream: u32, status: Option<u16>, ends: bool) {
        let Some(at) = self.waiting(slot, stream) else {
            return self.unasked(stream, "a response");
        };
        let State::Open(connection) = &mut self.slots[slot as usize].state else {
            return;
        };
        first_byte(connection, &mut self.totals, self.now);
        let begun = &mut connection.in_flight[at].begun;
        match (begun.is_some(), status) {
            (false, Some(status)) => {
                *begun = Some(Response {
                    status,
                    close: false,
                    kept: Vec::new(),
                });
            }
            (false, None) => return self.broken(slot, stream, "a head without status"),
            (true, None) if ends => {}
            (true, None) => return self.broken(slot, stream, "trailers without end"),
            (true, Some(_)) => return self.broken(slot, stream, "a second head"),
        }
        if ends {
            self.complete(slot, at);
        }
    }

    fn content(&mut self, slot: u32, stream: u32, bytes: &[u8], ends: bool) {
        let Some(at) = self.waiting(slot, stream) else {
            return self.unasked(stream, "content");
        };
        let Some(connection) = self.open(slot) else {
            return;
        };
        let Some(response) = &mut connection.in_flight[at].begun else {
            return self.broken(slot, stream, "content without a head");
        };
        let room = KEPT_BYTES_MAX - response.kept.len();
        response
            .kept
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        if ends {
            self.complete(slot, at);
        }
    }

    fn complete(&mut self, slot: u32, at: usize) {
        let begun = self
            .open(slot)
            .and_then(|connection| connection.in_flight[at].begun.take());
        if let Some(response) = begun {
            self.answer(slot, at, Ok(&response));
            self.settled(slot);
        }
    }

    /// A server may also reset a stream whose answer is complete, to be spared the rest of the
    /// request.
    fn stream_reset(&mut self, slot: u32, stream: u32, code: u32) {
        let Some(request) = self.remove(slot, stream) else {
            return;
        };
        let resets = &mut self.totals.stream_resets;
        *resets.entry(code_name(code)).or_default() += 1;
        if code == code::REFUSED_STREAM {
            self.refused(&request);
        } else {
            lose(&mut self.totals, &request, self.now);
            self.totals.lost_by_stream_reset += 1;
        }
        self.settled(slot);
    }

    /// Nothing new goes here. What the server may have processed is still waited for.
    fn go_away(&mut self, slot: u32, last: u32, code: u32) {
        *self.totals.goaways.entry(code_name(code)).or_default() += 1;
        let Some(connection) = self.open(slot) else {
            return;
        };
        connection.closing = true;
        let (left, refused): (Vec<_>, Vec<_>) = std::mem::take(&mut connection.in_flight)
            .into_iter()
            .partition(|request| request.stream <= last);
        connection.in_flight = left.into();
        for request in &refused {
            self.in_flight -= 1;
            self.refused(request);
        }
        if self.open(slot).is_some_and(|c| c.in_flight.is_empty()) {
            self.end(slot, End::Ours);
        }
    }

    fn refused(&mut self, request: &Request) {
        match request.written {
            Some(written) => {
                phase(&mut self.totals, written).refused += 1;
                waited(&mut self.totals, written, self.now);
            }
            None => self.totals.refused_before_written += 1,
        }
    }

    /// What nobody can make sense of: the end of this connection.
    fn broken(&mut self, slot: u32, stream: u32, problem: &str) {
        match self.waiting(slot, stream) {
            Some(at) => self.answer(slot, at, Err(problem)),
            None => self.unasked(stream, problem),
        }
        self.end(slot, End::Ours);
    }

    /// An answer to nothing. The other streams are none the worse for it.
    fn unasked(&mut self, stream: u32, what: &str) {
        self.totals.unexpected += 1;
        self.totals
            .add_example(|| format!("{what} on stream {stream}, where no request waits for it"));
    }

    fn open(&mut self, slot: u32) -> Option<&mut Connection> {
        match &mut self.slots[slot as usize].state {
            State::Open(connection) => Some(connection),
            _ => None,
        }
    }

    /// Where in the queue the request of a stream is.
    fn waiting(&mut self, slot: u32, stream: u32) -> Option<usize> {
        let in_flight = &self.open(slot)?.in_flight;
        in_flight
            .binary_search_by_key(&stream, |request| request.stream)
            .ok()
    }

    fn remove(&mut self, slot: u32, stream: u32) -> Option<Request> {
        let at = self.waiting(slot, stream)?;
        let request = self.open(slot)?.in_flight.remove(at)?;
        self.in_flight -= 1;
        Some(request)
    }
}
