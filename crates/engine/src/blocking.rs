//! The blocking pool: threads for what a handler must not do on its worker.
//!
//! One pool serves all workers of the process. It is bounded twice: by the closures that run at a
//! time, and by those that wait for that. One more is refused at once, so that overload is
//! answered 503 and not by a queue whose end nobody waits for.
//!
//! | a closure | is dropped when its future is dropped | counts against |
//! |---|---|---|
//! | waits | at once; it never runs | `blocking_queue_max`, beyond the threads that are free |
//! | runs | no: it runs to its end, and its result is dropped | `blocking_threads_max` |
//!
//! Threads are started when there is more to do than threads to do it, and end after
//! [`IDLE_TIMEOUT`] without work: a server that never blocks has none.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::oneshot;

use crate::config::BlockingLimits;
use crate::counters::Counter;
use crate::mapping::SlotRef;

/// Runs `f` on a thread of the blocking pool and gives what it returns. For handlers, and for
/// tasks they start on their worker with `tokio::task::spawn_local`.
///
/// `f` is queued when the future is first polled. Dropping the future before `f` has begun takes
/// `f` out of the queue; after that `f` runs to its end, and its result is dropped. A panic in `f`
/// goes on in whoever awaits it: an awaiting handler answers 500.
///
/// # Errors
/// [`BlockingError::Full`] at once, when all threads work and as many closures wait as may.
pub async fn blocking<F, T>(f: F) -> Result<T, BlockingError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let submitted = CURRENT.with_borrow(|current| match current {
        Some(current) => current.submit(f),
        None => Err(BlockingError::NotOnWorker),
    });
    submitted?.result().await
}

/// Why a closure was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockingError {
    /// All threads work, and `blocking_queue_max` closures wait.
    Full,
    /// The server is stopping and takes no more.
    Stopped,
    /// Called on a thread that is no worker of a running server.
    NotOnWorker,
}

impl fmt::Display for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BlockingError::Full => "too much blocking work is waiting already",
            BlockingError::Stopped => "the server is stopping",
            BlockingError::NotOnWorker => "blocking work needs a worker of a running server",
        })
    }
}

impl std::error::Error for BlockingError {}

thread_local! {
    /// Where this thread's blocking work goes: set while it is a worker.
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

struct Current {
    pool: Arc<Pool>,
    /// Of this worker, because only it may add to them.
    counters: SlotRef,
}

impl Current {
    fn submit<F, T>(&self, f: F) -> Result<Submitted<T>, BlockingError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let submitted = self.pool.submit(f);
        if let Err(BlockingError::Full) = submitted {
            self.counters.count(Counter::BlockingRefused);
        }
        submitted
    }
}

/// Until this is dropped, [`blocking`] works on this thread.
#[must_use]
pub(crate) struct Entered(());

