//! What the connection and its streams wait for, and what happens when that takes too long.

use ajay_h3::Reading;

use super::*;
use crate::connection::STREAMS_TICKS;
use crate::{Response, StatusCode};

/// A client that lets so many responses stall until their deadline does it on purpose.
const STALLS_MAX: u32 = 8;

/// So many streams of a connection may wait for the client, however many of others do.
const WAITING_FREE: usize = 8;

impl<S: Service> Session<'_, '_, S> {
    /// Starts or goes on with the deadline that fits what the connection waits for now.
    pub(super) fn set_clock(&mut self) {
        let now = self.desk.cx.now;
        if self.connection.phase != Phase::Open {
            return;
        }
        let is_new = self.connection.requests == 0;
        let Some(http) = self.http() else {
            return;
        };
        // Nothing more will be served. Closing would take away what the client has not read yet (RFC 9114
        // §5.2): it is given time to read and to close.
        let is_over = http.core.wants_close() && http.core.is_idle();
        let wait = match (http.core.reading(), http.drain) {
            _ if is_over => Wait::Linger,
            (_, DrainState::Announced(_)) => Wait::Streams,
            (Reading::Idle, _) if is_new => Wait::FirstByte,
            (Reading::Idle, _) if http.is_shrunk => Wait::Idle,
            _ => Wait::Streams,
        };
        self.connection.clock.wait_for(wait, now);
    }

    /// A deadline of the connection as a whole has passed.
    pub(in crate::quic) fn timed_out(&mut self, counter: Counter) -> Outcome {
        let wait = self.connection.clock.wait();
        match wait {
            Wait::Streams => {
                let since = self.connection.clock.since();
                let requests = self.connection.requests;
                self.connection
                    .clock
                    .restart(Wait::Streams, self.desk.cx.now);
                if let Some(http) = self.http() {
                    let is_quiet = std::mem::replace(&mut http.requests_seen, requests) == requests;
                    if is_quiet && http.core.is_idle() {
                        http.shrink();
                    }
                }
                let outcome = self.drive();
                if self.connection.clock.wait() == Wait::Idle {
                    self.connection.clock.has_waited_since(since);
                }
                return outcome;
            }
            Wait::Idle | Wait::FirstByte if self.desk.cx.draining => {
                // A request may have come in the last moment; it is answered.
                let outcome = self.drive();
                if self.connection.clock.wait() == wait {
                    self.close(ErrorCode::NO_ERROR);
                }
                return outcome;
            }
            Wait::Linger => {
                self.close(ErrorCode::NO_ERROR);
                return Outcome::Wait;
            }
            _ => {}
        }
        self.desk.cx.counters.count(counter);
        tracing::debug!(peer = %self.connection.peer, deadline = counter.name(), "timed out");
        self.close(ErrorCode::NO_ERROR);
        Outcome::Wait
    }

    /// Whether too many streams of the worker wait for their clients, and this connection has more than a
    /// few of them.
    pub(super) fn is_crowded(&self) -> bool {
        let http = self.connection.http.as_deref();
        http.is_some_and(|http| {
            let others = self.desk.cx.waiting_streams - http.waiting_counted;
            http.waiting > WAITING_FREE
                && others + http.waiting > self.desk.cx.config.http2.waiting_streams_max
        })
    }

    /// Looks for streams whose deadlines have passed, once a second.
    pub(super) fn look_at_streams(&mut self) {
        let (now, waits) = (self.desk.cx.now, self.desk.cx.waits);
        match self.http() {
            Some(http) if http.looked_at + STREAMS_TICKS <= now => http.looked_at = now,
            _ => return,
        }
        self.refuse_incomplete();
        let is_crowded = self.is_crowded();
        let (mut at, mut hurried) = (0, 0);
        while let Some(stream) = self
            .http()
            .and_then(|http| http.streams.get(at).map(Option::as_ref))
        {
            at += 1;
            let Some(stream) = stream else {
                continue;
            };
            let (key, clock) = (stream.key, stream.clock);
            let (due, counter) = match is_crowded {
                true => clock.due_in_crowd(&waits),
                false => clock.due(&waits),
            };
            if clock.wait() == Wait::Write && !self.is_blocked(key) {
                // It waits for its turn: not its client's fault.
                if let Some(http) = self.http() {
                    http.set_clock(key, |clock| clock.restart(Wait::Write, now));
                }
            } else if due <= now {
                self.stream_timed_out(key, clock.wait(), counter);
                hurried += u32::from(is_crowded);
            }
        }
        let stalls = self.http().map_or(0, |http| http.stalls);
        if stalls.max(hurried) > STALLS_MAX && self.connection.phase == Phase::Open {
            self.desk.cx.counters.count(Counter::FloodStalls);
            self.close(ErrorCode::EXCESSIVE_LOAD);
        }
    }

    /// Ends requests whose heads do not come.
    fn refuse_incomplete(&mut self) {
        let Some(limit) = self.desk.cx.config.deadlines.head_timeout else {
            return;
        };
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let Some(since) = self.desk.cx.millis().checked_sub(millis) else {
            return;
        };
        while let Some(http) = self.http()
            && let Some(stream) = http.core.find_incomplete(since)
        {
            http.core.abandon(stream, ErrorCode::REQUEST_INCOMPLETE);
            self.desk.cx.counters.count(Counter::TimeoutHead);
            self.obey();
        }
    }

    fn is_blocked(&mut self, key: StreamKey) -> bool {
        self.http().is_some_and(|http| http.core.is_blocked(key))
    }

    fn stream_timed_out(&mut self, key: StreamKey, wait: Wait, counter: Counter) {
        self.desk.cx.counters.count(counter);
        let peer = self.connection.peer;
        tracing::debug!(%peer, stream = key.id(), deadline = counter.name(), "timed out");
        let slot = self.http().and_then(|http| http.stream(key)?.exchange);
        let status = match wait {
            Wait::Content => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        match slot {
            Some(slot) if self.desk.slots.get(slot).is_running() => {
                if let (Wait::Content, Some(feed)) = (wait, &self.desk.slots.get(slot).feed) {
                    feed.end(Err(ContentError::TimedOut), None);
                }
                self.desk.cancel_handler(slot);
                self.answer(key, slot, Response::new(status));
            }
            Some(_) => {
                if let Some(http) = self.http() {
                    http.stalls += 1;
                }
                self.break_off(key, ErrorCode::REQUEST_CANCELLED);
            }
            // Its response is complete, and its content does not end.
            None => self.stream_gone(key),
        }
    }
}
