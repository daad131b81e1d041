//! Secrets that all workers share: whichever of them a packet reaches can answer it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac};
use quinn_proto::crypto::{HandshakeTokenKey, HmacKey};
use rustix::fs::MemfdFlags;

/// What everything else is derived from. Lives as long as the server.
#[derive(Clone)]
pub(crate) struct Secret([u8; LEN]);

const LEN: usize = 32;

impl Secret {
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn new() -> io::Result<Secret> {
        let mut bytes = [0; LEN];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
        Ok(Secret(bytes))
    }

    /// Writes it into memory that nobody else can read, to be handed to another process.
    pub(crate) fn to_file(&self) -> io::Result<OwnedFd> {
        let file = rustix::fs::memfd_create(c"quic-secret", MemfdFlags::CLOEXEC)?;
        let mut file = File::from(file);
        file.write_all(&self.0)?;
        Ok(file.into())
    }

    /// Reads what [`to_file`](Secret::to_file) wrote.
    pub(crate) fn from_file(file: OwnedFd) -> io::Result<Secret> {
        let mut bytes = [0; LEN];
        File::from(file).read_exact_at(&mut bytes, 0)?;
        Ok(Secret(bytes))
    }

    /// The key of stateless reset tokens (RFC 9000 §10.3.2).
    pub(crate) fn reset_key(&self) -> Arc<dyn HmacKey> {
        Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &self.derive("reset")))
    }

    /// The key of address validation tokens (RFC 9000 §8.1.4).
    pub(crate) fn token_key(&self) -> Arc<dyn HandshakeTokenKey> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"address validation tokens");
        Arc::new(salt.extract(&self.0))
    }

    /// The key that hides what identifiers hold.
    pub(crate) fn id_key(&self) -> [u64; 2] {
        let bytes = self.derive("id");
        let half = |at: usize| {
            let part = bytes[at..at + 8].try_into();
            u64::from_le_bytes(part.unwrap_or_default())
        };
        [half(0), half(8)]
    }

    fn derive(&self, purpose: &str) -> [u8; LEN] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, purpose.as_bytes());
        let mut bytes = [0; LEN];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
