//! From a configuration to running workers, and back.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit};
use rustix::thread::CapabilitySet;
use tokio::runtime::LocalRuntime;

use crate::admission::{Admission, address_cells};
use crate::blocking;
use crate::config::{Config, DESCRIPTOR_RESERVE};
use crate::control::Watch;
use crate::counters::CountersSnapshot;
use crate::draining;
use crate::handle::{Addresses, Control, Handle, Orders, Shared};
use crate::link::{Command, Link};
use crate::listener::{
    BindError, ListenAddr, Listener, Listening, Sockets, listen, listen_on_passed,
};
use crate::mapping::{Mapping, Shape, SlotRef};
use crate::privileges::{Identity, UserError};
use crate::process::{Channel, Master, Message, Setup, claim_channel};
use crate::quic;
use crate::service::Service;
use crate::systemd::Notifier;
use crate::tls::{Entries, Tls, TlsError};
use crate::worker::{Ended, Worker};

/// A place to listen on, and what is spoken there.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where.
    pub place: Place,
    /// TLS; none is cleartext.
    pub tls: Option<Tls>,
}

/// Where to listen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Place {
    /// An address, which is bound.
    Address(ListenAddr),
    /// A socket that listens, which the program has made or was given.
    Socket(Arc<OwnedFd>),
}

impl From<ListenAddr> for Listen {
    fn from(address: ListenAddr) -> Listen {
        Listen {
            place: Place::Address(address),
            tls: None,
        }
    }
}

impl From<OwnedFd> for Listen {
    fn from(socket: OwnedFd) -> Listen {
        Listen {
            place: Place::Socket(Arc::new(socket)),
            tls: None,
        }
    }
}

/// Listeners that are bound, for workers that have not started.
pub struct Engine {
    config: Arc<Config>,
    entries: Arc<Entries>,
    /// Whom to run as, if not as who we are.
    identity: Option<Identity>,
    /// For each worker: of this process, or of all processes in the master.
    sockets: Vec<Sockets>,
    /// What all workers share, where QUIC is spoken.
    quic: Option<quic::Shared>,
    /// For each address, which of the places it belongs to.
    bound_entries: Vec<usize>,
    /// The number of this process, and its end of the channel to the master.
    process: usize,
    master: Option<Channel>,
    handle: Handle,
}

