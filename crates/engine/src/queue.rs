//! What the kernel holds of a connection's output.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::OwnedFd;

use rustix::ioctl::Getter;

/// `SIOCOUTQ`, which has this number (tcp(7)).
const OUTPUT_QUEUE: rustix::ioctl::Opcode = nix::libc::TIOCOUTQ as _;

/// Bytes that were given to the kernel and that the peer has not acknowledged. None where the system
/// does not say.
pub(crate) fn unacknowledged(socket: &OwnedFd) -> Option<u64> {
    // SAFETY: this request writes one `int`, which is what the getter has room for, and reads nothing.
    let bytes = unsafe {
        let getter = Getter::<OUTPUT_QUEUE, c_int>::new();
        rustix::ioctl::ioctl(socket, getter)
    };
    bytes.ok().and_then(|bytes| u64::try_from(bytes).ok())
}
