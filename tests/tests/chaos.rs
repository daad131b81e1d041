//! Processes that are killed and servers that are told to stop, under load, with a client that knows of
//! each request whether it was written, answered or lost.
//!
//! Long runs are for the heavy tests: `AJAY_CHAOS_SECONDS` is how long processes are killed, and
//! `AJAY_CHAOS_STOPS` how often a server is stopped.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use ajay_attack::Loopback;
use ajay_attack::counting::{Plan, Totals, start};
use ajay_blackbox::{Random, Server, program, signal, wait_for};
use rustix::process::Signal;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name}={value}")),
        Err(_) => default,
    }
}

/// Asks on 32 connections, each of which is replaced after 50 requests.
fn plan(server: &Server, duration: Duration) -> Plan {
    let address = server.address().to_string();
    let address: Loopback = address.parse().unwrap_or_else(|_| panic!("{address}"));
    let mut plan = Plan::new(address);
    plan.path = "/hello?".to_owned();
    plan.connections = 32;
    plan.new_connection_every = Some(50);
    plan.duration = duration;
    plan
}

/// The client's sums and the server's counters, which must tell the same story.
fn compare(totals: &Totals, counters: &BTreeMap<String, u64>) {
    let all = totals.all();
    let counter = |name: &str| counters.get(name).copied().unwrap_or_default();
    let story = format!("{} {counters:?}", totals.json());
    assert_eq!(all.mismatched + all.other_status, 0, "{story}");
    assert_eq!(
        all.written,
        all.answered + all.lost_after_written,
        "{story}"
    );
    // A process that is killed may have read what it did not answer, and answered what it did not
    // send; it never counts what it did not do.
    assert!(counter("requests") <= all.written, "{story}");
    assert!(counter("responses_2xx") <= counter("requests"), "{story}");
    assert!(all.answered <= counter("responses_2xx"), "{story}");
}

#[test]
fn a_process_is_killed_every_two_seconds() {
    let seconds = setting("AJAY_CHAOS_SECONDS", 12);
    let mut server = Server::start(program!("testserver"), &["processes=2"]);
    wait_for("both processes", || {
        let _ = server.connect().fetch("/hello");
        let requests = server.command("worker-requests");
        requests.split(' ').all(|count| count != "0").then_some(())
    });
    let before = server.counters();
    let plan = plan(&server, Duration::from_secs(seconds));
    let client = match start(&plan) {
        Ok(client) => client,
        Err(error) => panic!("{error}"),
    };
    let mut random = Random::new(seconds);
    let started = Instant::now();
    let mut kills = 0;
    while started.elapsed() + Duration::from_secs(2) < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_secs(2));
        let processes = server.processes();
        assert_eq!(processes.len(), 2, "the last one is not back");
        signal(processes[random.within(0..2)], Signal::KILL);
        kills += 1;
    }
    let totals = match client.join() {
        Ok(totals) => totals,
        Err(error) => panic!("{error}"),
    };
    server.wait_counter("open", 0);
    let counters: BTreeMap<String, u64> = server
        .counters()
        .into_iter()
        .map(|(name, value)| {
            let before = before.get(&name).copied().unwrap_or_default();
            // What is open is no sum.
            (name, value.saturating_sub(before))
        })
        .collect();
    let story = format!("{kills} kills: {} {counters:?}", totals.json());
    let _ = writeln!(std::io::stdout(), "{story}");
    assert_eq!(counters["process_crashes"], kills, "{story}");
    compare(&totals, &counters);
    // One request waits on each connection, and no other is lost.
    assert!(totals.lost() <= counters["connections_lost"], "{story}");
    assert!(totals.all().answered > seconds * 1000, "{story}");
    assert_eq!(totals.connect_refused, 0, "{story}");
    assert_eq!(totals.connect_timed_out, 0, "{story}");
    // Far above what a release build needs (`docs/src/design/attacks.md`), for busy machines.
    let patience = Duration::from_millis(setting("AJAY_CHAOS_ANSWER_MS", 1000));
    assert!(totals.first_answer_max < patience, "{story}");
}

#[test]
fn a_server_is_stopped_again_and_again() {
    for round in 0..setting("AJAY_CHAOS_STOPS", 6) {
        let processes = ["processes=1", "processes=2"][(round % 2) as usize];
        let server = Server::start(program!("testserver"), &[processes, "threads=1"]);
        assert_eq!(server.connect().fetch("/hello").status, 200);
        let client = match start(&plan(&server, Duration::from_secs(2))) {
            Ok(client) => client,
            Err(error) => panic!("{error}"),
        };
        std::thread::sleep(Duration::from_millis(200 + 37 * (round % 8)));
        client.mark();
        let (started, stopped) = (Instant::now(), server.address().clone());
        server.signal(Signal::TERM);
        let exit = server.wait();
        assert_eq!(exit.code, Some(0), "{stopped}: {}", exit.stderr);
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "the drain's deadline"
        );
        client.stop();
        let totals = match client.join() {
            Ok(totals) => totals,
            Err(error) => panic!("{error}"),
        };
        let story = format!("round {round}, {processes}: {}", totals.json());
        assert!(totals.before.written > 100, "{story}");
        assert_eq!(totals.before.lost_after_written, 0, "{story}");
        assert_eq!(totals.before.answered, totals.before.written, "{story}");
        assert_eq!(totals.mismatches(), 0, "{story}");
    }
}
