use super::*;

fn priority(urgency: u8, incremental: bool) -> Priority {
    Priority {
        urgency,
        incremental,
    }
}

/// The streams of the next `count` frames, if none ever ends.
fn frames(scheduler: &mut Scheduler, count: usize) -> Vec<u64> {
    (0..count)
        .map_while(|_| {
            let slot = scheduler.first()?;
            scheduler.pass_on(slot);
            Some(scheduler.node(slot).stream)
        })
        .collect()
}

#[test]
fn the_most_urgent_goes_first() {
    let mut scheduler = Scheduler::default();
    scheduler.insert(0, 1, priority(7, false));
    scheduler.insert(1, 3, priority(3, true));
    scheduler.insert(2, 5, priority(0, false));
    assert_eq!(frames(&mut scheduler, 2), [5, 5]);
    scheduler.remove(2);
    assert_eq!(frames(&mut scheduler, 2), [3, 3]);
    scheduler.remove(1);
    assert_eq!(frames(&mut scheduler, 1), [1]);
    scheduler.remove(0);
    assert!(scheduler.is_empty() && scheduler.first().is_none());
}

#[test]
fn equals_go_in_the_order_of_their_identifiers() {
    let mut scheduler = Scheduler::default();
    for (slot, stream) in [(3, 9), (1, 5), (0, 7), (2, 3)] {
        scheduler.insert(slot, stream, priority(3, false));
    }
    for expected in [3, 5, 7, 9] {
        assert_eq!(frames(&mut scheduler, 3), [expected; 3]);
        let slot = scheduler.first().unwrap();
        scheduler.remove(slot);
    }
}

#[test]
fn incremental_streams_take_turns() {
    let mut scheduler = Scheduler::default();
    for (slot, stream) in [(0, 1), (1, 3), (2, 5)] {
        scheduler.insert(slot, stream, priority(3, true));
    }
    assert_eq!(frames(&mut scheduler, 7), [1, 3, 5, 1, 3, 5, 1]);
    scheduler.remove(1);
    assert_eq!(frames(&mut scheduler, 4), [5, 1, 5, 1]);
}

#[test]
fn both_kinds_take_turns() {
    let mut scheduler = Scheduler::default();
    scheduler.insert(0, 1, priority(3, false));
    scheduler.insert(1, 3, priority(3, true));
    scheduler.insert(2, 5, priority(3, true));
    assert_eq!(frames(&mut scheduler, 6), [1, 3, 1, 5, 1, 3]);
}

#[test]
fn inserting_and_removing_twice_is_like_once() {
    let mut scheduler = Scheduler::default();
    scheduler.insert(4, 1, priority(2, true));
    scheduler.insert(4, 1, priority(5, false));
    assert!(scheduler.contains(4) && !scheduler.contains(3) && !scheduler.contains(9));
    scheduler.remove(4);
    scheduler.remove(4);
    scheduler.remove(9);
    assert!(scheduler.is_empty() && !scheduler.contains(4));
}

/// Against a list that is sorted anew each time.
#[test]
fn any_sequence_of_steps_is_as_a_plain_list_says() {
    let mut state = 1_u64;
    let mut below = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % bound
    };
    let mut scheduler = Scheduler::default();
    let mut plain: Vec<(u32, u32, u8)> = Vec::new();
    for _ in 0..20_000 {
        let slot = below(12) as u32;
        let found = plain.iter().position(|&(known, ..)| known == slot);
        match (below(3), found) {
            (0, Some(at)) => {
                plain.remove(at);
                scheduler.remove(slot);
            }
            (0, None) => {
                let (stream, urgency) = (below(1000) as u32, below(8) as u8);
                if plain.iter().all(|&(_, known, _)| known != stream) {
                    plain.push((slot, stream, urgency));
                    scheduler.insert(slot, stream.into(), priority(urgency, false));
                }
            }
            _ => {
                let first = plain
                    .iter()
                    .min_by_key(|(_, stream, urgency)| (*urgency, *stream));
                assert_eq!(scheduler.first(), first.map(|&(slot, ..)| slot));
            }
        }
    }
}
