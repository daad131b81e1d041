use super::*;

#[test]
fn every_time_is_in_the_bucket_that_ends_behind_it() {
    let powers = (0..40).flat_map(|bits| [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1]);
    for us in (0..5000).chain(powers) {
        let at = bucket(us);
        assert!(us <= upper_end(at), "{us}");
        assert!(at == 0 || us > upper_end(at - 1), "{us}");
        assert!(upper_end(at) - us <= us / 32, "{us}");
    }
    assert_eq!(bucket(u64::MAX), BUCKETS - 1);
}

#[test]
fn quantiles_of_a_known_series() {
    let mut spread = Spread::default();
    assert_eq!((spread.min(), spread.quantile(500)), (None, None));
    for us in 1..=1000 {
        spread.add(Duration::from_micros(us));
    }
    assert_eq!(spread.count(), 1000);
    assert_eq!(spread.min(), Some(Duration::from_micros(1)));
    assert_eq!(spread.max(), Some(Duration::from_micros(1000)));
    assert_eq!(spread.quantile(1000), spread.max());
    for (per_mille, exact) in [(500, 500), (990, 990), (1, 1)] {
        let us = spread.quantile(per_mille).unwrap().as_micros() as u64;
        assert!((exact..=exact + exact / 32).contains(&us), "{us}");
    }
}

#[test]
fn merging_is_adding_one_by_one() {
    let mut parts = [Spread::default(), Spread::default()];
    let mut whole = Spread::default();
    for us in [3, 70, 70_000, 9, 1] {
        let time = Duration::from_micros(us);
        parts[usize::from(us > 8)].add(time);
        whole.add(time);
    }
    let [mut merged, second] = parts;
    merged.merge(&second);
    assert_eq!(merged.buckets, whole.buckets);
    assert_eq!((merged.min(), merged.max()), (whole.min(), whole.max()));
}
