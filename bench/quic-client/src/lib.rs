//! A QUIC client without tasks: one socket, one connection, driven by whoever polls the socket; and the few
//! frames of HTTP/3 that a load needs.

mod connection;
mod http;

pub use connection::{Connection, Options};
pub use http::{Progress, Request, Session};
