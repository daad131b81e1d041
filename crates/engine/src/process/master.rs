//! The master: starts worker processes, keeps them running, and ends them.
//!
//! # States of a place
//!
//! One place for each process number.
//!
//! | state | the process | its sockets are served by |
//! |---|---|---|
//! | starting | runs, has not said `Ready` | who served them before, or nobody at the first start |
//! | up | serves | itself |
//! | stopped | was sent SIGSTOP, for longer than [`STOPPED_MAX`] | another process |
//! | down | has ended; is started again at `restart_at` | another process |
//!
//! The sockets of a process are never closed before the server's end, because the master has them too:
//! who connects while it is down waits in their queues, until another process takes over, which is at
//! once. The first start is all or nothing: a process that ends before it is ready ends the server.
//! Later such a process is started again, after a pause that doubles each time.

mod spawn;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::runtime::LocalRuntime;
use tokio::signal::unix::{SignalKind, signal};

use super::{Channel, Message};
use crate::admission::forget_addresses;
use crate::config::Config;
use crate::counters::Counter;
use crate::handle::{Control, Shared};
use crate::link::Command;
use crate::listener::Sockets;
use crate::quic;
use crate::start::StartError;
use crate::tls::Entries;

pub(crate) struct Master {
    config: Arc<Config>,
    entries: Arc<Entries>,
    /// When the keys of session tickets are looked at, where there are any.
    tickets_at: Option<Instant>,
    shared: Arc<Shared>,
    /// For each process, for each of its workers.
    sockets: Vec<Vec<Sockets>>,
    /// What all of them need to speak QUIC, where they do.
    quic: Option<quic::Shared>,
    places: Vec<Place>,
    /// All processes have been ready at once.
    has_started: bool,
    ending: Option<Ending>,
    cut: usize,
}

#[derive(Default)]
struct Place {
    child: Option<Child>,
    /// Who serves its sockets.
    served_by: Option<usize>,
    /// That one serves its UDP sockets too, because it reads from them no more.
    udp_is_served: bool,
    /// How often it was started.
    starts: u8,
    /// When it is started again.
    restart_at: Option<Instant>,
    /// How often in a row it ended soon after its start.
    failures: u32,
}

struct Child {
    /// Valid until we have waited for its end, and dropped with it.
    pid: Pid,
    /// For sending.
    channel: Channel,
    /// The same socket, to wait for what is received; none when there is nothing more to come.
    incoming: Option<UnixStream>,
    started: Instant,
    is_ready: bool,
    /// It was told to end, or told us that it ends.
    is_leaving: bool,
    /// Since when it has been stopped by a signal.
    stopped: Option<Instant>,
    /// Others do its work while it is stopped.
    is_replaced: bool,
    /// When it said that it had been sent SIGTERM.
    signalled: Option<Instant>,
}

/// The server's end.
struct Ending {
    /// When the sockets are let go, which is when the processes turn clients away.
    close_at: Instant,
    /// When what is left is killed.
    kill_at: Instant,
    command: Command,
}

/// A process that is stopped by a signal for longer than this has its sockets served by another one.
const STOPPED_MAX: Duration = Duration::from_millis(200);

/// A process that ran for this long is started again at once when it ends: it is no loop of failures.
const RUN_LONG: Duration = Duration::from_secs(1);

/// The pause before a process that failed soon after its start is started again; doubled with each
/// further failure, up to the second one. A program that fails at every start must not keep the machine
/// busy, and one that waits for a database should come up soon after it.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);

/// When what could not be done is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How often the age of the keys of session tickets is looked at.
const TICKETS_PAUSE: Duration = Duration::from_secs(60);

/// Processes end by themselves, with what a drain may take; after this much longer they are killed.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// SIGTERM to a process is passed on to the master, which waits for this long whether it is sent one
/// too: service managers send it to every process of a service at once.
const SIGNALLED_PAUSE: Duration = Duration::from_millis(200);

