//! The thread that waits for signals, and for the master where there is one, on behalf of the workers of
//! a process. A thread of its own, so that `run` may be called from anywhere, and a busy worker delays
//! nothing.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::runtime::LocalRuntime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::config::Config;
use crate::handle::{Control, Shared};
use crate::link::{Command, Order};
use crate::listener::Listener;
use crate::process::{Channel, Message};
use crate::start::StartError;
use crate::tls::{Entries, read_ticket_keys};

/// Ends the thread when it is dropped.
pub(crate) struct Watch {
    done: Arc<Notify>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Watch {
    /// Begins to watch. A signal that comes after this has returned is seen.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        config: &Arc<Config>,
        entries: &Arc<Entries>,
        with_signals: bool,
    ) -> Result<Watch, StartError> {
        let system = |error| StartError::System {
            what: "watching for signals",
            error,
        };
        let done = Arc::new(Notify::new());
        let (shared, config, end) = (Arc::clone(shared), Arc::clone(config), Arc::clone(&done));
        let entries = Arc::clone(entries);
        let (report, installed) = std::sync::mpsc::channel();
        let watch = move || {
            let install = || {
                let runtime = LocalRuntime::new()?;
                let inside = runtime.enter();
                let watcher = Watcher::new(shared, config, entries, with_signals)?;
                drop(inside);
                Ok((runtime, watcher))
            };
            let (runtime, watcher) = match install() {
                Ok(installed) => installed,
                Err(error) => return drop(report.send(Err(error))),
            };
            let _ = report.send(Ok(()));
            runtime.block_on(watcher.run(&end));
        };
        let thread = thread::Builder::new()
            .name("signals".to_owned())
            .spawn(watch)
            .map_err(system)?;
        let installed = installed
            .recv()
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let watch = Watch {
            done,
            thread: Some(thread),
        };
        installed.map_err(system)?;
        Ok(watch)
    }
}

struct Watcher {
    shared: Arc<Shared>,
    config: Arc<Config>,
    entries: Arc<Entries>,
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    master: Option<(Channel, UnixStream)>,
    /// Signals seen so far.
    signals: u32,
}

/// How long after its last drain could have ended a process whose master is gone may still run: then
/// it is ended, whatever it does, because nobody else would.
const ORPHAN_GRACE: Duration = Duration::from_secs(5);

/// How often the files of certificates are looked at.
const FILES_PAUSE: Duration = Duration::from_secs(10);

impl Watcher {
    /// Must be called inside the thread's tokio runtime.
    fn new(
        shared: Arc<Shared>,
        config: Arc<Config>,
        entries: Arc<Entries>,
        with_signals: bool,
    ) -> io::Result<Watcher> {
        let watch = |kind| with_signals.then(|| signal(kind)).transpose();
        let master = match &shared.control {
            Control::Child { master, .. } => {
                let incoming = std::os::fd::OwnedFd::from(master.try_clone()?);
                let incoming = UnixStream::from_std(incoming.into())?;
                Some((master.try_clone()?, incoming))
            }
            Control::Workers(_) | Control::Master(_) => None,
        };
        Ok(Watcher {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            shared,
            config,
            entries,
            master,
            signals: 0,
        })
    }

    async fn run(mut self, end: &Notify) {
        let mut orphaned = false;
        let outlived = self.config.deadlines.drain_timeout + ORPHAN_GRACE;
        let mut files = tokio::time::interval(FILES_PAUSE);
        let has_tls = self.entries.is_any_tls();
        loop {
            tokio::select! {
                () = received(&mut self.terminate) => self.signalled(true),
                () = received(&mut self.interrupt) => self.signalled(false),
                () = readable(&self.master) => orphaned = !self.receive(),
                () = tokio::time::sleep(outlived), if orphaned => {
                    tracing::error!("a process that has lost its master does not end; ended now");
                    std::process::exit(1);
                }
                _ = files.tick(), if has_tls => self.look_at_files(),
                () = end.notified() => return,
            }
        }
    }

    /// Reads certificates that have changed, and changes the keys of tickets when it is time.
    fn look_at_files(&self) {
        self.entries.reload_certificates();
        // Those of several processes come from their master.
        if let Control::Workers(_) = self.shared.control {
            self.entries.rotate_ticket_keys();
        }
    }

    fn signalled(&mut self, is_terminate: bool) {
        if let Some((master, _)) = &self.master {
            // SIGINT comes from a terminal, to the master as well. SIGTERM may be meant for this
            // process alone.
            if is_terminate && master.send(Message::Signalled, &[]).is_err() {
                self.shared.command_workers(Command::DrainNow);
            }
            return;
        }
        let command = if self.signals == 0 {
            Command::Drain
        } else {
            Command::Stop
        };
        self.signals += 1;
        tracing::info!(by_force = command == Command::Stop, "stopping on a signal");
        self.shared.command_workers(command);
    }

    /// Takes what the master has sent. False when it is gone.
    fn receive(&mut self) -> bool {
        while let Some((channel, incoming)) = &self.master {
            match incoming.try_io(Interest::READABLE, || channel.receive()) {
                Ok(Some((message, sockets))) => self.heard(message, sockets),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Other => {
                    tracing::warn!(%error, "cannot take over sockets of another process");
                }
                Ok(None) | Err(_) => self.master = None,
            }
        }
        tracing::warn!("the master process is gone; draining");
        self.shared.command_workers(Command::DrainNow);
        false
    }

    fn heard(&self, message: Message, sockets: Vec<std::os::fd::OwnedFd>) {
        let links = self.shared.control.links();
        match message {
            Message::Command(command) => self.shared.command_workers(command),
            Message::Adopt {
                process,
                thread,
                entry,
                outlive_us,
            } => {
                let listeners = sockets.into_iter().map(|socket| {
                    let (_, listener) = Listener::adopt(socket, outlive_us, entry as usize)?;
                    Ok(listener)
                });
                match listeners.collect::<io::Result<Vec<_>>>() {
                    Ok(listeners) => links[thread as usize % links.len()].order(Order::Adopt {
                        process: process as usize,
                        listeners,
                    }),
                    Err(error) => tracing::warn!(%error, "cannot serve another process's sockets"),
                }
            }
            Message::AdoptDatagrams {
                process,
                thread,
                entry,
            } => {
                let entry = entry as usize;
                let udp = |socket| crate::quic::socket::Udp { socket, entry };
                links[thread as usize % links.len()].order(Order::AdoptUdp {
                    process: process as usize,
                    sockets: sockets.into_iter().map(udp).collect(),
                });
            }
            Message::TicketKeys => match sockets.into_iter().next().map(read_ticket_keys) {
                Some(Ok(keys)) => self.entries.set_ticket_keys(keys),
                _ => tracing::error!("the master process sent no keys for session tickets"),
            },
            Message::Release { process } => {
                for link in links {
                    let process = process as usize;
                    link.order(Order::Release { process });
                }
            }
            other => tracing::error!(?other, "the master process sent this out of turn"),
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

async fn readable(master: &Option<(Channel, UnixStream)>) {
    match master {
        // An error is met again when it is read.
        Some((_, incoming)) => drop(incoming.readable().await),
        None => std::future::pending().await,
    }
}
