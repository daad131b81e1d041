//! Reading the frames that carry no content: PRIORITY to WINDOW_UPDATE, PRIORITY_UPDATE
//! (RFC 9113 §6.3 to §6.9, RFC 9218 §7.1).

use super::{Connection, Event, ResetCause, receive::PRIORITY_LEN};
use crate::{
    Config, ErrorCode, Priority, Violation,
    budgets::Kind,
    flow::{WINDOW_INITIAL, WINDOW_MAX},
    frame::{self, FrameHeader, flag, kind},
    stream::Send as StreamSend,
    streams::Ending,
};

/// What tells our own PING from an acknowledgement that nobody waits for.
pub(super) const PROBE: [u8; 8] = *b"ajay-rtt";

impl Connection {
    /// Handles a whole frame that is neither DATA nor a field block.
    pub(super) fn control_frame(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        match header.kind {
            kind::WINDOW_UPDATE => self.window_update(config, header, payload, out),
            kind::RST_STREAM => self.rst_stream(config, header, payload),
            kind::SETTINGS => self.settings(config, header, payload, out).map(|()| None),
            kind::PING => self.ping(config, header, payload, out).map(|()| None),
            kind::PRIORITY => self.rfc7540_priority(config, header, payload, out),
            kind::PRIORITY_UPDATE => self.priority_update(config, header, payload).map(|()| None),
            kind::GOAWAY => self.goaway(config, header, payload).map(Some),
            kind::PUSH_PROMISE => Err(Violation::PushPromiseReceived),
            _ => Ok(None),
        }
    }

    /// PRIORITY (§6.3): checked and ignored.
    fn rfc7540_priority(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        if header.stream == 0 {
            return Err(Violation::PriorityOnStreamZero);
        }
        self.spend(config, Kind::Priorities)?;
        let violation = if payload.len() != PRIORITY_LEN {
            Violation::PriorityLength
        } else if frame::number(payload) & frame::STREAM_ID_MASK == header.stream {
            Violation::PrioritySelfDependency
        } else {
            return Ok(None);
        };
        match self.find_open(header.stream) {
            Some(key) => self.reset_for(config, key, violation, out).map(Some),
            // RST_STREAM may not be sent for a stream that was never opened (§6.4), and what is over
            // needs none.
            None => Ok(None),
        }
    }

    /// RST_STREAM (§6.4).
    fn rst_stream(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Violation> {
        if header.stream == 0 {
            return Err(Violation::RstStreamOnStreamZero);
        }
        if payload.len() != 4 {
            return Err(Violation::RstStreamLength);
        }
        if self.is_never_opened(header.stream) {
            return Err(Violation::RstStreamOnIdle);
        }
        let code = ErrorCode(frame::number(payload));
        // The stream may be over: the two crossed on their way, or it comes twice.
        let Some(key) = self.find_open(header.stream) else {
            self.spend(config, Kind::StrayFrames)?;
            return Ok(None);
        };
        let send = self.streams.get(key).map(|stream| stream.send);
        if send != Some(StreamSend::Finished) {
            self.spend(config, Kind::Resets)?;
        }
        self.mark_reset(key, Ending::ResetByPeer);
        let cause = ResetCause::Peer(code);
        Ok(Some(Event::Reset { key, cause }))
    }

    /// SETTINGS (§6.5).
    fn settings(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        if header.stream != 0 {
            return Err(Violation::SettingsOnStream);
        }
        self.spend(config, Kind::Settings)?;
        if header.has(flag::ACK) {
            if !payload.is_empty() {
                return Err(Violation::SettingsLength);
            }
            // One that acknowledges nothing is ignored.
            if self.since.settings.take().is_some() {
                self.decoder.settings_acknowledged();
            }
            return Ok(());
        }
        let before = self.peer.stream_window;
        let encoder = &mut self.encoder;
        self.peer
            .apply(payload, |size| encoder.set_table_bytes_max(size))?;
        let change = i64::from(self.peer.stream_window) - i64::from(before);
        if change != 0 {
            self.change_stream_windows(change)?;
        }
        frame::write_settings_ack(out);
        Ok(())
    }

    /// The peer's initial window has changed, and with it that of every stream (§6.9.2).
    fn change_stream_windows(&mut self, change: i64) -> Result<(), Violation> {
        let keys: Vec<_> = self.streams.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(stream) = self.streams.get_mut(key)
                && !stream.window.change(change)
            {
                return Err(Violation::SettingsWindowOverflow);
            }
            self.reschedule(key);
        }
        Ok(())
    }

