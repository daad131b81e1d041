//! Methods as far as framing depends on them.

use ajay_http::Method;

/// The methods whose responses have other framing (RFC 9110 §6.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MethodClass {
    /// No content, whatever the head says.
    Head,
    /// A tunnel follows a successful response.
    Connect,
    /// All others.
    Other,
}

impl MethodClass {
    /// The class of a method.
    #[inline]
    #[must_use]
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Connect,
            _ => Self::Other,
        }
    }
}
