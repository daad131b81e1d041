//! How much a worker holds for its connections, and when that is too much.
//!
//! Counted are bytes that exist because a client is slow: parts of heads and pipelined requests that
//! wait, content that no handler has read yet, output that no client has taken yet and that nobody else
//! shares. Each of these is bounded for one connection; the sum is bounded here. Above the bound new
//! work is refused, and content is read only for handlers that have nothing left to read; what has
//! been begun goes on, and makes room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is held. Content may be read, and so given back, on other threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<AtomicUsize>);

impl Held {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, bytes: usize) {
        let before = self.0.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{bytes} given back of {before}");
    }

    /// Replaces a part of the sum, which was `before`.
    #[inline]
    pub(crate) fn replace(&self, before: &mut usize, now: usize) {
        if *before == now {
            return;
        }
        if now > *before {
            self.add(now - *before);
        } else {
            self.sub(*before - now);
        }
        *before = now;
    }

    #[inline]
    pub(crate) fn is_above(&self, bytes_max: usize) -> bool {
        self.0.load(Ordering::Relaxed) > bytes_max
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
