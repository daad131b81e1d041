//! The state machine of one server connection (RFC 9112 §9).
//!
//! # Theory
//! A connection carries exchanges one after the other. Each has two halves that run independently:
//! the request is *received*, its response is *sent*, and either may end first. When both have ended
//! the next cycle may start. Pipelined bytes of a later request are not looked at before that, so a
//! connection holds the state of one request only and answers are in order by construction.
//!
//! # Receiving
//!
//! | state      | [`Reading`]                     | events                    | leaves to                    |
//! |------------|---------------------------------|---------------------------|------------------------------|
//! | `Head`     | `FirstByte`, `Idle`, then `Head`| `NeedData`, `Request`     | `Length`, `Chunked`, `Complete` |
//! | `Length`   | `Content`                       | `NeedData`, `Data`, `End` | `Complete`                   |
//! | `Chunked`  | `Content`                       | `NeedData`, `Data`, `End` | `Complete`                   |
//! | `Complete` | `Waiting`                       | `Paused` or `Closed`      | `Head`, `HandOver`, `Done`   |
//! | `HandOver` | `Done`                          | `HandOver`                | never                        |
//! | `Done`     | `Done`                          | `Closed`                  | never                        |
//!
//! Every state but `HandOver` goes to `Done` on a violation, on the end of input inside a message and
//! on [`Connection::refuse_request`]. A violation leaves one response due if none was begun, so that
//! the caller can tell the peer what was wrong.
//!
//! `HandOver` is entered when 101, or 2xx to CONNECT, has been sent *and* the request is complete.
//!
//! # Sending
//! See the table in `send.rs`. The halves touch in three places only: an unanswered expectation
//! decides about persistence when the head is sent, a hand-over waits for the request's end, and
//! [`Connection::start_next_cycle`] needs both halves ended.
//!
//! # Persistence
//! `persistent` starts true, and nothing sets it again once it is false: a close option on either
//! side, HTTP/1.0 without keep-alive, close-delimited content, an unanswered expectation, a
//! violation, [`Connection::close_after`].

use ajay_http::{FieldSection, Limits, RequestHead, StatusCode};

use crate::{
    ContentSize, Framing, Misuse, Opening, ResponseHead, SendBody, Violation,
    chunked::{Decoded, Decoder},
    exchange::{Exchange, Expectation, MethodClass},
    head::{HeadParser, Parsed},
    response,
    send::{self, Send},
};

/// What connections share. Passed by reference, so that a connection does not hold it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Bounds on requests.
    pub limits: Limits,
}

/// One server connection. See the module's theory in the source.
#[derive(Debug)]
pub struct Connection {
    receive: Receive,
    send: Send,
    trailers: Option<Box<FieldSection>>,
    exchange: Exchange,
    persistent: bool,
    /// The client said with the current request that it will send no other.
    close_requested: bool,
    /// What follows the current exchange belongs to another protocol.
    hand_over: bool,
    /// No exchange has been completed yet.
    first: bool,
}

/// An idle connection holds nothing but this.
const _: () = assert!(size_of::<Connection>() <= 96);

#[derive(Clone, Copy, Debug)]
enum Receive {
    Head(HeadParser),
    Length { remaining: u64 },
    Chunked(Decoder),
    Complete,
    HandOver,
    Done,
}

/// What [`Connection::next_event`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'i> {
    /// All that can be used has been used: call again with what was not consumed and more.
    NeedData,
    /// The head is filled and a response is due. Unless the framing is [`Framing::None`] or a length
    /// of zero, `Data` events and one `End` follow.
    Request {
        /// How the content is delimited.
        framing: Framing,
        /// The client waits for [`Connection::send_continue`] before it sends content.
        expect_continue: bool,
    },
    /// A piece of the content, never empty.
    Data(&'i [u8]),
    /// The content is complete; see [`Connection::take_trailers`].
    End,
    /// What follows is not looked at before [`Connection::start_next_cycle`].
    Paused,
    /// What follows belongs to the next protocol.
    HandOver,
    /// No further request is read: bytes that still come are to be discarded.
    Closed,
}

