//! The TLS half of the engine, without I/O: sessions, certificates, tickets.
//!
//! * [`Session`]: the server's side of one connection over rustls's unbuffered API. Ciphertext comes
//!   in as slices, plaintext goes out through a callback, records are appended to the caller's
//!   buffer.
//! * [`Config`]: what a listener offers: versions, ALPN, client certificates.
//! * [`CertStore`]: certificates by name, replaced at run time.
//! * [`TicketKeys`]: keys of session tickets, a value that processes share.
//! * [`self_signed`]: a certificate for development.
//!
//! No sockets and no threads. Time is an argument, or a clock that the caller passes.
#![forbid(unsafe_code)]
// What is public here is public in the library, or is shown by it.
#![deny(missing_docs)]
#![deny(clippy::unwrap_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod certificates;
mod client_certificates;
mod config;
mod date;
mod failure;
mod plain_http;
pub mod self_signed;
mod session;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used, clippy::panic)]
#[cfg_attr(not(test), allow(dead_code))] // Most of it is for the unit tests only.
pub mod testing;
mod tickets;

pub use certificates::{CertError, CertStore, Files, Pem, Validity};
pub use config::{ClientCertificates, Config, ConfigError, Options, VersionMin};
pub use failure::{EncryptError, Failure};
pub use plain_http::looks_like_http;
pub use session::{InputEnd, PLAINTEXT_RECORD_MAX, Session};
pub use tickets::{TICKET_KEYS_LEN, TicketKeys, TicketKeysCell, TicketKeysError};

// What the interface is made of.
pub use rustls::pki_types::{CertificateDer, UnixTime};
pub use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
pub use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion};
