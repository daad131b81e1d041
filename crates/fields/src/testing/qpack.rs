//! QPACK with any bytes, and with a client that uses the dynamic table.

use std::ops::ControlFlow;

use ajay_http::KnownField;

use super::{Line, ModelEncoder, check, check_table, compare_tables, line};
use crate::{
    KnownName,
    qpack::{Decoded, DecodedField, Decoder, Encoder, QpackError, Scratch, Sensitivity},
};

/// Decodes a section, and checks what is said about each line; nothing if it is blocked.
///
/// # Errors
/// What the decoder says.
pub fn decode_section(
    decoder: &mut Decoder,
    scratch: &mut Scratch,
    stream: u64,
    section: &[u8],
) -> Result<Option<Vec<Line>>, QpackError> {
    let mut lines = Vec::new();
    let decoded = decoder.decode(scratch, stream, section, &mut |field: DecodedField<'_>| {
        check(&field);
        lines.push(Line {
            name: field.name.to_vec(),
            value: field.value.to_vec(),
            never_indexed: field.never_indexed,
        });
        ControlFlow::Continue(())
    })?;
    match decoded {
        Decoded::Done => Ok(Some(lines)),
        Decoded::Blocked {
            required_insert_count,
        } => {
            assert!(!decoder.is_ready(required_insert_count));
            assert!(lines.is_empty());
            Ok(None)
        }
    }
}

/// The first byte chooses SETTINGS and how many lines a sink wants; then pieces, each after a byte
/// that says what it is and one with its length.
///
/// A decoder that gets the encoder stream byte by byte, with a sink that wants fewer lines, says the
/// same; tables keep within their size, and memory within its bounds.
pub fn fuzz_qpack_decode(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let bytes_max = [0, 64, 200, 4096, 31, 65_535][usize::from(choice % 6)];
    let blocked_max = u32::from(choice / 6 % 4);
    let wanted = usize::from(choice / 24);
    let [mut patient, mut impatient] = [(); 2].map(|()| Decoder::new(bytes_max, blocked_max));
    let mut scratch = Scratch::new();
    while let Some((&[kind, len], after)) = rest.split_first_chunk() {
        let (piece, after) = after.split_at(usize::from(len).min(after.len()));
        rest = after;
        let stream = u64::from(kind / 4);
        match kind % 4 {
            0 => patient.cancel(stream),
            1 => {
                let mut out = Vec::new();
                patient.write_decoder_stream(&mut out);
                assert!(!patient.has_pending());
                let len = out.len();
                patient.write_decoder_stream(&mut out);
                assert_eq!(out.len(), len, "said twice");
                impatient.write_decoder_stream(&mut out);
                assert_eq!(out.len(), 2 * len);
            }
            2 => {
                let whole = patient.receive_encoder_stream(piece);
                let bytewise = piece
                    .chunks(1)
                    .try_for_each(|byte| impatient.receive_encoder_stream(byte));
                assert_eq!(whole, bytewise);
                check_memory(&patient);
                check_memory(&impatient);
                if whole.is_err() {
                    return;
                }
            }
            _ => {
                let all = decode_section(&mut patient, &mut scratch, stream, piece);
                let some = some_lines(&mut impatient, stream, piece, wanted);
                match (all, some) {
                    (Ok(Some(all)), Ok(Some(some))) => {
                        assert_eq!(some, all[..all.len().min(wanted.max(1))]);
                        encode_again(&all);
                    }
                    (Ok(None), Ok(None)) => {
                        assert!(patient.blocked_streams() <= blocked_max as usize);
                    }
                    (Err(one), Err(other)) => return assert_eq!(one, other),
                    (one, other) => assert_eq!(one, other),
                }
            }
        }
        if kind % 4 == 0 {
            impatient.cancel(stream);
        }
        compare_tables(patient.table(), impatient.table());
        check_table(patient.table());
    }
}

