//! Reading unidirectional streams (RFC 9114 §6.2, §7.2; RFC 9204 §4.2), and what goes on ours.

use super::{Command, Connection, Drain, DrainState, Progress, UniStream};
use crate::{
    Config, ErrorCode, Violation,
    budgets::Kind,
    frame::{self, PartialHeader},
    settings,
    unidirectional::{Control, State, kind as stream_kind},
    varint,
};
use ajay_mux::Priority;

/// No control frame has a longer payload: SETTINGS of all the settings that we take, a priority with a few
/// members that we do not know.
const CONTROL_PAYLOAD_MAX: u64 = 1024;

/// Instructions for the peer's encoder that it does not let us send.
const DECODER_OUTPUT_MAX: usize = 16 * 1024;

/// The largest number of a client's request.
const REQUEST_ID_MAX: u64 = varint::MAX - 3;

impl Connection {
    pub(super) fn advance_unidirectional<'i>(
        &mut self,
        config: &Config,
        id: u64,
        input: &'i [u8],
        fin: bool,
    ) -> Result<Progress<'i>, Violation> {
        if self.unidirectional.is_stopped(id) {
            return Ok(Progress::Done);
        }
        if input.is_empty() {
            return match fin {
                true => self.unidirectional_ended(id).map(|()| Progress::Done),
                false => Ok(Progress::Done),
            };
        }
        match self.unidirectional.state(id) {
            State::Type(partial) => {
                let (used, kind) = partial.read(input);
                Ok(match kind {
                    Some(kind) if !self.begin_unidirectional(config, id, kind)? => Progress::Done,
                    _ => Progress::Used(used),
                })
            }
            State::Control(_) => self.advance_control(config, id, input),
            State::QpackEncoder => {
                self.decoder.receive_encoder_stream(input)?;
                Ok(Progress::Used(input.len()))
            }
            State::QpackDecoder => {
                self.encoder.receive_decoder_stream(input)?;
                Ok(Progress::Used(input.len()))
            }
        }
    }

    /// The type of a stream has come. False when nobody wants what follows.
    fn begin_unidirectional(
        &mut self,
        config: &Config,
        id: u64,
        kind: u64,
    ) -> Result<bool, Violation> {
        let others = &self.unidirectional;
        let state = match kind {
            stream_kind::CONTROL if others.any(|it| matches!(it, State::Control(_))) => {
                return Err(Violation::SecondControlStream);
            }
            stream_kind::CONTROL => State::Control(Control::Header(PartialHeader::new())),
            stream_kind::QPACK_ENCODER if others.any(|it| matches!(it, State::QpackEncoder)) => {
                return Err(Violation::SecondQpackStream);
            }
            stream_kind::QPACK_ENCODER => State::QpackEncoder,
            stream_kind::QPACK_DECODER if others.any(|it| matches!(it, State::QpackDecoder)) => {
                return Err(Violation::SecondQpackStream);
            }
            stream_kind::QPACK_DECODER => State::QpackDecoder,
            stream_kind::PUSH => return Err(Violation::PushStreamOfClient),
            _ => {
                self.spend(config, Kind::StrayStreams)?;
                let code = ErrorCode::STREAM_CREATION_ERROR;
                self.commands
                    .push_back(Command::StopSending { stream: id, code });
                self.unidirectional.stop(id);
                return Ok(false);
            }
        };
        *self.unidirectional.state(id) = state;
        Ok(true)
    }

    /// A unidirectional stream of the peer has ended, in whatever way.
    pub(super) fn unidirectional_ended(&mut self, id: u64) -> Result<(), Violation> {
        if self.unidirectional.is_stopped(id) {
            return Ok(());
        }
        match self.unidirectional.state(id) {
            State::Control(_) | State::QpackEncoder | State::QpackDecoder => {
                Err(Violation::CriticalStreamClosed)
            }
            // One may end before its type (§6.2).
            State::Type(_) => {
                self.unidirectional.remove(id);
                Ok(())
            }
        }
    }

    fn advance_control<'i>(
        &mut self,
        config: &Config,
        id: u64,
        input: &'i [u8],
    ) -> Result<Progress<'i>, Violation> {
        let State::Control(control) = self.unidirectional.state(id) else {
            return Ok(Progress::Done);
        };
        let used = match control {
            Control::Header(header) => {
                let (used, header) = header.read(input);
                if let Some(header) = header {
                    let next = self.begin_control_frame(config, header.kind, header.len)?;
                    self.set_control(id, next);
                    // An empty payload is complete at once.
                    self.end_control_frame(config, id)?;
                }
                used
            }
            Control::Skip { left } => {
                let len = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= len as u64;
                if *left == 0 {
                    *control = Control::Header(PartialHeader::new());
                }
                len
            }
            Control::Payload { left, bytes, .. } => {
                let len = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                bytes.extend_from_slice(input.get(..len).unwrap_or_default());
                *left -= len as u64;
                self.end_control_frame(config, id)?;
                len
            }
        };
        Ok(Progress::Used(used))
    }

    fn set_control(&mut self, id: u64, control: Control) {
        *self.unidirectional.state(id) = State::Control(control);
    }

    fn begin_control_frame(
        &mut self,
        config: &Config,
        kind: u64,
        len: u64,
    ) -> Result<Control, Violation> {
        if !self.has_settings && kind != frame::kind::SETTINGS {
            return Err(Violation::SettingsMissing);
        }
        match kind {
            frame::kind::SETTINGS if self.has_settings => return Err(Violation::SettingsAgain),
            frame::kind::SETTINGS => self.has_settings = true,
            frame::kind::DATA | frame::kind::HEADERS => {
                return Err(Violation::FrameOnControlStream);
            }
            frame::kind::PUSH_PROMISE => return Err(Violation::PushPromiseOfClient),
            frame::kind::GOAWAY
            | frame::kind::MAX_PUSH_ID
            | frame::kind::CANCEL_PUSH
            | frame::kind::PRIORITY_UPDATE_REQUEST
            | frame::kind::PRIORITY_UPDATE_PUSH => self.spend(config, Kind::ControlFrames)?,
            other if frame::kind::is_of_http2(other) => return Err(Violation::FrameOfHttp2),
            _ => {
                self.spend_on_skipped(config, len)?;
                return Ok(match len {
                    0 => Control::Header(PartialHeader::new()),
                    left => Control::Skip { left },
                });
            }
        }
        if len > CONTROL_PAYLOAD_MAX {
            return Err(Violation::ControlFrameTooLarge);
        }
        let (left, bytes) = (len, Vec::new());
        Ok(Control::Payload { kind, left, bytes })
    }

    /// Does what a control frame says, once all of it is here.
    fn end_control_frame(&mut self, config: &Config, id: u64) -> Result<(), Violation> {
        let State::Control(control) = self.unidirectional.state(id) else {
            return Ok(());
        };
        let Control::Payload {
            kind,
            left: 0,
            bytes,
        } = control
        else {
            return Ok(());
        };
        let (kind, payload) = (*kind, std::mem::take(bytes));
        *control = Control::Header(PartialHeader::new());
        match kind {
            frame::kind::SETTINGS => settings::check(&payload),
            frame::kind::GOAWAY => self.goaway_received(&payload),
            frame::kind::MAX_PUSH_ID => self.max_push_id_received(&payload),
            frame::kind::CANCEL_PUSH => {
                only_number(&payload)?;
                // We promise none (§7.2.3).
                Err(Violation::CancelPushUnknown)
            }
            frame::kind::PRIORITY_UPDATE_REQUEST => self.priority_update(config, &payload),
            // We promise none (RFC 9218 §7.2).
            _ => Err(Violation::PriorityUpdateTarget),
        }
    }

    /// The identifier of a push, of which there is none (§5.2).
    fn goaway_received(&mut self, payload: &[u8]) -> Result<(), Violation> {
        let push = only_number(payload)?;
        if self.peer_goaway.is_some_and(|before| push > before) {
            return Err(Violation::GoAwayIncreased);
        }
        self.peer_goaway = Some(push);
        Ok(())
    }

    fn max_push_id_received(&mut self, payload: &[u8]) -> Result<(), Violation> {
        let push = only_number(payload)?;
        if self.push_id_max.is_some_and(|before| push < before) {
            return Err(Violation::MaxPushIdDecreased);
        }
        self.push_id_max = Some(push);
        Ok(())
    }

    fn priority_update(&mut self, config: &Config, payload: &[u8]) -> Result<(), Violation> {
        let (id, value) = varint::decode(payload).ok_or(Violation::FrameLength)?;
        // Beyond what it may open (RFC 9218 §7.2).
        let beyond = self.next_stream + 4 * u64::from(config.concurrent_streams_max.max(1)) * 2;
        if !super::is_request(id) || id >= beyond {
            return Err(Violation::PriorityUpdateTarget);
        }
        let mut priority = Priority::default();
        priority.update(value);
        match self.streams.find(id) {
            Some(key) => {
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.priority = priority;
                    if !stream.is_known {
                        self.early_priorities.set(id, priority);
                    }
                }
                // It may stand in another line now.
                self.scheduler.remove(key.slot() as u32);
                self.reschedule(key);
            }
            None if self.streams.is_over(id) => {}
            None => self.early_priorities.set(id, priority),
        }
        Ok(())
    }

    /// A request whose field section can be decoded now: [`next_event`](Self::next_event) is to be called
    /// with what was left of its input. It is named again until then.
    pub fn poll_unblocked(&mut self) -> Option<u64> {
        let inserted = self.decoder.insert_count();
        let is_ready = |key: &&crate::StreamKey| {
            self.streams.get(**key).is_some_and(|stream| {
                matches!(
                    &stream.reading,
                    crate::stream::Reading::Blocked { required_insert_count, .. }
                        if *required_insert_count <= inserted
                )
            })
        };
        self.blocked.iter().find(is_ready).map(|key| key.id())
    }

    /// Whether a request's bytes are not to be read, because its field section waits for entries.
    #[inline]
    #[must_use]
    pub fn is_waiting_for_fields(&self, stream: u64) -> bool {
        !self.blocked.is_empty() && self.blocked.iter().any(|key| key.id() == stream)
    }

    /// Bytes that are to be sent on one of our streams, its type included. Where there are none, a stream
    /// need not be opened.
    pub fn output(&mut self, stream: UniStream) -> &[u8] {
        match stream {
            UniStream::Control => &self.control_output,
            // Ours inserts nothing (RFC 9204 §4.2).
            UniStream::QpackEncoder => &[],
            UniStream::QpackDecoder => {
                if self.decoder.has_pending() {
                    if !std::mem::replace(&mut self.has_decoder_stream, true) {
                        varint::encode(stream_kind::QPACK_DECODER, &mut self.decoder_output);
                    }
                    self.decoder.write_decoder_stream(&mut self.decoder_output);
                }
                &self.decoder_output
            }
        }
    }

    /// The transport has taken so many of these bytes.
    pub fn consume_output(&mut self, stream: UniStream, bytes: usize) {
        let output = match stream {
            UniStream::Control => &mut self.control_output,
            UniStream::QpackEncoder => return,
            UniStream::QpackDecoder => &mut self.decoder_output,
        };
        if bytes >= output.len() {
            // It is rarely needed again.
            *output = Vec::new();
        } else {
            output.drain(..bytes);
        }
    }

    /// Whether the peer lets us send nothing of what it makes us say (RFC 9204 §7.3): the connection is to
    /// be closed then.
    #[must_use]
    pub fn has_too_much_output(&self) -> bool {
        self.decoder_output.len() > DECODER_OUTPUT_MAX
    }

    /// Goes on with a graceful end (§5.2): writes GOAWAY. The phases go forwards only.
    pub fn drain(&mut self, phase: Drain) {
        let last = match (phase, self.drain) {
            (Drain::Announce, DrainState::No) => {
                self.drain = DrainState::Announced;
                REQUEST_ID_MAX
            }
            (Drain::Last, DrainState::No | DrainState::Announced) => {
                self.drain = DrainState::Last(self.next_stream);
                self.next_stream
            }
            _ => return,
        };
        if !self.is_closed {
            frame::write_number(frame::kind::GOAWAY, last, &mut self.control_output);
        }
    }
}

/// A payload that is one number and nothing else.
fn only_number(payload: &[u8]) -> Result<u64, Violation> {
    match varint::decode(payload) {
        Some((number, [])) => Ok(number),
        _ => Err(Violation::FrameLength),
    }
}
