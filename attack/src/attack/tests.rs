use clap::ValueEnum;

use super::script::{Reading, Step, Streams};
use super::tally::LastWord;
use super::*;
use crate::h2;

#[test]
fn every_script_comes_to_a_last_step_and_has_no_step_behind_one() {
    let address = "127.0.0.1:8080".parse().unwrap();
    let over_tcp = |kind: &&Kind| kind.protocol() != Protocol::Http3;
    for kind in Kind::ALL.iter().filter(over_tcp) {
        let scripts = scripts::scripts(*kind, address, "/path");
        assert!(!scripts.is_empty());
        for script in scripts {
            let lasts = script.steps.iter().map(|step| {
                matches!(
                    step,
                    Step::SendForever(_)
                        | Step::SendStreamsForever(_)
                        | Step::TrickleForever(_)
                        | Step::SendEachPeriod(_)
                        | Step::ReadSlowly
                        | Step::Stay
                        | Step::Close
                        | Step::Reset
                )
            });
            let lasts: Vec<bool> = lasts.collect();
            let first = lasts.iter().position(|last| *last);
            assert_eq!(first, Some(lasts.len() - 1), "{kind:?} {}", script.variant);
            let sent = script.steps.iter().filter_map(|step| match step {
                Step::Send(bytes)
                | Step::SendForever(bytes)
                | Step::Trickle(bytes)
                | Step::TrickleForever(bytes)
                | Step::SendEachPeriod(bytes) => Some(vec![bytes]),
                Step::SendOneOf(choices) => Some(choices.iter().collect()),
                _ => None,
            });
            assert!(sent.flatten().all(|bytes| !bytes.is_empty()));
            // Nothing would wake a connection that waits for an end and does not look.
            let reads_slowly = script.steps.iter().any(|s| matches!(s, Step::ReadSlowly));
            assert!(!reads_slowly || script.reading == Reading::Nothing);
        }
    }
}

#[test]
fn names_on_the_command_line() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_str(kind.name(), false), Ok(*kind));
        let help = kind.to_possible_value().unwrap();
        assert!(
            help.get_help()
                .is_some_and(|help| !help.to_string().is_empty())
        );
    }
}

#[test]
fn reports_add_up_by_variant() {
    let mut tally = Tally::default();
    tally.opened = 3;
    tally.add_closed(LastWord::Status(408), false, Duration::from_secs(10));
    tally.add_closed(LastWord::Status(0), true, Duration::from_secs(2));
    tally.open_at_end = 1;
    tally.add_response(408);
    tally.add_response(999);
    let mut report = Report::new(Kind::Tls);
    report.add("a", &tally);
    report.add("b", &Tally::default());
    report.add("a", &tally);
    let total = report.total();
    assert_eq!((total.opened, total.closed(), total.open_at_end), (6, 4, 2));
    assert_eq!(total.closed_after().collect::<Vec<_>>(), [(0, 2), (408, 2)]);
    assert_eq!(total.responses().collect::<Vec<_>>(), [(0, 2), (408, 2)]);
    assert_eq!(total.lived.min(), Some(Duration::from_secs(2)));
    assert_eq!(report.variants().count(), 2);
    assert!(
        report
            .json()
            .to_string()
            .contains(r#""closed_after":{"0":2,"408":2}"#)
    );
    let table = report.to_string();
    assert!(table.contains("nothing x 2, 408 x 2") && table.contains("2.00 s / "));
}

#[test]
fn the_next_streams_have_the_next_identifiers() {
    let block = h2::fields::request(false, "a", "/");
    let frames = |first: u32| {
        [first, first + 2].map(|id| {
            [
                h2::headers(h2::flag::END_STREAM, id, &block),
                h2::priority(id, id),
                h2::priority(id, 1),
                h2::rst_stream(id, 8),
            ]
            .concat()
        })
    };
    let streams = Streams::new(frames(5).concat(), 2);
    let mut bytes = streams.bytes.clone();
    for first in [9, 13] {
        streams.advance(&mut bytes);
        assert_eq!(bytes, frames(first).concat());
    }
}
