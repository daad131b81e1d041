//! QPACK against `pylsqpack`, in both directions, with dynamic tables, blocked streams, and sections,
//! instructions and acknowledgments that arrive in any order.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use ajay_fields::{
    KnownName,
    qpack::{Decoder, Encoder, Scratch, Sensitivity},
    testing::{Line, ModelEncoder, decode_section},
};
use lines::{Operation, operation};
use proptest::{
    collection::vec,
    prelude::any,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

mod lines;

const CONNECTIONS: usize = 40;

/// What happens on one connection.
struct Script {
    capacity: u32,
    blocked_streams: u32,
    sections: Vec<Vec<Line>>,
    choices: Vec<u8>,
}

/// The same in every run.
fn scripts() -> Vec<Script> {
    let mut runner = TestRunner::deterministic();
    let operations = vec(operation(), 10..40);
    let choices = vec(any::<u8>(), 1000);
    (0..CONNECTIONS)
        .map(|at| {
            let operations = operations.new_tree(&mut runner).expect("a value").current();
            let mut last = Vec::new();
            let sections = operations.into_iter().filter_map(|operation| {
                match operation {
                    // In HTTP/3, SETTINGS come once.
                    Operation::TableSize(0) => last.clear(),
                    Operation::TableSize(_) | Operation::Again => {}
                    Operation::Block(lines) => last = lines,
                }
                // lsqpack refuses a section without lines.
                (!last.is_empty()).then(|| last.clone())
            });
            Script {
                capacity: [4096, 300, 0, 16_384, 1000][at % 5],
                blocked_streams: [100, 0, 1, 4][at % 4],
                sections: sections.collect(),
                choices: choices.new_tree(&mut runner).expect("a value").current(),
            }
        })
        .collect()
}

/// Bytes or sections on their way, and what decides when they arrive.
struct Network<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    instructions: Vec<u8>,
    /// Stream, section, and what it has.
    sections: Vec<(u64, Vec<u8>, Vec<Line>)>,
}

impl<'a> Network<'a> {
    fn new(choices: &'a [u8]) -> Self {
        Self {
            choices: choices.iter().cycle(),
            instructions: Vec::new(),
            sections: Vec::new(),
        }
    }

    fn choose(&mut self) -> usize {
        self.choices.next().copied().map_or(0, usize::from)
    }

    /// Some bytes of the encoder stream; the rest with the last section.
    fn some_instructions(&mut self, is_last: bool) -> Vec<u8> {
        let len = self.choose().min(self.instructions.len());
        let len = if is_last {
            self.instructions.len()
        } else {
            len
        };
        self.instructions.drain(..len).collect()
    }

    fn some_section(&mut self) -> Option<(u64, Vec<u8>, Vec<Line>)> {
        let at = self.choose();
        (!self.sections.is_empty()).then(|| self.sections.remove(at % self.sections.len()))
    }
}

#[test]
fn we_decode_what_pylsqpack_encodes() {
    let mut python = Python::start();
    let (mut inserted, mut waited) = (0, 0);
    for script in scripts() {
        let mut network = Network::new(&script.choices);
        let mut decoder = Decoder::new(script.capacity, script.blocked_streams);
        let mut scratch = Scratch::new();
        let mut blocked = Vec::new();
        network.instructions = python.new_connection(&script);
        let mut sections = script.sections.iter().zip((0_u64..).step_by(4));
        loop {
            let sent = sections.next();
            if let Some((lines, stream)) = sent {
                let words: String = lines
                    .iter()
                    .map(|line| format!(" {}", written(line)))
                    .collect();
                let answer = python.ask(&format!("encode {stream}{words}"));
                let mut words = answer.split(' ').skip(1).map(unhex);
                network
                    .instructions
                    .extend(words.next().expect("instructions"));
                let section = words.next().expect("a section");
                network.sections.push((stream, section, lines.clone()));
            }
            let pieces = network.some_instructions(sent.is_none());
            for piece in pieces.chunks(1 + network.choose() % 40) {
                decoder.receive_encoder_stream(piece).expect("python's");
            }
            if let Some(section) = network.some_section() {
                blocked.push(section);
            }
            blocked.retain(|(stream, section, expected)| {
                let decoded = decode_section(&mut decoder, &mut scratch, *stream, section);
                let lines = decoded.expect("python's section");
                waited += usize::from(lines.is_none());
                // Python does not say what is never indexed.
                let Some(lines) = lines else { return true };
                assert!(lines.iter().map(written).eq(expected.iter().map(written)));
                false
            });
            if sent.is_none() || network.choose().is_multiple_of(3) {
                let mut out = Vec::new();
                decoder.write_decoder_stream(&mut out);
                assert_eq!(python.ask(&format!("acknowledge {}", hex(&out))), "ok");
            }
            if sent.is_none() && network.sections.is_empty() {
                break;
            }
        }
        assert!(blocked.is_empty(), "all insertions have come");
        inserted += decoder.insert_count();
    }
    assert!(inserted > 500, "only {inserted} insertions");
    assert!(waited > 50, "only {waited} blocked");
}

