//! What can be wrong with certificates and keys.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::date::iso_date;

/// Why certificates cannot be used. Each names the file; times are seconds since 1970.
#[non_exhaustive]
#[derive(Debug)]
pub enum CertError {
    /// No certificate was given.
    NothingGiven,
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The file is larger than any chain.
    TooLarge(PathBuf),
    /// The file is not PEM: a section has no end, or is no base64.
    BrokenPem(PathBuf),
    /// There is no certificate in the file.
    NoCertificate(PathBuf),
    /// There is no private key in the file.
    NoKey(PathBuf),
    /// The key is encrypted with a passphrase.
    EncryptedKey(PathBuf),
    /// What stands where a certificate should be cannot be decoded.
    BrokenCertificate(PathBuf),
    /// The key cannot be decoded, or is of a kind that is not supported.
    BrokenKey(PathBuf),
    /// The key is not the certificate's.
    KeyMismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's.
        key: PathBuf,
    },
    /// The key belongs to a certificate of the file, but not to the first (RFC 8446 §4.4.2).
    ChainOrder {
        /// The certificate's file.
        chain: PathBuf,
        /// Which certificate the key belongs to, counted from 1.
        place: usize,
    },
    /// The certificate was good until this time.
    Expired(PathBuf, i64),
    /// The certificate will be good from this time on.
    NotYetValid(PathBuf, i64),
}

impl fmt::Display for CertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertError::NothingGiven => f.write_str("TLS needs a certificate and none is given"),
            CertError::Unreadable(path, error) => {
                write!(f, "{}: cannot be read: {error}", path.display())
            }
            CertError::TooLarge(path) => {
                write!(f, "{}: too large for certificates or a key", path.display())
            }
            CertError::BrokenPem(path) => write!(
                f,
                "{}: not PEM: a section is broken; copy the file again",
                path.display()
            ),
            CertError::NoCertificate(path) => write!(
                f,
                "{}: there is no certificate in it (`-----BEGIN CERTIFICATE-----`); \
                 `openssl x509` makes PEM of other forms",
                path.display()
            ),
            CertError::NoKey(path) => write!(
                f,
                "{}: there is no private key in it (`-----BEGIN PRIVATE KEY-----`); \
                 `openssl pkey` makes PEM of other forms",
                path.display()
            ),
            CertError::EncryptedKey(path) => write!(
                f,
                "{}: the private key is encrypted; `openssl pkey` writes it without a passphrase",
                path.display()
            ),
            CertError::BrokenCertificate(path) => write!(
                f,
                "{}: the certificate cannot be decoded, or is not X.509 version 3",
                path.display()
            ),
            CertError::BrokenKey(path) => write!(
                f,
                "{}: the private key cannot be decoded, or is not RSA with at least 2048 bits, \
                 ECDSA with P-256, P-384 or P-521, or Ed25519",
                path.display()
            ),
            CertError::ChainOrder { chain, place } => write!(
                f,
                "{}: the private key belongs to certificate {place} of the file; put it first and \
                 behind each certificate that of its issuer",
                chain.display()
            ),
            CertError::KeyMismatch { chain, key } => write!(
                f,
                "{}: this private key does not belong to the first certificate in {}",
                key.display(),
                chain.display()
            ),
            CertError::Expired(path, time) => write!(
                f,
                "{}: the certificate expired on {}; renew it",
                path.display(),
                iso_date(*time)
            ),
            CertError::NotYetValid(path, time) => write!(
                f,
                "{}: the certificate is not valid before {}; is the clock right?",
                path.display(),
                iso_date(*time)
            ),
        }
    }
}

impl std::error::Error for CertError {}
