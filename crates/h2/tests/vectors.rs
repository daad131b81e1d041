//! Tables of wire bytes and what must come of them, each replayed whole, byte by byte and cut at
//! every place, with equal results. That the code on the wire is the rule's is checked by the driver.
//!
//! `docs/src/reference/http2.md` says which sections of RFC 9113 they stand for.

use ajay_h2::{
    Config, Violation,
    testing::{
        Transcript, replay, small_limits,
        wire::{CLIENT_START, frame},
    },
};

#[path = "vectors/fields.rs"]
mod fields;
#[path = "vectors/floods.rs"]
mod floods;
#[path = "vectors/frames.rs"]
mod frames;
#[path = "vectors/streams.rs"]
mod streams;

/// Frames, and a transcript's summary.
type Vector = (&'static [&'static [u8]], &'static str);
/// A field block, and a transcript's summary.
type BlockVector = (&'static [u8], &'static str);

#[test]
fn prefaces() {
    for (wire, expected) in frames::PREFACES {
        check(&Config::default(), wire, expected);
    }
}

#[test]
fn frames_of_every_type() {
    check_all(&Config::default(), frames::VECTORS);
}

#[test]
fn stream_states() {
    check_all(&Config::default(), streams::VECTORS);
}

#[test]
fn request_fields() {
    for (block, expected) in fields::REQUESTS {
        let headers = frame(1, 5, 1, block);
        check_frames(&Config::default(), &[&headers], expected);
    }
}

#[test]
fn request_fields_with_content() {
    for (block, expected) in fields::WITH_CONTENT {
        let headers = frame(1, 4, 1, block);
        let data = b"\0\0\x03\0\x01\0\0\0\x01abc";
        check_frames(&Config::default(), &[&headers, data], expected);
    }
}

#[test]
fn trailer_sections() {
    for (block, expected) in fields::TRAILERS {
        let trailers = frame(1, 5, 1, block);
        let frames: &[&[u8]] = &[streams::POST_1, b"\0\0\x01\0\0\0\0\0\x01x", &trailers];
        check_frames(&Config::default(), frames, expected);
    }
}

#[test]
fn limits() {
    for (block, expected) in fields::LIMITS {
        let headers = frame(1, 5, 1, block);
        // The connection goes on.
        let expected = format!("{expected}; 3:GET /");
        check_frames(&small_limits(), &[&headers, streams::GET_3], &expected);
    }
    check_all(&small_limits(), streams::LIMITS);
    for (wire, expected) in streams::heads() {
        check(&small_limits(), &wire, expected);
    }
}

#[test]
fn windows() {
    for (wire, expected) in streams::windows() {
        check(&Config::default(), &wire, &expected);
    }
}

#[test]
fn floods() {
    check_all(&small_limits(), floods::VECTORS);
    for (wire, expected) in floods::generated() {
        check(&small_limits(), &wire, expected);
    }
}

#[test]
fn every_violation_has_a_vector() {
    let frame_tables = [
        frames::VECTORS,
        streams::VECTORS,
        streams::LIMITS,
        floods::VECTORS,
    ];
    let block_tables = [
        fields::REQUESTS,
        fields::WITH_CONTENT,
        fields::TRAILERS,
        fields::LIMITS,
    ];
    let mut seen: Vec<&str> = frame_tables
        .concat()
        .iter()
        .map(|(_, expected)| *expected)
        .collect();
    seen.extend(block_tables.concat().iter().map(|(_, expected)| *expected));
    seen.extend(frames::PREFACES.iter().map(|(_, expected)| *expected));
    seen.extend(
        floods::generated()
            .into_iter()
            .map(|(_, expected)| expected),
    );
    seen.extend(streams::heads().into_iter().map(|(_, expected)| expected));
    let windows = streams::windows();
    seen.extend(windows.iter().map(|(_, expected)| expected.as_str()));
    eprintln!("{} vectors", seen.len());
    for violation in Violation::ALL {
        let is_named = |expected: &&str| {
            expected.split('!').skip(1).any(|rest| {
                rest.split(|c: char| !c.is_alphanumeric()).next() == Some(violation.name())
            })
        };
        assert!(seen.iter().any(is_named), "no vector for {violation:?}");
    }
}

fn check_all(config: &Config, vectors: &[Vector]) {
    for (frames, expected) in vectors {
        check_frames(config, frames, expected);
    }
}

fn check_frames(config: &Config, frames: &[&[u8]], expected: &str) {
    check(config, &[CLIENT_START, &frames.concat()].concat(), expected);
}

fn check(config: &Config, wire: &[u8], expected: &str) {
    let whole = replay(config, wire, []);
    assert_eq!(whole.summary(), expected, "\n{}", wire.escape_ascii());
    let same = |other: Transcript, cut: &str| {
        assert_eq!(other, whole, "cut {cut}\n{}", wire.escape_ascii());
    };
    same(replay(config, wire, 1..wire.len()), "byte by byte");
    // Long generated vectors are cut where it matters least often.
    let step = wire.len() / 500 + 1;
    for cut in (1..wire.len()).step_by(step) {
        same(replay(config, wire, [cut]), &cut.to_string());
    }
}
