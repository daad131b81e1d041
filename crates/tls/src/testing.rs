//! What the tests share: certificates, a clock, a client of rustls across from a session, and the bodies
//! of the fuzz targets.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use crate::{CertStore, Config, Failure, Options, Pem, Session};
pub use fuzz::{fuzz_session, fuzz_session_pair};

mod fuzz;

/// 2026-07-01.
pub(crate) const NOW: u64 = 1_782_864_000;

pub(crate) fn now() -> UnixTime {
    at(NOW)
}

pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

#[derive(Debug)]
pub(crate) struct Clock(pub(crate) AtomicU64);

impl Clock {
    pub(crate) fn new() -> Arc<Clock> {
        Arc::new(Clock(AtomicU64::new(NOW)))
    }

    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(at(self.0.load(Ordering::Relaxed)))
    }
}

/// A certificate that signs itself, with its key, both in PEM.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Made {
    pub(crate) fn new(names: &[&str]) -> Made {
        Made::with_key(names, &KeyPair::generate().unwrap())
    }

    pub(crate) fn with_key(names: &[&str], key: &KeyPair) -> Made {
        Made::with_years(names, key, 2020..2060)
    }

    pub(crate) fn with_years(names: &[&str], key: &KeyPair, years: std::ops::Range<i32>) -> Made {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        Made {
            chain: parameters.self_signed(key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn pem(&self) -> Pem<'_> {
        Pem {
            name: "made.pem",
            chain: self.chain.as_bytes(),
            key: self.key.as_bytes(),
        }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap()
    }

    pub(crate) fn store(&self) -> Arc<CertStore> {
        Arc::new(CertStore::from_pem(&[self.pem()], now()).unwrap())
    }

    pub(crate) fn config(&self, options: &Options) -> Config {
        Config::new(options, &self.store()).unwrap()
    }

    /// A client that trusts this certificate, for these versions.
    pub(crate) fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        self.client_with(provider::default_provider(), versions)
    }

    pub(crate) fn client_with(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        ClientConfig::builder_with_details(Arc::new(provider), Clock::new())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// An authority that issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(authority_parameters(name), key).unwrap())
    }

    /// One that this one vouches for.
    pub(crate) fn intermediate(&self, name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::signed_by(authority_parameters(name), key, &self.0).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate and key.
    pub(crate) fn made(&self) -> Made {
        Made {
            chain: self.pem(),
            key: self.0.key().serialize_pem(),
        }
    }

    /// A certificate for `name`, with what `change` makes of it.
    pub(crate) fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Made {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2060, 1, 1);
        change(&mut parameters);
        Made {
            chain: parameters.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// A client that shows a certificate whether or not the server would like it, with a key that need not
/// be the certificate's.
pub(crate) fn showing(mut client: ClientConfig, chain: &str, key: &str) -> ClientConfig {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = provider::default_provider()
        .key_provider
        .load_private_key(key)
        .unwrap();
    let certified = CertifiedKey::new(chain.collect::<Result<_, _>>().unwrap(), key);
    client.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    client
}

/// A directory of a test's own, gone with this.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("ajay-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, which is written.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// A client and a session with nothing between them.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) session: Session,
    /// Plaintext that came to the server.
    pub(crate) received: Vec<u8>,
    /// The last that the client did not like.
    pub(crate) client_error: Option<rustls::Error>,
}

impl Pair {
    pub(crate) fn new(client: &ClientConfig, config: &Config, name: &str) -> Pair {
        let name = name.to_owned().try_into().unwrap();
        Pair {
            client: ClientConnection::new(Arc::new(client.clone()), name).unwrap(),
            session: Session::new(config).unwrap(),
            received: Vec::new(),
            client_error: None,
        }
    }

    /// What the client wants to send.
    pub(crate) fn flight(&mut self) -> Vec<u8> {
        let mut flight = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut flight).unwrap();
        }
        flight
    }

    /// Gives bytes to the server, and what it answers to the client.
    pub(crate) fn give(&mut self, bytes: &mut [u8]) -> Result<(), Failure> {
        let mut output = Vec::new();
        let received = &mut self.received;
        let result = self
            .session
            .receive(bytes, &mut output, |plaintext| received.extend(plaintext));
        self.give_client(&output);
        result
    }

    pub(crate) fn give_client(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.client_error.is_none() {
            self.client.read_tls(&mut bytes).unwrap();
            self.client_error = self.client.process_new_packets().err();
        }
    }

    /// Until neither has anything to say.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        loop {
            let mut flight = self.flight();
            if flight.is_empty() {
                return Ok(());
            }
            self.give(&mut flight)?;
        }
    }

    pub(crate) fn connected(client: &ClientConfig, config: &Config, name: &str) -> Pair {
        let mut pair = Pair::new(client, config, name);
        pair.run().unwrap();
        assert!(!pair.session.is_handshaking() && !pair.client.is_handshaking());
        pair
    }

    pub(crate) fn client_sends(&mut self, plaintext: &[u8]) {
        self.client.writer().write_all(plaintext).unwrap();
    }

    /// Encrypts, and returns what the client decrypts.
    pub(crate) fn server_sends(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        for piece in plaintext.chunks(8 * 1024) {
            let mut output = Vec::new();
            self.session.encrypt(piece, &mut output).unwrap();
            self.give_client(&output);
            let before = read.len();
            read.resize(before + piece.len(), 0);
            self.client
                .reader()
                .read_exact(&mut read[before..])
                .unwrap();
        }
        read
    }
}

/// The lengths of the records that follow each other in these bytes, headers included.
pub(crate) fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lens = Vec::new();
    while !bytes.is_empty() {
        let len = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        lens.push(len);
        bytes = &bytes[len..];
    }
    lens
}
