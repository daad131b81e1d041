use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::addresses::COUNT_MASK;
use super::*;
use crate::mapping::Shape;

fn mapping(processes: usize, connections_max: usize) -> Arc<Mapping> {
    let shape = Shape {
        processes,
        threads: 1,
        address_cells: address_cells(connections_max),
    };
    Mapping::create(shape).expect("a mapping")
}

fn peer(ip: impl Into<IpAddr>) -> PeerAddr {
    PeerAddr::Ip(SocketAddr::new(ip.into(), 1234))
}

fn v4(number: u32) -> PeerAddr {
    peer(Ipv4Addr::from(number))
}

#[test]
fn a_process_has_as_many_places_as_it_has() {
    let admission = Admission::new(2, None, &mapping(1, 2), 0);
    assert!(admission.admit() && admission.admit());
    assert!(!admission.admit());
    admission.leave();
    assert!(admission.admit());
    assert_eq!(admission.admit_address(v4(1)), Admitted::Uncounted);
}

#[test]
fn an_address_is_counted_over_all_processes() {
    let mapping = mapping(3, 100);
    let processes: Vec<Admission> = (0..3)
        .map(|process| Admission::new(100, Some(4), &mapping, process))
        .collect();
    for at in [0, 1, 2, 1] {
        assert_eq!(processes[at].admit_address(v4(7)), Admitted::Counted);
    }
    for process in &processes {
        assert_eq!(process.admit_address(v4(7)), Admitted::Refused);
        assert_eq!(process.admit_address(v4(8)), Admitted::Counted);
    }
    assert_eq!(
        processes[0].admit_address(PeerAddr::Unix),
        Admitted::Uncounted
    );
    processes[1].leave_address(v4(7));
    assert_eq!(processes[2].admit_address(v4(7)), Admitted::Counted);
    assert_eq!(processes[1].admit_address(v4(7)), Admitted::Refused);
}

#[test]
fn what_a_dead_process_had_counted_is_forgotten() {
    let mapping = mapping(2, 100);
    let alive = Admission::new(100, Some(3), &mapping, 0);
    let dies = Admission::new(100, Some(3), &mapping, 1);
    assert_eq!(alive.admit_address(v4(9)), Admitted::Counted);
    assert_eq!(dies.admit_address(v4(9)), Admitted::Counted);
    assert_eq!(dies.admit_address(v4(9)), Admitted::Counted);
    assert_eq!(alive.admit_address(v4(9)), Admitted::Refused);
    forget_addresses(&mapping, 1);
    assert_eq!(alive.admit_address(v4(9)), Admitted::Counted);
    assert_eq!(alive.admit_address(v4(9)), Admitted::Counted);
    assert_eq!(alive.admit_address(v4(9)), Admitted::Refused);
}

#[test]
fn one_network_of_ipv6_counts_as_one_address() {
    let mapping = mapping(1, 100);
    let admission = Admission::new(100, Some(2), &mapping, 0);
    let ip = |text: &str| peer(text.parse::<Ipv6Addr>().expect("an address"));
    assert_eq!(
        admission.admit_address(ip("2001:db8::1")),
        Admitted::Counted
    );
    assert_eq!(
        admission.admit_address(ip("2001:db8::ffff:2")),
        Admitted::Counted
    );
    assert_eq!(
        admission.admit_address(ip("2001:db8::3")),
        Admitted::Refused
    );
    assert_eq!(
        admission.admit_address(ip("2001:db8:0:1::3")),
        Admitted::Counted
    );
    // An IPv4 client of a listener for both families is the one it is elsewhere.
    assert_eq!(admission.admit_address(v4(0x7f00_0001)), Admitted::Counted);
    assert_eq!(
        admission.admit_address(ip("::ffff:127.0.0.1")),
        Admitted::Counted
    );
    assert_eq!(admission.admit_address(v4(0x7f00_0001)), Admitted::Refused);
}

/// As many addresses as there may be connections all find a cell, and leave nothing behind.
#[test]
fn a_full_house_of_different_addresses_is_counted() {
    const CONNECTIONS: u32 = 16_000;
    // Each mapping has secret keys of its own.
    for _ in 0..8 {
        let mapping = mapping(1, CONNECTIONS as usize);
        let admission = Admission::new(CONNECTIONS as usize, Some(1), &mapping, 0);
        for number in 0..CONNECTIONS {
            assert_eq!(admission.admit_address(v4(number)), Admitted::Counted);
        }
        for number in 0..CONNECTIONS {
            assert_eq!(admission.admit_address(v4(number)), Admitted::Refused);
            admission.leave_address(v4(number));
        }
        let cells = mapping.address_cells(0);
        let used = cells
            .iter()
            .filter(|cell| cell.load(Ordering::Relaxed) & COUNT_MASK != 0);
        assert_eq!(used.count(), 0);
    }
}

/// Whatever the order, no more than the bound are in at once, and none is left in the end.
#[test]
fn workers_that_count_at_once_never_let_in_too_many() {
    // Fewer than there are workers.
    const MAX: usize = 2;
    let mapping = mapping(2, 64);
    let inside = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (mapping, inside) = (&mapping, &inside);
            scope.spawn(move || {
                let admission = Admission::new(64, Some(MAX), mapping, worker % 2);
                for round in 0..50_000 {
                    let peer = v4(round % 3);
                    if admission.admit_address(peer) == Admitted::Counted {
                        if round % 3 == 0 {
                            let now = inside.fetch_add(1, Ordering::AcqRel) + 1;
                            assert!(now <= MAX, "{now} are in");
                            inside.fetch_sub(1, Ordering::AcqRel);
                        }
                        admission.leave_address(peer);
                    }
                }
            });
        }
    });
    let admission = Admission::new(64, Some(MAX), &mapping, 0);
    for number in 0..3 {
        for _ in 0..MAX {
            assert_eq!(admission.admit_address(v4(number)), Admitted::Counted);
        }
        assert_eq!(admission.admit_address(v4(number)), Admitted::Refused);
    }
}
