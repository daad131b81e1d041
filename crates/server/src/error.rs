//! The one error of starting and running a server.

use std::fmt;

use ajay_engine::{BindError, StartError};

use crate::router::RouteErrors;

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a server could not start or run. Its text is one sentence for a person.
pub struct Error {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Address(String),
    Start(StartError),
    DrainCut(usize),
    Routes(RouteErrors),
}

impl Error {
    pub(crate) fn address(message: String) -> Error {
        Error {
            kind: Kind::Address(message),
        }
    }

    // No `From`, which would make the engine's error a part of the public API.
    pub(crate) fn start(error: StartError) -> Error {
        Error {
            kind: Kind::Start(error),
        }
    }

    pub(crate) fn drain_cut(connections: usize) -> Error {
        Error {
            kind: Kind::DrainCut(connections),
        }
    }

    fn bind(&self) -> Option<&BindError> {
        match &self.kind {
            Kind::Start(StartError::Bind(error)) => Some(error),
            _ => None,
        }
    }

    /// The text given as an address is not one.
    pub fn is_invalid_address(&self) -> bool {
        matches!(self.kind, Kind::Address(_))
    }

    /// An address could not be listened on: in use, not of this machine, or not permitted.
    pub fn is_bind(&self) -> bool {
        self.bind().is_some()
    }

    /// Another program listens on an address.
    pub fn is_address_in_use(&self) -> bool {
        self.bind()
            .is_some_and(|error| error.io_error().kind() == std::io::ErrorKind::AddrInUse)
    }

    /// This machine does not have an address, or not its family.
    pub fn is_address_unavailable(&self) -> bool {
        use std::io::ErrorKind::{AddrNotAvailable, Unsupported};
        self.bind().is_some_and(|error| {
            // EAFNOSUPPORT has no kind of its own.
            matches!(error.io_error().kind(), AddrNotAvailable | Unsupported)
                || error.io_error().raw_os_error() == Some(97)
        })
    }

    /// The routes of a router contradict each other.
    pub fn is_routes(&self) -> bool {
        matches!(self.kind, Kind::Routes(_))
    }

    /// The server ran, and its drain ended with connections cut.
    pub fn is_drain_cut(&self) -> bool {
        matches!(self.kind, Kind::DrainCut(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Address(message) => f.write_str(message),
            Kind::Start(error) => error.fmt(f),
            Kind::Routes(errors) => errors.fmt(f),
            Kind::DrainCut(connections) => {
                write!(
                    f,
                    "{connections} connections were cut at the end of the drain"
                )
            }
        }
    }
}

// `fn main() -> ajayserver::Result<()>` prints this form: it should read like a sentence.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Start(error) => std::error::Error::source(error),
            Kind::Routes(errors) => Some(errors),
            Kind::Address(_) | Kind::DrainCut(_) => None,
        }
    }
}

impl From<RouteErrors> for Error {
    fn from(errors: RouteErrors) -> Error {
        Error {
            kind: Kind::Routes(errors),
        }
    }
}
