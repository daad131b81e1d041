//! HTTP/1.1 (RFC 9112) for servers, without I/O.
//!
//! [`Connection`] is the state machine of one connection: bytes go in through
//! [`Connection::next_event`], events that borrow those bytes come out; responses are written
//! through commands that append to a buffer of the caller. There is no clock, socket, task or
//! allocation per request in here.
//!
//! It is strict: what RFC 9112 lets a server reject to prevent request smuggling is rejected. Each
//! rule a peer can break is a [`Violation`] with its status code; each mistake of the caller is a
//! [`Misuse`].
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod chunked;
mod connection;
mod error;
mod exchange;
mod field_lines;
mod framing;
mod head;
mod opening;
mod request_line;
mod request_target;
mod response;
mod scan;
mod send;
#[cfg(feature = "testing")]
pub mod testing;

pub use ajay_http::{ContentSize, ResponseHead, SendBody};
pub use connection::{
    Config, Connection, ContentRemaining, EofEffect, Event, NextCycle, Reading, Step,
};
pub use error::{Misuse, Violation};
pub use framing::{Framing, message_framing};
pub use opening::Opening;
