//! Descriptors that the process was started with, as owned ones.
//!
//! A number says nothing about who owns what it stands for. This is the one place that turns such
//! numbers into owned descriptors, and it does so once for each in the life of the process.

#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::io::FdFlags;

/// INVARIANT: the numbers of all descriptors that were given out by [`take`]. None is given out twice,
/// so each has one owner here.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Takes over a descriptor of this number, and keeps it from programs we execute. Whoever started the
/// process must have said that it passed it to us, for that says that nothing else in the process owns
/// it.
///
/// # Errors
/// When there is none of this number, it was opened in this process, or it was taken before.
pub(crate) fn take(number: RawFd) -> io::Result<OwnedFd> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&number) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    look_at(number, |descriptor| {
        rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC)
    })??;
    taken.push(number);
    // SAFETY: it is open (the call above), ours by what our starter said, and nothing here owns it yet
    // (INVARIANT of `TAKEN`).
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Looks at a descriptor without taking it.
///
/// # Errors
/// When none of this number was passed to the process. Descriptors that the program opens itself close
/// with the next program, and one that came through such a change cannot be of that kind: so an
/// environment that lies cannot make us take what is ours already.
pub(crate) fn look_at<T>(number: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> T) -> io::Result<T> {
    // Standard input, output and error are everybody's.
    if number < 3 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: borrowed until the end of this function; the first call fails on a number that is not
    // open, and what was passed to us is closed by nobody but its owner, who gets it here (`take`).
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    if rustix::io::fcntl_getfd(borrowed)?.contains(FdFlags::CLOEXEC) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(look(borrowed))
}

/// What [`adopt`] took, kept open to the end.
static ADOPTED: OnceLock<Result<Adopted, AdoptError>> = OnceLock::new();

struct Adopted {
    numbers: Range<RawFd>,
    descriptors: Vec<OwnedFd>,
}

/// Why numbers could not be adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdoptError {
    /// Nothing is open at this number.
    NotOpen(RawFd),
    /// Others have been adopted before.
    Others,
}

/// Takes the descriptors of these numbers for the rest of the process's life; who asks again gets what
/// was taken then. Users make duplicates.
pub(crate) fn adopt(numbers: Range<RawFd>) -> Result<&'static [OwnedFd], AdoptError> {
    let take_all = || {
        let not_open = |number| move |_| AdoptError::NotOpen(number);
        // All or none.
        for number in numbers.clone() {
            look_at(number, |_| ()).map_err(not_open(number))?;
        }
        let one = |number| take(number).map_err(not_open(number));
        let descriptors = numbers.clone().map(one).collect::<Result<_, _>>()?;
        Ok(Adopted {
            numbers: numbers.clone(),
            descriptors,
        })
    };
    match ADOPTED.get_or_init(take_all) {
        Ok(adopted) if adopted.numbers == numbers => Ok(&adopted.descriptors),
        Ok(_) => Err(AdoptError::Others),
        Err(error) => Err(*error),
    }
}
