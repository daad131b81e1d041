use super::*;

fn parse(value: &str) -> (u8, bool) {
    let mut priority = Priority::default();
    priority.update(value.as_bytes());
    (priority.urgency, priority.incremental)
}

#[test]
fn values_are_read() {
    for (value, expected) in [
        ("", (3, false)),
        ("u=5", (5, false)),
        ("i", (3, true)),
        ("u=0, i", (0, true)),
        ("i=?1,u=7", (7, true)),
        ("u=1, u=2", (2, false)),
        ("i, i=?0", (3, false)),
        ("u=4;x=1, i;y", (4, true)),
        ("foo=\"a, u=1\", u=2", (2, false)),
    ] {
        assert_eq!(parse(value), expected, "{value}");
    }
}

#[test]
fn what_is_unknown_or_wrong_is_ignored() {
    for value in [
        "u=8", "u=-1", "u=", "u", "u=3.5", "u=10", "U=1", "i=1", "i=?2", "u =1", "x, y=2", ",,",
        "\"",
    ] {
        assert_eq!(parse(value), (3, false), "{value}");
    }
}

#[test]
fn early_priorities_are_kept_for_a_while() {
    let mut early = EarlyPriorities::default();
    let urgency = |urgency| Priority {
        urgency,
        incremental: false,
    };
    early.set(5, urgency(1));
    early.set(9, urgency(2));
    early.set(5, urgency(6));
    assert_eq!(early.take(3), None);
    assert_eq!(early.take(7), None, "5 will not be opened any more");
    assert_eq!(early.take(5), None);
    assert_eq!(early.take(9), Some(urgency(2)));
    for stream in 0..100 {
        early.set(11 + 2 * stream, urgency(0));
    }
    assert_eq!(early.streams.len(), EARLY_MAX);
    assert_eq!(early.take(11), None, "the oldest are forgotten");
}
