//! What the transport is told: identifiers, keys, windows, and what each listener speaks.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig};
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{
    EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt,
};

use super::id::{IdGenerator, LastId, Seat};
use super::keys::Secret;
use crate::config::{Config, Congestion, QuicOptions};
use crate::tls::Entries;

/// What all connections of a worker share. `last` has the identifier that was made last.
pub(super) fn config(secret: &Secret, seat: Seat, last: &LastId) -> Arc<EndpointConfig> {
    let mut config = EndpointConfig::new(secret.reset_key());
    let id_key = secret.id_key();
    let last = last.clone();
    config.cid_generator(move || Box::new(IdGenerator::new(seat, id_key, last.clone())));
    config.supported_versions(vec![VERSION_1]);
    Arc::new(config)
}

/// RFC 9000.
const VERSION_1: u32 = 1;

/// What connections of each listener need, by entry.
pub(super) struct Servers(Vec<Option<Arc<ServerConfig>>>);

impl Servers {
    pub(super) fn new(config: &Config, entries: &Entries, secret: &Secret) -> Servers {
        let transport = Arc::new(transport(config));
        let token_key = secret.token_key();
        let server = |tls: Option<&Arc<QuicServerConfig>>| {
            let tls = Arc::clone(tls?);
            let mut server = ServerConfig::new(tls, Arc::clone(&token_key));
            server
                .transport_config(Arc::clone(&transport))
                .migration(config.quic.migration)
                // Connections are accepted at once: nothing waits.
                .max_incoming(INCOMING_MAX);
            Some(Arc::new(server))
        };
        Servers(entries.all_quic().map(server).collect())
    }

    pub(super) fn of(&self, entry: usize) -> Option<Arc<ServerConfig>> {
        self.0.get(entry)?.clone()
    }

    /// One of them: the endpoint wants to know that it is a server.
    pub(super) fn any(&self) -> Option<Arc<ServerConfig>> {
        self.0.iter().flatten().next().cloned()
    }
}

/// More than can come in a turn.
const INCOMING_MAX: usize = 1 << 16;

/// Unidirectional streams of a client: control, two of QPACK, and a few that servers must take and ignore
/// (RFC 9114 §6.2).
const UNIDIRECTIONAL_STREAMS_MAX: u32 = 8;

pub(super) fn transport(config: &Config) -> TransportConfig {
    let options = &config.quic;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(config.http2.concurrent_streams_max))
        .max_concurrent_uni_streams(VarInt::from_u32(UNIDIRECTIONAL_STREAMS_MAX))
        .max_idle_timeout(silence_timeout(options))
        .stream_receive_window(VarInt::from_u32(options.stream_window))
        .receive_window(VarInt::from_u32(options.connection_window))
        // The order of content is decided above the transport.
        .send_fairness(false)
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(options.keep_alive.map(seconds))
        .congestion_controller_factory(controller(options.congestion));
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(options.datagram_bytes_max);
    transport.mtu_discovery_config(Some(discovery));
    transport
}

fn silence_timeout(options: &QuicOptions) -> Option<IdleTimeout> {
    IdleTimeout::try_from(seconds(options.silence_timeout)).ok()
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

fn controller(congestion: Congestion) -> Arc<dyn ControllerFactory + Send + Sync> {
    match congestion {
        Congestion::Cubic => Arc::new(CubicConfig::default()),
        Congestion::Bbr => Arc::new(BbrConfig::default()),
    }
}
