//! Once warm, requests and their responses allocate nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use ajay_fields::hpack;
use ajay_h2::{
    Config, Connection, Event,
    testing::wire::{CLIENT_START, block, frame},
};
use ajay_http::{ContentSize, FieldSection, RequestHead, ResponseHead, StatusCode};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's obligations are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Streams of a round.
const STREAMS: u32 = 32;
const WARM_UP: u32 = 1000;
const MEASURED: u32 = 500;

// One test, because the counter is the process's.
#[test]
fn a_warm_connection_allocates_nothing() {
    let config = Config::default();
    let (mut out, mut head) = (Vec::with_capacity(64 * 1024), RequestHead::new());
    let mut connection = Connection::new(&config, 0, &mut out);
    let mut encoder = hpack::Encoder::new();
    let mut input = Vec::with_capacity(64 * 1024);
    input.extend_from_slice(CLIENT_START);
    let mut answered = 0;
    let mut counted = 0;
    for round in 0..WARM_UP + MEASURED {
        for at in 0..STREAMS {
            write_request(&mut encoder, 2 * (round * STREAMS + at) + 1, &mut input);
        }
        // The client's windows.
        input.extend_from_slice(b"\0\0\x04\x08\0\0\0\0\0\0\x01\0\0");
        out.clear();
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        answered += serve(
            &mut connection,
            &config,
            u64::from(round),
            &input,
            &mut head,
            &mut out,
        );
        if round >= WARM_UP {
            counted += ALLOCATIONS.load(Ordering::Relaxed) - before;
        }
        input.clear();
    }
    assert_eq!(answered, (WARM_UP + MEASURED) * STREAMS);
    assert_eq!(counted, 0, "allocations in {} requests", MEASURED * STREAMS);
}

/// Every fourth request has content, and a response in two frames.
fn write_request(encoder: &mut hpack::Encoder, stream: u32, input: &mut Vec<u8>) {
    let has_content = stream % 8 == 1;
    let path = format!("/path/{}", stream % 100);
    let payload = block(
        encoder,
        &[
            (":method", if has_content { b"POST" } else { b"GET" }),
            (":scheme", b"https"),
            (":authority", b"www.example.org"),
            (":path", path.as_bytes()),
            ("user-agent", b"somebody"),
            ("x-own", b"something"),
            ("cookie", b"a=1"),
            ("cookie", b"b=2"),
        ],
    );
    let flags = if has_content { 4 } else { 5 };
    input.extend(frame(1, flags, stream, &payload));
    if has_content {
        input.extend(frame(0, 1, stream, &[b'x'; 1000]));
    }
}

fn serve(
    connection: &mut Connection,
    config: &Config,
    now: u64,
    mut input: &[u8],
    head: &mut RequestHead,
    out: &mut Vec<u8>,
) -> u32 {
    let fields = FieldSection::new();
    let response = ResponseHead {
        status: StatusCode::OK,
        fields: &fields,
        content_type: Some("text/plain"),
        server: Some("ajay"),
        date: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
    };
    let mut answered = 0;
    loop {
        let step = connection
            .next_event(config, now, input, head, out)
            .expect("no violation");
        input = &input[step.consumed..];
        match step.event {
            Event::NeedData => return answered,
            Event::Request {
                key,
                end_of_content: true,
                ..
            } => {
                let sent = connection.send_whole(key, &response, b"Hello, World!", out);
                assert_eq!(sent, Ok(true));
                answered += 1;
            }
            Event::Request { .. } => {}
            Event::Data { key, data } => connection.release(key, data.len() as u32, out),
            Event::EndOfContent { key } => {
                connection
                    .send_head(key, &response, ContentSize::Unknown, out)
                    .expect("a response is due");
                connection.set_ready(key, 100, now).expect("content is due");
                while let Some(grant) = connection.next_grant(now) {
                    connection
                        .frame_data(grant.key, grant.bytes_max, false, out)
                        .expect("it was granted");
                    out.extend_from_slice(&[b'y'; 100]);
                }
                connection.finish(key, None, out).expect("all sent");
                answered += 1;
            }
            event => panic!("{event:?}"),
        }
    }
}
