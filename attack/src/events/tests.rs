use super::*;

fn token(slot: u32) -> Token {
    Token {
        slot,
        generation: u32::MAX,
    }
}

#[test]
fn timers_of_different_periods_come_in_order() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut timers = Timers::default();
    timers.arm(start, Duration::from_millis(100), token(1));
    timers.arm(start, Duration::from_millis(10), token(2));
    timers.arm(at(5), Duration::from_millis(10), token(3));
    assert_eq!(timers.next(), Some(at(10)));
    assert_eq!(timers.take_due(at(9)), None);
    assert_eq!(timers.take_due(at(10)), Some(token(2)));
    assert_eq!(timers.take_due(at(10)), None);
    assert_eq!(timers.next(), Some(at(15)));
    let late: Vec<_> = std::iter::from_fn(|| timers.take_due(at(1000))).collect();
    assert_eq!(late.len(), 2);
    assert_eq!(timers.next(), None);
}

#[test]
fn a_token_comes_back_whole() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut poller = Poller::new().unwrap();
    poller.add(&ours, token(7)).unwrap();
    assert_eq!(poller.wait(Duration::from_secs(5)).unwrap(), 1);
    let (seen_token, seen) = poller.get(0);
    assert_eq!(seen_token, token(7));
    assert!(seen.writable && !seen.finished && !seen.broken);
    drop(theirs);
    assert_eq!(poller.wait(Duration::from_secs(5)).unwrap(), 1);
    assert!(poller.get(0).1.finished);
}
