use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::mapping::{Mapping, Shape};

/// Longer than anything here takes, and shorter than a reader's patience.
const PATIENCE: Duration = Duration::from_secs(20);

fn pool(threads: usize, queue: usize) -> Arc<Pool> {
    pool_with_idle_timeout(threads, queue, PATIENCE)
}

fn pool_with_idle_timeout(threads: usize, queue: usize, idle_timeout: Duration) -> Arc<Pool> {
    let limits = BlockingLimits {
        blocking_threads_max: threads,
        blocking_queue_max: queue,
    };
    Pool::with_idle_timeout(&limits, idle_timeout)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, future)
            .await
            .expect("in time")
    })
}

/// Blocks a thread of the pool until its sender is dropped or used, and says when it has begun.
fn hold(pool: &Arc<Pool>) -> (Submitted<&'static str>, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let held = pool.submit(move || {
        let _ = begin.send(());
        let _ = released.recv();
        "held"
    });
    let held = held.unwrap_or_else(|error| panic!("{error}"));
    begun.recv_timeout(PATIENCE).expect("it begins");
    (held, release)
}

fn refusal<T>(result: Result<Submitted<T>, BlockingError>) -> Option<BlockingError> {
    result.err()
}

/// Waits for what other threads are about to do.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what} did not come");
        thread::yield_now();
    }
}

/// Counts how often it is dropped.
struct CountDrops(Arc<AtomicUsize>);

impl Drop for CountDrops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_result_comes_back_from_a_thread_of_the_pool() {
    let pool = pool(2, 0);
    assert_eq!(pool.lock().threads, 0, "none was used");
    let name = pool.submit(|| thread::current().name().map(str::to_owned));
    let name = wait(name.expect("room").result());
    assert_eq!(name, Ok(Some("blocking-0".to_owned())));
}

#[test]
fn one_more_than_may_run_and_wait_is_refused() {
    for (threads, queue) in [(1, 0), (1, 1), (2, 3)] {
        let pool = pool(threads, queue);
        let held: Vec<_> = (0..threads).map(|_| hold(&pool)).collect();
        let waiting: Vec<_> = (0..queue)
            .map(|number| pool.submit(move || number).expect("room"))
            .collect();
        assert_eq!(refusal(pool.submit(|| ())), Some(BlockingError::Full));
        assert_eq!(pool.lock().threads, threads);
        for (held, release) in held {
            drop(release);
            assert_eq!(wait(held.result()), Ok("held"));
        }
        for (number, waiting) in waiting.into_iter().enumerate() {
            assert_eq!(wait(waiting.result()), Ok(number));
        }
        assert_eq!(refusal(pool.submit(|| ())), None, "there is room again");
    }
}

/// A thread that is free takes work although nothing may wait, and it is free as soon as its
/// result is known.
#[test]
fn a_free_thread_is_no_queue() {
    let pool = pool(1, 0);
    for number in 0..100 {
        let submitted = pool.submit(move || number);
        assert_eq!(wait(submitted.expect("room").result()), Ok(number));
    }
    assert_eq!(pool.lock().started, 1, "the thread was used again");
}

#[test]
fn who_leaves_before_it_begins_never_runs() {
    let pool = pool(1, 3);
    let (held, release) = hold(&pool);
    let (ran, drops) = (Arc::default(), Arc::<AtomicUsize>::default());
    let job = |number: usize| {
        let (ran, drops) = (Arc::clone(&ran), CountDrops(Arc::clone(&drops)));
        move || {
            let _drops = drops;
            let ran: &Mutex<Vec<usize>> = &ran;
            ran.lock().expect("no panic").push(number);
        }
    };
    let mut waiting: Vec<_> = (0..3)
        .map(|number| pool.submit(job(number)).expect("room"))
        .collect();
    drop(waiting.remove(1));
    assert_eq!(drops.load(Ordering::SeqCst), 1, "it is dropped at once");
    // Its place is free.
    waiting.push(pool.submit(job(3)).expect("room"));
    assert_eq!(refusal(pool.submit(job(4))), Some(BlockingError::Full));
    drop(release);
    assert_eq!(wait(held.result()), Ok("held"));
    for waiting in waiting {
        assert_eq!(wait(waiting.result()), Ok(()));
    }
    assert_eq!(*ran.lock().expect("no panic"), [0, 2, 3], "in order");
    until("the last drop", || drops.load(Ordering::SeqCst) == 5);
}

#[test]
fn who_leaves_after_it_has_begun_lets_it_run_to_its_end() {
    let pool = pool(1, 0);
    let (release, released) = mpsc::channel::<()>();
    let (say, said) = mpsc::channel();
    let drops = Arc::<AtomicUsize>::default();
    let result = CountDrops(Arc::clone(&drops));
    let submitted = pool.submit(move || {
        let _ = say.send("begun");
        let _ = released.recv();
        let _ = say.send("ended");
        result
    });
    let mut future = Box::pin(submitted.expect("room").result());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    assert_eq!(said.recv_timeout(PATIENCE), Ok("begun"));
    drop(future);
    drop(release);
    assert_eq!(said.recv_timeout(PATIENCE), Ok("ended"));
    until("the drop of its result", || {
        drops.load(Ordering::SeqCst) == 1
    });
}

