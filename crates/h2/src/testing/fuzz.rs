//! The bodies of the fuzz targets: each takes any bytes and panics if a property does not hold.

use super::{replay, small_limits, wire::CLIENT_START};
use crate::Config;

/// The first byte chooses limits and where the input is cut; the rest is a connection's bytes after
/// the client's preface. However the bytes are cut, the same comes of them.
pub fn fuzz_frames(data: &[u8]) {
    let Some((&choice, frames)) = data.split_first() else {
        return;
    };
    let config = if choice & 1 == 0 {
        Config::default()
    } else {
        small_limits()
    };
    let wire = [CLIENT_START, frames].concat();
    let whole = replay(&config, &wire, []);
    assert_eq!(whole, replay(&config, &wire, 1..wire.len()), "byte by byte");
    let cut = usize::from(choice >> 1) * wire.len() / 128;
    assert_eq!(whole, replay(&config, &wire, [cut]), "cut at {cut}");
}

/// Operations.
pub fn fuzz_ops(_data: &[u8]) {}