pub(crate) fn enter(pool: Arc<Pool>, counters: SlotRef) -> Entered {
    CURRENT.set(Some(Current { pool, counters }));
    Entered(())
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// The threads of the process for blocking work, and what waits for them.
pub(crate) struct Pool {
    threads_max: usize,
    queue_max: usize,
    idle_timeout: Duration,
    /// Where the pool was made, before workers were pinned: a thread would inherit its worker's
    /// one CPU.
    cpus: Option<CpuSet>,
    state: Mutex<State>,
    /// There is something to do, or nothing will come any more.
    work: Condvar,
    /// A thread has ended, after [`State::closed`].
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// What has not begun, by its number: the first came first.
    queue: BTreeMap<u64, Box<dyn Job>>,
    next: u64,
    /// Threads, those that are just starting included.
    threads: usize,
    /// Threads that run a closure.
    busy: usize,
    started: u64,
    closed: bool,
}

/// How long a thread waits for work before it ends: longer than the pauses of steady traffic, so
/// that threads are not made for each request, and short beside a quiet night.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

impl Pool {
    pub(crate) fn new(limits: &BlockingLimits) -> Arc<Pool> {
        Pool::with_idle_timeout(limits, IDLE_TIMEOUT)
    }

    fn with_idle_timeout(limits: &BlockingLimits, idle_timeout: Duration) -> Arc<Pool> {
        Arc::new(Pool {
            threads_max: limits.blocking_threads_max.max(1),
            queue_max: limits.blocking_queue_max,
            idle_timeout,
            cpus: sched_getaffinity(None).ok(),
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
        })
    }

    fn submit<F, T>(self: &Arc<Self>, f: F) -> Result<Submitted<T>, BlockingError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (report, result) = oneshot::channel();
        let call = Call {
            f: Some(f),
            result: None,
            report: Some(report),
        };
        let number = self.push(Box::new(call))?;
        Ok(Submitted {
            pool: Arc::clone(self),
            number: Some(number),
            result,
        })
    }

    fn push(self: &Arc<Self>, job: Box<dyn Job>) -> Result<u64, BlockingError> {
        let mut state = self.lock();
        if state.closed {
            return Err(BlockingError::Stopped);
        }
        // Free threads count although they may not have been started: work for them does not wait.
        let free = self.threads_max - state.busy;
        if state.queue.len() >= self.queue_max.saturating_add(free) {
            return Err(BlockingError::Full);
        }
        // Under the lock, so that a thread that cannot be had concerns this closure only.
        let idle = state.threads - state.busy;
        if state.queue.len() >= idle && state.threads < self.threads_max {
            match self.start_thread(state.started) {
                Ok(()) => {
                    state.threads += 1;
                    state.started += 1;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot start a thread for blocking work");
                    if state.threads == 0 {
                        return Err(BlockingError::Full);
                    }
                }
            }
        }
        let number = state.next;
        state.next += 1;
        state.queue.insert(number, job);
        drop(state);
        self.work.notify_one();
        Ok(number)
    }

    fn start_thread(self: &Arc<Self>, number: u64) -> std::io::Result<()> {
        let pool = Arc::clone(self);
        thread::Builder::new()
            .name(format!("blocking-{number}"))
            .spawn(move || pool.run_thread())
            .map(drop)
    }

    fn run_thread(&self) {
        if let Some(cpus) = &self.cpus
            && let Err(error) = sched_setaffinity(None, cpus)
        {
            tracing::debug!(%error, "a thread for blocking work stays on its worker's CPU");
        }
        let mut state = self.lock();
        loop {
            if let Some((_, mut job)) = state.queue.pop_first() {
                state.busy += 1;
                drop(state);
                contained(|| job.run());
                // Free before anybody knows: who has its result may bring the next at once.
                self.lock().busy -= 1;
                contained(|| job.report());
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            let (after, waited) = self
                .work
                .wait_timeout(state, self.idle_timeout)
                .unwrap_or_else(PoisonError::into_inner);
            state = after;
            if waited.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        drop(state);
        self.ended.notify_all();
    }

    /// Takes back what has not begun. It is dropped here, and not under the lock, because it is
    /// the application's.
    fn withdraw(&self, number: u64) {
        let job = self.lock().queue.remove(&number);
        drop(job);
    }

    /// Drops what waits, takes nothing more, and waits this long for what runs. Returns how many
    /// closures run on after that.
    pub(crate) fn shut_down(&self, grace: Duration) -> usize {
        let mut state = self.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.queue);
        drop(state);
        drop(dropped);
        self.work.notify_all();

        let deadline = Instant::now() + grace;
        let mut state = self.lock();
        while state.threads > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.ended.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.busy
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A closure that waits or runs, whatever its type.
trait Job: Send {
    /// Calls it.
    fn run(&mut self);
    /// Gives the result to whoever awaits it.
    fn report(self: Box<Self>);
}

struct Call<F, T> {
    f: Option<F>,
    result: Option<thread::Result<T>>,
    report: Option<oneshot::Sender<thread::Result<T>>>,
}

impl<F, T> Job for Call<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&mut self) {
        self.result = self.f.take().map(|f| catch_unwind(AssertUnwindSafe(f)));
        // Dropping what nobody waits for any more is still work.
        if self.report.as_ref().is_none_or(oneshot::Sender::is_closed) {
            self.result = None;
        }
    }

    fn report(self: Box<Self>) {
        if let (Some(report), Some(result)) = (self.report, self.result) {
            drop(report.send(result));
        }
    }
}

/// Calls code that drops what belongs to the application. A panic in that ends here; its message
/// is not dropped, which might panic once more.
fn contained(run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        tracing::error!("a result of blocking work panicked while it was dropped");
        std::mem::forget(panic);
    }
}

/// A closure that was taken: waits, runs, or has run.
struct Submitted<T> {
    pool: Arc<Pool>,
    /// None once there is a result.
    number: Option<u64>,
    result: oneshot::Receiver<thread::Result<T>>,
}

impl<T> Submitted<T> {
    async fn result(mut self) -> Result<T, BlockingError> {
        let result = (&mut self.result).await;
        self.number = None;
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => resume_unwind(panic),
            // Its sender went with the queue.
            Err(_) => Err(BlockingError::Stopped),
        }
    }
}

impl<T> Drop for Submitted<T> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.pool.withdraw(number);
        }
    }
}

#[cfg(test)]
mod tests;
