//! The state machine of one server connection (RFC 9113).
//!
//! # Theory
//! The peer's bytes are a sequence of frames. All frames but DATA are read when they have arrived
//! whole: until then the caller keeps them, and nothing of them is consumed. The payload of DATA goes
//! through in whatever pieces it comes, borrowed from the input, and nothing of it is kept. A field
//! block that is spread over several frames is the only thing that is gathered in here.
//!
//! Streams are independent of one another but for three things that they share: the state of field
//! compression, which is why every field block is decoded, whatever becomes of its stream; the
//! connection's windows; and the turn to send. See `stream.rs` for the states of a stream.
//!
//! # Receiving
//!
//! | state     | waits for                       | events                                       | leaves to              |
//! |-----------|---------------------------------|----------------------------------------------|------------------------|
//! | `Preface` | the client's connection preface | `NeedData`                                   | `Frames`               |
//! | `Frames`  | a frame                         | `NeedData`, `Paused`, all but `Data`         | `Data`, `Skip`         |
//! | `Data`    | content                         | `NeedData`, `Data`                           | `Skip`, `Frames`       |
//! | `Skip`    | padding, payloads without a use | `NeedData`, `EndOfContent`                   | `Frames`               |
//! | `Closed`  | nothing                         | `Closed`                                     | never                  |
//!
//! Within `Frames`, a `Block` says that a field block is incomplete: only its CONTINUATION may
//! follow (§4.3). Every state goes to `Closed` on a violation that ends the connection, for which
//! GOAWAY is written.
//!
//! # Sending
//! Heads, trailers and control frames are written at once. Content is sent by permission: the caller
//! says how much it has ([`Connection::set_ready`]), asks whose turn it is
//! ([`Connection::next_grant`]), and writes a frame's header ([`Connection::frame_data`]) and then
//! its payload, which this never sees.
//!
//! # Time
//! `now` is in milliseconds of a clock that does not go back. It fills budgets and dates what the
//! caller's deadlines ask for; nothing happens by itself.

mod control;
mod getters;
mod receive;
mod send;

use ajay_fields::hpack::{Decoder, Encoder, Scratch};
use ajay_http::{FieldSection, RequestHead};
use ajay_mux::{EarlyPriorities, Scheduler};

use crate::{
    Config, Effect, ErrorCode, StreamKey, Violation,
    budgets::{Buckets, Kind, REFUSED_STREAM_COST},
    flow::{ReceiveWindow, SendWindow, Tuner, WINDOW_INITIAL},
    frame,
    settings::{self, PeerSettings},
    stream::Receive as StreamReceive,
    streams::{Ending, Streams},
};

pub use getters::{Reading, UnfinishedSince};

/// One server connection. See the module's theory in the source.
///
/// The order of calls in a turn: [`next_event`](Self::next_event) until it wants more bytes or less
/// output; commands for what came of it; [`next_grant`](Self::next_grant) and
/// [`frame_data`](Self::frame_data) until there is no grant; then the output is sent.
#[derive(Debug)]
pub struct Connection {
    receive: Receive,
    block: Option<Block>,
    /// The fragments of `block`.
    block_bytes: Vec<u8>,
    decoder: Decoder,
    scratch: Scratch,
    encoder: Encoder,
    trailers: Option<Box<FieldSection>>,
    streams: Streams,
    /// The largest stream identifier that the peer has used.
    last_stream: u32,
    early_priorities: EarlyPriorities,
    scheduler: Scheduler,
    window: SendWindow,
    receive_window: ReceiveWindow,
    tuner: Tuner,
    windows_max: (u32, u32),
    peer: PeerSettings,
    buckets: Buckets,
    drain: DrainState,
    /// The peer has sent GOAWAY.
    peer_is_leaving: bool,
    now: u64,
    since: Since,
    /// Tiny DATA frames that nobody was told of yet.
    tiny_data: u32,
}

/// What an idle connection holds beside its two dynamic tables.
const _: () = assert!(size_of::<Connection>() <= 1200);

/// When what is unfinished began.
#[derive(Clone, Copy, Debug)]
struct Since {
    /// The connection, or the state in which it has no streams.
    idle: u64,
    /// A frame that has not arrived whole, or a field block.
    incomplete: Option<u64>,
    /// Our SETTINGS, which were not acknowledged yet.
    settings: Option<u64>,
    /// Content that waits for the connection's window.
    blocked: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Receive {
    Preface {
        matched: usize,
    },
    Frames {
        /// The next one must be SETTINGS (§3.4).
        is_first: bool,
    },
    Data(DataFrame),
    Skip {
        left: u32,
        /// The content of this stream ends here.
        end: Option<StreamKey>,
    },
    Closed,
}

/// A DATA frame that is being read.
#[derive(Clone, Copy, Debug)]
struct DataFrame {
    key: StreamKey,
    content: u32,
    padding: u32,
    ends_stream: bool,
}

/// A field block that is not complete.
#[derive(Clone, Copy, Debug)]
struct Block {
    stream: u32,
    purpose: Purpose,
    ends_stream: bool,
    frames: u32,
}

/// What a field block is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// A new request.
    Request,
    /// The end of a request's content.
    Trailers(StreamKey),
    /// It is decoded only. If the stream is still receiving, it may end here.
    Discard(Option<StreamKey>),
    /// It is decoded, and then breaks a rule.
    Refuse(Violation),
}

