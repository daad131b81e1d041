//! Medians and quartiles, and ours against a peer's round by round.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quartiles {
    pub q1: f64,
    pub median: f64,
    pub q3: f64,
}

impl Quartiles {
    /// Linear between neighbours (R's type 7); `None` of nothing or of what is not a number.
    pub fn of(figures: &[f64]) -> Option<Self> {
        if figures.is_empty() || figures.iter().any(|figure| !figure.is_finite()) {
            return None;
        }
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            q1: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            q3: quantile(&sorted, 0.75),
        })
    }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}

/// A figure and the round it is from.
pub type InRound = (usize, f64);

/// `ours / peer` for every round that has both. A round where the peer's is 0 has no ratio.
pub fn ratios(ours: &[InRound], peer: &[InRound]) -> Vec<f64> {
    ours.iter()
        .filter_map(|(round, our)| {
            let (_, their) = peer.iter().find(|(other, _)| other == round)?;
            (*their > 0.0).then(|| our / their)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Quartiles, ratios};

    fn of(figures: &[f64]) -> (f64, f64, f64) {
        let quartiles = Quartiles::of(figures).unwrap();
        (quartiles.q1, quartiles.median, quartiles.q3)
    }

    #[test]
    fn quartiles_lie_between_neighbours() {
        assert_eq!(of(&[7.0]), (7.0, 7.0, 7.0));
        assert_eq!(of(&[2.0, 1.0]), (1.25, 1.5, 1.75));
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0]), (1.75, 2.5, 3.25));
        assert_eq!(of(&[7.0, 1.0, 2.0, 6.0, 3.0, 5.0, 4.0]), (2.5, 4.0, 5.5));
    }

    #[test]
    fn nothing_has_no_quartiles() {
        assert_eq!(Quartiles::of(&[]), None);
        assert_eq!(Quartiles::of(&[1.0, f64::NAN]), None);
        assert_eq!(Quartiles::of(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let ours = [(0, 1.0), (1, 4.0), (2, 9.0)];
        assert_eq!(ratios(&ours, &[(2, 3.0), (1, 8.0)]), [0.5, 3.0]);
        assert!(ratios(&ours, &[(3, 1.0)]).is_empty());
        assert_eq!(ratios(&ours, &[(0, 0.0), (1, 2.0)]), [2.0]);
    }
}
