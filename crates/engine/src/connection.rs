//! What the worker keeps for a connection. An idle one owns its socket and this struct, no buffer.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use crate::config::Deadlines;
use crate::counters::Counter;
use crate::deadline::{NEVER, Tick, ticks};
use crate::outbox::Pending;
use crate::queue;
use crate::reactor::Token;
use crate::request::{Parts, PeerAddr};
use crate::session::http2::Http2;
use crate::session::tls::Tls;

pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    pub(crate) token: Token,
    pub(crate) peer: PeerAddr,
    pub(crate) local: Option<SocketAddr>,
    /// Its address is counted, and to be given back to the admission.
    pub(crate) is_counted: bool,
    /// Its part of what the worker holds, but for content in a feed.
    pub(crate) held: usize,
    pub(crate) core: ajay_h1::Connection,
    /// The head that is being read, when part of it is here.
    pub(crate) parts: Option<Box<Parts>>,
    /// Bytes received and not used yet: part of a head, or pipelined requests that wait.
    pub(crate) inbox: Vec<u8>,
    /// Output that the socket did not take.
    pub(crate) pending: Option<Box<Pending>>,
    /// Bytes of a body that is here for this connection only and waits to be encrypted.
    pub(crate) body_held: usize,
    /// See [`Listener::entry`](crate::listener::Listener::entry).
    pub(crate) entry: u32,
    /// The session, where it speaks TLS.
    pub(crate) tls: Option<Box<Tls>>,
    /// What an HTTP/2 connection is; one of HTTP/1 uses the fields around this.
    pub(crate) http2: Option<Box<Http2>>,
    /// It is known which of the two it is.
    pub(crate) is_settled: bool,
    /// The slot of the handler or of the streamed response.
    pub(crate) exchange: Option<u32>,
    /// The kernel may hold bytes for us: cleared by a read that finds nothing, set by an event.
    pub(crate) readable: bool,
    /// The peer has closed its sending side; there may still be bytes to read before that.
    pub(crate) read_closed: bool,
    /// Reading has come to the end.
    pub(crate) eof: bool,
    /// The connection is reset or otherwise dead.
    pub(crate) broken: bool,
    pub(crate) ending: Ending,
    pub(crate) starving: Starving,
    /// The exchange's waker was used, and the exchange has not been looked at since.
    pub(crate) woken: bool,
    /// Stands in a list of the worker's, of connections with work left.
    pub(crate) queued: bool,
    /// Counts as one of the worker's that linger.
    pub(crate) lingers: bool,
    pub(crate) clock: Clock,
    pub(crate) requests: u32,
    /// When the current request's head was complete, in microseconds of the worker's clock.
    pub(crate) request_began: u64,
    /// Content read and thrown away since the response was finished.
    pub(crate) discarded: u64,
    /// What the kernel held when output began to wait.
    held_by_kernel: u64,
}

/// Whether content is not read because the worker holds too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starving {
    No,
    /// That is so, as the last turn has found.
    Noticed,
    /// It stands in the worker's list of such connections.
    Listed,
}

/// How far the end of the connection has been decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not at all.
    Open,
    /// When the output has been sent: close.
    CloseAfterOutput,
    /// When the output has been sent: linger.
    LingerAfterOutput,
    /// Our side is closed; what the peer still sends is read and thrown away, so that it sees our
    /// last response and not a reset (RFC 9112 §9.6).
    Lingering,
}

/// How a connection is taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// FIN after what the kernel still holds.
    Plain,
    /// RST: the peer must not take what it has for complete.
    Reset,
}

impl Connection {
    pub(crate) fn new(
        socket: OwnedFd,
        token: Token,
        peer: PeerAddr,
        local: Option<SocketAddr>,
        now: Tick,
    ) -> Connection {
        Connection {
            socket,
            token,
            peer,
            local,
            is_counted: false,
            held: 0,
            core: ajay_h1::Connection::new(),
            parts: None,
            inbox: Vec::new(),
            pending: None,
            body_held: 0,
            entry: 0,
            tls: None,
            http2: None,
            is_settled: false,
            exchange: None,
            readable: false,
            read_closed: false,
            eof: false,
            broken: false,
            ending: Ending::Open,
            starving: Starving::No,
            woken: false,
            queued: false,
            lingers: false,
            clock: Clock::new(now),
            requests: 0,
            request_began: 0,
            discarded: 0,
            held_by_kernel: 0,
        }
    }

    /// Whether it is in the midst of a request or a response, or of its end, or sends content that is
    /// thrown away: what it has to do can stand back behind new requests.
    #[inline]
    pub(crate) fn is_in_midst(&self) -> bool {
        self.exchange.is_some()
            || self.parts.is_some()
            || self.pending.is_some()
            || self.discarded > 0
            || self.ending != Ending::Open
    }