impl Master {
    /// `listeners` has a list for each worker of each process.
    pub(crate) fn new(
        config: Arc<Config>,
        entries: Arc<Entries>,
        shared: Arc<Shared>,
        sockets: Vec<Sockets>,
        quic: Option<quic::Shared>,
    ) -> Master {
        let shape = shared.mapping.shape();
        let mut sockets = sockets.into_iter();
        let mut of_one_process = || sockets.by_ref().take(shape.threads).collect();
        Master {
            config,
            tickets_at: entries.is_any_tls().then(Instant::now),
            entries,
            shared,
            sockets: (0..shape.processes).map(|_| of_one_process()).collect(),
            quic,
            places: (0..shape.processes).map(|_| Place::default()).collect(),
            has_started: false,
            ending: None,
            cut: 0,
        }
    }

    /// Starts the processes, and returns when all have ended, with the number of connections that
    /// were cut.
    pub(crate) fn run(mut self, with_signals: bool) -> Result<usize, StartError> {
        let system = |what| move |error| StartError::System { what, error };
        let runtime = LocalRuntime::new().map_err(system("starting a tokio runtime"))?;
        runtime.block_on(async {
            let watch = |kind| signal(kind).map_err(system("watching for signals"));
            let mut children = watch(SignalKind::child())?;
            let mut end = if with_signals {
                Some((
                    watch(SignalKind::terminate())?,
                    watch(SignalKind::interrupt())?,
                ))
            } else {
                None
            };
            for process in 0..self.places.len() {
                self.start(process).map_err(system("starting a process"))?;
            }
            loop {
                let due = self.next_deadline();
                tokio::select! {
                    _ = children.recv() => self.look_at_children()?,
                    () = any_signal(&mut end) => self.signalled(),
                    () = self.shared.control.commanded() => {}
                    process = std::future::poll_fn(|cx| self.poll_incoming(cx)) => {
                        self.receive(process);
                    }
                    () = sleep_until(due) => {}
                }
                self.obey();
                self.look_at_clock();
                if self.is_done() {
                    return Ok(self.cut);
                }
            }
        })
    }

    fn signalled(&mut self) {
        let is_second = self.ending.is_some();
        tracing::info!(by_force = is_second, "stopping on a signal");
        self.end(if is_second {
            Command::Stop
        } else {
            Command::Drain
        });
    }

    /// Carries out what a handle asked for.
    fn obey(&mut self) {
        if let Control::Master(orders) = &self.shared.control {
            let command = orders.current();
            if command > Command::Run {
                self.end(command);
            }
        }
    }

    /// Begins the end of the server, or hastens it.
    fn end(&mut self, command: Command) {
        let deadlines = &self.config.deadlines;
        let now = Instant::now();
        let (delay, drain) = match command {
            Command::Run | Command::Retire => return,
            Command::Drain => (deadlines.drain_delay, deadlines.drain_timeout),
            Command::DrainNow => (Duration::ZERO, deadlines.drain_timeout),
            Command::Stop => (Duration::ZERO, Duration::ZERO),
        };
        let next = Ending {
            close_at: now + delay,
            kill_at: now + delay + drain + KILL_GRACE,
            command,
        };
        match &self.ending {
            Some(before) if before.command >= command => return,
            Some(before) => {
                self.ending = Some(Ending {
                    close_at: before.close_at.min(next.close_at),
                    kill_at: before.kill_at.min(next.kill_at),
                    command,
                });
            }
            None => self.ending = Some(next),
        }
        self.shared.set_draining();
        for place in &mut self.places {
            place.restart_at = None;
        }
        for process in 0..self.places.len() {
            self.tell(process, Message::Command(command));
        }
    }

    fn is_done(&self) -> bool {
        self.ending.is_some() && self.places.iter().all(|place| place.child.is_none())
    }