#[test]
fn pylsqpack_decodes_what_a_model_with_a_dynamic_table_encodes() {
    let mut python = Python::start();
    let mut waited = 0;
    for script in scripts() {
        let mut network = Network::new(&script.choices);
        let mut model = ModelEncoder::new(script.capacity, script.blocked_streams);
        python.new_connection(&script);
        model.set_capacity(script.capacity);
        let mut blocked: Vec<(u64, Vec<Line>)> = Vec::new();
        let mut sections = script.sections.iter().zip((0_u64..).step_by(4));
        loop {
            let sent = sections.next();
            if let Some((lines, stream)) = sent {
                let mut choices = network.choices.clone();
                let section = model.encode(stream, lines, || {
                    choices.next().copied().unwrap_or_default()
                });
                network.choices = choices;
                network.instructions.extend(model.take_encoder_stream());
                network.sections.push((stream, section, lines.clone()));
            }
            let pieces = network.some_instructions(sent.is_none());
            let mut answers = Vec::new();
            for piece in pieces.chunks(1 + network.choose() % 40) {
                let answer = python.ask(&format!("instructions {}", hex(piece)));
                for stream in answer.strip_prefix("ok").expect("taken").split_whitespace() {
                    let stream: u64 = stream.parse().expect("a stream");
                    let at = blocked.iter().position(|(it, _)| *it == stream);
                    let (_, lines) = blocked.remove(at.expect("a blocked stream"));
                    answers.push((python.ask(&format!("resume {stream}")), lines));
                }
            }
            if let Some((stream, section, lines)) = network.some_section() {
                match python.ask(&format!("section {stream} {}", hex(&section))) {
                    answer if answer == "blocked" => blocked.push((stream, lines)),
                    answer => answers.push((answer, lines)),
                }
            }
            waited += blocked.len();
            for (answer, lines) in answers {
                let mut words = answer.strip_prefix("ok ").expect(&answer).split(' ');
                model.receive_decoder_stream(&unhex(words.next().expect("an acknowledgment")));
                assert!(words.map(str::to_owned).eq(lines.iter().map(written)));
            }
            if sent.is_none() && network.sections.is_empty() {
                break;
            }
        }
        assert!(blocked.is_empty(), "all insertions have come");
    }
    assert!(waited > 50, "only {waited} blocked");
}

#[test]
fn pylsqpack_decodes_what_we_encode() {
    let mut python = Python::start();
    for script in scripts() {
        python.new_connection(&script);
        for (lines, stream) in script.sections.iter().zip((0_u64..).step_by(4)) {
            let (mut encoder, mut section) = (Encoder::new(), Vec::new());
            encoder.begin(&mut section);
            for line in lines {
                let known = match KnownName::from_name(&line.name) {
                    Some(KnownName::Pseudo(field)) => {
                        encoder.pseudo(field, &line.value, &mut section);
                        continue;
                    }
                    Some(KnownName::Field(field)) => Some(field),
                    None => None,
                };
                let sensitivity = if line.never_indexed {
                    Sensitivity::Secret
                } else {
                    Sensitivity::Public
                };
                encoder.field(known, &line.name, &line.value, sensitivity, &mut section);
            }
            let answer = python.ask(&format!("section {stream} {}", hex(&section)));
            let mut words = answer.split(' ');
            assert_eq!(words.next(), Some("ok"), "{answer}");
            encoder
                .receive_decoder_stream(&unhex(words.next().expect("an acknowledgment")))
                .expect("nothing to acknowledge");
            assert!(words.map(str::to_owned).eq(lines.iter().map(written)));
        }
    }
}

