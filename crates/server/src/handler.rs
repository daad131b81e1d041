//! Handlers: async functions from a request to a response.

use std::future::Future;
use std::rc::Rc;

use ajay_engine::Response;

use crate::{IntoResponse, Layer, Request};

/// What answers requests: any `async` function or closure from [`Request`] to something that is
/// [`IntoResponse`], and any function that returns such a future.
///
/// [`Server::run`](crate::Server::run) clones a handler for each worker. Its future stays on the worker that owns the
/// connection, so it may hold an `Rc` across an `await`. It is dropped unfinished when the client
/// goes away, when `handler_timeout` passes (503), and at the end of a drain. A panic answers
/// 500 and hurts no other request.
pub trait Handler: 'static {
    /// Begins to answer a request. The future keeps the worker's clone of the handler alive. Dropped
    /// before it is ready, it answers nothing; what it did before its last `await` stays done.
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<Self>;

    /// This handler inside a [`Layer`]: the compiler sees through both, and nothing is allocated.
    fn layer<L: Layer<Self>>(self, layer: L) -> L::Handler
    where
        Self: Sized,
    {
        layer.layer(self)
    }
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

/// What [`Server::run`](crate::Server::run) takes: a [`Handler`] that can be cloned for each
/// worker, or the [`Routes`](crate::Routes) of a router.
pub trait Application: Send + Sync {
    /// What answers on one worker.
    type Handler: Handler;

    /// Makes the handler of a worker, on its thread and inside its tokio runtime.
    fn handler(&self) -> Self::Handler;
}

impl<H: Handler + Clone + Send + Sync> Application for H {
    type Handler = H;

    fn handler(&self) -> H {
        self.clone()
    }
}
