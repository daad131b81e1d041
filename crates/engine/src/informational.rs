//! Informational responses that handlers send before their response (RFC 9110 §15.2).
//!
//! A handler names no connection: what it sends belongs to the exchange whose handler this thread
//! polls at the moment. The worker opens the desk around each poll, and writes what lies on it
//! then.

use std::cell::{Cell, RefCell};
use std::fmt;

use crate::{FieldSection, StatusCode};

/// How many may be sent between two waits of a handler.
const WAITING_MAX: usize = 16;

/// Sends an informational response to the client whose request this handler answers: 103 (Early
/// Hints, RFC 8297), 102 (Processing), or 100 (Continue) before it is due by itself, which is when
/// the content is first read.
///
/// It leaves the next time the handler waits for something, or with the response. Clients of
/// HTTP/1.0 are sent none, as they would not understand it. Fields that frame a message
/// (`Content-Length`, `Transfer-Encoding`, `Connection`) are left out.
///
/// ```
/// # use ajay_engine::{FieldSection, Request, Response, StatusCode, send_informational};
/// async fn page(_: Request) -> Response {
///     let mut hints = FieldSection::new();
///     let style = "</style.css>; rel=preload; as=style";
///     if hints.append("Link", style.as_bytes()).is_ok() {
///         // A hint that cannot be sent is no reason to fail.
///         let _ = send_informational(StatusCode::EARLY_HINTS, hints);
///     }
///     # async fn query_database() -> String { String::new() }
///     Response::ok(query_database().await)
/// }
/// ```
///
/// # Errors
/// [`InformationalError`]; nothing is sent then.
pub fn send_informational(
    status: StatusCode,
    fields: FieldSection,
) -> Result<(), InformationalError> {
    if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(InformationalError::Status);
    }
    if DESK.get() == Desk::Closed {
        return Err(InformationalError::NotInHandler);
    }
    WAITING.with_borrow_mut(|waiting| {
        if waiting.len() == WAITING_MAX {
            return Err(InformationalError::TooMany);
        }
        waiting.push(Informational { status, fields });
        DESK.set(Desk::Taken);
        Ok(())
    })
}

/// Why an informational response was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InformationalError {
    /// The status code is not 1xx, or is 101 (Switching Protocols), which is a final answer.
    Status,
    /// Called by something else than the handler's own future: a task it spawned, another thread,
    /// a response stream.
    NotInHandler,
    /// Sixteen wait already for the handler to await something.
    TooMany,
}

impl fmt::Display for InformationalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InformationalError::Status => "not the status code of an informational response",
            InformationalError::NotInHandler => "only a handler sends informational responses",
            InformationalError::TooMany => "too many informational responses at a time",
        })
    }
}

impl std::error::Error for InformationalError {}

/// One that waits to be written.
pub(crate) struct Informational {
    pub(crate) status: StatusCode,
    pub(crate) fields: FieldSection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Desk {
    /// No handler is being polled.
    Closed,
    Open,
    /// Something lies on it.
    Taken,
}

thread_local! {
    /// Two places, so that a poll which sends none touches one byte.
    static DESK: Cell<Desk> = const { Cell::new(Desk::Closed) };
    static WAITING: RefCell<Vec<Informational>> = const { RefCell::new(Vec::new()) };
}

/// A handler is polled from here until [`close`].
#[inline]
pub(crate) fn open() {
    DESK.set(Desk::Open);
}

/// The poll is over. Says whether anything is to be [taken](take).
#[inline]
pub(crate) fn close() -> bool {
    DESK.replace(Desk::Closed) == Desk::Taken
}

/// What the handler that was polled last has sent.
#[cold]
pub(crate) fn take() -> Vec<Informational> {
    WAITING.take()
}

#[cfg(test)]
mod tests;
