use super::*;
use crate::counters::Counter;

const SHAPE: Shape = Shape {
    processes: 3,
    threads: 2,
    address_cells: 64,
};

fn again(mapping: &Mapping, is_observer: bool) -> io::Result<Arc<Mapping>> {
    Mapping::open(mapping.file().try_clone_to_owned()?, is_observer)
}

#[test]
fn what_one_mapping_writes_the_other_reads() {
    let first = Mapping::create(SHAPE).expect("a mapping");
    let second = again(&first, false).expect("the same file");
    let observer = again(&first, true).expect("the same file");
    assert_eq!(second.shape(), SHAPE);
    assert_eq!(second.seeds(), first.seeds());
    assert_ne!(first.seeds()[0], first.seeds()[1]);
    for worker in 0..SHAPE.workers() {
        let slot = SlotRef::new(&first, worker);
        slot.add(Counter::Requests, worker as u64 + 1);
    }
    for process in 0..SHAPE.processes {
        let cells = second.address_cells(process);
        cells[0].store(process as u64 + 100, Ordering::Relaxed);
        cells[63].store(process as u64 + 200, Ordering::Relaxed);
    }
    for mapping in [&second, &observer] {
        for worker in 0..SHAPE.workers() {
            let slot = mapping.slot(worker);
            assert_eq!(slot.get(Counter::Requests), worker as u64 + 1);
            assert_eq!(slot.get(Counter::BytesSent), 0);
        }
    }
    for process in 0..SHAPE.processes {
        let cells = observer.address_cells(process);
        assert_eq!(cells.len(), 64);
        assert_eq!(cells[0].load(Ordering::Relaxed), process as u64 + 100);
        assert_eq!(cells[63].load(Ordering::Relaxed), process as u64 + 200);
        assert_eq!(cells[1].load(Ordering::Relaxed), 0);
    }
}

#[test]
fn a_slot_outlives_the_handle_it_came_from() {
    let mapping = Mapping::create(SHAPE).expect("a mapping");
    let slot = SlotRef::new(&mapping, 5);
    drop(mapping);
    slot.count(Counter::Requests);
    assert_eq!(slot.get(Counter::Requests), 1);
}

#[test]
fn nobody_can_shrink_it() {
    let mapping = Mapping::create(SHAPE).expect("a mapping");
    assert!(rustix::fs::ftruncate(mapping.file(), 0).is_err());
}

#[test]
fn what_is_no_mapping_is_refused() {
    let flags = MemfdFlags::ALLOW_SEALING;
    let plain = rustix::fs::memfd_create("test", flags).expect("a file");
    rustix::fs::ftruncate(&plain, 4096).expect("room");
    let not_sealed = plain.try_clone().expect("a descriptor");
    assert!(Mapping::open(not_sealed, true).is_err());
    rustix::fs::fcntl_add_seals(&plain, SEALS).expect("seals");
    assert!(Mapping::open(plain, true).is_err());

    let wrong = |change: fn(&Header)| {
        let mapping = Mapping::create(SHAPE).expect("a mapping");
        change(mapping.header());
        again(&mapping, true).is_err()
    };
    assert!(wrong(|header| header.magic.store(1, Ordering::Relaxed)));
    assert!(wrong(|header| header.layout.store(1, Ordering::Relaxed)));
    assert!(wrong(|header| header.threads.store(3, Ordering::Relaxed)));
    assert!(wrong(|header| header
        .processes
        .store(u64::MAX, Ordering::Relaxed)));
}

#[test]
#[should_panic(expected = "no worker 6")]
fn a_worker_too_many() {
    let _ = Mapping::create(SHAPE).expect("a mapping").slot(6);
}
