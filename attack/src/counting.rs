//! An honest client that knows what became of each request.
//!
//! Every request has a number. A request is *fully written* when the kernel has taken its last
//! byte; from then on the server owes an answer, and a connection that ends before it has come
//! loses that request. A *mark* divides requests into those that were fully written before it and
//! the others: set it, then send a signal, and every request that was written before the signal is
//! known as such.
//!
//! ```text
//! written = answered + mismatched + other_status + lost_after_written + refused
//! ```
//!
//! holds before the mark and after it. *Refused* is known to HTTP/2 and HTTP/3 only: the server has said that
//! it did not and will not process the request (RFC 9113 §8.7: above the last stream of a GOAWAY,
//! or REFUSED_STREAM), so that anybody may send it again, and nothing is lost.

mod client;
mod http2;
mod http3;
mod response;
mod totals;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use totals::{Phase, Totals};

use crate::attack::{SECONDS_MAX, seconds};
use crate::error::within;
use crate::loopback::Sources;
use crate::{Error, Loopback, Protocol, Result, descriptors};

/// Requests of one connection that wait for an answer.
const PIPELINE_MAX: u64 = 256;

/// Where a request carries its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// `GET /n/NUMBER`, after the path
    #[default]
    Target,
    /// `GET` with a field `Number`
    Field,
    /// `POST` with the number as content
    Content,
}

/// Whom to ask, how often and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom.
    pub address: Loopback,
    /// In which protocol.
    pub protocol: Protocol,
    /// Before `/n/NUMBER`, or the whole target.
    pub path: String,
    /// Where the number goes.
    pub place: Place,
    /// The response must contain the number; in HTTP/2 and HTTP/3 its content must. Without it any response with status 200 is right,
    /// and only one too many is seen.
    pub echo: bool,
    /// Connections kept up.
    pub connections: usize,
    /// Requests of one connection that may wait for their answers: in a pipeline, or on streams of
    /// their own.
    pub pipeline: usize,
    /// How long new requests are sent.
    pub duration: Duration,
    /// Requests of one connection, after which it is closed and another one opened.
    pub new_connection_every: Option<u32>,
    /// Requests per second, all connections together; as fast as they are answered if none.
    pub rate: Option<u32>,
    /// Addresses to come from; 1 leaves the choice to the kernel.
    pub sources: u16,
    /// Until a connection is established or refused.
    pub connect_timeout: Duration,
    /// How long answers are waited for after the last request.
    pub grace: Duration,
}

impl Plan {
    /// One request at a time on each of 16 connections, for ten seconds.
    pub fn new(address: Loopback) -> Plan {
        Plan {
            address,
            protocol: Protocol::Http1,
            path: String::new(),
            place: Place::Target,
            echo: false,
            connections: 16,
            pipeline: 1,
            duration: Duration::from_secs(10),
            new_connection_every: None,
            rate: None,
            sources: 1,
            connect_timeout: Duration::from_secs(5),
            grace: Duration::from_secs(5),
        }
    }

    fn check(&self) -> Result<()> {
        const ANY: RangeInclusive<u64> = 1..=u32::MAX as u64;
        within("connections", self.connections as u64, 1..=descriptors())?;
        within("pipelined requests", self.pipeline as u64, 1..=PIPELINE_MAX)?;
        let every = self.new_connection_every.unwrap_or(1);
        within("requests on a connection", every.into(), ANY)?;
        within("requests per second", self.rate.unwrap_or(1).into(), ANY)?;
        let times = 1..=SECONDS_MAX;
        within("seconds", seconds(self.duration), times.clone())?;
        within("seconds of grace", seconds(self.grace), times.clone())?;
        within("seconds to connect", seconds(self.connect_timeout), times)
    }
}

/// What another thread can tell the client.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    marked: AtomicBool,
    stopped: AtomicBool,
}

impl Control {
    /// Requests that are not fully written when this returns belong to the time after the mark.
    pub fn mark(&self) {
        self.0.marked.store(true, Ordering::SeqCst);
    }

    /// No new requests from now on.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }

    fn is_marked(&self) -> bool {
        self.0.marked.load(Ordering::SeqCst)
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }
}

/// Asks, and returns when the time is over and what was asked is answered or lost.
///
/// # Errors
/// When the plan is out of bounds or the machine does not play along; never because of what the
/// server does.
pub fn run(plan: &Plan) -> Result<Totals> {
    start(plan)?.join()
}

/// Asks in the background.
///
/// # Errors
/// When the plan is out of bounds.
pub fn start(plan: &Plan) -> Result<Running> {
    plan.check()?;
    let sources = Sources::new(plan.sources, plan.address)?;
    let control = Control::default();
    let until = Instant::now() + plan.duration;
    let (plan, told) = (plan.clone(), control.clone());
    let thread = std::thread::spawn(move || match plan.protocol {
        Protocol::Http3 => http3::run(&plan, sources, until, &told),
        Protocol::Http1 | Protocol::Http2 => client::run(&plan, sources, until, &told),
    });
    Ok(Running {
        control,
        thread: Some(thread),
    })
}

/// A client that goes on. It stops when this is dropped, without being waited for.
#[derive(Debug)]
pub struct Running {
    control: Control,
    thread: Option<JoinHandle<Result<Totals>>>,
}

impl Running {
    /// A handle for other threads.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// See [`Control::mark`].
    pub fn mark(&self) {
        self.control.mark();
    }

    /// See [`Control::stop`].
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As [`run`].
    pub fn join(mut self) -> Result<Totals> {
        let thread = self.thread.take().ok_or(Error::Panicked)?;
        thread.join().map_err(|_| Error::Panicked)?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
