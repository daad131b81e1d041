//! Clients that try to use a server up.
//!
//! An attack is data: [`Kind`] names it, `scripts` says what its connections send and when, and
//! one loop (`swarm`) plays the scripts on as many connections as were asked for. A connection
//! that ends is replaced at once, so that the attack goes on at its full width whatever the server
//! does.

mod http3;
mod kind;
mod player;
mod script;
mod scripts;
mod swarm;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use kind::Kind;
pub use tally::{Report, Tally};

use crate::error::within;
use crate::loopback::Sources;
use crate::{Error, Loopback, Protocol, Result, descriptors};

/// Threads of one attack.
const THREADS_MAX: u64 = 64;
/// No attack is longer.
pub const SECONDS_MAX: u64 = 3600;

/// What to attack, how widely and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which attack.
    pub kind: Kind,
    /// Whom.
    pub address: Loopback,
    /// What is asked for, where the attack asks for something.
    pub path: String,
    /// Connections kept up, by all threads together.
    pub connections: usize,
    /// From the first connection to the last.
    pub duration: Duration,
    /// Loops, each on a thread of its own.
    pub threads: usize,
    /// Addresses to come from; 1 leaves the choice to the kernel.
    pub sources: u16,
    /// Between two bytes, or two reads, of attacks that are slow.
    pub period: Duration,
    /// Over QUIC: whom it attacks is a sink, which never answers. Handshakes are taken for complete, and everything
    /// for allowed.
    pub blind: bool,
}

impl Plan {
    /// The attack as it is meant: its usual width, for ten seconds, a byte a second.
    pub fn new(kind: Kind, address: Loopback) -> Plan {
        Plan {
            kind,
            address,
            path: "/".to_owned(),
            connections: kind.connections(),
            duration: Duration::from_secs(10),
            threads: 1,
            sources: 1,
            period: Duration::from_secs(1),
            blind: false,
        }
    }

    fn check(&self) -> Result<()> {
        let connections = self.connections as u64;
        within("connections", connections, 1..=descriptors())?;
        let threads_max = THREADS_MAX.min(connections);
        within("threads", self.threads as u64, 1..=threads_max)?;
        within("seconds", seconds(self.duration), 1..=SECONDS_MAX)
    }
}

/// A part of a second counts as one.
pub(crate) fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}

/// What one thread counted, by variant.
type Tallies = Vec<(&'static str, Tally)>;

/// Attacks, and returns when the time is over.
///
/// # Errors
/// When the plan is out of bounds or the machine does not play along; never because of what the
/// server does.
pub fn run(plan: &Plan) -> Result<Report> {
    start(plan)?.join()
}

/// Attacks in the background.
///
/// # Errors
/// When the plan is out of bounds.
pub fn start(plan: &Plan) -> Result<Running> {
    plan.check()?;
    let sources = Sources::new(plan.sources, plan.address)?;
    // Some are millions of bytes: made once, and before the time begins.
    let scripts: Arc<[_]> = match plan.kind.protocol() {
        Protocol::Http3 => Arc::new([]),
        _ => scripts::scripts(plan.kind, plan.address, &plan.path).into(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let until = Instant::now() + plan.duration;
    let mut threads = Vec::with_capacity(plan.threads);
    for number in 0..plan.threads {
        let share =
            plan.connections / plan.threads + usize::from(number < plan.connections % plan.threads);
        let (plan, stop, scripts) = (plan.clone(), Arc::clone(&stop), Arc::clone(&scripts));
        // So that threads do not walk through the sources in step.
        let first_serial = (number * plan.connections) as u64;
        threads.push(std::thread::spawn(move || {
            if plan.kind.protocol() == Protocol::Http3 {
                let config = http3::Config {
                    kind: plan.kind,
                    address: plan.address,
                    path: plan.path,
                    sources,
                    first_serial,
                    connections: share,
                    until,
                    period: plan.period,
                    blind: plan.blind,
                };
                return http3::run(&config, &stop);
            }
            let config = swarm::Config {
                address: plan.address,
                sources,
                first_serial,
                connections: share,
                until,
                period: plan.period,
            };
            swarm::run(&config, &scripts, &stop)
        }));
    }
    Ok(Running {
        stop,
        threads,
        kind: plan.kind,
    })
}

/// An attack that goes on. It stops when this is dropped, without being waited for.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Tallies>>>,
    kind: Kind,
}

impl Running {
    /// Ends the attack before its time.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As [`run`].
    pub fn join(mut self) -> Result<Report> {
        let mut report = Report::new(self.kind);
        for thread in std::mem::take(&mut self.threads) {
            let tallies = thread.join().map_err(|_| Error::Panicked)??;
            for (variant, tally) in tallies {
                report.add(variant, &tally);
            }
        }
        Ok(report)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
