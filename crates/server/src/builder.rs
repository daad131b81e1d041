//! Building and running a server.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use ajay_engine::config::{Config, Processes, Threads};
use ajay_engine::config::{Congestion, Retry};
use ajay_engine::{Engine, Handle, Listen, ListenAddr, Summary, Tls};

use crate::redirect::Redirects;
use crate::{Application, Error, Handler, Result};

/// A server whose listeners are bound and whose handler is not running yet.
///
/// Dropping it closes the listeners.
pub struct Server {
    engine: Engine,
    redirects: Redirects,
    signals: bool,
}

impl Server {
    /// A server with all defaults on one address: `127.0.0.1:8080`, `[::1]:8080`, `:8080` (every
    /// IPv4 and IPv6 address), `unix:/run/app.sock`, `systemd` (the sockets that systemd passes),
    /// `systemd:NAME`, or a `SocketAddr`.
    ///
    /// # Errors
    /// When the text is not an address, or the address cannot be listened on.
    pub fn bind(address: impl IntoListenAddr) -> Result<Server> {
        Builder::new().listen(address)?.bind()
    }

    /// A server to be configured; nothing is bound until [`Builder::bind`].
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where the server listens; a port given as 0 is the one the system chose.
    pub fn local_addrs(&self) -> &[ListenAddr] {
        self.engine.local_addrs()
    }

    /// Whether TLS is spoken at the address that has this place in
    /// [`local_addrs`](Server::local_addrs).
    pub fn speaks_tls(&self, place: usize) -> bool {
        self.engine.speaks_tls(place)
    }

    /// A handle to stop the server and to read its counters, from any thread.
    pub fn handle(&self) -> Handle {
        self.engine.handle()
    }

    /// Runs the handler until the server is told to stop, by [`Handle::shutdown`], SIGTERM or
    /// SIGINT, and its drain has ended. Blocks this thread; do not call it from async code.
    ///
    /// # Errors
    /// When a worker cannot be started, or when connections had to be cut at the end of the
    /// drain ([`Error::is_drain_cut`]).
    pub fn run<A: Application>(self, application: A) -> Result<()> {
        match self
            .run_per_worker(move |_| application.handler())?
            .connections_cut
        {
            0 => Ok(()),
            cut => Err(Error::drain_cut(cut)),
        }
    }

    /// As [`run`](Server::run), with a handler made for each worker: `make` is called on the
    /// worker's thread, inside its tokio runtime, with the worker's number. What it makes stays
    /// there, so it may hold an `Rc` or a `RefCell`: that worker's requests share it without locks.
    ///
    /// # Errors
    /// When a worker cannot be started. A drain that had to cut connections is told in the
    /// [`Summary`].
    pub fn run_per_worker<H, F>(self, make: F) -> Result<Summary>
    where
        H: Handler,
        F: Fn(usize) -> H + Send + Sync,
    {
        let handler = |number| Rc::new(make(number));
        let ended = if self.redirects.is_empty() {
            self.engine.run(self.signals, |number| {
                let handler = handler(number);
                move |request: ajay_engine::Request| handler.call(request.into())
            })
        } else {
            self.engine.run(self.signals, |number| {
                let (handler, redirects) = (handler(number), self.redirects.clone());
                move |request: ajay_engine::Request| {
                    let redirect = redirects.answer(&request);
                    let handler = Rc::clone(&handler);
                    async move {
                        match redirect {
                            Some(response) => response,
                            None => handler.call(request.into()).await,
                        }
                    }
                }
            })
        };
        ended.map_err(Error::start)
    }
}

/// What can name an address to listen on.
pub trait IntoListenAddr {
    /// The address.
    ///
    /// # Errors
    /// When the text is not one.
    fn into_listen_addr(self) -> Result<ListenAddr>;
}

impl IntoListenAddr for &str {
    fn into_listen_addr(self) -> Result<ListenAddr> {
        self.parse().map_err(Error::address)
    }
}