    /// Sends a message to a process. One that does not read any more is killed: what it was to do
    /// can be relied on, or it is gone.
    fn tell(&mut self, process: usize, message: Message) {
        let Some(child) = &mut self.places[process].child else {
            return;
        };
        if matches!(message, Message::Command(_)) {
            child.is_leaving = true;
        }
        match child.channel.send(message, &[]) {
            Ok(()) => {}
            // It has ended, which we are about to learn.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                tracing::error!(%error, process, "a process does not listen to its master; killed");
                child.kill();
            }
        }
    }

    /// The first process that has something to say.
    fn poll_incoming(&self, cx: &mut Context<'_>) -> Poll<usize> {
        for (process, place) in self.places.iter().enumerate() {
            let incoming = place
                .child
                .as_ref()
                .and_then(|child| child.incoming.as_ref());
            if let Some(incoming) = incoming
                && incoming.poll_read_ready(cx).is_ready()
            {
                return Poll::Ready(process);
            }
        }
        Poll::Pending
    }

    fn receive(&mut self, process: usize) {
        loop {
            let Some(child) = &mut self.places[process].child else {
                return;
            };
            let Some(incoming) = &child.incoming else {
                return;
            };
            let channel = &child.channel;
            match incoming.try_io(Interest::READABLE, || channel.receive()) {
                Ok(Some((message, _))) => self.heard(process, message),
                // Its end is told by SIGCHLD; that it has closed its channel means nothing else.
                Ok(None) => child.incoming = None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::error!(%error, process, "a process talks nonsense; killed");
                    child.incoming = None;
                    child.kill();
                }
            }
        }
    }

    fn heard(&mut self, process: usize, message: Message) {
        let Some(child) = &mut self.places[process].child else {
            return;
        };
        match message {
            Message::Ready => {
                child.is_ready = true;
                self.release(process);
                self.note_start();
            }
            Message::Ask(command) => self.end(command),
            Message::Signalled => child.signalled = Some(Instant::now()),
            Message::Ended { cut } => {
                child.is_leaving = true;
                self.cut += cut as usize;
            }
            other => tracing::error!(process, ?other, "a process sent what only a master sends"),
        }
    }

    fn note_start(&mut self) {
        let is_ready = |place: &Place| place.child.as_ref().is_some_and(|child| child.is_ready);
        if !self.has_started && self.places.iter().all(is_ready) {
            self.has_started = true;
            tracing::info!(processes = self.places.len(), "all processes are ready");
            self.shared.ready();
        }
    }

    /// Learns which processes have ended, were stopped, or go on.
    fn look_at_children(&mut self) -> Result<(), StartError> {
        for process in 0..self.places.len() {
            while let Some(child) = &mut self.places[process].child {
                let options = WaitIdOptions::EXITED
                    | WaitIdOptions::STOPPED
                    | WaitIdOptions::CONTINUED
                    | WaitIdOptions::NOHANG;
                match rustix::process::waitid(WaitId::Pid(child.pid), options) {
                    Ok(None) => break,
                    Ok(Some(status)) if status.stopped() => child.stopped = Some(Instant::now()),
                    Ok(Some(status)) if status.continued() => {
                        child.stopped = None;
                        child.is_replaced = false;
                        if child.is_ready {
                            self.release(process);
                        }
                    }
                    Ok(Some(status)) => self.ended(process, Some(&status))?,
                    Err(rustix::io::Errno::INTR) => {}
                    // Somebody else has waited for our child.
                    Err(_) => self.ended(process, None)?,
                }
            }
        }
        Ok(())
    }

    /// A process has ended.
    fn ended(&mut self, process: usize, status: Option<&WaitIdStatus>) -> Result<(), StartError> {
        // What it said last is still to be read.
        self.receive(process);
        let Some(child) = self.places[process].child.take() else {
            return Ok(());
        };
        let how = End(status);
        let lost = self.settle(process, !child.is_leaving);
        if self.ending.is_some() {
            self.cut += lost as usize;
            return Ok(());
        }
        if !child.is_ready && !self.has_started {
            return Err(StartError::ProcessFailed {
                how: how.to_string(),
            });
        }
        if child.is_leaving {
            tracing::info!(process, "a process has ended; it is started again");
        } else {
            tracing::error!(process, lost, "a process {how}; it is started again");
        }
        let place = &mut self.places[process];
        place.failures = if child.started.elapsed() >= RUN_LONG {
            0
        } else {
            place.failures.saturating_add(1)
        };
        place.restart_at = Some(Instant::now() + pause(place.failures));
        self.do_without(process);
        Ok(())
    }

    /// Finds somebody else for the sockets of a process that cannot serve, and for those that it
    /// served for others.
    fn do_without(&mut self, process: usize) {
        for other in 0..self.places.len() {
            let place = &mut self.places[other];
            let is_orphaned = place.served_by.take_if(|by| *by == process).is_some();
            if is_orphaned {
                place.udp_is_served = false;
            }
            if is_orphaned || other == process {
                self.serve_elsewhere(other);
            }
        }
    }

    /// Corrects what a process that is gone left in the shared mapping, and returns how many
    /// connections went with it.
    fn settle(&self, process: usize, is_crash: bool) -> u64 {
        let mapping = &self.shared.mapping;
        forget_addresses(mapping, process);
        let threads = mapping.shape().threads;
        let mut lost = 0;
        for worker in process * threads..(process + 1) * threads {
            let slot = mapping.slot(worker);
            let open = slot.open_connections();
            slot.add(Counter::ConnectionsClosed, open);
            slot.add(Counter::ConnectionsLost, open);
            lost += open;
        }
        if is_crash {
            mapping
                .slot(process * threads)
                .count(Counter::ProcessCrashes);
        }
        lost
    }

    /// Lets another process serve the sockets of one that cannot. One that is only on its way out goes on
    /// reading from its UDP sockets, for the connections that it has.
    fn serve_elsewhere(&mut self, process: usize) {
        if self.ending.is_some() {
            return;
        }
        if self.places[process].served_by.is_some() {
            return self.serve_udp_elsewhere(process);
        }
        let processes = self.places.len();
        let next = (1..processes).map(|step| (process + step) % processes);
        let is_up = |other: &usize| self.places[*other].child.as_ref().is_some_and(Child::is_up);
        let Some(other) = next.into_iter().find(is_up) else {
            return;
        };
        let Some(child) = &self.places[other].child else {
            return;
        };
        match spawn::send_adopted(&child.channel, process, &self.sockets[process]) {
            Ok(()) => {
                self.places[process].served_by = Some(other);
                self.serve_udp_elsewhere(process);
            }
            Err(error) => {
                tracing::error!(%error, process, "no process takes over for one that is down");
            }
        }
    }

    fn serve_udp_elsewhere(&mut self, process: usize) {
        let place = &self.places[process];
        let is_reading = place.child.as_ref().is_some_and(|child| !child.is_replaced);
        let other = place
            .served_by
            .and_then(|by| self.places[by].child.as_ref());
        let Some(other) = other.filter(|_| !is_reading && !place.udp_is_served) else {
            return;
        };
        match spawn::send_adopted_udp(&other.channel, process, &self.sockets[process]) {
            Ok(()) => self.places[process].udp_is_served = true,
            Err(error) => {
                tracing::error!(%error, process, "no process takes over UDP for one that is down");
            }
        }
    }

    /// A process serves its own sockets again.
    fn release(&mut self, process: usize) {
        self.places[process].udp_is_served = false;
        if let Some(other) = self.places[process].served_by.take() {
            let process = process as u32;
            self.tell(other, Message::Release { process });
        }
    }

    fn start(&mut self, process: usize) -> io::Result<()> {
        let ticket_keys = self.entries.ticket_keys();
        let sockets = &self.sockets[process];
        let starts = self.places[process].starts;
        let quic = self.quic.as_ref().map(|quic| (quic, starts));
        let mapping = &self.shared.mapping;
        let child = spawn::start(process, mapping, sockets, ticket_keys.as_ref(), quic)?;
        self.places[process].starts = starts.wrapping_add(1);
        tracing::debug!(process, pid = child.pid.as_raw_pid(), "started a process");
        self.places[process].child = Some(child);
        self.places[process].restart_at = None;
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        let of_child = |child: &Child| {
            let stopped = child.stopped.filter(|_| !child.is_replaced);
            let stopped = stopped.map(|since| since + STOPPED_MAX);
            let signalled = child.signalled.map(|at| at + SIGNALLED_PAUSE);
            stopped.into_iter().chain(signalled)
        };
        let of_place = |place: &Place| {
            let of_child = place.child.as_ref().map(of_child);
            of_child.into_iter().flatten().chain(place.restart_at)
        };
        let places = self.places.iter().flat_map(of_place);
        let ending = self.ending.iter().flat_map(|ending| {
            let close = (!self.sockets.is_empty()).then_some(ending.close_at);
            close.into_iter().chain([ending.kill_at])
        });
        let due = places.chain(ending).chain(self.tickets_at).min()?;
        // What is still due although we have just looked is something that could not be done.
        let now = Instant::now();
        Some(if due <= now { now + RETRY_PAUSE } else { due })
    }

    /// Does what is due.
    fn look_at_clock(&mut self) {
        let now = Instant::now();
        if let Some(ending) = &self.ending {
            if ending.close_at <= now {
                // The processes close theirs when their queues are empty.
                self.sockets.clear();
            }
            if ending.kill_at <= now {
                for child in self
                    .places
                    .iter_mut()
                    .filter_map(|place| place.child.as_mut())
                {
                    child.kill();
                }
            }
            return;
        }
        if self.tickets_at.is_some_and(|at| at <= now) {
            self.tickets_at = Some(now + TICKETS_PAUSE);
            self.rotate_ticket_keys();
        }
        for process in 0..self.places.len() {
            self.look_at_place(process, now);
        }
    }

    /// Gives new keys to all processes, when it is time for them.
    fn rotate_ticket_keys(&mut self) {
        let Some(keys) = self.entries.rotate_ticket_keys() else {
            return;
        };
        for (process, place) in self.places.iter().enumerate() {
            if let Some(child) = &place.child
                && let Err(error) = spawn::send_ticket_keys(&child.channel, &keys)
            {
                tracing::warn!(%error, process, "a process does not get new ticket keys");
            }
        }
    }

    fn look_at_place(&mut self, process: usize, now: Instant) {
        let place = &mut self.places[process];
        if let Some(child) = &mut place.child {
            let is_stopped = child
                .stopped
                .is_some_and(|since| since + STOPPED_MAX <= now);
            if is_stopped && !child.is_replaced {
                child.is_replaced = true;
                self.do_without(process);
            } else if child
                .signalled
                .is_some_and(|at| at + SIGNALLED_PAUSE <= now)
            {
                child.signalled = None;
                child.is_ready = false;
                self.serve_elsewhere(process);
                self.tell(process, Message::Command(Command::Retire));
            }
            return;
        }
        if place.restart_at.is_some_and(|at| at <= now)
            && let Err(error) = self.start(process)
        {
            tracing::error!(%error, process, "cannot start a process; trying again");
            let place = &mut self.places[process];
            place.failures = place.failures.saturating_add(1);
            place.restart_at = Some(now + pause(place.failures));
        }
    }
}

