//! Flow control (RFC 9113 §5.2, §6.9).
//!
//! Content is counted twice, for its stream and for the connection. What the peer may send follows
//! the reader: bytes are given back when the application has used them ([`ReceiveWindow::release`]),
//! in batches of half a window. How large the windows are follows the link ([`Tuner`]).

/// The largest window (§6.9.1).
pub(crate) const WINDOW_MAX: u32 = (1 << 31) - 1;
/// Every window before settings and updates (§6.9.2).
pub(crate) const WINDOW_INITIAL: u32 = 65_535;

/// What we may send. Negative after the peer has made its initial window smaller (§6.9.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SendWindow(i32);

impl SendWindow {
    /// A window of so many bytes, at most [`WINDOW_MAX`].
    pub(crate) const fn new(bytes: u32) -> Self {
        Self(if bytes > WINDOW_MAX {
            i32::MAX
        } else {
            bytes as i32
        })
    }

    /// How many bytes may be sent.
    #[inline]
    pub(crate) const fn bytes(self) -> u32 {
        if self.0 < 0 { 0 } else { self.0 as u32 }
    }

    /// Accounts for bytes that are sent, no more than there are.
    #[inline]
    pub(crate) const fn take(&mut self, len: u32) {
        self.0 = self.0.saturating_sub_unsigned(len);
    }

    /// Accounts for WINDOW_UPDATE, or for a change of the initial window; says whether the window is
    /// still one (§6.9.1, §6.9.2).
    #[inline]
    #[must_use]
    pub(crate) fn change(&mut self, by: i64) -> bool {
        match i32::try_from(i64::from(self.0) + by) {
            Ok(window) => {
                self.0 = window;
                true
            }
            Err(_) => false,
        }
    }
}

/// What the peer may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ReceiveWindow {
    /// What it may send now.
    available: u32,
    /// What it may send when everything is released.
    size: u32,
    /// Released and not told yet.
    ///
    /// INVARIANT: `available + released <= size`, for only what was received is released.
    released: u32,
}

impl ReceiveWindow {
    pub(crate) const fn new(size: u32) -> Self {
        Self {
            available: size,
            size,
            released: 0,
        }
    }

    /// What the peer may send now.
    #[inline]
    pub(crate) const fn available(&self) -> u32 {
        self.available
    }

    /// Accounts for bytes that came; says whether they were allowed.
    #[inline]
    #[must_use]
    pub(crate) const fn receive(&mut self, len: u32) -> bool {
        match self.available.checked_sub(len) {
            Some(available) => {
                self.available = available;
                true
            }
            None => false,
        }
    }

    /// Gives back bytes that were used.
    #[inline]
    pub(crate) fn release(&mut self, len: u32) {
        let outstanding = self.size - self.available - self.released;
        self.released += len.min(outstanding);
    }

    /// The increment that is to be told, once it is half of the window: an update for every frame
    /// would cost more than it gives. The window grows to `size` with it, if that is larger.
    #[inline]
    pub(crate) fn update(&mut self, size: u32) -> Option<u32> {
        let size = size.max(self.size);
        let increment = self.released + (size - self.size);
        if increment < size / 2 || increment == 0 {
            return None;
        }
        self.released = 0;
        self.size = size;
        self.available += increment;
        Some(increment)
    }
}

/// Finds out how large windows must be.
///
/// A window must hold what a link carries in a round trip, or the peer waits for updates. So a PING
/// measures a round trip, and if two thirds of a stream's window were read in it, the window is what
/// holds the peer back, and it doubles, up to a bound. No clock is needed. A handler that does not
/// read gets no larger window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuner {
    stream: u32,
    connection: u32,
    /// Bytes released since the PING was sent, or since its answer came.
    released: u32,
    probing: bool,
}

impl Tuner {
    pub(crate) const fn new(stream: u32, connection: u32) -> Self {
        Self {
            stream,
            connection,
            released: 0,
            probing: false,
        }
    }

    /// The size of a stream's window.
    #[inline]
    pub(crate) const fn stream(&self) -> u32 {
        self.stream
    }

    /// The size of the connection's window.
    #[inline]
    pub(crate) const fn connection(&self) -> u32 {
        self.connection
    }

    /// Accounts for bytes that were used; says whether a PING is to be sent.
    #[inline]
    pub(crate) fn release(&mut self, len: u32, maxima: (u32, u32)) -> bool {
        self.released = self.released.saturating_add(len);
        let is_at_maximum = self.stream >= maxima.0 && self.connection >= maxima.1;
        // Small uploads are over before a larger window would help.
        if self.probing || is_at_maximum || self.released < self.stream / 2 {
            return false;
        }
        self.probing = true;
        self.released = 0;
        true
    }

    /// The answer to a PING has come; says whether one was sent.
    pub(crate) fn answer(&mut self, maxima: (u32, u32)) -> bool {
        if !self.probing {
            return false;
        }
        if u64::from(self.released) * 3 >= u64::from(self.stream) * 2 {
            self.stream = self.stream.saturating_mul(2).min(maxima.0).max(self.stream);
            self.connection = self
                .connection
                .saturating_mul(2)
                .min(maxima.1)
                .max(self.connection);
        }
        self.probing = false;
        self.released = 0;
        true
    }
}

#[cfg(test)]
mod tests;
