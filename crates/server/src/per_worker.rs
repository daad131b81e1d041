//! Values of which each worker has its own.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value of which each worker has its own: a cache, a pool of connections, a counter, without
/// locks.
///
/// ```
/// # use std::cell::Cell;
/// # use ajayserver::{PerWorker, Request, Router};
/// let seen = PerWorker::new(|| Cell::new(0_u64));
/// let router = Router::new().get("/", async move |_: Request| {
///     let seen = seen.get();
///     seen.set(seen.get() + 1);
///     format!("{} on this worker\n", seen.get())
/// });
/// ```
///
/// Clones give the same values. A value is made when its thread first asks for it, and dropped with
/// the thread.
pub struct PerWorker<T> {
    id: u64,
    make: Arc<dyn Fn() -> T + Send + Sync>,
}

thread_local! {
    static VALUES: RefCell<HashMap<u64, Rc<dyn Any>>> = RefCell::default();
}

impl<T: 'static> PerWorker<T> {
    /// Values that `make` makes, on the thread of the worker and inside its tokio runtime.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> PerWorker<T> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        PerWorker {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            make: Arc::new(make),
        }
    }

    /// The value of the thread that calls, made now if it has none yet.
    ///
    /// # Panics
    /// When `make` does; the next call tries again.
    pub fn get(&self) -> Rc<T> {
        let there = VALUES.with_borrow(|values| values.get(&self.id).cloned());
        if let Some(Ok(value)) = there.map(Rc::downcast) {
            return value;
        }
        // Not while the values are borrowed: it may ask for another.
        let value = Rc::new((self.make)());
        VALUES.with_borrow_mut(|values| values.insert(self.id, Rc::clone(&value) as Rc<dyn Any>));
        value
    }
}

impl<T> Clone for PerWorker<T> {
    fn clone(&self) -> PerWorker<T> {
        PerWorker {
            id: self.id,
            make: Arc::clone(&self.make),
        }
    }
}

impl<T> fmt::Debug for PerWorker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerWorker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::PerWorker;

    #[test]
    fn each_thread_has_its_own() {
        let counter = PerWorker::new(|| Cell::new(0));
        let other = PerWorker::new(|| Cell::new(100));
        let clone = counter.clone();
        counter.get().set(1);
        assert_eq!((clone.get().get(), other.get().get()), (1, 100));
        let elsewhere = std::thread::spawn(move || clone.get().get());
        assert_eq!(elsewhere.join().expect("no panic"), 0);
    }

    #[test]
    fn one_may_be_made_of_another() {
        let first = PerWorker::new(|| 7);
        let of = first.clone();
        let second = PerWorker::new(move || *of.get() + 1);
        assert_eq!(*second.get(), 8);
    }
}
