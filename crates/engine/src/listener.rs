//! Sockets that accept.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use socket2::{Domain, Protocol, SockAddr, SockFilter, SockRef, Socket, TcpKeepalive, Type};

use crate::config::SocketOptions;
use crate::quic::socket::Udp;
use crate::systemd;

/// Where to listen: `127.0.0.1:8080`, `[::1]:8080`, `:8080` (every IPv4 and IPv6 address),
/// `unix:/run/app.sock`, or `systemd` and `systemd:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddr {
    /// An IP address and TCP port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A TCP port on every IPv4 and IPv6 address, through one socket.
    TcpAny(u16),
    /// The path of a Unix socket. A socket file that nobody listens on is replaced.
    Unix(PathBuf),
    /// The sockets that systemd passes to this process: all, or those with this name
    /// (`FileDescriptorName=`). Once bound, each stands in its own form.
    Systemd(Option<String>),
    /// A Unix socket that was passed to this process, with its path: its file is not ours to
    /// remove. Only among addresses that are bound.
    Inherited(PathBuf),
}

impl ListenAddr {
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self, ListenAddr::Tcp(_) | ListenAddr::TcpAny(_))
    }

    /// Whether the system chooses the port.
    pub(crate) fn has_any_port(&self) -> bool {
        match self {
            ListenAddr::Tcp(address) => address.port() == 0,
            ListenAddr::TcpAny(port) => *port == 0,
            _ => false,
        }
    }
}

impl FromStr for ListenAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenAddr, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err("`unix:` needs a path, as in `unix:/run/app.sock`".to_owned());
            }
            return Ok(ListenAddr::Unix(PathBuf::from(path)));
        }
        match text.strip_prefix("systemd") {
            Some("") => return Ok(ListenAddr::Systemd(None)),
            Some(":") => {
                return Err("`systemd:` needs a name, as in `systemd:web`".to_owned());
            }
            Some(rest) if rest.starts_with(':') => {
                return Ok(ListenAddr::Systemd(Some(rest[1..].to_owned())));
            }
            _ => {}
        }
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| bad_address(text))?;
            return Ok(ListenAddr::TcpAny(port));
        }
        text.parse()
            .map(ListenAddr::Tcp)
            .map_err(|_| bad_address(text))
    }
}

fn bad_address(text: &str) -> String {
    let hint = "an address is an IP address and a port, as in `127.0.0.1:8080`, `[::1]:8080` or \
                `:8080`, or `unix:` and a path, or `systemd`";
    format!("`{text}` is not an address to listen on: {hint}")
}

impl From<SocketAddr> for ListenAddr {
    fn from(address: SocketAddr) -> ListenAddr {
        ListenAddr::Tcp(address)
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddr::Tcp(address) => address.fmt(f),
            ListenAddr::TcpAny(port) => write!(f, "*:{port}"),
            ListenAddr::Unix(path) | ListenAddr::Inherited(path) => {
                write!(f, "unix:{}", path.display())
            }
            ListenAddr::Systemd(None) => f.write_str("systemd"),
            ListenAddr::Systemd(Some(name)) => write!(f, "systemd:{name}"),
        }
    }
}

/// Why a listener could not be made.
#[derive(Debug)]
pub struct BindError {
    address: String,
    error: io::Error,
}

impl BindError {
    pub(crate) fn new(address: impl fmt::Display, error: io::Error) -> BindError {
        BindError {
            address: address.to_string(),
            error,
        }
    }

    /// What the system said.
    pub fn io_error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => f.write_str("another program is listening there"),
            io::ErrorKind::AddrNotAvailable => {
                f.write_str("this machine does not have that address")
            }
            io::ErrorKind::PermissionDenied => f.write_str(
                "permission denied (ports below 1024 need root or the capability \
                 CAP_NET_BIND_SERVICE; a socket file needs a directory you may write to)",
            ),
            _ => self.error.fmt(f),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// All sockets of one worker.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) udp: Vec<Udp>,
}

/// A listening socket of one worker.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: OwnedFd,
    pub(crate) local: Local,
    /// Somebody else keeps the socket when we end, and what we do to it is done to them.
    pub(crate) outlives_us: bool,
    /// Which of the places to listen on this belongs to: what its connections speak.
    pub(crate) entry: usize,
}

/// An address that is bound, with a listener for each worker.
pub(crate) type Listening = (ListenAddr, Vec<Listener>);

