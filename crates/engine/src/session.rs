//! One HTTP/1 connection: moves bytes between its socket, its core and its handler.
//!
//! [`Session::drive`] is called when something happened to a connection: its socket has an event,
//! its handler was woken, or work was left over from an earlier turn. It does what can be done
//! now, in this order, until nothing more can be or the turn's budget is spent:
//!
//! | the connection | is driven by |
//! |---|---|
//! | has output the socket did not take | sending it; nothing else happens before it is gone |
//! | lingers | reading and throwing away |
//! | has a handler running | reading content for it while its feed has room; polling it when woken |
//! | has a streamed response | polling the stream while the socket takes its pieces |
//! | has none of these | reading requests; each is handed to the service at once |
//!
//! Responses gather in the worker's outbox and leave in one send when the connection can do
//! nothing more, or when the outbox is full.

pub(crate) mod http2;
pub(crate) mod input;
mod output;
pub(crate) mod tls;

pub(crate) use output::NO_FIELDS;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use crate::connection::{Close, Connection, Ending, Wait};
use crate::content::ContentError;
use crate::context::Context;
use crate::counters::Counter;
use crate::desk::{Desk, InitialContent};
use crate::exchange::Slots;
use crate::informational::{self, Informational};
use crate::request::Parts;
use crate::service::Service;
use crate::{Response, StatusCode};

/// A connection at work, with everything of its worker that it needs.
pub(crate) struct Session<'w, S: Service> {
    pub(crate) connection: &'w mut Connection,
    pub(crate) cx: &'w mut Context,
    pub(crate) slots: &'w mut Slots<S::Future>,
    pub(crate) service: &'w S,
    /// Requests and pieces this turn may still take.
    pub(crate) budget: u32,
}

/// What becomes of a connection after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It waits for an event or a wake-up.
    Wait,
    /// It has work left: drive it again in the next turn.
    Again,
    /// It has work that is not urgent: drive it again in the next tick.
    NextTick,
    Close(Close),
}

/// Requests and streamed pieces that one connection may take in a turn, so that a peer which
/// pipelines for ever leaves room for the others. wrk's deepest common pipeline is 64.
const TURN_BUDGET: u32 = 128;

/// Output gathered before it is sent within a turn.
const OUTBOX_BYTES: usize = 64 * 1024;

