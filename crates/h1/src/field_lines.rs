//! Field lines up to the empty line: `*( field-line CRLF ) CRLF` (RFC 9112 §2.1, §5).
//!
//! Used for header sections and trailer sections. A line is pushed to the section as ranges while
//! it is scanned; the caller copies the bytes once, when the section is complete.
//!
//! Every verdict depends on the bytes up to one position only: see [`crate::request_line`].

use ajay_http::{FieldSection, KnownField, class};

use crate::{Violation, scan};

/// A field section being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldLines {
    /// Where the current line starts.
    line: u32,
    /// How far the current line was checked.
    checked: u32,
    /// The current line's name, if its colon has been seen.
    name: Option<Name>,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    len: u16,
    known: Option<KnownField>,
}

/// How many lines a section may have, and what breaks the rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineLimit {
    pub(crate) lines_max: u16,
    pub(crate) violation: Violation,
}

impl FieldLines {
    /// A section whose first line starts at `start`.
    pub(crate) const fn starting_at(start: u32) -> Self {
        Self {
            line: start,
            checked: start,
            name: None,
        }
    }

    /// How many bytes need not be looked at again, but for a bounded number at the end.
    #[cfg(test)]
    pub(crate) const fn checked(&self) -> u32 {
        self.checked
    }

    /// Reads on. Returns where the section ends, after its empty line, or `None` if it has not
    /// ended yet. Positions fit a `u32` because the caller bounds `input` by a limit that does.
    #[inline(always)]
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        section: &mut FieldSection,
        limit: LineLimit,
    ) -> Result<Option<usize>, Violation> {
        let mut rest = input.get(self.line as usize..).unwrap_or_default();
        if self.checked > self.line {
            let Some(next) = self.resume_line(input, rest, section, limit)? else {
                return Ok(None);
            };
            rest = next;
        }
        loop {
            match rest {
                [b'\r', b'\n', after @ ..] => return Ok(Some(input.len() - after.len())),
                [b'\r'] => return self.wait(input, rest, 0, None),
                [b'\r', ..] => return Err(Violation::BareCr),
                _ => {}
            }
            if let Some(next) = read_usual(input, rest, section, limit) {
                rest = next;
                continue;
            }
            match read_line(input, rest, None, 0, section, limit)? {
                Line::Complete(next) => rest = next,
                Line::Partial { checked, name } => return self.wait(input, rest, checked, name),
            }
        }
    }

    /// Reads on in a line that was incomplete; returns what follows it.
    #[cold]
    fn resume_line<'i>(
        &mut self,
        input: &'i [u8],
        rest: &'i [u8],
        section: &mut FieldSection,
        limit: LineLimit,
    ) -> Result<Option<&'i [u8]>, Violation> {
        let checked = (self.checked - self.line) as usize;
        match read_line(input, rest, self.name, checked, section, limit)? {
            Line::Complete(next) => Ok(Some(next)),
            Line::Partial { checked, name } => {
                self.wait(input, rest, checked, name)?;
                Ok(None)
            }
        }
    }

    /// Remembers where to go on: `checked` counts from the start of the line `rest` begins with.
    #[cold]
    fn wait(
        &mut self,
        input: &[u8],
        rest: &[u8],
        checked: usize,
        name: Option<Name>,
    ) -> Result<Option<usize>, Violation> {
        let line = (input.len() - rest.len()) as u32;
        *self = Self {
            line,
            checked: line + checked as u32,
            name,
        };
        Ok(None)
    }
}

/// What became of a line.
enum Line<'i> {
    /// It was added to the section; this follows it.
    Complete(&'i [u8]),
    /// It has not ended yet.
    Partial { checked: usize, name: Option<Name> },
}

/// Reads a line that is whole and as nearly all are: a known name, a good value between a space and
/// the line's end, and room for it. Whatever is not so, or not right, is left to [`read_line`], which judges it.
#[inline(always)]
fn read_usual<'i>(
    input: &[u8],
    rest: &'i [u8],
    section: &mut FieldSection,
    limit: LineLimit,
) -> Option<&'i [u8]> {
    let name = scan::find_name(rest)?;
    let (text, after) = rest.split_at_checked(name.len)?;
    let known = KnownField::from_end_words(text, name.first, name.last)?;
    let (_, after) = after.split_first()?;
    let (text, next) = after.split_at_checked(scan::find_control(input, after))?;
    let next = next.strip_prefix(b"\r\n")?;
    // No control character is among them: what is above a space is no whitespace.
    let (&[b' ', first, ..], &[.., last]) = (text, text) else {
        return None;
    };
    if first <= b' ' || last <= b' ' {
        return None;
    }
    if section.len() >= usize::from(limit.lines_max) {
        return None;
    }
    let line = input.len() - rest.len();
    section.push_line(
        line as u32,
        name.len as u16,
        (line + name.len + 2) as u32,
        text.len() as u32 - 1,
        Some(known),
    );
    Some(next)
}

