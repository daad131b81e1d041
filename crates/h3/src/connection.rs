//! The state machine of one server connection (RFC 9114).
//!
//! # Theory
//! A connection is a set of streams, each an independent sequence of bytes that the transport delivers in
//! order. A client's bidirectional stream is one request and its response; see `stream.rs` for its states.
//! Unidirectional streams carry what concerns the connection: one of each side for control frames, two of
//! each side for field compression.
//!
//! Between streams there is no order, but for one thing: a field section may need entries that the peer's
//! QPACK encoder has sent on its own stream. Then the request waits, and the bytes after its section with
//! it, until [`Connection::poll_unblocked`] names it.
//!
//! # Receiving
//! The caller gives the bytes of one stream at a time. All of them are consumed before `NeedData`: the
//! beginning of a frame's header or of a field section is kept in here, in bounds; content goes through in
//! whatever pieces it comes, borrowed from the input, and nothing of it is kept. A field section that is
//! in the input as a whole is decoded where it is.
//!
//! | a request's stream is | waits for | events | leaves to |
//! |---|---|---|---|
//! | `Header` | a frame's type and length | `EndOfContent` at the stream's end | `Section`, `Data`, `Skip` |
//! | `Section` | the rest of a field section | `Request`, `Refused`, `Rejected`, `EndOfContent` | `Header`, `Blocked` |
//! | `Blocked` | entries of the encoder | as above | `Header` |
//! | `Data` | content | `Data` | `Header` |
//! | `Skip` | payloads without a use | | `Header` |
//!
//! # Sending
//! Heads, trailers and frame headers are appended to the caller's buffer, which goes on the request's
//! stream. Content is sent by permission: the caller says how much it has ([`Connection::set_ready`]), asks
//! whose turn it is ([`Connection::next_grant`]), and writes a frame's header ([`Connection::frame_data`])
//! and then its payload, which this never sees. The windows are the transport's; the caller says when it
//! takes no more of a stream ([`Connection::set_blocked`]).
//!
//! # Time
//! `now` is in milliseconds of a clock that does not go back. It fills budgets and dates what the caller's
//! deadlines ask for; nothing happens by itself.

mod control;
mod getters;
mod receive;
mod send;

use std::collections::VecDeque;

use ajay_fields::{
    Scratch,
    qpack::{Decoder, Encoder},
};
use ajay_http::{FieldSection, RequestHead};
use ajay_mux::{EarlyPriorities, Scheduler};

use crate::{
    Config, Effect, ErrorCode, StreamKey, Violation,
    budgets::{Buckets, Kind},
    settings,
    stream::{Receive, Send},
    streams::Streams,
    unidirectional::{self, Unidirectional},
    varint,
};

pub use getters::Reading;

/// One server connection. See the module's theory in the source.
///
/// The order of calls in a turn: [`next_event`](Self::next_event) for each stream that has something,
/// until it wants more bytes; commands for what came of it; [`next_grant`](Self::next_grant) and
/// [`frame_data`](Self::frame_data) until there is no grant; [`poll_command`](Self::poll_command) until
/// there is none; [`output`](Self::output) of our own streams.
#[derive(Debug)]
pub struct Connection {
    streams: Streams,
    unidirectional: Unidirectional,
    decoder: Decoder,
    encoder: Encoder,
    scratch: Scratch,
    trailers: Option<Box<FieldSection>>,
    /// The smallest number that no request has used, nor a larger one.
    next_stream: u64,
    early_priorities: EarlyPriorities,
    scheduler: Scheduler,
    buckets: Buckets,
    drain: DrainState,
    /// The client's SETTINGS have come.
    has_settings: bool,
    /// The identifier of the client's last GOAWAY.
    peer_goaway: Option<u64>,
    /// The identifier of the client's last MAX_PUSH_ID.
    push_id_max: Option<u64>,
    is_closed: bool,
    commands: VecDeque<Command>,
    control_output: Vec<u8>,
    decoder_output: Vec<u8>,
    /// The type of our decoder stream was written.
    has_decoder_stream: bool,
    /// Requests that wait for the peer's encoder.
    blocked: Vec<StreamKey>,
    now: u64,
    /// Since when there are no requests.
    idle_since: u64,
    /// Tiny DATA frames that nobody was told of yet.
    tiny_data: u32,
}

