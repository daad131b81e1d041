//! One piece of memory that all processes of a server share: counters, histograms, and the table of
//! connections for each address.
//!
//! It is an anonymous file (memfd) that the first process makes and hands on. Everything in it is an
//! atomic of 64 bits, there is no lock, and each cell has a meaning by itself, so a process that is
//! killed at any instruction leaves nothing half done. Each worker writes its own [`Slot`] only; the
//! slot of a worker whose process has died is settled by the master.
//!
//! ```text
//!   Header | Slot of worker 0 | Slot of worker 1 | … | cells of process 0 | cells of process 1 | …
//! ```

#![allow(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::counters::{Counters, LAYOUT_HASH};
use crate::histogram::Histogram;

/// What one worker counts.
// On cache lines of its own: another worker's writes must not slow this one down. Two lines, because
// processors fetch them in pairs.
#[repr(C, align(128))]
pub(crate) struct Slot {
    pub(crate) counters: Counters,
    /// From a request's head to the head of its response, in microseconds.
    pub(crate) request_time: Histogram,
    /// Turns of the worker that were followed by another one at once, in microseconds.
    pub(crate) turn_time: Histogram,
}

#[repr(C, align(128))]
struct Header {
    magic: AtomicU64,
    /// Tells layouts apart: an observer may be another version of the program.
    layout: AtomicU64,
    processes: AtomicU64,
    threads: AtomicU64,
    address_cells: AtomicU64,
    /// Keys of the hash by which addresses are found.
    seeds: [AtomicU64; 2],
}

/// "ajaymap1"
const MAGIC: u64 = 0x616a_6179_6d61_7031;

/// The name of the anonymous file, by which it is found among a process's descriptors.
pub(crate) const NAME: &str = "ajayserver-shared";

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) processes: usize,
    /// Workers of each process.
    pub(crate) threads: usize,
    /// Cells of each process's table of addresses: a power of two, or zero.
    pub(crate) address_cells: usize,
}

impl Shape {
    pub(crate) fn workers(&self) -> usize {
        self.processes * self.threads
    }

    fn cells_at(&self) -> usize {
        size_of::<Header>() + self.workers() * size_of::<Slot>()
    }

    /// None when it is more than can be.
    fn bytes(&self) -> Option<usize> {
        let fits = |n: usize, max: usize| (n <= max).then_some(n);
        let workers = fits(self.processes, COUNT_MAX)? * fits(self.threads, COUNT_MAX)?;
        let slots = fits(workers, COUNT_MAX)? * size_of::<Slot>();
        let cells = self.processes * fits(self.address_cells, CELLS_MAX)? * size_of::<AtomicU64>();
        Some(size_of::<Header>() + slots + cells)
    }
}

/// Far above any machine; what is read from a descriptor is not believed without a bound.
const COUNT_MAX: usize = 1 << 16;
const CELLS_MAX: usize = 1 << 24;

pub(crate) struct Mapping {
    /// INVARIANT: the start of `bytes` bytes that are mapped from `file` until the drop. The file is
    /// sealed against shrinking before it is mapped, so each of them can be touched. `shape` fits
    /// into them. They are only ever accessed as `AtomicU64`, and written only when `file` was
    /// mapped for writing, which all but observers do.
    start: NonNull<u8>,
    bytes: usize,
    shape: Shape,
    file: OwnedFd,
}

