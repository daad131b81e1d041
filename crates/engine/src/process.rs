//! Several processes: a master that owns the sockets, and workers that are the same program started
//! again.
//!
//! ```text
//!   master   binds every socket of every worker, and keeps them all
//!     |      one Unix socket to each process, `Channel`
//!     +--- process 0   its own sockets, `threads` workers
//!     +--- process 1
//!     +--- …
//! ```
//!
//! A process is started by running `/proc/self/exe` with the arguments of the master and a variable in
//! the environment that names its end of the channel; never by a fork that goes on, because other
//! threads may hold locks. It runs `main` from the start, comes to the same call that bound the sockets
//! in the master, and receives there what it is to serve.
//!
//! | the channel carries | from | when |
//! |---|---|---|
//! | [`Setup`](Message::Setup) with the shared mapping, [`Sockets`](Message::Sockets), [`Run`](Message::Run) | master | first of all |
//! | [`Ready`](Message::Ready) | process | all its workers run |
//! | [`Adopt`](Message::Adopt), [`Release`](Message::Release) | master | another process is down, is back |
//! | [`Command`](Message::Command) | master | drain, stop |
//! | [`Ask`](Message::Ask) | process | its application asks for the whole server's end |
//! | [`Signalled`](Message::Signalled) | process | somebody sent SIGTERM to it, and not to the master |
//! | [`Ended`](Message::Ended) | process | its drain is over |
//!
//! The end of the channel is the end of the process at the other side. A process whose master is gone
//! drains and ends.

mod channel;
mod child;
mod master;

pub(crate) use channel::{Channel, Message};
pub(crate) use child::{Setup, claim_channel};
pub(crate) use master::Master;

/// Names a worker process's end of the channel: the master's process id and the descriptor's number.
/// A program that a worker process starts inherits the variable, but has another parent.
const MARKER: &str = "AJAYSERVER_PROCESS";

/// Whether this process is a worker process of a server: the program, started again by its master.
/// True from the start of `main`.
pub fn is_worker_process() -> bool {
    child::marker().is_some()
}
