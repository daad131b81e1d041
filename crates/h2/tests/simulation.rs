//! A client and a server on a simulated link: interleaved requests of all kinds, small windows that
//! starve and are opened late, resets from both sides, a network that cuts.
//!
//! The client is written here from the RFC and shares no code with the crate but field compression.
//! It keeps books of every window. A run is determined by its seed; a failing one is printed.
//! `AJAY_SIM_SEEDS=10000` runs more.

#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/server.rs"]
mod server;

use client::Client;
use server::Server;

#[test]
fn exchanges_survive_any_interleaving() {
    let seeds =
        std::env::var("AJAY_SIM_SEEDS").map_or(100, |seeds| seeds.parse().expect("a number"));
    // Seeds do not depend on each other.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let totals = std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads as u64)
            .map(|first| scope.spawn(move || run_all((first..seeds).step_by(threads))))
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
    // The simulation is worth something only if everything in it happens.
    assert!(totals.answered > 3 * seeds && totals.cancelled > 0 && totals.reset > 0);
    assert!(totals.starved > 0 && totals.early > 0 && totals.drained > 0);
}

/// Runs these, and names the first one that fails.
fn run_all(seeds: impl Iterator<Item = u64>) -> Totals {
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
    answered: u64,
    /// By the client.
    cancelled: u64,
    /// By the server.
    reset: u64,
    /// Answered before the content was complete.
    early: u64,
    /// Times the server had content and no window.
    starved: u64,
    /// Runs that ended with GOAWAY in two phases.
    drained: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.cancelled += other.cancelled;
        self.reset += other.reset;
        self.early += other.early;
        self.starved += other.starved;
        self.drained += other.drained;
    }
}

/// A small generator (splitmix64): the whole run follows from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The byte at a place of the content of a stream, of either side.
fn content_at(stream: u32, at: usize) -> u8 {
    (stream as usize * 31 + at + at / 251) as u8
}

fn content(stream: u32, range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(|at| content_at(stream, at)).collect()
}

fn run(seed: u64) -> Totals {
    let random = &mut Random(seed);
    let mut server = Server::new(random);
    let mut client = Client::new(random);
    // Bytes a turn of the network carries.
    let mtu = random.pick(&[5, 100, 2000, 40_000]);
    let drains = random.one_in(4);
    let mut now = 0;
    for step in 0.. {
        now += random.below(3) as u64;
        let amount = 1 + random.below(mtu);
        let progress = match random.below(4) {
            0 => client.transmit(amount, &mut server.input),
            1 => server.turn(random, now),
            2 => server.transmit(amount, &mut client.input),
            _ => client.turn(random),
        };
        if progress {
            continue;
        }
        // Nothing came of one: is there anything that could still happen?
        let mut any = client.transmit(amount, &mut server.input);
        any |= server.turn(random, now);
        any |= server.transmit(amount, &mut client.input);
        any |= client.turn(random);
        if !any && !(client.lose_patience() | server.lose_patience()) {
            break;
        }
        assert!(step < 2_000_000, "the simulation does not end");
    }
    if drains {
        server.drain();
        assert!(server.transmit(usize::MAX, &mut client.input));
        client.turn(random);
    }
    client.finish();
    server.finish();
    Totals {
        answered: client.answered(),
        cancelled: client.cancelled,
        reset: server.reset,
        early: server.early,
        starved: server.starved,
        drained: u64::from(drains),
    }
}
