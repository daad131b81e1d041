//! What HTTP/2 (RFC 9113) and HTTP/3 (RFC 9114) share for servers, above field compression and below
//! frames, without I/O.
//!
//! * [`request`]: from decoded field lines to a request's head or a trailer section, and the rules on
//!   them. A rule that is broken is a [`Fault`]; what it leads to is each protocol's matter.
//! * [`response`]: from a response's head to field lines, and how much content follows it.
//! * [`Budget`]: how often a peer may do what costs us more than the peer.
//! * [`Priority`]: how urgent a response is (RFC 9218), and [`Scheduler`]: whose turn it is.
//!
//! Sections of RFC 9113 are cited; those of RFC 9114 (§4.2 to §4.4) have the same rules.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod budget;
mod fault;
mod method;
mod priority;
pub mod request;
pub mod response;
mod scheduler;

pub use budget::{Bucket, Budget};
pub use fault::Fault;
pub use method::MethodClass;
pub use priority::{EarlyPriorities, Priority};
pub use scheduler::Scheduler;
