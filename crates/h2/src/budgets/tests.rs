use super::*;

const SMALL: Budgets = Budgets {
    pings: Budget::new(3, 2),
    window_updates: Budget::new(2, 1),
    ..Budgets::new()
};

#[test]
fn a_bucket_holds_a_burst_and_refills() {
    let mut buckets = Buckets::default();
    let mut spend = |now| buckets.spend(&SMALL, Kind::Pings, now);
    for _ in 0..3 {
        assert_eq!(spend(10_000), Ok(()));
    }
    assert_eq!(spend(10_000), Err(Violation::PingFlood));
    assert_eq!(spend(10_499), Err(Violation::PingFlood));
    assert_eq!(spend(10_500), Ok(()), "two a second");
    assert_eq!(spend(10_500), Err(Violation::PingFlood));
    for _ in 0..3 {
        assert_eq!(spend(60_000), Ok(()));
    }
    assert_eq!(
        spend(60_000),
        Err(Violation::PingFlood),
        "no more than a burst is saved"
    );
}

#[test]
fn a_clock_that_stands_or_jumps_does_no_harm() {
    let mut buckets = Buckets::default();
    for now in [0, u64::MAX, 0, 5] {
        let _ = buckets.spend(&SMALL, Kind::Pings, now);
    }
    let zero = Budgets {
        pings: Budget::new(0, 0),
        ..SMALL
    };
    assert!(Buckets::default().spend(&zero, Kind::Pings, 0).is_err());
}

#[test]
fn buckets_are_separate() {
    let mut buckets = Buckets::default();
    while buckets.spend(&SMALL, Kind::Pings, 0).is_ok() {}
    assert_eq!(buckets.spend(&SMALL, Kind::Settings, 0), Ok(()));
}

#[test]
fn what_was_sent_pays_for_window_updates() {
    let mut buckets = Buckets::default();
    buckets.earn_window_updates();
    for _ in 0..6 {
        assert_eq!(buckets.spend(&SMALL, Kind::WindowUpdates, 0), Ok(()));
    }
    let spent = buckets.spend(&SMALL, Kind::WindowUpdates, 0);
    assert_eq!(spent, Err(Violation::WindowUpdateFlood));
    for _ in 0..100_000 {
        buckets.earn_window_updates();
    }
    assert_eq!(buckets.window_updates_saved, WINDOW_UPDATES_SAVED_MAX);
}
