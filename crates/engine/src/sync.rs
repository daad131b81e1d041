//! Atomics, locks and shared pointers, for modules whose interleavings are checked.
//!
//! `tests/models` compiles those modules a second time with a module of this name that has loom's.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}