    /// What is held for it now.
    #[inline]
    pub(crate) fn holds(&self) -> usize {
        let pending = self.pending.as_ref().map_or(0, |pending| pending.held());
        let http2 = self.http2.as_ref().map_or(0, |http2| http2.holds());
        self.inbox.capacity() + pending + self.body_held + http2
    }

    /// Whether TLS is not agreed on yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Whether it serves a request now.
    pub(crate) fn is_serving(&self) -> bool {
        self.exchange.is_some() || self.http2.as_ref().is_some_and(|http2| http2.is_serving())
    }

    /// Output begins to wait for the peer.
    pub(crate) fn note_kernel_queue(&mut self) {
        self.held_by_kernel = queue::unacknowledged(&self.socket).unwrap_or(0);
    }

    /// Counts towards the minimum rate what the peer has taken out of the kernel since output began to
    /// wait: a socket takes more only when half of what it may hold unsent is gone, which a slow
    /// client needs a while for.
    pub(crate) fn credit_kernel_queue(&mut self) {
        if let Some(held) = queue::unacknowledged(&self.socket) {
            let taken = (self.held_by_kernel + self.clock.moved).saturating_sub(held);
            self.clock.taken_ahead = taken.saturating_sub(self.clock.moved);
        }
    }

    /// On drain: its next response is the last, and its grace begins now if it waits for a
    /// request.
    pub(crate) fn tell_to_go(&mut self, now: Tick) {
        self.core.close_after();
        self.clock.hasten(now);
    }
}

/// What a connection is waiting for, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    accepted: Tick,
    wait: Wait,
    since: Tick,
    /// Bytes moved in this transfer, for the minimum rate.
    moved: u64,
    /// Bytes that the peer took beyond those, out of the kernel, as far as that was asked.
    taken_ahead: u64,
    /// When bytes last moved.
    moved_at: Tick,
    /// What this transfer waited for content before `since`. While the handler works on what has
    /// come the transfer pauses: it does not begin anew with each piece.
    waited: Tick,
}

/// The classes of deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nothing that a deadline bounds: a streamed response that has nothing to send.
    Nothing,
    FirstByte,
    Head,
    Content,
    Handler,
    Write,
    Idle,
    Linger,
    /// Streams of HTTP/2, each with a clock of its own, at which somebody has to look.
    Streams,
    /// The end of a TLS handshake.
    Handshake,
}

/// How often the clocks of streams are looked at: once a second.
pub(crate) const STREAMS_TICKS: Tick = 4;

impl Clock {
    pub(crate) fn new(now: Tick) -> Clock {
        Clock {
            accepted: now,
            wait: Wait::FirstByte,
            since: now,
            moved: 0,
            taken_ahead: 0,
            moved_at: now,
            waited: 0,
        }
    }

    pub(crate) fn wait(&self) -> Wait {
        self.wait
    }

    /// Since when it waits for that.
    pub(crate) fn since(&self) -> Tick {
        self.since
    }

    /// What it waits for it has waited for since then.
    pub(crate) fn has_waited_since(&mut self, since: Tick) {
        self.since = since;
    }

    /// Waits for this from now on; goes on waiting if it did already.
    #[inline]
    pub(crate) fn wait_for(&mut self, wait: Wait, now: Tick) {
        if self.wait == wait {
            return;
        }
        match (self.wait, wait) {
            (Wait::Content, Wait::Handler | Wait::Nothing) => {
                self.waited += now - self.since;
                self.wait = wait;
                self.since = now;
            }
            (Wait::Handler | Wait::Nothing, Wait::Content) => {
                self.wait = wait;
                self.since = now;
                self.moved_at = now;
            }
            _ => self.restart(wait, now),
        }
    }

    /// Waits for this from now on.
    #[inline]
    pub(crate) fn restart(&mut self, wait: Wait, now: Tick) {
        self.wait = wait;
        self.since = now;
        self.moved = 0;
        self.taken_ahead = 0;
        self.moved_at = now;
        self.waited = 0;
    }

    /// On drain: an idle connection's grace begins now.
    pub(crate) fn hasten(&mut self, now: Tick) {
        if matches!(self.wait, Wait::Idle | Wait::FirstByte | Wait::Handshake) {
            self.restart(self.wait, now);
        }
    }

    /// Bytes were received or sent.
    #[inline]
    pub(crate) fn moved(&mut self, bytes: usize, now: Tick) {
        self.moved += bytes as u64;
        self.moved_at = now;
    }

