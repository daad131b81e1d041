//! Started by systemd: listening sockets that it passes (sd_listen_fds(3)), and what it is told
//! (sd_notify(3), in [`notify`]).
//!
//! A socket that was passed to us belongs to whoever passed it, and outlives us. All workers
//! accept from it through duplicates of one descriptor. A drain takes what waits in its queue and
//! leaves it as it was, for our successor.

mod notify;

use std::fmt;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

use crate::config::SocketOptions;
use crate::inherit::{AdoptError, adopt};
use crate::listener::{BindError, ListenAddr, Listening, Unfit, listen_on_passed};

pub(crate) use notify::Notifier;

/// The first number of a passed descriptor: `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;

/// The name of a socket whose unit gives it none, and that is passed without names.
const UNNAMED: &str = "unknown";

/// Makes listeners of the sockets that were passed: of all, or of those with this name.
pub(crate) fn listen(
    name: Option<&str>,
    workers: usize,
    options: &SocketOptions,
) -> Result<Vec<Listening>, BindError> {
    let address = ListenAddr::Systemd(name.map(str::to_owned));
    let fail = |error: io::Error| BindError::new(&address, error);
    let variable = |name: &str| std::env::var(name).ok();
    let passed = Passed::read(variable, std::process::id()).map_err(|error| fail(error.into()))?;
    let sockets = passed.adopt().map_err(|error| fail(error.into()))?;
    let wanted: Vec<_> = sockets
        .filter(|(socket_name, _)| name.is_none_or(|name| name == *socket_name))
        .collect();
    if wanted.is_empty() {
        let names = passed.names.join(", ");
        return Err(fail(ActivationError::NoneOfThatName { names }.into()));
    }
    wanted
        .into_iter()
        .map(|(name, socket)| listeners_on(name, socket, workers, options).map_err(fail))
        .collect()
}

/// Why there is no socket from systemd to listen on.
#[derive(Debug, PartialEq, Eq)]
enum ActivationError {
    NotPassed,
    OtherProcess { pid: u32 },
    Malformed { variable: &'static str },
    NotOpen { number: RawFd },
    AdoptedBefore,
    NoneOfThatName { names: String },
    NotASocket { name: String },
    NotListening { name: String },
    OtherFamily { name: String },
}

impl fmt::Display for ActivationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActivationError::NotPassed => f.write_str(
                "no sockets were passed to this process (LISTEN_PID and LISTEN_FDS are not set); \
                 start it through its .socket unit",
            ),
            ActivationError::OtherProcess { pid } => write!(
                f,
                "sockets were passed to another process (LISTEN_PID is {pid}, and this is {})",
                std::process::id()
            ),
            ActivationError::Malformed { variable } => {
                write!(f, "the environment variable {variable} makes no sense")
            }
            ActivationError::NotOpen { number } => {
                write!(
                    f,
                    "descriptor {number} should have been passed, and is not open"
                )
            }
            ActivationError::AdoptedBefore => {
                f.write_str("other descriptors were taken over before")
            }
            ActivationError::NoneOfThatName { names } => {
                write!(f, "no socket of that name was passed; there are: {names}")
            }
            ActivationError::NotASocket { name } => {
                write!(f, "what was passed as `{name}` is not a socket")
            }
            ActivationError::NotListening { name } => write!(
                f,
                "the socket passed as `{name}` does not listen for connections (its unit needs \
                 ListenStream= and Accept=no)"
            ),
            ActivationError::OtherFamily { name } => write!(
                f,
                "the socket passed as `{name}` is neither an IP nor a Unix socket"
            ),
        }
    }
}

impl std::error::Error for ActivationError {}

impl From<ActivationError> for io::Error {
    fn from(error: ActivationError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

/// What the environment says was passed to this process: a name for each descriptor from
/// [`FIRST`] up.
#[derive(Debug, PartialEq, Eq)]
struct Passed {
    names: Vec<String>,
}

impl Passed {
    fn read(
        variable: impl Fn(&str) -> Option<String>,
        our_pid: u32,
    ) -> Result<Passed, ActivationError> {
        let (Some(pid), Some(count)) = (variable("LISTEN_PID"), variable("LISTEN_FDS")) else {
            return Err(ActivationError::NotPassed);
        };
        let malformed = |variable| ActivationError::Malformed { variable };
        let pid = pid.parse().map_err(|_| malformed("LISTEN_PID"))?;
        if pid != our_pid {
            return Err(ActivationError::OtherProcess { pid });
        }
        let count: u16 = count.parse().map_err(|_| malformed("LISTEN_FDS"))?;
        let names: Vec<String> = match variable("LISTEN_FDNAMES") {
            Some(names) => names.split(':').map(str::to_owned).collect(),
            None => vec![UNNAMED.to_owned(); usize::from(count)],
        };
        match usize::from(count) {
            0 => Err(ActivationError::NotPassed),
            count if count != names.len() => Err(malformed("LISTEN_FDNAMES")),
            _ => Ok(Passed { names }),
        }
    }

    /// The descriptors with their names.
    fn adopt(&self) -> Result<impl Iterator<Item = (&str, &'static OwnedFd)>, ActivationError> {
        let count = RawFd::try_from(self.names.len()).unwrap_or(0);
        let sockets = adopt(FIRST..FIRST + count).map_err(|error| match error {
            AdoptError::NotOpen(number) => ActivationError::NotOpen { number },
            AdoptError::Others => ActivationError::AdoptedBefore,
        })?;
        Ok(self.names.iter().map(String::as_str).zip(sockets))
    }
}

/// A listener for each worker on one socket that was passed.
fn listeners_on(
    name: &str,
    descriptor: &OwnedFd,
    workers: usize,
    options: &SocketOptions,
) -> io::Result<Listening> {
    listen_on_passed(descriptor, workers, options).map_err(|unfit| {
        let name = name.to_owned();
        let error = match unfit {
            Unfit::NotASocket => ActivationError::NotASocket { name },
            Unfit::NotListening => ActivationError::NotListening { name },
            Unfit::OtherFamily => ActivationError::OtherFamily { name },
            Unfit::System(error) => return error,
        };
        error.into()
    })
}

#[cfg(test)]
mod tests;
