//! A worker and those who wake it.

use std::task::{Wake, Waker};

use loom::thread;

use crate::check;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::wake::{Signal, WakeQueue};

/// The root future's waker: says that another turn follows.
struct Root(AtomicBool);

impl Wake for Root {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// A worker that takes turns until it may sleep.
struct Worker {
    queue: Arc<WakeQueue>,
    root: std::sync::Arc<Root>,
}

impl Worker {
    fn new(queue: &Arc<WakeQueue>) -> Worker {
        Worker {
            queue: Arc::clone(queue),
            root: std::sync::Arc::new(Root(AtomicBool::new(false))),
        }
    }

    /// Takes turns, each with a look, until the worker sleeps.
    fn run(&self, mut look: impl FnMut(&[u32])) {
        let waker = Waker::from(std::sync::Arc::clone(&self.root));
        let mut woken = Vec::new();
        loop {
            self.queue.begin_turn(&waker);
            self.queue.take(&mut woken);
            look(&woken);
            woken.clear();
            if self.queue.end_turn() {
                return;
            }
        }
    }

    /// The same when everybody who may wake it has done so: it sleeps on unless it was woken.
    fn run_if_woken(&self, look: impl FnMut(&[u32])) {
        if self.root.0.load(Ordering::Acquire) {
            self.run(look);
        }
    }
}

/// Two threads each have something for a handler, say so and wake it. When all is quiet the handler has
/// been polled after both.
#[test]
fn a_handler_sees_what_it_was_woken_for() {
    check(|| {
        let queue = Arc::new(WakeQueue::default());
        let signal = Arc::new(Signal::new(Arc::clone(&queue), 0));
        let said = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let threads = said.clone().map(|said| {
            let signal = Arc::clone(&signal);
            thread::spawn(move || {
                said.store(true, Ordering::Release);
                signal.notify();
            })
        });
        let worker = Worker::new(&queue);
        let mut seen = 0;
        let mut look = |woken: &[u32]| {
            for _ in woken {
                signal.taken();
                let is_said = said.iter().filter(|said| said.load(Ordering::Acquire));
                seen = is_said.count();
            }
        };
        worker.run(&mut look);
        for thread in threads {
            thread.join().expect("no panic");
        }
        worker.run_if_woken(&mut look);
        assert_eq!(seen, 2, "a wake-up was lost");
    });
}

/// A command is given and the worker called: it never sleeps without having looked at it.
#[test]
fn a_worker_that_was_called_looks_again() {
    check(|| {
        let queue = Arc::new(WakeQueue::default());
        let command = Arc::new(AtomicBool::new(false));
        let caller = {
            let (queue, command) = (Arc::clone(&queue), Arc::clone(&command));
            thread::spawn(move || {
                command.store(true, Ordering::Release);
                queue.wake_worker();
            })
        };
        let worker = Worker::new(&queue);
        let mut is_seen = false;
        let mut look = |_: &[u32]| is_seen = command.load(Ordering::Acquire);
        worker.run(&mut look);
        caller.join().expect("no panic");
        worker.run_if_woken(&mut look);
        assert!(is_seen, "a call was lost");
    });
}
