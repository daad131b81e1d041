//! The loop that plays scripts on many connections.
//!
//! One thread, one epoll instance. Nothing is allocated for an event, and what is sent was made
//! before the first connection, so that the attacker's core is spent on system calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::Tallies;
use super::player::{Connection, End, Player, Turn, Wait, reset_on_close};
use super::script::Script;
use super::tally::{LastWord, Tally};
use crate::events::{Poller, Seen, Timers, Token};
use crate::loopback::{Sources, connect};
use crate::{Loopback, Result};

/// Connections that are not answered yet: more would overflow the queue of the server's listener,
/// and the kernel would try again only after a second.
const CONNECTING_MAX: usize = 256;
/// After a connection was refused.
const BACK_OFF: Duration = Duration::from_millis(20);
/// From what was sent to what comes after [`Step::Pause`](super::script::Step::Pause).
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(50);
pub(super) struct Config {
    pub(super) address: Loopback,
    pub(super) sources: Sources,
    /// Counts connections; says which source and which of several sendings each has.
    pub(super) first_serial: u64,
    pub(super) connections: usize,
    pub(super) until: Instant,
    pub(super) period: Duration,
}

/// Plays until the time is over or somebody says stop. One tally for each script.
pub(super) fn run(config: &Config, scripts: &[Script], stop: &AtomicBool) -> Result<Tallies> {
    let mut swarm = Swarm::new(config, scripts)?;
    swarm.play(stop)?;
    let variants = scripts.iter().map(|script| script.variant);
    Ok(variants.zip(swarm.finish()).collect())
}

struct Swarm<'a> {
    config: &'a Config,
    scripts: &'a [Script],
    poller: Poller,
    timers: Timers,
    slots: Vec<Slot>,
    tallies: Vec<Tally>,
    now: Instant,
    serial: u64,
    /// How many slots wait for their connection to be answered.
    connecting: usize,
    /// Slots that want a connection.
    vacant: VecDeque<u32>,
    /// Slots that can go on without an event.
    ready: VecDeque<u32>,
    /// What is read is thrown away.
    received: Vec<u8>,
}

/// A place for one connection after the other.
struct Slot {
    generation: u32,
    state: State,
}

enum State {
    Vacant,
    Connecting(Connection),
    Open(Connection),
}

