//! What handlers may return.

mod parts;
mod redirect;

use std::convert::Infallible;

use ajay_engine::{
    BlockingError, Body, ContentError, ContentType, InvalidField, Response, StatusCode,
};
use bytes::Bytes;

pub use parts::ResponsePart;
pub use redirect::Redirect;

/// What can be turned into a [`Response`].
///
/// | type | status | `Content-Type` |
/// |---|---|---|
/// | `&'static str`, `String` | 200 | `text/plain; charset=utf-8` |
/// | `&'static [u8]`, `Vec<u8>`, `Bytes` | 200 | `application/octet-stream` |
/// | [`Body`] | 200 | none |
/// | `()` | 204 | none |
/// | [`StatusCode`] | that | none |
/// | `(StatusCode, T)` | that | as `T` |
/// | `(P, T)`, `(P, Q, T)`, … up to five before `T` | as `T`, with [what they add](ResponsePart) | as `T` |
/// | [`Html`] | 200 | `text/html; charset=utf-8` |
/// | [`Redirect`] | 301, 302, 303, 307 or 308 | none |
/// | [`Sse`](crate::Sse) | 200 | `text/event-stream` |
/// | `Json` (feature `json`) | 200 | `application/json` |
/// | `Result<T, E>` | as `T` or `E` | as `T` or `E` |
/// | [`ContentError`] | 413, 408, 400 or 500 | text |
/// | [`BlockingError`] | 503 with `Retry-After: 1`, or 500 | text |
pub trait IntoResponse {
    /// Makes the response.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    #[inline]
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for &'static str {
    #[inline]
    fn into_response(self) -> Response {
        Response::ok(self).with_content_type(ContentType::TEXT)
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Response {
        Response::ok(self).with_content_type(ContentType::TEXT)
    }
}

impl IntoResponse for &'static [u8] {
    fn into_response(self) -> Response {
        Response::ok(self).with_content_type(ContentType::OCTET_STREAM)
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        Response::ok(self).with_content_type(ContentType::OCTET_STREAM)
    }
}

impl IntoResponse for Bytes {
    fn into_response(self) -> Response {
        Response::ok(self).with_content_type(ContentType::OCTET_STREAM)
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        Response::ok(self)
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(StatusCode::NO_CONTENT)
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

/// A page: what makes a body, as `text/html; charset=utf-8`.
///
/// ```
/// # use ajayserver::{Html, Request};
/// async fn page(_: Request) -> Html<&'static str> {
///     Html("<!doctype html><title>Hello</title><p>Hello, world!")
/// }
/// ```
///
/// The text is sent as it is: what comes from elsewhere has to be escaped before it gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Html<T>(pub T);

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        Response::ok(self.0).with_content_type(ContentType::HTML)
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl IntoResponse for ContentError {
    fn into_response(self) -> Response {
        let status = match self {
            ContentError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ContentError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            ContentError::Incomplete | ContentError::Invalid => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{self}\n")).into_response()
    }
}

impl IntoResponse for BlockingError {
    fn into_response(self) -> Response {
        let text = format!("{self}\n");
        match self {
            // The pool may have room again in a moment, or another server has.
            BlockingError::Full | BlockingError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, text)
                .into_response()
                .with_field("Retry-After", "1")
                .into_response(),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, text).into_response(),
        }
    }
}

impl IntoResponse for InvalidField {
    /// A handler tried to send a field that must not reach the wire: 500, without the value.
    fn into_response(self) -> Response {
        Response::new(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

#[cfg(test)]
mod tests;
