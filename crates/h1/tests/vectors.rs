//! Tables of wire bytes and what must come of them, each replayed whole, byte by byte and cut at
//! every place, with equal results.

use ajay_h1::{
    Config, Violation,
    testing::{Transcript, replay, small_limits},
};

#[path = "vectors/chunked.rs"]
mod chunked;
#[path = "vectors/connection.rs"]
mod connection;
#[path = "vectors/fields.rs"]
mod fields;
#[path = "vectors/framing.rs"]
mod framing;
#[path = "vectors/limits.rs"]
mod limits;
#[path = "vectors/request_line.rs"]
mod request_line;

/// Wire bytes, and a transcript's summary.
type Vector = (&'static [u8], &'static str);

#[test]
fn request_lines() {
    check_all(&Config::default(), request_line::VECTORS);
}

#[test]
fn field_lines() {
    check_all(&Config::default(), fields::VECTORS);
}

#[test]
fn message_framing() {
    check_all(&Config::default(), framing::VECTORS);
}

#[test]
fn chunked_coding() {
    for (body, expected) in chunked::BODIES {
        let wire = [chunked::HEAD, body].concat();
        // A violation leaves the request incomplete.
        let broken = if expected.starts_with('!') {
            "…; "
        } else {
            ""
        };
        check(
            &Config::default(),
            &wire,
            &format!("POST /={broken}{expected}"),
        );
    }
}

#[test]
fn connections() {
    check_all(&Config::default(), connection::VECTORS);
}

#[test]
fn limits() {
    check_all(&small_limits(), limits::VECTORS);
    for (wire, expected) in limits::generated() {
        check(&small_limits(), &wire, expected);
    }
}

#[test]
fn every_violation_has_a_vector() {
    let tables = [
        request_line::VECTORS,
        fields::VECTORS,
        framing::VECTORS,
        connection::VECTORS,
        limits::VECTORS,
    ];
    let mut seen: Vec<String> = tables
        .concat()
        .iter()
        .map(|(_, expected)| (*expected).to_owned())
        .chain(
            chunked::BODIES
                .iter()
                .map(|(_, expected)| (*expected).to_owned()),
        )
        .chain(
            limits::generated()
                .into_iter()
                .map(|(_, expected)| expected.to_owned()),
        )
        .collect();
    eprintln!("{} vectors", seen.len());
    seen.retain(|expected| expected.contains('!'));
    for violation in Violation::ALL {
        let name = format!("!{}", violation.name());
        assert!(
            seen.iter().any(|expected| expected.ends_with(&name)),
            "no vector for {name}"
        );
    }
}

fn check_all(config: &Config, vectors: &[Vector]) {
    for (wire, expected) in vectors {
        check(config, wire, expected);
    }
}

fn check(config: &Config, wire: &[u8], expected: &str) {
    let whole = replay(config, wire, []);
    assert_eq!(whole.summary(), expected, "\n{}", wire.escape_ascii());
    let same = |other: Transcript, cut: &str| {
        assert_eq!(other, whole, "cut {cut}\n{}", wire.escape_ascii());
    };
    same(replay(config, wire, 1..wire.len()), "byte by byte");
    // Long generated vectors are cut where it matters least often.
    let step = wire.len() / 2000 + 1;
    for cut in (1..wire.len()).step_by(step) {
        same(replay(config, wire, [cut]), &cut.to_string());
    }
}
