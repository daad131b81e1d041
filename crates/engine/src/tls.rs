//! What listeners need to speak TLS, and what handlers learn of it.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ajay_tls::{
    CertError, CertStore, Config, ConfigError, Files, Options, TICKET_KEYS_LEN, TicketKeys,
    TicketKeysCell, TicketKeysError, UnixTime, self_signed,
};
pub use ajay_tls::{
    CertificateDer, CipherSuite, ClientCertificates, HandshakeKind, NamedGroup, ProtocolVersion,
    VersionMin,
};
use quinn_proto::crypto::Session;
use quinn_proto::crypto::rustls::{HandshakeData, QuicServerConfig};
use rustix::fs::MemfdFlags;

/// TLS for a listener: certificates, versions, and what is asked of clients.
///
/// Every setting but the certificates has a default: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, no
/// client certificates, sessions that are resumed by tickets.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(crate) certificates: Certificates,
    pub(crate) version_min: VersionMin,
    pub(crate) client_certificates: ClientCertificates,
    pub(crate) versions: Versions,
}

#[derive(Clone, Debug)]
pub(crate) enum Certificates {
    Files(Vec<Files>),
    SelfSigned {
        directory: PathBuf,
        names: Vec<String>,
    },
}

/// Which versions of HTTP a listener with TLS speaks (RFC 7301).
///
/// ```
/// # use ajay_engine::tls::Versions;
/// assert_eq!(Versions::default(), Versions::HTTP1 | Versions::HTTP2);
/// assert_eq!(Versions::ALL, Versions::default() | Versions::HTTP3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions(u8);

impl Versions {
    /// HTTP/1.1, over TCP.
    pub const HTTP1: Versions = Versions(1);
    /// HTTP/2, over TCP.
    pub const HTTP2: Versions = Versions(2);
    /// HTTP/3, over QUIC: on the UDP port of the same number.
    pub const HTTP3: Versions = Versions(4);
    /// All of them, as clients choose.
    pub const ALL: Versions = Versions(7);

    /// Whether all versions of the other are among these.
    pub const fn contains(self, other: Versions) -> bool {
        self.0 & other.0 == other.0
    }

    fn alpn(self) -> Vec<Vec<u8>> {
        let names = [(Versions::HTTP2, HTTP2), (Versions::HTTP1, HTTP1)];
        let names = names.iter().filter(|(version, _)| self.contains(*version));
        names.map(|(_, name)| name.to_vec()).collect()
    }

    fn is_over_tcp(self) -> bool {
        self.0 & Versions::default().0 != 0
    }
}

impl Default for Versions {
    /// HTTP/1.1 and HTTP/2.
    fn default() -> Versions {
        Versions::HTTP1 | Versions::HTTP2
    }
}

impl std::ops::BitOr for Versions {
    type Output = Versions;

    fn bitor(self, other: Versions) -> Versions {
        Versions(self.0 | other.0)
    }
}

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";
const HTTP3: &[u8] = b"h3";

impl Tls {
    /// A certificate chain and its key from PEM files; both may be in one. They are read again when
    /// they change, and connections that are open keep what they have.
    pub fn files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Tls {
        let files = Files {
            chain: chain.into(),
            key: key.into(),
        };
        Tls::with(Certificates::Files(vec![files]))
    }

