//! HTTP/3 (RFC 9114) for servers, without I/O and without QUIC.
//!
//! [`Connection`] is the state machine of one connection. It knows streams by their numbers: their bytes go
//! in through [`Connection::next_event`], events that borrow those bytes come out; responses are written
//! through commands that append to a buffer of the caller, which is to go on the request's stream. What
//! the transport is to do is a [`Command`]; what is to be sent on our own streams is
//! [`Connection::output`]. There is no clock, socket, task or allocation per request in here.
//!
//! Each rule a peer can break is a [`Violation`] with its [`Effect`]: the end of the connection, of the
//! stream, or a response. Each mistake of the caller is a [`Misuse`]. What a peer can do too often is
//! counted against [`Budgets`].
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod budgets;
mod config;
mod connection;
mod error;
mod frame;
mod settings;
mod stream;
mod streams;
#[cfg(feature = "testing")]
pub mod testing;
mod unidirectional;
mod varint;

pub use ajay_mux::{Budget, Priority};
pub use budgets::{Budgets, TINY_DATA_BYTES_MAX};
pub use config::Config;
pub use connection::{
    Command, Connection, Drain, Event, Grant, Reading, ResetCause, Step, UniStream,
};
pub use error::{Effect, ErrorCode, Misuse, Violation};
pub use streams::StreamKey;
