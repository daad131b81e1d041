//! The response an application gives.

use std::fmt;
use std::future::Future;

use ajay_http::{FieldSection, InvalidField, KnownField, StatusCode};

use crate::body::{Body, BodyWriter, BoxError, Kind};
use crate::pool::{POOLED_BYTES_MAX, Pool};

/// A response: status, fields and body.
///
/// `Date` and `Server` are added by the server unless set here. `Content-Length` or chunked
/// coding follow from the body; a `Content-Length` set here must agree with it. `Connection:
/// close` set here closes the connection after the response.
pub struct Response {
    /// One pointer, so that moving a response out of a handler's future costs nothing. `None` only
    /// inside `drop`.
    parts: Option<Box<ResponseParts>>,
}

impl Response {
    /// A response with this status, no fields, and no body. An informational status (1xx) cannot be the final
    /// one: it is answered with 500, and counted as `response_misuse`.
    pub fn new(status: StatusCode) -> Response {
        let mut parts = ResponseParts::take();
        parts.status = status;
        Response { parts: Some(parts) }
    }

    /// `200 OK` with this body.
    pub fn ok(body: impl Into<Body>) -> Response {
        Response::new(StatusCode::OK).with_body(body)
    }

    /// `200 OK` with content that an async function writes, see [`Body::stream`]: only
    /// [`BodyWriter::finish`] makes it complete. A writer that is dropped without it, an error and
    /// a panic break the response off, so that the client can tell.
    ///
    /// ```
    /// # use ajay_engine::{Response, StreamClosed};
    /// let response = Response::stream(async |mut writer| {
    ///     writer.write("all of it\n").await?;
    ///     writer.finish();
    ///     Ok::<_, StreamClosed>(())
    /// });
    /// ```
    pub fn stream<F, Fut, E>(write: F) -> Response
    where
        F: FnOnce(BodyWriter) -> Fut,
        Fut: Future<Output = Result<(), E>> + 'static,
        E: Into<BoxError> + 'static,
    {
        Response::ok(Body::stream(write))
    }

    /// Replaces the body. The one before is dropped.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Response {
        let body = body.into();
        match body.kind() {
            // Word by word: a copy of the whole body would wait for the stores that have just
            // written it.
            Kind::Static(data) => self.parts_mut().body = Body::from_static(data),
            _ => self.parts_mut().body = body,
        }
        self
    }

    /// Replaces the status; see [`new`](Response::new) for those that cannot be sent.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Response {
        self.parts_mut().status = status;
        self
    }

    /// Sets `Content-Type`. Any other value than these constants goes through
    /// [`with_field`](Response::with_field).
    #[must_use]
    pub fn with_content_type(mut self, value: ContentType) -> Response {
        let parts = self.parts_mut();
        if !parts.fields.is_empty() {
            parts.fields.remove_known(KnownField::ContentType);
        }
        parts.content_type = Some(value.0);
        self
    }

    /// Adds a field line, after those of the same name that are there.
    ///
    /// # Errors
    /// [`InvalidField`] when the name is not a token, or the value holds CR, LF, NUL or another
    /// control character: nothing of it ever reaches the wire.
    pub fn with_field(
        mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<Response, InvalidField> {
        self.append(name, value)?;
        Ok(self)
    }

    /// Adds a field line, as [`with_field`](Response::with_field).
    ///
    /// # Errors
    /// [`InvalidField`], see there.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        self.parts_mut().fields.append(name, value.as_ref())
    }

    /// The status code (RFC 9110 §15).
    pub fn status(&self) -> StatusCode {
        self.parts().status
    }

    /// The field lines set so far; the constant of
    /// [`with_content_type`](Response::with_content_type) is not among them.
    pub fn fields(&self) -> &FieldSection {
        &self.parts().fields
    }

    /// The field lines, to be changed. A `Transfer-Encoding` of the caller's own, or a `Content-Length` that
    /// contradicts the body, makes the response 500.
    pub fn fields_mut(&mut self) -> &mut FieldSection {
        &mut self.parts_mut().fields
    }

    /// The value of `Content-Type`: of the field line if there is one, else the constant.
    pub fn content_type(&self) -> Option<&str> {
        let parts = self.parts();
        let field = parts.fields.get(KnownField::ContentType);
        field
            .and_then(|value| std::str::from_utf8(value).ok())
            .or(parts.content_type)
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.parts().body
    }

    /// Takes the body out, leaving none behind. Fields that belong to it, such as `Content-Length`, stay.
    #[must_use]
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.parts_mut().body)
    }

    /// Replaces the body by what is made of it: another view of the same content, as it passes.
    ///
    /// Fields that are no longer true have to be changed as well. A body that is dropped instead of
    /// being read to its end drops what makes it.
    ///
    /// ```
    /// # use std::pin::Pin;
    /// # use std::task::{Context, Poll};
    /// # use ajay_engine::{Body, BoxError, Response};
    /// # use bytes::Bytes;
    /// # use http_body::{Frame, SizeHint};
    /// /// Says how much went by.
    /// struct Counted(Body, u64);
    ///
    /// impl http_body::Body for Counted {
    ///     type Data = Bytes;
    ///     type Error = BoxError;
    ///
    ///     fn poll_frame(
    ///         mut self: Pin<&mut Self>,
    ///         cx: &mut Context<'_>,
    ///     ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    ///         let frame = std::task::ready!(Pin::new(&mut self.0).poll_frame(cx));
    ///         if let Some(Ok(frame)) = &frame {
    ///             self.1 += frame.data_ref().map_or(0, |data| data.len() as u64);
    ///         }
    ///         Poll::Ready(frame)
    ///     }
    ///
    ///     fn size_hint(&self) -> SizeHint {
    ///         self.0.size_hint()
    ///     }
    /// }
    ///
    /// impl Drop for Counted {
    ///     fn drop(&mut self) {
    ///         eprintln!("{} bytes", self.1);
    ///     }
    /// }
    ///
    /// let response = Response::ok("Hello, world!\n");
    /// let response = response.map_body(|body| Body::from_http_body(Counted(body, 0)));
    /// ```
    #[must_use]
    pub fn map_body<B: Into<Body>>(mut self, map: impl FnOnce(Body) -> B) -> Response {
        let body = map(self.take_body());
        self.with_body(body)
    }

    pub(crate) fn into_parts(mut self) -> Box<ResponseParts> {
        self.parts.take().expect(PARTS_HERE)
    }

    pub(crate) fn parts(&self) -> &ResponseParts {
        self.parts.as_deref().expect(PARTS_HERE)
    }

    pub(crate) fn parts_mut(&mut self) -> &mut ResponseParts {
        self.parts.as_deref_mut().expect(PARTS_HERE)
    }
}

