//! What the process wants of a worker: other listeners, and its end.

use super::{Worker, watch, watch_udp};
use crate::accept::ACCEPTS_PER_TURN;
use crate::connection::{Close, Ending};
use crate::counters::Counter;
use crate::deadline::ticks;
use crate::link::{Command, Order};
use crate::service::Service;

impl<S: Service> Worker<S> {
    /// Carries out what the process asked for.
    pub(super) fn obey(&mut self) {
        for order in self.link.take_orders() {
            self.carry_out(order);
        }
        match self.link.current() {
            Command::Run => {}
            Command::Retire => self.retire(),
            Command::Drain => self.await_drain(),
            Command::DrainNow => self.begin_drain(),
            Command::Stop => {
                self.begin_drain();
                self.stop();
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            // Who drains has turned its back on the listeners, also on those of others.
            Order::Adopt { .. } if self.cx.draining => {}
            Order::Adopt { process, listeners } => {
                tracing::debug!(process, "serving the listeners of another process");
                for listener in listeners {
                    let (index, socket) = self.acceptor.add(listener, Some(process));
                    if let Err(error) = watch(&self.reactor, (index, socket)) {
                        tracing::warn!(%error, process, "cannot watch a listener");
                        self.acceptor.remove(index);
                    }
                }
            }
            Order::AdoptUdp { process, sockets } => {
                for udp in sockets {
                    let Some(quic) = &mut self.quic else {
                        return;
                    };
                    let adopted = quic.adopt(udp, process);
                    let watched =
                        adopted.and_then(|(place, it)| watch_udp(&self.reactor, Some(place), it));
                    if let Err(error) = watched {
                        tracing::warn!(%error, process, "cannot read from another's UDP socket");
                    }
                }
            }
            Order::Release { process } => {
                for index in self.acceptor.adopted_from(process) {
                    self.forget_listener(index);
                }
                if let Some(quic) = &mut self.quic {
                    for socket in quic.release(process) {
                        self.reactor.deregister(&socket);
                    }
                }
            }
        }
    }

    /// Leaves a listener to the other processes that have it.
    fn forget_listener(&mut self, index: usize) {
        if let Some(listener) = self.acceptor.remove(index) {
            // It is open elsewhere, so closing it here would not take it out.
            self.reactor.deregister(&listener.socket);
        }
    }

    fn await_drain(&mut self) {
        let delay = self.cx.config.deadlines.drain_delay;
        if delay.is_zero() {
            self.begin_drain();
        } else if self.drain_at.is_none() {
            self.drain_at = Some(self.cx.now.saturating_add(ticks(delay)));
        }
    }

    /// Stops accepting, while others go on, and drains.
    fn retire(&mut self) {
        if self.cx.draining {
            return;
        }
        for index in self.acceptor.all() {
            self.forget_listener(index);
        }
        self.begin_drain();
    }

    /// Stops accepting, answers what is in flight and tells its clients to go, gives idle
    /// connections a short grace.
    pub(super) fn begin_drain(&mut self) {
        if std::mem::replace(&mut self.cx.draining, true) {
            return;
        }
        self.drain_at = None;
        crate::draining::begin();
        // A connection that was completed before the drain has a right to an answer, also when
        // its event is still to come. The listeners are closed at a later tick, when handshakes
        // that had begun have ended as well.
        self.acceptor.turn_away();
        let deadlines = &self.cx.config.deadlines;
        self.cx.waits.hasten(ticks(deadlines.drain_idle_timeout));
        self.drain_deadline = Some(self.cx.now.saturating_add(ticks(deadlines.drain_timeout)));
        tracing::debug!(connections = self.open, "draining");
        if let Some(quic) = &mut self.quic {
            quic.begin_drain(self.cx.now);
        }
        for index in self.places.indices() {
            let Some(mut connection) = self.places.take_at(index) else {
                continue;
            };
            connection.tell_to_go(self.cx.now);
            match connection.http2 {
                // Its client has to be told, and does not wait for a response to be so.
                Some(_) => self.drive(connection),
                None => self.put_back(connection),
            }
        }
    }

    /// Takes what is left in the queues of the listeners, and closes those that have nothing
    /// left: all of them, unless we are at a limit.
    pub(super) fn close_listeners(&mut self) {
        self.acceptor.set_all_ready();
        self.accept(self.cx.config.sockets.backlog.max(ACCEPTS_PER_TURN));
        self.acceptor.close_empty();
    }

    /// Cuts what is still open.
    pub(super) fn stop(&mut self) {
        self.acceptor.close_all();
        self.drain_deadline = None;
        self.with_quic(|quic, desk, admission| quic.stop(desk, admission));
        for index in self.places.indices() {
            let Some(connection) = self.places.take_at(index) else {
                continue;
            };
            if connection.ending == Ending::Lingering {
                // All that it was owed has been sent; only its client has not closed yet.
                self.close(connection, Close::Plain);
            } else {
                self.cx.counters.count(Counter::DrainCut);
                self.close(connection, Close::Reset);
            }
        }
    }
}
