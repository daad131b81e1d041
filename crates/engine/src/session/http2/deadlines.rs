//! What a connection and its streams wait for, and what happens when that takes too long.

use ajay_h2::{ErrorCode, Reading, StreamKey};

use super::*;
use crate::connection::STREAMS_TICKS;

/// A client that lets so many responses stall until their deadline does it on purpose.
const STALLS_MAX: u32 = 8;

impl<S: Service> Session<'_, S> {
    /// What the connection as a whole waits for.
    pub(in crate::session) fn http2_wait(&mut self) -> Wait {
        let Some(http2) = self.http2() else {
            return Wait::Nothing;
        };
        match (http2.core.reading(), http2.drain) {
            (Reading::Preface, _) => Wait::FirstByte,
            (_, DrainState::Announced(_)) => Wait::Streams,
            (Reading::Frame, _) => Wait::Head,
            (Reading::Idle, _) if !http2.is_shrunk => Wait::Streams,
            (Reading::Idle, _) => Wait::Idle,
            (Reading::Streams | Reading::Done, _) => Wait::Streams,
        }
    }

    /// A deadline of the connection as a whole has passed.
    pub(in crate::session) fn http2_timed_out(&mut self, wait: Wait, counter: Counter) -> Outcome {
        match wait {
            Wait::Streams => {
                let since = self.connection.clock.since();
                self.connection.clock.restart(Wait::Streams, self.cx.now);
                let requests = self.connection.requests;
                if let Some(http2) = self.http2() {
                    // Not in a gap between two requests.
                    let is_quiet =
                        std::mem::replace(&mut http2.requests_seen, requests) == requests;
                    if is_quiet && http2.core.is_idle() {
                        http2.shrink();
                    }
                }
                let outcome = self.drive();
                if self.connection.clock.wait() == Wait::Idle {
                    self.connection.clock.has_waited_since(since);
                }
                return outcome;
            }
            Wait::Idle if self.cx.draining => {
                // A request may have come in the last moment; it is answered.
                self.connection.readable = true;
                match self.drive() {
                    Outcome::Wait if self.connection.clock.wait() == Wait::Idle => {
                        return self.end_http2(ErrorCode::NO_ERROR);
                    }
                    outcome => return outcome,
                }
            }
            Wait::Write => {
                self.cx.counters.count(counter);
                return Outcome::Close(Close::Reset);
            }
            Wait::Linger => return Outcome::Close(Close::Plain),
            _ => {}
        }
        self.cx.counters.count(counter);
        tracing::debug!(peer = %self.connection.peer, deadline = counter.name(), "timed out");
        let code = match wait {
            Wait::Idle | Wait::Nothing => ErrorCode::NO_ERROR,
            _ => ErrorCode::ENHANCE_YOUR_CALM,
        };
        self.end_http2(code)
    }

    /// Says goodbye, and closes when that has left.
    fn end_http2(&mut self, code: ErrorCode) -> Outcome {
        self.abandon_streams();
        if let Some(http2) = self.connection.http2.as_deref_mut() {
            http2.core.close(code, &mut self.cx.outbox.buffer);
        }
        self.connection.ending = Ending::LingerAfterOutput;
        self.drive()
    }

    /// Looks for streams whose deadlines have passed.
    pub(super) fn look_at_streams(&mut self) {
        let (now, waits) = (self.cx.now, self.cx.waits);
        match self.http2() {
            Some(http2) if http2.looked_at + STREAMS_TICKS <= now => http2.looked_at = now,
            _ => return,
        }
        // Too many wait for their clients: none of this one's may now do so for long.
        let is_crowded = self.is_crowded();
        let due = |clock: &Clock| match is_crowded {
            true => clock.due_in_crowd(&waits),
            false => clock.due(&waits),
        };
        let window = match self.http2() {
            Some(http2) if http2.core.is_window_exhausted() => Some(due(&http2.window_clock)),
            _ => None,
        };
        let (mut at, mut hurried) = (0, 0);
        while let Some(stream) = self
            .http2()
            .and_then(|http2| http2.streams.get(at).map(Option::as_ref))
        {
            at += 1;
            let Some(stream) = stream else {
                continue;
            };
            let (due, counter) = due(&stream.clock);
            let (key, wait) = (stream.key, stream.clock.wait());
            if wait == Wait::Write && !self.is_blocked(key) {
                match window {
                    // It waits for the socket, or for its turn: not its client's fault.
                    None => self.restart_clock(key, Wait::Write),
                    // It waits for its turn, which nobody has: the client opens no window for all of them.
                    Some((window_due, counter)) if due.max(window_due) <= now => {
                        self.stream_timed_out(key, wait, counter);
                        hurried += u32::from(is_crowded);
                    }
                    Some(_) => {}
                }
            } else if due <= now {
                self.stream_timed_out(key, wait, counter);
                hurried += u32::from(is_crowded);
            }
        }
        let stalls = self.http2().map_or(0, |http2| http2.stalls);
        if stalls.max(hurried) > STALLS_MAX && self.connection.ending == Ending::Open {
            self.cx.counters.count(Counter::FloodStalls);
            self.abandon_streams();
            if let Some(http2) = self.connection.http2.as_deref_mut() {
                let out = &mut self.cx.outbox.buffer;
                http2.core.close(ErrorCode::ENHANCE_YOUR_CALM, out);
            }
        }
    }

    fn is_blocked(&mut self, key: StreamKey) -> bool {
        self.http2().is_some_and(|http2| http2.core.is_blocked(key))
    }

    fn restart_clock(&mut self, key: StreamKey, wait: Wait) {
        let now = self.cx.now;
        if let Some(http2) = self.http2() {
            http2.set_clock(key, |clock| clock.restart(wait, now));
        }
    }

    fn stream_timed_out(&mut self, key: StreamKey, wait: Wait, counter: Counter) {
        self.cx.counters.count(counter);
        let peer = self.connection.peer;
        tracing::debug!(%peer, stream = key.id(), deadline = counter.name(), "timed out");
        let slot = self.http2().and_then(|http2| http2.stream(key)?.exchange);
        let status = match wait {
            Wait::Content => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        match slot {
            Some(slot) if self.slots.get(slot).is_running() => {
                if let (Wait::Content, Some(feed)) = (wait, &self.slots.get(slot).feed) {
                    feed.end(Err(ContentError::TimedOut), None);
                }
                self.cancel_handler(slot);
                self.answer(key, slot, Response::new(status));
            }
            Some(_) => {
                if let Some(http2) = self.http2() {
                    http2.stalls += 1;
                }
                self.break_off(key, ErrorCode::CANCEL);
            }
            // Its response is complete, and its content does not end.
            None => self.stream_gone(key),
        }
    }
}