const PARTS_HERE: &str = "the parts leave only at the end";

impl Drop for Response {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            parts.recycle();
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("content_type", &self.content_type())
            .field("fields", self.fields())
            .field("body", self.body())
            .finish()
    }
}

/// The recycled block behind a response.
pub(crate) struct ResponseParts {
    pub(crate) status: StatusCode,
    /// Kept apart because nearly every response has one, and most are constants. A field line of
    /// that name replaces it.
    pub(crate) content_type: Option<&'static str>,
    pub(crate) fields: FieldSection,
    pub(crate) body: Body,
}

thread_local! {
    static POOL: Pool<ResponseParts> = const { Pool::new() };
}

impl ResponseParts {
    fn take() -> Box<ResponseParts> {
        POOL.with(Pool::take).unwrap_or_else(|| {
            Box::new(ResponseParts {
                status: StatusCode::OK,
                content_type: None,
                fields: FieldSection::new(),
                body: Body::empty(),
            })
        })
    }

    /// Gives the block to this thread's pool; frees it where there is none any more.
    #[inline]
    pub(crate) fn recycle(mut self: Box<Self>) {
        if self.fields.capacity_bytes() > POOLED_BYTES_MAX {
            return;
        }
        self.content_type = None;
        // Dropping a body runs the application's code, which may drop a response: not while the
        // pool is borrowed.
        self.body = Body::empty();
        if !self.fields.is_empty() {
            self.fields.clear();
        }
        Pool::put(&POOL, self);
    }
}

/// A media type that is a constant of the program, checked when the program is compiled.
///
/// ```
/// # use ajay_engine::ContentType;
/// const CSV: ContentType = ContentType::new("text/csv; charset=utf-8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType(&'static str);

impl ContentType {
    /// `text/plain; charset=utf-8`
    pub const TEXT: ContentType = ContentType::new("text/plain; charset=utf-8");
    /// `text/html; charset=utf-8`
    pub const HTML: ContentType = ContentType::new("text/html; charset=utf-8");
    /// `application/json`
    pub const JSON: ContentType = ContentType::new("application/json");
    /// `application/octet-stream`
    pub const OCTET_STREAM: ContentType = ContentType::new("application/octet-stream");

    /// A media type (RFC 9110 §8.3.1).
    ///
    /// # Panics
    /// When the value is empty or holds anything but printable ASCII: at compile time, where it
    /// initialises a `const`.
    pub const fn new(value: &'static str) -> ContentType {
        let bytes = value.as_bytes();
        assert!(!bytes.is_empty(), "a media type is not empty");
        let mut at = 0;
        while at < bytes.len() {
            assert!(
                matches!(bytes[at], b' '..=b'~'),
                "a media type is printable ASCII"
            );
            at += 1;
        }
        ContentType(value)
    }

    /// The value of the field.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}
