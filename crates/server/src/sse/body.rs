//! The bodies of event streams: where their texts come from, and what is sent while none comes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ajay_engine::{BoxError, is_draining};
use bytes::Bytes;
use futures_core::Stream;
use http_body::Frame;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::event::Event;
use super::pipe::Pipe;

/// A body of events.
pub(super) trait Source: http_body::Body<Data = Bytes, Error = BoxError> {
    fn keep_alive(self: Pin<&mut Self>) -> Pin<&mut KeepAlive>;
}

/// What a poll of a body gives.
type Next = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

pin_project! {
    /// The future that writes, and the pipe that it writes into.
    pub(super) struct Written<Fut> {
        #[pin]
        future: Option<Fut>,
        end: ReadEnd,
        #[pin]
        keep_alive: KeepAlive,
    }
}

/// Where the writer learns that nobody reads any more.
struct ReadEnd(Arc<Pipe>);

impl Drop for ReadEnd {
    fn drop(&mut self) {
        self.0.reader_gone();
    }
}

impl<Fut> Written<Fut> {
    pub(super) fn new(future: Fut, pipe: Arc<Pipe>) -> Written<Fut> {
        Written {
            future: Some(future),
            end: ReadEnd(pipe),
            keep_alive: KeepAlive::new(),
        }
    }
}

impl<Fut> http_body::Body for Written<Fut>
where
    Fut: Future<Output = Result<(), BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Next {
        let mut this = self.project();
        let pipe = &this.end.0;
        // An event that is there goes first: the future goes on when it has left.
        let mut taken = pipe.poll_take(cx);
        if !matches!(taken, Poll::Ready(Some(_)))
            && let Some(future) = this.future.as_mut().as_pin_mut()
        {
            if let Poll::Ready(result) = future.poll(cx) {
                // Its writer goes with it, unless that was moved elsewhere.
                this.future.set(None);
                if let Err(error) = result {
                    return Poll::Ready(Some(Err(error)));
                }
            }
            taken = pipe.poll_take(cx);
        }
        let text = match taken {
            Poll::Ready(None) if this.future.is_none() => return Poll::Ready(None),
            Poll::Ready(Some(text)) => Some(text),
            _ => None,
        };
        this.keep_alive.poll_frame(text, cx)
    }
}

impl<Fut> Source for Written<Fut>
where
    Fut: Future<Output = Result<(), BoxError>>,
{
    fn keep_alive(self: Pin<&mut Self>) -> Pin<&mut KeepAlive> {
        self.project().keep_alive
    }
}

pin_project! {
    /// A stream of events.
    pub(super) struct Streamed<S> {
        #[pin]
        stream: S,
        #[pin]
        keep_alive: KeepAlive,
    }
}

impl<S> Streamed<S> {
    pub(super) fn new(stream: S) -> Streamed<S> {
        Streamed {
            stream,
            keep_alive: KeepAlive::new(),
        }
    }
}

impl<S, E> http_body::Body for Streamed<S>
where
    S: Stream<Item = Result<Event, E>>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Next {
        let mut this = self.project();
        let text = loop {
            match this.stream.as_mut().poll_next(cx) {
                Poll::Pending => break None,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(Some(Ok(event))) => match event.text() {
                    Err(error) => return Poll::Ready(Some(Err(error.into()))),
                    // Nothing to send: not even a comment.
                    Ok(text) if text.is_empty() => {}
                    Ok(text) => break Some(text),
                },
            }
        };
        this.keep_alive.poll_frame(text, cx)
    }
}

impl<S, E> Source for Streamed<S>
where
    S: Stream<Item = Result<Event, E>>,
    E: Into<BoxError>,
{
    fn keep_alive(self: Pin<&mut Self>) -> Pin<&mut KeepAlive> {
        self.project().keep_alive
    }
}

pin_project! {
    /// Comments while nothing else is sent.
    pub(super) struct KeepAlive {
        interval: Option<Duration>,
        // The response ends when the worker drains.
        ends_at_drain: bool,
        // When something was sent; none before the first poll.
        quiet_since: Option<Instant>,
        // Set for an earlier event's time as a rule, and set anew when that has come: an event
        // does not touch the timer.
        #[pin]
        sleep: Option<Sleep>,
    }
}

const INTERVAL: Duration = Duration::from_secs(15);

/// An empty comment, and the blank line that lets it pass what waits for one.
const COMMENT: &[u8] = b":\n\n";

impl KeepAlive {
    fn new() -> KeepAlive {
        KeepAlive {
            interval: Some(INTERVAL),
            ends_at_drain: false,
            quiet_since: None,
            sleep: None,
        }
    }

    pub(super) fn set_interval(self: Pin<&mut Self>, interval: Option<Duration>) {
        *self.project().interval = interval;
    }

    pub(super) fn end_at_drain(self: Pin<&mut Self>) {
        *self.project().ends_at_drain = true;
    }

    /// A frame of the text; or of a comment, if it is time for one.
    fn poll_frame(mut self: Pin<&mut Self>, text: Option<Bytes>, cx: &mut Context<'_>) -> Next {
        let text = match text {
            Some(text) => {
                if self.interval.is_some() {
                    *self.as_mut().project().quiet_since = Some(Instant::now());
                }
                text
            }
            None => {
                if self.ends_at_drain && is_draining() {
                    return Poll::Ready(None);
                }
                ready!(self.as_mut().poll_due(cx));
                Bytes::from_static(COMMENT)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(text))))
    }

    fn poll_due(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(interval) = *this.interval else {
            return Poll::Pending;
        };
        let quiet_since = *this.quiet_since.get_or_insert_with(Instant::now);
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(quiet_since + interval)));
        }
        while let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
            ready!(sleep.poll(cx));
            let now = Instant::now();
            let due = quiet_since + interval;
            let is_due = due <= now;
            if is_due {
                *this.quiet_since = Some(now);
            }
            let next = if is_due { now + interval } else { due };
            if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
                sleep.reset(next);
            }
            if is_due {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}
