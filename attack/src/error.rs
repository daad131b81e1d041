//! What can be wrong with a plan or with the machine. What a server does is never an error: it is
//! counted.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

/// Why something was not done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address is another machine's, or every machine's.
    NotLoopback(SocketAddr),
    /// Not an address with a port.
    NotAnAddress(String),
    /// A number outside its bounds.
    OutOfBounds {
        /// Which number.
        what: &'static str,
        /// What was given.
        given: u64,
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
    },
    /// More than one source address on IPv6, which has one loopback address.
    SourcesNeedIpv4(SocketAddr),
    /// A call to the system failed.
    System {
        /// What was tried.
        doing: String,
        /// What the system said.
        error: io::Error,
    },
    /// A program could not be started, or did not do what it is for.
    Program {
        /// Its name.
        name: String,
        /// What happened.
        problem: String,
    },
    /// A thread of ours panicked.
    Panicked,
}

impl Error {
    pub(crate) fn system(doing: impl Into<String>, error: impl Into<io::Error>) -> Error {
        Error::System {
            doing: doing.into(),
            error: error.into(),
        }
    }

    pub(crate) fn program(name: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Program {
            name: name.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotLoopback(address) => write!(
                f,
                "{address} is not a loopback address; attacks go to this machine only"
            ),
            Error::NotAnAddress(text) => {
                write!(
                    f,
                    "{text:?} is not an address with a port, as in 127.0.0.1:8080"
                )
            }
            Error::OutOfBounds {
                what,
                given,
                min,
                max,
            } => write!(f, "{given} {what}: must be {min} to {max}"),
            Error::SourcesNeedIpv4(address) => {
                write!(f, "{address}: IPv6 has one loopback address to come from")
            }
            Error::System { doing, error } => write!(f, "cannot {doing}: {error}"),
            Error::Program { name, problem } => write!(f, "{name}: {problem}"),
            Error::Panicked => f.write_str("a thread panicked"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::System { error, .. } => Some(error),
            _ => None,
        }
    }
}

pub(crate) fn within(
    what: &'static str,
    given: u64,
    bounds: RangeInclusive<u64>,
) -> crate::Result<()> {
    if bounds.contains(&given) {
        return Ok(());
    }
    Err(Error::OutOfBounds {
        what,
        given,
        min: *bounds.start(),
        max: *bounds.end(),
    })
}
