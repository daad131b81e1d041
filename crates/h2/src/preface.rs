//! The client's connection preface (RFC 9113 §3.4).

/// What an HTTP/2 connection begins with; SETTINGS follow it.
pub(crate) const CLIENT_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the first bytes of a connection are HTTP/2's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Preface {
    /// They are.
    Yes,
    /// They are another protocol's.
    No,
    /// They are a beginning of HTTP/2's: more are needed.
    Partial,
}

impl Preface {
    /// Looks at the first bytes of a connection, to tell HTTP/2 with prior knowledge (§3.3) from
    /// HTTP/1 on the same port. No byte of it is consumed: [`Connection`](crate::Connection) reads
    /// them again.
    ///
    /// No request of HTTP/1 begins so: `PRI` is reserved, and no server implements it.
    #[must_use]
    pub fn find(input: &[u8]) -> Self {
        let len = input.len().min(CLIENT_PREFACE.len());
        if input.get(..len) != CLIENT_PREFACE.get(..len) {
            Self::No
        } else if len == CLIENT_PREFACE.len() {
            Self::Yes
        } else {
            Self::Partial
        }
    }
}

#[cfg(test)]
mod tests;
