//! What clients do, and what must come of it: each replayed whole and in pieces of several sizes, with equal
//! results.
//!
//! `docs/src/reference/http3.md` says which sections of RFC 9114, 9204 and 9218 they stand for.

use ajay_h3::{
    Config, Violation,
    testing::{
        Act, replay, small_limits,
        wire::{CONTROL, data, frame, headers, number, request},
    },
};

#[path = "vectors/control.rs"]
mod control;
#[path = "vectors/fields.rs"]
mod fields;
#[path = "vectors/floods.rs"]
mod floods;
#[path = "vectors/requests.rs"]
mod requests;

/// What a client does, and what came of it.
type Vector = (Vec<Act>, &'static str);

fn bytes(stream: u64, parts: &[&[u8]]) -> Act {
    Act::Bytes(stream, parts.concat(), false)
}

fn last(stream: u64, parts: &[&[u8]]) -> Act {
    Act::Bytes(stream, parts.concat(), true)
}

/// A control stream with SETTINGS, and then this.
fn after_settings(parts: &[&[u8]]) -> Vec<Act> {
    vec![bytes(2, &[&[CONTROL], parts].concat())]
}

fn check(config: &Config, vectors: &[Vector]) {
    for (acts, expected) in vectors {
        for size in [usize::MAX - 1, usize::MAX - 2, 1, 2, 3, 5, 16, 100] {
            assert_eq!(
                replay(config, acts, size),
                *expected,
                "in pieces of {size}: {acts:x?}"
            );
        }
    }
}

fn with_table() -> Config {
    Config {
        qpack_table_bytes_max: 220,
        qpack_blocked_streams_max: 1,
        ..Config::new()
    }
}

#[test]
fn messages() {
    check(&Config::new(), &requests::messages());
}

#[test]
fn frames_of_requests() {
    check(&Config::new(), &requests::frames());
}

#[test]
fn streams_that_are_given_up() {
    check(&Config::new(), &requests::given_up());
}

#[test]
fn limits() {
    check(&small_limits(), &requests::limits());
}

#[test]
fn request_fields() {
    check(&Config::new(), &fields::requests());
}

#[test]
fn trailer_sections() {
    check(&Config::new(), &fields::trailers());
}

#[test]
fn control_streams() {
    check(&Config::new(), &control::frames());
}

#[test]
fn unidirectional_streams() {
    check(&Config::new(), &control::streams());
}

#[test]
fn qpack_streams() {
    check(&with_table(), &control::qpack());
}

#[test]
fn floods() {
    for (config, acts, expected) in floods::all() {
        let summary = replay(&config, &acts, usize::MAX - 1);
        assert!(
            summary.ends_with(expected),
            "{summary:.200}, not {expected}"
        );
    }
}

#[test]
fn every_violation_has_a_vector() {
    let tables = [
        requests::messages(),
        requests::frames(),
        requests::given_up(),
        requests::limits(),
        fields::requests(),
        fields::trailers(),
        control::frames(),
        control::streams(),
        control::qpack(),
    ];
    let mut seen: Vec<&str> = tables
        .iter()
        .flatten()
        .map(|(_, expected)| *expected)
        .collect();
    seen.extend(floods::all().iter().map(|(_, _, expected)| *expected));
    eprintln!("{} vectors", seen.len());
    for violation in Violation::ALL {
        // What only a connection that drains, or one whose output is not taken, can break.
        let elsewhere = [
            Violation::RequestAfterGoAway,
            Violation::AcknowledgmentsPiledUp,
        ];
        let is_named = |expected: &&str| {
            expected.split('!').skip(1).any(|rest| {
                rest.split(|c: char| !c.is_alphanumeric()).next() == Some(violation.name())
            })
        };
        assert!(
            elsewhere.contains(violation) || seen.iter().any(is_named),
            "no vector for {violation:?}"
        );
    }
}
