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
//! | several routes | [`Router`] |
//! | to do something before and after handlers | [`Middleware`]; ready-made: [`middleware`] (compression: feature `compression`) |
//! | values that handlers share | [`Router::state`], [`PerWorker`] |
//! | to read the request's content | [`Content`]; `Request::json`, `form`, `multipart` (features `json`, `forms`, `multipart`) |
//! | to serve files | `Files` (feature `files`) |
//! | to call what blocks its thread | [`blocking()`] |
//! | to stream a response | [`Response::stream`], [`Sse`] for events |
//! | to answer conditional and range requests | [`conditional`] |
//! | to send 103 (Early Hints) before it | [`send_informational`] |
//! | to change a limit, deadline or socket option | [`Builder`] |
//! | to stop the server from elsewhere, or to read its counters | [`Handle`] |
//! | to read the counters of a server in another process | [`Observer`] |
//! | several processes | [`Builder::processes`] |
//! | to test an application without a socket | `testing` (feature `testing`) |

#![forbid(unsafe_code)]
// What is public here is public in the library, or is shown by it.
#![deny(missing_docs)]

mod builder;
#[cfg(any(feature = "compression", feature = "files"))]
mod coding;
pub mod conditional;
#[cfg(feature = "cookies")]
pub mod cookies;
mod error;
#[cfg(feature = "files")]
mod files;
#[cfg(feature = "forms")]
mod forms;
mod handler;
mod into_response;
#[cfg(feature = "json")]
mod json;
#[cfg(any(feature = "forms", feature = "json"))]
mod media_type;
pub mod middleware;
#[cfg(feature = "multipart")]
mod multipart;
mod per_worker;
mod recycled;
mod redirect;
mod request;
pub mod router;
mod sse;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;

pub use ajay_engine::config::{Congestion, Retry};
pub use ajay_engine::{
    BlockingError, Body, BodyWriter, BoxError, Content, ContentError, ContentType, Counter,
    CountersSnapshot, FieldSection, Handle, HistogramSnapshot, InformationalError, InvalidField,
    KnownField, ListenAddr, Method, Observer, PeerAddr, Response, StatusCode, StreamClosed,
    Summary, Tls, TlsInfo, Version, blocking, is_draining, is_worker_process, send_informational,
    tls,
};
pub use builder::{Builder, IntoListenAddr, Server};
pub use error::{Error, Result};
#[cfg(feature = "files")]
pub use files::{File, Files};
#[cfg(feature = "forms")]
pub use forms::{FormError, QueryError};
pub use handler::{Application, Handler};
pub use into_response::{Html, IntoResponse, Redirect, ResponsePart};
#[cfg(feature = "json")]
pub use json::{Json, JsonError};
pub use middleware::{Layer, Middleware, Next};
#[cfg(feature = "multipart")]
pub use multipart::{Multipart, MultipartError, Part};
pub use per_worker::PerWorker;
pub use request::{ParamError, Request};
pub use router::{Router, Routes, RoutesHandler};
pub use sse::{Event, InvalidEvent, Sse, SseError, SseWriter};

/// The guide's examples are tested along with those of the documentation.
#[cfg(doctest)]
mod guide {
    macro_rules! pages {
        ($($name:ident $file:literal)*) => {
            $(
                #[doc = include_str!(concat!("../../../docs/src/guide/", $file))]
                struct $name;
            )*
        };
    }

    pages! {
        Content "content.md"
        Deploying "deploying.md"
        FromActix "from-actix.md"
        FromAxum "from-axum.md"
        FromFasthttp "from-fasthttp.md"
        GettingStarted "getting-started.md"
        Handlers "handlers.md"
        JsonApi "json-api.md"
        Limits "limits.md"
        Logging "logging.md"
        Middleware "middleware.md"
        Processes "processes.md"
        Routing "routing.md"
        Stopping "stopping.md"
        Tls "tls.md"
        Tower "tower.md"
    }
}
