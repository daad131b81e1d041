//! Request content: what the handler reads, and the feed through which the worker provides it.
//!
//! Content that arrived together with the head is simply there. The rest comes through a
//! [`Feed`], shared by the worker and whoever holds the [`Content`]; it is bounded, and the
//! worker stops reading from the socket while it is full.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ajay_http::FieldSection;
use bytes::{Bytes, BytesMut};

use crate::body::{header_map, section};
use crate::memory::Held;
use crate::wake::Signal;

/// The content of a request (RFC 9110 §6.4).
///
/// Dropping it unread is fine: the worker discards what still comes, or closes the connection if
/// that would be too much.
#[derive(Default)]
pub struct Content {
    source: Source,
    collected_bytes_max: usize,
    /// How many bytes may still be read, where the application has a limit of its own.
    bytes_left: Option<u64>,
    trailers: Option<Box<FieldSection>>,
}

#[derive(Default)]
enum Source {
    /// None, or all of it has been read.
    #[default]
    Done,
    /// All of it is here.
    Ready(Bytes),
    /// It comes from the connection.
    Feed(Arc<Feed>),
    /// It comes from another server.
    Foreign(Foreign),
}

/// A body of the ecosystem. Never locked: it is behind the lock so that content can be shared.
type Foreign = Mutex<Pin<Box<dyn ForeignBody>>>;

trait ForeignBody: http_body::Body<Data = Bytes, Error = ContentError> + Send {}

impl<B: http_body::Body<Data = Bytes, Error = ContentError> + Send> ForeignBody for B {}

/// What is collected where no configuration says how much; its default.
pub(crate) const COLLECTED_BYTES_MAX: usize = 4 << 20;

/// Why content ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentError {
    /// It is larger than the limit that applies (413).
    TooLarge,
    /// The client closed or broke the connection before the last byte.
    Incomplete,
    /// The client sent it too slowly (408).
    TimedOut,
    /// The client broke the rules of the transfer coding (400).
    Invalid,
    /// The exchange is over: the content was kept longer than the connection served its request.
    Closed,
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContentError::TooLarge => "the request content is larger than allowed",
            ContentError::Incomplete => "the client went away before the end of the content",
            ContentError::TimedOut => "the client sent the content too slowly",
            ContentError::Invalid => "the client sent content in an invalid transfer coding",
            ContentError::Closed => "the exchange that this content belonged to is over",
        })
    }
}

impl std::error::Error for ContentError {}

impl Content {
    /// Content that there is none of stays so, with this limit.
    #[inline]
    pub(crate) fn renew(&mut self, collected_bytes_max: usize) {
        debug_assert!(!self.is_some(), "a recycled block has no content");
        self.collected_bytes_max = collected_bytes_max;
        self.bytes_left = None;
    }

