//! Addresses of this machine only, and sockets between them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Error, Result};

/// Client addresses that an attack may come from: one /20 or so of 127.0.0.0/8.
pub const SOURCES_MAX: u16 = 4000;

/// Descriptors that are not connections: epoll, standard streams, what the runtime holds.
const DESCRIPTORS_KEPT: u64 = 64;

/// A loopback address with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loopback(SocketAddr);

impl Loopback {
    /// # Errors
    /// [`Error::NotLoopback`].
    pub fn new(address: SocketAddr) -> Result<Loopback> {
        if address.ip().is_loopback() {
            return Ok(Loopback(address));
        }
        Err(Error::NotLoopback(address))
    }

    /// The address itself.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for Loopback {
    type Err = Error;

    fn from_str(text: &str) -> Result<Loopback> {
        let address = text
            .parse()
            .map_err(|_| Error::NotAnAddress(text.to_owned()))?;
        Loopback::new(address)
    }
}

/// The addresses that connections come from, in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources(u16);

impl Sources {
    pub(crate) fn new(count: u16, to: Loopback) -> Result<Sources> {
        crate::error::within("sources", count.into(), 1..=SOURCES_MAX.into())?;
        if count > 1 && to.get().is_ipv6() {
            return Err(Error::SourcesNeedIpv4(to.get()));
        }
        Ok(Sources(count))
    }

    /// None where the kernel chooses. 127.0.0.1 is not among them: it is left to honest clients,
    /// which so keep their ports and can be told apart.
    pub(crate) fn nth(self, serial: u64) -> Option<Ipv4Addr> {
        if self.0 == 1 {
            return None;
        }
        let at = (serial % u64::from(self.0)) as u16;
        let [high, low] = [1 + at / 250, 1 + at % 250];
        Some(Ipv4Addr::new(127, 0, high as u8, low as u8))
    }
}

/// Begins to connect, without waiting for the end of it.
pub(crate) fn connect(
    to: Loopback,
    sources: Sources,
    serial: u64,
    receive_buffer: Option<usize>,
) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(to.get()), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(size) = receive_buffer {
        // Before connecting, so that the window that is offered is small too.
        socket.set_recv_buffer_size(size)?;
    }
    if let Some(source) = sources.nth(serial) {
        // A port in TIME_WAIT may be used again.
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
    }
    match socket.connect(&to.get().into()) {
        Err(error) if !is_in_progress(&error) => Err(error),
        _ => Ok(socket),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::INPROGRESS)
}

/// A listening socket that does not block.
pub(crate) fn listen(address: Loopback, backlog: i32) -> Result<Socket> {
    let open = || {
        let kind = Type::STREAM.nonblocking().cloexec();
        let domain = Domain::for_address(address.get());
        let socket = Socket::new(domain, kind, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.get().into())?;
        socket.listen(backlog)?;
        Ok::<_, io::Error>(socket)
    };
    open().map_err(|error| Error::system(format!("listen on {}", address.get()), error))
}

/// Raises the soft limit of open files to the hard one.
///
/// # Errors
/// What the system says.
pub fn raise_descriptor_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| Error::system("raise the limit of open files", error))
}

/// How many connections this process may have at once.
pub fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile).current;
    // No limit at all: as many as there are ports for a few sources.
    let limit = limit.unwrap_or(1 << 20);
    limit.saturating_sub(DESCRIPTORS_KEPT).max(1)
}

#[cfg(test)]
mod tests;
