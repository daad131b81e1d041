//! Attacks over QUIC, blind against the sink: each variant sends something, and nothing is waited for.

use std::time::Duration;

use ajay_attack::Protocol;
use ajay_attack::attack::{self, Kind, Plan};
use ajay_attack::sink::{Manner, Sink};

#[test]
fn every_variant_is_played_against_a_sink() {
    let any = "127.0.0.1:0".parse().unwrap();
    let sink = Sink::start(any, Duration::from_secs(30), Manner::Silent).unwrap();
    let kinds = Kind::ALL.iter().copied();
    let kinds: Vec<Kind> = kinds
        .filter(|kind| kind.protocol() == Protocol::Http3)
        .collect();
    assert_eq!(kinds.len(), 15);
    for kind in kinds {
        let mut plan = Plan::new(kind, sink.address());
        plan.connections = 6;
        plan.duration = Duration::from_millis(300);
        plan.period = Duration::from_millis(50);
        plan.blind = true;
        let report = attack::run(&plan).unwrap();
        for (variant, tally) in report.variants() {
            assert!(tally.datagrams_sent > 0, "{variant}\n{report}");
            assert_eq!(tally.bytes_received, 0, "{variant}\n{report}");
        }
    }
    sink.stop();
    let totals = sink.join().unwrap();
    assert!(totals.datagrams > 15 && totals.bytes > 15_000, "{totals:?}");
}
