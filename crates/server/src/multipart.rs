//! Forms with files: `multipart/form-data` (RFC 7578), read piece by piece.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use ajay_engine::{Content, ContentError, KnownField, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::{IntoResponse, Request};

impl Request {
    /// The content as the parts of a form, as they arrive. It takes the content out of the
    /// request.
    ///
    /// ```
    /// # use ajayserver::{MultipartError, Request};
    /// async fn upload(mut request: Request) -> Result<String, MultipartError> {
    ///     let mut form = request.multipart()?;
    ///     let mut bytes = 0;
    ///     while let Some(mut part) = form.next_part().await? {
    ///         // Only as much of it is in memory as has arrived and is not taken yet.
    ///         while let Some(data) = part.data().await? {
    ///             bytes += data.len();
    ///         }
    ///     }
    ///     Ok(format!("{bytes} bytes\n"))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`MultipartError::NotMultipart`] (415) and [`MultipartError::NoBoundary`] (400); the content
    /// is not read then.
    pub fn multipart(&mut self) -> Result<Multipart, MultipartError> {
        let content_type = self.get(KnownField::ContentType).unwrap_or_default();
        let content_type = String::from_utf8_lossy(content_type);
        let boundary = multer::parse_boundary(content_type).map_err(|error| match error {
            multer::Error::NoBoundary => MultipartError::NoBoundary,
            _ => MultipartError::NotMultipart,
        })?;
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            return Err(MultipartError::NoBoundary);
        }
        let gate = Arc::new(Gate {
            step: AtomicU8::new(Step::Closed as u8),
            head_bytes_left: AtomicU64::new(PART_HEAD_BYTES_MAX),
        });
        let pieces = Pieces {
            content: self.take_content(),
            gate: Arc::clone(&gate),
        };
        Ok(Multipart {
            inner: multer::Multipart::new(pieces, boundary),
            current: None,
            gate,
            parts_left: PARTS_MAX,
            part_bytes_max: u64::MAX,
            part_bytes_left: u64::MAX,
            failure: None,
        })
    }
}

/// RFC 2046 §5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// What may come before a part's data: a boundary and a few field lines. So much may wait in
/// memory for the end of a head that never ends, and one piece of content.
const PART_HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Each part costs its head, whatever it holds: more than any form has.
const PARTS_MAX: usize = 1000;

/// As `content_collected_bytes_max` is by default.
const COLLECTED_BYTES_MAX: usize = 4 << 20;

/// The parts of a form, one after the other; see [`Request::multipart`].
///
/// All of it together may be as large as the limit on content says; see also
/// [`part_bytes_max`](Multipart::part_bytes_max) and [`parts_max`](Multipart::parts_max). The head
/// of a part has 16 KiB. Dropped before the end, it discards what is left as an unread request
/// does.
pub struct Multipart {
    inner: multer::Multipart<'static>,
    /// Of the part that was given last, until its data is over.
    current: Option<multer::Field<'static>>,
    gate: Arc<Gate>,
    parts_left: usize,
    part_bytes_max: u64,
    part_bytes_left: u64,
    failure: Option<MultipartError>,
}

impl Multipart {
    /// Allows no more than `bytes` of data in a part; without a limit of its own if nothing is
    /// said.
    #[must_use]
    pub fn part_bytes_max(mut self, bytes: u64) -> Multipart {
        self.part_bytes_max = bytes;
        self
    }

    /// Allows no more than `parts` parts; 1000 if nothing is said.
    #[must_use]
    pub fn parts_max(mut self, parts: usize) -> Multipart {
        self.parts_left = parts;
        self
    }

