//! The loop that plays floods of QUIC and HTTP/3 on many ports.
//!
//! One thread, one epoll instance, a socket for each place. Datagrams are made as they are sent, since each packet
//! has a number and is sealed; what of a burst has one length leaves in one call. A socket never holds an
//! attacker up: what the server's does not take is lost, and the attacker does not care.

mod flood;
mod scripts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::tally::{LastWord, Tally};
use super::{Kind, Tallies};
use crate::events::{Poller, Timers, Token};
use crate::loopback::Sources;
use crate::quic::peer::{Peer, State, Windows};
use crate::quic::socket::{Batch, RECEIVE_BYTES, Udp};
use crate::quic::{Random, tls};
use crate::{Error, Loopback, Result};
use flood::{Next, Progress};
use scripts::Script;

/// Handshakes that may be under way: more would only wait for each other.
const CONNECTING_MAX: usize = 256;
/// After this long without a word of the server a connection is given up.
const SILENCE: Duration = Duration::from_secs(2);
/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Config {
    pub(super) kind: Kind,
    pub(super) address: Loopback,
    pub(super) path: String,
    pub(super) sources: Sources,
    pub(super) first_serial: u64,
    pub(super) connections: usize,
    pub(super) until: Instant,
    pub(super) period: Duration,
    /// The target is a sink: nobody answers.
    pub(super) blind: bool,
}

/// Plays until the time is over or somebody says stop. One tally for each script.
pub(super) fn run(config: &Config, stop: &AtomicBool) -> Result<Tallies> {
    let scripts = scripts::scripts(config.kind);
    let mut swarm = Swarm::new(config, &scripts)?;
    swarm.play(stop)?;
    let variants = scripts.iter().map(|script| script.variant);
    Ok(variants.zip(swarm.finish()).collect())
}

struct Swarm<'a> {
    config: &'a Config,
    scripts: &'a [Script],
    tls: Arc<rustls::ClientConfig>,
    /// What every client says first, and the identifier that it names.
    hello: Vec<u8>,
    hello_id: [u8; 8],
    poller: Poller,
    timers: Timers,
    slots: Vec<Slot>,
    tallies: Vec<Tally>,
    random: Random,
    now: Instant,
    serial: u64,
    connecting: usize,
    vacant: VecDeque<u32>,
    ready: VecDeque<u32>,
    batch: Batch,
    received: Vec<u8>,
}

struct Slot {
    generation: u32,
    place: Option<Place>,
    is_queued: bool,
}

/// A port, and perhaps a connection.
struct Place {
    script: usize,
    socket: Udp,
    peer: Option<Peer>,
    progress: Progress,
    opened: Instant,
    heard: Instant,
    /// When there is something to send again, where that is not at once.
    due: Option<Instant>,
    /// When it is looked at whether the server is silent.
    look_at: Instant,
    /// Its handshake is not over.
    is_connecting: bool,
    /// Until the server has reason to believe in the address: what was sent, and what came.
    unproved: Option<(u64, u64)>,
}

