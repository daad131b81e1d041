//! AjayServer: an HTTP server library.
//!
//! ```no_run
//! use ajayserver::{Request, Server};
//!
//! fn main() -> ajayserver::Result<()> {
//!     Server::bind("127.0.0.1:8080")?.run(async |_: Request| "Hello, world!\n")
//! }
//! ```
//!
//! A handler is any `async` function from [`Request`] to something that is
//! [`IntoResponse`]. It runs on the worker thread that owns the connection, inside a tokio
//! runtime, and need not be `Send`. What the peer may do is bounded: every limit and deadline of
//! [`Builder`] is on by default.
//!
//! | you want | see |
//! |---|---|
//! | to read the request's content | [`Content`] |
//! | to call what blocks its thread | [`blocking()`] |
//! | to stream a response | [`Body::stream`] |
//! | to send 103 (Early Hints) before it | [`send_informational`] |
//! | to change a limit, deadline or socket option | [`Builder`] |
//! | to stop the server from elsewhere, or to read its counters | [`Handle`] |
//! | to read the counters of a server in another process | [`Observer`] |
//! | several processes | [`Builder::processes`] |

#![forbid(unsafe_code)]

mod builder;
mod error;
mod handler;
mod into_response;
mod redirect;

pub use ajay_engine::config::{Congestion, Retry};
pub use ajay_engine::{
    BlockingError, Body, BodyWriter, BoxError, Content, ContentError, ContentType, Counter,
    CountersSnapshot, FieldSection, Handle, HistogramSnapshot, InformationalError, InvalidField,
    KnownField, ListenAddr, Method, Observer, PeerAddr, Request, Response, StatusCode,
    StreamClosed, Summary, Tls, TlsInfo, Version, blocking, is_worker_process, send_informational,
    tls,
};
pub use builder::{Builder, IntoListenAddr, Server};
pub use error::{Error, Result};
pub use handler::Handler;
pub use into_response::IntoResponse;
