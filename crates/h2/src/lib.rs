//! HTTP/2 (RFC 9113) for servers, without I/O.
//!
//! [`Connection`] is the state machine of one connection: bytes go in through
//! [`Connection::next_event`], events that borrow those bytes come out; responses are written
//! through commands that append to a buffer of the caller. There is no clock, socket, task or
//! allocation per request in here.
//!
//! Each rule a peer can break is a [`Violation`] with its [`Effect`]: the end of the connection, of
//! the stream, or a response. Each mistake of the caller is a [`Misuse`]. What a peer can do too
//! often is counted against [`Budgets`].
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod budgets;
mod config;
mod connection;
mod error;
mod flow;
mod frame;
mod preface;
mod settings;
mod stream;
mod streams;
#[cfg(feature = "testing")]
pub mod testing;

pub use ajay_mux::Budget;
pub use ajay_mux::Priority;
pub use budgets::{Budgets, TINY_DATA_BYTES_MAX};
pub use config::Config;
pub use connection::{
    Connection, Drain, EofEffect, Event, Grant, Reading, ResetCause, Step, UnfinishedSince,
};
pub use error::{Effect, ErrorCode, Misuse, Violation};
pub use preface::Preface;
pub use streams::StreamKey;