/// An event, and how much of the input is done with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step<'i> {
    /// Bytes at the start of the input that must not be passed in again.
    pub consumed: usize,
    /// The event.
    pub event: Event<'i>,
}

/// What the end of the peer's bytes means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EofEffect {
    /// Between requests: a clean end.
    Idle,
    /// Inside a request head.
    InHead,
    /// Inside a request's content (RFC 9112 §8: the request is incomplete).
    InContent,
    /// The request is complete. Requests behind it may still be unread: go on as usual and tell
    /// again after the next [`Event::NeedData`].
    Waiting,
    /// No request was to be read any more.
    AfterLast,
}

/// What is being read: the classes of deadlines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// Nothing has arrived on this connection yet.
    FirstByte,
    /// A request head has begun to arrive.
    Head,
    /// Content.
    Content,
    /// Nothing: the request is complete and the exchange is not.
    Waiting,
    /// Nothing has arrived since the last exchange.
    Idle,
    /// Nothing will be read any more.
    Done,
}

/// How much of a request's content is still to come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContentRemaining {
    /// There is none, or it is complete.
    None,
    /// So many bytes.
    Known(u64),
    /// Chunked: nobody knows.
    Unknown,
}

/// What happens after an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextCycle {
    /// The next request may be read.
    Ready,
    /// The connection is to be closed.
    Close,
    /// The connection belongs to the next protocol.
    HandOver,
}

