use super::*;

#[test]
fn streams_are_found_in_whatever_order_they_come() {
    let mut streams = Streams::default();
    let keys: Vec<StreamKey> = [8, 0, 4, 20, 12]
        .into_iter()
        .map(|id| streams.insert(Stream::new(id, 0)))
        .collect();
    let ids: Vec<u64> = streams.iter().map(|(key, _)| key.id()).collect();
    assert_eq!(ids, [0, 4, 8, 12, 20]);
    for key in &keys {
        assert_eq!(streams.find(key.id()), Some(*key));
    }
    assert_eq!(streams.find(16), None);
    streams.remove(keys[0]);
    assert!(streams.get(keys[0]).is_none() && streams.is_over(8));
    let next = streams.insert(Stream::new(24, 0));
    assert_eq!(next.slot(), keys[0].slot());
    assert!(streams.get(keys[0]).is_none());
    assert_eq!(streams.key_of_slot(next.slot() as u32), Some(next));
}

#[test]
fn what_is_over_stays_over() {
    let mut past = Past::default();
    for id in [4, 12, 0, 20, 8] {
        assert!(!past.contains(id));
        past.add(id);
        assert!(past.contains(id));
    }
    assert_eq!((past.below, &past.above[..]), (16, &[20][..]));
    past.add(16);
    assert_eq!((past.below, &past.above[..]), (24, &[][..]));
    past.add(4);
    assert_eq!(past.below, 24);
}

#[test]
fn the_memory_of_what_is_over_is_bounded() {
    let mut past = Past::default();
    // Every second one: nothing ever joins.
    for n in 0..100_000_u64 {
        past.add(8 * n + 4);
    }
    assert!(past.above.len() <= ABOVE_MAX);
    assert!(past.contains(8 * 99_999 + 4) && !past.contains(8 * 99_999));
}
