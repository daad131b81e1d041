//! What stands between the server and a handler.
//!
//! There are two ways to write it. [`Middleware`] is an async function that is given the request
//! and what comes [`Next`], for [`Router::wrap`](crate::Router::wrap). A [`Layer`] turns one
//! handler into another, at compile time.

mod basic_auth;
mod body_limit;
mod catch_panic;
#[cfg(feature = "compression")]
mod compression;
mod cors;
mod rate_limit;
mod request_id;
mod security_headers;
#[cfg(test)]
mod tests;
mod timeout;
mod trace;
mod vary;

use std::fmt;
use std::future::Future;
use std::rc::Rc;

use ajay_engine::Response;

pub use basic_auth::{BasicAuth, User, Users, Verifier};
pub use body_limit::{BodyLimit, BodyLimitHandler};
pub use catch_panic::CatchPanic;
#[cfg(feature = "compression")]
pub use compression::Compression;
pub use cors::Cors;
pub use rate_limit::RateLimit;
pub use request_id::{Id, RequestId};
pub use security_headers::SecurityHeaders;
pub use timeout::{Timeout, TimeoutHandler};
pub use trace::Trace;

use crate::recycled::{self, AnyHandler};
use crate::{Handler, IntoResponse, Request};

/// What is done before and after the handlers of a router: any `async` function from [`Request`]
/// and [`Next`] to something that is [`IntoResponse`].
///
/// ```
/// # use ajayserver::{Next, Request, Response, Router};
/// async fn with_server_name(request: Request, next: Next) -> Response {
///     let mut response = next.run(request).await;
///     let _ = response.append("X-Served-By", "one");
///     response
/// }
///
/// let router = Router::new()
///     .get("/", async |_: Request| "Hello, world!\n")
///     .wrap(with_server_name);
/// ```
///
/// It may answer itself and never run what comes next. Its future is dropped when the client goes
/// away, as a handler's is, and what comes next with it. After warm-up it allocates nothing of its
/// own for a request.
pub trait Middleware: 'static {
    /// Begins to handle a request. The future keeps the worker's clone of the middleware alive.
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<Self>;
}

impl<F, R> Middleware for F
where
    F: AsyncFn(Request, Next) -> R + 'static,
    R: IntoResponse,
{
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<F, R> {
        let middleware = Rc::clone(self);
        async move { middleware(request, next).await.into_response() }
    }
}

/// What comes after a middleware: the next one, or the handler.
#[derive(Clone)]
pub struct Next {
    handler: Rc<dyn AnyHandler>,
}

impl Next {
    /// Answers the request. Dropping the future drops the handler unfinished.
    pub async fn run(self, request: Request) -> Response {
        recycled::run(&self.handler, request).await
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Next")
    }
}

/// Puts a middleware before a handler.
pub(crate) fn wrapped<M: Middleware>(
    middleware: M,
    handler: Rc<dyn AnyHandler>,
) -> Rc<dyn AnyHandler> {
    let middleware = Rc::new(middleware);
    recycled::from_fn(move |request| {
        let handler = Rc::clone(&handler);
        middleware.handle(request, Next { handler })
    })
}

/// Turns a handler into another that does something before or after it: what a [`Middleware`] is
/// for a router, for one handler whose type is known.
///
/// ```
/// # use std::future::Future;
/// # use std::rc::Rc;
/// # use ajayserver::{Handler, Layer, Request, Response};
/// struct Counted<H>(Rc<H>, Rc<std::cell::Cell<u64>>);
///
/// impl<H: Handler> Handler for Counted<H> {
///     fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<H> {
///         self.1.set(self.1.get() + 1);
///         self.0.call(request)
///     }
/// }
///
/// struct Count(Rc<std::cell::Cell<u64>>);
///
/// impl<H: Handler> Layer<H> for Count {
///     type Handler = Counted<H>;
///
///     fn layer(self, inner: H) -> Counted<H> {
///         Counted(Rc::new(inner), self.0)
///     }
/// }
///
/// let count = Rc::default();
/// let counted = (async |_: Request| "Hello, world!\n").layer(Count(Rc::clone(&count)));
/// ```
pub trait Layer<H: Handler> {
    /// The handler with what this adds.
    type Handler: Handler;

    /// Adds it.
    fn layer(self, inner: H) -> Self::Handler;
}