    /// The next part; none after the last. What was not read of the part before is skipped.
    ///
    /// Cancel safe: when the future is dropped, the next call goes on where it was.
    ///
    /// # Errors
    /// [`MultipartError`]; the form is over then.
    pub async fn next_part(&mut self) -> Result<Option<Part<'_>>, MultipartError> {
        while self.data().await?.is_some() {}
        let (gate, inner) = (&self.gate, &mut self.inner);
        let field = poll_fn(|cx| gate.poll(|| inner.poll_next_field(cx))).await;
        let Some(field) = self.noted(field)? else {
            return Ok(None);
        };
        if self.parts_left == 0 {
            return self.noted(Err(MultipartError::TooManyParts));
        }
        self.parts_left -= 1;
        self.part_bytes_left = self.part_bytes_max;
        self.gate.head_found();
        let field = &*self.current.insert(field);
        let name = field.name().map(str::to_owned);
        let file_name = field.file_name().map(str::to_owned);
        let content_type = field.content_type().map(ToString::to_string);
        Ok(Some(Part {
            form: self,
            name,
            file_name,
            content_type,
        }))
    }

    /// More of the part that was given last.
    async fn data(&mut self) -> Result<Option<Bytes>, MultipartError> {
        let Some(field) = &mut self.current else {
            return self.failure.map_or(Ok(None), Err);
        };
        let mut field = Pin::new(field);
        let gate = &self.gate;
        let next = poll_fn(|cx| gate.poll(|| field.as_mut().poll_next(cx).map(Option::transpose)));
        let next = next.await;
        let Some(data) = self.noted(next)? else {
            self.current = None;
            self.gate.seek_head();
            return Ok(None);
        };
        match self.part_bytes_left.checked_sub(data.len() as u64) {
            Some(left) => self.part_bytes_left = left,
            None => return self.noted(Err(MultipartError::PartTooLarge)),
        }
        Ok(Some(data))
    }

    /// After a failure nothing more is read: what is asked for then fails as well.
    fn noted<T>(&mut self, result: Result<T, MultipartError>) -> Result<T, MultipartError> {
        if let Err(failure) = &result {
            self.failure = Some(*failure);
            self.current = None;
        }
        result
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("parts_left", &self.parts_left)
            .field("part_bytes_max", &self.part_bytes_max)
            .finish_non_exhaustive()
    }
}

/// One part of a form: a field or a file.
#[derive(Debug)]
pub struct Part<'m> {
    form: &'m mut Multipart,
    name: Option<String>,
    file_name: Option<String>,
    content_type: Option<String>,
}

impl Part<'_> {
    /// The name of the form's field. RFC 7578 §4.2 asks for one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The name that the client has for the file. It is the client's text, in which anything may
    /// stand: nothing to make a path of (RFC 7578 §4.2).
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// The media type that the client gives, with its parameters.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The next piece of the data, as it arrives; none after the last.
    ///
    /// Cancel safe: a piece is taken only when the future is ready.
    ///
    /// # Errors
    /// [`MultipartError`]; the form is over then.
    pub async fn data(&mut self) -> Result<Option<Bytes>, MultipartError> {
        self.form.data().await
    }

    /// All of the data that is still to come, up to 4 MiB.
    ///
    /// # Errors
    /// [`MultipartError::PartTooLarge`] above that, and as [`data`](Part::data).
    pub async fn collect(&mut self) -> Result<Bytes, MultipartError> {
        self.collect_max(COLLECTED_BYTES_MAX).await
    }

    /// All of the data that is still to come, up to `bytes_max`.
    ///
    /// # Errors
    /// As [`collect`](Part::collect).
    pub async fn collect_max(&mut self, bytes_max: usize) -> Result<Bytes, MultipartError> {
        let mut all = BytesMut::new();
        while let Some(data) = self.data().await? {
            if data.len() > bytes_max - all.len() {
                return Err(MultipartError::PartTooLarge);
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    /// The data as text, up to 4 MiB.
    ///
    /// # Errors
    /// [`MultipartError::NotText`] where it is not UTF-8, and as [`collect`](Part::collect).
    pub async fn text(&mut self) -> Result<String, MultipartError> {
        let data = Vec::from(self.collect().await?);
        String::from_utf8(data).map_err(|_| MultipartError::NotText)
    }
}

/// Why a form could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartError {
    /// `Content-Type` is not `multipart/form-data` (415).
    NotMultipart,
    /// `Content-Type` has no boundary, or none of 1 to 70 characters (400).
    NoBoundary,
    /// The content did not come as a whole: 413, 408 or 400, as [`ContentError`] says.
    Content(ContentError),
    /// It is no form in this format, or ends too early (400).
    Malformed,
    /// The head of a part has more than 16 KiB (413).
    HeadTooLarge,
    /// More data in a part than may be (413).
    PartTooLarge,
    /// More parts than may be (413).
    TooManyParts,
    /// What was to be text is not UTF-8 (400).
    NotText,
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MultipartError::NotMultipart => {
                "the content has to be a form, with Content-Type: multipart/form-data"
            }
            MultipartError::NoBoundary => "the content type has no boundary that can be used",
            MultipartError::Content(error) => return error.fmt(f),
            MultipartError::Malformed => "the content is not multipart/form-data",
            MultipartError::HeadTooLarge => "the head of a part is too large",
            MultipartError::PartTooLarge => "a part is larger than allowed",
            MultipartError::TooManyParts => "there are more parts than allowed",
            MultipartError::NotText => "a part is not UTF-8",
        })
    }
}

