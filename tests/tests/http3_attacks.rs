//! The attack kit over QUIC and HTTP/3, short and narrow: honest clients lose nothing beside any attack, attackers are
//! told what they did, and addresses that nobody has proved are not flooded.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ajay_attack::attack::{self, Kind, Plan, Report};
use ajay_attack::{Loopback, Protocol, counting};
use ajay_blackbox::{Authority, Server, program};
use rustix::process::Signal;

struct Quic {
    server: Server,
    _authority: Authority,
    _turn: MutexGuard<'static, ()>,
}

/// One attack at a time: each takes all the CPU that it gets.
static TURN: Mutex<()> = Mutex::new(());

fn server(test: &str, settings: &[&str]) -> Quic {
    let authority = Authority::new(test);
    let tls = authority.issue("localhost").settings();
    let mut all = vec!["tls_versions=all"];
    all.extend(tls.iter().map(String::as_str));
    all.extend(settings);
    Quic {
        server: Server::start(program!("testserver"), &all),
        _authority: authority,
        _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
    }
}

impl Quic {
    fn address(&self) -> Loopback {
        let address = format!("127.0.0.1:{}", self.server.port());
        address.parse().unwrap()
    }

    /// Attacks, and asks honestly beside that.
    fn beside(&self, kind: Kind, path: &str) -> Report {
        let mut plan = Plan::new(kind, self.address());
        plan.connections = 12;
        plan.duration = Duration::from_secs(3);
        plan.period = Duration::from_millis(100);
        plan.sources = 4;
        plan.path = path.to_owned();
        let attack = attack::start(&plan).unwrap();
        let mut honest = counting::Plan::new(self.address());
        honest.protocol = Protocol::Http3;
        honest.path = "/hello".to_owned();
        honest.place = counting::Place::Field;
        honest.connections = 2;
        honest.pipeline = 2;
        honest.duration = Duration::from_secs(2);
        honest.new_connection_every = Some(200);
        honest.connect_timeout = Duration::from_secs(20);
        honest.grace = Duration::from_secs(20);
        let totals = counting::run(&honest).unwrap();
        attack.stop();
        let report = attack.join().unwrap();
        let all = totals.all();
        assert!(all.answered > 0, "{kind:?}: {totals}");
        assert_eq!(all.answered, all.written, "{kind:?}: {totals}");
        assert_eq!(totals.lost() + totals.mismatches(), 0, "{kind:?}: {totals}");
        assert_eq!(
            totals.connect_refused + totals.connect_timed_out,
            0,
            "{kind:?}: {totals}"
        );
        report
    }
}

impl Quic {
    /// Ends the server. Attackers that went without a word may have to be cut at the end of its drain.
    fn end(self) {
        self.server.signal(Signal::TERM);
        let exit = self.server.wait();
        assert!(matches!(exit.code, Some(0 | 4)), "{exit:?}");
        assert!(!exit.stderr.contains("panicked at"), "{}", exit.stderr);
    }
}

/// How often the server has ended a variant's connections so.
fn closes(report: &Report, variant: &str, name: &str) -> u64 {
    let closes = report.variant(variant).unwrap().closes();
    closes
        .filter(|(code, _)| code == name)
        .map(|(_, count)| count)
        .sum()
}

fn assert_told(report: &Report, expected: &[(&str, &str)]) {
    for (variant, name) in expected {
        assert!(
            closes(report, variant, name) > 0,
            "{variant}: no {name}\n{report}"
        );
    }
}

#[test]
fn floods_of_requests() {
    let quic = server("h3-attack-requests", &[]);
    let flood = quic.beside(Kind::H3Flood, "/");
    assert_told(
        &flood,
        &[
            ("exceeding", "STREAM_LIMIT_ERROR"),
            ("reset", "H3_EXCESSIVE_LOAD"),
            ("unknown", "H3_EXCESSIVE_LOAD"),
        ],
    );
    let resets = quic.beside(Kind::H3Reset, "/");
    for variant in ["whole", "unfinished", "stopped"] {
        assert_told(&resets, &[(variant, "H3_EXCESSIVE_LOAD")]);
    }
    quic.end();
}

#[test]
fn floods_of_fields_and_frames() {
    let quic = server("h3-attack-frames", &[]);
    // `references` exceed a budget as well, but not within seconds where nothing is optimised.
    let bombs = quic.beside(Kind::QpackBomb, "/");
    assert_told(&bombs, &[("table", "QPACK_ENCODER_STREAM_ERROR")]);
    let blocked = quic.beside(Kind::QpackBlocked, "/");
    assert_told(&blocked, &[("blocked", "QPACK_DECOMPRESSION_FAILED")]);
    let control = quic.beside(Kind::H3Control, "/");
    assert_told(
        &control,
        &[
            ("settings", "H3_FRAME_UNEXPECTED"),
            ("priorities", "H3_EXCESSIVE_LOAD"),
            ("reserved", "H3_EXCESSIVE_LOAD"),
            ("empty-data", "H3_EXCESSIVE_LOAD"),
        ],
    );
    assert!(
        quic.beside(Kind::H3Slow, "/stream-shared?n=64")
            .total()
            .opened
            >= 12
    );
    quic.end();
}

#[test]
fn floods_of_the_transport() {
    let quic = server("h3-attack-transport", &[]);
    let tiny = quic.beside(Kind::QuicTiny, "/");
    assert!(tiny.total().datagrams_sent > 10_000, "{tiny}");
    let ids = quic.beside(Kind::QuicIds, "/");
    assert_told(&ids, &[("new", "CONNECTION_ID_LIMIT_ERROR")]);
    let acks = quic.beside(Kind::QuicAcks, "/stream-shared?n=64");
    assert_told(&acks, &[("unsent", "PROTOCOL_VIOLATION")]);
    for kind in [Kind::QuicMigration, Kind::QuicFrames] {
        let report = quic.beside(kind, "/");
        assert!(report.total().opened >= 12, "{report}");
    }
    quic.end();
}

#[test]
fn floods_of_handshakes() {
    let quic = server("h3-attack-handshakes", &[]);
    for kind in [Kind::QuicCrypto, Kind::QuicTokens, Kind::QuicHalfOpen] {
        let report = quic.beside(kind, "/");
        let total = report.total();
        assert!(total.bytes_sent > 0, "{report}");
        assert!(total.amplification_max <= 3000, "{report}");
    }
    quic.end();
}

#[test]
fn an_address_that_is_not_proved_gets_three_times_what_it_sent() {
    let quic = server("h3-attack-amplification", &[]);
    let mut plan = Plan::new(Kind::QuicAmplification, quic.address());
    plan.connections = 3;
    // What is not acknowledged is sent again after one second, three and seven.
    plan.duration = Duration::from_secs(4);
    let report = attack::run(&plan).unwrap();
    for (variant, tally) in report.variants() {
        assert!(tally.bytes_received > 0, "{variant}\n{report}");
        assert!(tally.amplification_max <= 3000, "{variant}\n{report}");
    }
    // Less would not show that there is a bound.
    assert!(report.total().amplification_max >= 1500, "{report}");
    quic.end();
}
