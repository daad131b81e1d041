//! Datagrams out, as far as sockets take them.

use super::connection::Connection;
use super::{Quic, Unsent};
use crate::counters::Counter;
use crate::desk::Desk;
use crate::service::Service;

/// One call sends so many bytes at most: a limit of the kernel, less what the last datagram may have.
const SEND_BYTES_MAX: usize = 60_000;

/// Calls to send for a connection in a turn, so that others have their turn.
const SENDS_PER_TURN: usize = 16;

impl Quic {
    /// Sends the datagrams that a connection has, as far as the socket takes them.
    pub(super) fn transmit<S: Service>(
        &mut self,
        desk: &mut Desk<'_, S>,
        connection: &mut Connection,
    ) {
        let Some(Some(port)) = self.ports.get_mut(connection.port) else {
            return;
        };
        if connection.is_waiting {
            return;
        }
        let index = connection.handle.0 as u32;
        let mtu = usize::from(connection.transport.current_mtu()).max(1);
        let segments = port.segments_max().min(SEND_BYTES_MAX / mtu).max(1);
        for _ in 0..SENDS_PER_TURN {
            if port.is_full {
                connection.is_waiting = true;
                self.unsent.push(Unsent {
                    port: connection.port,
                    connection: index,
                    transmit: None,
                    bytes: Vec::new(),
                });
                return;
            }
            // The transport sends a whole datagram where a byte would be allowed.
            let segments = match connection.credit {
                Some(credit) => segments.min(credit / mtu),
                None => segments,
            };
            if segments == 0 {
                return;
            }
            self.datagrams.clear();
            let transport = &mut connection.transport;
            let Some(transmit) = transport.poll_transmit(self.now, segments, &mut self.datagrams)
            else {
                return;
            };
            let datagrams = match transmit.segment_size {
                Some(len) => transmit.size.div_ceil(len.max(1)),
                None => 1,
            };
            if let Some(credit) = &mut connection.credit {
                *credit = credit.saturating_sub(transmit.size);
            }
            let counters = &desk.cx.counters;
            counters.add(Counter::QuicDatagramsSent, datagrams as u64);
            counters.add(Counter::BytesSent, transmit.size as u64);
            if !port.send(&transmit, &self.datagrams) {
                connection.is_waiting = true;
                self.unsent.push(Unsent {
                    port: connection.port,
                    connection: index,
                    transmit: Some(transmit),
                    bytes: std::mem::take(&mut self.datagrams),
                });
                return;
            }
        }
        // There is more: in the next turn.
        connection.is_listed = true;
        self.line_up(index, connection.class(), connection.token.generation);
    }

    /// A socket takes datagrams again.
    pub(super) fn send_unsent(&mut self, place: usize) {
        let mut unsent = std::mem::take(&mut self.unsent);
        let mut kept = Vec::new();
        for mut one in unsent.drain(..) {
            let Some(Some(port)) = self.ports.get_mut(one.port) else {
                continue;
            };
            let is_sent = match one.transmit.take() {
                _ if one.port != place || port.is_full => false,
                None => true,
                Some(transmit) => {
                    let is_sent = port.send(&transmit, &one.bytes);
                    one.transmit = Some(transmit);
                    is_sent
                }
            };
            if !is_sent {
                kept.push(one);
                continue;
            }
            if let Some(connection) = self.connection(one.connection) {
                connection.is_waiting = false;
            }
            self.list(one.connection);
        }
        self.unsent = kept;
    }
}
