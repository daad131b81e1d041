//! The counting client over HTTP/3 (RFC 9114). Its transport is quinn-proto: it resends what is lost, as clients do.
//!
//! A request counts as fully written when the transport has all of it and the kernel has taken all that the transport
//! would send. Only the reset of its stream with H3_REQUEST_REJECTED refuses one.

mod connection;
mod message;

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_proto::{ConnectionError, StreamId};

use super::client::{Written, contains, phase, waited};
use super::totals::Totals;
use super::{Control, Plan};
use crate::Result;
use crate::events::{Poller, Token};
use crate::loopback::Sources;
use crate::quic::socket::RECEIVE_BYTES;
use crate::quic::tls;
use connection::{Connection, Exchange, Told};

/// Between two looks at what other threads say.
const LOOK: Duration = Duration::from_millis(20);
/// After a connection was refused or given up.
const BACK_OFF: Duration = Duration::from_millis(10);
/// H3_REQUEST_REJECTED.
const REJECTED: u64 = 0x10b;

/// Asks until the time is over, then waits for what is due.
pub(super) fn run(
    plan: &Plan,
    sources: Sources,
    until: Instant,
    control: &Control,
) -> Result<Totals> {
    let now = Instant::now();
    let mut client = Client {
        plan,
        sources,
        control,
        tls: tls::config()?,
        poller: Poller::new()?,
        slots: (0..plan.connections).map(|_| Slot::Vacant(now)).collect(),
        generation: 0,
        in_flight: 0,
        number: 0,
        now,
        started: now,
        last_answer: now,
        totals: Totals::default(),
        received: vec![0; RECEIVE_BYTES],
    };
    client.play(until)?;
    Ok(client.finish())
}

struct Client<'a> {
    plan: &'a Plan,
    sources: Sources,
    control: &'a Control,
    tls: Arc<rustls::ClientConfig>,
    poller: Poller,
    slots: Vec<Slot>,
    /// Of the newest connection.
    generation: u32,
    in_flight: usize,
    number: u64,
    now: Instant,
    started: Instant,
    last_answer: Instant,
    totals: Totals,
    received: Vec<u8>,
}

enum Slot {
    /// Until when no connection is tried.
    Vacant(Instant),
    Taken(Box<Connection>),
}