impl Listener {
    /// A listening socket that another process of this server has made, with its address.
    pub(crate) fn adopt(
        socket: OwnedFd,
        outlives_us: bool,
        entry: usize,
    ) -> io::Result<(ListenAddr, Listener)> {
        let (address, local) = address_of(&SockRef::from(&socket))?;
        let listener = Listener {
            socket,
            local,
            outlives_us,
            entry,
        };
        Ok((address, listener))
    }

    /// Lets no new connection in, and keeps those that have arrived: closing a listening socket
    /// resets what is still in its queue, and between the last `accept` and `close` there is
    /// always room for one more.
    ///
    /// Over TCP, a connection attempt finds no answer, and is refused when it is repeated after
    /// the socket is closed; a handshake that had begun can still end. At a Unix socket it is
    /// refused at once. A socket that outlives us is left alone: whoever comes while we close it
    /// waits in its queue for our successor.
    pub(crate) fn turn_away(&self) -> io::Result<()> {
        if self.outlives_us {
            return Ok(());
        }
        if let Local::Unix = self.local {
            rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read)?;
            return Ok(());
        }
        socket2::SockRef::from(&self.socket).attach_filter(&no_syn())
    }
}

/// A socket filter, in classic BPF, that drops segments with SYN and without ACK and passes the
/// rest. It is shown a segment from its TCP header on, which has the flags in byte 13 (RFC 9293
/// §3.1).
fn no_syn() -> [SockFilter; 5] {
    // Instruction codes of linux/filter.h.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

/// What is known of a connection's own end without asking the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Local {
    /// The listener's address is every connection's.
    Fixed(SocketAddr),
    /// The listener is bound to all addresses: each connection must be asked.
    Any,
    Unix,
}

impl Local {
    fn of(address: SocketAddr) -> Local {
        if is_unspecified(address.ip()) {
            Local::Any
        } else {
            Local::Fixed(address)
        }
    }
}

/// Where a listening socket is bound.
pub(crate) fn address_of(socket: &SockRef<'_>) -> io::Result<(ListenAddr, Local)> {
    let address = socket.local_addr()?;
    if let Some(address) = address.as_socket() {
        return Ok(tcp_address(address, socket));
    }
    let path = match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => path.to_owned(),
        (None, Some(name)) => PathBuf::from(format!("@{}", name.escape_ascii())),
        (None, None) => PathBuf::new(),
    };
    Ok((ListenAddr::Inherited(path), Local::Unix))
}

fn tcp_address(address: SocketAddr, socket: &SockRef<'_>) -> (ListenAddr, Local) {
    if !is_unspecified(address.ip()) {
        return (ListenAddr::Tcp(address), Local::Fixed(address));
    }
    let is_both = address.ip() == Ipv6Addr::UNSPECIFIED && !socket.only_v6().unwrap_or(true);
    let shown = match is_both {
        true => ListenAddr::TcpAny(address.port()),
        false => ListenAddr::Tcp(address),
    };
    (shown, Local::Any)
}

/// Makes one listener for each of `workers` at this address; all of a TCP address share its port
/// through `SO_REUSEPORT`, all of a Unix path share one socket. There may be several sockets behind
/// `systemd`.
pub(crate) fn listen(
    address: &ListenAddr,
    workers: usize,
    options: &SocketOptions,
) -> Result<Vec<Listening>, BindError> {
    let fail = |error| BindError::new(address, error);
    match address {
        ListenAddr::Tcp(address) => {
            let (bound, listeners) =
                listen_tcp(*address, options.ipv6_only, workers, options).map_err(fail)?;
            Ok(vec![(ListenAddr::Tcp(bound), listeners)])
        }
        ListenAddr::TcpAny(port) => {
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
            let (bound, listeners) = listen_tcp(any, false, workers, options).map_err(fail)?;
            Ok(vec![(ListenAddr::TcpAny(bound.port()), listeners)])
        }
        ListenAddr::Unix(path) => {
            let listeners = listen_unix(path, workers, options).map_err(fail)?;
            Ok(vec![(address.clone(), listeners)])
        }
        ListenAddr::Systemd(name) => systemd::listen(name.as_deref(), workers, options),
        ListenAddr::Inherited(_) => Err(fail(io::ErrorKind::Unsupported.into())),
    }
}

