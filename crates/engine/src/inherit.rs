//! Descriptors that the process was started with.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::FdFlags;

/// INVARIANT: the numbers of all descriptors that were given out by [`take`]. None is given out twice,
/// so each has one owner here.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Takes over a descriptor whose number the environment names, and keeps it from programs that this
/// one starts.
///
/// # Errors
/// When there is none of this number, or it was taken before.
pub(crate) fn take(number: RawFd) -> io::Result<OwnedFd> {
    // Standard input, output and error are everybody's.
    if number < 3 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&number) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // SAFETY: borrowed for one call, which fails on a number that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    taken.push(number);
    // SAFETY: it is open (the call above), whoever started this program left it for us under this
    // number and nothing else here owns it (INVARIANT of `TAKEN`).
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
