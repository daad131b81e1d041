//! Slots for exchanges that did not finish in the turn they began in.
//!
//! A handler's future is written into a slot and polled there at once. Most finish in that poll
//! and the slot is free again. Slots are recycled, and with them the allocation of the future and
//! of its waker: a request allocates nothing here once the worker is warm.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::body::Body;
use crate::content::Feed;
use crate::reactor::Token;
use crate::wake::{Signal, WakeQueue};

pub(crate) struct Slots<F> {
    slots: Vec<Slot<F>>,
    free: Vec<u32>,
    queue: Arc<WakeQueue>,
}

pub(crate) struct Slot<F> {
    future: Pin<Box<Option<F>>>,
    signal: Arc<Signal>,
    waker: Waker,
    /// The connection this exchange belongs to; none while the slot is free.
    pub(crate) owner: Option<Token>,
    /// In HTTP/2, the place of its stream in the connection's table.
    pub(crate) stream: u32,
    /// Where content goes that the handler has not read yet.
    pub(crate) feed: Option<Arc<Feed>>,
    /// The streamed body of a response whose head has been sent.
    pub(crate) body: Option<Body>,
}

impl<F: Future> Slots<F> {
    pub(crate) fn new(queue: Arc<WakeQueue>) -> Slots<F> {
        Slots {
            slots: Vec::new(),
            free: Vec::new(),
            queue,
        }
    }

    /// Takes a free slot for a connection.
    pub(crate) fn acquire(&mut self, owner: Token) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| self.add());
        self.slots[index as usize].owner = Some(owner);
        index
    }

    /// Makes a slot free that holds nothing, as after most exchanges; says whether it did.
    #[inline]
    pub(crate) fn release_empty(&mut self, index: u32) -> bool {
        let slot = &mut self.slots[index as usize];
        let is_empty = !slot.is_running() && slot.feed.is_none() && slot.body.is_none();
        if is_empty {
            slot.owner = None;
            self.free.push(index);
        }
        is_empty
    }

    /// Drops what is in the slot and makes it free. Dropping runs the application's code.
    pub(crate) fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.owner = None;
        slot.body = None;
        if let Some(feed) = slot.feed.take() {
            feed.abandon();
        }
        slot.future.as_mut().set(None);
        self.free.push(index);
    }

    #[inline]
    pub(crate) fn get(&mut self, index: u32) -> &mut Slot<F> {
        &mut self.slots[index as usize]
    }

    /// Which connection to drive for a wake-up of slot `index`, if it is still in use.
    pub(crate) fn woken(&mut self, index: u32) -> Option<Token> {
        let slot = &self.slots[index as usize];
        // Before the poll, so that a wake-up during it queues the slot again.
        slot.signal.taken();
        slot.owner
    }

    fn add(&mut self) -> u32 {
        let index = self.slots.len() as u32;
        let signal = Arc::new(Signal::new(Arc::clone(&self.queue), index));
        self.slots.push(Slot {
            future: Box::pin(None),
            waker: Waker::from(Arc::clone(&signal)),
            signal,
            owner: None,
            stream: 0,
            feed: None,
            body: None,
        });
        index
    }
}

impl<F: Future> Slot<F> {
    pub(crate) fn begin(&mut self, future: F) {
        self.future.as_mut().set(Some(future));
    }

    /// Whether a handler is still running here.
    pub(crate) fn is_running(&self) -> bool {
        self.future.is_some()
    }

    /// Polls the handler; pending when there is none. Ready empties the slot's future.
    #[inline]
    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        let mut cx = Context::from_waker(&self.waker);
        let Some(future) = self.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let output = std::task::ready!(future.poll(&mut cx));
        self.future.as_mut().set(None);
        Poll::Ready(output)
    }

    /// Drops the handler unfinished.
    pub(crate) fn cancel(&mut self) {
        self.future.as_mut().set(None);
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(crate) fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.signal)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.notify();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify();
    }
}

#[cfg(test)]
mod tests;
