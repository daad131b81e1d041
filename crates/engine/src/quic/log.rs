//! Events of connections as qlog, for finding faults.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::{ConnectionId, QlogConfig, ServerConfig};

use super::endpoint::transport;
use crate::config::Config;

/// What a connection is accepted with so that its events are written to a file of its own, named for the
/// id that its client chose first; as it was if there can be none.
pub(super) fn with_qlog(
    server: Arc<ServerConfig>,
    config: &Config,
    directory: &Path,
    id: ConnectionId,
    now: Instant,
) -> Arc<ServerConfig> {
    let path = directory.join(format!("{id}.sqlog"));
    let file = match File::create_new(&path) {
        Ok(file) => file,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no qlog of a connection");
            return server;
        }
    };
    let mut log = QlogConfig::default();
    log.writer(Box::new(BufWriter::new(file)))
        .title(Some(id.to_string()))
        .start_time(now);
    let mut transport = transport(config);
    transport.qlog_stream(log.into_stream());
    let mut server = ServerConfig::clone(&server);
    server.transport_config(Arc::new(transport));
    Arc::new(server)
}
