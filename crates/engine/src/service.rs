//! What the engine calls: one method.

use std::future::Future;

use crate::{Request, Response};

/// An application, one per worker.
///
/// The future is created on the worker that owns the connection and polled there to its end, so
/// it need not be `Send`. It is dropped unfinished when the client goes away (see
/// [`Config::half_close`](crate::Config::half_close)), when `handler_timeout` passes, and at
/// the end of a drain. A panic in `call` or in the future answers 500.
pub trait Service: 'static {
    /// What [`call`](Service::call) returns.
    type Future: Future<Output = Response> + 'static;

    /// Begins to answer a request.
    fn call(&self, request: Request) -> Self::Future;
}

impl<F, Fut> Service for F
where
    F: Fn(Request) -> Fut + 'static,
    Fut: Future<Output = Response> + 'static,
{
    type Future = Fut;

    fn call(&self, request: Request) -> Fut {
        self(request)
    }
}