impl<'a> Swarm<'a> {
    fn new(config: &'a Config, scripts: &'a [Script]) -> Result<Swarm<'a>> {
        let slots = (0..config.connections).map(|_| Slot {
            generation: 0,
            place: None,
            is_queued: false,
        });
        let tls = tls::config()?;
        let mut random = Random::of_this_run(config.first_serial);
        let mut batch = Batch::default();
        let windows = Windows {
            connection: 0,
            stream: 0,
        };
        let (hello, hello_id) = Peer::connect(&tls, windows, &mut random, &mut batch)
            .map(|peer| (peer.hello().to_vec(), peer.own_id()))
            .ok_or_else(|| Error::program("TLS", "no first message"))?;
        batch.clear();
        Ok(Swarm {
            config,
            scripts,
            tls,
            hello,
            hello_id,
            poller: Poller::new()?,
            timers: Timers::default(),
            slots: slots.collect(),
            tallies: vec![Tally::default(); scripts.len()],
            random,
            now: Instant::now(),
            serial: config.first_serial,
            connecting: 0,
            vacant: (0..config.connections as u32).collect(),
            ready: VecDeque::with_capacity(config.connections),
            batch,
            received: vec![0; RECEIVE_BYTES],
        })
    }

    fn play(&mut self, stop: &AtomicBool) -> Result<()> {
        loop {
            self.now = Instant::now();
            if self.now >= self.config.until || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            while let Some(token) = self.timers.take_due(self.now) {
                self.timer(token)?;
            }
            self.open_vacant()?;
            for _ in 0..self.ready.len().min(READY_PER_TURN) {
                if let Some(slot) = self.ready.pop_front() {
                    self.slots[slot as usize].is_queued = false;
                    self.pump(slot)?;
                }
            }
            let can_open = !self.vacant.is_empty() && self.connecting < CONNECTING_MAX;
            let patience = match can_open || !self.ready.is_empty() {
                true => Duration::ZERO,
                false => {
                    let next = self.timers.next().unwrap_or(self.config.until);
                    next.saturating_duration_since(self.now).min(LOOK)
                }
            };
            for at in 0..self.poller.wait(patience)? {
                let (token, _) = self.poller.get(at);
                if self.slots[token.slot as usize].generation == token.generation {
                    self.receive(token.slot)?;
                }
            }
        }
    }

    fn open_vacant(&mut self) -> Result<()> {
        while self.connecting < CONNECTING_MAX
            && let Some(slot) = self.vacant.pop_front()
        {
            self.open(slot)?;
        }
        Ok(())
    }

    fn open(&mut self, slot: u32) -> Result<()> {
        let at = slot as usize;
        let mut script = at;
        if self.slots.len() < self.scripts.len() {
            script += self.slots[at].generation as usize;
        }
        let script = script % self.scripts.len();
        let token = self.token(slot);
        let Ok(socket) = Udp::connect(self.config.address, self.config.sources, self.serial) else {
            self.tallies[script].connect_failed += 1;
            self.timers.arm(self.now, LOOK, token);
            return Ok(());
        };
        self.serial += 1;
        self.poller.add(&socket, token)?;
        let Script { flood, windows, .. } = &self.scripts[script];
        let peer = match (flood.needs_connection(), self.config.blind) {
            (false, _) => None,
            (true, true) => Peer::blind(&mut self.random),
            (true, false) => Peer::connect(&self.tls, *windows, &mut self.random, &mut self.batch),
        };
        let is_connecting = peer
            .as_ref()
            .is_some_and(|peer| peer.state == State::Handshake);
        self.connecting += usize::from(is_connecting);
        if !is_connecting {
            self.tallies[script].opened += 1;
        }
        self.slots[at].place = Some(Place {
            script,
            socket,
            peer,
            progress: Progress::default(),
            opened: self.now,
            heard: self.now,
            due: None,
            look_at: self.now + SILENCE,
            is_connecting,
            unproved: (!self.config.blind).then_some((0, 0)),
        });
        self.flush(slot);
        self.timers.arm(self.now, SILENCE, token);
        if !is_connecting {
            self.queue(slot);
        }
        Ok(())
    }

    fn token(&self, slot: u32) -> Token {
        Token {
            slot,
            generation: self.slots[slot as usize].generation,
        }
    }

    fn queue(&mut self, slot: u32) {
        if !std::mem::replace(&mut self.slots[slot as usize].is_queued, true) {
            self.ready.push_back(slot);
        }
    }

    /// Sends what is in the batch.
    fn flush(&mut self, slot: u32) {
        let Some(place) = &mut self.slots[slot as usize].place else {
            return self.batch.clear();
        };
        let tally = &mut self.tallies[place.script];
        tally.datagrams_sent += self.batch.len() as u64;
        let sent = self.batch.flush(&place.socket);
        tally.bytes_sent += sent;
        if let Some((out, _)) = &mut place.unproved {
            *out += sent;
        }
    }

    fn timer(&mut self, token: Token) -> Result<()> {
        let slot = &mut self.slots[token.slot as usize];
        if slot.generation != token.generation {
            return Ok(());
        }
        let Some(place) = &mut slot.place else {
            self.vacant.push_back(token.slot);
            return Ok(());
        };
        if place.due.is_some_and(|due| due <= self.now) {
            place.due = None;
            return self.pump(token.slot);
        }
        let flood = &self.scripts[place.script].flood;
        let is_silent = self.now >= place.heard + SILENCE;
        let may_wait = place.peer.is_none() || !place.is_connecting && flood.expects_silence();
        if is_silent && !may_wait && !self.config.blind {
            return self.vacate(token.slot, None);
        }
        if place.look_at <= self.now {
            place.look_at = self.now + SILENCE;
            self.timers.arm(self.now, SILENCE, token);
        }
        Ok(())
    }

    /// Sends the next burst of a flood.
    fn pump(&mut self, slot: u32) -> Result<()> {
        let Some(place) = &mut self.slots[slot as usize].place else {
            return Ok(());
        };
        if place.due.is_some() {
            if let Some(peer) = &mut place.peer {
                peer.acknowledge(&mut self.batch);
            }
            self.flush(slot);
            return Ok(());
        }
        let mut hand = flood::Hand {
            path: &self.config.path,
            hello: &self.hello,
            hello_id: &self.hello_id,
            random: &mut self.random,
            batch: &mut self.batch,
            age: self.now.saturating_duration_since(place.opened),
        };
        let flood = &self.scripts[place.script].flood;
        let next = match &mut place.peer {
            Some(peer) => flood.burst(peer, &mut place.progress, &mut hand),
            None => flood.stray(&mut place.progress, &mut hand),
        };
        self.flush(slot);
        let token = self.token(slot);
        match next {
            Next::Again => self.queue(slot),
            Next::AgainFromElsewhere => {
                self.move_on(slot)?;
                self.queue(slot);
            }
            Next::AfterPeriod => {
                if let Some(place) = &mut self.slots[slot as usize].place {
                    place.due = Some(self.now + self.config.period);
                }
                self.timers.arm(self.now, self.config.period, token);
            }
            // The sink will never say anything.
            Next::WhenHeard if self.config.blind => self.queue(slot),
            Next::WhenHeard => {}
            Next::End => return self.vacate(slot, None),
        }
        Ok(())
    }

    /// Takes another port.
    fn move_on(&mut self, slot: u32) -> Result<()> {
        let token = self.token(slot);
        let socket = Udp::connect(self.config.address, self.config.sources, self.serial);
        if let (Ok(socket), Some(place)) = (socket, &mut self.slots[slot as usize].place) {
            self.poller.add(&socket, token)?;
            place.socket = socket;
        }
        Ok(())
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let mut received = std::mem::take(&mut self.received);
        while let Some(place) = &mut self.slots[slot as usize].place {
            let Some((len, stride)) = place.socket.receive(&mut received) else {
                break;
            };
            place.heard = self.now;
            let tally = &mut self.tallies[place.script];
            tally.bytes_received += len as u64;
            if let Some((sent, came)) = &mut place.unproved {
                *came += len as u64;
                tally.add_amplification(*came, *sent);
            }
            let Some(peer) = &mut place.peer else {
                continue;
            };
            for datagram in received[..len].chunks_mut(stride) {
                // What cannot be understood is passed over.
                let _ = peer.receive(datagram, &mut self.batch);
            }
            if !peer.token().is_empty() || peer.state != State::Handshake {
                place.unproved = None;
            }
            self.heard(slot)?;
        }
        self.received = received;
        Ok(())
    }

    /// Goes on after the server has said something.
    fn heard(&mut self, slot: u32) -> Result<()> {
        let Some(place) = &mut self.slots[slot as usize].place else {
            return Ok(());
        };
        let Some(peer) = &mut place.peer else {
            return Ok(());
        };
        let flood = &self.scripts[place.script].flood;
        let state = peer.state;
        let holds_back = flood.stays_half_open() && state != State::Handshake;
        if holds_back {
            // What would end the handshake is kept.
            self.batch.clear();
        }
        let is_through = state != State::Handshake || flood.stays_half_open() && peer.is_answered();
        if place.is_connecting && is_through {
            place.is_connecting = false;
            self.connecting -= 1;
            self.tallies[place.script].opened += 1;
        }
        self.flush(slot);
        match state {
            State::Closed(close) => self.vacate(slot, Some(LastWord::Close(close))),
            State::Open => {
                self.queue(slot);
                Ok(())
            }
            State::Handshake => Ok(()),
        }
    }

    /// The end of a connection; there will be another one.
    fn vacate(&mut self, slot: u32, word: Option<LastWord>) -> Result<()> {
        let own = &mut self.slots[slot as usize];
        own.generation = own.generation.wrapping_add(1);
        let Some(place) = own.place.take() else {
            return Ok(());
        };
        self.batch.clear();
        let tally = &mut self.tallies[place.script];
        if place.is_connecting {
            self.connecting -= 1;
            tally.connect_failed += 1;
        } else {
            match word {
                Some(word) => {
                    let lived = self.now.saturating_duration_since(place.opened);
                    tally.add_closed(word, word.is_reset(), lived);
                }
                None => tally.ended += 1,
            }
        }
        self.vacant.push_back(slot);
        Ok(())
    }

    fn finish(mut self) -> Vec<Tally> {
        for slot in std::mem::take(&mut self.slots) {
            if let Some(place) = slot.place
                && !place.is_connecting
            {
                let tally = &mut self.tallies[place.script];
                tally.open_at_end += 1;
                let age = self.now.saturating_duration_since(place.opened);
                tally.oldest_at_end = tally.oldest_at_end.max(age);
            }
        }
        self.tallies
    }
}

/// Bursts between two looks at what came.
const READY_PER_TURN: usize = 16;
