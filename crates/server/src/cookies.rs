//! Cookies (RFC 6265).
//!
//! ```
//! # use ajayserver::{IntoResponse, Request};
//! use ajayserver::cookies::{Cookie, SameSite};
//!
//! async fn count(request: Request) -> impl IntoResponse {
//!     let visits = request.cookie("visits").and_then(|value| value.parse().ok());
//!     let visits = visits.unwrap_or(0_u32) + 1;
//!     let cookie = Cookie::build(("visits", visits.to_string()))
//!         .path("/")
//!         .secure(true)
//!         .http_only(true)
//!         .same_site(SameSite::Lax)
//!         .build();
//!     (cookie, format!("Welcome for the {visits}. time.\n"))
//! }
//! ```
//!
//! A cookie is removed by one with the same name, path and domain after
//! [`make_removal`](Cookie::make_removal). Nothing is encoded or decoded here: a value that may
//! hold anything has to be percent-encoded, or base64, by the application.

use ajay_engine::{InvalidField, KnownField, Response};
pub use cookie::{Cookie, CookieBuilder, Expiration, SameSite, time};

use crate::{Request, ResponsePart};

impl Request {
    /// The cookies that the client sent, in its order. What is no cookie is left out.
    pub fn cookies(&self) -> impl Iterator<Item = Cookie<'_>> {
        let lines = self.fields().get_all(KnownField::Cookie);
        let lines = lines.filter_map(|line| std::str::from_utf8(line).ok());
        lines.flat_map(Cookie::split_parse).filter_map(Result::ok)
    }

    /// The value of the first cookie of this name, without the quotes if it stands in some.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let mut cookies = self.cookies();
        let cookie = cookies.find(|cookie| cookie.name_raw() == Some(name))?;
        let value = cookie.value_raw()?;
        let quoted = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        Some(quoted.unwrap_or(value))
    }
}

/// Cookies for responses that are made already. In tuples a [`Cookie`] is a [`ResponsePart`].
pub trait SetCookie {
    /// Adds `Set-Cookie`.
    ///
    /// # Errors
    /// [`InvalidField`] where the cookie is not one of RFC 6265 §4.1.1: a name that is no token, a
    /// value with white space, quotes, commas, semicolons, backslashes or what is not ASCII, a
    /// path or domain with a semicolon.
    fn set_cookie(&mut self, cookie: &Cookie<'_>) -> Result<(), InvalidField>;
}

impl SetCookie for Response {
    fn set_cookie(&mut self, cookie: &Cookie<'_>) -> Result<(), InvalidField> {
        let (name, value) = cookie.name_value();
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(InvalidField::Name);
        }
        let quoted = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let attributes = [cookie.path(), cookie.domain()];
        let mut attributes = attributes.into_iter().flatten().flat_map(str::bytes);
        if !quoted.unwrap_or(value).bytes().all(is_cookie_octet)
            || attributes.any(|byte| !matches!(byte, b' '..=b'~') || byte == b';')
        {
            return Err(InvalidField::Value);
        }
        self.append("Set-Cookie", cookie.to_string())
    }
}

impl ResponsePart for Cookie<'_> {
    fn add_to(self, response: Response) -> Result<Response, InvalidField> {
        add_all(response, [self])
    }
}

impl<const LEN: usize> ResponsePart for [Cookie<'_>; LEN] {
    fn add_to(self, response: Response) -> Result<Response, InvalidField> {
        add_all(response, self)
    }
}

impl ResponsePart for Vec<Cookie<'_>> {
    fn add_to(self, response: Response) -> Result<Response, InvalidField> {
        add_all(response, self)
    }
}

fn add_all<'c>(
    mut response: Response,
    cookies: impl IntoIterator<Item = Cookie<'c>>,
) -> Result<Response, InvalidField> {
    for cookie in cookies {
        response.set_cookie(&cookie)?;
    }
    Ok(response)
}

/// `cookie-octet` (RFC 6265 §4.1.1).
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

/// `tchar` (RFC 9110 §5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
