//! Honest load beside an attack on a server, and the same load beside the same attack on a sink.
//!
//! ```text
//! for each attack: start the server, warm it up, read its counters
//!     for each round, in turn A B, B A, A B ..., and A alone after so many
//!         A  attack the server, ask it honestly beside that; watch its memory and sockets
//!         B  attack the sink,   ask the server honestly beside that
//!     read its counters again, stop it
//! ```
//!
//! The attack and the counting client run in this process, everything else in children that end
//! with it. One server lives through all rounds of an attack, so that memory that grows shows.

mod children;
mod honest;
mod table;
mod watch;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::attack::{self, Kind, Plan, Report};
use crate::error::within;
use crate::{Error, Json, Loopback, Result};
use children::{Child, fill_in, free_port};
pub use honest::{Honest, Load};
pub use table::markdown;
pub use watch::{Memory, Queues};

/// From the start of an attack to the start of the load beside it: most of it stands by then.
const RAMP: Duration = Duration::from_secs(2);
/// Load before the first measurement.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the attack's connections may take to vanish from the server after it.
const QUIET_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two looks at the server's memory.
const LOOK: Duration = Duration::from_millis(200);
/// Longest time of one measurement.
const MEASUREMENT_MAX: u64 = 600;
const ROUNDS_MAX: u64 = 1000;

/// What to compare and how.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The server's program and arguments, with `{port}` where it belongs.
    pub server: Vec<String>,
    /// Which attacks, one after the other.
    pub attacks: Vec<Kind>,
    /// Instead of each attack's own number.
    pub connections: Option<usize>,
    /// What attacks ask for.
    pub path: String,
    /// The load beside them.
    pub load: Load,
    /// How long the load is measured each time.
    pub duration: Duration,
    /// Measurements on the server.
    pub rounds: usize,
    /// The first so many rounds have one on the sink as well.
    pub sink_rounds: usize,
    /// Addresses that attacks come from; at least 2, so that they can be told from the load.
    pub sources: u16,
    /// Threads of the attack.
    pub threads: usize,
    /// CPUs of the server and of the sink; any if empty.
    pub server_cpus: Vec<usize>,
    /// CPUs of the load.
    pub load_cpus: Vec<usize>,
    /// CPUs of the attack.
    pub attack_cpus: Vec<usize>,
    /// A shell command that prints `name value` lines, with `{pid}` for the server's process.
    pub counters: Option<String>,
    /// The sink's program and arguments, with `{port}` where it belongs.
    pub sink: Vec<String>,
}

/// What came of one attack.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The attack.
    pub kind: Kind,
    /// Its width.
    pub connections: usize,
    /// Measurements on the server and on the sink.
    pub rounds: Vec<Round>,
    /// Counters of the server that grew, by how much.
    pub counters: BTreeMap<String, u64>,
}

/// One measurement of each kind.
#[derive(Clone, Debug)]
pub struct Round {
    /// The server attacked.
    pub on_server: Measured,
    /// The sink attacked, in the same round.
    pub on_sink: Option<Measured>,
    /// The server's memory around and during the attack on it.
    pub memory: Memory,
    /// What the kernel held for the attack's connections.
    pub queues: Queues,
}

/// The load and the attack beside it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What honest clients got.
    pub honest: Honest,
    /// What the attacker saw.
    pub attack: Report,
}

impl Scenario {
    /// What was run, with what came of it.
    pub fn json(&self, outcomes: &[Outcome]) -> Json {
        let words = self.server.iter().map(|word| word.as_str().into());
        let cpus = |cpus: &[usize]| Json::List(cpus.iter().map(|c| (*c as u64).into()).collect());
        Json::object([
            ("server", Json::List(words.collect())),
            ("load", format!("{:?}", self.load).into()),
            ("path", self.path.as_str().into()),
            ("seconds", self.duration.as_secs().into()),
            ("sink_rounds", (self.sink_rounds as u64).into()),
            ("sources", self.sources.into()),
            ("threads", (self.threads as u64).into()),
            ("server_cpus", cpus(&self.server_cpus)),
            ("load_cpus", cpus(&self.load_cpus)),
            ("attack_cpus", cpus(&self.attack_cpus)),
            ("outcomes", table::json(outcomes)),
        ])
    }

    fn check(&self) -> Result<()> {
        within("rounds", self.rounds as u64, 1..=ROUNDS_MAX)?;
        within(
            "sink rounds",
            self.sink_rounds as u64,
            1..=self.rounds as u64,
        )?;
        within("seconds", self.duration.as_secs(), 1..=MEASUREMENT_MAX)?;
        // One would be the honest clients' own.
        within(
            "sources",
            self.sources.into(),
            2..=crate::SOURCES_MAX.into(),
        )
    }