    /// A certificate for development, signed by nobody: made in this directory if there is none for
    /// these names, and kept there. Browsers warn of it.
    pub fn self_signed(
        directory: impl Into<PathBuf>,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Tls {
        Tls::with(Certificates::SelfSigned {
            directory: directory.into(),
            names: names.into_iter().map(Into::into).collect(),
        })
    }

    fn with(certificates: Certificates) -> Tls {
        Tls {
            certificates,
            version_min: VersionMin::default(),
            client_certificates: ClientCertificates::default(),
            versions: Versions::default(),
        }
    }

    /// Another certificate, for the names that it is for. Clients that ask for other names, or for
    /// none, get the first one.
    #[must_use]
    pub fn and_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Tls {
        let files = Files {
            chain: chain.into(),
            key: key.into(),
        };
        match &mut self.certificates {
            Certificates::Files(all) => all.push(files),
            Certificates::SelfSigned { .. } => self.certificates = Certificates::Files(vec![files]),
        }
        self
    }

    /// The lowest version of TLS. Default: 1.2.
    #[must_use]
    pub fn version_min(mut self, version: VersionMin) -> Tls {
        self.version_min = version;
        self
    }

    /// Whether clients show certificates, and who must have issued them. Default: they do not.
    #[must_use]
    pub fn client_certificates(mut self, client_certificates: ClientCertificates) -> Tls {
        self.client_certificates = client_certificates;
        self
    }

    /// The versions of HTTP. Default: HTTP/1.1 and HTTP/2. With HTTP/3 the listener opens the UDP port of
    /// the same number too, and the other versions tell their clients of it (RFC 7838).
    #[must_use]
    pub fn versions(mut self, versions: Versions) -> Tls {
        self.versions = versions;
        self
    }

    /// Reads certificates and keys.
    pub(crate) fn prepare(&self, tickets: &Arc<TicketKeysCell>) -> Result<Prepared, TlsError> {
        let now = now();
        let files = match &self.certificates {
            Certificates::Files(files) => files.clone(),
            Certificates::SelfSigned { directory, names } => {
                vec![self_signed::certificate(directory, names, now)?]
            }
        };
        let store = Arc::new(CertStore::from_files(files, now)?);
        let options = Options {
            alpn: self.versions.alpn(),
            version_min: self.version_min,
            client_certificates: self.client_certificates.clone(),
            tickets: Some(Arc::clone(tickets)),
            ..Options::default()
        };
        let config = Config::new(&options, &store)?;
        let quic = match self.versions.contains(Versions::HTTP3) {
            true => Some(Arc::new(
                QuicServerConfig::try_from(config.quic(&[HTTP3]))
                    .map_err(|_| TlsError::QuicUnsupported)?,
            )),
            false => None,
        };
        Ok(Prepared {
            is_over_tcp: self.versions.is_over_tcp(),
            config,
            quic,
            store,
        })
    }
}

/// What the sessions of a listener are made of.
#[derive(Clone)]
pub(crate) struct Prepared {
    is_over_tcp: bool,
    pub(crate) config: Config,
    /// Where HTTP/3 is spoken.
    quic: Option<Arc<QuicServerConfig>>,
    pub(crate) store: Arc<CertStore>,
}

/// New keys for session tickets.
pub(crate) fn new_ticket_keys() -> Result<Arc<TicketKeysCell>, TlsError> {
    let keys = TicketKeys::new(now())?;
    Ok(Arc::new(TicketKeysCell::new(keys)?))
}

/// The wall clock; before 1970 counts as 1970.
pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::since_unix_epoch(since.unwrap_or_default())
}

/// Why a listener cannot speak TLS.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate or key.
    Certificate(CertError),
    /// The development certificate.
    SelfSigned(self_signed::SelfSignedError),
    /// A setting.
    Config(ConfigError),
    /// The keys of session tickets.
    Tickets(TicketKeysError),
    /// The library of TLS has none of what QUIC needs: a defect of ours.
    QuicUnsupported,
}

impl From<CertError> for TlsError {
    fn from(error: CertError) -> TlsError {
        TlsError::Certificate(error)
    }
}

impl From<self_signed::SelfSignedError> for TlsError {
    fn from(error: self_signed::SelfSignedError) -> TlsError {
        TlsError::SelfSigned(error)
    }
}

impl From<ConfigError> for TlsError {
    fn from(error: ConfigError) -> TlsError {
        TlsError::Config(error)
    }
}