/// What an idle connection holds.
const _: () = assert!(size_of::<Connection>() <= 1024);

/// How far the end of the connection is announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DrainState {
    No,
    Announced,
    /// Requests from this number on are not processed (§5.2).
    Last(u64),
}

/// The phases of a graceful end (§5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Drain {
    /// The peer is asked to send no more requests; those that are under way are still accepted.
    Announce,
    /// No more requests are accepted. To be called a round trip after the first.
    Last,
}

/// The streams that we open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UniStream {
    /// Control frames (§6.2.1). To be opened at once.
    Control,
    /// Instructions of our QPACK encoder (RFC 9204 §4.2). It has none.
    QpackEncoder,
    /// Instructions of our QPACK decoder. Only to be opened if there are any.
    QpackDecoder,
}

impl UniStream {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Control, Self::QpackEncoder, Self::QpackDecoder];
}

/// What the transport is to do. A stream that is over by then needs neither.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// STOP_SENDING: what still comes on this stream is not wanted.
    StopSending {
        /// The stream's number.
        stream: u64,
        /// Why.
        code: ErrorCode,
    },
    /// RESET_STREAM: what we have sent on this stream is not complete.
    Reset {
        /// The stream's number.
        stream: u64,
        /// Why.
        code: ErrorCode,
    },
}

/// What [`Connection::next_event`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'i> {
    /// All of the input was used.
    NeedData,
    /// The request waits for entries of the peer's QPACK encoder: the rest of the input is to be passed in
    /// again when [`Connection::poll_unblocked`] names the stream.
    Blocked,
    /// The head is filled and a response is due. Unless its content has ended, `Data` and one
    /// `EndOfContent` follow.
    Request {
        /// The stream.
        key: StreamKey,
        /// There is no content.
        end_of_content: bool,
        /// The declared length of the content.
        content_length: Option<u64>,
        /// The client waits for [`Connection::send_continue`] before it sends content.
        expect_continue: bool,
    },
    /// A response with [`Violation::status`] is due. The head may be filled in part. The stream may be one
    /// that `Request` told of, whose content became too large: then the response is due only if none was
    /// begun. No content follows.
    Refused {
        /// The stream.
        key: StreamKey,
        /// The rule that was broken.
        violation: Violation,
    },
    /// A stream that no event told of was reset.
    Rejected {
        /// Its number.
        stream: u64,
        /// The rule that was broken.
        violation: Violation,
    },
    /// A piece of a request's content, never empty.
    Data {
        /// The stream.
        key: StreamKey,
        /// The piece.
        data: &'i [u8],
    },
    /// A request's content is complete; see [`Connection::take_trailers`].
    EndOfContent {
        /// The stream.
        key: StreamKey,
    },
    /// A stream was reset. It counts until [`Connection::stream_done`].
    Reset {
        /// The stream.
        key: StreamKey,
        /// Who reset it, and why.
        cause: ResetCause,
    },
    /// Nothing is read any more: bytes that still come are to be discarded.
    Closed,
}

/// Why a stream was reset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResetCause {
    /// The peer gave it up.
    Peer(ErrorCode),
    /// The peer broke a rule, so we reset it.
    Violation(Violation),
}

/// An event, and how much of the input is done with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step<'i> {
    /// Bytes at the start of the input that must not be passed in again.
    pub consumed: usize,
    /// The event.
    pub event: Event<'i>,
}

/// Permission to send content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The stream whose turn it is.
    pub key: StreamKey,
    /// How many bytes it may send, at least one: no more than it has, and one frame.
    pub bytes_max: u32,
}

/// What came of looking at the input.
enum Progress<'i> {
    /// So many bytes are done with; go on.
    Used(usize),
    /// So many bytes are done with, and this came of it.
    Event(usize, Event<'i>),
    /// All bytes are done with, and nothing came of it.
    Done,
}