/// Why the engine could not start, or had to end.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A listener could not be made.
    Bind(BindError),
    /// No address to listen on was given.
    NoAddress,
    /// A listener cannot speak TLS.
    Tls(TlsError),
    /// The process cannot run as [`Config::user`].
    User(UserError),
    /// A thread, runtime or epoll instance could not be made.
    System {
        /// What was being made.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// A worker panicked: a defect in this crate, not in a handler.
    WorkerPanicked,
    /// A worker process ended before it was ready; what it wrote to standard error says why.
    ProcessFailed {
        /// How it ended: its exit code, or the signal.
        how: String,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind(error) => error.fmt(f),
            StartError::NoAddress => f.write_str("no address to listen on was given"),
            StartError::Tls(error) => error.fmt(f),
            StartError::User(error) => error.fmt(f),
            StartError::System { what, error } => write!(f, "{what} failed: {error}"),
            StartError::WorkerPanicked => f.write_str("a worker thread panicked"),
            StartError::ProcessFailed { how } => {
                write!(f, "a worker process {how} before it was ready")
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind(error) => Some(error),
            StartError::Tls(error) => Some(error),
            StartError::User(error) => Some(error),
            StartError::System { error, .. } => Some(error),
            StartError::NoAddress
            | StartError::WorkerPanicked
            | StartError::ProcessFailed { .. } => None,
        }
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> StartError {
        StartError::Bind(error)
    }
}

impl From<TlsError> for StartError {
    fn from(error: TlsError) -> StartError {
        StartError::Tls(error)
    }
}

impl From<UserError> for StartError {
    fn from(error: UserError) -> StartError {
        StartError::User(error)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Connections that were cut because the drain took longer than `drain_timeout` or was ended
    /// by force. Zero: every request that had arrived was answered.
    pub connections_cut: usize,
    /// The counters at the end.
    pub counters: CountersSnapshot,
}

impl Engine {
    /// Binds all addresses. From here on the kernel completes connections for us.
    ///
    /// With several processes, the one that is started by hand binds for all of them. In a process
    /// that it started this receives what was bound there.
    ///
    /// # Errors
    /// [`StartError::Bind`] names the address that cannot be had; none stays bound.
    /// [`StartError::Tls`] says what is wrong with a certificate, a key or another setting.
    /// [`StartError::User`] says why the process could not run as [`Config::user`].
    pub fn bind(config: Config, places: &[Listen]) -> Result<Engine, StartError> {
        if places.is_empty() {
            return Err(StartError::NoAddress);
        }
        let entries = Arc::new(Entries::prepare(places.iter().map(|at| at.tls.as_ref()))?);
        let user = config.user.as_deref();
        let identity = user.map(Identity::resolve).transpose()?;
        let processes = config.processes.count();
        if processes > 1 {
            let system = |what| move |error| StartError::System { what, error };
            let channel = claim_channel().map_err(system("joining the master process"))?;
            if let Some(channel) = channel {
                let setup = Setup::receive(channel);
                let setup = setup.map_err(system("joining the master process"))?;
                return Engine::in_child(config, entries, identity, setup);
            }
        }
        let shape = Shape {
            processes,
            threads: config.threads.count(processes),
            address_cells: match config.connections.connections_per_address_max {
                Some(_) => address_cells(connections_max(&config)),
                None => 0,
            },
        };
        let mapping = Mapping::create(shape).map_err(|error| StartError::System {
            what: "making the shared mapping",
            error,
        })?;
        let bound = listen_on(places, &entries, &config, shape.workers())?;
        let quic =
            match bound.sockets.iter().any(|sockets| !sockets.udp.is_empty()) {
                true => Some(quic::Shared::new(shape.workers()).map_err(|error| {
                    StartError::System {
                        what: "preparing QUIC",
                        error,
                    }
                })?),
                false => None,
            };
        let control = if processes > 1 {
            Control::Master(Orders::default())
        } else {
            Control::Workers(links(&mapping, 0))
        };
        Ok(Engine {
            config: Arc::new(config),
            entries,
            identity,
            sockets: bound.sockets,
            quic,
            bound_entries: bound.entries,
            process: 0,
            master: None,
            handle: Handle {
                shared: Shared::new(mapping, bound.addresses, control, Notifier::from_env()),
            },
        })
    }

    fn in_child(
        config: Config,
        entries: Arc<Entries>,
        identity: Option<Identity>,
        mut setup: Setup,
    ) -> Result<Engine, StartError> {
        let system = |error| StartError::System {
            what: "joining the master process",
            error,
        };
        let control = Control::Child {
            links: links(&setup.mapping, setup.process),
            master: setup.channel.try_clone().map_err(system)?,
        };
        if let Some(keys) = setup.ticket_keys.take() {
            entries.set_ticket_keys(keys);
        }
        // The master tells how far the server is.
        let notifier = Notifier::silent();
        Ok(Engine {
            config: Arc::new(config),
            entries,
            identity,
            bound_entries: entries_of(&setup.sockets),
            sockets: setup.sockets,
            quic: setup.quic,
            process: setup.process,
            master: Some(setup.channel),
            handle: Handle {
                shared: Shared::new(setup.mapping, setup.addresses, control, notifier),
            },
        })
    }

    /// Where the engine listens; a port that was given as 0 is the one the system chose.
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.handle.shared.addresses
    }

    /// Whether TLS is spoken at the address that has this place in
    /// [`local_addrs`](Engine::local_addrs).
    pub fn speaks_tls(&self, place: usize) -> bool {
        let entry = self.bound_entries.get(place);
        entry.is_some_and(|entry| self.entries.tls(*entry).is_some())
    }

    /// A handle to stop the engine and to read its counters.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Becomes [`Config::user`], starts the workers, and returns when a drain has ended.
    /// `make_service` is called once on each worker's thread, inside its tokio runtime, with the
    /// worker's number, which no other worker of any process has.
    ///
    /// With `signals`, SIGTERM and SIGINT begin a drain, and a second one ends it by force.
    ///
    /// With several processes, this starts them in the master, calls nothing there, and returns
    /// when all of them have ended. In each of them it returns when that one has.
    ///
    /// # Errors
    /// [`StartError`] when the process could not become that user, or a worker could not be
    /// started, or panicked.
    pub fn run<S, F>(self, signals: bool, make_service: F) -> Result<Summary, StartError>
    where
        S: Service,
        F: Fn(usize) -> S + Send + Sync,
    {
        let Engine {
            config,
            entries,
            identity,
            sockets,
            quic,
            bound_entries: _,
            process,
            master,
            handle,
        } = self;
        if master.is_none() {
            entries.warn_of_expiry();
        }
        let shared = &handle.shared;
        let connections_cut = if let Control::Master(_) = shared.control {
            // It stays who it is: it opens what only that one may open.
            let (config, shared) = (Arc::clone(&config), Arc::clone(shared));
            let master = Master::new(config, entries, shared, sockets, quic);
            master.run(signals)
        } else {
            // Before any thread of ours exists: capabilities are inherited.
            if let Some(identity) = identity {
                identity.assume(match master {
                    Some(_) => CapabilitySet::empty(),
                    None => CapabilitySet::NET_BIND_SERVICE,
                })?;
            }
            let workers = Workers {
                config: &config,
                entries: &entries,
                quic: quic.as_ref(),
                process,
                master: master.as_ref(),
                handle: &handle,
            };
            workers.run(signals, sockets, &make_service)
        };
        if master.is_none() {
            remove_socket_files(&shared.addresses);
        }
        let connections_cut = connections_cut?;
        tracing::info!(connections_cut, "stopped");
        if let Some(master) = master {
            let cut = u32::try_from(connections_cut).unwrap_or(u32::MAX);
            // It may be gone.
            let _ = master.send(Message::Ended { cut }, &[]);
        }
        Ok(Summary {
            connections_cut,
            counters: handle.counters(),
        })
    }
}

/// What each worker of a process is commanded by.
fn links(mapping: &Arc<Mapping>, process: usize) -> Vec<Arc<Link>> {
    let threads = mapping.shape().threads;
    let workers = process * threads..(process + 1) * threads;
    let link = |worker| Arc::new(Link::new(SlotRef::new(mapping, worker)));
    workers.map(link).collect()
}

/// What is bound, for all workers.
#[derive(Default)]
struct Bound {
    addresses: Vec<ListenAddr>,
    /// For each address, which of the places it belongs to.
    entries: Vec<usize>,
    sockets: Vec<Sockets>,
}

/// Binds all addresses for so many workers; none stays bound when one cannot be.
fn listen_on(
    places: &[Listen],
    entries: &Entries,
    config: &Config,
    workers: usize,
) -> Result<Bound, StartError> {
    let mut bound = Bound {
        sockets: (0..workers).map(|_| Sockets::default()).collect(),
        ..Bound::default()
    };
    for (entry, place) in places.iter().enumerate() {
        if let Err(error) = bound.add(entry, &place.place, entries, config) {
            remove_socket_files(&bound.addresses);
            return Err(error.into());
        }
    }
    Ok(bound)
}

impl Bound {
    fn add(
        &mut self,
        entry: usize,
        place: &Place,
        entries: &Entries,
        config: &Config,
    ) -> Result<(), BindError> {
        let address = match place {
            Place::Address(address) => address,
            Place::Socket(socket) => return self.add_socket(entry, socket, entries, config),
        };
        let is_over_quic = entries.is_over_quic(entry);
        let mut attempts = PORT_ATTEMPTS;
        loop {
            let workers = self.sockets.len();
            let tcp = match entries.is_over_tcp(entry) {
                true => listen(address, workers, &config.sockets)?,
                false => Vec::new(),
            };
            let udp_at: Vec<&ListenAddr> = match tcp.is_empty() {
                true => vec![address],
                false => tcp.iter().map(|(address, _)| address).collect(),
            };
            let udp = udp_at.into_iter().filter(|_| is_over_quic);
            let udp = udp.map(|address| bind_udp(address, entry, workers, config));
            let udp = match udp.collect::<Result<Vec<_>, _>>() {
                Ok(udp) => udp,
                // The port that the system chose for TCP may be somebody else's for UDP.
                Err(_) if address.has_any_port() && attempts > 0 => {
                    attempts -= 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let has_tcp = !tcp.is_empty();
            for listening in tcp {
                self.push(entry, listening);
            }
            for (address, all) in udp {
                if !has_tcp {
                    self.note(entry, address);
                }
                for (sockets, udp) in self.sockets.iter_mut().zip(all) {
                    sockets.udp.push(udp);
                }
            }
            return Ok(());
        }
    }

    /// All workers accept from the one socket. QUIC is spoken at the same address, on sockets of our own.
    fn add_socket(
        &mut self,
        entry: usize,
        socket: &OwnedFd,
        entries: &Entries,
        config: &Config,
    ) -> Result<(), BindError> {
        let refuse = |why| {
            let error = io::Error::new(io::ErrorKind::Unsupported, why);
            Err(BindError::new("a socket of the program", error))
        };
        if config.processes.count() > 1 {
            return refuse(
                "the processes are started anew, and would not have it: use one process, or name its address",
            );
        }
        if !entries.is_over_tcp(entry) {
            return refuse("HTTP/3 alone does not use it");
        }
        let workers = self.sockets.len();
        let listening = listen_on_passed(socket, workers, &config.sockets)?;
        if entries.is_over_quic(entry) {
            let (_, all) = bind_udp(&listening.0, entry, workers, config)?;
            for (sockets, udp) in self.sockets.iter_mut().zip(all) {
                sockets.udp.push(udp);
            }
        }
        self.push(entry, listening);
        Ok(())
    }

    fn push(&mut self, entry: usize, (address, listeners): Listening) {
        self.note(entry, address);
        for (sockets, listener) in self.sockets.iter_mut().zip(listeners) {
            sockets.listeners.push(Listener { entry, ..listener });
        }
    }

    fn note(&mut self, entry: usize, address: ListenAddr) {
        self.addresses.push(address);
        self.entries.push(entry);
    }
}

fn bind_udp(
    address: &ListenAddr,
    entry: usize,
    workers: usize,
    config: &Config,
) -> Result<(ListenAddr, Vec<quic::socket::Udp>), BindError> {
    let ipv6_only = config.sockets.ipv6_only;
    quic::socket::bind(address, entry, workers, ipv6_only, &config.quic)
}

/// How often another port is tried when the system may choose one for TCP and UDP.
const PORT_ATTEMPTS: usize = 8;

/// The places that the sockets of a worker belong to, of those that a process was given.
fn entries_of(sockets: &[Sockets]) -> Vec<usize> {
    let first = sockets.iter().take(1);
    let listeners = first.flat_map(|sockets| sockets.listeners.iter());
    listeners.map(|listener| listener.entry).collect()
}

fn connections_max(config: &Config) -> usize {
    let files = raise_descriptor_limit().saturating_sub(DESCRIPTOR_RESERVE);
    config.connections.connections_max.unwrap_or(files).max(1)
}

/// The workers of one process.
struct Workers<'a> {
    config: &'a Arc<Config>,
    entries: &'a Arc<Entries>,
    quic: Option<&'a quic::Shared>,
    process: usize,
    master: Option<&'a Channel>,
    handle: &'a Handle,
}

impl Workers<'_> {
    /// Runs them to their end, and returns how many connections were cut.
    fn run<S, F>(
        &self,
        signals: bool,
        sockets: Vec<Sockets>,
        make_service: &F,
    ) -> Result<usize, StartError>
    where
        S: Service,
        F: Fn(usize) -> S + Send + Sync,
    {
        let shared = &self.handle.shared;
        let connections_max = connections_max(self.config);
        let per_address_max = self.config.connections.connections_per_address_max;
        let mapping = &shared.mapping;
        let admission = Admission::new(connections_max, per_address_max, mapping, self.process);
        let admission = Arc::new(admission);
        let _watch = Watch::start(shared, self.config, self.entries, signals)?;
        tracing::info!(
            process = self.process,
            workers = sockets.len(),
            connections_max,
            listen = %Addresses(&shared.addresses),
            "started"
        );
        let pool = blocking::Pool::new(&self.config.blocking);
        let started = Started {
            missing: AtomicUsize::new(sockets.len()),
            master: self.master,
        };
        let cpus = if self.config.pin_workers {
            usable_cpus()
        } else {
            Vec::new()
        };
        let cut = thread::scope(|scope| {
            let mut threads = Vec::with_capacity(sockets.len());
            for (thread, sockets) in sockets.into_iter().enumerate() {
                let number = self.process * mapping.shape().threads + thread;
                let Sockets { listeners, udp } = sockets;
                let workers = mapping.shape().workers();
                let quic = self
                    .quic
                    .map(|quic| quic.setup(udp, thread, number, workers))
                    .transpose()
                    .inspect_err(|_| shared.command_workers(Command::Stop))
                    .map_err(|error| StartError::System {
                        what: "preparing QUIC",
                        error,
                    })?;
                let start = WorkerStart {
                    number,
                    config: Arc::clone(self.config),
                    entries: Arc::clone(self.entries),
                    link: Arc::clone(&shared.control.links()[thread]),
                    admission: Arc::clone(&admission),
                    pool: Arc::clone(&pool),
                    listeners,
                    quic,
                    cpu: cpus.get(number % cpus.len().max(1)).copied(),
                    shared: Arc::clone(shared),
                };
                let started = &started;
                let spawned = thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn_scoped(scope, move || start.run(make_service, started));
                match spawned {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        shared.command_workers(Command::Stop);
                        return Err(StartError::System {
                            what: "starting a worker thread",
                            error,
                        });
                    }
                }
            }
            let mut cut = 0;
            let mut result = Ok(());
            for thread in threads {
                match thread.join() {
                    Ok(Ok(ended)) => cut += ended.cut,
                    Ok(Err(error)) => result = Err(error),
                    Err(_) => result = Err(StartError::WorkerPanicked),
                }
            }
            result.map(|()| cut)
        });
        // Blocking work that handlers left behind does not hold up the end.
        let running = pool.shut_down(BLOCKING_GRACE);
        if running > 0 {
            tracing::warn!(running, "blocking work did not end in time");
        }
        cut
    }
}
/// Notes when the last worker of a process runs.
struct Started<'a> {
    missing: AtomicUsize,
    master: Option<&'a Channel>,
}