impl From<TicketKeysError> for TlsError {
    fn from(error: TicketKeysError) -> TlsError {
        TlsError::Tickets(error)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Certificate(error) => error.fmt(f),
            TlsError::SelfSigned(error) => error.fmt(f),
            TlsError::Config(error) => error.fmt(f),
            TlsError::Tickets(error) => error.fmt(f),
            TlsError::QuicUnsupported => f.write_str("TLS: there is no cipher suite for QUIC"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            TlsError::Certificate(error) => error,
            TlsError::SelfSigned(error) => error,
            TlsError::Config(error) => error,
            TlsError::Tickets(error) => error,
            TlsError::QuicUnsupported => return None,
        })
    }
}

/// What was agreed on with the client of a connection over TLS.
#[derive(Debug)]
pub struct TlsInfo {
    version: Option<ProtocolVersion>,
    cipher_suite: Option<CipherSuite>,
    key_exchange_group: Option<NamedGroup>,
    handshake_kind: Option<HandshakeKind>,
    alpn: Option<Box<[u8]>>,
    sni: Option<Box<str>>,
    peer_certificates: Vec<CertificateDer<'static>>,
}

impl TlsInfo {
    pub(crate) fn of(session: &ajay_tls::Session) -> TlsInfo {
        TlsInfo {
            version: session.version(),
            cipher_suite: session.cipher_suite(),
            key_exchange_group: session.key_exchange_group(),
            handshake_kind: session.handshake_kind(),
            alpn: session.alpn().map(Box::from),
            sni: session.sni().map(Box::from),
            peer_certificates: session.peer_certificates().unwrap_or_default().to_vec(),
        }
    }

    pub(crate) fn of_quic(session: &dyn Session) -> TlsInfo {
        let data = session.handshake_data();
        let data = data.and_then(|data| data.downcast::<HandshakeData>().ok());
        let identity = session.peer_identity();
        let identity = identity.and_then(|chain| chain.downcast::<Vec<CertificateDer<'_>>>().ok());
        let (alpn, sni) = data.map_or((None, None), |data| (data.protocol, data.server_name));
        TlsInfo {
            version: Some(ProtocolVersion::TLSv1_3),
            cipher_suite: None,
            key_exchange_group: None,
            handshake_kind: None,
            alpn: alpn.map(Vec::into_boxed_slice),
            sni: sni.map(|name| name.trim_end_matches('.').to_ascii_lowercase().into()),
            peer_certificates: identity.map(|chain| *chain).unwrap_or_default(),
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.alpn.as_deref() == Some(HTTP2)
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.handshake_kind == Some(HandshakeKind::Resumed)
    }

    /// TLS 1.2 or 1.3.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.version
    }

    /// The cipher suite; none over QUIC, which does not tell.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.cipher_suite
    }

    /// The group of the key exchange; none where the session was resumed without one, and over QUIC.
    pub fn key_exchange_group(&self) -> Option<NamedGroup> {
        self.key_exchange_group
    }

    /// The application protocol (RFC 7301), if the client offered any.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The name of the server as the client gave it (RFC 6066 §3), in lower case.
    pub fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }

    /// The client's certificate and those it sent along, verified, in DER; none if it showed none.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.peer_certificates
    }
}

/// What all places to listen on speak, and what their sessions share.
pub(crate) struct Entries {
    /// In the order of the places; none speaks cleartext.
    tls: Vec<Option<Prepared>>,
    tickets: Option<Arc<TicketKeysCell>>,
}

