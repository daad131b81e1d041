//! What became of the requests.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{Json, Spread};

/// Mismatches that are kept in words.
const EXAMPLES_MAX: usize = 10;

/// Requests that were fully written before the mark, or after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// The kernel took the last byte.
    pub written: u64,
    /// Answered with 200, completely and with the right number.
    pub answered: u64,
    /// The answer was another request's, or none.
    pub mismatched: u64,
    /// Answered completely with another status.
    pub other_status: u64,
    /// The connection ended, or we gave up waiting, before the answer was complete.
    pub lost_after_written: u64,
    /// The server has said that it did not process the request. It may be sent again.
    pub refused: u64,
}

/// Counts of all requests and connections of a run.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Fully written before the mark; all of them if there was none.
    pub before: Phase,
    /// Fully written after the mark.
    pub after: Phase,
    /// Begun, and the connection ended before they were fully written.
    pub lost_before_written: u64,
    /// Begun, and refused before they were fully written.
    pub refused_before_written: u64,
    /// Of the lost ones: the connection ended with a FIN,
    pub lost_by_fin: u64,
    /// with a reset,
    pub lost_by_reset: u64,
    /// only the stream did, by RST_STREAM,
    pub lost_by_stream_reset: u64,
    /// or not at all within the grace.
    pub unanswered: u64,
    /// Responses without a request.
    pub unexpected: u64,
    /// RST_STREAM frames for requests that waited, by the name of the error code.
    pub stream_resets: BTreeMap<&'static str, u64>,
    /// GOAWAY frames, by the name of the error code.
    pub goaways: BTreeMap<&'static str, u64>,
    /// The statuses other than 200.
    pub statuses: BTreeMap<u16, u64>,
    /// Connections that were established.
    pub connections: u64,
    /// Connections that the server ended with nothing in flight.
    pub closed_idle: u64,
    /// Nobody listened.
    pub connect_refused: u64,
    /// Neither established nor refused in time.
    pub connect_timed_out: u64,
    /// No port or descriptor was left on our side.
    pub connect_failed: u64,
    /// The longest time until a connection was established, refused or given up.
    pub connect_max: Duration,
    /// The longest time that a new connection took to be established and then to answer its first
    /// request with the first byte.
    pub first_answer_max: Duration,
    /// The longest time without any answer, on all connections together.
    pub longest_gap: Duration,
    /// The longest time from a written request to its answer, its loss or the end of our patience.
    pub longest_wait: Duration,
    /// From a fully written request to its complete answer.
    pub latency: Spread,
    /// From the first request to the last answer.
    pub took: Duration,
    /// The first few mismatches in words.
    pub examples: Vec<String>,
}

impl Totals {
    /// Before and after the mark.
    pub fn all(&self) -> Phase {
        let (a, b) = (&self.before, &self.after);
        Phase {
            written: a.written + b.written,
            answered: a.answered + b.answered,
            mismatched: a.mismatched + b.mismatched,
            other_status: a.other_status + b.other_status,
            lost_after_written: a.lost_after_written + b.lost_after_written,
            refused: a.refused + b.refused,
        }
    }

    /// Responses that were mixed up: none of them may be.
    pub fn mismatches(&self) -> u64 {
        self.all().mismatched + self.unexpected
    }

    /// Requests that never got a complete answer and were not refused either.
    pub fn lost(&self) -> u64 {
        self.all().lost_after_written + self.lost_before_written
    }

    /// Complete right answers per second.
    pub fn rps(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 {
            self.all().answered as f64 / seconds
        } else {
            0.0
        }
    }

