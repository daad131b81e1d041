//! Priorities (RFC 9218): the `Priority` field and PRIORITY_UPDATE frames.

use ajay_http::class;

/// How urgent a response is, and whether its parts are of use one by one (RFC 9218 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Priority {
    /// From 0, the most urgent, to 7.
    pub urgency: u8,
    /// Whether it shares the connection with others of its urgency instead of taking turns.
    pub incremental: bool,
}

/// The least urgent.
pub(crate) const URGENCY_MAX: u8 = 7;

impl Default for Priority {
    fn default() -> Self {
        Self {
            urgency: 3,
            incremental: false,
        }
    }
}

impl Priority {
    /// Takes over what a priority field value says: a dictionary of structured fields (RFC 8941
    /// §3.2), of which `u` and `i` are known. Members that are unknown, out of range or of another
    /// type are ignored (RFC 9218 §4); so is what is no dictionary at all.
    pub fn update(&mut self, value: &[u8]) {
        for member in class::list_elements(value) {
            // Parameters mean nothing here.
            let member = member
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default();
            match class::trim_ows(member) {
                [b'u', b'=', digit @ b'0'..=b'7'] => self.urgency = digit - b'0',
                b"i" | b"i=?1" => self.incremental = true,
                b"i=?0" => self.incremental = false,
                _ => {}
            }
        }
    }
}

/// What PRIORITY_UPDATE said about streams that are not open yet (RFC 9218 §7.1).
#[derive(Clone, Debug, Default)]
pub struct EarlyPriorities {
    streams: Vec<(u64, Priority)>,
}

/// A client tells a priority before its request only if the two cross on their way; more than a few
/// at a time have no use.
const EARLY_MAX: usize = 16;

impl EarlyPriorities {
    /// Remembers a priority; forgets the oldest if there are too many.
    pub fn set(&mut self, stream: u64, priority: Priority) {
        self.streams.retain(|(known, _)| *known != stream);
        if self.streams.len() >= EARLY_MAX {
            self.streams.remove(0);
        }
        self.streams.push((stream, priority));
    }

    /// The priority of a stream that is opened now. Those before it will never be.
    #[inline]
    pub fn take(&mut self, stream: u64) -> Option<Priority> {
        if self.streams.is_empty() {
            return None;
        }
        let found = self.streams.iter().find(|(known, _)| *known == stream);
        let priority = found.map(|(_, priority)| *priority);
        self.streams.retain(|(known, _)| *known > stream);
        priority
    }
}

#[cfg(test)]
mod tests;
