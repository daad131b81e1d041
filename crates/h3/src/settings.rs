//! SETTINGS (RFC 9114 §7.2.4, RFC 9204 §5).

use crate::{Config, Violation, frame, varint};

const QPACK_MAX_TABLE_CAPACITY: u64 = 0x01;
const MAX_FIELD_SECTION_SIZE: u64 = 0x06;
const QPACK_BLOCKED_STREAMS: u64 = 0x07;
const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;
const H3_DATAGRAM: u64 = 0x33;

/// More settings than anybody has.
const SETTINGS_MAX: usize = 64;

/// Writes our SETTINGS.
pub(crate) fn write(config: &Config, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    let mut set = |id, value| {
        varint::encode(id, &mut payload);
        varint::encode(value, &mut payload);
    };
    set(MAX_FIELD_SECTION_SIZE, config.limits.head_bytes_max.into());
    if config.qpack_table_bytes_max > 0 {
        set(
            QPACK_MAX_TABLE_CAPACITY,
            config.qpack_table_bytes_max.into(),
        );
        set(
            QPACK_BLOCKED_STREAMS,
            config.qpack_blocked_streams_max.into(),
        );
    }
    frame::write_header(frame::kind::SETTINGS, payload.len() as u64, out);
    out.extend_from_slice(&payload);
}

/// Checks the client's SETTINGS. There is none among them that changes what we send.
pub(crate) fn check(payload: &[u8]) -> Result<(), Violation> {
    let mut seen: Vec<u64> = Vec::new();
    let mut rest = payload;
    while !rest.is_empty() {
        let (id, after) = varint::decode(rest).ok_or(Violation::FrameLength)?;
        let (value, after) = varint::decode(after).ok_or(Violation::FrameLength)?;
        rest = after;
        if seen.contains(&id) {
            return Err(Violation::SettingRepeated);
        }
        if seen.len() >= SETTINGS_MAX {
            return Err(Violation::TooManySettings);
        }
        seen.push(id);
        match id {
            // Those of HTTP/2 that have no counterpart (§7.2.4.1).
            0x02..=0x05 => return Err(Violation::SettingOfHttp2),
            ENABLE_CONNECT_PROTOCOL | H3_DATAGRAM if value > 1 => {
                return Err(Violation::SettingInvalid);
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
