use super::*;

const NONE: [u32; 0] = [];

fn expired(wheel: &mut Wheel, now: Tick) -> Vec<u32> {
    let mut due = Vec::new();
    wheel.expire(now, &mut due);
    due.sort_unstable();
    due
}

#[test]
fn comes_out_at_its_tick_and_only_once() {
    let mut wheel = Wheel::new();
    wheel.file(7, 5);
    assert_eq!(expired(&mut wheel, 4), NONE);
    assert_eq!(expired(&mut wheel, 5), [7]);
    assert_eq!(expired(&mut wheel, 2000), NONE);
}

#[test]
fn a_later_deadline_keeps_the_earlier_place() {
    let mut wheel = Wheel::new();
    wheel.file(1, 10);
    wheel.file(1, 300);
    assert_eq!(
        expired(&mut wheel, 10),
        [1],
        "lazily: the caller files it again"
    );
    wheel.file(1, 300);
    assert_eq!(expired(&mut wheel, 299), NONE);
    assert_eq!(expired(&mut wheel, 300), [1]);
}

#[test]
fn a_nearer_deadline_moves_it() {
    let mut wheel = Wheel::new();
    wheel.file(1, 300);
    wheel.file(1, 10);
    assert_eq!(expired(&mut wheel, 10), [1]);
    assert_eq!(expired(&mut wheel, 300), NONE, "the old place is gone");
}

#[test]
fn a_deadline_beyond_the_wheel_survives_whole_rounds() {
    let mut wheel = Wheel::new();
    let far = 3 * BUCKETS as Tick + 17;
    wheel.file(3, far);
    for now in 1..far {
        assert_eq!(expired(&mut wheel, now), NONE, "tick {now}");
    }
    assert_eq!(expired(&mut wheel, far), [3]);
}

#[test]
fn a_long_sleep_expires_everything_once() {
    let mut wheel = Wheel::new();
    for index in 0..2000 {
        wheel.file(index, 1 + index);
    }
    let due = expired(&mut wheel, 1_000_000);
    assert_eq!(due, (0..2000).collect::<Vec<_>>());
}

#[test]
fn removal_anywhere_in_a_bucket_keeps_the_others() {
    for gone in 0..4 {
        let mut wheel = Wheel::new();
        for index in 0..4 {
            wheel.file(index, 9);
        }
        wheel.remove(gone);
        wheel.remove(gone);
        let expected: Vec<u32> = (0..4).filter(|i| *i != gone).collect();
        assert_eq!(expired(&mut wheel, 9), expected);
    }
}

#[test]
fn a_deadline_in_the_past_fires_at_the_next_tick() {
    let mut wheel = Wheel::new();
    assert_eq!(expired(&mut wheel, 100), NONE);
    wheel.file(5, 3);
    assert_eq!(expired(&mut wheel, 101), [5]);
}

#[test]
fn agrees_with_a_sorted_list() {
    // A model of what the wheel promises: everything comes out between "filed" and "deadline".
    let mut wheel = Wheel::new();
    let mut deadlines = vec![NEVER; 64];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for now in 1..20_000 {
        for _ in 0..3 {
            let index = next() as usize % deadlines.len();
            match next() % 4 {
                0 => {
                    wheel.remove(index as u32);
                    deadlines[index] = NEVER;
                }
                _ => {
                    let deadline = now + (next() % 1500) as Tick;
                    deadlines[index] = deadline;
                    wheel.file(index as u32, deadline);
                }
            }
        }
        let mut due = Vec::new();
        wheel.expire(now, &mut due);
        for index in due {
            if deadlines[index as usize] <= now {
                deadlines[index as usize] = NEVER;
            } else if deadlines[index as usize] != NEVER {
                wheel.file(index, deadlines[index as usize]);
            }
        }
        for (index, deadline) in deadlines.iter().enumerate() {
            assert!(
                *deadline == NEVER || *deadline >= now,
                "{index} overdue at {now}"
            );
        }
    }
}

#[test]
fn ticks_round_up_and_never_fire_early() {
    assert_eq!(ticks(Duration::ZERO), 1);
    assert_eq!(ticks(Duration::from_millis(1)), 2);
    assert_eq!(ticks(Duration::from_millis(250)), 2);
    assert_eq!(ticks(Duration::from_secs(10)), 41);
    assert_eq!(ticks(Duration::MAX), NEVER);
}

#[test]
fn what_is_due_stands_in_the_list_once() {
    let mut due = DueList::new();
    assert!(due.is_empty());
    for _ in 0..3 {
        for index in [5, 900, 0] {
            due.push(index);
        }
    }
    assert_eq!(due.pop(), Some(5));
    // Who was looked at may come again, behind the others.
    due.push(5);
    due.push(5);
    let rest: Vec<u32> = std::iter::from_fn(|| due.pop()).collect();
    assert_eq!(rest, [900, 0, 5]);
    assert!(due.is_empty());
}
