//! What the rest of the process has of a worker: its counters, and ways to tell it something.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::listener::Listener;
use crate::mapping::SlotRef;
use crate::quic::socket::Udp;
use crate::wake::WakeQueue;

/// The way to one worker, from any thread.
pub(crate) struct Link {
    pub(crate) queue: Arc<WakeQueue>,
    pub(crate) counters: SlotRef,
    command: AtomicU8,
    orders: Mutex<Vec<Order>>,
    has_orders: AtomicBool,
}

/// How long a worker is to go on; a higher command replaces a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Command {
    Run,
    /// Others go on: leave the listeners to them, and drain.
    Retire,
    /// All end: keep the listeners for `drain_delay`, let nobody in any more, and drain.
    Drain,
    /// As `Drain`, at once.
    DrainNow,
    /// Cut what is open.
    Stop,
}

impl Command {
    pub(crate) fn from_number(number: u8) -> Option<Command> {
        [
            Command::Run,
            Command::Retire,
            Command::Drain,
            Command::DrainNow,
            Command::Stop,
        ]
        .into_iter()
        .find(|command| *command as u8 == number)
    }
}

/// A change to what a worker listens on.
pub(crate) enum Order {
    /// Serve these as well, which are another process's.
    Adopt {
        process: usize,
        listeners: Vec<Listener>,
    },
    /// Read from these UDP sockets as well, which are another process's.
    AdoptUdp { process: usize, sockets: Vec<Udp> },
    /// That process serves its own again.
    Release { process: usize },
}

impl Link {
    pub(crate) fn new(counters: SlotRef) -> Link {
        Link {
            queue: Arc::new(WakeQueue::default()),
            counters,
            command: AtomicU8::new(Command::Run as u8),
            orders: Mutex::default(),
            has_orders: AtomicBool::new(false),
        }
    }

    pub(crate) fn command(&self, command: Command) {
        self.command.fetch_max(command as u8, Ordering::AcqRel);
        self.queue.wake_worker();
    }

    pub(crate) fn order(&self, order: Order) {
        self.orders().push(order);
        self.has_orders.store(true, Ordering::Release);
        self.queue.wake_worker();
    }

    /// The highest command so far.
    pub(crate) fn current(&self) -> Command {
        Command::from_number(self.command.load(Ordering::Acquire)).unwrap_or(Command::Stop)
    }

    /// Orders that have come since the last call.
    pub(crate) fn take_orders(&self) -> Vec<Order> {
        if !self.has_orders.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.orders())
    }

    fn orders(&self) -> MutexGuard<'_, Vec<Order>> {
        // Nothing that can panic runs under this lock.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