impl Started<'_> {
    fn one_more(&self, shared: &Shared) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        match self.master {
            // Who is gone does not wait for it.
            Some(master) => drop(master.send(Message::Ready, &[])),
            None => shared.ready(),
        }
    }
}

/// What one worker's thread starts with.
struct WorkerStart {
    number: usize,
    config: Arc<Config>,
    entries: Arc<Entries>,
    link: Arc<Link>,
    admission: Arc<Admission>,
    pool: Arc<blocking::Pool>,
    listeners: Vec<Listener>,
    quic: Option<quic::Setup>,
    cpu: Option<usize>,
    shared: Arc<Shared>,
}

impl WorkerStart {
    fn run<S: Service>(
        self,
        make_service: &dyn Fn(usize) -> S,
        started: &Started<'_>,
    ) -> Result<Ended, StartError> {
        // However this worker ends, the others do not go on without it.
        let stop_all = StopOnDrop(self.shared);
        if let Some(cpu) = self.cpu {
            let mut set = rustix::thread::CpuSet::new();
            set.set(cpu);
            if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
                tracing::warn!(%error, cpu, worker = self.number, "cannot pin a worker");
            }
        }
        let _draining = draining::enter();
        let _blocking = blocking::enter(self.pool, self.link.counters.clone());
        let system = |what| move |error| StartError::System { what, error };
        let runtime = LocalRuntime::new().map_err(system("starting a tokio runtime"))?;
        let ended = runtime.block_on(async {
            let service = make_service(self.number);
            let worker = Worker::new(
                self.config,
                self.entries,
                self.link,
                self.admission,
                self.listeners,
                self.quic,
                service,
            )
            .map_err(system("setting up a worker"))?;
            started.one_more(&stop_all.0);
            worker.run().await.map_err(system("running a worker"))
        });
        // Nor do the blocking tasks of tokio.
        runtime.shutdown_timeout(BLOCKING_GRACE);
        ended
    }
}