/// How far the end of the connection is announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DrainState {
    No,
    Announced,
    /// Streams above this one are ignored (§6.8).
    Last(u32),
}

/// The phases of a graceful end (§6.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Drain {
    /// The peer is asked to open no more streams; those that are under way are still accepted.
    Announce,
    /// No more streams are accepted. To be called a round trip after the first.
    Last,
}

/// What [`Connection::next_event`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'i> {
    /// All that can be used has been used: call again with what was not consumed and more.
    NeedData,
    /// Much output waits: send it, then call again. Nothing is read until then.
    Paused,
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
    /// A response with [`Violation::status`] is due. The head may be filled in part. The stream may be
    /// one that `Request` told of, whose content became too large: then the response is due only if
    /// none was begun. No content follows.
    Refused {
        /// The stream.
        key: StreamKey,
        /// The rule that was broken.
        violation: Violation,
    },
    /// A stream that no event told of was reset.
    Rejected {
        /// Its identifier.
        stream: u32,
        /// The rule that was broken.
        violation: Violation,
    },
    /// A piece of a request's content, never empty. It is to be given back with
    /// [`Connection::release`] when it has been used, whatever has become of the stream by then.
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
    /// The peer will open no more streams (§6.8).
    GoAway {
        /// Why.
        code: ErrorCode,
    },
    /// Nothing is read any more: bytes that still come are to be discarded.
    Closed,
}

/// Why a stream was reset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResetCause {
    /// The peer sent RST_STREAM.
    Peer(ErrorCode),
    /// The peer broke a rule, so we sent it.
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

/// What the end of the peer's bytes means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EofEffect {
    /// There was no open stream: a clean end.
    Idle,
    /// Inside the preface or a frame.
    InFrame,
    /// Requests were incomplete or unanswered.
    InStreams,
    /// No request was to be read any more.
    AfterLast,
}

/// What came of looking at the input.
enum Progress<'i> {
    /// So many bytes are done with; go on.
    Used(usize),
    /// More bytes are needed.
    Starved,
    /// So many bytes are done with, and this came of it.
    Event(usize, Event<'i>),
}

impl Connection {
    /// A connection on which nothing has happened. Writes the server's connection preface (§3.4).
    #[must_use]
    pub fn new(config: &Config, now: u64, out: &mut Vec<u8>) -> Self {
        let mut decoder = Decoder::new(config.header_table_bytes_max);
        decoder.set_lines_max(config.block_lines_max());
        settings::write(config, decoder.table_bytes_max(), out);
        let connection_window = config.connection_window();
        if connection_window > WINDOW_INITIAL {
            frame::write_window_update(0, connection_window - WINDOW_INITIAL, out);
        }
        Self {
            receive: Receive::Preface { matched: 0 },
            block: None,
            block_bytes: Vec::new(),
            decoder,
            scratch: Scratch::new(),
            encoder: Encoder::new(),
            trailers: None,
            streams: Streams::default(),
            last_stream: 0,
            early_priorities: EarlyPriorities::default(),
            scheduler: Scheduler::default(),
            window: SendWindow::new(WINDOW_INITIAL),
            receive_window: ReceiveWindow::new(connection_window),
            tuner: Tuner::new(config.stream_window(), connection_window),
            windows_max: config.windows_max(),
            peer: PeerSettings::new(),
            buckets: Buckets::default(),
            drain: DrainState::No,
            peer_is_leaving: false,
            now,
            since: Since {
                idle: now,
                incomplete: None,
                settings: Some(now),
                blocked: None,
            },
            tiny_data: 0,
        }
    }

