//! A body that compresses another as it passes.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use ajay_engine::{Body, BoxError};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

use super::encoder::{Encoder, SLICE_BYTES};

/// A body whose pieces are compressed one after the other.
///
/// What the other body gives in one go is compressed in one go; as soon as it has nothing more at the moment,
/// all of it is flushed, so that a client sees what was written.
pub(super) struct Compressed {
    inner: Body,
    /// None when the content is over.
    encoder: Option<Encoder>,
    /// Of the last piece, what has not been compressed.
    rest: Bytes,
    /// Something was written that has not been flushed.
    is_dirty: bool,
    /// What was done since others had their turn, in bytes.
    done: usize,
    trailers: Option<HeaderMap>,
    _permit: Permit,
}

/// Less than this waits for more, or for the next flush: the head of gzip alone is no chunk.
const OUTPUT_BYTES_MIN: usize = 4096;

/// What a piece costs however small it is, in bytes.
const PIECE_COST: usize = 64;

impl Compressed {
    pub(super) fn new(inner: Body, encoder: Encoder, permit: Permit) -> Compressed {
        Compressed {
            inner,
            encoder: Some(encoder),
            rest: Bytes::new(),
            is_dirty: false,
            done: 0,
            trailers: None,
            _permit: permit,
        }
    }

    /// Compresses a slice of what waits. What comes out may come later.
    fn compress(&mut self) -> Result<Vec<u8>, BoxError> {
        let slice = self.rest.split_to(self.rest.len().min(SLICE_BYTES));
        self.done += slice.len();
        self.is_dirty = true;
        let Some(encoder) = &mut self.encoder else {
            return Ok(Vec::new());
        };
        encoder.write(&slice)?;
        let output = encoder.output();
        match output.len() >= OUTPUT_BYTES_MIN {
            true => Ok(std::mem::take(output)),
            false => Ok(Vec::new()),
        }
    }

    fn flush(&mut self) -> Result<Vec<u8>, BoxError> {
        let is_dirty = std::mem::take(&mut self.is_dirty);
        match &mut self.encoder {
            Some(encoder) if is_dirty => {
                encoder.flush()?;
                Ok(std::mem::take(encoder.output()))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>, BoxError> {
        match self.encoder.take() {
            Some(encoder) => Ok(encoder.finish()?),
            None => Ok(Vec::new()),
        }
    }

    /// Goes on; what has come out, if anything has.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, BoxError>> {
        if !self.rest.is_empty() {
            return Poll::Ready(self.compress());
        }
        match http_body::Body::poll_frame(Pin::new(&mut self.inner), cx) {
            // What was flushed leaves first, and then it is asked again.
            Poll::Pending => match self.flush() {
                Ok(data) if data.is_empty() => Poll::Pending,
                result => Poll::Ready(result),
            },
            Poll::Ready(None) => Poll::Ready(self.finish()),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
            Poll::Ready(Some(Ok(frame))) => {
                self.done += PIECE_COST;
                match frame.into_data() {
                    Ok(data) => {
                        self.rest = data;
                        Poll::Ready(Ok(Vec::new()))
                    }
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        Poll::Ready(self.finish())
                    }
                }
            }
        }
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        while this.encoder.is_some() {
            if this.done >= SLICE_BYTES {
                // Others have their turn first.
                this.done = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match std::task::ready!(this.poll_step(cx)) {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data.into())))),
                Err(error) => {
                    this.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(this.trailers.take().map(|it| Ok(Frame::trailers(it))))
    }
}

/// Lets others have their turn.
pub(super) fn yield_once() -> impl Future<Output = ()> {
    let mut has_yielded = false;
    poll_fn(move |cx| match std::mem::replace(&mut has_yielded, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
}

thread_local! {
    /// Streams that this worker compresses at the moment.
    static STREAMS: Cell<usize> = const { Cell::new(0) };
}

/// One of the streams that a worker compresses at a time.
pub(super) struct Permit {
    /// It is counted on the thread that took it.
    _stays_here: std::marker::PhantomData<*const ()>,
}

impl Permit {
    pub(super) fn take(streams_max: usize) -> Option<Permit> {
        let streams = STREAMS.get();
        (streams < streams_max).then(|| {
            STREAMS.set(streams + 1);
            Permit {
                _stays_here: std::marker::PhantomData,
            }
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        STREAMS.set(STREAMS.get() - 1);
    }
}
