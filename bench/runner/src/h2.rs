//! The little HTTP/2 that the runner itself speaks: one request on a connection, without
//! compression, and its response without a look at the head.

use crate::error::{Context as _, Result, fail};
use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH: &[u8] = b"/ok.txt";
/// The length of a frame that a sender may rely on (RFC 9113, 4.2).
const FRAME_BYTES_MAX: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Also that a SETTINGS frame is an acknowledgement.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const STREAM: u32 = 1;

/// GET must be answered with `OK`.
pub fn check(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address).context(|| format!("connect to {address}"))?;
    let timeout = Some(ANSWER_TIMEOUT);
    stream
        .set_read_timeout(timeout)
        .context(|| "limit the wait for a response".into())?;
    stream
        .write_all(&get(address))
        .context(|| "send a request".into())?;
    receive_ok(&mut stream)
}

/// The beginning of a connection with its first request.
pub fn get(address: SocketAddr) -> Vec<u8> {
    // Indexed: `:method GET`, `:scheme http`; then two names of the static table with literal
    // values, not to be indexed (RFC 7541, 6.1 and 6.2.2).
    let mut fields = vec![0x82, 0x86];
    push_literal(&mut fields, 4, PATH);
    push_literal(&mut fields, 1, address.to_string().as_bytes());
    let mut bytes = PREFACE.to_vec();
    push_frame(&mut bytes, SETTINGS, 0, 0, &[]);
    push_frame(
        &mut bytes,
        HEADERS,
        END_STREAM | END_HEADERS,
        STREAM,
        &fields,
    );
    bytes
}

fn push_literal(fields: &mut Vec<u8>, name: u8, value: &[u8]) {
    // Below 127 the length takes one byte, with the first bit 0 for no Huffman coding.
    let length = u8::try_from(value.len()).expect("an address is short");
    assert!(length < 127, "an address is short");
    fields.extend([name, length]);
    fields.extend(value);
}

fn push_frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a frame of ours is short");
    bytes.extend(&length.to_be_bytes()[1..]);
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

/// Reads one response, whose content must be `OK`, and acknowledges the server's settings.
pub fn receive_ok(stream: &mut TcpStream) -> Result<()> {
    let mut content = Vec::new();
    loop {
        let frame = read_frame(stream).context(|| "read a response".into())?;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => {
                let mut answer = Vec::new();
                push_frame(&mut answer, SETTINGS, ACK, 0, &[]);
                stream
                    .write_all(&answer)
                    .context(|| "acknowledge settings".into())?;
            }
            RST_STREAM | GOAWAY => {
                return Err(fail!(
                    "the server answered with a frame of type {}",
                    frame.kind
                ));
            }
            DATA => content.extend(frame.payload),
            _ => {}
        }
        if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
            break;
        }
    }
    if content != b"OK" {
        let text = String::from_utf8_lossy(&content);
        return Err(fail!("the content is not OK but {text:?}"));
    }
    Ok(())
}

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

fn read_frame(stream: &mut impl io::Read) -> io::Result<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    Ok(Frame {
        kind: head[3],
        flags: head[4],
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::{END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, get, read_frame};

    #[test]
    fn a_request_is_settings_and_one_header_block() {
        let bytes = get("127.0.0.1:80".parse().unwrap());
        let mut rest = bytes.strip_prefix(PREFACE).unwrap();
        let settings = read_frame(&mut rest).unwrap();
        assert_eq!((settings.kind, settings.flags), (SETTINGS, 0));
        let headers = read_frame(&mut rest).unwrap();
        assert_eq!(
            (headers.kind, headers.flags),
            (HEADERS, END_STREAM | END_HEADERS)
        );
        assert_eq!(
            headers.payload,
            b"\x82\x86\x04\x07/ok.txt\x01\x0c127.0.0.1:80"
        );
        assert!(rest.is_empty());
    }
}
