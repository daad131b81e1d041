//! Properties that hold for any input: round trips, indifference to cuts, no panics, agreement with
//! httparse.

use ajay_h1::{
    Config, Framing,
    testing::{Outcome, Record, fuzz_chunked, fuzz_connection, fuzz_head, replay, small_limits},
};
use proptest::{collection::vec, prelude::*, sample::select};

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}"
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"
        ])
        .prop_map(str::to_owned),
        "[A-Z]{1,32}".prop_filter("other rules", |name| name != "CONNECT" && name != "TRACE"),
    ]
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "/([a-zA-Z0-9._~!$&'()*+,;=:@/|^-]|%[0-9a-fA-F]{2}){0,40}(\\?([a-z0-9=&?/{}-]|%2[0-9A-F]){0,40})?",
        1 => "https?://[a-z0-9.-]{1,20}(:[1-9][0-9]{0,3})?(/[a-z0-9/]{0,20})?(\\?[a-z0-9=]{0,20})?",
    ]
}

/// A name that no rule of framing or connections cares about.
fn field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        token(),
        select(vec![
            "Accept",
            "User-Agent",
            "cookie",
            "X-Forwarded-For",
            "Sec-Fetch-Mode"
        ])
        .prop_map(str::to_owned),
    ];
    let name = name.prop_filter(
        "framing and connection fields have their own rules",
        |name| {
            let name = name.to_ascii_lowercase().replace('_', "-");
            ![
                "host",
                "content-length",
                "transfer-encoding",
                "connection",
                "expect",
                "upgrade",
            ]
            .contains(&name.as_str())
        },
    );
    let byte = prop_oneof![Just(b'\t'), b' '..=0x7e, 0x80..=0xff_u8];
    let value = vec(byte, 0..120).prop_map(|value| value.trim_ascii().to_vec());
    (name, value)
}

#[derive(Clone, Debug)]
struct Content {
    bytes: Vec<u8>,
    /// Sizes of the chunks, if it is chunked.
    chunks: Option<Vec<usize>>,
    trailers: Vec<(String, Vec<u8>)>,
}

fn content() -> impl Strategy<Value = Option<Content>> {
    let trailer =
        ("x-[a-z]{1,10}", "[!-~]{0,20}").prop_map(|(name, value)| (name, value.into_bytes()));
    proptest::option::of(
        (
            vec(any::<u8>(), 0..200),
            proptest::option::of(vec(1..50_usize, 0..8)),
            vec(trailer, 0..4),
        )
            .prop_map(|(bytes, chunks, trailers)| {
                let trailers = if chunks.is_some() {
                    trailers
                } else {
                    Vec::new()
                };
                Content {
                    bytes,
                    chunks,
                    trailers,
                }
            }),
    )
}

prop_compose! {
    fn request()(
        method in method(),
        target in target(),
        fields in vec(field(), 0..20),
        content in content(),
        spaces in "[ \t]{0,3}",
    ) -> (Vec<u8>, Record) {
        let mut wire = format!("{method} {target} HTTP/1.1\r\nHost: example.org\r\n").into_bytes();
        let mut expected = vec![("host".to_owned(), b"example.org".to_vec())];
        for (name, value) in &fields {
            wire.extend_from_slice(format!("{name}:{spaces}").as_bytes());
            wire.extend_from_slice(value);
            wire.extend_from_slice(format!("{spaces}\r\n").as_bytes());
            let name = match ajay_http::KnownField::from_name(name.as_bytes()) {
                Some(known) => known.as_str().to_owned(),
                None => name.clone(),
            };
            expected.push((name, value.clone()));
        }
        let (framing, line, body) = encode(content.as_ref());
        wire.extend_from_slice(line.as_bytes());
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            expected.push((name.to_owned(), value.as_bytes().to_vec()));
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(&body);
        let content = content.unwrap_or(Content { bytes: vec![], chunks: None, trailers: vec![] });
        let record = Record {
            method,
            target,
            is_http10: false,
            fields: expected,
            framing,
            expect_continue: false,
            content: content.bytes,
            trailers: content.trailers,
            complete: true,
        };
        (wire, record)
    }
}

/// Framing, its field line and the body. Written without the crate's own encoder.
fn encode(content: Option<&Content>) -> (Framing, String, Vec<u8>) {
    let Some(content) = content else {
        return (Framing::None, String::new(), Vec::new());
    };
    let Some(chunks) = &content.chunks else {
        let length = content.bytes.len();
        let line = format!("content-length: {length}\r\n");
        return (Framing::Length(length as u64), line, content.bytes.clone());
    };
    let mut body = Vec::new();
    let mut rest = content.bytes.as_slice();
    for size in chunks.iter().copied().chain(std::iter::repeat(64)) {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        body.extend_from_slice(format!("{:X};q=\"a\\\"b\"\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
        rest = after;
    }
    body.extend_from_slice(b"0\r\n");
    for (name, value) in &content.trailers {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b":");
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"\r\n");
    (
        Framing::Chunked,
        "transfer-encoding: chunked\r\n".to_owned(),
        body,
    )
}

/// Wire bytes with a few bytes changed, removed, doubled or inserted.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let interesting = prop_oneof![
        select(b"\r\n\t :;,=\"%/?#\\\0\x7f\x80+-_0aA".to_vec()),
        any::<u8>(),
    ];
    let mutation = (any::<prop::sample::Index>(), 0..4_u8, interesting);
    (vec(request(), 1..3), vec(mutation, 1..6)).prop_map(|(requests, mutations)| {
        let mut wire: Vec<u8> = requests.into_iter().flat_map(|(wire, _)| wire).collect();
        for (place, kind, byte) in mutations {
            if wire.is_empty() {
                break;
            }
            let at = place.index(wire.len());
            match kind {
                0 => wire[at] = byte,
                1 => drop(wire.remove(at)),
                2 => wire.insert(at, wire[at]),
                _ => wire.insert(at, byte),
            }
        }
        wire
    })
}

/// Few cases by default, because each is replayed in many ways: `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(64),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn valid_requests_come_back_as_they_were_written(
        requests in vec(request(), 1..4),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let wire: Vec<u8> = requests.iter().flat_map(|(wire, _)| wire.clone()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
        cuts.sort_unstable();
        let transcript = replay(&Config::default(), &wire, cuts);
        let expected: Vec<Record> = requests.into_iter().map(|(_, record)| record).collect();
        prop_assert!(matches!(transcript.outcome, Outcome::Open(_)), "{:?}", transcript.outcome);
        prop_assert_eq!(transcript.requests, expected);
    }

    #[test]
    fn mutations_are_judged_alike_however_they_are_cut(
        wire in mutated(),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
        small in any::<bool>(),
    ) {
        let config = if small { small_limits() } else { Config::default() };
        let whole = replay(&config, &wire, []);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len().max(1))).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&replay(&config, &wire, cuts), &whole);
        prop_assert_eq!(&replay(&config, &wire, 1..wire.len()), &whole);
    }

    #[test]
    fn what_we_accept_httparse_accepts(wire in mutated(), choice in any::<u8>()) {
        fuzz_head(&[&[choice][..], &wire].concat());
    }

    #[test]
    fn chunked_bodies_of_any_bytes(
        body in vec(prop_oneof![select(b"0123aF\r\n;=\" \\x:".to_vec()), any::<u8>()], 0..80),
    ) {
        fuzz_chunked(&[&[0][..], &body].concat());
    }

    #[test]
    fn operations_in_any_order(operations in vec(any::<u8>(), 0..200)) {
        fuzz_connection(&operations);
    }
}