    pub(super) fn add_example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }

    /// The totals as one object.
    pub fn json(&self) -> Json {
        let all = self.all();
        let statuses = self
            .statuses
            .iter()
            .map(|(status, count)| (status.to_string(), (*count).into()));
        let examples = self.examples.iter().map(|text| text.as_str().into());
        Json::object([
            ("written", all.written.into()),
            ("answered", all.answered.into()),
            ("mismatched", self.mismatches().into()),
            ("other_status", all.other_status.into()),
            ("lost_after_written", all.lost_after_written.into()),
            ("lost_before_written", self.lost_before_written.into()),
            ("refused", all.refused.into()),
            ("refused_before_written", self.refused_before_written.into()),
            ("lost_by_fin", self.lost_by_fin.into()),
            ("lost_by_reset", self.lost_by_reset.into()),
            ("lost_by_stream_reset", self.lost_by_stream_reset.into()),
            ("stream_resets", by_name(&self.stream_resets)),
            ("goaways", by_name(&self.goaways)),
            ("unanswered", self.unanswered.into()),
            ("unexpected", self.unexpected.into()),
            ("before_mark", phase(&self.before)),
            ("after_mark", phase(&self.after)),
            ("statuses", Json::Object(statuses.collect())),
            ("connections", self.connections.into()),
            ("closed_idle", self.closed_idle.into()),
            ("connect_refused", self.connect_refused.into()),
            ("connect_timed_out", self.connect_timed_out.into()),
            ("connect_failed", self.connect_failed.into()),
            ("connect_max_ms", ms(self.connect_max)),
            ("first_answer_max_ms", ms(self.first_answer_max)),
            ("longest_gap_ms", ms(self.longest_gap)),
            ("longest_wait_ms", ms(self.longest_wait)),
            ("latency_p50_ms", self.latency.quantile(500).map(ms).into()),
            ("latency_p99_ms", self.latency.quantile(990).map(ms).into()),
            ("requests_per_second", self.rps().into()),
            ("examples", examples.collect::<Vec<Json>>().into()),
        ])
    }
}

fn phase(phase: &Phase) -> Json {
    Json::object([
        ("written", phase.written.into()),
        ("answered", phase.answered.into()),
        ("mismatched", phase.mismatched.into()),
        ("other_status", phase.other_status.into()),
        ("lost_after_written", phase.lost_after_written.into()),
        ("refused", phase.refused.into()),
    ])
}

fn by_name(counts: &BTreeMap<&'static str, u64>) -> Json {
    let members = counts.iter();
    Json::Object(
        members
            .map(|(name, count)| ((*name).to_owned(), (*count).into()))
            .collect(),
    )
}

fn ms(time: Duration) -> Json {
    (time.as_micros() as f64 / 1000.0).into()
}

/// For people.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12} {:>10} {:>10} {:>10} {:>12} {:>10} {:>10}",
            "requests", "written", "answered", "mismatched", "other status", "lost", "refused"
        )?;
        for (name, phase) in [
            ("before mark", self.before),
            ("after mark", self.after),
            ("all", self.all()),
        ] {
            writeln!(
                f,
                "{name:<12} {:>10} {:>10} {:>10} {:>12} {:>10} {:>10}",
                phase.written,
                phase.answered,
                phase.mismatched,
                phase.other_status,
                phase.lost_after_written,
                phase.refused
            )?;
        }
        writeln!(
            f,
            "lost before written {}, by FIN {}, by RST {}, by RST_STREAM {}, unanswered {}; refused before written {}; \
             responses without a request {}",
            self.lost_before_written,
            self.lost_by_fin,
            self.lost_by_reset,
            self.lost_by_stream_reset,
            self.unanswered,
            self.refused_before_written,
            self.unexpected
        )?;
        writeln!(
            f,
            "connections {}, closed while idle {}, refused {}, timed out {}, failed here {}",
            self.connections,
            self.closed_idle,
            self.connect_refused,
            self.connect_timed_out,
            self.connect_failed
        )?;
        writeln!(
            f,
            "longest: connect {:.1?}, first answer {:.1?}, gap {:.1?}, wait {:.1?}; p50 {:.1?}, p99 {:.1?}; {:.0} requests/s",
            self.connect_max,
            self.first_answer_max,
            self.longest_gap,
            self.longest_wait,
            self.latency.quantile(500).unwrap_or_default(),
            self.latency.quantile(990).unwrap_or_default(),
            self.rps()
        )?;
        for (code, count) in &self.stream_resets {
            writeln!(f, "RST_STREAM {code}: {count}")?;
        }
        for (code, count) in &self.goaways {
            writeln!(f, "GOAWAY {code}: {count}")?;
        }
        for (status, count) in &self.statuses {
            writeln!(f, "status {status}: {count}")?;
        }
        for example in &self.examples {
            writeln!(f, "mismatch: {example}")?;
        }
        Ok(())
    }
}
