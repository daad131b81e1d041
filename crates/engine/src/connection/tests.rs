use std::time::Duration;

use super::*;

fn limits() -> WaitLimits {
    WaitLimits::new(&Deadlines::default())
}

fn tick(seconds: u64) -> Tick {
    ticks(Duration::from_secs(seconds))
}

fn due(clock: &Clock) -> (Tick, Counter) {
    clock.due(&limits())
}

#[test]
fn each_wait_has_its_deadline_and_counter() {
    for (wait, seconds, counter) in [
        (Wait::FirstByte, 10, Counter::TimeoutFirstByte),
        (Wait::Head, 10, Counter::TimeoutHead),
        (Wait::Handler, 60, Counter::TimeoutHandler),
        (Wait::Idle, 75, Counter::TimeoutIdle),
        // Nothing has moved: the rate's grace ends before the stall would.
        (Wait::Content, 5, Counter::TimeoutContentRate),
        (Wait::Write, 5, Counter::TimeoutWriteRate),
    ] {
        let mut clock = Clock::new(0);
        clock.restart(wait, 100);
        assert_eq!(due(&clock), (100 + tick(seconds), counter), "{wait:?}");
    }
    let mut clock = Clock::new(0);
    clock.restart(Wait::Nothing, 100);
    assert_eq!(due(&clock).0, NEVER);
}

#[test]
fn going_on_waiting_does_not_move_the_deadline() {
    let mut clock = Clock::new(0);
    clock.restart(Wait::Head, 100);
    clock.wait_for(Wait::Head, 120);
    assert_eq!(
        due(&clock).0,
        100 + tick(10),
        "a slow head gains nothing by another byte"
    );
    clock.wait_for(Wait::Idle, 120);
    assert_eq!(due(&clock).0, 120 + tick(75));
}

#[test]
fn a_transfer_at_the_minimum_rate_goes_on_and_one_below_ends() {
    let mut fast = Clock::new(0);
    fast.restart(Wait::Content, 0);
    let mut slow = fast;
    // Four ticks are a second.
    for now in 1..4000 {
        fast.moved(60, now);
        slow.moved(59, now);
        assert!(due(&fast).0 > now, "240 B/s is enough, at {now}");
    }
    assert!(due(&slow).0 < 4000);
    assert_eq!(due(&slow).1, Counter::TimeoutContentRate);
}

#[test]
fn a_fast_transfer_that_stalls_ends_after_the_stall() {
    let mut clock = Clock::new(0);
    clock.restart(Wait::Write, 0);
    clock.moved(1 << 30, 8);
    assert_eq!(due(&clock), (8 + tick(30), Counter::TimeoutWrite));
}

#[test]
fn age_ends_only_idle_connections() {
    let deadlines = Deadlines {
        lifetime_max: Some(Duration::from_secs(20)),
        ..Deadlines::default()
    };
    let limits = WaitLimits::new(&deadlines);
    let mut clock = Clock::new(0);
    clock.restart(Wait::Idle, 40);
    assert_eq!(clock.due(&limits), (tick(20), Counter::TimeoutLifetime));
    clock.restart(Wait::Handler, 40);
    assert_eq!(clock.due(&limits).0, 40 + tick(60));
    assert!(!clock.is_past_lifetime(&limits, tick(20) - 1));
    assert!(clock.is_past_lifetime(&limits, tick(20)));
}

#[test]
fn what_is_switched_off_never_comes() {
    let deadlines = Deadlines {
        content_timeout: None,
        rate_min: None,
        idle_timeout: None,
        ..Deadlines::default()
    };
    let limits = WaitLimits::new(&deadlines);
    let mut clock = Clock::new(0);
    for wait in [Wait::Content, Wait::Idle] {
        clock.restart(wait, 5);
        assert_eq!(clock.due(&limits).0, NEVER, "{wait:?}");
    }
}

#[test]
fn a_drain_hastens_idle_connections_from_now_on() {
    let mut limits = limits();
    limits.hasten(ticks(Duration::from_millis(500)));
    let mut clock = Clock::new(0);
    clock.restart(Wait::Idle, 0);
    clock.hasten(200);
    assert_eq!(
        clock.due(&limits).0,
        200 + ticks(Duration::from_millis(500))
    );
    clock.restart(Wait::Handler, 0);
    clock.hasten(200);
    assert_eq!(
        clock.due(&limits).0,
        tick(60),
        "but nothing that is at work"
    );
}

#[test]
fn an_idle_connection_is_small() {
    // With the slab's place, the wheel's link and the allocator's header it stays well below the
    // kilobyte that an idle connection may cost.
    assert!(
        size_of::<Connection>() <= 384,
        "{}",
        size_of::<Connection>()
    );
}