impl Connection {
    /// A connection on which nothing has happened.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            receive: Receive::Head(HeadParser::new()),
            send: Send::Idle,
            trailers: None,
            exchange: Exchange::unknown(),
            persistent: true,
            close_requested: false,
            hand_over: false,
            first: true,
        }
    }

    /// Reads the next event from `input`.
    ///
    /// The caller drops the consumed bytes and keeps the rest for the next call. While a head is
    /// incomplete nothing of it is consumed, and the same `head` is passed with each call; the same
    /// holds for the bytes of a trailer section. `head` is not touched after [`Event::Request`]
    /// before the next cycle.
    ///
    /// # Errors
    /// The peer broke a rule. Nothing is read any more, and one response is due unless one was
    /// begun: send [`Violation::status`] and close.
    #[inline]
    pub fn next_event<'i>(
        &mut self,
        config: &Config,
        input: &'i [u8],
        head: &mut RequestHead,
    ) -> Result<Step<'i>, Violation> {
        let step = self.advance(&config.limits, input, head);
        if step.is_err() {
            self.fail(MethodClass::of(head.method()));
        }
        step
    }

    /// Tells that the next `bytes` of content were received without [`next_event`](Self::next_event), to
    /// where they stay: no copy is made of large content. The caller holds no byte that was not consumed.
    ///
    /// # Errors
    /// [`Misuse::NotContent`] if [`content_remaining`](Self::content_remaining) is not known to be as much.
    /// Nothing has changed then.
    pub fn content_received(&mut self, bytes: u64) -> Result<(), Misuse> {
        let Receive::Length { remaining } = &mut self.receive else {
            return Err(Misuse::NotContent);
        };
        *remaining = remaining.checked_sub(bytes).ok_or(Misuse::NotContent)?;
        if bytes > 0 {
            self.exchange.expectation = Expectation::None;
        }
        Ok(())
    }

    /// Tells that the peer will send no more. `unconsumed` is the number of bytes the caller holds
    /// that were not consumed.
    pub fn handle_eof(&mut self, unconsumed: usize) -> EofEffect {
        let effect = match &self.receive {
            Receive::Head(parser) if unconsumed == 0 && !parser.is_inside() => EofEffect::Idle,
            Receive::Head(_) => EofEffect::InHead,
            Receive::Length { remaining: 0 } | Receive::Complete => return EofEffect::Waiting,
            Receive::Length { .. } | Receive::Chunked(_) => EofEffect::InContent,
            Receive::HandOver | Receive::Done => return EofEffect::AfterLast,
        };
        self.receive = Receive::Done;
        self.persistent = false;
        effect
    }

    /// Ends reading for a reason of the caller's own: a deadline, overload. As after a violation,
    /// one response is due unless one was begun.
    pub fn refuse_request(&mut self) {
        self.fail(MethodClass::Other);
    }

    /// The trailer section of the request, once after [`Event::End`]. Fields that may not be in one
    /// were dropped.
    pub fn take_trailers(&mut self) -> Option<Box<FieldSection>> {
        self.trailers.take().filter(|trailers| !trailers.is_empty())
    }

    fn advance<'i>(
        &mut self,
        limits: &Limits,
        input: &'i [u8],
        head: &mut RequestHead,
    ) -> Result<Step<'i>, Violation> {
        match &mut self.receive {
            Receive::Head(parser) => match parser.parse(input, limits, head)? {
                Parsed::Partial(consumed) => Ok(Step {
                    consumed,
                    event: Event::NeedData,
                }),
                Parsed::Complete(consumed) => {
                    let event = self.begin_exchange(limits, head)?;
                    Ok(Step { consumed, event })
                }
            },
            Receive::Length { remaining: 0 } => Ok(self.end_request(0)),
            Receive::Length { remaining } => {
                let len = usize::try_from(*remaining)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                if len == 0 {
                    return Ok(Step {
                        consumed: 0,
                        event: Event::NeedData,
                    });
                }
                *remaining -= len as u64;
                self.exchange.expectation = Expectation::None;
                let data = input.get(..len).unwrap_or_default();
                Ok(Step {
                    consumed: len,
                    event: Event::Data(data),
                })
            }
            Receive::Chunked(decoder) => {
                if !input.is_empty() {
                    self.exchange.expectation = Expectation::None;
                }
                let (consumed, decoded) = decoder.decode(input, limits, &mut self.trailers)?;
                Ok(match decoded {
                    Decoded::NeedData => Step {
                        consumed,
                        event: Event::NeedData,
                    },
                    Decoded::Data(data) => Step {
                        consumed,
                        event: Event::Data(data),
                    },
                    Decoded::End => self.end_request(consumed),
                })
            }
            Receive::Complete => {
                // A response that is due could still hand the connection over.
                let may_hand_over = self.send == Send::Due
                    && (self.exchange.offers_upgrade
                        || self.exchange.method == MethodClass::Connect);
                let event = if self.persistent || may_hand_over {
                    Event::Paused
                } else {
                    Event::Closed
                };
                Ok(Step { consumed: 0, event })
            }
            Receive::HandOver => Ok(Step {
                consumed: 0,
                event: Event::HandOver,
            }),
            Receive::Done => Ok(Step {
                consumed: 0,
                event: Event::Closed,
            }),
        }
    }

    #[inline]
    fn begin_exchange(
        &mut self,
        limits: &Limits,
        head: &RequestHead,
    ) -> Result<Event<'static>, Violation> {
        let (exchange, persistent) = Exchange::of(head);
        self.exchange = exchange;
        self.persistent &= persistent;
        self.close_requested = !persistent;
        let framing = crate::message_framing(head.method(), head.version(), head.fields())?;
        self.exchange.read_expectation(head.fields(), framing)?;
        self.receive = match framing {
            Framing::Length(length) if length > limits.content_bytes_max => {
                return Err(Violation::ContentTooLarge);
            }
            Framing::None | Framing::Length(0) => Receive::Complete,
            Framing::Length(remaining) => Receive::Length { remaining },
            Framing::Chunked => Receive::Chunked(Decoder::new()),
        };
        self.send = Send::Due;
        Ok(Event::Request {
            framing,
            expect_continue: self.expects_continue(),
        })
    }

    fn end_request(&mut self, consumed: usize) -> Step<'static> {
        self.receive = if self.hand_over {
            Receive::HandOver
        } else {
            Receive::Complete
        };
        Step {
            consumed,
            event: Event::End,
        }
    }

    #[cold]
    fn fail(&mut self, method: MethodClass) {
        self.receive = Receive::Done;
        self.persistent = false;
        self.hand_over = false;
        self.exchange.expectation = Expectation::None;
        if self.send == Send::Idle {
            self.exchange = Exchange {
                method,
                ..Exchange::unknown()
            };
            self.send = Send::Due;
        }
    }
}

