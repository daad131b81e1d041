//! Server-sent events: a response that never has to end, made of small texts (HTML Standard,
//! §9.2).

mod body;
mod event;
mod pipe;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ajay_engine::{Body, BoxError, ContentType, KnownField, Response};
use bytes::Bytes;
use futures_core::Stream;

use body::{Source, Streamed, Written};
pub use event::{Event, InvalidEvent};
use pipe::Pipe;

use crate::{IntoResponse, Request};

impl Request {
    /// The id of the last event that the client has seen of this stream, which it names when it
    /// comes back (`Last-Event-ID`).
    pub fn last_event_id(&self) -> Option<&str> {
        let value = self.get(KnownField::LastEventId)?;
        std::str::from_utf8(value).ok().filter(|id| !id.is_empty())
    }
}

/// A response of server-sent events, for `EventSource` in browsers.
///
/// ```
/// # use std::time::Duration;
/// # use ajayserver::{Event, Request, Sse};
/// async fn clock(_: Request) -> Sse {
///     Sse::new(async |mut events| {
///         for second in 0.. {
///             events.send(Event::data(format!("{second} s")).id(second)).await?;
///             tokio::time::sleep(Duration::from_secs(1)).await;
///         }
///         Ok(())
///     })
/// }
/// ```
///
/// While nothing happens a comment is sent every 15 s, so that what stands between server and
/// client does not take the connection for dead; see [`keep_alive`](Sse::keep_alive). The fields
/// are `Content-Type: text/event-stream` and `Cache-Control: no-cache`.
///
/// When the client goes away, the function's future or the stream is dropped. The client of an
/// `EventSource` comes back after a response that ends or breaks off, unless it is 204.
#[must_use = "it is a response"]
pub struct Sse {
    source: Pin<Box<dyn Source>>,
}

impl Sse {
    /// Events from an async function. The response ends when the function has returned and its
    /// writer is dropped; after an error it is broken off.
    ///
    /// The writer may be moved to a task or thread: the function then returns at once.
    pub fn new<F, Fut>(write: F) -> Sse
    where
        F: FnOnce(SseWriter) -> Fut,
        Fut: Future<Output = Result<(), BoxError>> + 'static,
    {
        let pipe = Arc::new(Pipe::default());
        let future = write(SseWriter {
            pipe: Arc::clone(&pipe),
        });
        Sse {
            source: Box::pin(Written::new(future, pipe)),
        }
    }

    /// Events from a stream, which is asked for the next one when the client has taken those
    /// before. The response ends with the stream; after an error it is broken off.
    pub fn from_stream<S, E>(stream: S) -> Sse
    where
        S: Stream<Item = Result<Event, E>> + 'static,
        E: Into<BoxError> + 'static,
    {
        Sse {
            source: Box::pin(Streamed::new(stream)),
        }
    }

    /// How long nothing is sent before a comment is: 15 s if nothing is said.
    pub fn keep_alive(mut self, interval: Duration) -> Sse {
        self.source
            .as_mut()
            .keep_alive()
            .set_interval(Some(interval));
        self
    }

    /// Sends no comments of its own: a client that is gone without a word may stay unnoticed
    /// until the next event.
    pub fn without_keep_alive(mut self) -> Sse {
        self.source.as_mut().keep_alive().set_interval(None);
        self
    }

    /// Ends the response when the server drains: after the next event, or instead of the next
    /// comment, so that clients come back one by one, to whoever serves them then. Events that
    /// were not sent by then are not. Without it the response lasts until the function has
    /// returned, or `drain_timeout` resets it: what streams that have an end need.
    pub fn ends_at_drain(mut self) -> Sse {
        self.source.as_mut().keep_alive().end_at_drain();
        self
    }
}

const EVENT_STREAM: ContentType = ContentType::new("text/event-stream");

impl IntoResponse for Sse {
    fn into_response(self) -> Response {
        Response::ok(Body::from_http_body(self.source))
            .with_content_type(EVENT_STREAM)
            .with_field("Cache-Control", "no-cache")
            .into_response()
    }
}

impl fmt::Debug for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sse")
    }
}

/// Sends events; see [`Sse::new`]. It is `Send`.
#[derive(Debug)]
pub struct SseWriter {
    pipe: Arc<Pipe>,
}

/// Why an event was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SseError {
    /// The client is gone: the function should return.
    Closed,
    /// The event cannot be written: its id or name holds a line break, or its id a NUL.
    InvalidEvent,
}

impl fmt::Display for SseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SseError::Closed => f.write_str("the client is gone"),
            SseError::InvalidEvent => InvalidEvent.fmt(f),
        }
    }
}

impl std::error::Error for SseError {}

impl SseWriter {
    /// Sends an event and waits until the connection has taken it, which it does when the client
    /// has taken what came before: a slow client makes a slow writer.
    ///
    /// When the future is dropped, the event is sent whole or not at all.
    ///
    /// # Errors
    /// [`SseError`].
    pub async fn send(&mut self, event: Event) -> Result<(), SseError> {
        let mut text = Some(event.text().map_err(|_| SseError::InvalidEvent)?);
        if text.as_ref().is_some_and(Bytes::is_empty) {
            return Ok(());
        }
        poll_fn(|cx| self.pipe.poll_put(&mut text, cx)).await
    }
}

impl Drop for SseWriter {
    fn drop(&mut self) {
        self.pipe.writer_gone();
    }
}

#[cfg(test)]
mod tests;
