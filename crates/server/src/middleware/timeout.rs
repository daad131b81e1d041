//! A deadline for handlers.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use ajay_engine::{Response, StatusCode};

use crate::{Handler, Layer, Middleware, Next, Request};

/// Drops a handler that has not answered in time, and answers in its place: 503 if nothing is said.
///
/// The time ends with the response's head; a body that is streamed may take longer. It is also a
/// [`Layer`].
///
/// ```
/// # use std::time::Duration;
/// # use ajayserver::{Request, Router, middleware::Timeout};
/// let router = Router::new()
///     .get("/", async |_: Request| "Hello, world!\n")
///     .wrap(Timeout::new(Duration::from_secs(5)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Timeout {
    after: Duration,
    status: StatusCode,
}

impl Timeout {
    /// Handlers have this long until the head of their response; then they are dropped, and 503 is answered.
    pub fn new(after: Duration) -> Timeout {
        Timeout {
            after,
            status: StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The status of the answer in a late handler's place, such as 504 (RFC 9110 §15.6.5) where it
    /// waits for another server.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Timeout {
        self.status = status;
        self
    }

    async fn within(self, handler: impl Future<Output = Response>) -> Response {
        let result = tokio::time::timeout(self.after, handler).await;
        result.unwrap_or_else(|_| Response::new(self.status))
    }
}

impl Middleware for Timeout {
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<> {
        self.within(next.run(request))
    }
}

impl<H: Handler> Layer<H> for Timeout {
    type Handler = TimeoutHandler<H>;

    fn layer(self, inner: H) -> TimeoutHandler<H> {
        TimeoutHandler {
            inner: Rc::new(inner),
            timeout: self,
        }
    }
}

/// A handler with a [`Timeout`].
#[derive(Debug)]
pub struct TimeoutHandler<H> {
    inner: Rc<H>,
    timeout: Timeout,
}

impl<H: Handler> Handler for TimeoutHandler<H> {
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<H> {
        self.timeout.within(self.inner.call(request))
    }
}