impl IntoListenAddr for &String {
    fn into_listen_addr(self) -> Result<ListenAddr> {
        self.as_str().into_listen_addr()
    }
}

impl IntoListenAddr for SocketAddr {
    fn into_listen_addr(self) -> Result<ListenAddr> {
        Ok(self.into())
    }
}

impl IntoListenAddr for ListenAddr {
    fn into_listen_addr(self) -> Result<ListenAddr> {
        Ok(self)
    }
}

/// Configures a server. Every limit and deadline has a default that is on; see
/// `docs/src/reference/limits.md` for what happens at each.
///
/// ```no_run
/// # use std::time::Duration;
/// # use ajayserver::{Request, Server};
/// # fn main() -> ajayserver::Result<()> {
/// Server::builder()
///     .listen("127.0.0.1:8080")?
///     .listen("[::1]:8080")?
///     .threads(2)
///     .head_timeout(Duration::from_secs(5))
///     .idle_timeout(None)
///     .content_bytes_max(16 * 1024 * 1024)
///     .bind()?
///     .run(async |request: Request| request.path().to_owned())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    config: Config,
    places: Vec<Listen>,
    /// For each of them, where its clients are sent on to, if they are.
    redirects: Vec<Option<u16>>,
    /// What an address speaks was said before there was one.
    has_lost_setting: bool,
    signals: bool,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// All defaults, and no address yet.
    pub fn new() -> Builder {
        Builder {
            config: Config::default(),
            places: Vec::new(),
            redirects: Vec::new(),
            has_lost_setting: false,
            signals: true,
        }
    }

    /// Listens on this address too.
    ///
    /// # Errors
    /// When the text is not an address.
    pub fn listen(mut self, address: impl IntoListenAddr) -> Result<Builder> {
        self.places.push(address.into_listen_addr()?.into());
        self.redirects.push(None);
        Ok(self)
    }

    /// Listens on a socket, too, that listens already: a [`TcpListener`](std::net::TcpListener), a
    /// [`UnixListener`](std::os::unix::net::UnixListener), or a descriptor that the program was given. All
    /// workers accept from it. Its backlog, and for TCP what `SO_REUSEPORT` would spare, are as it was made:
    /// [`listen`](Builder::listen) serves many short connections better.
    ///
    /// Others may hold the socket too. So when the server stops, who is still in its queue is left to them,
    /// and is reset by the system if there is nobody. A Unix socket's file is not removed. Dropping the
    /// `Builder` or [`Server`] closes this end of it.
    ///
    /// That it is a socket which listens is found out by [`bind`](Builder::bind); that there is one process,
    /// since others would not have it; and that not only HTTP/3 is spoken, which uses a UDP socket of its own
    /// at the same address.
    ///
    /// ```no_run
    /// # use ajayserver::{Request, Server};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// println!("listening on {}", listener.local_addr()?);
    /// Server::builder()
    ///     .listen_on(listener)
    ///     .bind()?
    ///     .run(async |_: Request| "Hello, world!\n")?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn listen_on(mut self, socket: impl Into<OwnedFd>) -> Builder {
        self.places.push(socket.into().into());
        self.redirects.push(None);
        self
    }

    /// The address that was named last speaks TLS: HTTP/2 and HTTP/1.1, as its clients choose.
    ///
    /// ```no_run
    /// # use ajayserver::{Request, Server, Tls};
    /// # fn main() -> ajayserver::Result<()> {
    /// Server::builder()
    ///     .listen(":80")?
    ///     .listen(":443")?
    ///     .tls(Tls::files("chain.pem", "key.pem"))
    ///     .bind()?
    ///     .run(async |request: Request| request.path().to_owned())
    /// # }
    /// ```
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Builder {
        match self.places.last_mut() {
            Some(place) => place.tls = Some(tls),
            None => self.has_lost_setting = true,
        }
        self
    }

    /// The address that was named last sends all its clients on to HTTPS at this port, with the same
    /// host and target: 308 (RFC 9110 §15.4.9), or 400 where the request names no host. The handler does
    /// not see these requests.
    ///
    /// ```no_run
    /// # use ajayserver::{Request, Server, Tls};
    /// # fn main() -> ajayserver::Result<()> {
    /// Server::builder()
    ///     .listen(":80")?
    ///     .redirect_to_https(443)
    ///     .listen(":443")?
    ///     .tls(Tls::files("chain.pem", "key.pem"))
    ///     .bind()?
    ///     .run(async |request: Request| request.path().to_owned())
    /// # }
    /// ```
    #[must_use]
    pub fn redirect_to_https(mut self, port: u16) -> Builder {
        match self.redirects.last_mut() {
            Some(redirect) => *redirect = Some(port),
            None => self.has_lost_setting = true,
        }
        self
    }

    /// Binds the addresses. From here on the system completes connections, which wait in its queues until
    /// [`Server::run`]; all are closed if the server is dropped instead.
    ///
    /// # Errors
    /// When there is none, or one cannot be listened on; when a certificate or key is no good, or
    /// [`tls`](Builder::tls) or [`redirect_to_https`](Builder::redirect_to_https) came before any address; when [`user`](Builder::user) is unknown or
    /// may not be assumed.
    pub fn bind(self) -> Result<Server> {
        if self.has_lost_setting {
            let message = "TLS or a redirect was set before the address that it is for";
            return Err(Error::address(message.to_owned()));
        }
        let engine = Engine::bind(self.config, &self.places).map_err(Error::start)?;
        Ok(Server {
            engine,
            redirects: Redirects::new(self.redirects),
            signals: self.signals,
        })
    }

    /// Worker threads of each process, each with its own connections. Default: one for each CPU
    /// that may be used, divided by the number of processes.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Builder {
        self.config.threads = Threads::Exactly(threads);
        self
    }

    /// Worker processes; `None` for one for each CPU that may be used. Default: 1.
    ///
    /// With more than one, the process that runs this becomes their master: it binds every socket
    /// and keeps it, runs no handler, and starts the program again, with the same arguments, for
    /// each worker process. So *everything before [`bind`](Builder::bind) and
    /// [`run`](Server::run) happens in every process*, and everything after `run` too; see
    /// [`is_worker_process`](crate::is_worker_process). Standard input of a worker process is empty.
    ///
    /// A process that crashes loses the requests it was working on and no others: its sockets stay
    /// open, another process takes over, and it is started again. A program has at most one server
    /// of several processes.
    #[must_use]
    pub fn processes(mut self, processes: impl Into<Option<usize>>) -> Builder {
        let processes = processes.into();
        self.config.processes = processes.map_or(Processes::Auto, Processes::Exactly);
        self
    }

    /// Whom to run as once the addresses are bound: `NAME`, `NAME:GROUP` or `UID:GID`. Root is
    /// needed for that. Everything before [`Server::run`] still runs as who started the process.
    /// Default: none, stay who we are.
    ///
    /// [`Server::run`] drops the privileges of the whole process, for good, but for
    /// `CAP_NET_BIND_SERVICE` of its own threads. With several processes, the master stays who it
    /// is, and each worker process drops all privileges.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Builder {
        self.config.user = Some(user.into());
        self
    }

    /// Write each QUIC connection's events as qlog into a file `ID.sqlog` of its own in this directory, for
    /// finding faults: workers wait for each write. Needs the feature `qlog`. Default: none.
    #[cfg(feature = "qlog")]
    #[must_use]
    pub fn quic_qlog_directory(
        mut self,
        directory: impl Into<Option<std::path::PathBuf>>,
    ) -> Builder {
        self.config.quic.qlog_directory = directory.into();
        self
    }

    /// Stop on SIGTERM and SIGINT. Default: on.
    #[must_use]
    pub fn handle_signals(mut self, on: bool) -> Builder {
        self.signals = on;
        self
    }
}

