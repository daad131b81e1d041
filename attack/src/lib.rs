//! Hostile clients, and an honest one that counts.
//!
//! | part | what |
//! |---|---|
//! | [`attack`](mod@attack) | clients that try to use a server up: slow, endless, broken, too many |
//! | [`sink`] | a server that reads and never answers, to see what an attack costs by itself |
//! | [`counting`] | a client that knows of each request whether it was written, answered, mixed up or lost |
//! | [`scenario`] | honest load beside an attack, on a server and on the sink, compared |
//!
//! They speak HTTP/1.1 and HTTP/2, both in cleartext, and HTTP/3 with any certificate. Nothing here uses the code under test.
//! Everything speaks to loopback addresses only, and ends by itself after the time it was given.

#![forbid(unsafe_code)]

pub mod attack;
pub mod counting;
mod error;
mod events;
mod h2;
mod json;
mod loopback;
mod protocol;
mod quic;
pub mod scenario;
pub mod sink;
mod spread;

pub use error::Error;
pub use json::Json;
pub use loopback::{Loopback, SOURCES_MAX, descriptors, raise_descriptor_limit};
pub use protocol::Protocol;
pub use spread::Spread;

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