/// Reads the line that `rest`, the end of `input`, starts with. If it was incomplete before, `name`
/// and `checked` say how far it was read.
#[inline(never)]
fn read_line<'i>(
    input: &[u8],
    rest: &'i [u8],
    name: Option<Name>,
    checked: usize,
    section: &mut FieldSection,
    limit: LineLimit,
) -> Result<Line<'i>, Violation> {
    let checked_in = |place: usize| checked.saturating_sub(place);
    let (Name { len, known }, after) = match name {
        Some(name) => (
            name,
            rest.get(usize::from(name.len) + 1..).unwrap_or_default(),
        ),
        None => {
            let unseen = rest.get(checked..).unwrap_or_default();
            let colon = checked + scan::find_colon(input, unseen);
            match rest.split_at_checked(colon) {
                Some((text, [b':', after @ ..])) => (parse_name(text)?, after),
                _ => {
                    check_name(rest, checked)?;
                    return Ok(Line::Partial {
                        checked: rest.len(),
                        name: None,
                    });
                }
            }
        }
    };
    let value_start = usize::from(len) + 1;
    let seen = if name.is_some() {
        checked_in(value_start)
    } else {
        0
    };
    let end = seen + scan::find_value_end(input, after.get(seen..).unwrap_or_default());
    let (text, next) = match after.split_at_checked(end) {
        Some((text, [b'\r', b'\n', next @ ..])) => (text, next),
        Some((_, [] | [b'\r'])) | None => {
            let name = Some(Name { len, known });
            return Ok(Line::Partial {
                checked: value_start + end,
                name,
            });
        }
        Some((_, [byte, ..])) => return Err(refuse_value(*byte)),
    };
    if section.len() >= usize::from(limit.lines_max) {
        return Err(limit.violation);
    }
    let (leading, value_len) = trim(text);
    let line = (input.len() - rest.len()) as u32;
    let value_start = line + (value_start + leading) as u32;
    section.push_line(line, len, value_start, value_len as u32, known);
    Ok(Line::Complete(next))
}

/// A known name has been compared and is a token; others are checked.
#[inline(always)]
fn parse_name(text: &[u8]) -> Result<Name, Violation> {
    let known = KnownField::from_name(text);
    if known.is_none() {
        check_unknown_name(text)?;
    }
    // Only with a head limit above 64 KiB can a name be longer than its length field.
    let len = u16::try_from(text.len()).map_err(|_| Violation::HeadTooLarge)?;
    Ok(Name { len, known })
}

fn check_unknown_name(text: &[u8]) -> Result<(), Violation> {
    check_name(text, 0)?;
    if text.is_empty() {
        return Err(Violation::FieldNameMissing);
    }
    if imitates_framing(text) {
        Err(Violation::FieldNameLookalike)
    } else {
        Ok(())
    }
}

/// Checks the bytes of a name, or of its beginning, from `from` on.
fn check_name(text: &[u8], from: usize) -> Result<(), Violation> {
    for (at, &byte) in text.iter().enumerate().skip(from) {
        if class::TCHAR[usize::from(byte)] {
            continue;
        }
        return Err(match byte {
            b' ' | b'\t' if at == 0 => Violation::LineFolded,
            b' ' | b'\t' => Violation::FieldNameSpace,
            b'\n' if at == 0 => Violation::BareLf,
            b'\r' | b'\n' => Violation::FieldColonMissing,
            _ => Violation::FieldNameInvalid,
        });
    }
    Ok(())
}

/// Whether a name is `Content-Length` or `Transfer-Encoding` to those who read `_` as `-`.
#[inline]
fn imitates_framing(name: &[u8]) -> bool {
    let separator = match name.len() {
        14 => name.get(7), // content_length
        17 => name.get(8), // transfer_encoding
        _ => return false,
    };
    separator == Some(&b'_')
        && (name.eq_ignore_ascii_case(b"content_length")
            || name.eq_ignore_ascii_case(b"transfer_encoding"))
}

#[cold]
const fn refuse_value(byte: u8) -> Violation {
    match byte {
        b'\r' => Violation::BareCr,
        b'\n' => Violation::BareLf,
        _ => Violation::FieldValueInvalid,
    }
}

/// How much whitespace leads the value in `text`, and the value's length without any.
#[inline(always)]
fn trim(text: &[u8]) -> (usize, usize) {
    let mut value = text;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    let leading = text.len() - value.len();
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    (leading, value.len())
}

#[cfg(test)]
mod tests;
