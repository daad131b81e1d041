//! Response bodies.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ajay_http::{FieldSection, InvalidField};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Frame, SizeHint};

/// Any error, as a stream of content reports it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The content of a response: nothing, bytes that are there, or a stream.
///
/// A stream is asked for its next piece only when the client has taken enough of the pieces
/// before. One that ends with an error, or is dropped before its end, breaks the message off so
/// that the client can tell: HTTP/1 closes the connection without the last chunk.
///
/// It is an [`http_body::Body`] as well, for middleware that looks at what others answer: see
/// [`Response::map_body`](crate::Response::map_body). Content that is here comes in frames of 64 KiB at
/// most. After an error nothing more is to be asked of it.
#[derive(Default)]
pub struct Body {
    kind: Kind,
}

#[derive(Default)]
pub(crate) enum Kind {
    #[default]
    Empty,
    Static(&'static [u8]),
    Bytes(Bytes),
    Stream(Pin<Box<dyn Stream>>),
}

/// What a streamed body gives.
pub(crate) enum Piece {
    Data(Bytes),
    Trailers(Box<FieldSection>),
}

/// A source of pieces, behind a pointer: only streamed bodies pay for it.
pub(crate) trait Stream {
    fn poll_piece(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, BoxError>>>;

    /// The exact number of bytes to come, if it is known.
    fn exact_len(&self) -> Option<u64>;
}

impl Body {
    /// No content.
    pub const fn empty() -> Body {
        Body { kind: Kind::Empty }
    }

    /// Content that lives as long as the program: never copied to the heap.
    pub const fn from_static(bytes: &'static [u8]) -> Body {
        Body {
            kind: Kind::Static(bytes),
        }
    }

    /// Content from any [`http_body::Body`], with its trailers. Its exact size hint becomes
    /// `Content-Length`; without one the content is chunked.
    pub fn from_http_body<B>(body: B) -> Body
    where
        B: http_body::Body + 'static,
        B::Data: Into<Bytes>,
        B::Error: Into<BoxError>,
    {
        Body {
            kind: Kind::Stream(Box::pin(HttpBody { body })),
        }
    }

    /// Content written by an async function. Each [`BodyWriter::write`] waits until the client
    /// has taken what was written before; the message is complete only after
    /// [`BodyWriter::finish`]. The function's future is dropped when the client goes away.
    ///
    /// ```
    /// # use ajay_engine::{Body, StreamClosed};
    /// let body = Body::stream(async |mut writer| {
    ///     for row in 0..3 {
    ///         writer.write(format!("{row}\n")).await?;
    ///     }
    ///     writer.finish();
    ///     Ok::<_, StreamClosed>(())
    /// });
    /// ```
    pub fn stream<F, Fut, E>(write: F) -> Body
    where
        F: FnOnce(BodyWriter) -> Fut,
        Fut: Future<Output = Result<(), E>> + 'static,
        E: Into<BoxError> + 'static,
    {
        let pipe = Arc::new(Pipe::default());
        let future = write(BodyWriter {
            pipe: Arc::clone(&pipe),
        });
        Body {
            kind: Kind::Stream(Box::pin(Written {
                future: Box::pin(future),
                done: false,
                pipe,
            })),
        }
    }

    /// The number of bytes, if it is known before the body is sent: what `Content-Length` will say.
    pub fn exact_len(&self) -> Option<u64> {
        match &self.kind {
            Kind::Empty => Some(0),
            Kind::Static(bytes) => Some(bytes.len() as u64),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Stream(stream) => stream.exact_len(),
        }
    }

    /// All of the content, if it is here; a stream is given back as it is.
    ///
    /// ```
    /// # use ajay_engine::Body;
    /// assert_eq!(Body::from("here").try_into_bytes().unwrap(), "here");
    /// ```
    ///
    /// # Errors
    /// The body, if it is a stream.
    pub fn try_into_bytes(self) -> Result<Bytes, Body> {
        match self.kind {
            Kind::Empty => Ok(Bytes::new()),
            Kind::Static(bytes) => Ok(Bytes::from_static(bytes)),
            Kind::Bytes(bytes) => Ok(bytes),
            Kind::Stream(_) => Err(self),
        }
    }

    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stream(_))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(crate) fn kind_mut(&mut self) -> &mut Kind {
        &mut self.kind
    }