/// Getters.
impl Connection {
    /// What is being read, for the choice of a deadline.
    #[inline]
    #[must_use]
    pub const fn reading(&self) -> Reading {
        match &self.receive {
            Receive::Head(parser) if parser.has_begun() => Reading::Head,
            Receive::Head(_) if self.first => Reading::FirstByte,
            Receive::Head(_) => Reading::Idle,
            Receive::Length { .. } | Receive::Chunked(_) => Reading::Content,
            Receive::Complete => Reading::Waiting,
            Receive::HandOver | Receive::Done => Reading::Done,
        }
    }

    /// How much of the request's content is still to come.
    #[inline]
    #[must_use]
    pub const fn content_remaining(&self) -> ContentRemaining {
        match self.receive {
            Receive::Length { remaining } => ContentRemaining::Known(remaining),
            Receive::Chunked(_) => ContentRemaining::Unknown,
            _ => ContentRemaining::None,
        }
    }

    /// Whether the client waits for 100 (Continue): it asked for it, it was not sent, and neither
    /// content nor a final response has begun.
    #[inline]
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        matches!(self.exchange.expectation, Expectation::Waiting) && matches!(self.send, Send::Due)
    }

    /// Whether the connection will carry another request. Final once the head was sent, unless the
    /// peer breaks a rule later.
    #[inline]
    #[must_use]
    pub const fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Whether the client asked, with the current request, for the connection to end after it: by
    /// a close option, or by HTTP/1.0 without keep-alive. Such a client sends nothing that an
    /// early close could answer with a reset (RFC 9112 §9.6).
    #[inline]
    #[must_use]
    pub const fn is_close_requested(&self) -> bool {
        self.close_requested
    }

    /// Whether the current request's method is HEAD.
    #[inline]
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.exchange.method == MethodClass::Head
    }

    /// Whether the current request's method is CONNECT.
    #[inline]
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.exchange.method == MethodClass::Connect
    }

    /// Whether the client offers another protocol, so that 101 may be sent.
    #[inline]
    #[must_use]
    pub const fn offers_upgrade(&self) -> bool {
        self.exchange.offers_upgrade
    }

    /// Whether a final response's head is due.
    #[inline]
    #[must_use]
    pub const fn is_response_due(&self) -> bool {
        matches!(self.send, Send::Due)
    }

    /// Whether the response is finished.
    #[inline]
    #[must_use]
    pub const fn is_response_finished(&self) -> bool {
        matches!(self.send, Send::Finished)
    }

    /// Whether the request has been received to its end.
    #[inline]
    #[must_use]
    pub const fn is_request_complete(&self) -> bool {
        matches!(self.receive, Receive::Complete | Receive::HandOver)
    }
}

/// Commands.
impl Connection {
    /// Writes 100 (Continue) if the client waits for it; else nothing.
    ///
    /// # Errors
    /// No response is due.
    pub fn send_continue(&mut self, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if self.send != Send::Due {
            return Err(Misuse::NoResponseDue);
        }
        if self.expects_continue() {
            out.extend_from_slice(response::CONTINUE);
            self.exchange.expectation = Expectation::None;
        }
        Ok(())
    }

