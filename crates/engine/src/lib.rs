//! The engine of AjayServer: it owns sockets, memory and time, and drives the protocol cores.
//!
//! One worker is one OS thread with its own listeners (`SO_REUSEPORT`), its own epoll
//! instance, its own buffers, clock and deadline wheel. It runs as the root future of a tokio
//! `LocalRuntime`, so that what a handler awaits (`tokio::time`, database and HTTP clients) lives
//! on the same thread. The engine knows HTTP versions and connections; it knows no route, no file
//! and no configuration syntax: an application is a [`Service`].
//!
//! | module | what it owns |
//! |---|---|
//! | [`config`] | every limit, deadline and socket option with its default and the reason |
//! | `process` | several processes: the master, and how a process joins it |
//! | `mapping`, `counters`, `histogram` | memory that all processes share |
//! | `admission` | bounds on connections |
//! | `control`, `handle`, `link` | signals, and how workers are commanded |
//! | `listener` | sockets that accept |
//! | `systemd` | sockets that systemd passes, and what it is told |
//! | `inherit` | descriptors that the process was started with |
//! | `reactor` | the worker's epoll instance, nested in tokio's |
//! | `worker` | the turn: accept, read, handle, write, fire deadlines, drain |
//! | `session` | one connection: drives `ajay-h1` or `ajay-h2`, over `ajay-tls` where there is TLS |
//! | `quic` | UDP sockets and QUIC connections: drives `quinn-proto` and `ajay-h3` |
//! | [`tls`] | what listeners need to speak TLS |
//! | `desk` | what sessions of all versions do with exchanges |
//! | `exchange`, `wake` | slots for handlers that did not finish at once, and their wakers |
//! | `deadline` | the bucketed wheel |
//! | `draining` | what a worker's drain is for those it runs |
//! | `privileges` | from root to the user that the server runs as |
//! | `blocking` | threads for what must not stop a worker |
//! | [`offline`] | one exchange without a connection, for tests of applications |
//! | `foreign` | requests that other servers have read |
//! | `informational` | what handlers send before their response |
//! | `request`, `content`, `response`, `body` | what applications see |

// The exceptions are those of docs/src/design/unsafe.md.
#![deny(unsafe_code)]
// What is public here is public in the library, or is shown by it.
#![deny(missing_docs)]

mod accept;
mod admission;
mod blocking;
mod body;
pub mod config;
mod connection;
mod content;
mod context;
mod control;
mod counters;
mod deadline;
mod desk;
mod draining;
mod exchange;
mod foreign;
mod handle;
mod histogram;
mod informational;
mod inherit;
mod link;
mod listener;
mod mapping;
mod memory;
mod observer;
pub mod offline;
mod outbox;
mod places;
mod pool;
mod privileges;
mod process;
mod queue;
mod quic;
mod reactor;
mod request;
mod response;
mod service;
mod session;
mod start;
mod sync;
mod systemd;
pub mod tls;
mod wake;
mod worker;

/// The body of a fuzz target.
#[cfg(feature = "testing")]
pub mod testing {
    pub use crate::quic::fuzz::fuzz_datagrams;
}

pub use blocking::{BlockingError, blocking};
pub use body::{Body, BodyWriter, BoxError, StreamClosed};
pub use config::Config;
pub use content::{Content, ContentError};
pub use counters::{Counter, CountersSnapshot};
pub use draining::is_draining;
pub use handle::Handle;
pub use histogram::HistogramSnapshot;
pub use informational::{InformationalError, send_informational};
pub use listener::{BindError, ListenAddr};
pub use observer::Observer;
pub use privileges::UserError;
pub use process::is_worker_process;
pub use request::{Annex, PeerAddr, Request};
pub use response::{ContentType, Response};
pub use service::Service;
pub use start::{Engine, Listen, Place, StartError, Summary};
pub use tls::{Tls, TlsError, TlsInfo};

pub use ajay_http::{FieldSection, InvalidField, KnownField, Limits, Method, StatusCode, Version};
