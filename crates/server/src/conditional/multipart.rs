//! Several ranges in one body: `multipart/byteranges` (RFC 9110 §14.6).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use ajay_engine::BoxError;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Ranges;
use super::ranges::content_range;

/// Content of which parts can be read.
pub(crate) trait ReadRange: Unpin {
    type Error: Into<BoxError>;

    /// Reads some bytes from the start of the range and moves the start behind them. The range is
    /// not empty, and neither is what is read.
    fn poll_read(
        &mut self,
        range: &mut Range<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Self::Error>>;
}

impl ReadRange for Bytes {
    type Error = Infallible;

    fn poll_read(
        &mut self,
        range: &mut Range<u64>,
        _: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Infallible>> {
        let piece = self.slice(range.start as usize..range.end as usize);
        range.start = range.end;
        Poll::Ready(Ok(piece))
    }
}

/// What stands between the parts and in none of them: 128 bits that nobody outside can foresee.
pub(crate) struct Boundary(String);

impl Boundary {
    pub(crate) fn random() -> Boundary {
        let word = || RandomState::new().build_hasher().finish();
        Boundary(format!("{:016x}{:016x}", word(), word()))
    }

    /// The type of a body with this boundary.
    pub(crate) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.0)
    }
}

/// A body that is made of text and ranges of a source.
pub(crate) struct Segments<R> {
    source: R,
    segments: VecDeque<Segment>,
    bytes_left: u64,
}

enum Segment {
    Text(Bytes),
    Range(Range<u64>),
}

impl<R> Segments<R> {
    /// Each range with its head, and the end.
    pub(crate) fn new(
        source: R,
        ranges: &Ranges,
        content_type: &str,
        boundary: &Boundary,
    ) -> Segments<R> {
        let mut segments = VecDeque::new();
        let (boundary, len) = (&boundary.0, ranges.content_len());
        for range in ranges.iter() {
            let content_range = content_range(&range, len);
            segments.push_back(Segment::Text(Bytes::from(format!(
                "\r\n--{boundary}\r\nContent-Type: {content_type}\r\n\
                 Content-Range: {content_range}\r\n\r\n"
            ))));
            segments.push_back(Segment::Range(range));
        }
        let end = format!("\r\n--{boundary}--\r\n");
        segments.push_back(Segment::Text(Bytes::from(end)));
        Segments::of(source, segments)
    }

    /// One range alone.
    #[cfg(feature = "files")]
    pub(crate) fn single(source: R, range: Range<u64>) -> Segments<R> {
        Segments::of(source, VecDeque::from([Segment::Range(range)]))
    }

    fn of(source: R, segments: VecDeque<Segment>) -> Segments<R> {
        let lens = segments.iter().map(|segment| match segment {
            Segment::Text(text) => text.len() as u64,
            Segment::Range(range) => range.end - range.start,
        });
        Segments {
            bytes_left: lens.sum(),
            source,
            segments,
        }
    }
}

impl<R: ReadRange> http_body::Body for Segments<R> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Segments {
            source,
            segments,
            bytes_left,
        } = &mut *self;
        let data = loop {
            match segments.front_mut() {
                None => return Poll::Ready(None),
                Some(Segment::Text(text)) => {
                    let text = std::mem::take(text);
                    segments.pop_front();
                    break text;
                }
                Some(Segment::Range(range)) if range.is_empty() => {
                    segments.pop_front();
                }
                Some(Segment::Range(range)) => {
                    match std::task::ready!(source.poll_read(range, cx)) {
                        Ok(data) => break data,
                        Err(error) => return Poll::Ready(Some(Err(error.into()))),
                    }
                }
            }
        };
        *bytes_left = bytes_left.saturating_sub(data.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}