#[test]
fn a_panic_goes_on_where_it_is_awaited_and_hurts_no_thread() {
    let pool = pool(1, 0);
    for _ in 0..3 {
        let submitted = pool.submit(|| std::panic::resume_unwind(Box::new("on purpose")));
        let submitted: Submitted<()> = submitted.expect("room");
        let result = catch_unwind(AssertUnwindSafe(|| wait(submitted.result())));
        let panic = result.expect_err("it panics here");
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
    }
    let state = pool.lock();
    assert_eq!((state.threads, state.started), (1, 1));
}

/// Also where nobody awaits it, and where dropping the result is what panics.
#[test]
fn a_result_that_panics_in_its_drop_hurts_no_thread() {
    struct PanicOnDrop;
    impl Drop for PanicOnDrop {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
    }
    let pool = pool(1, 1);
    let (held, release) = hold(&pool);
    let (begin, begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let submitted = pool.submit(move || {
        let _ = begin.send(());
        let _ = goes_on.recv();
        PanicOnDrop
    });
    drop(release);
    assert_eq!(wait(held.result()), Ok("held"));
    begun.recv_timeout(PATIENCE).expect("it begins");
    drop(submitted);
    drop(go_on);
    until("a free thread", || pool.lock().busy == 0);
    assert_eq!(wait(pool.submit(|| 1).expect("room").result()), Ok(1));
    assert_eq!(pool.lock().started, 1);
}

#[test]
fn threads_end_without_work_and_come_back_with_it() {
    let pool = pool_with_idle_timeout(4, 0, Duration::from_millis(1));
    for round in 0..20 {
        let held: Vec<_> = (0..4).map(|_| hold(&pool)).collect();
        assert_eq!(pool.lock().threads, 4, "round {round}");
        drop(held);
        until("the end of all threads", || pool.lock().threads == 0);
    }
}

#[test]
fn many_tasks_from_many_threads_all_run_once() {
    let pool = pool(3, 10_000);
    let ran = Arc::<AtomicUsize>::default();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let submitted: Vec<_> = (0..1000)
                    .map(|number| {
                        let ran = Arc::clone(&ran);
                        let job = move || {
                            ran.fetch_add(1, Ordering::SeqCst);
                            number
                        };
                        pool.submit(job).expect("room")
                    })
                    .collect();
                wait(async {
                    for (number, submitted) in submitted.into_iter().enumerate() {
                        assert_eq!(submitted.result().await, Ok(number));
                    }
                });
            });
        }
    });
    assert_eq!(ran.load(Ordering::SeqCst), 4000);
    until("free threads", || pool.lock().busy == 0);
    let state = pool.lock();
    assert!(state.threads <= 3 && state.queue.is_empty());
}

#[test]
fn a_shutdown_drops_what_waits_and_waits_for_what_runs() {
    let pool = pool(1, 1);
    let (held, release) = hold(&pool);
    let drops = Arc::<AtomicUsize>::default();
    let dropped = CountDrops(Arc::clone(&drops));
    let waiting = pool.submit(move || drop(dropped)).expect("room");

    assert_eq!(pool.shut_down(Duration::from_millis(1)), 1, "it runs on");
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert_eq!(wait(waiting.result()), Err(BlockingError::Stopped));
    assert_eq!(refusal(pool.submit(|| ())), Some(BlockingError::Stopped));

    let stopping = {
        let pool = Arc::clone(&pool);
        thread::spawn(move || pool.shut_down(PATIENCE))
    };
    drop(release);
    assert_eq!(stopping.join().expect("no panic"), 0);
    assert_eq!(wait(held.result()), Ok("held"), "it ran to its end");
    assert_eq!(pool.lock().threads, 0);
}

#[test]
fn a_worker_has_its_pool_and_counts_what_is_refused() {
    let elsewhere = || wait(blocking(|| 1));
    assert_eq!(elsewhere(), Err(BlockingError::NotOnWorker));
    let mapping = Mapping::create(Shape {
        processes: 1,
        threads: 1,
        address_cells: 0,
    });
    let counters = SlotRef::new(&mapping.expect("a mapping"), 0);
    let pool = pool(1, 0);
    let entered = enter(Arc::clone(&pool), counters.clone());
    assert_eq!(wait(blocking(|| 1)), Ok(1));
    let (_held, _release) = hold(&pool);
    let mut refused = Box::pin(blocking(|| 2));
    let at_once = refused
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(at_once, Poll::Ready(Err(BlockingError::Full)));
    assert_eq!(counters.get(Counter::BlockingRefused), 1);
    drop(entered);
    assert_eq!(elsewhere(), Err(BlockingError::NotOnWorker));
}
