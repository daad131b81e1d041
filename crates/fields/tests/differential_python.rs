//! Against python's `hpack`, in both directions, over many blocks that share dynamic tables.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use ajay_fields::{
    hpack::{Decoder, Encoder},
    testing::{Line, decode, encode},
};
use lines::{Operation, operation};
use proptest::{
    collection::vec,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

mod lines;

const SEQUENCES: usize = 150;
/// What our decoder allows; no size in the operations is larger.
const TABLE_BYTES_MAX: u32 = 16_384;

#[test]
fn python_decodes_what_we_encode() {
    let (mut commands, mut expected) = (String::new(), Vec::new());
    for operations in sequences() {
        commands.push_str("new\n");
        let mut encoder = Encoder::new();
        replay(operations, |step| match step {
            Step::TableSize(bytes_max) => {
                encoder.set_table_bytes_max(bytes_max);
                writeln!(commands, "size {bytes_max}").expect("a string");
            }
            Step::Block(lines) => {
                let mut block = Vec::new();
                encoder.begin(&mut block);
                for line in lines {
                    encode(&mut encoder, line, &mut block);
                }
                writeln!(commands, "decode {}", hex(&block)).expect("a string");
                // Secrets become never indexed by themselves; our decoder's tests see to that.
                let lines: Vec<String> = lines.iter().map(written).collect();
                expected.push(lines);
            }
        });
    }
    let answers = ask_python(&commands);
    assert_eq!(answers.len(), expected.len());
    for (answer, expected) in std::iter::zip(&answers, &expected) {
        let mut words = answer.split(' ').filter(|word| !word.is_empty());
        assert_eq!(words.next(), Some("ok"), "{answer}");
        let words: Vec<&str> = words.collect();
        assert_eq!(words.len(), expected.len());
        for (word, expected) in std::iter::zip(words, expected) {
            let (pair, never_indexed) = word.rsplit_once(':').expect("two colons");
            let (expected_pair, secret) = expected.rsplit_once(':').expect("two colons");
            assert_eq!(pair, expected_pair);
            assert!(never_indexed >= secret, "{word}");
        }
    }
}

#[test]
fn we_decode_what_python_encodes() {
    let mut commands = String::new();
    for (at, operations) in sequences().into_iter().enumerate() {
        commands.push_str("new\n");
        let mut updates = 0;
        replay(operations, |step| match step {
            // Python tells of every change, where two updates are the most (RFC 7541 §4.2).
            Step::TableSize(_) if updates == 2 => {}
            Step::TableSize(bytes_max) => {
                updates += 1;
                writeln!(commands, "size {bytes_max}").expect("a string");
            }
            Step::Block(lines) => {
                updates = 0;
                write!(commands, "encode {}", at % 2).expect("a string");
                for line in lines {
                    write!(commands, " {}", written(line)).expect("a string");
                }
                commands.push('\n');
            }
        });
    }
    let mut answers = ask_python(&commands).into_iter();
    let mut decoder = Decoder::new(TABLE_BYTES_MAX);
    for command in commands.lines() {
        if command == "new" {
            decoder = Decoder::new(TABLE_BYTES_MAX);
        }
        let Some(lines) = command.strip_prefix("encode ") else {
            continue;
        };
        let answer = answers.next().expect("an answer to each");
        let block = unhex(answer.strip_prefix("ok ").expect("python encodes anything"));
        let decoded = decode(&mut decoder, &block).expect("python's block");
        let decoded: Vec<String> = decoded.iter().map(written).collect();
        let expected: Vec<&str> = lines.split(' ').skip(1).collect();
        assert_eq!(decoded, expected);
    }
    assert_eq!(answers.next(), None);
}

#[test]
fn what_we_accept_of_mutated_blocks_python_accepts() {
    let (mut commands, mut ours) = (String::new(), Vec::new());
    let mut accepted = 0;
    for (at, operations) in sequences().into_iter().enumerate() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        commands.push_str("new\n");
        let mut is_alive = true;
        replay(operations, |step| {
            // The size stays what it is: python's leniency about updates is none of ours.
            let Step::Block(lines) = step else { return };
            if !is_alive {
                return;
            }
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for line in lines {
                encode(&mut encoder, line, &mut block);
            }
            let len = block.len();
            if let Some(byte) = block.get_mut((at * 31 + len * 7) % len.max(1)) {
                *byte ^= 1 << (at % 8);
            }
            let result = decode(&mut decoder, &block);
            is_alive = result.is_ok();
            accepted += usize::from(is_alive);
            writeln!(commands, "decode {}", hex(&block)).expect("a string");
            ours.push(result);
        });
    }
    assert!(
        accepted > ours.len() / 10,
        "mutations that are too wild show nothing"
    );
    let answers = ask_python(&commands);
    assert_eq!(answers.len(), ours.len());
    for (answer, ours) in std::iter::zip(&answers, &ours) {
        if let Ok(lines) = ours {
            let lines: String = lines
                .iter()
                .map(|line| format!(" {}", written(line)))
                .collect();
            assert_eq!(*answer, format!("ok{lines}"));
        }
    }
}

enum Step<'a> {
    TableSize(u32),
    Block(&'a [Line]),
}

fn replay(operations: Vec<Operation>, mut take: impl FnMut(Step<'_>)) {
    let mut last = Vec::new();
    for operation in operations {
        match operation {
            Operation::TableSize(bytes_max) => {
                take(Step::TableSize(bytes_max));
                continue;
            }
            Operation::Block(lines) => last = lines,
            Operation::Again => {}
        }
        take(Step::Block(&last));
    }
}

/// The same in every run.
fn sequences() -> Vec<Vec<Operation>> {
    let mut runner = TestRunner::deterministic();
    let strategy = vec(operation(), 1..30);
    (0..SEQUENCES)
        .map(|_| strategy.new_tree(&mut runner).expect("a value").current())
        .collect()
}

fn written(line: &Line) -> String {
    let never_indexed = u8::from(line.never_indexed);
    format!("{}:{}:{never_indexed}", hex(&line.name), hex(&line.value))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(str::from_utf8(two).expect("ASCII"), 16).expect("digits"))
        .collect()
}

fn ask_python(commands: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/hpack_peer.py");
    // Debian's own, which has Debian's packages; another `python3` may come first in PATH.
    let mut child = Command::new("/usr/bin/python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed: cargo xtask setup");
    let mut stdin = child.stdin.take().expect("piped");
    let commands = commands.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(commands.as_bytes()));
    let output = child.wait_with_output().expect("an exit");
    assert!(output.status.success(), "the script failed");
    writer.join().expect("no panic").expect("all commands read");
    let answers = String::from_utf8(output.stdout).expect("ASCII");
    answers.lines().map(str::to_owned).collect()
}
