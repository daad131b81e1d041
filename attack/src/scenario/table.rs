//! What is printed and written.

use std::fmt::Write as _;

use super::{Honest, Measured, Outcome, Round, median};
use crate::Json;

/// A row for each attack.
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| attack | honest rps: server, sink | ratio | p99 ms: server, sink | ratio | failures: server, sink \
         | RSS MiB: before, peak, after each | KiB/connection | unsent KiB: mean, max | attacker saw | counters |\n\
         |---|---:|---:|---:|---:|---:|---|---:|---:|---|---|\n",
    );
    for outcome in outcomes {
        row(&mut text, outcome);
    }
    text
}

fn row(text: &mut String, outcome: &Outcome) {
    let rounds = &outcome.rounds;
    let server = |of: fn(&Honest) -> f64| median(rounds.iter().map(|r| of(&r.on_server.honest)));
    let sink = |of: fn(&Honest) -> f64| {
        let measured = rounds.iter().filter_map(|r| r.on_sink.as_ref());
        median(measured.map(|on_sink| of(&on_sink.honest)))
    };
    let failures = |of: fn(&Round) -> Option<&Measured>| -> u64 {
        let measured = rounds.iter().filter_map(of);
        measured.map(|measured| measured.honest.failures).sum()
    };
    let after: Vec<String> = rounds.iter().map(|r| mib(r.memory.after_kib)).collect();
    let peak = rounds.iter().map(|r| r.memory.peak_kib).max().unwrap_or(0);
    let before = rounds.first().map_or(0, |r| r.memory.before_kib);
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "| {} x {} | {}, {} | {} | {}, {} | {} | {}, {} | {}, {}, {} | {} | {}, {} | {} | {} |",
        outcome.kind.name(),
        outcome.connections,
        figure(server(|h| h.rps), 0),
        figure(sink(|h| h.rps), 0),
        figure(ratio(rounds, |h| h.rps), 2),
        figure(server(|h| h.p99_ms), 2),
        figure(sink(|h| h.p99_ms), 2),
        figure(ratio(rounds, |h| h.p99_ms), 2),
        failures(|r| Some(&r.on_server)),
        failures(|r| r.on_sink.as_ref()),
        mib(before),
        mib(peak),
        after.join(" "),
        figure(per_connection_kib(outcome), 1),
        figure(
            median(rounds.iter().map(|r| r.queues.unsent_mean / 1024.0)),
            1
        ),
        rounds
            .iter()
            .map(|r| r.queues.unsent_max)
            .max()
            .unwrap_or(0)
            / 1024,
        seen(outcome),
        counters(outcome),
    );
}

/// Server divided by sink, round by round, where both were measured.
fn ratio(rounds: &[Round], of: fn(&Honest) -> f64) -> Option<f64> {
    median(rounds.iter().filter_map(|round| {
        let on_sink = round.on_sink.as_ref()?;
        Some(of(&round.on_server.honest) / of(&on_sink.honest))
    }))
}

/// What the server grew by in the first round, over the connections that were seen then. In later
/// rounds it has that memory already.
fn per_connection_kib(outcome: &Outcome) -> Option<f64> {
    let round = outcome.rounds.first()?;
    let grown = round
        .memory
        .peak_kib
        .saturating_sub(round.memory.before_kib);
    (round.queues.connections > 0).then(|| grown as f64 / round.queues.connections as f64)
}

/// Last words, streams reset, and how long the connections lived that the server closed.
fn seen(outcome: &Outcome) -> String {
    let mut total = crate::attack::Tally::default();
    for round in &outcome.rounds {
        total.merge(&round.on_server.attack.total());
    }
    let mut parts = total.last_words();
    parts.extend(total.stream_resets_in_words());
    parts.push(format!(
        "FIN {}, RST {}, open {}",
        total.closed_by_fin, total.closed_by_reset, total.open_at_end
    ));
    for (what, times) in [("GOAWAY after", &total.told_after), ("lived", &total.lived)] {
        if let (Some(min), Some(mid), Some(max)) = (times.min(), times.quantile(500), times.max()) {
            parts.push(format!("{what} {min:.1?}, {mid:.1?}, {max:.1?}"));
        }
    }
    parts.join("; ")
}

fn counters(outcome: &Outcome) -> String {
    let grown = outcome.counters.iter();
    let parts: Vec<String> = grown.map(|(name, by)| format!("{name} +{by}")).collect();
    parts.join(", ")
}

fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

/// All measurements.
pub(super) fn json(outcomes: &[Outcome]) -> Json {
    let outcomes = outcomes.iter().map(|outcome| {
        let rounds = outcome.rounds.iter().map(round_json).collect::<Vec<_>>();
        let counters = outcome.counters.iter();
        let counters = counters.map(|(name, by)| (name.clone(), (*by).into()));
        Json::object([
            ("attack", outcome.kind.name().into()),
            ("connections", (outcome.connections as u64).into()),
            ("rps_ratio", ratio(&outcome.rounds, |h| h.rps).into()),
            ("p99_ratio", ratio(&outcome.rounds, |h| h.p99_ms).into()),
            ("kib_per_connection", per_connection_kib(outcome).into()),
            ("counters", Json::Object(counters.collect())),
            ("rounds", rounds.into()),
        ])
    });
    Json::List(outcomes.collect())
}

fn round_json(round: &Round) -> Json {
    let Round { memory, queues, .. } = round;
    Json::object([
        ("on_server", measured_json(&round.on_server)),
        (
            "on_sink",
            round.on_sink.as_ref().map_or(Json::Null, measured_json),
        ),
        ("rss_before_kib", memory.before_kib.into()),
        ("rss_peak_kib", memory.peak_kib.into()),
        ("rss_after_kib", memory.after_kib.into()),
        ("connections", queues.connections.into()),
        ("unsent_mean", queues.unsent_mean.into()),
        ("unsent_max", queues.unsent_max.into()),
        ("send_memory_mean", queues.send_memory_mean.into()),
        ("send_memory_max", queues.send_memory_max.into()),
    ])
}

fn measured_json(measured: &Measured) -> Json {
    let Measured { honest, attack } = measured;
    Json::object([
        ("requests", honest.requests.into()),
        ("rps", honest.rps.into()),
        ("p99_ms", honest.p99_ms.into()),
        ("failures", honest.failures.into()),
        ("attack", attack.json()),
    ])
}
