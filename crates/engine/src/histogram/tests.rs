use super::*;

fn empty() -> Histogram {
    Histogram {
        buckets: [const { AtomicU64::new(0) }; BUCKETS],
        sum: AtomicU64::new(0),
    }
}

#[test]
fn a_value_stands_below_its_bound_and_not_below_the_one_before() {
    for micros in [0, 1, 127, 128, 255, 256, 1_000_000, 1 << 26, u64::MAX] {
        let histogram = empty();
        histogram.record(micros);
        let mut snapshot = HistogramSnapshot::default();
        snapshot.add(&histogram);
        assert_eq!((snapshot.count(), snapshot.sum_micros()), (1, micros));
        let mut lower = 0;
        for (upper, count) in snapshot.buckets() {
            let is_here = micros >= lower && upper.is_none_or(|upper| micros < upper);
            assert_eq!(count, u64::from(is_here), "{micros} in {lower}..{upper:?}");
            lower = upper.unwrap_or(lower);
        }
    }
}

#[test]
fn workers_are_added_up() {
    let mut snapshot = HistogramSnapshot::default();
    for micros in [50, 100, 300] {
        let histogram = empty();
        histogram.record(micros);
        snapshot.add(&histogram);
    }
    assert_eq!((snapshot.count(), snapshot.sum_micros()), (3, 450));
    assert_eq!(snapshot.buckets().next(), Some((Some(128), 2)));
    assert_eq!(
        snapshot.buckets().last().map(|(bound, _)| bound),
        Some(None)
    );
}