// SAFETY: the mapping is not bound to a thread, and all that is reached through it are atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Makes a new one, all zero.
    pub(crate) fn create(shape: Shape) -> io::Result<Arc<Mapping>> {
        let too_large = || io::Error::other("more workers than can be counted");
        let bytes = shape.bytes().ok_or_else(too_large)?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create(NAME, flags)?;
        rustix::fs::ftruncate(&file, bytes as u64)?;
        rustix::fs::fcntl_add_seals(&file, SEALS)?;
        let mapping = Mapping::map(file, bytes, shape, ProtFlags::READ | ProtFlags::WRITE)?;
        let header = mapping.header();
        let store = |cell: &AtomicU64, value: u64| cell.store(value, Ordering::Relaxed);
        store(&header.layout, LAYOUT_HASH);
        store(&header.processes, shape.processes as u64);
        store(&header.threads, shape.threads as u64);
        store(&header.address_cells, shape.address_cells as u64);
        for seed in &header.seeds {
            // std's keys come from the system's random numbers.
            store(seed, RandomState::new().hash_one(0));
        }
        header.magic.store(MAGIC, Ordering::Release);
        Ok(Arc::new(mapping))
    }

    /// Maps what another process has made. An observer only reads.
    ///
    /// # Errors
    /// When it is no mapping of ours, or one of another version.
    pub(crate) fn open(file: OwnedFd, is_observer: bool) -> io::Result<Arc<Mapping>> {
        let other = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        if !rustix::fs::fcntl_get_seals(&file)?.contains(SEALS) {
            return Err(other("the file is not one of shared counters"));
        }
        let bytes = usize::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
        if bytes < size_of::<Header>() {
            return Err(other("the file is too small for shared counters"));
        }
        let mut flags = ProtFlags::READ;
        if !is_observer {
            flags |= ProtFlags::WRITE;
        }
        let nothing = Shape {
            processes: 0,
            threads: 0,
            address_cells: 0,
        };
        let mut mapping = Mapping::map(file, bytes, nothing, flags)?;
        let header = mapping.header();
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(other("the file is not one of shared counters"));
        }
        if header.layout.load(Ordering::Relaxed) != LAYOUT_HASH {
            return Err(other("another version of the program made the counters"));
        }
        let load = |cell: &AtomicU64| usize::try_from(cell.load(Ordering::Relaxed)).unwrap_or(0);
        let shape = Shape {
            processes: load(&header.processes),
            threads: load(&header.threads),
            address_cells: load(&header.address_cells),
        };
        if shape.bytes() != Some(bytes) {
            return Err(other("the file of shared counters is damaged"));
        }
        mapping.shape = shape;
        Ok(Arc::new(mapping))
    }

    fn map(file: OwnedFd, bytes: usize, shape: Shape, flags: ProtFlags) -> io::Result<Mapping> {
        // SAFETY: a new mapping at a place of the kernel's choice; nothing else is affected.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                flags,
                MapFlags::SHARED,
                &file,
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping {
            start,
            bytes,
            shape,
            file,
        })
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The file behind it, to be given to another process.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The slot of a worker.
    ///
    /// # Panics
    /// When there is no such worker.
    pub(crate) fn slot(&self, worker: usize) -> &Slot {
        assert!(worker < self.shape.workers(), "no worker {worker}");
        let at = size_of::<Header>() + worker * size_of::<Slot>();
        // SAFETY: the slots of `shape.workers()` workers lie behind the header (INVARIANT of
        // `start`); a mapping begins on a page, and the sizes of both are multiples of their
        // alignment; a slot is made of atomics, for which every content is valid.
        unsafe { self.start.add(at).cast::<Slot>().as_ref() }
    }

    /// The cells of a process's table of addresses.
    ///
    /// # Panics
    /// When there is no such process.
    pub(crate) fn address_cells(&self, process: usize) -> &[AtomicU64] {
        assert!(process < self.shape.processes, "no process {process}");
        let cells = self.shape.address_cells;
        let at = self.shape.cells_at() + process * cells * size_of::<AtomicU64>();
        // SAFETY: each process has `address_cells` cells behind the slots (INVARIANT of `start`),
        // and all that lies before them is a multiple of 8 bytes long.
        unsafe { std::slice::from_raw_parts(self.start.add(at).cast().as_ptr(), cells) }
    }

    pub(crate) fn seeds(&self) -> [u64; 2] {
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let [first, second] = &self.header().seeds;
        [load(first), load(second)]
    }

    fn header(&self) -> &Header {
        // SAFETY: there are at least as many bytes (INVARIANT of `start`, checked before mapping),
        // aligned to a page; a header is made of atomics, for which every content is valid.
        unsafe { self.start.cast::<Header>().as_ref() }
    }
}

/// Nobody who has the file can take its bytes away from those who have mapped it.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that was mapped (INVARIANT of `start`); no reference into it
        // outlives `self`, and every `SlotRef` keeps `self` alive.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// A worker's own slot.
#[derive(Clone)]
pub(crate) struct SlotRef {
    /// INVARIANT: a slot of `_mapping`.
    slot: NonNull<Slot>,
    /// Kept alive.
    _mapping: Arc<Mapping>,
}

// SAFETY: it is a reference to atomics, and keeps what they lie in alive.
unsafe impl Send for SlotRef {}
// SAFETY: as above.
unsafe impl Sync for SlotRef {}

impl SlotRef {
    /// # Panics
    /// When there is no such worker.
    pub(crate) fn new(mapping: &Arc<Mapping>, worker: usize) -> SlotRef {
        SlotRef {
            slot: NonNull::from(mapping.slot(worker)),
            _mapping: Arc::clone(mapping),
        }
    }
}

impl Deref for SlotRef {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        // SAFETY: it points to a slot of `_mapping`, which lives as long as `self` (INVARIANT).
        unsafe { self.slot.as_ref() }
    }
}

#[cfg(test)]
mod tests;
