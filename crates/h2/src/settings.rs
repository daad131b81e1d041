//! Settings (RFC 9113 §6.5): ours, and the peer's.

use crate::{
    Config, Violation,
    flow::{WINDOW_INITIAL, WINDOW_MAX},
    frame::{self, PAYLOAD_LEN_MAX, PAYLOAD_LEN_MIN_MAX},
};

/// Parameters (§6.5.2, RFC 8441 §3, RFC 9218 §2.1).
mod id {
    pub(super) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(super) const ENABLE_PUSH: u16 = 0x2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(super) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
    pub(super) const NO_RFC7540_PRIORITIES: u16 = 0x9;
}

/// Bytes of a parameter.
pub(crate) const PARAMETER_LEN: usize = 6;

/// Writes our SETTINGS.
pub(crate) fn write(config: &Config, header_table_bytes_max: u32, out: &mut Vec<u8>) {
    let parameters = [
        (id::HEADER_TABLE_SIZE, header_table_bytes_max),
        (id::MAX_CONCURRENT_STREAMS, config.concurrent_streams_max),
        (id::INITIAL_WINDOW_SIZE, config.stream_window()),
        (id::MAX_FRAME_SIZE, config.frame_bytes_max()),
        (id::MAX_HEADER_LIST_SIZE, config.limits.head_bytes_max),
        (id::NO_RFC7540_PRIORITIES, 1),
    ];
    frame::write_settings(&parameters, out);
}

/// What the peer's settings say to us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerSettings {
    /// The window of a stream that is opened.
    pub(crate) stream_window: u32,
    /// The largest payload that it takes.
    pub(crate) frame_bytes_max: u32,
    /// SETTINGS_NO_RFC7540_PRIORITIES of the first SETTINGS.
    no_rfc7540_priorities: Option<bool>,
}

impl PeerSettings {
    /// Before any SETTINGS.
    pub(crate) const fn new() -> Self {
        Self {
            stream_window: WINDOW_INITIAL,
            frame_bytes_max: PAYLOAD_LEN_MIN_MAX,
            no_rfc7540_priorities: None,
        }
    }

    /// Takes over the parameters of a SETTINGS frame, in their order. `set_header_table` is called
    /// for each size of the table. How many streams it takes is of no interest, for we open none;
    /// nor is the size of field sections it would like.
    pub(crate) fn apply(
        &mut self,
        payload: &[u8],
        mut set_header_table: impl FnMut(u32),
    ) -> Result<(), Violation> {
        if !payload.len().is_multiple_of(PARAMETER_LEN) {
            return Err(Violation::SettingsLength);
        }
        let is_first = self.no_rfc7540_priorities.is_none();
        let mut no_priorities = self.no_rfc7540_priorities.unwrap_or(false);
        for parameter in payload.chunks_exact(PARAMETER_LEN) {
            let &[id0, id1, value0, value1, value2, value3] = parameter else {
                continue;
            };
            let value = u32::from_be_bytes([value0, value1, value2, value3]);
            match u16::from_be_bytes([id0, id1]) {
                id::HEADER_TABLE_SIZE => set_header_table(value),
                id::ENABLE_PUSH | id::ENABLE_CONNECT_PROTOCOL if value > 1 => {
                    return Err(Violation::SettingsFlagInvalid);
                }
                id::INITIAL_WINDOW_SIZE if value > WINDOW_MAX => {
                    return Err(Violation::SettingsWindowInvalid);
                }
                id::INITIAL_WINDOW_SIZE => self.stream_window = value,
                id::MAX_FRAME_SIZE => {
                    if !(PAYLOAD_LEN_MIN_MAX..=PAYLOAD_LEN_MAX).contains(&value) {
                        return Err(Violation::SettingsFrameSizeInvalid);
                    }
                    self.frame_bytes_max = value;
                }
                id::NO_RFC7540_PRIORITIES => match value {
                    0 | 1 if is_first => no_priorities = value == 1,
                    0 | 1 if no_priorities == (value == 1) => {}
                    0 | 1 => return Err(Violation::SettingsPrioritiesChanged),
                    _ => return Err(Violation::SettingsFlagInvalid),
                },
                // Unknown ones must be ignored (§6.5.2).
                _ => {}
            }
        }
        self.no_rfc7540_priorities = Some(no_priorities);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
