//! Redirections.

use std::borrow::Cow;

use ajay_engine::{Response, StatusCode};

use crate::IntoResponse;

/// Sends the client to another address (RFC 9110 §15.4).
///
/// | function | status | the next request |
/// |---|---|---|
/// | [`see_other`](Redirect::see_other) | 303 | is GET: what to answer a form with |
/// | [`temporary`](Redirect::temporary) | 307 | is the same |
/// | [`permanent`](Redirect::permanent) | 308 | is the same, and clients may remember it |
/// | [`found`](Redirect::found) | 302 | is GET after POST, by custom |
/// | [`moved_permanently`](Redirect::moved_permanently) | 301 | is GET after POST, by custom |
///
/// ```
/// # use ajayserver::{Redirect, Request};
/// async fn save(_: Request) -> Redirect {
///     Redirect::see_other(format!("/notes/{}", 7))
/// }
/// ```
///
/// The address is a URI reference: what may not stand in one (white space, controls, what is not
/// ASCII, a `%` without two digits after it) has to be percent-encoded by the caller. One that is
/// not never reaches the wire: 500. Where a client chose the address, whether it leads to another
/// host is for the caller to check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it is a response"]
pub struct Redirect {
    status: StatusCode,
    location: Cow<'static, str>,
}

impl Redirect {
    /// 303 (See Other, RFC 9110 §15.4.4): the client gets that address with GET.
    pub fn see_other(location: impl Into<Cow<'static, str>>) -> Redirect {
        Redirect::new(StatusCode::SEE_OTHER, location.into())
    }

    /// 307 (Temporary Redirect, RFC 9110 §15.4.8): the client sends the same request there.
    pub fn temporary(location: impl Into<Cow<'static, str>>) -> Redirect {
        Redirect::new(StatusCode::TEMPORARY_REDIRECT, location.into())
    }

    /// 308 (Permanent Redirect, RFC 9110 §15.4.9): the client sends the same request there, and may remember it.
    pub fn permanent(location: impl Into<Cow<'static, str>>) -> Redirect {
        Redirect::new(StatusCode::PERMANENT_REDIRECT, location.into())
    }

    /// 302 (Found, RFC 9110 §15.4.3): as 307, but clients may make a GET of a POST.
    pub fn found(location: impl Into<Cow<'static, str>>) -> Redirect {
        Redirect::new(StatusCode::FOUND, location.into())
    }

    /// 301 (Moved Permanently, RFC 9110 §15.4.2): as 308, but clients may make a GET of a POST.
    pub fn moved_permanently(location: impl Into<Cow<'static, str>>) -> Redirect {
        Redirect::new(StatusCode::MOVED_PERMANENTLY, location.into())
    }

    fn new(status: StatusCode, location: Cow<'static, str>) -> Redirect {
        Redirect { status, location }
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Where it leads to.
    pub fn location(&self) -> &str {
        &self.location
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        if !is_uri_reference(&self.location) {
            tracing::error!(location = ?self.location, "a handler redirects to what is no address");
            return Response::new(StatusCode::INTERNAL_SERVER_ERROR);
        }
        Response::new(self.status)
            .with_field("Location", &*self.location)
            .into_response()
    }
}

/// Whether all bytes are those of a URI reference (RFC 3986 §2), and there are any.
fn is_uri_reference(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_fit = |(at, byte): (usize, &u8)| match byte {
        b'%' => matches!(bytes.get(at + 1..at + 3), Some([high, low])
            if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        byte => byte.is_ascii_graphic(),
    };
    !bytes.is_empty() && bytes.iter().enumerate().all(is_fit)
}