impl Drop for Master {
    /// No process stays behind, whatever the reason.
    fn drop(&mut self) {
        for child in self
            .places
            .iter_mut()
            .filter_map(|place| place.child.take())
        {
            child.kill();
            let wait = || rustix::process::waitid(WaitId::Pid(child.pid), WaitIdOptions::EXITED);
            while matches!(wait(), Err(rustix::io::Errno::INTR)) {}
        }
    }
}

impl Child {
    fn is_up(&self) -> bool {
        self.is_ready && !self.is_leaving && self.stopped.is_none()
    }

    fn kill(&self) {
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
    }
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => RESTART_PAUSE
            .saturating_mul(1 << (n - 1).min(16))
            .min(RESTART_PAUSE_MAX),
    }
}

/// How a process ended, for a sentence that begins with it.
struct End<'a>(Option<&'a WaitIdStatus>);

impl std::fmt::Display for End<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.0;
        if let Some(code) = status.and_then(WaitIdStatus::exit_status) {
            return write!(f, "ended with exit code {code}");
        }
        match status.and_then(WaitIdStatus::terminating_signal) {
            Some(signal) => write!(f, "was ended by signal {signal}"),
            None => f.write_str("ended"),
        }
    }
}

type EndSignals = Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>;

async fn any_signal(signals: &mut EndSignals) {
    match signals {
        Some((terminate, interrupt)) => tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        },
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