/// One setter for each field of the engine's configuration, with the field's name. One that may be
/// switched off is marked `?` and takes the value or `None`.
macro_rules! setters {
    () => {};
    ($(#[doc = $doc:literal])+ $($path:ident).+ => $name:ident: ?$type:ty; $($rest:tt)*) => {
        impl Builder {
            $(#[doc = $doc])+
            #[must_use]
            pub fn $name(mut self, $name: impl Into<Option<$type>>) -> Builder {
                self.config.$($path).+ = $name.into();
                self
            }
        }
        setters! { $($rest)* }
    };
    ($(#[doc = $doc:literal])+ $($path:ident).+ => $name:ident: $type:ty; $($rest:tt)*) => {
        impl Builder {
            $(#[doc = $doc])+
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Builder {
                self.config.$($path).+ = $name;
                self
            }
        }
        setters! { $($rest)* }
    };
}

setters! {
    /// Pin worker *n* to the *n*-th CPU the process may use. Default: off.
    pin_workers => pin_workers: bool;
    /// Send `Date` (RFC 9110 §6.6.1), where the response has none of its own. Default: on.
    send_date => send_date: bool;
    /// The value of `Server` (RFC 9110 §10.2.4) where the response has none of its own, or none. Default:
    /// `ajayserver`.
    server_name => server_name: ?&'static str;
    /// Keep a handler running when an HTTP/1 client has closed its sending side, which most do only when they
    /// are gone, and some to say that they have sent everything. Default: off, the handler is dropped.
    half_close => half_close: bool;

    /// Bytes of a request head; more is 431. Default: 16 KiB.
    limits.head_bytes_max => head_bytes_max: u32;
    /// Bytes of a request target; more is 414. Default: 8 KiB.
    limits.target_bytes_max => target_bytes_max: u32;
    /// Field lines of a head; more is 431. Default: 100.
    limits.field_lines_max => field_lines_max: u16;
    /// Bytes of a trailer section; more is 431. Default: 8 KiB.
    limits.trailer_bytes_max => trailer_bytes_max: u32;
    /// Field lines of a trailer section; more is 431. Default: 32.
    limits.trailer_lines_max => trailer_lines_max: u16;
    /// Bytes of all chunk extensions of one message; more is 400. Default: 4 KiB.
    limits.chunk_extension_bytes_max => chunk_extension_bytes_max: u32;
    /// Bytes of content of one request; more is 413. Default: 1 GiB.
    limits.content_bytes_max => content_bytes_max: u64;

    /// Open connections in this process; at the limit accepting pauses. Default: the limit of
    /// open files less 256.
    connections.connections_max => connections_max: ?usize;
    /// Open connections of one worker; at the limit it stops accepting, and what the system gives to it waits.
    /// Default: none, only `connections_max` holds.
    connections.connections_per_worker_max => connections_per_worker_max: ?usize;
    /// Open connections from one IPv4 address or IPv6 /64 network, in all processes; one more is
    /// answered 503. Default: none.
    connections.connections_per_address_max => connections_per_address_max: ?usize;
    /// TLS handshakes of one worker at a time; one more connection is closed. Default: 4096.
    connections.handshakes_max => handshakes_max: usize;
    /// Requests on one connection, the last with `Connection: close`; `None` for no bound. Default: none.
    connections.requests_per_connection_max => requests_per_connection_max: ?u32;
    /// Bytes that a worker holds for all its connections; above it requests are answered 503.
    /// Default: 256 MiB.
    connections.buffered_bytes_max => buffered_bytes_max: usize;
    /// Bytes of content of one request read ahead of a handler; then the socket is not read until the
    /// handler has taken some, and the client has to wait. Default: 64 KiB.
    connections.content_buffer_bytes_max => content_buffer_bytes_max: usize;
    /// Bytes that [`Content::collect`](crate::Content::collect) gathers at most; more is
    /// [`ContentError::TooLarge`](crate::ContentError::TooLarge), as a response 413. JSON and forms are
    /// collected, too. Default: 4 MiB.
    connections.content_collected_bytes_max => content_collected_bytes_max: usize;
    /// Bytes of content that no handler has read, thrown away after the response to keep the connection; if
    /// more is left it is closed. Default: 256 KiB.
    connections.content_discarded_bytes_max => content_discarded_bytes_max: u64;
    /// Bytes a second that a worker throws away for all its connections, of clients that were refused and
    /// of content in tiny pieces; those beyond it wait. Default: 16 MiB.
    connections.discard_rate_max => discard_rate_max: usize;
    /// Connections of a worker that linger after their last response; one more closes the one that does so
    /// longest. Default: 8192.
    connections.lingering_max => lingering_max: usize;

    /// HTTP/2 on cleartext connections, for clients that begin with it (prior knowledge, RFC 9113 §3.3).
    /// Default: on; HTTP/1 is served on the same port.
    http2.cleartext => http2_cleartext: bool;
    /// Requests of an HTTP/2 or HTTP/3 connection at once; one more is reset (REFUSED_STREAM,
    /// H3_REQUEST_REJECTED). Default: 100.
    http2.concurrent_streams_max => concurrent_streams_max: u32;
    /// HTTP/2 streams of all the worker's connections that wait for their clients; beyond it a connection
    /// with more than 8 of them gets no further ones (REFUSED_STREAM). Default: 8192.
    http2.waiting_streams_max => waiting_streams_max: usize;

    /// For how long other versions on a port with HTTP/3 tell clients of it (`Alt-Svc`, RFC 7838), in seconds;
    /// 0 tells them nothing. Default: one day.
    http3.alt_svc_max_age => alt_svc_max_age: u32;
    /// Bytes of QPACK's dynamic table that a client's encoder may use (RFC 9204 §3.2). Default: 0, which makes a request take
    /// a few hundred bytes more, and rules out what can be done with a table.
    http3.qpack_table_bytes_max => qpack_table_bytes_max: u32;
    /// HTTP/3 requests of a connection that may wait for its encoder (RFC 9204 §2.1.2). Default: 0.
    http3.qpack_blocked_streams_max => qpack_blocked_streams_max: u32;
    /// How fast a QUIC connection sends: its congestion control (RFC 9002 §7). Default: Cubic.
    quic.congestion => quic_congestion: Congestion;
    /// When QUIC clients have to prove their address with a Retry (RFC 9000 §8.1.2). Default: while more than 512 handshakes of a worker are
    /// under way.
    quic.retry => quic_retry: Retry;
    /// Let QUIC clients change their address (RFC 9000 §9). Default: on.
    quic.migration => quic_migration: bool;
    /// Make the kernel give each QUIC packet to the worker that has its connection. Default: on.
    quic.steering => quic_steering: bool;
    /// Unread content of one HTTP/3 request that a client may send, in bytes. Default: 1 MiB.
    quic.stream_window => quic_stream_window: u32;
    /// The same for all requests of a connection together. Default: 2 MiB.
    quic.connection_window => quic_connection_window: u32;
    /// What a QUIC connection's transport is given beyond its congestion window, in bytes. Default: 64 KiB.
    quic.send_ahead_bytes => quic_send_ahead_bytes: u32;
    /// The largest UDP payload that path MTU discovery tries (RFC 9000 §14.3), in bytes. Default: 1452.
    quic.datagram_bytes_max => quic_datagram_bytes_max: u16;
    /// Receive buffer of each UDP socket, in bytes. Default: 4 MiB.
    quic.receive_buffer_bytes => quic_receive_buffer_bytes: usize;
    /// Send buffer of each UDP socket, in bytes. Default: 4 MiB.
    quic.send_buffer_bytes => quic_send_buffer_bytes: usize;
    /// Close a QUIC connection that has been silent for so many seconds. Default: 30.
    quic.silence_timeout => quic_silence_timeout: u32;
    /// Ask for a sign of life when a QUIC connection with requests has been silent for so many seconds.
    /// Default: none.
    quic.keep_alive => quic_keep_alive: ?u32;

    /// From accept to the end of the TLS handshake; silent close. Default: 10 s.
    deadlines.handshake_timeout => handshake_timeout: ?Duration;
    /// From accept to the first byte; silent close. Default: 10 s.
    deadlines.first_byte_timeout => first_byte_timeout: ?Duration;
    /// From a head's first byte to its last; 408. Default: 10 s.
    deadlines.head_timeout => head_timeout: ?Duration;
    /// Between two reads of content that the handler waits for; 408. Default: 30 s.
    deadlines.content_timeout => content_timeout: ?Duration;
    /// How long a handler may work until the head of its response, not counting its waits for
    /// content, after each of which this begins anew; 503. Default: 60 s.
    deadlines.handler_timeout => handler_timeout: ?Duration;
    /// Between two writes the peer accepts; reset. Default: 30 s.
    deadlines.write_timeout => write_timeout: ?Duration;
    /// The same, and for content, of an HTTP/2 connection with more than 8 streams that wait for the
    /// client, while a worker has more than `waiting_streams_max`. Default: 1 s.
    deadlines.crowded_timeout => crowded_timeout: ?Duration;
    /// Bytes per second, either way, below which a transfer is ended after `rate_grace`: content with 408,
    /// output with a reset; `None` for no bound. Default: 240.
    deadlines.rate_min => rate_min: ?u32;
    /// How long a transfer may be slower than `rate_min`. Default: 5 s.
    deadlines.rate_grace => rate_grace: Duration;
    /// Between two requests on a connection; silent close. `None` keeps idle connections for as long as their
    /// clients do. Default: 75 s.
    deadlines.idle_timeout => idle_timeout: ?Duration;
    /// Age after which a connection's current response is its last (`Connection: close`, GOAWAY), and an idle
    /// connection is closed. Default: none.
    deadlines.lifetime_max => lifetime_max: ?Duration;
    /// How long a connection whose sending side we have closed is still read, so that its client sees the last
    /// response and not a reset. Default: 5 s.
    deadlines.linger_timeout => linger_timeout: Duration;
    /// On drain, how long accepting goes on as before, while [`Handle::is_draining`] says so already: for load
    /// balancers that ask whether the server is ready. Default: none.
    deadlines.drain_delay => drain_delay: Duration;
    /// On drain, how long an idle connection may still begin a request before it is closed. Default: 500 ms.
    deadlines.drain_idle_timeout => drain_idle_timeout: Duration;
    /// On drain, when what is left is cut: handlers are dropped and connections reset. Default: 30 s.
    deadlines.drain_timeout => drain_timeout: Duration;

    /// Closures of [`blocking`](crate::blocking) that run at a time in this process. Default: 64.
    blocking.blocking_threads_max => blocking_threads_max: usize;
    /// Closures of [`blocking`](crate::blocking) that wait for that; one more is refused with
    /// [`BlockingError::Full`](crate::BlockingError::Full), as a response 503. Default: 1024.
    blocking.blocking_queue_max => blocking_queue_max: usize;

    /// Length of the system's queue of connections that wait to be accepted, for each worker; `somaxconn` bounds
    /// it. Default: 4096.
    sockets.backlog => backlog: u32;
    /// `TCP_NODELAY`: send at once what does not fill a packet. Default: on.
    sockets.nodelay => nodelay: bool;
    /// Idle time before TCP keep-alive probes; `None` for no probes. Default: 60 s.
    sockets.tcp_keepalive => tcp_keepalive: ?Duration;
    /// `TCP_NOTSENT_LOWAT` in bytes: what the system holds unsent for a client that does not read; `None` for
    /// as much as it likes, 3 to 4 MiB. Default: 64 KiB.
    sockets.notsent_lowat => notsent_lowat: ?u32;
    /// IPv6 listeners accept IPv6 only. Default: on. Off lets `[::]` take IPv4 clients, too; then `0.0.0.0` with
    /// the same port cannot be bound beside it.
    sockets.ipv6_only => ipv6_only: bool;
}