/// What blocking tasks get to finish after the last connection is closed.
const BLOCKING_GRACE: Duration = Duration::from_secs(1);

/// Ends the other workers of the process. Another process goes on.
struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        // After a drain the others are draining as well, and this changes nothing.
        self.0.command_workers(match self.0.control {
            _ if thread::panicking() => Command::Stop,
            Control::Child { .. } => Command::Retire,
            Control::Workers(_) | Control::Master(_) => Command::DrainNow,
        });
    }
}

/// Raises the limit of descriptors to what is allowed and returns it.
fn raise_descriptor_limit() -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum
        && let Err(error) = rustix::process::setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let files = rustix::process::getrlimit(Resource::Nofile)
        .current
        .unwrap_or(u64::MAX);
    if files < DESCRIPTORS_LOW {
        tracing::warn!(
            files,
            "the limit of open files is low; every connection needs one"
        );
    }
    usize::try_from(files).unwrap_or(usize::MAX)
}

/// Below this a server for the public runs out under an ordinary peak.
const DESCRIPTORS_LOW: u64 = 4096;

fn usable_cpus() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU)
            .filter(|cpu| set.is_set(*cpu))
            .collect(),
        Err(_) => Vec::new(),
    }
}

fn remove_socket_files(addresses: &[ListenAddr]) {
    let paths = addresses.iter().filter_map(|address| match address {
        ListenAddr::Unix(path) => Some(path),
        _ => None,
    });
    for path in paths.collect::<Vec<&PathBuf>>() {
        let _ = std::fs::remove_file(path);
    }
}
