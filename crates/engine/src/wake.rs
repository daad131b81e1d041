//! How handlers, and other threads, wake a worker.
//!
//! Of what threads share it uses [`crate::sync`] only: `tests/models` runs it through every interleaving.

use std::task::Waker;

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Wakes one slot, from any thread.
pub(crate) struct Signal {
    queue: Arc<WakeQueue>,
    slot: u32,
    /// Whether the slot stands in the queue, so that it stands there once.
    queued: AtomicBool,
}

impl Signal {
    pub(crate) fn new(queue: Arc<WakeQueue>, slot: u32) -> Signal {
        Signal {
            queue,
            slot,
            queued: AtomicBool::new(false),
        }
    }

    /// The slot has left the queue and is looked at now: a wake-up from here on queues it again.
    pub(crate) fn taken(&self) {
        // Not a mere store: of one who came before it, and left the slot in the queue, the look that
        // follows has to see what they had to say.
        self.queued.swap(false, Ordering::AcqRel);
    }

    pub(crate) fn notify(&self) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.push(self.slot);
        }
    }
}

/// Slots to look at, and the waker of the worker's root future.
///
/// While the worker is in a turn it looks into the queue before it sleeps, so a wake-up needs no
/// system call. `in_turn` is read and written under the lock that guards the queue: a push or a call either
/// comes before the worker's last look, or sees `in_turn` false and wakes it.
#[derive(Default)]
pub(crate) struct WakeQueue {
    state: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    ready: Vec<u32>,
    /// Something else than a slot wants the worker's attention.
    is_called: bool,
    in_turn: bool,
    root: Option<Waker>,
}

impl WakeQueue {
    pub(crate) fn push(&self, slot: u32) {
        let mut state = self.lock();
        state.ready.push(slot);
        Self::wake_unless_in_turn(state);
    }

    /// Makes the worker take a turn that begins after this call.
    pub(crate) fn wake_worker(&self) {
        let mut state = self.lock();
        state.is_called = true;
        Self::wake_unless_in_turn(state);
    }

    /// Called at the start of a turn with the root future's waker.
    pub(crate) fn begin_turn(&self, waker: &Waker) {
        let mut state = self.lock();
        state.in_turn = true;
        if !state
            .root
            .as_ref()
            .is_some_and(|root| root.will_wake(waker))
        {
            state.root = Some(waker.clone());
        }
    }

    /// Moves what is ready into `woken` (which must be empty).
    pub(crate) fn take(&self, woken: &mut Vec<u32>) {
        std::mem::swap(&mut self.lock().ready, woken);
    }

    /// Ends the turn and returns true, unless something became ready or called meanwhile: then another
    /// turn must follow.
    pub(crate) fn end_turn(&self) -> bool {
        let mut state = self.lock();
        let is_called = std::mem::take(&mut state.is_called);
        state.in_turn = is_called || !state.ready.is_empty();
        !state.in_turn
    }

    fn wake_unless_in_turn(state: MutexGuard<'_, QueueState>) {
        if state.in_turn {
            return;
        }
        let root = state.root.clone();
        drop(state);
        if let Some(root) = root {
            root.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
