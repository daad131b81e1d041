//! The application's own answer for panics.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use ajay_engine::Response;

use crate::{IntoResponse, Middleware, Next, Request};

/// Answers with a response of the application's own when what comes after it panics.
///
/// Without it the server answers 500 and counts the panic. A panic that is caught here is not
/// counted, and middleware before this one sees a response like any other. A panic while a body is
/// streamed is not caught: the head is sent by then, and the stream breaks off. Where panics abort
/// the process nothing is caught.
///
/// ```
/// # use ajayserver::{Request, Router, StatusCode, middleware::CatchPanic};
/// let router = Router::new()
///     .get("/", async |_: Request| -> &str { panic!("no") })
///     .wrap(CatchPanic::new(|_| (StatusCode::INTERNAL_SERVER_ERROR, "Sorry.\n")));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CatchPanic<F> {
    answer: F,
}

impl<F> CatchPanic<F> {
    /// Answers with what this function makes of the panic's payload. It should not panic.
    pub fn new<R>(answer: F) -> CatchPanic<F>
    where
        F: Fn(Box<dyn Any + Send>) -> R,
        R: IntoResponse,
    {
        CatchPanic { answer }
    }
}

impl<F, R> Middleware for CatchPanic<F>
where
    F: Fn(Box<dyn Any + Send>) -> R + 'static,
    R: IntoResponse,
{
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<F, R> {
        let this = Rc::clone(self);
        async move {
            let mut handler = pin!(next.run(request));
            // After a panic it is not polled again.
            let result =
                poll_fn(
                    |cx| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
                        Ok(poll) => poll.map(Ok),
                        Err(payload) => Poll::Ready(Err(payload)),
                    },
                );
            match result.await {
                Ok(response) => response,
                Err(payload) => (this.answer)(payload).into_response(),
            }
        }
    }
}
