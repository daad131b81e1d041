//! `Range` (RFC 9110 §14).

use std::ops::Range;

use super::Selection;

/// More ranges than this in one field are not looked at: nobody needs them but who wants many
/// parts for one request.
pub const RANGES_MAX: usize = 32;

/// Two ranges that are not further apart are sent as one: a part of its own takes about as much
/// (RFC 9110 §15.3.7.2).
const GAP_MAX: u64 = 80;

/// Ranges of content: at least one, none empty, none overlapping another, in the order in which
/// they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    ranges: Vec<Range<u64>>,
    len: u64,
}

impl Ranges {
    /// The range, if it is one alone.
    pub fn single(&self) -> Option<Range<u64>> {
        match &self.ranges[..] {
            [range] => Some(range.clone()),
            _ => None,
        }
    }

    /// All ranges of bytes, the first byte's place and the place after the last.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.ranges.iter().cloned()
    }

    /// The length of the content that they are ranges of.
    pub fn content_len(&self) -> u64 {
        self.len
    }

    /// Adds a range, or makes another larger that it touches.
    fn add(&mut self, mut range: Range<u64>) {
        let touches = |other: &Range<u64>, range: &Range<u64>| {
            other.start <= range.end.saturating_add(GAP_MAX)
                && range.start <= other.end.saturating_add(GAP_MAX)
        };
        // A range that has grown may touch one that it did not touch before.
        let mut place = self.ranges.len();
        while let Some(at) = self.ranges.iter().position(|it| touches(it, &range)) {
            let other = self.ranges.remove(at);
            range = range.start.min(other.start)..range.end.max(other.end);
            place = place.min(at);
        }
        self.ranges.insert(place.min(self.ranges.len()), range);
    }
}

/// What a value of `Range` asks for of content of `len` bytes: [`Selection::Ranges`],
/// [`Selection::NotSatisfiable`], or [`Selection::Whole`] where the field is to be ignored.
///
/// ```
/// # use ajayserver::conditional::{Selection, parse_ranges};
/// let Selection::Ranges(ranges) = parse_ranges(b"bytes=0-499, -500", 10_000) else {
///     panic!()
/// };
/// assert!(ranges.iter().eq([0..500, 9_500..10_000]));
/// ```
pub fn parse_ranges(value: &[u8], len: u64) -> Selection {
    let ranges = match parse(value, len) {
        Some(ranges) => ranges,
        None => return Selection::Whole,
    };
    match ranges.ranges.is_empty() {
        true => Selection::NotSatisfiable,
        false => Selection::Ranges(ranges),
    }
}

/// Those that lie in the content; none if the field is to be ignored.
fn parse(value: &[u8], len: u64) -> Option<Ranges> {
    let (unit, set) = value.split_at_checked("bytes=".len())?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let mut ranges = Ranges {
        ranges: Vec::new(),
        len,
    };
    let mut count = 0;
    for spec in set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        // A list may have empty elements (§5.6.1.2).
        if spec.is_empty() {
            continue;
        }
        count += 1;
        if count > RANGES_MAX {
            return None;
        }
        let dash = spec.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (&spec[..dash], &spec[dash + 1..]);
        let range = match (first, last) {
            ([], []) => return None,
            ([], suffix) => suffix_range(position(suffix)?, len)?,
            (first, []) => position(first)?..len,
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                if last < first {
                    return None;
                }
                first..last.saturating_add(1).min(len)
            }
        };
        if range.start < range.end {
            ranges.add(range);
        }
    }
    (count > 0).then_some(ranges)
}

/// The last `suffix` bytes. Of content that is empty they are all of it, which no 206 can say: the
/// field is ignored then.
fn suffix_range(suffix: u64, len: u64) -> Option<Range<u64>> {
    match (suffix, len) {
        (0, _) => Some(0..0),
        (_, 0) => None,
        _ => Some(len.saturating_sub(suffix)..len),
    }
}

/// A position of any number of digits: those above `u64` are beyond any content.
fn position(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(value.saturating_mul(10).saturating_add(digit))
    })
}

/// The value of `Content-Range` (RFC 9110 §14.4).
pub(super) fn content_range(range: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", range.start, range.end - 1)
}