    /// Writes an informational response, or nothing to an HTTP/1.0 client, who would not understand
    /// it (RFC 9110 §15.2).
    ///
    /// # Errors
    /// The status code is not informational or is 101, or no response is due.
    pub fn send_informational(
        &mut self,
        status: StatusCode,
        fields: &FieldSection,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        if !send::is_informational(status) {
            return Err(Misuse::NotInformational);
        }
        if self.send != Send::Due {
            return Err(Misuse::NoResponseDue);
        }
        if status == StatusCode::CONTINUE {
            self.exchange.expectation = Expectation::None;
        }
        if !self.exchange.is_http10 {
            response::write_informational(status, fields, out);
        }
        Ok(())
    }

    /// Writes the head of the final response, or of 101 (Switching Protocols).
    ///
    /// # Errors
    /// No response is due, or the head contradicts itself or the content. Nothing was written then.
    #[inline]
    pub fn send_head(
        &mut self,
        head: &ResponseHead<'_>,
        content: ContentSize,
        out: &mut Vec<u8>,
    ) -> Result<SendBody, Misuse> {
        let sent = self
            .send
            .head(&self.exchange, self.persistent, head, content, out)?;
        self.persistent = sent.persistent;
        self.hand_over = sent.hand_over;
        if sent.hand_over && matches!(self.receive, Receive::Complete) {
            self.receive = Receive::HandOver;
        }
        Ok(sent.body)
    }

    /// Writes a whole 200 response, and ends with it what `send_head`, `frame_data`, `end_data` and
    /// `finish` end together. Does nothing and says no if it is not as nearly all are: to a complete
    /// request of HTTP/1.1 that is neither HEAD nor CONNECT, on a connection that persists, and
    /// without a field that has a say in the head's other lines. Those calls answer that one.
    #[inline]
    pub fn send_whole(
        &mut self,
        opening: &mut Opening,
        content_type: Option<&'static str>,
        fields: &FieldSection,
        content: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let is_usual = self.send == Send::Due
            && matches!(self.receive, Receive::Complete)
            && self.persistent
            && !self.exchange.is_http10
            && self.exchange.method == MethodClass::Other
            && opening.suits(fields);
        if is_usual {
            opening.write_head(content_type, content.len() as u64, fields, out);
            out.extend_from_slice(content);
            self.send = Send::Finished;
        }
        is_usual
    }

    /// Accounts for `len` bytes of content, which the caller sends next, and writes what stands
    /// before them: a chunk's size, or nothing.
    ///
    /// # Errors
    /// No head was sent, or there is more content than declared.
    #[inline]
    pub fn frame_data(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.send.data(len, out)
    }

    /// Writes what stands after the bytes of the last [`frame_data`](Self::frame_data).
    #[inline]
    pub fn end_data(&mut self, out: &mut Vec<u8>) {
        self.send.end_data(out);
    }

    /// Finishes the response: writes the last chunk and the trailer section if it is chunked.
    /// Trailers are dropped where there is no place for them. Finishing twice does nothing.
    ///
    /// # Errors
    /// No head was sent, or there was less content than declared.
    #[inline]
    pub fn finish(
        &mut self,
        trailers: Option<&FieldSection>,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        self.send.finish(trailers, out)
    }

    /// Makes the current exchange, or the next one, the last: its response says so if its head was
    /// not sent yet.
    #[inline]
    pub const fn close_after(&mut self) {
        self.persistent = false;
    }

    /// Ends the exchange.
    ///
    /// # Errors
    /// The response is not finished, or the request is not complete on a connection that persists.
    #[inline]
    pub fn start_next_cycle(&mut self) -> Result<NextCycle, Misuse> {
        if self.send != Send::Finished {
            return Err(Misuse::ResponseNotFinished);
        }
        match self.receive {
            Receive::HandOver => return Ok(NextCycle::HandOver),
            Receive::Complete if self.persistent => {}
            _ if self.persistent || self.hand_over => return Err(Misuse::RequestNotComplete),
            _ => {
                self.receive = Receive::Done;
                return Ok(NextCycle::Close);
            }
        }
        self.receive = Receive::Head(HeadParser::new());
        self.send = Send::Idle;
        self.trailers = None;
        self.exchange = Exchange::unknown();
        self.first = false;
        Ok(NextCycle::Ready)
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
