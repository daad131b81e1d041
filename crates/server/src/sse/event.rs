//! One event, in the form in which it is sent.

use std::fmt::{self, Display};
use std::time::Duration;

#[cfg(feature = "json")]
use ajay_engine::BoxError;
use bytes::{Bytes, BytesMut};

/// An event, a comment, or a setting of the client's.
///
/// ```
/// # use ajayserver::Event;
/// let event = Event::data("two\nlines").name("note").id(7);
/// assert_eq!(event.to_string(), "data: two\ndata: lines\nevent: note\nid: 7\n\n");
/// ```
///
/// It is kept as the text that is sent: a clone costs nothing, so that one event can go to any
/// number of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Lines of UTF-8, and an empty line after them; or nothing.
    text: Bytes,
    /// It holds what no line can say.
    is_invalid: bool,
}

/// An event's name or id holds a line break, or its id a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEvent;

impl Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event's id or name holds what it cannot")
    }
}

impl std::error::Error for InvalidEvent {}

impl Event {
    /// An event without anything, to which an id or a time can be added. Without data the client
    /// dispatches none.
    pub fn new() -> Event {
        Event::default()
    }

    /// An event with this data. Line breaks of all kinds (CR, LF, CRLF) reach the client as LF.
    pub fn data(data: impl Display) -> Event {
        Event::new().with_lines("data: ", &data.to_string())
    }

    /// An event with this value as JSON.
    ///
    /// # Errors
    /// The value cannot be JSON: a map with keys that are no strings, or a `Serialize` that fails.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize>(value: &T) -> Result<Event, BoxError> {
        let json = crate::json::to_bytes(value)?;
        // JSON as it is written here is UTF-8, and one line: it has its line breaks escaped.
        Ok(Event::new().with(|text| {
            text.extend_from_slice(b"data: ");
            text.extend_from_slice(&json);
            text.extend_from_slice(b"\n");
        }))
    }

    /// A comment, which the client ignores.
    pub fn comment(text: impl Display) -> Event {
        Event::new().with_lines(": ", &text.to_string())
    }

    /// With a name: the client calls listeners of this name instead of those of `message`. One
    /// that holds a line break makes the event invalid: it is not sent.
    #[must_use]
    pub fn name(self, name: impl Display) -> Event {
        self.with_line("event: ", &name.to_string(), &['\r', '\n'])
    }

    /// With an id, which the client names in `Last-Event-ID` when it comes back. One that holds a
    /// line break or NUL makes the event invalid: it is not sent.
    #[must_use]
    pub fn id(self, id: impl Display) -> Event {
        self.with_line("id: ", &id.to_string(), &['\r', '\n', '\0'])
    }

    /// With the time that the client is to wait from now on before it comes back, in whole
    /// milliseconds.
    #[must_use]
    pub fn retry(self, time: Duration) -> Event {
        self.with_line("retry: ", &time.as_millis().to_string(), &[])
    }

    /// The bytes to send; nothing for an event without anything.
    pub(super) fn text(&self) -> Result<Bytes, InvalidEvent> {
        match self.is_invalid {
            true => Err(InvalidEvent),
            false => Ok(self.text.clone()),
        }
    }

    fn with_line(mut self, name: &str, value: &str, forbidden: &[char]) -> Event {
        if value.contains(forbidden) {
            self.is_invalid = true;
            return self;
        }
        self.with(|text| push_line(text, name, value))
    }

    fn with_lines(self, name: &str, value: &str) -> Event {
        self.with(|text| {
            let mut rest = value;
            while let Some(at) = rest.find(['\r', '\n']) {
                push_line(text, name, &rest[..at]);
                let is_pair = rest[at..].starts_with("\r\n");
                rest = &rest[at + if is_pair { 2 } else { 1 }..];
            }
            push_line(text, name, rest);
        })
    }

    /// Adds whole lines, in place if nobody else has this event.
    fn with(mut self, add: impl FnOnce(&mut BytesMut)) -> Event {
        let text = std::mem::take(&mut self.text);
        let mut text = text
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        text.truncate(text.len().saturating_sub(1));
        add(&mut text);
        text.extend_from_slice(b"\n");
        self.text = text.freeze();
        self
    }
}

fn push_line(text: &mut BytesMut, name: &str, value: &str) {
    text.reserve(name.len() + value.len() + 2);
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(value.as_bytes());
    text.extend_from_slice(b"\n");
}

impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text).unwrap_or_default())
    }
}