    /// When the deadline of the current wait passes, and what to count then.
    pub(crate) fn due(&self, limits: &WaitLimits) -> (Tick, Counter) {
        let after = |since: Tick, limit: Tick| since.saturating_add(limit);
        let (tick, counter) = match self.wait {
            Wait::Nothing => (NEVER, Counter::TimeoutLifetime),
            Wait::FirstByte => (
                after(self.since, limits.first_byte),
                Counter::TimeoutFirstByte,
            ),
            Wait::Head => (after(self.since, limits.head), Counter::TimeoutHead),
            Wait::Content => self.transfer(
                limits,
                limits.content,
                [Counter::TimeoutContent, Counter::TimeoutContentRate],
            ),
            Wait::Handler => (after(self.since, limits.handler), Counter::TimeoutHandler),
            Wait::Write => self.transfer(
                limits,
                limits.write,
                [Counter::TimeoutWrite, Counter::TimeoutWriteRate],
            ),
            Wait::Idle => (after(self.since, limits.idle), Counter::TimeoutIdle),
            Wait::Linger => (after(self.since, limits.linger), Counter::ConnectionsClosed),
            Wait::Handshake => (
                after(self.since, limits.handshake),
                Counter::TimeoutHandshake,
            ),
            Wait::Streams => (after(self.since, STREAMS_TICKS), Counter::ConnectionsClosed),
        };
        // Age ends a connection between two requests only.
        let old = after(self.accepted, limits.lifetime);
        if self.wait == Wait::Idle && old < tick {
            return (old, Counter::TimeoutLifetime);
        }
        (tick, counter)
    }

    /// The same where too many wait for their clients as well.
    pub(crate) fn due_in_crowd(&self, limits: &WaitLimits) -> (Tick, Counter) {
        let (due, counter) = self.due(limits);
        match self.wait {
            Wait::Content | Wait::Write => {
                let stalled = self.moved_at.saturating_add(limits.crowded);
                (due.min(stalled), counter)
            }
            _ => (due, counter),
        }
    }

    pub(crate) fn is_past_lifetime(&self, limits: &WaitLimits, now: Tick) -> bool {
        self.accepted.saturating_add(limits.lifetime) <= now
    }

    /// A transfer is due when it stalls, or falls below the minimum rate after the grace.
    fn transfer(
        &self,
        limits: &WaitLimits,
        stall: Tick,
        [stalled, slow]: [Counter; 2],
    ) -> (Tick, Counter) {
        let stall = self.moved_at.saturating_add(stall);
        let earned = match limits.bytes_per_tick {
            0 => return (stall, stalled),
            rate => Tick::try_from((self.moved + self.taken_ahead) / rate).unwrap_or(NEVER),
        };
        let rate = self
            .since
            .saturating_sub(self.waited)
            .saturating_add(limits.rate_grace)
            .saturating_add(earned);
        if rate < stall {
            (rate, slow)
        } else {
            (stall, stalled)
        }
    }
}

/// [`Deadlines`] in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitLimits {
    handshake: Tick,
    first_byte: Tick,
    head: Tick,
    content: Tick,
    handler: Tick,
    write: Tick,
    crowded: Tick,
    idle: Tick,
    linger: Tick,
    lifetime: Tick,
    bytes_per_tick: u64,
    rate_grace: Tick,
}

impl WaitLimits {
    pub(crate) fn new(deadlines: &Deadlines) -> WaitLimits {
        let limit = |duration: Option<std::time::Duration>| duration.map_or(NEVER, ticks);
        WaitLimits {
            handshake: limit(deadlines.handshake_timeout),
            first_byte: limit(deadlines.first_byte_timeout),
            head: limit(deadlines.head_timeout),
            content: limit(deadlines.content_timeout),
            handler: limit(deadlines.handler_timeout),
            write: limit(deadlines.write_timeout),
            crowded: limit(deadlines.crowded_timeout),
            idle: limit(deadlines.idle_timeout),
            linger: ticks(deadlines.linger_timeout),
            lifetime: limit(deadlines.lifetime_max),
            // Four ticks a second.
            bytes_per_tick: deadlines
                .rate_min
                .map_or(0, |rate| u64::from(rate).div_ceil(4)),
            rate_grace: ticks(deadlines.rate_grace),
        }
    }

    /// While the worker drains, waiting for a request, the handshake before it included, or for a
    /// client to close what we have closed, takes no longer than this.
    pub(crate) fn hasten(&mut self, drain_idle: Tick) {
        self.handshake = self.handshake.min(drain_idle);
        self.first_byte = self.first_byte.min(drain_idle);
        self.idle = self.idle.min(drain_idle);
        self.linger = self.linger.min(drain_idle);
    }
}

#[cfg(test)]
mod tests;
