//! What one listener offers: versions, application protocols, client certificates, resumption.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs as provider;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{SupportedProtocolVersion, version};

use crate::certificates::{CertError, CertStore};
use crate::client_certificates::{Authorities, Need};
use crate::session;
use crate::tickets::{POLICY_LEN, TicketKeysCell, Ticketer};

/// Shared by the sessions of a listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Config {
    rustls: Arc<rustls::ServerConfig>,
    store: Arc<CertStore>,
    asks_clients: bool,
}

/// What there is to decide for a listener.
#[derive(Clone, Debug)]
pub struct Options {
    /// Application protocols, the preferred first. A client that offers others only is refused, one
    /// that offers none is not.
    pub alpn: Vec<Vec<u8>>,
    /// The lowest version.
    pub version_min: VersionMin,
    /// Whether clients show certificates.
    pub client_certificates: ClientCertificates,
    /// Keys of session tickets; without them no session is resumed.
    pub tickets: Option<Arc<TicketKeysCell>>,
    /// For the ages of tickets and the validity of client certificates.
    pub clock: Arc<dyn TimeProvider>,
}

/// The lowest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum VersionMin {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

/// Certificates of clients (RFC 8446 §4.3.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ClientCertificates {
    /// None are asked for.
    #[default]
    Off,
    /// A client may show one. If it does, one of the authorities in this PEM file must have issued it.
    Optional(PathBuf),
    /// Without one there is no session.
    Required(PathBuf),
}

/// Why there is no such configuration.
#[non_exhaustive]
#[derive(Debug)]
pub enum ConfigError {
    /// The file of the authorities that issue client certificates is not good.
    ClientAuthorities(CertError),
    /// A name of an application protocol is empty or longer than 255 bytes (RFC 7301 §3.1).
    AlpnName,
    /// rustls does not accept what we ask for.
    Rustls(rustls::Error),
}

impl Default for Options {
    fn default() -> Options {
        Options {
            alpn: Vec::new(),
            version_min: VersionMin::default(),
            client_certificates: ClientCertificates::default(),
            tickets: None,
            clock: Arc::new(DefaultTimeProvider),
        }
    }
}

impl Config {
    /// With certificates from `store`, now and after each change of it.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn new(options: &Options, store: &Arc<CertStore>) -> Result<Config, ConfigError> {
        if options
            .alpn
            .iter()
            .any(|name| !(1..=255).contains(&name.len()))
        {
            return Err(ConfigError::AlpnName);
        }
        let provider = Arc::new(provider::default_provider());
        let builder = rustls::ServerConfig::builder_with_details(
            Arc::clone(&provider),
            Arc::clone(&options.clock),
        )
        .with_protocol_versions(options.version_min.versions())
        .map_err(ConfigError::Rustls)?;
        let (builder, policy) = match options.client_certificates.authorities() {
            None => (builder.with_no_client_auth(), [0; POLICY_LEN]),
            Some((path, need)) => {
                let authorities = Authorities::read(path)?;
                let verifier = authorities.verifier(need, &provider)?;
                let policy = authorities.policy(need);
                (builder.with_client_cert_verifier(verifier), policy)
            }
        };
        let mut rustls = builder.with_cert_resolver(Arc::new(Resolver(Arc::clone(store))));
        rustls.alpn_protocols.clone_from(&options.alpn);
        // Tickets hold the state; nothing is stored here, for no connection and no client.
        rustls.session_storage = Arc::new(NoServerSessionStorage {});
        match &options.tickets {
            Some(keys) => {
                rustls.ticketer = Arc::new(Ticketer {
                    keys: Arc::clone(keys),
                    clock: Arc::clone(&options.clock),
                    policy,
                });
                rustls.send_tls13_tickets = TICKETS;
            }
            None => rustls.send_tls13_tickets = 0,
        }
        Ok(Config {
            rustls: Arc::new(rustls),
            store: Arc::clone(store),
            asks_clients: options.client_certificates != ClientCertificates::Off,
        })
    }

    /// The same for QUIC (RFC 9001), which brings its own sessions: TLS 1.3 only, with these application
    /// protocols. Where clients show certificates their sessions are not resumed.
    #[must_use]
    pub fn quic(&self, alpn: &[&[u8]]) -> Arc<rustls::ServerConfig> {
        let mut rustls = rustls::ServerConfig::clone(&self.rustls);
        rustls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // `Resolver` and the tickets of clients with certificates tell things to a session of ours.
        rustls.cert_resolver = Arc::new(QuietResolver(Arc::clone(&self.store)));
        if self.asks_clients {
            rustls.send_tls13_tickets = 0;
            rustls.ticketer = Arc::new(NoTickets);
        }
        Arc::new(rustls)
    }

    pub(crate) fn rustls(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.rustls)
    }
}

impl ClientCertificates {
    fn authorities(&self) -> Option<(&Path, Need)> {
        match self {
            ClientCertificates::Off => None,
            ClientCertificates::Optional(path) => Some((path, Need::Optional)),
            ClientCertificates::Required(path) => Some((path, Need::Required)),
        }
    }
}

impl VersionMin {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            VersionMin::Tls12 => TLS12_AND_13,
            VersionMin::Tls13 => TLS13,
        }
    }
}

/// Tickets that each handshake of TLS 1.3 ends with. Clients use each once (RFC 8446 appendix C.4), so
/// one from each connection is enough for as many connections the next time. Each more takes 3 % of a
/// resumed handshake's time.
const TICKETS: usize = 1;

static TLS12_AND_13: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
static TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// Hands out certificates, and tells the session the name that it hears.
#[derive(Debug)]
struct Resolver(Arc<CertStore>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        session::name_seen(name);
        Some(self.0.select(name, hello.signature_schemes()))
    }
}

/// Hands out certificates.
#[derive(Debug)]
struct QuietResolver(Arc<CertStore>);

impl ResolvesServerCert for QuietResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.0
                .select(hello.server_name(), hello.signature_schemes()),
        )
    }
}

/// No session is resumed.
#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::ClientAuthorities(error) => write!(f, "client certificates: {error}"),
            ConfigError::AlpnName => {
                f.write_str("the name of an application protocol has 1 to 255 bytes")
            }
            ConfigError::Rustls(error) => write!(f, "TLS: {error}"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<CertError> for ConfigError {
    fn from(error: CertError) -> ConfigError {
        ConfigError::ClientAuthorities(error)
    }
}

#[cfg(test)]
mod tests;
