//! What an attack sends, written down.

use std::time::{Duration, Instant};

use ajay_attack::attack::{self, Kind, Plan, Report, Tally};

use super::{PATIENCE, Recorded, Recorder, wait_for};

pub(crate) const PERIOD: Duration = Duration::from_millis(10);
pub(crate) const DURATION: Duration = Duration::from_millis(300);

/// What an attack sent, and what it says itself.
pub(crate) struct Seen {
    pub(crate) recorded: Vec<Recorded>,
    pub(crate) report: Report,
    pub(crate) host: String,
    /// How long it was at it.
    pub(crate) took: Duration,
}

/// Attacks a recorder with so many connections, for a while and until `enough` was recorded.
pub(crate) fn record(
    kind: Kind,
    connections: usize,
    reply: &[u8],
    enough: impl Fn(&[Recorded]) -> bool,
) -> Seen {
    let recorder = Recorder::start(reply);
    let started = Instant::now();
    let running = attack::start(&Plan {
        connections,
        duration: PATIENCE,
        period: PERIOD,
        ..Plan::new(kind, recorder.address)
    })
    .unwrap();
    wait_for(|| started.elapsed() >= DURATION && recorder.look(&enough));
    running.stop();
    let report = running.join().unwrap();
    let took = started.elapsed();
    check_sum(&report.total());
    for (_, tally) in report.variants() {
        check_sum(tally);
    }
    // The attack is over; what it sent may still be on its way into the record.
    let opened = report.total().opened as usize;
    wait_for(|| {
        recorder.look(|recorded| {
            recorded.len() >= opened && recorded.iter().all(|recorded| recorded.done)
        })
    });
    Seen {
        recorded: recorder.recorded(),
        report,
        host: recorder.address.get().to_string(),
        took,
    }
}

/// Each of the first connections brought that much.
pub(crate) fn each_brought(connections: usize, bytes: usize) -> impl Fn(&[Recorded]) -> bool {
    move |recorded| {
        let first = recorded.iter().take(connections);
        first
            .filter(|recorded| recorded.bytes.len() >= bytes)
            .count()
            == connections
    }
}

pub(crate) fn check_sum(tally: &Tally) {
    assert_eq!(
        tally.opened,
        tally.closed() + tally.ended + tally.open_at_end
    );
    assert_eq!(tally.lived.count(), tally.closed());
    let by_status: u64 = tally.closed_after().map(|(_, count)| count).sum();
    let by_code: u64 = tally.closed_after_goaway().map(|(_, count)| count).sum();
    assert_eq!(by_status + by_code, tally.closed());
}
