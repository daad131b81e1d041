//! The HTTP vocabulary of RFC 9110 that all protocol versions share.
//!
//! Nothing here does I/O, reads a clock or knows a wire format: a [`RequestHead`] filled by the
//! HTTP/1.1 core looks the same as one filled by HTTP/2 or HTTP/3.
//!
//! * [`FieldSection`]: field lines over one contiguous buffer, with a table of well-known names.
//! * [`KnownField`]: the names that get an id, found with one hash and one comparison.
//! * [`RequestHead`]: method, request target and header section; recycled, never rebuilt.
//! * [`ResponseHead`]: status and fields of a response, the same for every version.
//! * [`target`], [`trailers`]: rules that all versions share.
//! * [`Limits`]: what we accept from a peer, each number with its reason.
//! * [`class`]: byte classes of the ABNF as tables.
//! * [`date`]: the `Date` field's format.
#![forbid(unsafe_code)]
// What is public here is public in the library, or is shown by it.
#![deny(missing_docs)]
#![deny(clippy::unwrap_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod class;
pub mod date;
mod fields;
mod head;
mod known;
mod limits;
mod response;
pub mod target;
pub mod trailers;

pub use fields::{FieldSection, InvalidField, Iter, Values};
pub use head::{RequestHead, Span, TargetForm, TargetParts};
pub use http::{Method, StatusCode, Version};
pub use known::KnownField;
pub use limits::Limits;
pub use response::{ContentSize, ResponseHead, SendBody};
