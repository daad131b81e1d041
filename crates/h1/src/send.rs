//! The sending half: how a response is delimited, and the framing of its content (RFC 9112 §6, §7).
//!
//! | state        | meaning                                         | leaves on                   |
//! |--------------|-------------------------------------------------|-----------------------------|
//! | `Idle`       | no request, no response due                     | a request, or a refusal     |
//! | `Due`        | a final response's head is due                  | `send_head`                 |
//! | `Length`     | so many bytes of content are due                | `finish` at zero            |
//! | `Chunked`    | chunks                                          | `finish`                    |
//! | `UntilClose` | content that ends with the connection           | `finish`                    |
//! | `Finished`   | the response is complete                        | the next cycle              |

use ajay_http::{FieldSection, KnownField, StatusCode};

use crate::{
    ContentSize, Misuse, ResponseHead, SendBody, chunked,
    exchange::{ConnectionOptions, Exchange, Expectation, MethodClass},
    framing,
    response::{self, Delimiter},
};

/// The state of the sending half.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Send {
    Idle,
    Due,
    Length {
        remaining: u64,
    },
    Chunked {
        /// A chunk's prefix was written and the CRLF after its data is due.
        open: bool,
    },
    UntilClose,
    Finished,
}

/// What a head's sending led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sent {
    pub(crate) body: SendBody,
    /// The connection will carry another request.
    pub(crate) persistent: bool,
    /// What comes after belongs to another protocol.
    pub(crate) hand_over: bool,
}

impl Send {
    /// Writes a final response's head. `persistent`: what the request and earlier commands want.
    #[inline]
    pub(crate) fn head(
        &mut self,
        exchange: &Exchange,
        persistent: bool,
        head: &ResponseHead<'_>,
        content: ContentSize,
        out: &mut Vec<u8>,
    ) -> Result<Sent, Misuse> {
        if *self != Self::Due {
            return Err(Misuse::NoResponseDue);
        }
        let (plan, hand_over) = plan(exchange, head, content)?;
        let mut options = if head.fields.contains(KnownField::Connection) {
            ConnectionOptions::of(head.fields)
        } else {
            ConnectionOptions::default()
        };
        let persistent = persistent
            && !options.close
            && plan != Plan::UntilClose
            // Whether content will come after this response is the client's free choice: the end of
            // the request is unknown (RFC 9110 §10.1.1).
            && exchange.expectation != Expectation::Waiting;
        options = ConnectionOptions {
            close: !persistent && !hand_over,
            keep_alive: persistent && exchange.is_http10 && !hand_over,
            // The sender of Upgrade must send the connection option too (RFC 9110 §7.8).
            upgrade: head.fields.contains(KnownField::Upgrade),
        };
        response::write_head(head, plan.delimiter(), options, out);
        *self = plan.state();
        let body = if *self == Self::Finished {
            SendBody::None
        } else {
            SendBody::Payload
        };
        Ok(Sent {
            body,
            persistent: persistent && !hand_over,
            hand_over,
        })
    }

    /// Accounts for `len` bytes of content and writes the prefix of their chunk.
    #[inline]
    pub(crate) fn data(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), Misuse> {
        match self {
            Self::Idle | Self::Due => Err(Misuse::HeadNotSent),
            Self::Length { remaining } => {
                *remaining = remaining.checked_sub(len).ok_or(Misuse::ContentTooLong)?;
                Ok(())
            }
            Self::Chunked { open } => {
                // A chunk of no bytes would be the last one.
                if len > 0 {
                    debug_assert!(!*open, "end_data is due");
                    chunked::chunk_prefix(len, out);
                    *open = true;
                }
                Ok(())
            }
            Self::UntilClose => Ok(()),
            Self::Finished if len == 0 => Ok(()),
            Self::Finished => Err(Misuse::ContentTooLong),
        }
    }