impl std::error::Error for MultipartError {}

impl From<ContentError> for MultipartError {
    fn from(error: ContentError) -> MultipartError {
        MultipartError::Content(error)
    }
}

impl IntoResponse for MultipartError {
    fn into_response(self) -> Response {
        let status = match self {
            MultipartError::Content(error) => return error.into_response(),
            MultipartError::NotMultipart => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            MultipartError::NoBoundary | MultipartError::Malformed | MultipartError::NotText => {
                StatusCode::BAD_REQUEST
            }
            MultipartError::HeadTooLarge
            | MultipartError::PartTooLarge
            | MultipartError::TooManyParts => StatusCode::PAYLOAD_TOO_LARGE,
        };
        (status, format!("{self}\n")).into_response()
    }
}

fn of_multer(error: multer::Error) -> MultipartError {
    match error {
        // What `Pieces` gave.
        multer::Error::StreamReadFailed(error) => error
            .downcast_ref::<MultipartError>()
            .copied()
            .unwrap_or(MultipartError::Malformed),
        _ => MultipartError::Malformed,
    }
}

/// What the parser may take. It takes all that it is given into memory, before it looks whether it
/// needs any: so it is given one piece when it cannot go on without.
struct Gate {
    /// A [`Step`].
    step: AtomicU8,
    /// How much it may be given until it has found the head of a part; `u64::MAX` within the data.
    head_bytes_left: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    /// It has to do with what it has.
    Closed,
    /// It may take one piece.
    Open,
    /// It has taken one.
    Given,
    /// There are no more.
    Over,
}

impl Gate {
    fn poll<T>(
        &self,
        mut parse: impl FnMut() -> Poll<Result<T, multer::Error>>,
    ) -> Poll<Result<T, MultipartError>> {
        if !self.is(Step::Over) {
            self.set(Step::Closed);
        }
        loop {
            if let Poll::Ready(parsed) = parse() {
                return Poll::Ready(parsed.map_err(of_multer));
            }
            if self.is(Step::Over) {
                return Poll::Ready(Err(MultipartError::Malformed));
            }
            if self.is(Step::Open) {
                // It was open and there was nothing yet: the content wakes us.
                return Poll::Pending;
            }
            self.set(Step::Open);
        }
    }

    fn is(&self, step: Step) -> bool {
        self.step.load(Ordering::Relaxed) == step as u8
    }

    fn set(&self, step: Step) {
        self.step.store(step as u8, Ordering::Relaxed);
    }

    fn seek_head(&self) {
        self.head_bytes_left
            .store(PART_HEAD_BYTES_MAX, Ordering::Relaxed);
    }

    fn head_found(&self) {
        self.head_bytes_left.store(u64::MAX, Ordering::Relaxed);
    }
}

/// The content, for the parser.
struct Pieces {
    content: Content,
    gate: Arc<Gate>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, MultipartError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.gate.is(Step::Open) {
            return Poll::Pending;
        }
        let left = self.gate.head_bytes_left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Some(Err(MultipartError::HeadTooLarge)));
        }
        let data = std::task::ready!(self.content.poll_data(cx));
        let Some(data) = data else {
            self.gate.set(Step::Over);
            return Poll::Ready(None);
        };
        self.gate.set(Step::Given);
        if let (true, Ok(data)) = (left != u64::MAX, &data) {
            let left = left.saturating_sub(data.len() as u64);
            self.gate.head_bytes_left.store(left, Ordering::Relaxed);
        }
        Poll::Ready(Some(data.map_err(MultipartError::Content)))
    }
}

#[cfg(test)]
mod tests;
