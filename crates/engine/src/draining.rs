//! Whether the worker of this thread drains, for what it runs.

use std::cell::Cell;

thread_local! {
    static IS_DRAINING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the worker that runs the caller has begun to drain: for responses without an end, which
/// would last until `drain_timeout` cuts them. False on threads that are no worker.
pub fn is_draining() -> bool {
    IS_DRAINING.get()
}

/// The worker of this thread has begun to drain.
pub(crate) fn begin() {
    IS_DRAINING.set(true);
}

/// Until this is dropped, this thread is that of a worker, which does not drain yet.
#[must_use]
pub(crate) struct Entered(());

pub(crate) fn enter() -> Entered {
    IS_DRAINING.set(false);
    Entered(())
}

impl Drop for Entered {
    fn drop(&mut self) {
        IS_DRAINING.set(false);
    }
}
