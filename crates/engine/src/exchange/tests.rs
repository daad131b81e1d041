use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

const OWNER: Token = Token {
    index: 3,
    generation: 9,
};

#[derive(Default)]
struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn root() -> (Arc<CountingWaker>, Waker) {
    let counter = Arc::new(CountingWaker::default());
    (Arc::clone(&counter), Waker::from(counter))
}

#[test]
fn a_finished_slot_is_used_again() {
    let mut slots = Slots::new(Arc::default());
    let first = slots.acquire(OWNER);
    slots.get(first).begin(ready(7));
    assert_eq!(slots.get(first).poll(), Poll::Ready(7));
    assert!(!slots.get(first).is_running());
    slots.release(first);
    assert_eq!(slots.acquire(OWNER), first);
    assert_ne!(slots.acquire(OWNER), first, "but not while it is in use");
}

#[test]
fn cancelling_and_releasing_drop_the_future() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    async fn wait(_held: Dropped) {
        pending::<()>().await;
    }
    for cancel in [true, false] {
        let dropped = Arc::new(AtomicBool::new(false));
        let mut slots = Slots::new(Arc::default());
        let slot = slots.acquire(OWNER);
        slots.get(slot).begin(wait(Dropped(Arc::clone(&dropped))));
        assert_eq!(slots.get(slot).poll(), Poll::Pending);
        assert!(!dropped.load(Ordering::SeqCst));
        if cancel {
            slots.get(slot).cancel()
        } else {
            slots.release(slot)
        }
        assert!(dropped.load(Ordering::SeqCst));
    }
}

#[test]
fn a_wake_up_queues_its_slot_once_and_names_its_owner() {
    let queue = Arc::<WakeQueue>::default();
    let mut slots = Slots::new(Arc::clone(&queue));
    let slot = slots.acquire(OWNER);
    slots.get(slot).begin(pending::<()>());
    let waker = slots.get(slot).waker().clone();
    waker.wake_by_ref();
    waker.wake_by_ref();

    let mut woken = Vec::new();
    queue.take(&mut woken);
    assert_eq!(woken, [slot]);
    assert_eq!(slots.woken(slot), Some(OWNER));
    waker.wake();
    woken.clear();
    queue.take(&mut woken);
    assert_eq!(
        woken,
        [slot],
        "after it was looked at it can be woken again"
    );
}

#[test]
fn a_late_wake_up_of_a_free_slot_is_nobodys() {
    let queue = Arc::<WakeQueue>::default();
    let mut slots = Slots::new(Arc::clone(&queue));
    let slot = slots.acquire(OWNER);
    slots.get(slot).begin(pending::<()>());
    let waker = slots.get(slot).waker().clone();
    slots.release(slot);
    waker.wake();
    assert_eq!(slots.woken(slot), None);
}

#[test]
fn outside_a_turn_the_worker_is_woken_and_inside_it_is_not() {
    let queue = Arc::<WakeQueue>::default();
    let (counter, waker) = root();
    let wakes = || counter.0.load(Ordering::SeqCst);

    queue.begin_turn(&waker);
    queue.push(1);
    assert_eq!(wakes(), 0);
    assert!(
        !queue.end_turn(),
        "what came during the turn keeps it going"
    );
    let mut woken = Vec::new();
    queue.take(&mut woken);
    assert_eq!(woken, [1]);
    assert!(queue.end_turn());
    queue.push(2);
    assert_eq!(wakes(), 1);
    queue.wake_worker();
    assert_eq!(wakes(), 2);
}

/// A command may come after the worker has looked for commands, and before it sleeps.
#[test]
fn a_call_in_a_turn_makes_another_turn_follow() {
    let queue = Arc::<WakeQueue>::default();
    let (counter, waker) = root();
    queue.begin_turn(&waker);
    queue.wake_worker();
    assert!(!queue.end_turn(), "the call was after this turn's look");
    assert!(queue.end_turn(), "and before the next one's");
    assert_eq!(counter.0.load(Ordering::SeqCst), 0);
}

#[test]
fn no_wake_up_from_another_thread_is_lost() {
    // The worker sleeps only after `end_turn` said it may, and only until it is woken.
    let queue = Arc::<WakeQueue>::default();
    let wakes = 20_000_u32;
    let thread = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || (0..wakes).for_each(|slot| queue.push(slot)))
    };
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut seen = Vec::new();
    let mut woken = Vec::new();
    while seen.len() < wakes as usize {
        queue.begin_turn(&waker);
        queue.take(&mut woken);
        seen.append(&mut woken);
        if queue.end_turn() && seen.len() < wakes as usize {
            std::thread::park_timeout(std::time::Duration::from_secs(10));
        }
    }
    thread.join().expect("no panic");
    assert_eq!(seen, (0..wakes).collect::<Vec<_>>());
}