impl<'w, S: Service> Session<'w, S> {
    pub(crate) fn new(
        connection: &'w mut Connection,
        cx: &'w mut Context,
        slots: &'w mut Slots<S::Future>,
        service: &'w S,
    ) -> Session<'w, S> {
        Session {
            connection,
            cx,
            slots,
            service,
            budget: TURN_BUDGET,
        }
    }

    /// Does what can be done now.
    pub(crate) fn drive(&mut self) -> Outcome {
        let outcome = match self.connection.http2 {
            None => self.run(),
            Some(_) => self.run_http2(),
        };
        let outcome = outcome.and_then(|outcome| {
            // The socket was full a moment ago. Trying again might succeed now, and then no event
            // would come to go on with what waited for it.
            let has_new = !self.cx.outbox.is_empty() || !self.cx.sealed.is_empty();
            if self.connection.pending.is_some() && !has_new {
                return Ok(Outcome::Wait);
            }
            // What the last step wrote leaves here: once, for everything in the turn.
            if self.flush()? {
                self.after_output(outcome)
            } else {
                Ok(Outcome::Wait)
            }
        });
        match outcome {
            Ok(outcome) => {
                self.set_clock();
                outcome
            }
            Err(close) => Outcome::Close(close),
        }
    }

    fn run(&mut self) -> Result<Outcome, Close> {
        loop {
            if self.connection.http2.is_some() {
                return self.run_http2();
            }
            if self.connection.broken {
                return Err(self.cut());
            }
            let must_flush = self.cx.outbox.len() >= OUTBOX_BYTES;
            if (must_flush || self.connection.pending.is_some()) && !self.flush()? {
                return Ok(Outcome::Wait);
            }
            match self.connection.ending {
                Ending::Open => {}
                Ending::Lingering => return self.linger(),
                Ending::CloseAfterOutput | Ending::LingerAfterOutput => return Ok(Outcome::Wait),
            }
            if self.budget == 0 {
                return Ok(Outcome::Again);
            }
            let progress = match self.connection.exchange {
                Some(slot) => self.exchange(slot)?,
                None if self.discards_too_much() => {
                    self.cx.counters.count(Counter::InputDeferred);
                    return Ok(Outcome::NextTick);
                }
                None => self.read_input()?,
            };
            if !progress {
                return Ok(Outcome::Wait);
            }
        }
    }

    /// Called when all output has left: carries out an end that waited for it.
    fn after_output(&mut self, outcome: Outcome) -> Result<Outcome, Close> {
        if matches!(self.connection.ending, Ending::Open | Ending::Lingering) {
            return Ok(outcome);
        }
        // The peer shall know that nothing was cut off.
        if self.close_tls() && !self.flush()? {
            return Ok(Outcome::Wait);
        }
        if self.connection.ending == Ending::CloseAfterOutput {
            return Err(Close::Plain);
        }
        self.begin_lingering()?;
        self.linger()
    }

    /// Drives a handler or a streamed response. True when that made a difference.
    fn exchange(&mut self, slot: u32) -> Result<bool, Close> {
        let mut progress = self.feed_wants_input(slot) && self.read_input()?;
        // Reading may have answered the request already (its content was invalid).
        if self.connection.exchange != Some(slot) || self.connection.ending != Ending::Open {
            return Ok(true);
        }
        if !self.slots.get(slot).is_running() {
            return Ok(self.stream_body(slot)? || progress);
        }
        // The end of the input may be news to the handler, and is the end of the exchange.
        let gone = self.is_client_gone();
        let woken = std::mem::take(&mut self.connection.woken);
        if !woken && !gone {
            self.continue_if_awaited(slot);
            return Ok(progress);
        }
        let poll = self.poll_handler(slot);
        self.inform();
        match poll {
            Poll::Ready(response) => self.respond(slot, response),
            Poll::Pending if gone => return Err(self.cut()),
            Poll::Pending => {
                self.continue_if_awaited(slot);
                progress |= self.feed_wants_input(slot) && self.has_input();
                return Ok(progress);
            }
        }
        Ok(true)
    }

    /// Hands a request to the service and polls its handler for the first time.
    pub(crate) fn begin(&mut self, mut parts: Box<Parts>, content: InitialContent) {
        self.budget -= 1;
        self.connection.requests = self.connection.requests.wrapping_add(1);
        self.connection.request_began = self.cx.micros;
        self.connection.discarded = 0;
        self.connection.clock.restart(Wait::Nothing, self.cx.now);
        self.cx.counters.count(Counter::Requests);
        if self.is_last_request() {
            self.connection.core.close_after();
        }

        let slot = self.slots.acquire(self.connection.token);
        self.fill_content(slot, &mut parts, content);
        self.connection.exchange = Some(slot);
        let poll = self.first_poll(slot, parts);
        self.inform();
        match poll {
            Poll::Ready(response) => self.respond(slot, response),
            Poll::Pending => self.continue_if_awaited(slot),
        }
    }

    /// What this session shares with those of other versions.
    #[inline(always)]
    pub(crate) fn desk(&mut self) -> Desk<'_, S> {
        Desk {
            cx: self.cx,
            slots: self.slots,
            service: self.service,
        }
    }

    #[inline]
    fn fill_content(&mut self, slot: u32, parts: &mut Parts, content: InitialContent) {
        let has_window = self.connection.http2.is_some();
        self.desk().fill_content(slot, parts, content, has_window);
    }

    /// Calls the service with a request, and polls the handler for the first time.
    #[inline]
    fn first_poll(&mut self, slot: u32, mut parts: Box<Parts>) -> Poll<Response> {
        if let Some(tls) = &self.connection.tls {
            parts.tls.clone_from(&tls.info);
        }
        parts.listener = self.connection.entry as usize;
        self.desk().first_poll(slot, parts)
    }

    fn is_last_request(&self) -> bool {
        let limit = self.cx.config.connections.requests_per_connection_max;
        self.cx.draining
            || limit.is_some_and(|max| self.connection.requests >= max)
            || self
                .connection
                .clock
                .is_past_lifetime(&self.cx.waits, self.cx.now)
    }

    fn poll_handler(&mut self, slot: u32) -> Poll<Response> {
        let peer = self.connection.peer;
        self.desk().poll_handler(slot, peer)
    }

    /// Writes the informational responses of the handler that has just been polled.
    #[inline]
    fn inform(&mut self) {
        if informational::close() {
            for Informational { status, fields } in informational::take() {
                let out = &mut self.cx.outbox.buffer;
                let core = &mut self.connection.core;
                if let Err(misuse) = core.send_informational(status, &fields, out) {
                    self.desk().informational_refused(&misuse);
                }
            }
        }
    }

    fn cancel_handler(&mut self, slot: u32) {
        self.desk().cancel_handler(slot);
    }

    /// Answers in the handler's place, and ends the connection after that.
    fn refuse_running(&mut self, slot: u32, status: StatusCode) {
        self.cancel_handler(slot);
        self.connection.core.close_after();
        self.respond(slot, Response::new(status));
    }

    /// The exchange is over and its response complete.
    #[inline(always)]
    pub(crate) fn finish_exchange(&mut self, slot: u32) {
        self.release(slot);
        self.connection.clock.restart(Wait::Nothing, self.cx.now);
        self.next_cycle();
    }

    /// After a response: on to the next request, or to the end.
    #[inline(always)]
    pub(crate) fn next_cycle(&mut self) {
        let core = &mut self.connection.core;
        if !core.is_persistent() {
            self.end_after_output();
        } else if core.is_request_complete() && core.start_next_cycle().is_err() {
            self.connection.ending = Ending::LingerAfterOutput;
        }
    }

    #[inline(never)]
    fn end_after_output(&mut self) {
        let core = &self.connection.core;
        // A client that asked for the close and has sent everything sends nothing more that a
        // reset could answer.
        let clean = core.is_request_complete()
            && core.is_close_requested()
            && self.connection.inbox.is_empty();
        self.connection.ending = if clean {
            Ending::CloseAfterOutput
        } else {
            Ending::LingerAfterOutput
        };
    }

    #[inline(always)]
    fn release(&mut self, slot: u32) {
        self.connection.exchange = None;
        self.connection.body_held = 0;
        self.release_exchange(slot);
    }

    #[inline(always)]
    fn release_exchange(&mut self, slot: u32) {
        self.desk().release_exchange(slot);
    }

    /// Gives back what the connection holds, before it is closed.
    pub(crate) fn abandon(&mut self) {
        self.end_handshake();
        self.abandon_exchanges();
    }

    /// Gives back what requests hold that are under way.
    fn abandon_exchanges(&mut self) {
        self.abandon_streams();
        if let Some(slot) = self.connection.exchange {
            if self.slots.get(slot).is_running() {
                self.cx.counters.count(Counter::HandlersCancelled);
            } else {
                self.cx.counters.count(Counter::ResponsesAborted);
            }
            if let Some(feed) = &self.slots.get(slot).feed {
                feed.end(Err(ContentError::Incomplete), None);
            }
            self.release(slot);
        }
        if let Some(parts) = self.connection.parts.take() {
            parts.recycle();
        }
    }

    /// Ends the connection at once. A response that has begun must not look complete.
    fn cut(&mut self) -> Close {
        let streaming = self
            .connection
            .exchange
            .is_some_and(|slot| !self.slots.get(slot).is_running());
        if streaming || self.connection.pending.is_some() {
            Close::Reset
        } else {
            Close::Plain
        }
    }

    /// The client has closed its sending side, or all of the connection, while we owe it a
    /// response, and everything it sent before has been read as far as it can be.
    fn is_client_gone(&self) -> bool {
        let connection = &*self.connection;
        connection.read_closed
            && !self.cx.config.half_close
            && (connection.eof || connection.core.is_request_complete())
    }

    /// A deadline has passed. The worker closes the connection if this says so, and drives it
    /// otherwise.
    pub(crate) fn timed_out(&mut self, counter: Counter) -> Outcome {
        let wait = self.connection.clock.wait();
        if wait == Wait::Handshake {
            self.cx.counters.count(counter);
            return Outcome::Close(Close::Plain);
        }
        if self.connection.http2.is_some() {
            return self.http2_timed_out(wait, counter);
        }
        if wait == Wait::Idle && self.cx.draining {
            // A request may have come in the last moment; it is answered.
            self.connection.readable = true;
            match self.drive() {
                Outcome::Wait if self.connection.clock.wait() == Wait::Idle => {
                    return Outcome::Close(Close::Plain);
                }
                outcome => return outcome,
            }
        }
        if wait != Wait::Linger {
            self.cx.counters.count(counter);
            tracing::debug!(peer = %self.connection.peer, deadline = counter.name(), "timed out");
        }
        match wait {
            Wait::Nothing
            | Wait::FirstByte
            | Wait::Idle
            | Wait::Linger
            | Wait::Streams
            | Wait::Handshake => Outcome::Close(Close::Plain),
            Wait::Write => Outcome::Close(Close::Reset),
            Wait::Head => {
                self.refuse(StatusCode::REQUEST_TIMEOUT);
                self.drive()
            }
            Wait::Content | Wait::Handler => {
                let status = match wait {
                    Wait::Content => StatusCode::REQUEST_TIMEOUT,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                match self.connection.exchange {
                    Some(slot) if self.slots.get(slot).is_running() => {
                        if let (Wait::Content, Some(feed)) = (wait, &self.slots.get(slot).feed) {
                            feed.end(Err(ContentError::TimedOut), None);
                        }
                        self.refuse_running(slot, status);
                        self.drive()
                    }
                    // The response has begun, or is complete: there is no way to say it any more.
                    Some(_) => Outcome::Close(Close::Reset),
                    None => Outcome::Close(Close::Plain),
                }
            }
        }
    }

    /// Starts or goes on with the deadline that fits what the connection waits for now.
    fn set_clock(&mut self) {
        let now = self.cx.now;
        let is_handshaking = self.connection.is_handshaking();
        let wait = if is_handshaking && self.connection.ending == Ending::Open {
            Wait::Handshake
        } else if self.connection.ending == Ending::Lingering {
            Wait::Linger
        } else if self.connection.pending.is_some() {
            Wait::Write
        } else if self.connection.http2.is_some() {
            self.http2_wait()
        } else {
            match self.connection.exchange {
                Some(slot) => self.exchange_wait(slot),
                None => match self.connection.core.reading() {
                    ajay_h1::Reading::FirstByte => Wait::FirstByte,
                    ajay_h1::Reading::Head => Wait::Head,
                    ajay_h1::Reading::Content => Wait::Content,
                    ajay_h1::Reading::Idle | ajay_h1::Reading::Waiting | ajay_h1::Reading::Done => {
                        Wait::Idle
                    }
                },
            }
        };
        if wait == Wait::Write && self.connection.clock.wait() != Wait::Write {
            self.connection.note_kernel_queue();
        }
        self.connection.clock.wait_for(wait, now);
    }

    fn exchange_wait(&mut self, slot: u32) -> Wait {
        let place = self.slots.get(slot);
        let awaits_content = place.feed.as_ref().is_some_and(|feed| feed.is_awaited());
        match (awaits_content, place.is_running()) {
            (true, _) => Wait::Content,
            (false, true) => Wait::Handler,
            (false, false) => Wait::Nothing,
        }
    }
}
