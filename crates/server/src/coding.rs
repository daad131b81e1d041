//! Content codings, and which of them the client prefers (RFC 9110 §8.4.1, §12.5.3).

use ajay_engine::{FieldSection, KnownField};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// As in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What is added to a file's name.
    #[cfg(feature = "files")]
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }
}

/// Those of `offered` that the client accepts at least as much as none, best first: the order of
/// `offered` decides between those that it likes as much.
pub(crate) fn accepted<const N: usize>(
    fields: &FieldSection,
    offered: [Coding; N],
) -> impl Iterator<Item = Coding> + use<N> {
    let mut found = offered.map(|coding| (quality(fields, coding.name()), coding));
    // Stable, so that the order stays.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_and_then_the_order() {
        use Coding::{Brotli, Gzip, Zstd};
        let cases: [(&str, &[Coding]); 17] = [
            ("", &[]),
            ("identity", &[]),
            ("gzip", &[Gzip]),
            ("GZip", &[Gzip]),
            ("x-gzip", &[Gzip]),
            ("deflate, compress", &[]),
            ("gzip, deflate, br, zstd", &[Zstd, Brotli, Gzip]),
            ("gzip;q=1.0, br;q=0.8, zstd;q=0", &[Gzip, Brotli]),
            ("gzip ; q=0.5 , br ; Q=0.501", &[Brotli, Gzip]),
            ("*", &[Zstd, Brotli, Gzip]),
            ("*;q=0.1, gzip;q=0.5", &[Gzip, Zstd, Brotli]),
            ("*, zstd;q=0", &[Brotli, Gzip]),
            ("*;q=0", &[]),
            ("identity;q=0.5, gzip;q=0.4, br;q=0.5", &[Brotli]),
            ("identity;q=0", &[]),
            // No weights.
            ("gzip;q=1.5, br;q=0.1234, zstd;p=1", &[]),
            (",, gzip;q=0.9,", &[Gzip]),
        ];
        for (value, expected) in cases {
            let mut fields = FieldSection::new();
            fields.append("Accept-Encoding", value).expect("a field");
            let found: Vec<Coding> = accepted(&fields, [Zstd, Brotli, Gzip]).collect();
            assert_eq!(found, expected, "{value}");
        }
        assert_eq!(accepted(&FieldSection::new(), [Gzip]).count(), 0);
        let mut fields = FieldSection::new();
        for line in ["br;q=0.2", "gzip"] {
            fields.append("Accept-Encoding", line).expect("a field");
        }
        let found: Vec<Coding> = accepted(&fields, [Zstd, Brotli, Gzip]).collect();
        assert_eq!(found, [Gzip, Brotli]);
    }
}
