use super::*;

const HOME: SocketAddr = address(1);

const fn address(port: u16) -> SocketAddr {
    use std::net::{IpAddr, Ipv4Addr};
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn answered() -> Balance {
    let mut balance = Balance::new();
    balance.earn_response();
    balance.account(micros(10), false, HOME);
    balance
}

#[test]
fn who_answers_nothing_is_new_and_then_in_debt() {
    let mut balance = Balance::new();
    for _ in 0..4 {
        assert_eq!(balance.standing(), Standing::New);
        assert!(!balance.is_proven());
        balance.account(micros(60), false, HOME);
    }
    assert_eq!(balance.standing(), Standing::Debt);
}

#[test]
fn a_response_makes_good_what_it_cost() {
    let mut balance = answered();
    for _ in 0..10_000 {
        balance.earn_response();
        balance.account(micros(10), false, HOME);
        assert_eq!(balance.standing(), Standing::Good);
    }
}

#[test]
fn a_slow_handler_is_not_held_against_who_asks() {
    let mut balance = answered();
    for _ in 0..10_000 {
        balance.earn_response();
        balance.account(micros(5_000), false, HOME);
        assert_eq!(balance.standing(), Standing::Heavy);
    }
}

#[test]
fn long_steps_and_what_they_leave_are_heavy_until_a_short_one() {
    let mut balance = answered();
    for (took, has_more, is_heavy) in [(10, true, true), (101, false, true), (100, false, false)] {
        balance.earn_response();
        balance.account(micros(took), has_more, HOME);
        assert_eq!(balance.is_heavy(), is_heavy, "{took} {has_more}");
    }
    balance.note_much();
    for is_heavy in [true, false] {
        balance.account(micros(1), false, HOME);
        assert_eq!(balance.is_heavy(), is_heavy);
    }
}

#[test]
fn a_stop_of_the_worker_is_nobodys_debt() {
    let mut balance = answered();
    for _ in 0..20 {
        balance.earn_response();
        balance.account(micros(1), false, HOME);
    }
    balance.account(Duration::from_secs(3), false, HOME);
    assert_eq!(balance.standing(), Standing::Heavy);
}

#[test]
fn who_moves_at_every_step_is_in_debt_and_who_moves_at_times_is_not() {
    let mut balance = answered();
    let at_times = (0..1000).map(|at| 1 + at / 50);
    for port in at_times {
        balance.earn_response();
        balance.account(micros(5), false, address(port));
        assert_eq!(balance.standing(), Standing::Good);
    }
    for port in 100..120 {
        balance.earn_response();
        balance.account(micros(5), false, address(port));
    }
    assert_eq!(balance.standing(), Standing::Debt);
}

#[test]
fn a_debt_is_paid_by_what_is_brought() {
    let mut balance = answered();
    for _ in 0..1000 {
        balance.account(micros(300), false, HOME);
    }
    assert_eq!(balance.standing(), Standing::Debt);
    let responses = (1..).find(|_| {
        balance.earn_response();
        balance.account(micros(0), false, HOME);
        balance.standing() == Standing::Good
    });
    assert_eq!(responses, Some(2000));
}

#[test]
fn what_is_brought_covers_datagrams_in_advance_up_to_a_bound() {
    let mut balance = answered();
    assert_eq!(balance.covers(), 10);
    balance.earn_bytes(usize::MAX / 8);
    balance.account(micros(0), false, HOME);
    assert_eq!(balance.covers(), 1000);
    assert_eq!(Balance::new().covers(), 0);
}

#[test]
fn what_a_handshake_took_is_on_the_house() {
    let mut balance = Balance::new();
    balance.earn_response();
    balance.begin();
    assert_eq!(balance.standing(), Standing::Good);
    assert_eq!(balance.covers(), 10);
}
