//! What a response is before a version of the protocol writes it.

use crate::{FieldSection, StatusCode};

/// The head of a final response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status code.
    pub status: StatusCode,
    /// The application's fields. What is about the connection follows from its state: in HTTP/1 the
    /// options `close`, `keep-alive` and `upgrade` of `Connection`; in HTTP/2 and HTTP/3 there are
    /// no such fields, and they are not written (RFC 9113 §8.2.2).
    pub fields: &'a FieldSection,
    /// `Content-Type`, unless `fields` has one. Must be a valid field value.
    pub content_type: Option<&'a str>,
    /// `Server`, unless `fields` has one. Must be a valid field value.
    pub server: Option<&'a str>,
    /// `Date`, unless `fields` has one.
    pub date: Option<&'a [u8; 29]>,
}

/// What is known of the response's content before it is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContentSize {
    /// There is none. Where a length is allowed, `Content-Length: 0`. In a response to HEAD and in
    /// a 304 it says nothing about the length, and the application's own `Content-Length` is kept.
    Empty,
    /// Exactly so many bytes.
    Exact(u64),
    /// The application's `Content-Length` if it set one, else delimited by the version's framing:
    /// chunked, or up to the end of the connection for HTTP/1.0.
    Unknown,
}

/// What follows a response head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendBody {
    /// The caller sends the content and then finishes.
    Payload,
    /// Nothing: the response is finished. What content there is must not be sent.
    None,
}