    /// Reads the next event from `input`.
    ///
    /// The caller drops the consumed bytes and keeps the rest for the next call; it must be able to
    /// keep a whole frame. `head` is filled for `Request` and may be changed by each call. What has to
    /// be answered at once (acknowledgements, resets, window updates) is appended to `out`, which
    /// holds what this connection has yet to send.
    ///
    /// # Errors
    /// The peer broke a rule that ends the connection. GOAWAY was written: send it and close.
    #[inline]
    pub fn next_event<'i>(
        &mut self,
        config: &Config,
        now: u64,
        input: &'i [u8],
        head: &mut RequestHead,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Violation> {
        self.now = now;
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            match self.advance(config, rest, head, out) {
                Ok(Progress::Used(len)) => consumed += len,
                Ok(Progress::Starved) => {
                    return Ok(Step {
                        consumed,
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
                    self.fail(violation, out);
                    return Err(violation);
                }
            }
        }
    }

    /// Tells that the peer will send no more. `unconsumed` is the number of bytes the caller holds
    /// that were not consumed. What is open can still be answered; a peer that has only shut down its
    /// sending side reads it.
    pub fn handle_eof(&mut self, unconsumed: usize) -> EofEffect {
        let effect = match self.receive {
            Receive::Closed => EofEffect::AfterLast,
            Receive::Frames { .. } if unconsumed == 0 && self.block.is_none() => {
                if self.is_idle() {
                    EofEffect::Idle
                } else {
                    EofEffect::InStreams
                }
            }
            Receive::Preface { matched: 0 } if unconsumed == 0 => EofEffect::Idle,
            Receive::Preface { .. }
            | Receive::Frames { .. }
            | Receive::Data(_)
            | Receive::Skip { .. } => EofEffect::InFrame,
        };
        self.receive = Receive::Closed;
        effect
    }

    /// The trailer section of the request whose [`Event::EndOfContent`] came last, once. Fields that
    /// may not be in one were dropped.
    pub fn take_trailers(&mut self) -> Option<Box<FieldSection>> {
        self.trailers.take().filter(|trailers| !trailers.is_empty())
    }

    #[inline]
    fn advance<'i>(
        &mut self,
        config: &Config,
        input: &'i [u8],
        head: &mut RequestHead,
        out: &mut Vec<u8>,
    ) -> Result<Progress<'i>, Violation> {
        match self.receive {
            Receive::Frames { is_first } => self.next_frame(config, is_first, input, head, out),
            Receive::Data(data) => Ok(self.data_piece(data, input, out)),
            Receive::Skip { left, end } => Ok(self.skip(left, end, input)),
            Receive::Preface { matched } => self.preface(matched, input),
            Receive::Closed => Ok(Progress::Event(0, Event::Closed)),
        }
    }

    /// Ends the connection because of a violation (§5.4.1).
    #[cold]
    fn fail(&mut self, violation: Violation, out: &mut Vec<u8>) {
        let code = match violation.effect() {
            Effect::Connection(code) => code,
            Effect::Stream(_) | Effect::Response(_) => ErrorCode::INTERNAL_ERROR,
        };
        self.close(code, out);
    }

    /// Ends the connection for a reason of the caller's own: a deadline, overload. Writes GOAWAY;
    /// nothing more is read, and all streams are gone.
    pub fn close(&mut self, code: ErrorCode, out: &mut Vec<u8>) {
        if self.is_closed() && self.is_idle() {
            return;
        }
        frame::write_goaway(self.last_accepted(), code, out);
        self.receive = Receive::Closed;
        self.block = None;
        self.block_bytes = Vec::new();
        self.streams = Streams::default();
        self.scheduler = Scheduler::default();
    }

    /// The last stream that was or will be processed, for GOAWAY.
    fn last_accepted(&self) -> u32 {
        match self.drain {
            DrainState::Last(last) => last,
            DrainState::No | DrainState::Announced => self.last_stream,
        }
    }

    /// Resets a stream that the caller knows because the peer broke a rule (§5.4.2).
    #[cold]
    fn reset_for(
        &mut self,
        config: &Config,
        key: StreamKey,
        violation: Violation,
        out: &mut Vec<u8>,
    ) -> Result<Event<'static>, Violation> {
        match violation.effect() {
            Effect::Connection(_) => Err(violation),
            Effect::Stream(code) => {
                self.spend(config, Kind::ProvokedResets)?;
                frame::write_rst_stream(key.id(), code, out);
                self.mark_reset(key, Ending::ResetByUs);
                let cause = ResetCause::Violation(violation);
                Ok(Event::Reset { key, cause })
            }
            Effect::Response(_) => {
                self.spend(config, Kind::RefusedHeads)?;
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.receive = StreamReceive::Discard;
                }
                Ok(Event::Refused { key, violation })
            }
        }
    }

    /// Resets a stream that the caller does not know.
    #[cold]
    fn reject(
        &mut self,
        config: &Config,
        stream: u32,
        violation: Violation,
        out: &mut Vec<u8>,
    ) -> Result<Event<'static>, Violation> {
        let Effect::Stream(code) = violation.effect() else {
            return Err(violation);
        };
        let kind = if violation == Violation::TooManyStreams {
            Kind::RefusedStreams
        } else {
            Kind::ProvokedResets
        };
        self.spend(config, kind)?;
        if kind == Kind::RefusedStreams && self.since.settings.is_none() {
            // It has acknowledged how many it may open.
            for _ in 1..REFUSED_STREAM_COST {
                self.spend(config, kind)?;
            }
        }
        frame::write_rst_stream(stream, code, out);
        self.streams.remember(stream, Ending::ResetByUs);
        Ok(Event::Rejected { stream, violation })
    }

    fn mark_reset(&mut self, key: StreamKey, by: Ending) {
        self.scheduler.remove(key.slot() as u32);
        self.streams.mark_reset(key, by);
    }

    /// Removes a stream.
    #[inline]
    fn remove(&mut self, key: StreamKey) {
        self.scheduler.remove(key.slot() as u32);
        self.streams.remove(key);
        if self.streams.len() == 0 {
            self.since.idle = self.now;
        }
    }

    fn spend(&mut self, config: &Config, kind: Kind) -> Result<(), Violation> {
        self.buckets.spend(&config.budgets, kind, self.now)
    }
}

#[cfg(test)]
mod tests;
