//! The bodies of the fuzz targets. None of them may panic, whatever the bytes.

use super::{Act, Driver, replay, small_limits};
use crate::{Config, UniStream};

/// The first byte chooses limits and a piece size; the rest is a request's stream, after a control stream.
/// Pieces of every size have the same effect.
pub fn fuzz_frames(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let config = match choice & 1 {
        0 => Config::new(),
        _ => small_limits(),
    };
    let acts = [
        Act::Bytes(2, b"\x00\x04\x00".to_vec(), false),
        Act::Bytes(0, bytes.to_vec(), choice & 2 != 0),
    ];
    let size = 1 + usize::from(choice >> 2);
    // The end comes with the last bytes in both, or after them: a handler may have begun by then.
    let whole = replay(&config, &acts, usize::MAX - 1 + size % 2);
    assert_eq!(replay(&config, &acts, size), whole, "in pieces of {size}");
}

/// A sequence of acts on a few streams, each `[stream and kind, length, bytes…]`, with a dynamic table.
pub fn fuzz_streams(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let config = Config {
        qpack_table_bytes_max: 256,
        qpack_blocked_streams_max: 2,
        ..match choice & 1 {
            0 => Config::new(),
            _ => small_limits(),
        }
    };
    let mut driver = Driver::new(&config);
    driver.answers = choice & 2 != 0;
    let mut ended = Vec::new();
    while let [what, len, bytes @ ..] = rest {
        let (piece, after) = bytes.split_at(bytes.len().min(usize::from(*len)));
        rest = after;
        // Eight streams: requests 0 to 16, and three unidirectional ones.
        let stream = match what & 7 {
            n @ 0..5 => u64::from(n) * 4,
            n => u64::from(n - 5) * 4 + 2,
        };
        if ended.contains(&stream) {
            continue;
        }
        let act = match what >> 3 & 3 {
            0 | 1 => Act::Bytes(stream, piece.to_vec(), false),
            2 => Act::Bytes(stream, piece.to_vec(), true),
            _ if what & 0x20 != 0 => Act::Stop(stream, 0x10c),
            _ => Act::Reset(stream, 0x10c),
        };
        if !matches!(act, Act::Bytes(_, _, false)) {
            ended.push(stream);
        }
        driver.act(&act);
        for stream in UniStream::ALL {
            driver.output(stream);
        }
        assert!(driver.connection.capacity_bytes() < 1 << 20);
    }
    let _ = driver.summary();
}
