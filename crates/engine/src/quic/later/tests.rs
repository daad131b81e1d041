use std::net::SocketAddr;

use super::*;

fn arrival(address: &str) -> Arrival {
    Arrival {
        remote: SocketAddr::new(address.parse().unwrap(), 4433),
        local_ip: None,
        ecn: None,
    }
}

#[test]
fn who_floods_from_one_network_fills_its_own_queue() {
    let mut newcomers = Newcomers::new(7);
    let flood = arrival("192.0.2.1");
    let taken = (0..1000).filter(|_| newcomers.push(0, &flood, b"flood"));
    assert_eq!(taken.count(), QUEUED_MAX);
    assert!(newcomers.is_crowded());
    // Some of the other networks share that queue, most do not.
    let others = (0..64).map(|number| arrival(&format!("198.51.100.{number}")));
    let let_in = others.filter(|other| newcomers.push(0, other, b"honest"));
    assert!(let_in.count() >= 56);
    // Each queue has its turn.
    let first: Vec<_> = (0..8).map_while(|_| newcomers.pop()).collect();
    let honest = first.iter().filter(|letter| *letter.datagram == *b"honest");
    assert!(honest.count() >= 6);
}

#[test]
fn an_ipv6_network_is_one_sender() {
    let mut newcomers = Newcomers::new(7);
    let addresses = (0..1000).map(|number| arrival(&format!("2001:db8::{number:x}")));
    let taken = addresses.filter(|address| newcomers.push(0, address, b"flood"));
    assert_eq!(taken.count(), QUEUED_MAX);
    while newcomers.pop().is_some() {}
    assert!(newcomers.is_empty());
}

#[test]
fn packets_that_name_no_connection_are_newcomers() {
    let initial = b"\xc3\0\0\0\x01\x08initial!\0\0and what follows";
    let other_version = b"\xc3\x0a\x0a\x0a\x0a\x08whatever\0";
    assert!(is_of_newcomer(initial) && is_of_newcomer(other_version));
    let handshake = b"\xe3\0\0\0\x01\x0aten bytes!\0and what follows";
    let short = b"\x43ten bytes!and what follows";
    assert!(!is_of_newcomer(handshake) && !is_of_newcomer(short));
    assert!(!is_of_newcomer(b""));
}

#[test]
fn what_follows_for_the_same_connection_is_counted() {
    let [one, other] = ["\x43ten bytes!x", "\x43TEN BYTES!x"].map(str::as_bytes);
    let after = [one, one, other].concat();
    assert_eq!(Quic::bytes_for_same(one, &after, one.len()), 2 * one.len());
    let last_is_short = [one, &one[..11]].concat();
    assert_eq!(
        Quic::bytes_for_same(one, &last_is_short, one.len()),
        one.len() + 11
    );
    assert_eq!(Quic::bytes_for_same(other, &after, one.len()), 0);
}

#[test]
fn who_comes_rarely_goes_before_those_who_flood() {
    let mut newcomers = Newcomers::new(7);
    let floods: Vec<Arrival> = (1..=8).map(|at| arrival(&format!("10.0.{at}.1"))).collect();
    for flood in floods.iter().cycle().take(100) {
        newcomers.push(0, flood, b"flood");
    }
    // All of them have had a turn.
    for _ in 0..20 {
        assert_eq!(&*newcomers.pop().expect("a flood").datagram, b"flood");
    }
    assert!(newcomers.push(0, &arrival("198.51.100.77"), b"rare"));
    assert_eq!(&*newcomers.pop().expect("the rare one").datagram, b"rare");
    // A second one at once is one of many.
    assert!(newcomers.push(0, &arrival("198.51.100.77"), b"again"));
    assert_eq!(&*newcomers.pop().expect("a flood").datagram, b"flood");
    let rest: Vec<_> = std::iter::from_fn(|| newcomers.pop()).collect();
    assert_eq!(
        rest.iter().filter(|it| &*it.datagram == b"again").count(),
        1
    );
    assert!(newcomers.is_empty());
    // Who was empty for a turn is rare again.
    assert!(newcomers.push(0, &arrival("198.51.100.77"), b"rare"));
    assert!(newcomers.pop().is_some_and(|it| &*it.datagram == b"rare"));
}

#[test]
fn nothing_is_left_of_what_was_pushed() {
    let mut newcomers = Newcomers::new(3);
    let mut pushed = 0;
    for round in 0..50_u32 {
        for at in 0..round % 7 {
            let from = arrival(&format!("10.{at}.0.{round}"));
            pushed += usize::from(newcomers.push(0, &from, b"x"));
        }
        pushed -= usize::from(newcomers.pop().is_some());
    }
    assert_eq!(std::iter::from_fn(|| newcomers.pop()).count(), pushed);
    assert!(newcomers.is_empty());
}