/// Makes a listener for each worker on a socket that listens already, and that others may hold.
pub(crate) fn listen_on_passed(
    descriptor: &OwnedFd,
    workers: usize,
    options: &SocketOptions,
) -> Result<Listening, Unfit> {
    let socket = SockRef::from(descriptor);
    let (address, local) = check(&socket)?;
    socket.set_nonblocking(true)?;
    if address.is_tcp()
        && let Err(error) = set_tcp_options(&socket, options)
    {
        tracing::debug!(%error, %address, "a passed socket does not take all options");
    }
    let listener = |_| {
        Ok(Listener {
            socket: descriptor.try_clone()?,
            local,
            outlives_us: true,
            entry: 0,
        })
    };
    let listeners = (0..workers).map(listener).collect::<io::Result<_>>()?;
    Ok((address, listeners))
}

/// Demands a stream socket that listens, of a family that we know, and says where it does.
fn check(socket: &SockRef<'_>) -> Result<(ListenAddr, Local), Unfit> {
    let domain =
        socket
            .domain()
            .map_err(|error| match rustix::io::Errno::from_io_error(&error) {
                Some(rustix::io::Errno::NOTSOCK) => Unfit::NotASocket,
                _ => Unfit::System(error),
            })?;
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(Unfit::NotListening);
    }
    if !matches!(domain, Domain::IPV4 | Domain::IPV6 | Domain::UNIX) {
        return Err(Unfit::OtherFamily);
    }
    Ok(address_of(socket)?)
}

/// Why nothing can be served on a descriptor.
#[derive(Debug)]
pub(crate) enum Unfit {
    NotASocket,
    NotListening,
    OtherFamily,
    System(io::Error),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Unfit {
        Unfit::System(error)
    }
}

impl From<Unfit> for BindError {
    fn from(unfit: Unfit) -> BindError {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
        let error = match unfit {
            Unfit::NotASocket => invalid("it is not a socket"),
            Unfit::NotListening => invalid("it is no stream socket that listens"),
            Unfit::OtherFamily => invalid("it is neither an IP nor a Unix socket"),
            Unfit::System(error) => error,
        };
        BindError::new("a socket of the program", error)
    }
}

fn listen_tcp(
    wanted: SocketAddr,
    ipv6_only: bool,
    workers: usize,
    options: &SocketOptions,
) -> io::Result<(SocketAddr, Vec<Listener>)> {
    // `SO_REUSEPORT` would let a second server of the same user share the port and take half of
    // the connections. A socket without it finds out first.
    let probe = tcp_socket(wanted, ipv6_only, options)?;
    probe.bind(&wanted.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(wanted);
    drop(probe);

    let local = Local::of(address);
    let mut listeners = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = tcp_socket(address, ipv6_only, options)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog(options))?;
        listeners.push(Listener {
            socket: socket.into(),
            local,
            outlives_us: false,
            entry: 0,
        });
    }
    Ok((address, listeners))
}

/// Accepted sockets inherit every option set here: no system call per connection.
fn tcp_socket(address: SocketAddr, ipv6_only: bool, options: &SocketOptions) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(ipv6_only)?;
    }
    set_tcp_options(&socket, options)?;
    Ok(socket)
}

pub(crate) fn set_tcp_options(socket: &Socket, options: &SocketOptions) -> io::Result<()> {
    if options.nodelay {
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(idle) = options.tcp_keepalive {
        let interval = std::time::Duration::from_secs(15);
        let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    if let Some(bytes) = options.notsent_lowat {
        socket.set_tcp_notsent_lowat(bytes)?;
    }
    Ok(())
}

fn is_unspecified(ip: IpAddr) -> bool {
    matches!(
        ip,
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    )
}

fn listen_unix(path: &Path, workers: usize, options: &SocketOptions) -> io::Result<Vec<Listener>> {
    remove_stale_socket(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(backlog(options))?;
    let shared = OwnedFd::from(socket);
    (0..workers)
        .map(|_| {
            Ok(Listener {
                socket: shared.try_clone()?,
                local: Local::Unix,
                outlives_us: false,
                entry: 0,
            })
        })
        .collect()
}

/// Removes a socket file that a crashed server left behind; leaves anything else alone.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        let what = "there is a file at that path, and it is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn backlog(options: &SocketOptions) -> i32 {
    i32::try_from(options.backlog).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
