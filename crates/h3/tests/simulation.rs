//! A client and a server over streams that overtake each other, in pieces of any size: interleaved requests
//! of all kinds, field sections that wait for their table, early and broken responses, requests that are
//! given up, a graceful end. All contents are compared.
//!
//! The client is written here from the RFCs and shares no code with the crate but field compression. A run is
//! determined by its seed; a failing one is printed. `AJAY_SIM_SEEDS=10000` runs more.

#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/server.rs"]
mod server;

use std::collections::{BTreeMap, VecDeque};

use client::Client;
use plan::{Act, Plan, Random};
use server::Server;

#[test]
fn exchanges_survive_any_order_of_streams() {
    let totals = all_seeds(seeds(300), run_over_streams);
    // The simulation is worth something only if everything in it happens.
    assert!(totals.answered > 4 * totals.runs && totals.seen > 4 * totals.runs);
    assert!(totals.cancelled > 0 && totals.broken_off > 0 && totals.early > 0);
    assert!(totals.blocked > totals.runs / 10 && totals.drained > 0);
}

#[test]
fn exchanges_survive_a_lossy_network() {
    let totals = all_seeds(seeds(40), network::run);
    assert!(totals.answered > 3 * totals.runs);
    assert!(totals.lost > totals.runs && totals.repeated > totals.runs);
    assert!(totals.cancelled > 0 && totals.broken_off > 0 && totals.early > 0);
    assert!(totals.blocked > 0 && totals.drained > 0);
}

fn seeds(few: u64) -> u64 {
    let seeds = std::env::var("AJAY_SIM_SEEDS").ok();
    seeds.map_or(few, |seeds| seeds.parse().expect("a number"))
}

fn all_seeds(seeds: u64, run: fn(u64) -> Totals) -> Totals {
    // Seeds do not depend on each other.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let totals = std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads as u64)
            .map(|first| scope.spawn(move || run_all((first..seeds).step_by(threads), run)))
            .collect();
        let mut totals = Totals::default();
        for share in shares {
            match share.join() {
                Ok(done) => totals.add(&done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        totals
    });
    eprintln!("{totals:?}");
    totals
}

/// Runs these, and names the first one that fails.
fn run_all(seeds: impl Iterator<Item = u64>, run: fn(u64) -> Totals) -> Totals {
    let mut totals = Totals::default();
    for seed in seeds {
        match std::panic::catch_unwind(|| run(seed)) {
            Ok(done) => totals.add(&done),
            Err(panic) => {
                eprintln!("failing seed: {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    totals
}

#[derive(Debug, Default)]
struct Totals {
    runs: u64,
    /// Complete responses, compared.
    answered: u64,
    /// Complete requests, compared.
    seen: u64,
    /// By the client.
    cancelled: u64,
    /// By the server.
    broken_off: u64,
    /// Answered before the content was complete.
    early: u64,
    /// Field sections that waited for entries.
    blocked: u64,
    /// Runs that ended with GOAWAY in two phases.
    drained: u64,
    /// Datagrams.
    lost: u64,
    repeated: u64,
}

impl Totals {
    fn of(plan: &Plan, client: &mut Client, server: &mut Server) -> Totals {
        server.finish();
        Totals {
            runs: 1,
            answered: client.finish(plan),
            seen: server.seen,
            cancelled: client.cancelled,
            broken_off: server.broken_off,
            early: server.early,
            blocked: server.blocked,
            drained: u64::from(plan.drains),
            ..Totals::default()
        }
    }

    fn add(&mut self, other: &Totals) {
        self.runs += other.runs;
        self.answered += other.answered;
        self.seen += other.seen;
        self.cancelled += other.cancelled;
        self.broken_off += other.broken_off;
        self.early += other.early;
        self.blocked += other.blocked;
        self.drained += other.drained;
        self.lost += other.lost;
        self.repeated += other.repeated;
    }
}

/// What is under way in one direction: in order on each stream, in any order between them.
#[derive(Default)]
struct Streams(BTreeMap<u64, VecDeque<Act>>);

impl Streams {
    fn push(&mut self, act: Act) {
        let (Act::Bytes(stream, ..) | Act::Reset(stream, _) | Act::Stop(stream, _)) = act;
        let queue = self.0.entry(stream).or_default();
        // A reset overtakes what has not arrived.
        if matches!(act, Act::Reset(..)) {
            queue.retain(|act| matches!(act, Act::Stop(..)));
        }
        queue.push_back(act);
    }

    fn pop(&mut self, random: &mut Random) -> Option<Act> {
        self.0.retain(|_, queue| !queue.is_empty());
        if self.0.is_empty() {
            return None;
        }
        let at = random.below(self.0.len());
        let queue = self.0.values_mut().nth(at)?;
        if let Some(Act::Bytes(stream, bytes, end)) = queue.front_mut()
            && bytes.len() > 1
            && random.one_in(3)
        {
            let rest = bytes.split_off(1 + random.below(bytes.len() - 1));
            let first = Act::Bytes(*stream, std::mem::replace(bytes, rest), false);
            let _ = end;
            return Some(first);
        }
        queue.pop_front()
    }
}

fn run_over_streams(seed: u64) -> Totals {
    let random = &mut Random(seed);
    let plan = Plan::new(random);
    let mut client = Client::new(&plan, random);
    let mut server = Server::new(&plan);
    let (mut there, mut back) = (Streams::default(), Streams::default());
    for step in 0.. {
        assert!(step < 2_000_000, "the simulation does not end");
        let first = random.below(5);
        let progress = (0..5).any(|other| match (first + other) % 5 {
            0 => client.begin(&plan, random),
            1 => client
                .act(&plan, random)
                .map(|act| there.push(act))
                .is_some(),
            2 => there
                .pop(random)
                .map(|act| server.receive(&plan, act))
                .is_some(),
            3 => server.turn(&plan, random),
            _ => back
                .pop(random)
                .map(|act| {
                    client
                        .receive(act)
                        .into_iter()
                        .for_each(|act| there.push(act))
                })
                .is_some(),
        });
        if !progress {
            if !plan.drains || server.is_drained() {
                break;
            }
            server.drain();
        }
        server.output.drain(..).for_each(|act| back.push(act));
    }
    Totals::of(&plan, &mut client, &mut server)
}