impl Client<'_> {
    fn play(&mut self, until: Instant) -> Result<()> {
        let mut ending: Option<Instant> = None;
        loop {
            self.now = Instant::now();
            if ending.is_none() && (self.now >= until || self.control.is_stopped()) {
                ending = Some(self.now);
            }
            if let Some(since) = ending
                && (self.in_flight == 0 || self.now >= since + self.plan.grace)
            {
                return Ok(());
            }
            let mut patience = LOOK;
            for at in 0..self.slots.len() {
                patience = patience.min(self.look_after(at, ending.is_none())?);
            }
            for at in 0..self.poller.wait(patience)? {
                let (Token { slot, generation }, _) = self.poller.get(at);
                self.now = Instant::now();
                let slot = slot as usize;
                if let Slot::Taken(connection) = &mut self.slots[slot]
                    && connection.generation == generation
                {
                    connection.receive(self.now, &mut self.received);
                    self.events(slot);
                    self.ask(slot, ending.is_none());
                }
            }
        }
    }

    /// What is due at a place, whether or not something came; when it wants to be looked at again.
    fn look_after(&mut self, at: usize, may_ask: bool) -> Result<Duration> {
        let connection = match &mut self.slots[at] {
            Slot::Vacant(from) if may_ask && *from <= self.now => {
                self.connect(at)?;
                return Ok(LOOK);
            }
            Slot::Vacant(_) => return Ok(LOOK),
            Slot::Taken(connection) => connection,
        };
        let is_late = self.now >= connection.began + self.plan.connect_timeout;
        if !connection.is_connected && is_late {
            self.totals.connect_timed_out += 1;
            let took = self.now.saturating_duration_since(connection.began);
            self.totals.connect_max = self.totals.connect_max.max(took);
            self.slots[at] = Slot::Vacant(self.now + BACK_OFF);
            return Ok(BACK_OFF);
        }
        let is_due = connection.timeouts(self.now);
        // With a rate a permission may have come up.
        if is_due || self.plan.rate.is_some() {
            self.events(at);
            self.ask(at, may_ask);
        }
        let Slot::Taken(connection) = &self.slots[at] else {
            return Ok(BACK_OFF);
        };
        let due = connection.due.unwrap_or(self.now + LOOK);
        Ok(due.saturating_duration_since(self.now))
    }

    fn connect(&mut self, at: usize) -> Result<()> {
        self.generation = self.generation.wrapping_add(1);
        let token = Token {
            slot: at as u32,
            generation: self.generation,
        };
        let tls = Arc::clone(&self.tls);
        match Connection::connect(
            self.plan.address,
            self.sources,
            tls,
            token.generation,
            self.now,
        ) {
            Some(mut connection) => {
                self.poller.add(&connection.socket, token)?;
                connection.transmit(self.now);
                connection.timeouts(self.now);
                self.slots[at] = Slot::Taken(Box::new(connection));
            }
            None => {
                self.totals.connect_failed += 1;
                self.slots[at] = Slot::Vacant(self.now + BACK_OFF);
            }
        }
        Ok(())
    }

    /// Takes what the transport has to tell.
    fn events(&mut self, at: usize) {
        while let Slot::Taken(connection) = &mut self.slots[at]
            && let Some(told) = connection.poll()
        {
            match told {
                Told::Connected => {
                    let took = self.now.saturating_duration_since(connection.began);
                    connection.connect_took = Some(took);
                    self.totals.connections += 1;
                    self.totals.connect_max = self.totals.connect_max.max(took);
                }
                Told::Began => {
                    if let Some(took) = connection.connect_took.take() {
                        let first = connection.exchanges.values().filter_map(|it| it.written);
                        let since = first.map(|written| written.at).min().unwrap_or(self.now);
                        let took = took + self.now.saturating_duration_since(since);
                        self.totals.first_answer_max = self.totals.first_answer_max.max(took);
                    }
                }
                Told::Answered(id) => self.answered(at, id),
                Told::Reset(id, code) => self.reset(at, id, code),
                Told::Lost(reason) => self.lost(at, &reason),
            }
        }
    }

    fn written(&self) -> Written {
        Written {
            after_mark: self.control.is_marked(),
            at: self.now,
        }
    }

    fn take(&mut self, at: usize, id: StreamId) -> Option<(Exchange, Written)> {
        let now = self.written();
        let Slot::Taken(connection) = &mut self.slots[at] else {
            return None;
        };
        let exchange = connection.exchanges.remove(&id)?;
        self.in_flight -= 1;
        let written = exchange.written.unwrap_or_else(|| {
            phase(&mut self.totals, now).written += 1;
            now
        });
        Some((exchange, written))
    }

    fn answered(&mut self, at: usize, id: StreamId) {
        let Some((exchange, written)) = self.take(at, id) else {
            return;
        };
        let waited = waited(&mut self.totals, written, self.now);
        let totals = &mut self.totals;
        let gap = self.now.saturating_duration_since(self.last_answer);
        totals.longest_gap = totals.longest_gap.max(gap);
        self.last_answer = self.now;
        let number = exchange.number;
        match message::read(&exchange.received) {
            Some((200, content)) if !self.plan.echo || contains(&content, number) => {
                phase(totals, written).answered += 1;
                totals.latency.add(waited);
            }
            Some((200, content)) => {
                phase(totals, written).mismatched += 1;
                let text = format!("request {number:012} got {}", content.escape_ascii());
                totals.add_example(|| text);
            }
            Some((status, _)) => {
                phase(totals, written).other_status += 1;
                *totals.statuses.entry(status).or_default() += 1;
            }
            None => {
                phase(totals, written).mismatched += 1;
                totals.add_example(|| format!("request {number:012} got no response"));
            }
        }
    }

    fn reset(&mut self, at: usize, id: StreamId, code: u64) {
        let Some((_, written)) = self.take(at, id) else {
            return;
        };
        waited(&mut self.totals, written, self.now);
        let phase = phase(&mut self.totals, written);
        if code == REJECTED {
            phase.refused += 1;
        } else {
            phase.lost_after_written += 1;
            self.totals.lost_by_stream_reset += 1;
        }
    }

    /// The end of a connection is that of its requests.
    fn lost(&mut self, at: usize, reason: &ConnectionError) {
        let back_off = Slot::Vacant(self.now + BACK_OFF);
        let Slot::Taken(connection) = std::mem::replace(&mut self.slots[at], back_off) else {
            return;
        };
        let is_told = matches!(
            reason,
            ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_)
        );
        let totals = &mut self.totals;
        match (connection.is_connected, is_told) {
            (true, true) if connection.exchanges.is_empty() => totals.closed_idle += 1,
            (false, true) => totals.connect_refused += 1,
            (false, false) => totals.connect_timed_out += 1,
            (true, _) => {}
        }
        if connection.is_connected {
            totals.add_example(|| format!("a connection ended: {reason}"));
        }
        self.in_flight -= connection.exchanges.len();
        for exchange in connection.exchanges.into_values() {
            self.lose(&exchange);
            match is_told {
                true => self.totals.lost_by_fin += 1,
                false => self.totals.lost_by_reset += 1,
            }
        }
    }

    fn lose(&mut self, exchange: &Exchange) {
        match exchange.written {
            Some(written) => {
                phase(&mut self.totals, written).lost_after_written += 1;
                waited(&mut self.totals, written, self.now);
            }
            None => self.totals.lost_before_written += 1,
        }
    }

    /// Sends as many requests as may wait on a connection.
    fn ask(&mut self, at: usize, may_ask: bool) {
        let mut is_used_up = false;
        while may_ask && self.rate_allows() {
            let Slot::Taken(connection) = &mut self.slots[at] else {
                return;
            };
            let every = self.plan.new_connection_every.unwrap_or(u32::MAX);
            is_used_up = connection.requests >= every;
            let is_full = connection.exchanges.len() >= self.plan.pipeline;
            if is_used_up || is_full || !connection.is_connected {
                break;
            }
            let request = message::request(self.plan, self.number + 1);
            if !connection.request(request, self.number + 1) {
                break;
            }
            self.number += 1;
            self.in_flight += 1;
        }
        let written = self.written();
        let Slot::Taken(connection) = &mut self.slots[at] else {
            return;
        };
        if is_used_up && connection.exchanges.is_empty() {
            connection.close(self.now);
            self.slots[at] = Slot::Vacant(self.now);
            return;
        }
        if connection.transmit(self.now) {
            for exchange in connection.exchanges.values_mut() {
                if exchange.written.is_none() && exchange.unsent.is_empty() {
                    exchange.written = Some(written);
                    phase(&mut self.totals, written).written += 1;
                }
            }
        }
        connection.timeouts(self.now);
    }

    fn rate_allows(&self) -> bool {
        let elapsed = self.now.saturating_duration_since(self.started);
        self.plan
            .rate
            .is_none_or(|rate| self.number as f64 / f64::from(rate) <= elapsed.as_secs_f64())
    }

    fn finish(mut self) -> Totals {
        self.now = Instant::now();
        if self.in_flight > 0 {
            let gap = self.now.saturating_duration_since(self.last_answer);
            self.totals.longest_gap = self.totals.longest_gap.max(gap);
        }
        for slot in std::mem::take(&mut self.slots) {
            let Slot::Taken(mut connection) = slot else {
                continue;
            };
            for exchange in std::mem::take(&mut connection.exchanges).into_values() {
                self.lose(&exchange);
                self.totals.unanswered += 1;
            }
            connection.close(self.now);
        }
        self.totals.took = self.last_answer.saturating_duration_since(self.started);
        self.totals
    }
}
