//! New connections: who is let in, who has to prove an address first, and who is refused.

use std::net::SocketAddr;

use quinn_proto::{ConnectionHandle, Incoming};

use super::connection::Connection;
use super::socket::Arrival;
use super::{CONNECTIONS_FROM, Place, Quic};
use crate::admission::{Admission, Admitted};
use crate::config::Retry;
use crate::counters::Counter;
use crate::desk::Desk;
use crate::reactor::Token;
use crate::request::PeerAddr;
use crate::service::Service;

/// Handshakes whose order is known: more than are under way, unless somebody wants it so.
const HALF_OPEN_MAX: usize = 16 * 1024;

impl Quic {
    /// A handshake is under way.
    fn note_half_open(&mut self, index: u32, generation: u32) {
        if self.half_open.len() >= HALF_OPEN_MAX {
            self.half_open.pop_front();
        }
        self.half_open.push_back((index, generation));
    }

    /// A client wants a connection.
    pub(super) fn accept<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        admission: &Admission,
        place: usize,
        arrival: &Arrival,
        incoming: Incoming,
        datagram: &[u8],
    ) {
        let entry = self.ports[place].as_ref().map(|port| port.entry);
        let Some((entry, server)) = entry.and_then(|entry| Some((entry, self.servers.of(entry)?)))
        else {
            return self.endpoint.ignore(incoming);
        };
        if desk.cx.draining {
            return self.pass_on(desk, place, arrival, incoming, datagram);
        }
        let cx = &mut *desk.cx;
        let limits = &cx.config.connections;
        let is_crowded = cx.handshakes >= limits.handshakes_max;
        let must_prove = match cx.config.quic.retry {
            Retry::Always => true,
            Retry::Above(handshakes) => cx.handshakes > handshakes || self.newcomers.is_crowded(),
        };
        if must_prove && !incoming.remote_address_validated() {
            cx.counters.count(Counter::QuicRetries);
            // What cannot be asked again is refused: its token was no good.
            match self.endpoint.retry(incoming, &mut self.response) {
                Ok(transmit) => self.respond(place, &transmit),
                Err(error) => self.refuse(place, error.into_incoming()),
            }
            return;
        }
        if is_crowded && !self.make_room(desk, admission) {
            desk.cx.counters.count(Counter::HandshakesRefused);
            return self.endpoint.ignore(incoming);
        }
        let cx = &mut *desk.cx;
        let limits = &cx.config.connections;
        let is_full = limits
            .connections_per_worker_max
            .is_some_and(|max| self.open >= max);
        if is_full || !admission.admit() {
            cx.counters.count(Counter::ConnectionsMaxReached);
            return self.refuse(place, incoming);
        }
        let peer = PeerAddr::Ip(incoming.remote_address());
        let admitted = admission.admit_address(peer);
        if admitted == Admitted::Refused {
            admission.leave();
            cx.counters.count(Counter::ConnectionsRefusedAddress);
            return self.refuse(place, incoming);
        }
        #[cfg(feature = "qlog")]
        let server = match &cx.config.quic.qlog_directory {
            Some(directory) => {
                let id = *incoming.orig_dst_cid();
                super::log::with_qlog(server, &cx.config, directory, id, self.now)
            }
            None => server,
        };
        let is_proved = incoming.remote_address_validated();
        let (now, response) = (self.now, &mut self.response);
        match self.endpoint.accept(incoming, now, response, Some(server)) {
            Ok((handle, transport)) => {
                let id = self.last_id.get();
                cx.handshakes += 1;
                cx.counters.count(Counter::ConnectionsAccepted);
                let is_counted = admitted == Admitted::Counted;
                let (began, local) = (cx.now, self.local_of(place, arrival));
                self.open += 1;
                let token = self.reserve(handle);
                let mut connection = Connection::new(token, handle, transport, began);
                connection.port = place;
                connection.peer = peer;
                connection.local = local;
                connection.entry = entry;
                connection.is_counted = is_counted;
                connection.credit = (!is_proved).then_some(0);
                connection.first_id = Some(id);
                self.in_handshake.insert(id);
                connection.note_received(datagram.len());
                self.put(Box::new(connection));
                self.note_half_open(handle.0 as u32, token.generation);
                self.list(handle.0 as u32);
            }
            Err(error) => {
                tracing::debug!(%peer, cause = %error.cause, "a QUIC connection was not accepted");
                cx.counters.count(Counter::TlsFailures);
                admission.leave();
                if admitted == Admitted::Counted {
                    admission.leave_address(peer);
                }
                if let Some(transmit) = error.response {
                    self.respond(place, &transmit);
                }
            }
        }
    }

    /// We end, and another process may go on: it gets the client, or nobody.
    fn pass_on<S: Service>(
        &mut self,
        desk: &Desk<'_, S>,
        place: usize,
        arrival: &Arrival,
        incoming: Incoming,
        datagram: &[u8],
    ) {
        let (worker, workers) = (self.seat.worker, self.seat.workers);
        let threads = desk.cx.config.threads.count(1);
        let next = (usize::from(worker) + threads) % usize::from(workers);
        let is_sent = self.forwarding.as_ref().is_some_and(|forwarding| {
            let place = self.common_place(place);
            next != usize::from(worker)
                && forwarding.send(next, place, arrival, datagram, datagram.len())
        });
        match is_sent {
            true => self.endpoint.ignore(incoming),
            false => self.refuse(place, incoming),
        }
    }

    /// The address that a client has sent to.
    fn local_of(&self, place: usize, arrival: &Arrival) -> Option<SocketAddr> {
        let local = self.ports[place].as_ref()?.local;
        let ip = arrival.local_ip.filter(|_| local.ip().is_unspecified());
        Some(SocketAddr::new(ip.unwrap_or(local.ip()), local.port()))
    }

    fn refuse(&mut self, place: usize, incoming: Incoming) {
        self.response.clear();
        let transmit = self.endpoint.refuse(incoming, &mut self.response);
        self.respond(place, &transmit);
    }

    fn reserve(&mut self, handle: ConnectionHandle) -> Token {
        if self.places.len() <= handle.0 {
            self.places.resize_with(handle.0 + 1, Place::default);
        }
        let place = &mut self.places[handle.0];
        place.generation = place.generation.wrapping_add(1);
        Token {
            index: CONNECTIONS_FROM + handle.0 as u32,
            generation: place.generation,
        }
    }
}
