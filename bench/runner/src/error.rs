//! What stops the runner: the user, or something it tells the user.

use std::fmt;

#[derive(Debug)]
pub enum Error {
    /// Ctrl-C or SIGTERM.
    Interrupted,
    Message(String),
}

pub type Result<T> = std::result::Result<T, Error>;

/// An error with a message made like `format!`.
macro_rules! fail {
    ($($part:tt)*) => { $crate::error::Error::Message(format!($($part)*)) };
}
pub(crate) use fail;

pub trait Context<T> {
    /// Says what was being done when it failed.
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| fail!("{}: {e}", doing()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => write!(f, "interrupted"),
            Self::Message(message) => write!(f, "{message}"),
        }
    }
}