    /// Whether there was any content; what is left of it needs dropping.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self.source, Source::Done) || self.trailers.is_some()
    }

    pub(crate) fn ready(
        bytes: Bytes,
        trailers: Option<Box<FieldSection>>,
        collected_bytes_max: usize,
    ) -> Content {
        let source = if bytes.is_empty() {
            Source::Done
        } else {
            Source::Ready(bytes)
        };
        Content {
            source,
            collected_bytes_max,
            bytes_left: None,
            trailers,
        }
    }

    /// Content that is not read by us: what a handler inside another server is given. It is asked for
    /// more when the handler wants more, and dropped with the content; [`collect`](Content::collect) gathers
    /// 4 MiB at most.
    pub fn from_http_body<B>(body: B) -> Content
    where
        B: http_body::Body<Data = Bytes, Error = ContentError> + Send + 'static,
    {
        let source = match body.is_end_stream() {
            true => Source::Done,
            false => Source::Foreign(Mutex::new(Box::pin(body))),
        };
        Content {
            source,
            collected_bytes_max: COLLECTED_BYTES_MAX,
            bytes_left: None,
            trailers: None,
        }
    }

    pub(crate) fn fed(feed: Arc<Feed>, collected_bytes_max: usize) -> Content {
        Content {
            source: Source::Feed(feed),
            collected_bytes_max,
            bytes_left: None,
            trailers: None,
        }
    }

    /// The next piece of content, as it arrives; none after the last.
    ///
    /// The first call answers `Expect: 100-continue`. Cancel safe: a piece is taken only when the
    /// future is ready.
    pub async fn data(&mut self) -> Option<Result<Bytes, ContentError>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }

    /// All content that is still to come, if it is not more than
    /// `content_collected_bytes_max` (4 MiB by default).
    ///
    /// Not cancel safe: when the future is dropped, what it has gathered is lost.
    ///
    /// # Errors
    /// [`ContentError::TooLarge`] above the limit, and whatever ended the content early.
    pub async fn collect(&mut self) -> Result<Bytes, ContentError> {
        self.collect_max(self.collected_bytes_max).await
    }

    /// All content that is still to come, if it is not more than `bytes_max`.
    ///
    /// # Errors
    /// As [`collect`](Content::collect).
    pub async fn collect_max(&mut self, bytes_max: usize) -> Result<Bytes, ContentError> {
        let Some(first) = self.data().await.transpose()? else {
            return Ok(Bytes::new());
        };
        if first.len() > bytes_max {
            return Err(ContentError::TooLarge);
        }
        let Some(second) = self.data().await.transpose()? else {
            return Ok(first);
        };
        let mut all = BytesMut::with_capacity(first.len() + second.len());
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(data) = next {
            if data.len() > bytes_max - all.len() {
                return Err(ContentError::TooLarge);
            }
            all.extend_from_slice(&data);
            next = self.data().await.transpose()?;
        }
        Ok(all.freeze())
    }

    /// Allows no more than `bytes_max` bytes from here on: a piece that exceeds it is
    /// [`ContentError::TooLarge`], and the content is over. The limits of the server, and limits that were set
    /// before, hold as well.
    pub fn limit(&mut self, bytes_max: u64) {
        self.bytes_left = Some(
            self.bytes_left
                .map_or(bytes_max, |left| left.min(bytes_max)),
        );
    }

    /// The trailer section (RFC 9110 §6.5), after the last piece has been read, if there was one.
    pub fn trailers(&self) -> Option<&FieldSection> {
        self.trailers.as_deref()
    }

    /// Whether nothing more will come: there was no content, or all of it has been read.
    pub fn is_end(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    /// Poll form of [`data`](Content::data): the last waker that it was given is woken when there is more.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ContentError>>> {
        let item = std::task::ready!(self.poll_source(cx));
        if let (Some(left), Some(Ok(data))) = (&mut self.bytes_left, &item) {
            match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => {
                    *self = Content::default();
                    return Poll::Ready(Some(Err(ContentError::TooLarge)));
                }
            }
        }
        Poll::Ready(item)
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ContentError>>> {
        match &mut self.source {
            Source::Done => Poll::Ready(None),
            Source::Ready(bytes) => {
                let bytes = std::mem::take(bytes);
                self.source = Source::Done;
                Poll::Ready(Some(Ok(bytes)))
            }
            Source::Feed(feed) => {
                let (item, trailers) = std::task::ready!(feed.poll_data(cx));
                if !matches!(item, Some(Ok(_))) {
                    self.source = Source::Done;
                    self.trailers = trailers;
                }
                Poll::Ready(item)
            }
            Source::Foreign(body) => {
                let body = body.get_mut().unwrap_or_else(PoisonError::into_inner);
                let item = loop {
                    match std::task::ready!(body.as_mut().poll_frame(cx)).transpose() {
                        Ok(None) => break None,
                        Err(error) => break Some(Err(error)),
                        Ok(Some(frame)) => match frame.into_data() {
                            Ok(data) if data.is_empty() => {}
                            Ok(data) => return Poll::Ready(Some(Ok(data))),
                            Err(frame) => match section(frame) {
                                Ok(section) => {
                                    self.trailers = Some(section);
                                    break None;
                                }
                                Err(_) => break Some(Err(ContentError::Invalid)),
                            },
                        },
                    }
                };
                self.source = Source::Done;
                Poll::Ready(item)
            }
        }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Source::Feed(feed) = &self.source {
            feed.reader_gone();
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.source {
            Source::Done => "Content(done)",
            Source::Ready(_) => "Content(ready)",
            Source::Feed(_) | Source::Foreign(_) => "Content(streamed)",
        })
    }
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, ContentError>>> {
        match std::task::ready!(self.poll_data(cx)) {
            Some(data) => Poll::Ready(Some(data.map(http_body::Frame::data))),
            None => {
                let trailers = self.trailers.take();
                Poll::Ready(trailers.map(|it| Ok(http_body::Frame::trailers(header_map(&it)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_end() && self.trailers.is_none()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        // A message of known length has no place for trailers: who passes these on has to use
        // chunks.
        if self.trailers.is_some() {
            return http_body::SizeHint::default();
        }
        match &self.source {
            Source::Done => http_body::SizeHint::with_exact(0),
            Source::Ready(bytes) => http_body::SizeHint::with_exact(bytes.len() as u64),
            Source::Feed(_) | Source::Foreign(_) => http_body::SizeHint::default(),
        }
    }
}

/// The bounded queue between a connection and the holder of its request's content.
pub(crate) struct Feed {
    state: Mutex<FeedState>,
    signal: Arc<Signal>,
    bytes_max: usize,
    /// The client may send only as much as is told to it: the worker wants to know what was read.
    has_window: bool,
    /// What the worker holds in all, of which this is a part.
    held: Held,
}

#[derive(Default)]
struct FeedState {
    pieces: VecDeque<Bytes>,
    /// What came after the pieces, in one buffer: a client that sends a byte in each chunk must
    /// not make us hold a piece for each byte.
    tail: BytesMut,
    buffered: usize,
    /// What was read or dropped since the worker last asked.
    taken: usize,
    end: Option<Result<(), ContentError>>,
    trailers: Option<Box<FieldSection>>,
    reader: Option<Waker>,
    /// The reader has asked for content at least once.
    asked: bool,
    reader_gone: bool,
}

impl FeedState {
    fn take(&mut self) -> Option<Bytes> {
        let tail = &mut self.tail;
        let rest = || Some(std::mem::take(tail).freeze()).filter(|rest| !rest.is_empty());
        self.pieces.pop_front().or_else(rest)
    }
}

/// Pieces given to a reader that is behind have at least this size.
const PIECE_BYTES: usize = 16 * 1024;

/// The worker learns what was read when it is this much: a quarter of the smallest window, so that the
/// client need not wait for more.
const WINDOW_BYTES_MIN: usize = 16 * 1024;

type Item = Option<Result<Bytes, ContentError>>;

impl Feed {
    pub(crate) fn new(
        signal: Arc<Signal>,
        bytes_max: usize,
        has_window: bool,
        held: Held,
    ) -> Arc<Feed> {
        Arc::new(Feed {
            state: Mutex::default(),
            signal,
            bytes_max,
            has_window,
            held,
        })
    }

    /// Adds a piece of content. False when nobody will read it.
    pub(crate) fn push(&self, data: &[u8]) -> bool {
        let mut state = self.lock();
        if state.reader_gone || state.end.is_some() {
            return false;
        }
        state.tail.extend_from_slice(data);
        if state.tail.len() >= PIECE_BYTES {
            let piece = state.tail.split().freeze();
            state.pieces.push_back(piece);
        }
        state.buffered += data.len();
        self.held.add(data.len());
        Self::wake_reader(state);
        true
    }

    /// As [`push`](Feed::push), with a piece that has its own memory. None of it should stand unused.
    pub(crate) fn push_block(&self, block: Vec<u8>) -> bool {
        let mut state = self.lock();
        if state.reader_gone || state.end.is_some() {
            return false;
        }
        if !state.tail.is_empty() {
            let piece = std::mem::take(&mut state.tail).freeze();
            state.pieces.push_back(piece);
        }
        state.buffered += block.len();
        self.held.add(block.len());
        state.pieces.push_back(block.into());
        Self::wake_reader(state);
        true
    }

    /// Bytes that have left the feed since this was last asked.
    pub(crate) fn take_taken(&self) -> usize {
        std::mem::take(&mut self.lock().taken)
    }

    /// As [`take_taken`](Feed::take_taken), with what is still in it: for who will not ask again.
    pub(crate) fn take_all(&self) -> usize {
        let mut state = self.lock();
        std::mem::take(&mut state.taken) + state.buffered
    }

    /// Marks the content as complete, or as broken off.
    pub(crate) fn end(&self, end: Result<(), ContentError>, trailers: Option<Box<FieldSection>>) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(end);
            state.trailers = trailers;
        }
        Self::wake_reader(state);
    }

    /// The exchange is over; a reader that is still there learns it.
    pub(crate) fn abandon(&self) {
        self.end(Err(ContentError::Closed), None);
    }

    /// Whether the worker should read more. Not for a reader that is gone: what nobody wants
    /// stays with the kernel until the response is out.
    pub(crate) fn wants_more(&self) -> bool {
        let state = self.lock();
        state.buffered < self.bytes_max && !state.reader_gone
    }

    /// Whether the reader has nothing left to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().buffered == 0
    }

    /// Whether anybody could still read.
    pub(crate) fn has_reader(&self) -> bool {
        !self.lock().reader_gone
    }

    /// Whether the reader waits for content that has not come.
    pub(crate) fn is_awaited(&self) -> bool {
        let state = self.lock();
        state.asked && state.buffered == 0 && state.end.is_none() && !state.reader_gone
    }

    fn poll_data(&self, cx: &mut Context<'_>) -> Poll<(Item, Option<Box<FieldSection>>)> {
        let mut state = self.lock();
        if let Some(data) = state.take() {
            let was_full = state.buffered >= self.bytes_max;
            state.buffered -= data.len();
            state.taken += data.len();
            self.held.sub(data.len());
            let has_room = was_full && state.buffered < self.bytes_max;
            let is_window_due = self.has_window && state.taken >= WINDOW_BYTES_MIN;
            if has_room || is_window_due {
                drop(state);
                self.signal.notify();
            }
            return Poll::Ready((Some(Ok(data)), None));
        }
        if let Some(end) = state.end {
            return Poll::Ready((end.err().map(Err), state.trailers.take()));
        }
        let first = !std::mem::replace(&mut state.asked, true);
        if !state
            .reader
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            state.reader = Some(cx.waker().clone());
        }
        drop(state);
        if first {
            // The deadline starts, and `100 Continue` is due.
            self.signal.notify();
        }
        Poll::Pending
    }

    fn reader_gone(&self) {
        let mut state = self.lock();
        state.reader_gone = true;
        state.pieces.clear();
        state.tail = BytesMut::new();
        let dropped = std::mem::take(&mut state.buffered);
        state.taken += dropped;
        self.held.sub(dropped);
        state.reader = None;
        let ended = state.end.is_some();
        drop(state);
        if !ended {
            self.signal.notify();
        }
    }

    fn wake_reader(mut state: MutexGuard<'_, FeedState>) {
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