impl Connection {
    /// A connection on which nothing has happened.
    #[must_use]
    pub fn new(config: &Config, now: u64) -> Self {
        let mut decoder = Decoder::new(
            config.qpack_table_bytes_max,
            config.qpack_blocked_streams_max,
        );
        decoder.set_lines_max(config.section_lines_max());
        let mut control_output = Vec::new();
        varint::encode(unidirectional::kind::CONTROL, &mut control_output);
        settings::write(config, &mut control_output);
        Self {
            streams: Streams::default(),
            unidirectional: Unidirectional::default(),
            decoder,
            encoder: Encoder::new(),
            scratch: Scratch::new(),
            trailers: None,
            next_stream: 0,
            early_priorities: EarlyPriorities::default(),
            scheduler: Scheduler::default(),
            buckets: Buckets::default(),
            drain: DrainState::No,
            has_settings: false,
            peer_goaway: None,
            push_id_max: None,
            is_closed: false,
            commands: VecDeque::new(),
            control_output,
            decoder_output: Vec::new(),
            has_decoder_stream: false,
            blocked: Vec::new(),
            now,
            idle_since: now,
            tiny_data: 0,
        }
    }

    /// Reads the next event from `input`, which are the next bytes of a stream that the peer sends on; with
    /// `fin`, the stream ends after them. To be called again with the rest of them until it says
    /// `NeedData`, `Blocked` or `Closed`. Bytes of streams that are over are discarded.
    ///
    /// `head` is filled for `Request` and may be changed by each call.
    ///
    /// # Errors
    /// The peer broke a rule that ends the connection: it is to be closed with
    /// [`Violation::connection_code`].
    #[inline]
    pub fn next_event<'i>(
        &mut self,
        config: &Config,
        now: u64,
        stream: u64,
        input: &'i [u8],
        fin: bool,
        head: &mut RequestHead,
    ) -> Result<Step<'i>, Violation> {
        self.now = now;
        if self.is_closed {
            return Ok(Step {
                consumed: input.len(),
                event: Event::Closed,
            });
        }
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            let progress = if is_request(stream) {
                self.advance_request(config, stream, rest, fin, head)
            } else {
                self.advance_unidirectional(config, stream, rest, fin)
            };
            match progress {
                Ok(Progress::Used(len)) => consumed += len,
                Ok(Progress::Done) => {
                    return Ok(Step {
                        consumed: input.len(),
                        event: Event::NeedData,
                    });
                }
                Ok(Progress::Event(len, event)) => {
                    return Ok(Step {
                        consumed: consumed + len,
                        event,
                    });
                }
                Err(violation) => {
                    self.close();
                    return Err(violation);
                }
            }
        }
    }

    /// The peer has reset a stream that it sends on, with this code (RFC 9000 §19.4).
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn handle_reset(
        &mut self,
        config: &Config,
        now: u64,
        stream: u64,
        code: u64,
    ) -> Result<Option<Event<'static>>, Violation> {
        self.now = now;
        let result = if is_request(stream) {
            self.give_up(config, stream, ErrorCode(code))
        } else {
            self.unidirectional_ended(stream).map(|()| None)
        };
        result.inspect_err(|_| self.close())
    }

    /// The peer does not want what we send on a stream (RFC 9000 §19.5), with this code.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn handle_stop_sending(
        &mut self,
        config: &Config,
        now: u64,
        stream: u64,
        code: u64,
    ) -> Result<Option<Event<'static>>, Violation> {
        self.now = now;
        let result = if is_request(stream) {
            self.give_up(config, stream, ErrorCode(code))
        } else {
            // Ours: the peer cannot do without it (§6.2.1, RFC 9204 §4.2).
            Err(Violation::CriticalStreamClosed)
        };
        result.inspect_err(|_| self.close())
    }

    /// The peer gives a request up.
    fn give_up(
        &mut self,
        config: &Config,
        stream: u64,
        code: ErrorCode,
    ) -> Result<Option<Event<'static>>, Violation> {
        let Some(key) = self.streams.find(stream) else {
            if !self.streams.is_over(stream) {
                // Before anything of it was read.
                self.spend(config, Kind::Resets)?;
                self.next_stream = self.next_stream.max(stream + 4);
                self.streams.forget(stream);
                // It counts for the transport until both of its halves have ended.
                let code = ErrorCode::REQUEST_CANCELLED;
                self.commands
                    .push_back(Command::StopSending { stream, code });
                self.commands.push_back(Command::Reset { stream, code });
            }
            return Ok(None);
        };
        let Some(known) = self.streams.get(key).filter(|stream| !stream.is_reset()) else {
            return Ok(None);
        };
        let (is_known, is_due) = (known.is_known, known.send == Send::Due);
        if is_due {
            self.spend(config, Kind::Resets)?;
        }
        if !is_known {
            // Its handler never began.
            self.reset_stream(key, ErrorCode::REQUEST_CANCELLED);
            self.remove(key);
            return Ok(None);
        }
        self.reset_stream(key, ErrorCode::REQUEST_CANCELLED);
        let cause = ResetCause::Peer(code);
        Ok(Some(Event::Reset { key, cause }))
    }

    /// What the transport is to do, one after the other.
    #[inline]
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The trailer section of the request whose [`Event::EndOfContent`] came last, once. Fields that may
    /// not be in one were dropped.
    pub fn take_trailers(&mut self) -> Option<Box<FieldSection>> {
        self.trailers.take().filter(|trailers| !trailers.is_empty())
    }

    /// Ends the connection for a reason of the caller's own, who closes the transport: nothing more is
    /// read, and all streams are gone.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.streams = Streams::default();
        self.scheduler = Scheduler::default();
        self.blocked = Vec::new();
        self.commands = VecDeque::new();
    }

    /// Ends both halves of a stream that is not over, on both sides.
    fn reset_stream(&mut self, key: StreamKey, code: ErrorCode) {
        self.scheduler.remove(key.slot() as u32);
        self.unblock(key);
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.is_receiving() {
            let stream = key.id();
            self.commands
                .push_back(Command::StopSending { stream, code });
        }
        if stream.send != Send::Finished && stream.send != Send::Reset {
            let stream = key.id();
            self.commands.push_back(Command::Reset { stream, code });
        }
        (stream.receive, stream.send) = (Receive::Reset, Send::Reset);
        stream.reading = crate::stream::Reading::BETWEEN_FRAMES;
        stream.ready = 0;
    }

    /// A stream does not wait for the encoder any more, and its section will not be read.
    fn unblock(&mut self, key: StreamKey) {
        if let Some(at) = self.blocked.iter().position(|blocked| *blocked == key) {
            self.blocked.swap_remove(at);
            self.decoder.cancel(key.id());
        }
    }

    /// The peer broke a rule on a stream: resets it, or wants a response.
    #[cold]
    fn refuse(
        &mut self,
        config: &Config,
        key: StreamKey,
        violation: Violation,
    ) -> Result<Event<'static>, Violation> {
        let is_known = self.streams.get(key).is_some_and(|stream| stream.is_known);
        match violation.effect() {
            Effect::Connection(_) => Err(violation),
            Effect::Stream(code) => {
                let kind = match violation {
                    Violation::TooManyStreams => Kind::RefusedStreams,
                    // We have told it to go, which it may not have read yet.
                    Violation::RequestAfterGoAway => Kind::RefusedStreams,
                    _ => Kind::ProvokedResets,
                };
                self.spend(config, kind)?;
                self.reset_stream(key, code);
                if is_known {
                    let cause = ResetCause::Violation(violation);
                    return Ok(Event::Reset { key, cause });
                }
                self.remove(key);
                let stream = key.id();
                Ok(Event::Rejected { stream, violation })
            }
            Effect::Response(_) => {
                self.spend(config, Kind::RefusedHeads)?;
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.is_known = true;
                    if stream.is_receiving() {
                        stream.receive = Receive::Discard;
                    }
                }
                Ok(Event::Refused { key, violation })
            }
        }
    }

    /// Removes a stream.
    #[inline]
    fn remove(&mut self, key: StreamKey) {
        self.scheduler.remove(key.slot() as u32);
        self.streams.remove(key);
        if self.streams.len() == 0 {
            self.idle_since = self.now;
        }
    }

    fn spend(&mut self, config: &Config, kind: Kind) -> Result<(), Violation> {
        self.buckets.spend(&config.budgets, kind, self.now)
    }
}

/// Whether a stream is a client's bidirectional one (RFC 9000 §2.1).
#[inline]
const fn is_request(stream: u64) -> bool {
    stream & 0x3 == 0
}

#[cfg(test)]
mod tests;
