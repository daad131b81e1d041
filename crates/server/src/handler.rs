//! Handlers: async functions from a request to a response.

use std::future::Future;
use std::rc::Rc;

use ajay_engine::{Request, Response};

use crate::IntoResponse;

/// What answers requests: any `async` function or closure from [`Request`] to something that is
/// [`IntoResponse`], and any function that returns such a future.
///
/// [`Server::run`](crate::Server::run) clones a handler for each worker. Its future stays on the worker that owns the
/// connection, so it may hold an `Rc` across an `await`. It is dropped unfinished when the client
/// goes away, when `handler_timeout` passes (503), and at the end of a drain. A panic answers
/// 500 and hurts no other request.
pub trait Handler: 'static {
    /// Begins to answer a request. The future keeps the worker's clone of the handler alive.
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<Self>;
}

impl<F, R> Handler for F
where
    F: AsyncFn(Request) -> R + 'static,
    R: IntoResponse,
{
    #[inline]
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<F, R> {
        let handler = Rc::clone(self);
        async move { handler(request).await.into_response() }
    }
}
