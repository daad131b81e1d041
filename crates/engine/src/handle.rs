//! Control of a running engine, from any thread of any of its processes.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::sync::Notify;

use crate::counters::CountersSnapshot;
use crate::link::{Command, Link};
use crate::listener::ListenAddr;
use crate::mapping::Mapping;
use crate::process::{Channel, Message};
use crate::systemd::Notifier;

/// Controls a running engine from any thread.
///
/// With several processes it controls all of them, in whichever it is used.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) addresses: Vec<ListenAddr>,
    pub(crate) control: Control,
    is_draining: AtomicBool,
    notifier: Notifier,
}

/// Who carries out what a handle asks for.
pub(crate) enum Control {
    /// The workers of this process, which is the only one.
    Workers(Vec<Arc<Link>>),
    /// The master, in this process.
    Master(Orders),
    /// The master, in another process. Our workers, when it is gone.
    Child {
        links: Vec<Arc<Link>>,
        master: Channel,
    },
}

/// What the master is to do.
#[derive(Default)]
pub(crate) struct Orders {
    command: AtomicU8,
    changed: Notify,
}

impl Orders {
    fn give(&self, command: Command) {
        self.command.fetch_max(command as u8, Ordering::AcqRel);
        self.changed.notify_one();
    }

    pub(crate) fn current(&self) -> Command {
        Command::from_number(self.command.load(Ordering::Acquire)).unwrap_or(Command::Stop)
    }
}

impl Control {
    /// The workers of this process.
    pub(crate) fn links(&self) -> &[Arc<Link>] {
        match self {
            Control::Workers(links) | Control::Child { links, .. } => links,
            Control::Master(_) => &[],
        }
    }

    /// Returns when there is something new in [`Orders`].
    pub(crate) fn commanded(&self) -> impl Future<Output = ()> {
        let changed = match self {
            Control::Master(orders) => Some(orders.changed.notified()),
            Control::Workers(_) | Control::Child { .. } => None,
        };
        async move {
            match changed {
                Some(changed) => changed.await,
                None => std::future::pending().await,
            }
        }
    }
}

impl Shared {
    pub(crate) fn new(
        mapping: Arc<Mapping>,
        addresses: Vec<ListenAddr>,
        control: Control,
        notifier: Notifier,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            mapping,
            addresses,
            control,
            is_draining: AtomicBool::new(false),
            notifier,
        })
    }

    /// All workers run.
    pub(crate) fn ready(&self) {
        self.notifier.ready(Addresses(&self.addresses));
    }

    pub(crate) fn set_draining(&self) {
        if !self.is_draining.swap(true, Ordering::AcqRel) {
            self.notifier.stopping();
        }
    }

    /// Commands the workers of this process only.
    pub(crate) fn command_workers(&self, command: Command) {
        if command > Command::Run {
            self.set_draining();
        }
        for link in self.control.links() {
            link.command(command);
        }
    }
}

impl Handle {
    /// Begins a drain: no new connections after `drain_delay`; requests that have arrived are
    /// answered with `Connection: close`; idle connections are closed after `drain_idle_timeout`;
    /// after `drain_timeout` what is left is cut. [`Engine::run`](crate::Engine::run) returns when
    /// the last connection is closed. Returns at once.
    pub fn shutdown(&self) {
        self.command(Command::Drain);
    }

    /// Cuts every connection now: handlers are dropped, connections are reset, and
    /// [`Engine::run`](crate::Engine::run) returns. Returns at once, and may be called more than once.
    pub fn stop(&self) {
        self.command(Command::Stop);
    }

    /// Whether this process's drain has been asked for: what a readiness check should say no to.
    /// True from the beginning of `drain_delay`, in which requests are still welcome.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining.load(Ordering::Acquire)
    }

    /// Where the engine listens, in the order in which the places were named; a port that was given as 0 is the
    /// one the system chose.
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.shared.addresses
    }

    /// The counters of all workers of all processes, added up.
    pub fn counters(&self) -> CountersSnapshot {
        let mapping = &self.shared.mapping;
        CountersSnapshot::sum(mapping, 0..mapping.shape().workers())
    }

    /// The counters of each worker: first those of the first process.
    pub fn worker_counters(&self) -> Vec<CountersSnapshot> {
        CountersSnapshot::each(&self.shared.mapping)
    }

    fn command(&self, command: Command) {
        match &self.shared.control {
            Control::Workers(_) => self.shared.command_workers(command),
            Control::Master(orders) => orders.give(command),
            Control::Child { master, .. } => {
                if master.send(Message::Ask(command), &[]).is_err() {
                    self.shared.command_workers(command);
                }
            }
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("local_addrs", &self.shared.addresses)
            .finish_non_exhaustive()
    }
}

/// Addresses with commas between them.
pub(crate) struct Addresses<'a>(pub(crate) &'a [ListenAddr]);

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