impl<'a> Swarm<'a> {
    fn new(config: &'a Config, scripts: &'a [Script]) -> Result<Swarm<'a>> {
        let slots = (0..config.connections).map(|_| Slot {
            generation: 0,
            state: State::Vacant,
        });
        Ok(Swarm {
            config,
            scripts,
            poller: Poller::new()?,
            timers: Timers::default(),
            slots: slots.collect(),
            tallies: vec![Tally::default(); scripts.len()],
            now: Instant::now(),
            serial: config.first_serial,
            connecting: 0,
            vacant: (0..config.connections as u32).collect(),
            ready: VecDeque::with_capacity(config.connections),
            received: vec![0; 64 * 1024],
        })
    }

    fn play(&mut self, stop: &AtomicBool) -> Result<()> {
        loop {
            self.now = Instant::now();
            if self.now >= self.config.until || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            while let Some(token) = self.timers.take_due(self.now) {
                self.timer(token);
            }
            self.open_vacant()?;
            for _ in 0..self.ready.len() {
                if let Some(slot) = self.ready.pop_front() {
                    self.resume(slot);
                }
            }
            for at in 0..self.poller.wait(self.patience())? {
                let (token, seen) = self.poller.get(at);
                self.event(token, seen);
            }
        }
    }

    /// How long there is nothing to do without an event.
    fn patience(&self) -> Duration {
        let can_open = !self.vacant.is_empty() && self.connecting < CONNECTING_MAX;
        if can_open || !self.ready.is_empty() {
            return Duration::ZERO;
        }
        let next = self.timers.next().unwrap_or(self.config.until);
        let until = next.min(self.config.until);
        until.saturating_duration_since(self.now).min(LOOK)
    }

    fn open_vacant(&mut self) -> Result<()> {
        while self.connecting < CONNECTING_MAX
            && let Some(slot) = self.vacant.pop_front()
        {
            let serial = self.serial;
            self.serial += 1;
            let script = self.script_of(slot);
            let buffer = self.scripts[script].receive_buffer;
            let config = self.config;
            let socket = match connect(config.address, config.sources, serial, buffer) {
                Ok(socket) => socket,
                Err(error) => {
                    let refused = Errno::from_io_error(&error) == Some(Errno::CONNREFUSED);
                    self.count_unopened(script, refused);
                    self.back_off(slot);
                    continue;
                }
            };
            let token = self.token(slot);
            self.poller.add(&socket, token)?;
            self.connecting += 1;
            let connection = Connection::new(socket, script, serial, self.now);
            self.slots[slot as usize].state = State::Connecting(connection);
        }
        Ok(())
    }

    /// A slot keeps its script, so that those that end quickly do not leave the others all the
    /// slots; with fewer slots than scripts each slot goes through them.
    fn script_of(&self, slot: u32) -> usize {
        let mut at = slot as usize;
        if self.slots.len() < self.scripts.len() {
            at += self.slots[at].generation as usize;
        }
        at % self.scripts.len()
    }

    fn token(&self, slot: u32) -> Token {
        Token {
            slot,
            generation: self.slots[slot as usize].generation,
        }
    }

    fn back_off(&mut self, slot: u32) {
        let token = self.token(slot);
        self.timers.arm(self.now, BACK_OFF, token);
    }

    fn count_unopened(&mut self, script: usize, refused: bool) {
        let tally = &mut self.tallies[script];
        if refused {
            tally.connect_refused += 1;
        } else {
            tally.connect_failed += 1;
        }
    }

    fn timer(&mut self, token: Token) {
        let slot = &mut self.slots[token.slot as usize];
        if slot.generation != token.generation {
            return;
        }
        match &mut slot.state {
            State::Vacant => self.vacant.push_back(token.slot),
            State::Connecting(_) => {}
            State::Open(connection) => {
                connection.timer_due();
                self.turn(token.slot, None);
            }
        }
    }

    fn resume(&mut self, slot: u32) {
        if let State::Open(connection) = &mut self.slots[slot as usize].state
            && std::mem::take(&mut connection.queued)
        {
            self.turn(slot, None);
        }
    }

    fn event(&mut self, token: Token, seen: Seen) {
        let slot = &mut self.slots[token.slot as usize];
        if slot.generation != token.generation {
            return;
        }
        if let State::Connecting(_) = slot.state {
            if !seen.writable && !seen.broken {
                return;
            }
            let State::Connecting(connection) = std::mem::replace(&mut slot.state, State::Vacant)
            else {
                return;
            };
            self.connecting -= 1;
            if seen.broken && connection.socket.take_error().ok().flatten().is_some() {
                self.count_unopened(connection.script, true);
                self.vacate(token.slot);
                self.back_off(token.slot);
                return;
            }
            self.tallies[connection.script].opened += 1;
            self.slots[token.slot as usize].state = State::Open(connection);
        }
        self.turn(token.slot, Some(seen));
    }

    fn vacate(&mut self, slot: u32) {
        let slot = &mut self.slots[slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.state = State::Vacant;
    }

    /// Plays a connection and, when that is its end, makes room for the next.
    fn turn(&mut self, slot: u32, seen: Option<Seen>) {
        let token = self.token(slot);
        let State::Open(connection) = &mut self.slots[slot as usize].state else {
            return;
        };
        let script = connection.script;
        let mut player = Player {
            script: &self.scripts[script],
            connection,
            tally: &mut self.tallies[script],
            received: &mut self.received,
        };
        match player.turn(seen) {
            Turn::Waiting => {}
            Turn::Unfinished => {
                if !std::mem::replace(&mut connection.queued, true) {
                    self.ready.push_back(slot);
                }
            }
            Turn::Timed(wait) => {
                let wait = match wait {
                    Wait::Period => self.config.period,
                    Wait::Pause => PAUSE,
                };
                self.timers.arm(self.now, wait, token);
            }
            Turn::Ended(end) => {
                let lived = connection.opened.elapsed();
                let last_word = match connection.last_goaway {
                    Some(code) => LastWord::Goaway(code),
                    None => LastWord::Status(connection.last_status),
                };
                let tally = &mut self.tallies[script];
                match end {
                    End::Fin => tally.add_closed(last_word, false, lived),
                    End::Reset => tally.add_closed(last_word, true, lived),
                    End::Ours => tally.ended += 1,
                }
                self.vacate(slot);
                self.vacant.push_back(slot);
            }
        }
    }

    /// Closes what is left, with a reset: thousands of connections in TIME_WAIT would be in the
    /// way of what comes next.
    fn finish(mut self) -> Vec<Tally> {
        for slot in std::mem::take(&mut self.slots) {
            if let State::Open(connection) = slot.state {
                let tally = &mut self.tallies[connection.script];
                tally.open_at_end += 1;
                let age = self.now.saturating_duration_since(connection.opened);
                tally.oldest_at_end = tally.oldest_at_end.max(age);
                reset_on_close(&connection.socket);
            }
        }
        self.tallies
    }
}
