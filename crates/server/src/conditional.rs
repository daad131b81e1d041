//! Conditional and range requests (RFC 9110 §13, §14): what a request asks for, given what there is.
//!
//! Nothing here reads or sends anything. [`Validators`] say what identifies the current content;
//! they [check](Validators::check) the preconditions of a request, [select](Validators::select)
//! the ranges to send, or [answer](Validators::respond) with content that is in memory.
//!
//! ```
//! # use ajayserver::{Request, Response, StatusCode};
//! use ajayserver::conditional::{ETag, Precondition, Validators};
//!
//! async fn replace(mut request: Request) -> StatusCode {
//!     let current = Validators::new().with_etag(ETag::strong("v7").unwrap());
//!     match current.check(request.method(), request.fields()) {
//!         Precondition::Proceed => StatusCode::NO_CONTENT, // and store the new content
//!         Precondition::NotModified => StatusCode::NOT_MODIFIED,
//!         // Somebody else has changed it since this client saw it.
//!         Precondition::Failed => StatusCode::PRECONDITION_FAILED,
//!     }
//! }
//!
//! async fn show(request: Request) -> Response {
//!     let current = Validators::new().with_etag(ETag::strong("v7").unwrap());
//!     current.respond(&request, "text/plain", "the whole text\n")
//! }
//! ```

mod etag;
mod multipart;
mod ranges;

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ajay_engine::{Body, FieldSection, InvalidField, KnownField, Method, Response, StatusCode};
use bytes::Bytes;

pub use etag::{ETag, InvalidETag};
#[cfg(feature = "files")]
pub(crate) use multipart::ReadRange;
pub(crate) use multipart::{Boundary, Segments};
pub use ranges::{RANGES_MAX, Ranges, parse_ranges};

use crate::{IntoResponse, Request};

/// What identifies the content that there is now (RFC 9110 §8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    etag: Option<ETag>,
    last_modified: Option<SystemTime>,
    is_missing: bool,
}

/// What the preconditions of a request come to (RFC 9110 §13.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// They hold, or there are none: do what the method says.
    Proceed,
    /// 304: the client has this content already. For GET and HEAD only.
    NotModified,
    /// 412: the content is not what the client expects.
    Failed,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it: 200.
    Whole,
    /// Parts of it: 206.
    Ranges(Ranges),
    /// 304: the client has it already.
    NotModified,
    /// 412: it is not what the client expects.
    Failed,
    /// 416: none of the ranges is inside of it.
    NotSatisfiable,
}

impl Validators {
    /// Content that exists, of which nothing else is known.
    pub fn new() -> Validators {
        Validators::default()
    }

    /// There is no content yet: `If-Match: *` fails, and `If-None-Match: *` holds.
    pub fn missing() -> Validators {
        Validators {
            is_missing: true,
            ..Validators::default()
        }
    }

    /// With an entity tag.
    #[must_use]
    pub fn with_etag(mut self, etag: ETag) -> Validators {
        self.etag = Some(etag);
        self
    }

    /// With the time of the last change, of which the protocol sees whole seconds. A time to come
    /// counts as now (RFC 9110 §8.8.2.1); one before 1970 or after 9999 is left out.
    #[must_use]
    pub fn with_last_modified(mut self, time: SystemTime) -> Validators {
        let time = time.min(SystemTime::now());
        let seconds = time.duration_since(UNIX_EPOCH).ok().map(|it| it.as_secs());
        let seconds = seconds.filter(|seconds| *seconds <= LAST_SECOND);
        self.last_modified = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        self
    }

    /// The entity tag.
    pub fn etag(&self) -> Option<&ETag> {
        self.etag.as_ref()
    }

    /// The time of the last change, in whole seconds.
    pub fn last_modified(&self) -> Option<SystemTime> {
        self.last_modified
    }

    /// Evaluates `If-Match`, `If-Unmodified-Since`, `If-None-Match` and `If-Modified-Since` in the
    /// order of RFC 9110 §13.2.2. Call it before anything is changed, and where the answer without
    /// them would be 2xx (§13.2.1).
    ///
    /// Dates that are none, and lists of tags that are none, match nothing.
    pub fn check(&self, method: &Method, fields: &FieldSection) -> Precondition {
        if !fields.contains_any(PRECONDITIONS) {
            return Precondition::Proceed;
        }
        let is_read = *method == Method::GET || *method == Method::HEAD;
        if fields.contains(KnownField::IfMatch) {
            if !self.is_named(fields, KnownField::IfMatch, ETag::strong_eq) {
                return Precondition::Failed;
            }
        } else if let Some(since) = date(fields, KnownField::IfUnmodifiedSince)
            && self.last_modified.is_some_and(|changed| changed > since)
        {
            return Precondition::Failed;
        }
        if fields.contains(KnownField::IfNoneMatch) {
            let is_known = self.is_named(fields, KnownField::IfNoneMatch, ETag::weak_eq);
            return match (is_known, is_read) {
                (false, _) => Precondition::Proceed,
                (true, true) => Precondition::NotModified,
                (true, false) => Precondition::Failed,
            };
        }
        if is_read
            && let Some(since) = date(fields, KnownField::IfModifiedSince)
            && self.last_modified.is_some_and(|changed| changed <= since)
        {
            return Precondition::NotModified;
        }
        Precondition::Proceed
    }

