//! Descriptors that the process was started with, as owned ones.
//!
//! A number says nothing about who owns what it stands for. This is the one place that turns such
//! numbers into owned descriptors, and it does so once in the life of the process: who asks again
//! gets what was adopted then. They stay open to the end; users make duplicates.

#![allow(unsafe_code)]

use std::ops::Range;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

/// INVARIANT: filled once and never taken out, so that no number is adopted twice, and no adopted
/// descriptor is closed.
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

/// Adopts the descriptors of these numbers, and keeps them from programs we execute. Whoever
/// started the process must have said that it passed them to us, for that says that nothing else
/// in the process owns them.
pub(crate) fn adopt(numbers: Range<RawFd>) -> Result<&'static [OwnedFd], AdoptError> {
    match ADOPTED.get_or_init(|| adopt_once(numbers.clone())) {
        Ok(adopted) if adopted.numbers == numbers => Ok(&adopted.descriptors),
        Ok(_) => Err(AdoptError::Others),
        Err(error) => Err(*error),
    }
}

fn adopt_once(numbers: Range<RawFd>) -> Result<Adopted, AdoptError> {
    for number in numbers.clone() {
        // SAFETY: `fcntl` takes any number, and with this command reads and writes no memory of
        // ours; where nothing is open it fails.
        let set = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        if set == -1 {
            return Err(AdoptError::NotOpen(number));
        }
    }
    let adopt_one = |number| {
        // SAFETY: it is open, as was just seen, and ours by what our starter said; this runs once
        // in the life of the process (INVARIANT of `ADOPTED`), so nothing here owns it yet.
        unsafe { OwnedFd::from_raw_fd(number) }
    };
    Ok(Adopted {
        descriptors: numbers.clone().map(adopt_one).collect(),
        numbers,
    })
}
