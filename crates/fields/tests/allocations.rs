//! Once warm, encoding and decoding allocate nothing, also while entries come and go.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use ajay_fields::{
    PseudoField,
    hpack::{DecodedField, Decoder, Encoder, Sensitivity},
    qpack::{self, Scratch},
    testing::{Line, ModelEncoder},
};
use ajay_http::{KnownField, StatusCode};

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

const WARM_UP: u32 = 20_000;
const MEASURED: u32 = 20_000;

// One test, because the counter is the process's.
#[test]
fn warm_encoders_and_decoders_allocate_nothing() {
    hpack();
    qpack();
}

fn hpack() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let mut block = Vec::with_capacity(16 * 1024);
    let mut lines = 0;
    let mut round = |number: u32| {
        block.clear();
        encoder.begin(&mut block);
        encoder.status(StatusCode::OK, &mut block);
        // New lines each round, which evict old ones, of lengths that differ.
        let digits = [b'0' + (number % 10) as u8; 64];
        let mut text = [0; 12];
        for (at, byte) in text.iter_mut().enumerate() {
            *byte = b'a' + (number >> (2 * at) & 3) as u8;
        }
        let value = &digits[..number as usize % 64];
        encoder.pseudo(PseudoField::Authority, &text, &mut block);
        for (known, name, value) in [
            (Some(KnownField::Server), &b"server"[..], &b"ajay"[..]),
            (Some(KnownField::Vary), b"vary", &text[..]),
            (Some(KnownField::ContentLength), b"content-length", value),
            (Some(KnownField::SetCookie), b"set-cookie", value),
            (None, b"x-own", value),
            (None, b"x-own", value),
            (None, b"x-another", &text[..]),
            (None, b"x-another", &text[..]),
        ] {
            encoder.field(known, name, value, Sensitivity::Public, &mut block);
        }
        decoder
            .decode(&block, &mut |_: DecodedField<'_>| {
                lines += 1;
                ControlFlow::Continue(())
            })
            .expect("our own block");
    };
    (0..WARM_UP).for_each(&mut round);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    (WARM_UP..WARM_UP + MEASURED).for_each(&mut round);
    let allocations = ALLOCATIONS.load(Ordering::SeqCst) - before;
    assert_eq!(allocations, 0, "{allocations} in {MEASURED} rounds");
    assert_eq!(lines, 10 * (WARM_UP + MEASURED));
    let insertions = decoder.table().insertions();
    assert!(
        insertions > 3 * u64::from(MEASURED),
        "only {insertions} insertions"
    );
}

/// Requests of a client that inserts a line or two for each and evicts as many, and responses.
fn qpack() {
    let mut client = ModelEncoder::new(1024, 16);
    let mut decoder = qpack::Decoder::new(1024, 16);
    let mut encoder = qpack::Encoder::new();
    let mut scratch = Scratch::new();
    let (mut response, mut said) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
    client.set_capacity(1024);
    let mut blocked = 0;
    let mut round = |number: u32, lines: &mut u32| {
        let value = vec![b'0' + (number % 10) as u8; number as usize % 64];
        let request = [
            Line::new(":method", "GET"),
            Line::new(":path", &value),
            Line::new("cookie", [&value[..], b"=1"].concat()),
            Line::new("x-own", number.to_string()),
        ];
        let stream = u64::from(number) * 4;
        let section = client.encode(stream, &request, || (number % 3) as u8);
        let instructions = client.take_encoder_stream();
        response.clear();
        said.clear();

        let before = ALLOCATIONS.load(Ordering::SeqCst);
        let mut sink = |_: DecodedField<'_>| {
            *lines += 1;
            ControlFlow::Continue(())
        };
        // The section comes before the insertions, and after them if it had to wait.
        let mut decoded = decoder.decode(&mut scratch, stream, &section, &mut sink);
        let is_blocked = decoded != Ok(qpack::Decoded::Done);
        blocked += u32::from(is_blocked);
        for piece in instructions.chunks(7) {
            decoder.receive_encoder_stream(piece).expect("a client's");
        }
        if is_blocked {
            decoded = decoder.decode(&mut scratch, stream, &section, &mut sink);
        }
        assert_eq!(decoded, Ok(qpack::Decoded::Done));
        decoder.write_decoder_stream(&mut said);
        encoder.begin(&mut response);
        encoder.status(StatusCode::OK, &mut response);
        for (known, name) in [
            (Some(KnownField::ContentLength), &b"content-length"[..]),
            (Some(KnownField::SetCookie), b"set-cookie"),
            (None, b"x-own"),
        ] {
            encoder.field(known, name, &value, Sensitivity::Public, &mut response);
        }
        let allocations = ALLOCATIONS.load(Ordering::SeqCst) - before;

        client.receive_decoder_stream(&said);
        allocations
    };
    let mut lines = 0;
    for number in 0..WARM_UP / 10 {
        round(number, &mut lines);
    }
    let allocations: usize = (WARM_UP / 10..WARM_UP / 5)
        .map(|number| round(number, &mut lines))
        .sum();
    assert_eq!(allocations, 0);
    assert_eq!(lines, 4 * WARM_UP / 5);
    assert!(blocked > WARM_UP / 50, "only {blocked} waited");
    assert!(decoder.insert_count() > u64::from(WARM_UP / 5));
}
