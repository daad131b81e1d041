//! Field lines and operations on an encoder, for property and differential tests.

use ajay_fields::testing::Line;
use ajay_http::KnownField;
use proptest::{collection::vec, prelude::*, sample::select};

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    TableSize(u32),
    Block(Vec<Line>),
    /// Once more what the last block had.
    Again,
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        1 => prop_oneof![Just(0_u32), 0..200_u32, 0..10_000_u32].prop_map(Operation::TableSize),
        4 => vec(line(), 0..12).prop_map(Operation::Block),
        2 => Just(Operation::Again),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        select(KnownField::ALL).prop_map(|field| field.as_str().to_owned()),
        select(vec![
            ":authority",
            ":method",
            ":path",
            ":protocol",
            ":scheme",
            ":status"
        ])
        .prop_map(str::to_owned),
        "x-[a-d]{1,2}",
        "[!#$%&'*+.^_`|~0-9a-z-]{1,40}",
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => "[a-c]{0,2}".prop_map(String::into_bytes),
        2 => "[ -~]{0,60}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..200),
        1 => vec(Just(b'v'), 1000..3000),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    (name(), value(), prop::bool::weighted(0.1)).prop_map(|(name, value, never_indexed)| Line {
        never_indexed,
        ..Line::new(name, value)
    })
}
