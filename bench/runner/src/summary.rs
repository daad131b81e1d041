//! What all rounds of a load say: quartiles, ratios, verdicts.

use crate::{
    measure::Sample,
    spec::{Load, Metric, Target},
    stats::{InRound, Quartiles, ratios},
};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A target holds over at least this many rounds; over fewer it is only an indication.
pub const ROUNDS_MIN: usize = 7;

type ByPeer<T> = BTreeMap<String, BTreeMap<Metric, T>>;

#[derive(Debug, Serialize)]
pub struct Summary {
    pub peers: ByPeer<Quartiles>,
    /// Of `ours / peer` round by round.
    pub ratios: ByPeer<Quartiles>,
    pub judgements: Vec<Judgement>,
}

/// A target and what came of it.
#[derive(Debug, Serialize)]
pub struct Judgement {
    #[serde(serialize_with = "as_text")]
    pub target: Target,
    pub rounds: usize,
    pub figure: Option<Quartiles>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Holds,
    Misses,
    /// Ours or the peer was not measured, or its figure was 0.
    NotMeasured,
}

fn as_text<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(target)
}

pub fn summarize(load: &Load, ours: &str, samples: &[Sample]) -> Summary {
    let by_peer = by_peer(samples);
    let mut peers: ByPeer<Quartiles> = BTreeMap::new();
    let mut ratios_by_peer: ByPeer<Quartiles> = BTreeMap::new();
    for (peer, metrics) in &by_peer {
        for (metric, figures) in metrics {
            if let Some(quartiles) = Quartiles::of(&alone(figures)) {
                peers
                    .entry(peer.clone())
                    .or_default()
                    .insert(*metric, quartiles);
            }
            if peer == ours || !metric.is_compared() {
                continue;
            }
            let our_figures = figures_of(&by_peer, ours, *metric);
            if let Some(quartiles) = Quartiles::of(&ratios(our_figures, figures)) {
                ratios_by_peer
                    .entry(peer.clone())
                    .or_default()
                    .insert(*metric, quartiles);
            }
        }
    }
    let judgements = load
        .targets
        .iter()
        .map(|target| judge(target, ours, &by_peer))
        .collect();
    Summary {
        peers,
        ratios: ratios_by_peer,
        judgements,
    }
}

fn judge(target: &Target, ours: &str, by_peer: &ByPeer<Vec<InRound>>) -> Judgement {
    let our_figures = figures_of(by_peer, ours, target.metric);
    let figures = match &target.of {
        Some(peer) => ratios(our_figures, figures_of(by_peer, peer, target.metric)),
        None => alone(our_figures),
    };
    let quartiles = Quartiles::of(&figures);
    let verdict = match quartiles {
        None => Verdict::NotMeasured,
        Some(quartiles) => {
            let holds = if target.every_round {
                figures.iter().all(|figure| target.bound.holds(*figure))
            } else {
                target.bound.holds(quartiles.median)
            };
            if holds {
                Verdict::Holds
            } else {
                Verdict::Misses
            }
        }
    };
    Judgement {
        target: target.clone(),
        rounds: figures.len(),
        figure: quartiles,
        verdict,
    }
}

fn by_peer(samples: &[Sample]) -> ByPeer<Vec<InRound>> {
    let mut by_peer: ByPeer<Vec<InRound>> = BTreeMap::new();
    for sample in samples {
        let metrics = by_peer.entry(sample.peer.clone()).or_default();
        for (metric, figure) in &sample.figures {
            metrics
                .entry(*metric)
                .or_default()
                .push((sample.round, *figure));
        }
    }
    by_peer
}

fn figures_of<'a>(by_peer: &'a ByPeer<Vec<InRound>>, peer: &str, metric: Metric) -> &'a [InRound] {
    by_peer
        .get(peer)
        .and_then(|metrics| metrics.get(&metric))
        .map_or(&[], Vec::as_slice)
}

fn alone(figures: &[InRound]) -> Vec<f64> {
    figures.iter().map(|(_, figure)| *figure).collect()
}

#[cfg(test)]
mod tests {
    use super::{Verdict, summarize};
    use crate::{
        measure::Sample,
        spec::{Load, Metric},
    };
    use std::collections::BTreeMap;

    fn load(target: &str) -> Load {
        let text = "what = 'x'\nconnections = 1\nserver = { threads = 1 }\n\
            [tool.wrk]\ncommand = ['wrk']\n[[target]]\n";
        toml::from_str(&format!("{text}{target}")).unwrap()
    }

    /// A round per figure.
    fn samples(peer: &str, metric: Metric, figures: &[f64]) -> Vec<Sample> {
        let sample = |(round, figure): (usize, &f64)| Sample {
            round,
            peer: peer.into(),
            figures: BTreeMap::from([(metric, *figure)]),
            details: BTreeMap::new(),
        };
        figures.iter().enumerate().map(sample).collect()
    }

    fn verdict(target: &str, samples: &[Sample]) -> Verdict {
        summarize(&load(target), "ours", samples).judgements[0].verdict
    }

    #[test]
    fn the_median_of_the_ratios_decides_not_the_ratio_of_the_medians() {
        let target = "metric = 'cpu_us'\nat_most = 1.0\nof = 'peer'";
        // Medians: 10 and 9. Ratios: 0.9, 1.0, 2.0.
        let mut all = samples("ours", Metric::CpuUs, &[9.0, 10.0, 18.0]);
        all.extend(samples("peer", Metric::CpuUs, &[10.0, 10.0, 9.0]));
        assert_eq!(verdict(target, &all), Verdict::Holds);
        let summary = summarize(&load(target), "ours", &all);
        assert_eq!(summary.judgements[0].rounds, 3);
        assert!((summary.ratios["peer"][&Metric::CpuUs].median - 1.0).abs() < 1e-9);
        assert!(!summary.ratios.contains_key("ours"));
    }

    #[test]
    fn below_means_below() {
        let mut all = samples("ours", Metric::P99Us, &[5.0]);
        all.extend(samples("peer", Metric::P99Us, &[5.0]));
        let bound = |bound| format!("metric = 'p99_us'\n{bound} = 1.0\nof = 'peer'");
        assert_eq!(verdict(&bound("below"), &all), Verdict::Misses);
        assert_eq!(verdict(&bound("at_most"), &all), Verdict::Holds);
        assert_eq!(verdict(&bound("at_least"), &all), Verdict::Holds);
    }

    #[test]
    fn one_bad_round_spoils_a_target_for_every_round() {
        let all = samples("ours", Metric::SocketErrors, &[0.0, 0.0, 3.0]);
        let target = "metric = 'socket_errors'\nat_most = 0";
        assert_eq!(verdict(target, &all), Verdict::Holds);
        let every = format!("{target}\nevery_round = true");
        assert_eq!(verdict(&every, &all), Verdict::Misses);
    }

    #[test]
    fn what_was_not_measured_has_no_verdict() {
        let target = "metric = 'cpu_us'\nat_most = 1.0\nof = 'peer'";
        let ours = samples("ours", Metric::CpuUs, &[1.0]);
        let peer = samples("peer", Metric::CpuUs, &[1.0]);
        let nothing = samples("peer", Metric::CpuUs, &[0.0]);
        assert_eq!(verdict(target, &ours), Verdict::NotMeasured);
        assert_eq!(verdict(target, &peer), Verdict::NotMeasured);
        assert_eq!(
            verdict(target, &[ours, nothing].concat()),
            Verdict::NotMeasured
        );
    }
}