    /// PING (§6.7).
    fn ping(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        if header.stream != 0 {
            return Err(Violation::PingOnStream);
        }
        let Ok(payload) = <[u8; 8]>::try_from(payload) else {
            return Err(Violation::PingLength);
        };
        if header.has(flag::ACK) && payload == PROBE && self.tuner.answer(self.windows_max) {
            return Ok(());
        }
        self.spend(config, Kind::Pings)?;
        if !header.has(flag::ACK) {
            frame::write_ping(flag::ACK, payload, out);
        }
        Ok(())
    }

    /// GOAWAY (§6.8).
    fn goaway(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
    ) -> Result<Event<'static>, Violation> {
        if header.stream != 0 {
            return Err(Violation::GoAwayOnStream);
        }
        self.spend(config, Kind::StrayFrames)?;
        let Some(&[_, _, _, _, code0, code1, code2, code3]) = payload.first_chunk() else {
            return Err(Violation::GoAwayLength);
        };
        self.peer_is_leaving = true;
        let code = ErrorCode(u32::from_be_bytes([code0, code1, code2, code3]));
        Ok(Event::GoAway { code })
    }

    /// WINDOW_UPDATE (§6.9).
    fn window_update(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Violation> {
        if payload.len() != 4 {
            return Err(Violation::WindowUpdateLength);
        }
        if header.stream != 0 && self.is_never_opened(header.stream) {
            return Err(Violation::WindowUpdateOnIdle);
        }
        self.spend(config, Kind::WindowUpdates)?;
        let increment = frame::number(payload) & frame::STREAM_ID_MASK;
        if header.stream == 0 {
            if increment == 0 {
                return Err(Violation::WindowUpdateZero);
            }
            if !self.window.change(i64::from(increment)) {
                return Err(Violation::WindowOverflow);
            }
            self.since.blocked = None;
            return Ok(None);
        }
        // It may come for a stream that is over (§5.1), but not one that no stream could take.
        let Some(key) = self.find_open(header.stream) else {
            let is_small = self.peer.stream_window < WINDOW_INITIAL;
            if increment == 0 || (increment > WINDOW_MAX - WINDOW_INITIAL && !is_small) {
                self.spend(config, Kind::ProvokedResets)?;
            }
            return Ok(None);
        };
        let Some(stream) = self.streams.get_mut(key) else {
            return Ok(None);
        };
        let violation = if increment == 0 {
            Violation::StreamWindowUpdateZero
        } else if !stream.window.change(i64::from(increment)) {
            Violation::StreamWindowOverflow
        } else {
            self.reschedule(key);
            return Ok(None);
        };
        self.reset_for(config, key, violation, out).map(Some)
    }

    /// PRIORITY_UPDATE (RFC 9218 §7.1).
    fn priority_update(
        &mut self,
        config: &Config,
        header: FrameHeader,
        payload: &[u8],
    ) -> Result<(), Violation> {
        if header.stream != 0 {
            return Err(Violation::PriorityUpdateOnStream);
        }
        let Some((id, value)) = payload.split_at_checked(4) else {
            return Err(Violation::PriorityUpdateLength);
        };
        self.spend(config, Kind::Priorities)?;
        let id = frame::number(id) & frame::STREAM_ID_MASK;
        if id.is_multiple_of(2) {
            return Err(Violation::PriorityUpdateTarget);
        }
        // Parameters that are absent have their defaults (RFC 9218 §7).
        let mut priority = Priority::default();
        priority.update(value);
        if id > self.last_stream {
            self.early_priorities.set(id.into(), priority);
        } else if let Some(key) = self.find_open(id)
            && let Some(stream) = self.streams.get_mut(key)
        {
            stream.priority = priority;
            self.scheduler.remove(key.slot() as u32);
            self.reschedule(key);
        }
        Ok(())
    }
}
