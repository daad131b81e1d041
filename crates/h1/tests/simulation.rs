//! A client and a server on a simulated link: pipelined requests of all kinds, responses of all
//! kinds, and a network that cuts, delays, ends and resets.
//!
//! The client is written here from the RFC and shares no code with the crate. A run is determined by
//! its seed; a failing one is printed. `AJAY_SIM_SEEDS=10000` runs more.

#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/server.rs"]
mod server;

use client::Client;
use server::Server;

#[test]
fn exchanges_survive_any_network() {
    let seeds =
        std::env::var("AJAY_SIM_SEEDS").map_or(500, |seeds| seeds.parse().expect("a number"));
    let mut totals = Totals::default();
    for seed in 0..seeds {
        let result = std::panic::catch_unwind(|| run(seed));
        match result {
            Ok(done) => totals.add(&done),
            Err(panic) => {
                eprintln!("failing seed: {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    eprintln!("{totals:?}");
    // The simulation is worth something only if everything in it happens.
    assert!(totals.answered > 3 * seeds && totals.resets > 0 && totals.truncated > 0);
    assert!(totals.continued > 0 && totals.closed > 0);
}

#[derive(Debug, Default)]
struct Totals {
    answered: u64,
    continued: u64,
    closed: u64,
    truncated: u64,
    resets: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.continued += other.continued;
        self.closed += other.closed;
        self.truncated += other.truncated;
        self.resets += other.resets;
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

/// How the client's half of the connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// It stays open.
    Open,
    /// Closed after the last request.
    Closed,
    /// Closed somewhere inside.
    Truncated,
    /// Everything stops.
    Reset,
}

fn run(seed: u64) -> Totals {
    let random = &mut Random(seed);
    let ending = random.pick(&[
        Ending::Open,
        Ending::Open,
        Ending::Closed,
        Ending::Truncated,
        Ending::Reset,
    ]);
    let mut client = Client::new(random, ending);
    let mut server = Server::new();
    let slow = random.one_in(4);
    let reset_after = if ending == Ending::Reset {
        random.below(200)
    } else {
        usize::MAX
    };
    for step in 0.. {
        if step == reset_after {
            // What the client has got by now must be right; nothing else can be said.
            client.check_prefix();
            return Totals {
                resets: 1,
                answered: client.answered(),
                ..Totals::default()
            };
        }
        let amount = if slow {
            1 + random.below(3)
        } else {
            1 + random.below(300)
        };
        let progress = match random.below(4) {
            0 => client.transmit(amount, &mut server.input),
            1 => server.turn(random),
            2 => server.transmit(amount, &mut client.input),
            _ => client.turn(random),
        };
        if progress {
            continue;
        }
        // Nothing came of one: is there anything that could still happen?
        let mut any = client.transmit(amount, &mut server.input);
        server.peer_is_done |= client.is_done_sending() && ending != Ending::Open;
        any |= server.turn(random);
        any |= server.transmit(amount, &mut client.input);
        any |= client.turn(random);
        if !any && !client.lose_patience() {
            break;
        }
        assert!(step < 200_000, "the simulation does not end");
    }
    client.finish(&server);
    Totals {
        answered: client.answered(),
        continued: client.continued,
        closed: u64::from(server.is_closed()),
        truncated: u64::from(ending == Ending::Truncated),
        resets: 0,
    }
}