    /// Writes what follows a chunk's data.
    #[inline]
    pub(crate) fn end_data(&mut self, out: &mut Vec<u8>) {
        if let Self::Chunked { open } = self
            && std::mem::take(open)
        {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Ends the content.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        trailers: Option<&FieldSection>,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        match *self {
            Self::Idle | Self::Due => return Err(Misuse::HeadNotSent),
            Self::Length { remaining: 1.. } => return Err(Misuse::ContentTooShort),
            Self::Chunked { .. } => {
                self.end_data(out);
                chunked::last_chunk(trailers, out);
            }
            // Trailers have no place in these; RFC 9110 §6.5.1 lets them be dropped.
            Self::Length { remaining: 0 } | Self::UntilClose | Self::Finished => {}
        }
        *self = Self::Finished;
        Ok(())
    }
}

/// How a response is delimited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plan {
    /// No content follows; a length may be told nevertheless (HEAD, 304, 205).
    NoContent {
        length: Option<u64>,
    },
    Length(u64),
    Chunked,
    UntilClose,
}

impl Plan {
    #[inline]
    const fn delimiter(self) -> Delimiter {
        match self {
            Self::NoContent {
                length: Some(length),
            }
            | Self::Length(length) => Delimiter::Length(length),
            Self::Chunked => Delimiter::Chunked,
            Self::NoContent { length: None } | Self::UntilClose => Delimiter::None,
        }
    }

    #[inline]
    const fn state(self) -> Send {
        match self {
            Self::NoContent { .. } | Self::Length(0) => Send::Finished,
            Self::Length(remaining) => Send::Length { remaining },
            Self::Chunked => Send::Chunked { open: false },
            Self::UntilClose => Send::UntilClose,
        }
    }
}

/// Decides how a response is delimited (RFC 9112 §6.1 to §6.3), and whether the connection is handed
/// over after it.
#[inline]
fn plan(
    exchange: &Exchange,
    head: &ResponseHead<'_>,
    content: ContentSize,
) -> Result<(Plan, bool), Misuse> {
    if head.fields.contains(KnownField::TransferEncoding) {
        return Err(Misuse::TransferEncodingSet);
    }
    let declared = declared_length(head.fields)?;
    let no_content = |length| Ok((Plan::NoContent { length }, false));
    match (head.status.as_u16(), exchange.method) {
        (101, _) => {
            if exchange.offers_upgrade && head.fields.contains(KnownField::Upgrade) {
                Ok((Plan::NoContent { length: None }, true))
            } else {
                Err(Misuse::SwitchWithoutUpgrade)
            }
        }
        (100..200, _) => Err(Misuse::InformationalAsFinal),
        (200..300, MethodClass::Connect) => Ok((Plan::NoContent { length: None }, true)),
        (204, _) => no_content(None),
        (205, _) => no_content(Some(0)),
        // The length that the selected representation would have had, which only the application
        // can know (RFC 9110 §8.6).
        (304, _) => no_content(declared),
        (_, MethodClass::Head) => no_content(match content {
            ContentSize::Exact(size) => declared.or(Some(size)),
            ContentSize::Empty | ContentSize::Unknown => declared,
        }),
        (_, MethodClass::Connect | MethodClass::Other) => {
            with_content(exchange, declared, content).map(|plan| (plan, false))
        }
    }
}

#[inline]
fn with_content(
    exchange: &Exchange,
    declared: Option<u64>,
    content: ContentSize,
) -> Result<Plan, Misuse> {
    let size = match content {
        ContentSize::Empty => 0,
        ContentSize::Exact(size) => size,
        ContentSize::Unknown => {
            return Ok(match declared {
                Some(length) => Plan::Length(length),
                None if exchange.is_http10 => Plan::UntilClose,
                None => Plan::Chunked,
            });
        }
    };
    if declared.is_some_and(|length| length != size) {
        return Err(Misuse::ContentLengthMismatch);
    }
    Ok(Plan::Length(size))
}

/// The application's own `Content-Length`.
#[inline]
fn declared_length(fields: &FieldSection) -> Result<Option<u64>, Misuse> {
    let mut values = fields.get_all(KnownField::ContentLength);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Misuse::ContentLengthMismatch);
    }
    let length = framing::parse_content_length(value);
    length.map(Some).map_err(|_| Misuse::ContentLengthMismatch)
}

/// Whether a status code may be sent by `send_informational`.
pub(crate) fn is_informational(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
