//! Recycled blocks, kept per thread.

use std::cell::{Cell, RefCell};
use std::thread::LocalKey;

/// Blocks of one kind that wait to be used again. More than [`BLOCKS_MAX`] at once on one worker
/// is rare, and what is kept costs memory for ever.
// Boxed, because a block leaves and comes back whole: moving it would copy it each way.
#[allow(clippy::vec_box)]
pub(crate) struct Pool<T> {
    /// The block that came back last: on a thread that works on one request at a time, the only one.
    last: Cell<Option<Box<T>>>,
    blocks: RefCell<Vec<Box<T>>>,
}

const BLOCKS_MAX: usize = 256;

/// A block that holds more than this is not worth keeping: one 16 KiB head would be kept for ever.
pub(crate) const POOLED_BYTES_MAX: usize = 4096;

impl<T> Pool<T> {
    pub(crate) const fn new() -> Pool<T> {
        Pool {
            last: Cell::new(None),
            blocks: RefCell::new(Vec::new()),
        }
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<Box<T>> {
        self.last.take().or_else(|| self.blocks.borrow_mut().pop())
    }

    /// Gives a block to this thread's pool; frees it where there is none any more, as at the end
    /// of a thread.
    #[inline]
    pub(crate) fn put(pool: &'static LocalKey<Pool<T>>, block: Box<T>) {
        let _ = pool.try_with(|pool| {
            let Some(block) = pool.last.replace(Some(block)) else {
                return;
            };
            let mut blocks = pool.blocks.borrow_mut();
            // One more is in `last`.
            if blocks.len() + 1 < BLOCKS_MAX {
                blocks.push(block);
            }
        });
    }
}
