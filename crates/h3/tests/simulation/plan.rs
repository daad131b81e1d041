//! What a run consists of, made from its seed: both sides know it, and hold what they get against it.

use ajay_fields::testing::Line;

/// A small generator (splitmix64): the whole run follows from its seed.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Content of a message of a stream.
pub(crate) fn content(stream: u64, is_request: bool, len: usize) -> Vec<u8> {
    let salt = stream as usize * 31 + usize::from(is_request) * 7;
    (0..len).map(|at| (salt + at + at / 251) as u8).collect()
}

/// A request and its response.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) method: &'static str,
    pub(crate) fields: Vec<Line>,
    pub(crate) content_len: usize,
    pub(crate) declares_length: bool,
    pub(crate) trailers: Vec<Line>,
    /// The client gives it up when it has sent so many bytes of the stream, or never.
    pub(crate) gives_up_at: Option<usize>,
    /// Answered when its head is there, not when its content is.
    pub(crate) is_early: bool,
    pub(crate) response_len: usize,
    pub(crate) response_declares_length: bool,
    pub(crate) response_trailers: bool,
    /// The server resets it when it has framed so much content, or never.
    pub(crate) breaks_off_at: Option<usize>,
}

pub(crate) struct Plan {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) table_bytes_max: u32,
    pub(crate) blocked_streams_max: u32,
    pub(crate) drains: bool,
}

impl Plan {
    pub(crate) fn new(random: &mut Random) -> Plan {
        let count = 1 + random.below(16);
        Plan {
            exchanges: (0..count).map(|_| exchange(random)).collect(),
            table_bytes_max: random.pick(&[0, 200, 1000, 4096]),
            blocked_streams_max: random.pick(&[0, 1, 5, 100]),
            drains: random.one_in(4),
        }
    }
}

fn exchange(random: &mut Random) -> Exchange {
    let method = random.pick(&["GET", "POST", "PUT", "HEAD"]);
    let has_content = matches!(method, "POST" | "PUT");
    let content_len = match has_content {
        true => random.pick(&[0, 1, 40, 1000, 9000]),
        false => 0,
    };
    let lines = |random: &mut Random, prefix: &str, most: usize| {
        let count = random.below(most + 1);
        let line = |number| {
            // Few values, so that entries of the table are used again.
            let value = "v".repeat(random.pick(&[0, 1, 20, 70]));
            Line::new(format!("{prefix}{number}"), value)
        };
        (0..count).map(line).collect::<Vec<_>>()
    };
    let response_len = random.pick(&[0, 1, 100, 5000, 40_000]);
    Exchange {
        method,
        fields: lines(random, "x-field-", 5),
        content_len,
        declares_length: random.one_in(2),
        trailers: match has_content {
            true => lines(random, "x-trailer-", 2),
            false => Vec::new(),
        },
        gives_up_at: random.one_in(8).then(|| random.below(2000)),
        is_early: has_content && random.one_in(3),
        response_len,
        response_declares_length: random.one_in(2),
        response_trailers: random.one_in(3),
        breaks_off_at: (response_len > 0 && random.one_in(12)).then(|| random.below(response_len)),
    }
}

/// Something that one side does to a stream, numbered as QUIC does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    Bytes(u64, Vec<u8>, bool),
    Reset(u64, u64),
    Stop(u64, u64),
}
