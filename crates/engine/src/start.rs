//! From a configuration to running workers, and back.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit};
use rustix::thread::CapabilitySet;
use tokio::runtime::LocalRuntime;
use tokio::signal::unix::{SignalKind, signal};

use crate::accept::Admission;
use crate::blocking;
use crate::config::{Config, DESCRIPTOR_RESERVE};
use crate::counters::{Counters, CountersSnapshot};
use crate::exchange::WakeQueue;
use crate::listener::{BindError, ListenAddr, Listener, listen};
use crate::privileges::{Identity, UserError};
use crate::service::Service;
use crate::systemd::Notifier;
use crate::worker::{DRAIN, Ended, Link, RUN, STOP, Worker};

/// Listeners that are bound, for workers that have not started.
pub struct Engine {
    config: Arc<Config>,
    /// Whom to run as, if not as who we are.
    identity: Option<Identity>,
    /// One list for each worker.
    listeners: Vec<Vec<Listener>>,
    handle: Handle,
}

/// Controls a running engine from any thread.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    links: Vec<Arc<Link>>,
    addresses: Vec<ListenAddr>,
    notifier: Notifier,
}

/// Why the engine could not start, or had to end.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A listener could not be made.
    Bind(BindError),
    /// No address to listen on was given.
    NoAddress,
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
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind(error) => error.fmt(f),
            StartError::NoAddress => f.write_str("no address to listen on was given"),
            StartError::User(error) => error.fmt(f),
            StartError::System { what, error } => write!(f, "{what} failed: {error}"),
            StartError::WorkerPanicked => f.write_str("a worker thread panicked"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind(error) => Some(error),
            StartError::User(error) => Some(error),
            StartError::System { error, .. } => Some(error),
            StartError::NoAddress | StartError::WorkerPanicked => None,
        }
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> StartError {
        StartError::Bind(error)
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
    /// # Errors
    /// [`StartError::Bind`] names the address that cannot be had; none stays bound.
    /// [`StartError::User`] says why the process could not run as [`Config::user`].
    pub fn bind(config: Config, addresses: &[ListenAddr]) -> Result<Engine, StartError> {
        if addresses.is_empty() {
            return Err(StartError::NoAddress);
        }
        let user = config.user.as_deref();
        let identity = user.map(Identity::resolve).transpose()?;
        let workers = config.threads.count();
        let mut per_worker: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
        let mut bound = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listening = match listen(address, workers, &config.sockets) {
                Ok(listening) => listening,
                Err(error) => {
                    remove_socket_files(&bound);
                    return Err(error.into());
                }
            };
            for (address, listeners) in listening {
                bound.push(address);
                for (list, listener) in per_worker.iter_mut().zip(listeners) {
                    list.push(listener);
                }
            }
        }
        let link = || Link {
            queue: Arc::new(WakeQueue::default()),
            counters: Counters::new(),
            command: AtomicU8::new(RUN),
        };
        let links = (0..workers).map(|_| Arc::new(link())).collect();
        let shared = Arc::new(Shared {
            links,
            addresses: bound,
            notifier: Notifier::from_env(workers),
        });
        Ok(Engine {
            config: Arc::new(config),
            identity,
            listeners: per_worker,
            handle: Handle { shared },
        })
    }

    /// Where the engine listens; a port that was given as 0 is the one the system chose.
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.handle.shared.addresses
    }

    /// A handle to stop the engine and to read its counters.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Becomes [`Config::user`], starts the workers, and returns when a drain has ended.
    /// `make_service` is called once on
    /// each worker's thread, inside its tokio runtime, with the worker's number.
    ///
    /// With `signals`, SIGTERM and SIGINT begin a drain, and a second one ends it by force.
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
            identity,
            listeners,
            handle,
        } = self;
        // Before any thread of ours exists: capabilities are inherited.
        if let Some(identity) = identity {
            identity.assume(CapabilitySet::NET_BIND_SERVICE)?;
        }
        let files = raise_descriptor_limit();
        let connections = &config.connections;
        let connections_max = connections
            .connections_max
            .unwrap_or(files.saturating_sub(DESCRIPTOR_RESERVE))
            .max(1);
        let admission = Arc::new(Admission::new(
            connections_max,
            connections.connections_per_address_max,
        ));
        let pool = blocking::Pool::new(&config.blocking);
        let cpus = if config.pin_workers {
            usable_cpus()
        } else {
            Vec::new()
        };
        let _watch = if signals {
            Some(watch_signals(&handle)?)
        } else {
            None
        };
        tracing::info!(
            workers = listeners.len(),
            connections_max,
            listen = %Addresses(&handle.shared.addresses),
            "started"
        );

        let result = thread::scope(|scope| {
            let mut threads = Vec::with_capacity(listeners.len());
            for (number, listeners) in listeners.into_iter().enumerate() {
                let start = WorkerStart {
                    number,
                    config: Arc::clone(&config),
                    link: Arc::clone(&handle.shared.links[number]),
                    admission: Arc::clone(&admission),
                    pool: Arc::clone(&pool),
                    listeners,
                    cpu: cpus.get(number % cpus.len().max(1)).copied(),
                    handle: handle.clone(),
                };
                let make_service = &make_service;
                let spawned = thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn_scoped(scope, move || start.run(make_service));
                match spawned {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        handle.stop();
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
        remove_socket_files(&handle.shared.addresses);
        let connections_cut = result?;
        tracing::info!(connections_cut, "stopped");
        Ok(Summary {
            connections_cut,
            counters: handle.counters(),
        })
    }
}

/// What one worker's thread starts with.
struct WorkerStart {
    number: usize,
    config: Arc<Config>,
    link: Arc<Link>,
    admission: Arc<Admission>,
    pool: Arc<blocking::Pool>,
    listeners: Vec<Listener>,
    cpu: Option<usize>,
    handle: Handle,
}

impl WorkerStart {
    fn run<S: Service>(self, make_service: &dyn Fn(usize) -> S) -> Result<Ended, StartError> {
        // However this worker ends, the others do not go on without it.
        let stop_all = StopOnDrop(self.handle);
        if let Some(cpu) = self.cpu {
            let mut set = rustix::thread::CpuSet::new();
            set.set(cpu);
            if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
                tracing::warn!(%error, cpu, worker = self.number, "cannot pin a worker");
            }
        }
        let _blocking = blocking::enter(self.pool, Arc::clone(&self.link.counters));
        let system = |what| move |error| StartError::System { what, error };
        let runtime = LocalRuntime::new().map_err(system("starting a tokio runtime"))?;
        let ended = runtime.block_on(async {
            let service = make_service(self.number);
            let worker = Worker::new(
                self.config,
                self.link,
                self.admission,
                self.listeners,
                service,
            )
            .map_err(system("setting up a worker"))?;
            let shared = &stop_all.0.shared;
            shared.notifier.worker_runs(Addresses(&shared.addresses));
            worker.run().await.map_err(system("running a worker"))
        });
        // Nor do the blocking tasks of tokio.
        runtime.shutdown_timeout(BLOCKING_GRACE);
        ended
    }
}

/// What blocking tasks get to finish after the last connection is closed.
const BLOCKING_GRACE: Duration = Duration::from_secs(1);

struct StopOnDrop(Handle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        } else {
            // After a drain the others are draining as well, and this changes nothing.
            self.0.shutdown();
        }
    }
}

