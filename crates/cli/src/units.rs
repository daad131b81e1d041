//! Durations, sizes and switches as people write them.

use std::time::Duration;

/// A value that may be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch<T> {
    Off,
    On(T),
}

impl<T> Switch<T> {
    pub(crate) fn into_option(self) -> Option<T> {
        match self {
            Switch::Off => None,
            Switch::On(value) => Some(value),
        }
    }
}

/// `off`, or what `parse` understands.
pub(crate) fn or_off<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Switch<T>, String> {
    match text {
        "off" => Ok(Switch::Off),
        text => parse(text).map(Switch::On),
    }
}

/// `500ms`, `10s`, `2m`, `1h`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let hint = || format!("`{text}` is not a time; write it as in 500ms, 10s, 2m or 1h");
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().map_err(|_| hint())?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    milliseconds.map(Duration::from_millis).ok_or_else(hint)
}

/// `4096`, `16k`, `4m`, `1g`: bytes, with powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let hint = || format!("`{text}` is not a size; write it in bytes, or as in 16k, 4m or 1g");
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().map_err(|_| hint())?;
    let factor = match unit.to_ascii_lowercase().trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err(hint()),
    };
    number.checked_mul(factor).ok_or_else(hint)
}

/// A size that fits a smaller type.
pub(crate) fn bytes_as<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    T::try_from(bytes(text)?).map_err(|_| format!("`{text}` is too large here"))
}

/// A number that fits its type.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a number that fits here"))
}

/// `true` or `false`.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is neither true nor false"))
}

fn split_unit(text: &str) -> (&str, &str) {
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(at)
}

#[cfg(test)]
mod tests;
