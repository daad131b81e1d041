//! The request head: request-line and header section, with the rules on `Host`.
//!
//! The parser resumes: bytes that were looked at are not looked at again when more arrive (but for
//! a bounded number at a line's end). Fields become ranges while they are scanned; when the head is
//! complete its bytes are copied once.

use ajay_http::{KnownField, Limits, RequestHead, Version};

use crate::{
    Violation,
    field_lines::{FieldLines, LineLimit},
    request_line::RequestLine,
    request_target,
};

/// Empty lines that are skipped before a request-line. RFC 9112 §2.2 asks for at least one, for
/// old clients that add CRLF after content; one more costs nothing.
const EMPTY_LINES_MAX: u8 = 2;

/// A request head being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadParser {
    stage: Stage,
    empty_lines: u8,
    begun: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    RequestLine(RequestLine),
    Fields(FieldLines),
}

/// How far the head is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Parsed {
    /// More bytes are needed; so many are done with (empty lines before the head).
    Partial(usize),
    /// The head is complete; so many bytes are done with.
    Complete(usize),
}

impl HeadParser {
    pub(crate) const fn new() -> Self {
        Self {
            stage: Stage::RequestLine(RequestLine::new()),
            empty_lines: 0,
            begun: false,
        }
    }

    /// Whether any byte was seen.
    pub(crate) const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether bytes of the head itself were seen, not only empty lines before it.
    pub(crate) const fn is_inside(&self) -> bool {
        !self.is_fresh()
    }

    /// Reads on. Until the head is complete, `input` starts with the same bytes each time, and
    /// `head` is the same.
    #[inline]
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        limits: &Limits,
        head: &mut RequestHead,
    ) -> Result<Parsed, Violation> {
        let mut skipped = 0;
        if self.is_fresh() {
            head.clear();
            if input.first() == Some(&b'\r') {
                skipped = self.skip_empty_lines(input)?;
                if input.get(skipped) == Some(&b'\r') {
                    return Ok(Parsed::Partial(skipped));
                }
            }
        }
        let rest = input.get(skipped..).unwrap_or_default();
        let window = rest.get(..limits.head_bytes_max as usize).unwrap_or(rest);
        let end = self.parse_window(window, limits, head)?;
        let Some(end) = end else {
            self.begun |= !input.is_empty();
            self.check_size(window, limits)?;
            return Ok(Parsed::Partial(skipped));
        };
        head.fields_mut()
            .set_bytes(window.get(..end).unwrap_or_default());
        check_host(head)?;
        Ok(Parsed::Complete(skipped + end))
    }

    #[inline]
    fn parse_window(
        &mut self,
        window: &[u8],
        limits: &Limits,
        head: &mut RequestHead,
    ) -> Result<Option<usize>, Violation> {
        let mut fields = match &mut self.stage {
            Stage::RequestLine(line) => {
                let Some(end) = line.parse(window, head, limits.target_bytes_max)? else {
                    return Ok(None);
                };
                FieldLines::starting_at(end as u32)
            }
            Stage::Fields(fields) => *fields,
        };
        let limit = LineLimit {
            lines_max: limits.field_lines_max,
            violation: Violation::TooManyFieldLines,
        };
        let end = fields.parse(window, head.fields_mut(), limit)?;
        if end.is_none() {
            self.stage = Stage::Fields(fields);
        }
        Ok(end)
    }

    /// An incomplete head that fills the window is too large.
    #[cold]
    fn check_size(&self, window: &[u8], limits: &Limits) -> Result<(), Violation> {
        if window.len() < limits.head_bytes_max as usize {
            return Ok(());
        }
        match &self.stage {
            Stage::RequestLine(line) if line.is_in_target() => Err(Violation::TargetTooLong),
            _ => Err(Violation::HeadTooLarge),
        }
    }

    /// Skips empty lines; returns how many bytes they have. A lone CR at the end stays.
    #[cold]
    fn skip_empty_lines(&mut self, input: &[u8]) -> Result<usize, Violation> {
        self.begun = true;
        let mut at = 0;
        while input.get(at) == Some(&b'\r') {
            match input.get(at + 1) {
                Some(b'\n') => at += 2,
                Some(_) => return Err(Violation::BareCr),
                None => break,
            }
            self.empty_lines += 1;
            if self.empty_lines > EMPTY_LINES_MAX {
                return Err(Violation::TooManyEmptyLines);
            }
        }
        Ok(at)
    }

    #[inline]
    const fn is_fresh(&self) -> bool {
        matches!(
            self.stage,
            Stage::RequestLine(RequestLine::Method { checked: 0 })
        )
    }

    /// How many bytes of the head need not be looked at again.
    #[cfg(test)]
    fn checked(&self) -> u32 {
        match &self.stage {
            Stage::RequestLine(line) => line.checked(),
            Stage::Fields(fields) => fields.checked(),
        }
    }
}

/// `Host`: exactly one in HTTP/1.1, and valid wherever it is (RFC 9112 §3.2).
///
/// An empty value is meant for URIs without authority (§3.2), which `http` and `https` do not have
/// (RFC 9110 §4.2.1): it is refused, but for HTTP/1.0, where the whole field is optional.
#[inline]
fn check_host(head: &RequestHead) -> Result<(), Violation> {
    let is_http10 = head.version() == Version::HTTP_10;
    let mut hosts = head.fields().get_all(KnownField::Host);
    let Some(host) = hosts.next() else {
        return if is_http10 {
            Ok(())
        } else {
            Err(Violation::HostMissing)
        };
    };
    if hosts.next().is_some() {
        return Err(Violation::HostRepeated);
    }
    match request_target::authority(host) {
        Some(authority) if !authority.host_is_empty => Ok(()),
        Some(_) if host.is_empty() && is_http10 => Ok(()),
        _ => Err(Violation::HostInvalid),
    }
}

#[cfg(test)]
mod tests;