    /// As [`check`](Validators::check), and then `If-Range` and `Range` of a GET request for
    /// content of `len` bytes.
    ///
    /// A `Range` field that is malformed, of another unit than bytes, or with more than
    /// [`RANGES_MAX`] ranges is ignored, as RFC 9110 §14.2 allows.
    pub fn select(&self, method: &Method, fields: &FieldSection, len: u64) -> Selection {
        match self.check(method, fields) {
            Precondition::Proceed => {}
            Precondition::NotModified => return Selection::NotModified,
            Precondition::Failed => return Selection::Failed,
        }
        let mut values = fields.get_all(KnownField::Range);
        let (Some(value), None) = (values.next(), values.next()) else {
            return Selection::Whole;
        };
        if *method != Method::GET || !self.if_range_holds(fields, SystemTime::now()) {
            return Selection::Whole;
        }
        parse_ranges(value, len)
    }

    /// Answers a GET or HEAD request with content that is here as a whole: 200, 206 with one range
    /// or several, 304, 412 or 416, each with its fields.
    ///
    /// A `content_type` that cannot be sent is 500.
    pub fn respond(
        &self,
        request: &Request,
        content_type: &str,
        content: impl Into<Bytes>,
    ) -> Response {
        let content: Bytes = content.into();
        let len = content.len() as u64;
        let selection = self.select(request.method(), request.fields(), len);
        let body = |range: Range<u64>| {
            // In bounds: ranges are cut to the length.
            Body::from(content.slice(range.start as usize..range.end as usize))
        };
        let response = match &selection {
            Selection::Whole => selection.head(content_type, len, self).map(|head| {
                let whole = content.clone();
                head.with_body(whole)
            }),
            Selection::Ranges(ranges) => match ranges.single() {
                Some(range) => selection
                    .head(content_type, len, self)
                    .map(|head| head.with_body(body(range))),
                None => {
                    let boundary = Boundary::random();
                    let segments = Segments::new(content.clone(), ranges, content_type, &boundary);
                    selection
                        .head(&boundary.content_type(), len, self)
                        .map(|head| head.with_body(Body::from_http_body(segments)))
                }
            },
            _ => selection.head(content_type, len, self),
        };
        response.into_response()
    }

    /// Whether one of the tags in these field lines is that of the current content (§13.1.1,
    /// §13.1.2).
    fn is_named(
        &self,
        fields: &FieldSection,
        name: KnownField,
        same: fn(&ETag, &ETag) -> bool,
    ) -> bool {
        if self.is_missing {
            return false;
        }
        let mut lines = fields.get_all(name);
        lines.any(|line| match (line, &self.etag) {
            (b"*", _) => true,
            (_, None) => false,
            (line, Some(current)) => etag::list(line).any(|tag| same(&tag, current)),
        })
    }

    /// Whether the part that the client has is of the current content (§13.1.5); also where it
    /// does not ask.
    fn if_range_holds(&self, fields: &FieldSection, now: SystemTime) -> bool {
        let Some(value) = fields.get(KnownField::IfRange) else {
            return true;
        };
        if let Some(tag) = ETag::parse(value) {
            return self.etag.as_ref().is_some_and(|etag| etag.strong_eq(&tag));
        }
        let (Some(date), Some(changed)) = (parse_date(value), self.last_modified) else {
            return false;
        };
        // Within the second it could have changed twice: a weak validator (§8.8.2.2).
        let is_strong = now
            .duration_since(changed)
            .is_ok_and(|age| age >= STRONG_AFTER);
        date == changed && is_strong
    }

    /// `ETag` and `Last-Modified` of a response.
    ///
    /// # Errors
    /// None in fact: both were checked when they were set.
    pub fn add_to(&self, response: &mut Response) -> Result<(), InvalidField> {
        if let Some(etag) = &self.etag {
            response.append("ETag", etag.as_str())?;
        }
        if let Some(time) = self.last_modified {
            response.append("Last-Modified", httpdate::fmt_http_date(time))?;
        }
        Ok(())
    }
}

impl Selection {
    /// The response without its body. For several ranges `content_type` is that of the whole
    /// multipart body.
    pub(crate) fn head(
        &self,
        content_type: &str,
        len: u64,
        validators: &Validators,
    ) -> Result<Response, InvalidField> {
        let status = match self {
            Selection::Whole => StatusCode::OK,
            Selection::Ranges(_) => StatusCode::PARTIAL_CONTENT,
            Selection::NotModified => StatusCode::NOT_MODIFIED,
            Selection::Failed => StatusCode::PRECONDITION_FAILED,
            Selection::NotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        };
        let mut response = Response::new(status);
        match self {
            Selection::Failed => return Ok(response),
            Selection::NotSatisfiable => {
                response.append("Content-Range", format!("bytes */{len}"))?;
                return Ok(response);
            }
            Selection::Whole | Selection::Ranges(_) => {
                response.append("Content-Type", content_type)?;
                response.append("Accept-Ranges", "bytes")?;
            }
            Selection::NotModified => {}
        }
        if let Selection::Ranges(ranges) = self
            && let Some(range) = ranges.single()
        {
            response.append("Content-Range", ranges::content_range(&range, len))?;
        }
        validators.add_to(&mut response)?;
        Ok(response)
    }
}

const PRECONDITIONS: &[KnownField] = &[
    KnownField::IfMatch,
    KnownField::IfNoneMatch,
    KnownField::IfModifiedSince,
    KnownField::IfUnmodifiedSince,
];

/// A date that is older than this by the clock that made it cannot be that of two changes.
const STRONG_AFTER: Duration = Duration::from_secs(2);

/// The last second of the year 9999, which a date can name.
const LAST_SECOND: u64 = 253_402_300_799;

/// The date in a field that is there once.
fn date(fields: &FieldSection, name: KnownField) -> Option<SystemTime> {
    let mut values = fields.get_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => parse_date(value),
        _ => None,
    }
}

fn parse_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

#[cfg(test)]
mod tests;
