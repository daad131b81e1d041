//! The results: Markdown for a reader, JSON with every round.

use crate::{
    error::{Context as _, Result},
    measure::Sample,
    spec::{Load, Metric},
    stats::Quartiles,
    summary::{Judgement, ROUNDS_MIN, Summary, Verdict},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

/// The JSON file.
#[derive(Serialize)]
pub struct Results {
    pub started: String,
    pub ours: String,
    pub machine: BTreeMap<&'static str, String>,
    /// Debian packages that took part.
    pub packages: BTreeMap<String, String>,
    pub loads: Vec<LoadResults>,
}

#[derive(Serialize)]
pub struct LoadResults {
    pub load: String,
    pub seconds: u32,
    pub samples: Vec<Sample>,
    #[serde(flatten)]
    pub summary: Summary,
}

impl Results {
    /// Replaces the file in one step: an interrupted run leaves the last whole one.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self).context(|| "write JSON".into())?;
        let part = path.with_extension("json.part");
        fs::write(&part, json + "\n").context(|| format!("write {}", part.display()))?;
        fs::rename(&part, path).context(|| format!("write {}", path.display()))
    }
}

/// Tables of one load.
pub fn markdown(load: &Load, ours: &str, summary: &Summary, rounds: usize) -> String {
    let mut text = format!("\n## {}\n\n{}.\n", load.name, capitalized(&load.what));
    let note = if rounds < ROUNDS_MIN {
        format!("; a target needs at least {ROUNDS_MIN}, so verdicts are only indications")
    } else {
        String::new()
    };
    let _ = writeln!(text, "Medians (and quartiles) of {rounds} rounds{note}.\n");
    text.push_str(&table("peer", &summary.peers, figure));
    if !summary.ratios.is_empty() {
        let _ = writeln!(text, "\nRatios round by round:\n");
        text.push_str(&table(&format!("{ours} ÷"), &summary.ratios, ratio));
    }
    if !summary.judgements.is_empty() {
        text.push_str("\n| target | median | quartiles | verdict |\n|---|---:|---:|---|\n");
        for judgement in &summary.judgements {
            text.push_str(&judgement_row(judgement, rounds));
        }
    }
    text
}

fn table(
    corner: &str,
    rows: &BTreeMap<String, BTreeMap<Metric, Quartiles>>,
    cell: fn(Metric, f64) -> String,
) -> String {
    let columns: BTreeSet<Metric> = rows.values().flat_map(|row| row.keys().copied()).collect();
    let mut text = format!("| {corner} |");
    for metric in &columns {
        let _ = write!(text, " {} |", metric.title());
    }
    text.push_str("\n|---|");
    text.push_str(&"---:|".repeat(columns.len()));
    text.push('\n');
    for (name, row) in rows {
        let _ = write!(text, "| {name} |");
        for metric in &columns {
            match row.get(metric) {
                Some(quartiles) => {
                    let _ = write!(text, " {} |", spread(quartiles, |f| cell(*metric, f)));
                }
                None => text.push_str(" – |"),
            }
        }
        text.push('\n');
    }
    text
}

fn spread(quartiles: &Quartiles, show: impl Fn(f64) -> String) -> String {
    let (q1, median, q3) = (
        show(quartiles.q1),
        show(quartiles.median),
        show(quartiles.q3),
    );
    if q1 == median && median == q3 {
        return median;
    }
    format!("{median} ({q1}–{q3})")
}

fn figure(metric: Metric, figure: f64) -> String {
    match metric {
        Metric::CpuUs => format!("{figure:.2}"),
        Metric::CpuNsPerByte | Metric::DatagramsPerRequest => format!("{figure:.3}"),
        _ => format!("{figure:.0}"),
    }
}

fn ratio(_metric: Metric, figure: f64) -> String {
    format!("{figure:.3}")
}

fn judgement_row(judgement: &Judgement, rounds: usize) -> String {
    let target = &judgement.target;
    let show = |value: f64| match target.of {
        Some(_) => ratio(target.metric, value),
        None => figure(target.metric, value),
    };
    let (median, quartiles) = match &judgement.figure {
        Some(q) => (show(q.median), format!("{}–{}", show(q.q1), show(q.q3))),
        None => ("–".into(), "–".into()),
    };
    let verdict = match judgement.verdict {
        Verdict::Holds => "holds",
        Verdict::Misses => "**misses**",
        Verdict::NotMeasured => "not measured",
    };
    let of_rounds = if judgement.figure.is_some() && judgement.rounds < rounds {
        format!(" ({} rounds)", judgement.rounds)
    } else {
        String::new()
    };
    format!("| {target} | {median} | {quartiles} | {verdict}{of_rounds} |\n")
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::{figure, spread};
    use crate::{spec::Metric, stats::Quartiles};

    #[test]
    fn a_spread_of_nothing_is_not_shown() {
        let show = |value| figure(Metric::SocketErrors, value);
        let zero = Quartiles::of(&[0.0, 0.0]).unwrap();
        assert_eq!(spread(&zero, show), "0");
        let some = Quartiles::of(&[0.0, 4.0]).unwrap();
        assert_eq!(spread(&some, show), "2 (1–3)");
    }
}
