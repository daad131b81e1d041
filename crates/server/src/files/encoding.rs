//! Which coding of a file the client prefers (RFC 9110 §12.5.3).

use ajay_engine::{FieldSection, KnownField};

/// A content coding that files are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// The smallest first.
    const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// As in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What is added to a file's name.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }
}

/// The codings that the client accepts at least as much as none, best first.
pub(super) fn accepted(fields: &FieldSection) -> impl Iterator<Item = Coding> {
    let mut found = Coding::ALL.map(|coding| (quality(fields, coding.name()), coding));
    // Stable: among those that the client likes as much, ours decides.
    found.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    let found = found.into_iter();
    let identity = quality(fields, "identity");
    found
        .filter(move |(quality, _)| *quality > 0 && *quality >= identity)
        .map(|(_, coding)| coding)
}

/// The weight of a coding in thousandths. `identity` that is not named counts least of all that
/// are accepted.
fn quality(fields: &FieldSection, coding: &str) -> u16 {
    let mut any = None;
    for line in fields.get_all(KnownField::AcceptEncoding) {
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        for element in line.split(',') {
            let (name, weight) = match element.split_once(';') {
                Some((name, parameters)) => (name.trim(), weight(parameters)),
                None => (element.trim(), 1000),
            };
            let is_named = name.eq_ignore_ascii_case(coding)
                || coding == "gzip" && name.eq_ignore_ascii_case("x-gzip");
            if is_named {
                return weight;
            }
            if name == "*" && coding != "identity" {
                any = Some(weight);
            }
        }
    }
    any.unwrap_or(0)
}

/// `;q=0.5` in thousandths (§12.4.2); nothing for what is no weight.
fn weight(parameters: &str) -> u16 {
    let weight = || {
        let (name, value) = parameters.trim().split_once('=')?;
        let value = name
            .trim()
            .eq_ignore_ascii_case("q")
            .then(|| value.trim())?;
        let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
        let digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || decimals.len() > 3 {
            return None;
        }
        let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
        match whole {
            "0" => Some(thousandths),
            "1" if thousandths == 0 => Some(1000),
            _ => None,
        }
    };
    weight().unwrap_or(0)
}
