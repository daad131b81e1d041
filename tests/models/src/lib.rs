//! Modules of the engine in which threads and processes meet, under [loom](https://docs.rs/loom): each
//! model is run with every order of its steps, and with every value that the memory model of C11 lets a
//! thread see. What passes here is right on processors that keep fewer promises than the one at hand.
//!
//! The modules are the engine's own files, compiled a second time with loom's atomics and locks under
//! the name `crate::sync`. So nothing in the engine is switched by a cfg, and tokio, which has a
//! `cfg(loom)` of its own, is not here.
//!
//! | module | what must hold |
//! |---|---|
//! | `wake` | a worker that sleeps has seen everything that was said before a wake-up |
//! | `admission::addresses` | never more connections of an address than the bound, and none left in the end |

#![forbid(unsafe_code)]
#![cfg(test)]

#[allow(dead_code)]
#[path = "../../../crates/engine/src/admission/addresses.rs"]
mod addresses;
#[allow(dead_code)]
#[path = "../../../crates/engine/src/wake.rs"]
mod wake;

mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};

    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
    }
}

mod addresses_model;
mod wake_model;

/// Runs a model. Orders with more than three changes of thread that no step asks for are left out: what
/// is found is found with two, and a model of three threads takes minutes otherwise.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}