    /// The next piece of a body, streamed or here as a whole.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, BoxError>>> {
        match &mut self.kind {
            Kind::Stream(stream) => stream.as_mut().poll_piece(cx),
            Kind::Empty => Poll::Ready(None),
            Kind::Static(data) => {
                let (piece, rest) = data.split_at(data.len().min(PIECE_BYTES_MAX));
                *data = rest;
                Poll::Ready(some_piece(Bytes::from_static(piece)))
            }
            Kind::Bytes(data) => {
                let piece = data.split_to(data.len().min(PIECE_BYTES_MAX));
                Poll::Ready(some_piece(piece))
            }
        }
    }
}

/// A body that is here as a whole is taken in pieces of this size: four TLS records, and what leaves in
/// one send.
const PIECE_BYTES_MAX: usize = 64 * 1024;

fn some_piece(data: Bytes) -> Option<Result<Piece, BoxError>> {
    (!data.is_empty()).then_some(Ok(Piece::Data(data)))
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Body::from_static(text.as_bytes())
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Body::from_static(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Bytes::from(bytes).into()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body {
            kind: Kind::Bytes(bytes),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exact_len() {
            Some(len) => write!(f, "Body({len} bytes)"),
            None => f.write_str("Body(stream)"),
        }
    }
}

pin_project_lite::pin_project! {
    /// A body of the ecosystem's trait.
    struct HttpBody<B> {
        #[pin]
        body: B,
    }
}

impl<B> Stream for HttpBody<B>
where
    B: http_body::Body,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll_piece(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, BoxError>>> {
        let frame = std::task::ready!(self.project().body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| match frame.map(Frame::into_data) {
            Ok(Ok(data)) => Ok(Piece::Data(data.into())),
            Ok(Err(frame)) => Ok(Piece::Trailers(section(frame)?)),
            Err(error) => Err(error.into()),
        }))
    }

    fn exact_len(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = std::task::ready!(self.poll_piece(cx));
        Poll::Ready(piece.map(|piece| {
            Ok(match piece? {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(section) => Frame::trailers(header_map(&section)),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        // A stream of no bytes may still have trailers, or fail.
        !self.is_stream() && self.exact_len() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.exact_len()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A trailer section in the form of the ecosystem.
pub(crate) fn header_map(section: &FieldSection) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(section.len());
    for (name, value) in section.iter() {
        // Both were checked when they came in, by the same rules.
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value.try_into()) {
            map.append(name, value);
        }
    }
    map
}

/// A trailer section that came in that form.
pub(crate) fn section<T>(frame: Frame<T>) -> Result<Box<FieldSection>, InvalidField> {
    let mut section = FieldSection::new();
    if let Ok(map) = frame.into_trailers() {
        for (name, value) in &map {
            section.append(name.as_str(), value.as_bytes())?;
        }
    }
    Ok(Box::new(section))
}

/// Writes the content of a response, see [`Body::stream`].
///
/// Dropped without [`finish`](BodyWriter::finish), it breaks the response off.
pub struct BodyWriter {
    pipe: Arc<Pipe>,
}

/// The client went away: nothing more can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamClosed;

impl fmt::Display for StreamClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is gone")
    }
}

impl std::error::Error for StreamClosed {}

/// One piece at a time, handed from the writer to the connection.
#[derive(Default)]
struct Pipe {
    state: Mutex<PipeState>,
}

#[derive(Default)]
struct PipeState {
    piece: Option<Bytes>,
    trailers: Option<Box<FieldSection>>,
    /// The writer said that the message is complete.
    finished: bool,
    writer_gone: bool,
    /// The reading end is gone.
    closed: bool,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

impl BodyWriter {
    /// Writes a piece of content and waits until the connection has taken it, which it does when
    /// the client has taken what came before.
    ///
    /// Cancel safe in this sense: when the future is dropped the piece is either sent whole or
    /// not at all.
    ///
    /// # Errors
    /// [`StreamClosed`] when the client is gone; the function should return.
    pub async fn write(&mut self, data: impl Into<Bytes>) -> Result<(), StreamClosed> {
        let mut data = Some(data.into()).filter(|data| !data.is_empty());
        std::future::poll_fn(|cx| {
            let mut state = self.pipe.lock();
            if state.closed || state.finished {
                return Poll::Ready(Err(StreamClosed));
            }
            if state.piece.is_none() {
                match data.take() {
                    Some(data) => state.piece = Some(data),
                    None => return Poll::Ready(Ok(())),
                }
                if let Some(reader) = state.reader.take() {
                    drop(state);
                    reader.wake();
                    state = self.pipe.lock();
                }
            }
            if !state
                .writer
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                state.writer = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Completes the message: the last chunk of HTTP/1.1, END_STREAM of HTTP/2, FIN of HTTP/3.
    pub fn finish(self) {
        self.pipe.finish(None);
    }

    /// Completes the message with a trailer section (RFC 9110 §6.5). It is left out where the
    /// version or framing cannot carry one.
    pub fn finish_with_trailers(self, trailers: FieldSection) {
        self.pipe.finish(Some(Box::new(trailers)));
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        let mut state = self.pipe.lock();
        state.writer_gone = true;
        Pipe::wake_reader(state);
    }
}

/// The reading end, and the future that fills it.
struct Written<E> {
    future: Pin<Box<dyn Future<Output = Result<(), E>>>>,
    done: bool,
    pipe: Arc<Pipe>,
}

impl<E: Into<BoxError>> Stream for Written<E> {
    fn poll_piece(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, BoxError>>> {
        // A piece that is there goes first: the writer is polled again when it has left.
        if let Some(piece) = self.pipe.take() {
            return Poll::Ready(piece);
        }
        if !self.done
            && let Poll::Ready(result) = self.future.as_mut().poll(cx)
        {
            self.done = true;
            if let Err(error) = result {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
        match self.pipe.take() {
            Some(piece) => Poll::Ready(piece),
            None => {
                // The writer may have moved to another task: be woken by it, too.
                self.pipe.lock().reader = Some(cx.waker().clone());
                // Between the look and the registration it may have written.
                self.pipe.take().map_or(Poll::Pending, Poll::Ready)
            }
        }
    }

    fn exact_len(&self) -> Option<u64> {
        None
    }
}

impl<E> Drop for Written<E> {
    fn drop(&mut self) {
        let mut state = self.pipe.lock();
        state.closed = true;
        if let Some(writer) = state.writer.take() {
            drop(state);
            writer.wake();
        }
    }
}

impl Pipe {
    /// What the stream gives now, if anything: `Some(None)` is its end.
    fn take(&self) -> Option<Option<Result<Piece, BoxError>>> {
        let mut state = self.lock();
        if let Some(data) = state.piece.take() {
            if let Some(writer) = state.writer.take() {
                drop(state);
                writer.wake();
            }
            return Some(Some(Ok(Piece::Data(data))));
        }
        if let Some(trailers) = state.trailers.take() {
            return Some(Some(Ok(Piece::Trailers(trailers))));
        }
        if state.finished {
            return Some(None);
        }
        state
            .writer_gone
            .then(|| Some(Err("the body was dropped before it was finished".into())))
    }

    fn finish(&self, trailers: Option<Box<FieldSection>>) {
        let mut state = self.lock();
        state.trailers = trailers;
        state.finished = true;
        Self::wake_reader(state);
    }

    fn wake_reader(mut state: MutexGuard<'_, PipeState>) {
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