/// As [`decode_section`], with a sink that wants few lines.
fn some_lines(
    decoder: &mut Decoder,
    stream: u64,
    section: &[u8],
    wanted: usize,
) -> Result<Option<Vec<Line>>, QpackError> {
    let mut scratch = Scratch::new();
    let mut some = Vec::new();
    let decoded = decoder.decode(&mut scratch, stream, section, &mut |field: DecodedField<
        '_,
    >| {
        assert!(some.len() < wanted.max(1), "called after it broke");
        some.push(Line {
            never_indexed: field.never_indexed,
            ..Line::new(field.name, field.value)
        });
        if some.len() >= wanted {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok((decoded == Decoded::Done).then_some(some))
}

fn check_memory(decoder: &Decoder) {
    let max = decoder.table_bytes_max() as usize;
    // Table, instruction, strings; what may wait and be pending.
    assert!(decoder.capacity_bytes() <= 2 * max.max(256) + 4 * max + 2 * max + 512 + 33 * 1024);
}

/// What was decoded can be encoded, and comes back.
fn encode_again(lines: &[Line]) {
    let mut section = Vec::new();
    let mut encoder = Encoder::new();
    encoder.begin(&mut section);
    for line in lines {
        encode_line(&mut encoder, line, &mut section);
    }
    let mut decoder = Decoder::new(0, 0);
    let again = decode_section(&mut decoder, &mut Scratch::new(), 0, &section)
        .unwrap()
        .unwrap();
    assert_eq!(again.len(), lines.len());
    for (again, line) in again.iter().zip(lines) {
        assert_eq!((&again.name, &again.value), (&line.name, &line.value));
        let is_secret = KnownField::from_name(&line.name).is_some_and(KnownField::is_secret)
            && KnownName::from_name(&line.name).is_some();
        assert_eq!(again.never_indexed, line.never_indexed || is_secret);
    }
    assert!(!decoder.has_pending());
}

fn encode_line(encoder: &mut Encoder, line: &Line, out: &mut Vec<u8>) {
    let known = match KnownName::from_name(&line.name) {
        Some(KnownName::Pseudo(field)) if !line.never_indexed => {
            return encoder.pseudo(field, &line.value, out);
        }
        Some(KnownName::Field(field)) => Some(field),
        _ => None,
    };
    let sensitivity = if line.never_indexed {
        Sensitivity::Secret
    } else {
        Sensitivity::Public
    };
    encoder.field(known, &line.name, &line.value, sensitivity, out);
}

/// A client with a dynamic table, and a network that delivers its streams in any order.
struct Exchange<'a> {
    operations: &'a mut dyn Iterator<Item = u8>,
    encoder: ModelEncoder,
    decoder: Decoder,
    scratch: Scratch,
    blocked_streams_max: u32,
    /// Of the encoder stream, what has not arrived.
    encoder_stream: Vec<u8>,
    /// Sections that were not decoded.
    sections: Vec<Section>,
    streams: u64,
}

struct Section {
    stream: u64,
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

/// A sequence of operations: sections, and deliveries of them and of pieces of both streams, in any
/// order; resets.
///
/// What the client encodes, the decoder understands once the insertions have come; blocked streams
/// keep within their bound; what the decoder stream says, the client can believe; both tables are
/// equal in the end.
pub fn fuzz_qpack_round_trip(data: &[u8]) {
    let mut operations = data.iter().copied();
    let choice = operations.next().unwrap_or(0);
    let bytes_max = [64, 0, 128, 300, 4096, 65_535][usize::from(choice % 6)];
    let blocked_streams_max = u32::from(choice / 6 % 4);
    let mut exchange = Exchange {
        operations: &mut operations,
        encoder: ModelEncoder::new(bytes_max, blocked_streams_max),
        decoder: Decoder::new(bytes_max, blocked_streams_max),
        scratch: Scratch::new(),
        blocked_streams_max,
        encoder_stream: Vec::new(),
        sections: Vec::new(),
        streams: 0,
    };
    exchange.encoder.set_capacity(bytes_max);
    while let Some(operation) = exchange.operations.next() {
        exchange.step(operation);
    }
    exchange.finish();
}

impl Exchange<'_> {
    fn byte(&mut self) -> u8 {
        self.operations.next().unwrap_or(0)
    }

    fn step(&mut self, operation: u8) {
        match operation % 16 {
            0 => {
                let capacity = u32::from(self.byte()) * 20;
                self.encoder.set_capacity(capacity);
            }
            1..=7 => self.send_section(operation),
            8..=10 => {
                let len = usize::from(self.byte());
                self.deliver_encoder_stream(len);
            }
            11..=13 => {
                let at = usize::from(self.byte());
                if !self.sections.is_empty() {
                    self.deliver_section(at % self.sections.len());
                }
            }
            14 => self.deliver_decoder_stream(),
            _ => {
                let at = usize::from(self.byte());
                if !self.sections.is_empty() {
                    let section = self.sections.remove(at % self.sections.len());
                    self.decoder.cancel(section.stream);
                    if self.decoder.table_bytes_max() > 0 {
                        assert!(self.decoder.has_pending());
                    }
                }
            }
        }
        assert!(self.decoder.blocked_streams() <= self.blocked_streams_max as usize);
        check_memory(&self.decoder);
    }

    fn send_section(&mut self, operation: u8) {
        let lines: Vec<Line> = (0..operation % 8)
            .map(|_| {
                let kind = self.byte();
                line(kind, &mut self.operations)
            })
            .collect();
        let stream = 4 * self.streams;
        self.streams += 1;
        let operations = &mut self.operations;
        let bytes = self
            .encoder
            .encode(stream, &lines, || operations.next().unwrap_or(0));
        self.encoder_stream
            .extend(self.encoder.take_encoder_stream());
        self.sections.push(Section {
            stream,
            bytes,
            lines,
        });
    }

    fn deliver_encoder_stream(&mut self, len: usize) {
        self.encoder_stream
            .extend(self.encoder.take_encoder_stream());
        let len = len.min(self.encoder_stream.len());
        self.decoder
            .receive_encoder_stream(&self.encoder_stream[..len])
            .unwrap();
        self.encoder_stream.drain(..len);
    }

    fn deliver_section(&mut self, at: usize) {
        let section = &self.sections[at];
        let lines = decode_section(
            &mut self.decoder,
            &mut self.scratch,
            section.stream,
            &section.bytes,
        )
        .unwrap();
        if let Some(lines) = lines {
            assert_eq!(lines, section.lines);
            self.sections.remove(at);
        }
    }

    fn deliver_decoder_stream(&mut self) {
        let mut out = Vec::new();
        self.decoder.write_decoder_stream(&mut out);
        for byte in out {
            self.encoder.receive_decoder_stream(&[byte]);
        }
    }

    fn finish(&mut self) {
        self.deliver_encoder_stream(usize::MAX);
        while !self.sections.is_empty() {
            let left = self.sections.len();
            self.deliver_section(0);
            assert_eq!(self.sections.len(), left - 1, "all insertions have come");
        }
        self.deliver_decoder_stream();
        assert_eq!(self.decoder.insert_count(), self.encoder.insert_count());
        let table = self.decoder.table();
        check_table(table);
        assert_eq!(table.len(), self.encoder.entries().len());
        for (entry, age) in self.encoder.entries().zip((0..table.len()).rev()) {
            let ours = table.get(age).unwrap();
            assert_eq!((ours.name, ours.value), (&entry.name[..], &entry.value[..]));
        }
        assert_eq!(self.decoder.blocked_streams(), 0);
    }
}