#[test]
fn what_we_accept_of_mutated_sections_pylsqpack_accepts() {
    let mut python = Python::start();
    let (mut accepted, mut refused) = (0, 0);
    for (at, script) in scripts().into_iter().enumerate() {
        if script.capacity == 0 {
            continue;
        }
        let mut choices = script.choices.iter().copied().cycle();
        let mut choose = || choices.next().unwrap_or_default();
        let mut model = ModelEncoder::new(script.capacity, 100);
        model.set_capacity(script.capacity);
        for (lines, stream) in script.sections.iter().zip((0_u64..).step_by(4)) {
            let mut section = model.encode(stream, lines, &mut choose);
            let len = section.len();
            section[(at * 31 + len * 7) % len] ^= 1 << (choose() % 8);
            // Each is the last of a connection of its own, for it may end it.
            let instructions = model.take_encoder_stream();
            let mut decoder = Decoder::new(script.capacity, 100);
            decoder
                .receive_encoder_stream(&instructions)
                .expect("the model's");
            let ours = decode_section(&mut decoder, &mut Scratch::new(), stream, &section);
            python.new_connection(&Script {
                blocked_streams: 100,
                sections: Vec::new(),
                choices: Vec::new(),
                ..script
            });
            assert_eq!(
                python.ask(&format!("instructions {}", hex(&instructions))),
                "ok"
            );
            let answer = python.ask(&format!("section {stream} {}", hex(&section)));
            match ours {
                Ok(Some(lines)) => {
                    accepted += 1;
                    let mut words = answer.split(' ');
                    // lsqpack refuses a Required Insert Count that is larger than needed, as it may.
                    if words.next() == Some("ok") {
                        assert!(
                            words
                                .skip(1)
                                .map(str::to_owned)
                                .eq(lines.iter().map(written))
                        );
                    } else {
                        assert!(section[0] > 0, "{section:02x?}");
                    }
                }
                Ok(None) => assert_eq!(answer, "blocked"),
                Err(_) => refused += 1,
            }
            // What is inserted next is meant for a fresh table.
            model = ModelEncoder::new(script.capacity, 100);
            model.set_capacity(script.capacity);
        }
    }
    assert!(accepted > 50 && refused > 50, "{accepted} and {refused}");
}

/// The script, asked line by line.
struct Python {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        // Debian's own, as setup used it; another `python3` may come first in PATH.
        let mut child = Command::new("/usr/bin/python3")
            .arg(root.join("tests/scripts/qpack_peer.py"))
            .env("PYTHONPATH", root.join("target/python"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed: cargo xtask setup");
        Self {
            commands: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }

    fn ask(&mut self, command: &str) -> String {
        let commands = self.commands.as_mut().expect("open");
        writeln!(commands, "{command}")
            .expect("python and pylsqpack are installed: cargo xtask setup");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("ASCII");
        assert!(answer.ends_with('\n'), "no answer to {command}");
        answer.trim_end().to_owned()
    }

    /// The first bytes of its encoder stream.
    fn new_connection(&mut self, script: &Script) -> Vec<u8> {
        let Script {
            capacity,
            blocked_streams,
            ..
        } = script;
        let answer = self.ask(&format!("new {capacity} {blocked_streams}"));
        unhex(answer.strip_prefix("ok ").expect("a capacity"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}

fn written(line: &Line) -> String {
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (name, value): (String, String) = (digits(&line.name), digits(&line.value));
    format!("{name}:{value}")
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    if text == "-" {
        return Vec::new();
    }
    text.as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(str::from_utf8(two).expect("ASCII"), 16).expect("digits"))
        .collect()
}
