//! Workers, of one process and of two, that count connections of one address.

use std::net::{IpAddr, Ipv4Addr};

use loom::thread;

use crate::addresses::{Admitted, COUNT_MASK, Key};
use crate::check;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};

const SEEDS: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

fn key() -> Key {
    Key::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), SEEDS)
}

fn tables<const N: usize>(cells: usize) -> Arc<[Vec<AtomicU64>; N]> {
    let table = |()| (0..cells).map(|_| AtomicU64::new(0)).collect();
    Arc::new([(); N].map(table))
}

fn admit(tables: &[Vec<AtomicU64>], process: usize) -> Admitted {
    key().admit(&tables[process], tables.iter().map(Vec::as_slice), 1)
}

fn connections(tables: &[Vec<AtomicU64>]) -> u64 {
    let cells = tables.iter().flatten();
    cells
        .map(|cell| cell.load(Ordering::Relaxed) & COUNT_MASK)
        .sum()
}

/// Two connections come at once where one is allowed: in these processes, with so many cells each.
fn two_come<const N: usize>(cells: usize, processes: [usize; 2]) {
    check(move || {
        let tables = tables::<N>(cells);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || admit(&*tables, processes[1]))
        };
        let mine = admit(&*tables, processes[0]);
        let other = other.join().expect("no panic");
        let counted = [mine, other].map(|it| u64::from(it == Admitted::Counted));
        let counted: u64 = counted.iter().sum();
        assert!(counted <= 1, "both were let in");
        assert_eq!(
            connections(&*tables),
            counted,
            "what was refused is not counted"
        );
    });
}

#[test]
fn two_workers_of_a_process_let_in_one() {
    two_come::<1>(2, [0, 0]);
}

#[test]
fn two_processes_let_in_one() {
    two_come::<2>(1, [0, 1]);
}

/// One leaves while another comes: the table is right in the end.
#[test]
fn one_may_leave_while_another_comes() {
    check(|| {
        let tables = tables::<1>(2);
        assert_eq!(admit(&*tables, 0), Admitted::Counted);
        let leaver = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || key().remove(&tables[0]))
        };
        let comes = admit(&*tables, 0);
        leaver.join().expect("no panic");
        assert_eq!(connections(&*tables), u64::from(comes == Admitted::Counted));
    });
}