impl Handle {
    /// Begins a drain: no new connections; requests that have arrived are answered with
    /// `Connection: close`; idle connections are closed after `drain_idle_timeout`; after `drain_timeout`
    /// what is left is cut. [`Engine::run`] returns when the last connection is closed. Returns
    /// at once.
    pub fn shutdown(&self) {
        self.command(DRAIN);
    }

    /// Cuts every connection now.
    pub fn stop(&self) {
        self.command(STOP);
    }

    /// Where the engine listens.
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.shared.addresses
    }

    /// The counters of all workers, added up.
    pub fn counters(&self) -> CountersSnapshot {
        CountersSnapshot::sum(self.shared.links.iter().map(|link| &*link.counters))
    }

    fn command(&self, command: u8) {
        for link in &self.shared.links {
            link.command.fetch_max(command, Ordering::AcqRel);
            link.queue.wake_worker();
        }
        self.shared.notifier.stopping();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("local_addrs", &self.shared.addresses)
            .finish()
    }
}

/// Ends the thread that waits for signals.
struct SignalWatch {
    done: Arc<tokio::sync::Notify>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.done.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// SIGTERM and SIGINT drain; the second one stops. A thread of its own, so that `run` may be
/// called from anywhere, and a busy worker does not delay a signal.
fn watch_signals(handle: &Handle) -> Result<SignalWatch, StartError> {
    let system = |error| StartError::System {
        what: "watching for signals",
        error,
    };
    let done = Arc::new(tokio::sync::Notify::new());
    let (handle, end) = (handle.clone(), Arc::clone(&done));
    let (report, installed) = std::sync::mpsc::channel();
    let watch = move || {
        let install = || {
            let runtime = LocalRuntime::new()?;
            let _inside = runtime.enter();
            let signals = [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
            ];
            Ok((runtime, signals))
        };
        let (runtime, [mut terminate, mut interrupt]) = match install() {
            Ok(installed) => installed,
            Err(error) => return drop(report.send(Err(error))),
        };
        let _ = report.send(Ok(()));
        runtime.block_on(async {
            let mut command = DRAIN;
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    () = end.notified() => return,
                }
                tracing::info!(by_force = command == STOP, "stopping on a signal");
                handle.command(command);
                command = STOP;
            }
        });
    };
    let thread = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(watch)
        .map_err(system)?;
    // A signal that comes after this line is seen.
    let installed = installed
        .recv()
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    let watch = SignalWatch {
        done,
        thread: Some(thread),
    };
    installed.map_err(system)?;
    Ok(watch)
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

struct Addresses<'a>(&'a [ListenAddr]);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            address.fmt(f)?;
        }
        Ok(())
    }
}
