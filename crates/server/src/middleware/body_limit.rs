//! A limit on requests' content.

use std::future::Future;
use std::rc::Rc;

use ajay_engine::{KnownField, Response, StatusCode};

use crate::{Handler, Layer, Middleware, Next, Request};

/// Refuses content that is larger than so many bytes: 413 (RFC 9110 §15.5.14).
///
/// Content that says its length is refused before the handler runs. Of other content the handler
/// gets as much as fits, and then [`ContentError::TooLarge`](crate::ContentError::TooLarge), which
/// as a response is 413. A route's limit inside it, and the server's `content_bytes_max`, hold as
/// well. It is also a [`Layer`].
///
/// ```
/// # use ajayserver::{ContentError, Request, Router, middleware::BodyLimit};
/// let router = Router::new()
///     .post("/", async |mut request: Request| request.content().collect().await)
///     .wrap(BodyLimit::new(64 * 1024));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    bytes_max: u64,
}

impl BodyLimit {
    /// Content may have so many bytes; more is 413. No more than the server's `content_bytes_max`.
    pub fn new(bytes_max: u64) -> BodyLimit {
        BodyLimit { bytes_max }
    }

    fn is_within(self, request: &mut Request) -> bool {
        let declared = request.get(KnownField::ContentLength);
        let declared = declared.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        if declared.is_some_and(|bytes: u64| bytes > self.bytes_max) {
            return false;
        }
        request.content().limit(self.bytes_max);
        true
    }
}

impl Middleware for BodyLimit {
    fn handle(
        self: &Rc<Self>,
        mut request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<> {
        let limit = **self;
        async move {
            match limit.is_within(&mut request) {
                true => next.run(request).await,
                false => Response::new(StatusCode::PAYLOAD_TOO_LARGE),
            }
        }
    }
}

impl<H: Handler> Layer<H> for BodyLimit {
    type Handler = BodyLimitHandler<H>;

    fn layer(self, inner: H) -> BodyLimitHandler<H> {
        BodyLimitHandler {
            inner: Rc::new(inner),
            limit: self,
        }
    }
}

/// A handler with a [`BodyLimit`].
#[derive(Debug)]
pub struct BodyLimitHandler<H> {
    inner: Rc<H>,
    limit: BodyLimit,
}

impl<H: Handler> Handler for BodyLimitHandler<H> {
    fn call(self: &Rc<Self>, mut request: Request) -> impl Future<Output = Response> + use<H> {
        let this = Rc::clone(self);
        async move {
            match this.limit.is_within(&mut request) {
                true => this.inner.call(request).await,
                false => Response::new(StatusCode::PAYLOAD_TOO_LARGE),
            }
        }
    }
}