impl Entries {
    /// Reads what is needed for each.
    pub(crate) fn prepare<'a>(
        all: impl IntoIterator<Item = Option<&'a Tls>>,
    ) -> Result<Entries, TlsError> {
        let all: Vec<Option<&Tls>> = all.into_iter().collect();
        let tickets = match all.iter().any(Option::is_some) {
            true => Some(new_ticket_keys()?),
            false => None,
        };
        let prepare = |tls: Option<&Tls>| match (tls, &tickets) {
            (Some(tls), Some(tickets)) => tls.prepare(tickets).map(Some),
            _ => Ok(None),
        };
        let tls = all.into_iter().map(prepare).collect::<Result<_, _>>()?;
        Ok(Entries { tls, tickets })
    }

    /// What connections to this place need to speak TLS, if they do.
    pub(crate) fn tls(&self, entry: usize) -> Option<&Config> {
        self.tls.get(entry)?.as_ref().map(|tls| &tls.config)
    }

    /// What connections to each place need to speak QUIC, if they do.
    pub(crate) fn all_quic(&self) -> impl Iterator<Item = Option<&Arc<QuicServerConfig>>> {
        let all = self.tls.iter();
        all.map(|tls| tls.as_ref().and_then(|tls| tls.quic.as_ref()))
    }

    /// Whether connections to this place may speak QUIC.
    pub(crate) fn is_over_quic(&self, entry: usize) -> bool {
        let tls = self.tls.get(entry).and_then(Option::as_ref);
        tls.is_some_and(|tls| tls.quic.is_some())
    }

    /// Whether connections to this place may speak a version that is over TCP.
    pub(crate) fn is_over_tcp(&self, entry: usize) -> bool {
        let tls = self.tls.get(entry).and_then(Option::as_ref);
        tls.is_none_or(|tls| tls.is_over_tcp)
    }

    pub(crate) fn is_any_tls(&self) -> bool {
        self.tickets.is_some()
    }

    /// Reads certificates again whose files have changed.
    pub(crate) fn reload_certificates(&self) {
        let now = now();
        for prepared in self.tls.iter().flatten() {
            match prepared.store.reload_if_changed(now) {
                Ok(true) => tracing::info!("certificates were read again"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "new certificates are no good; the old ones stay");
                }
            }
        }
    }

    /// Warns of certificates that are about to expire.
    pub(crate) fn warn_of_expiry(&self) {
        let now = now();
        let all = self.tls.iter().flatten();
        for validity in all.flat_map(|prepared| prepared.store.validity()) {
            let days = validity.days_left(now);
            if days < EXPIRY_WARNING_DAYS {
                let name = validity.names.first().map_or("", String::as_str);
                tracing::warn!(name, days, "a certificate expires soon, or has expired");
            }
        }
    }

    /// New keys for tickets, when it is time; they count from now on.
    pub(crate) fn rotate_ticket_keys(&self) -> Option<TicketKeys> {
        let cell = self.tickets.as_ref()?;
        let rotated = cell.get().rotated(now());
        match rotated.and_then(|keys| keys.map(|keys| set(cell, keys)).transpose()) {
            Ok(keys) => keys,
            Err(error) => {
                tracing::error!(%error, "no new keys for session tickets; the old ones stay");
                None
            }
        }
    }

    pub(crate) fn ticket_keys(&self) -> Option<TicketKeys> {
        self.tickets.as_ref().map(|cell| cell.get())
    }

    /// Takes over the keys of the master.
    pub(crate) fn set_ticket_keys(&self, keys: TicketKeys) {
        if let Some(cell) = &self.tickets
            && let Err(error) = cell.set(keys)
        {
            tracing::error!(%error, "the keys for session tickets are no good; the old ones stay");
        }
    }
}

fn set(cell: &TicketKeysCell, keys: TicketKeys) -> Result<TicketKeys, TicketKeysError> {
    cell.set(keys.clone())?;
    Ok(keys)
}

/// Warn when a certificate is good for less than this: half of what is left when those who renew them
/// on time do so.
const EXPIRY_WARNING_DAYS: i64 = 14;

/// Writes keys into memory that nobody else can read, to be handed to another process.
pub(crate) fn ticket_keys_file(keys: &TicketKeys) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(c"ticket-keys", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(file);
    file.write_all(&keys.export())?;
    Ok(file.into())
}

/// Reads what [`ticket_keys_file`] wrote.
pub(crate) fn read_ticket_keys(file: OwnedFd) -> io::Result<TicketKeys> {
    let mut bytes = [0; TICKET_KEYS_LEN];
    File::from(file).read_exact_at(&mut bytes, 0)?;
    TicketKeys::import(&bytes).map_err(io::Error::other)
}