    /// Runs all attacks; `done` is told of each.
    ///
    /// # Errors
    /// When a program cannot be started or does not do what it is for.
    pub fn run(&self, mut done: impl FnMut(&Outcome)) -> Result<Vec<Outcome>> {
        self.check()?;
        // Said to each program in words: it would inherit where this thread happens to be.
        let all = allowed_cpus()?;
        let or_all = |cpus: &Vec<usize>| if cpus.is_empty() { &all } else { cpus }.clone();
        let placed = Scenario {
            server_cpus: or_all(&self.server_cpus),
            load_cpus: or_all(&self.load_cpus),
            attack_cpus: or_all(&self.attack_cpus),
            ..self.clone()
        };
        let mut outcomes = Vec::with_capacity(self.attacks.len());
        for kind in &self.attacks {
            let outcome = placed.attack(*kind)?;
            done(&outcome);
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn attack(&self, kind: Kind) -> Result<Outcome> {
        let sink = self.start(&self.sink)?;
        let server = self.start(&self.server)?;
        self.honest(server.address(), WARM_UP)?;
        let before = self.counters(&server)?;
        let mut rounds = Vec::with_capacity(self.rounds);
        for number in 0..self.rounds {
            let sink = (number < self.sink_rounds).then_some(sink.address());
            rounds.push(self.round(kind, &server, sink, number % 2 == 1)?);
        }
        let mut counters = self.counters(&server)?;
        counters.retain(|name, after| {
            *after = after.saturating_sub(before.get(name).copied().unwrap_or(0));
            *after > 0
        });
        Ok(Outcome {
            kind,
            connections: self.connections.unwrap_or(kind.connections()),
            rounds,
            counters,
        })
    }

    fn start(&self, command: &[String]) -> Result<Child> {
        let address = free_port()?;
        let mut child = Child::start(&fill_in(command, address), &self.server_cpus, address)?;
        child.wait_until_it_listens()?;
        Ok(child)
    }

    fn round(
        &self,
        kind: Kind,
        server: &Child,
        sink: Option<Loopback>,
        sink_first: bool,
    ) -> Result<Round> {
        let on_sink = |sink| self.measure(kind, server, sink, || {});
        let first = sink.filter(|_| sink_first).map(on_sink).transpose()?;
        let mut memory = Memory::before(server.id())?;
        let mut queues = Queues::default();
        let mut looks = 0;
        let port = server.address().get().port();
        let on_server = self.measure(kind, server, server.address(), || {
            memory.look(server.id());
            // Listing thousands of sockets costs what a look at the memory does not.
            looks += 1;
            if looks % 10 == 0 {
                queues.look(port);
            }
        })?;
        watch::wait_until_quiet(port, QUIET_TIMEOUT);
        memory.after(server.id())?;
        let on_sink = match first {
            Some(measured) => Some(measured),
            None => sink.map(on_sink).transpose()?,
        };
        Ok(Round {
            on_server,
            on_sink,
            memory,
            queues,
        })
    }

    /// Attacks `target` while the server is asked honestly.
    fn measure(
        &self,
        kind: Kind,
        server: &Child,
        target: Loopback,
        mut look: impl FnMut(),
    ) -> Result<Measured> {
        pin(&self.attack_cpus)?;
        let attack = attack::start(&Plan {
            path: self.path.clone(),
            connections: self.connections.unwrap_or(kind.connections()),
            // Stopped when the load is done.
            duration: RAMP + self.duration + MARGIN,
            threads: self.threads,
            sources: self.sources,
            blind: target != server.address(),
            ..Plan::new(kind, target)
        })?;
        pin(&self.load_cpus)?;
        let until = Instant::now() + RAMP;
        while Instant::now() < until {
            std::thread::sleep(LOOK);
            look();
        }
        let load = self.load.clone();
        let (address, duration) = (server.address(), self.duration);
        let cpus = self.load_cpus.clone();
        let honest = std::thread::spawn(move || load.run(address, duration, &cpus));
        while !honest.is_finished() {
            std::thread::sleep(LOOK);
            look();
        }
        let honest = honest.join().map_err(|_| Error::Panicked)?;
        attack.stop();
        Ok(Measured {
            attack: attack.join()?,
            honest: honest?,
        })
    }

    fn honest(&self, address: Loopback, duration: Duration) -> Result<Honest> {
        pin(&self.load_cpus)?;
        self.load.run(address, duration, &self.load_cpus)
    }

    fn counters(&self, server: &Child) -> Result<BTreeMap<String, u64>> {
        let Some(command) = &self.counters else {
            return Ok(BTreeMap::new());
        };
        watch::counters(&command.replace("{pid}", &server.id().to_string()))
    }
}

/// Longer than the load takes to start and stop.
const MARGIN: Duration = Duration::from_secs(15);

/// Restricts this thread, and the threads it will start.
fn pin(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        within("as a CPU", *cpu as u64, 0..=CpuSet::MAX_CPU as u64 - 1)?;
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).map_err(|error| Error::system(format!("run on {cpus:?}"), error))
}

fn allowed_cpus() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)
        .map_err(|error| Error::system("ask which CPUs there are", error))?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|cpu| set.is_set(*cpu))
        .collect())
}

/// The middle one of some measurements, and of two the mean.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[low] + values[high]) / 2.0)
}

#[cfg(test)]
mod tests;
