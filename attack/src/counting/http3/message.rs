//! Requests and responses as bytes (RFC 9114 §4, RFC 9204), without a dynamic table.

use crate::counting::{Place, Plan};
use crate::quic::{take, take_varint, varint};

const DATA: u64 = 0x00;
const HEADERS: u64 = 0x01;

/// The control stream of a client.
pub(super) const CONTROL: &[u8] = b"\x00\x04\x00";

/// The frames of a request.
pub(super) fn request(plan: &Plan, number: u64) -> Vec<u8> {
    let digits = format!("{number:012}");
    let root = if plan.path.is_empty() {
        "/"
    } else {
        &plan.path
    };
    let target = match plan.place {
        Place::Target => format!("{}/n/{digits}", plan.path),
        Place::Field | Place::Content => root.to_owned(),
    };
    let (get, post) = (0xd1, 0xd4);
    let method = match plan.place {
        Place::Content => post,
        Place::Target | Place::Field => get,
    };
    // Prefix, `:method`, `:scheme: https`, `:authority`, `:path`.
    let mut section = vec![0, 0, method, 0xd7, 0x50];
    string(&mut section, b"localhost");
    section.push(0x51);
    string(&mut section, target.as_bytes());
    if plan.place == Place::Field {
        // A literal name of six bytes.
        section.push(0x26);
        section.extend_from_slice(b"number");
        string(&mut section, digits.as_bytes());
    }
    let mut frames = Vec::new();
    frame(&mut frames, HEADERS, &section);
    if plan.place == Place::Content {
        frame(&mut frames, DATA, digits.as_bytes());
    }
    frames
}

fn frame(out: &mut Vec<u8>, kind: u64, payload: &[u8]) {
    varint(out, kind);
    varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// A string without Huffman's code, behind a length with a prefix of seven bits.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    const PREFIX_MAX: usize = 127;
    match bytes.len() {
        len @ 0..PREFIX_MAX => out.push(len as u8),
        len => {
            out.push(PREFIX_MAX as u8);
            let mut rest = len - PREFIX_MAX;
            while rest >= 0x80 {
                out.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            out.push(rest as u8);
        }
    }
    out.extend_from_slice(bytes);
}

/// The status and the content of a complete response; none if it is no response.
pub(super) fn read(mut bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut status = None;
    let mut content = Vec::new();
    while !bytes.is_empty() {
        let kind = take_varint(&mut bytes)?;
        let len = usize::try_from(take_varint(&mut bytes)?).ok()?;
        let payload = take(&mut bytes, len)?;
        match (kind, status) {
            // A final head, or one before it.
            (HEADERS, None | Some(100..200)) => status = Some(status_of(payload)?),
            (DATA, Some(200..)) => content.extend_from_slice(payload),
            // Trailers.
            (HEADERS, Some(_)) => {}
            (DATA, _) => return None,
            _ => {}
        }
    }
    status.map(|status| (status, content))
}

/// Statuses of the static table, from its entries 24 and 63 on (RFC 9204 §A).
const FROM_24: [u16; 5] = [103, 200, 304, 404, 503];
const FROM_63: [u16; 9] = [100, 204, 206, 302, 400, 403, 421, 425, 500];

/// `:status`, which comes first: indexed, or a literal of three digits with an indexed name. 999 is one that is
/// coded in another way.
fn status_of(section: &[u8]) -> Option<u16> {
    let line = section.get(2..)?;
    match *line {
        [first @ 0xc0..=0xfe, ..] => FROM_24
            .get(usize::from(first & 0x3f).checked_sub(24)?)
            .copied(),
        [0xff, more, ..] => FROM_63.get(usize::from(more)).copied(),
        [0x5f, _, 3, a, b, c, ..] => {
            let digits = [a, b, c].map(|digit| u16::from(digit.wrapping_sub(b'0')));
            Some(digits[0] * 100 + digits[1] * 10 + digits[2])
        }
        [_, ..] => Some(999),
        [] => None,
    }
}

#[cfg(test)]
mod tests;
