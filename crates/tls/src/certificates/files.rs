//! PEM files (RFC 7468), and whether they changed.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::error::CertError;
use super::x509::{self, Facts};

/// By what a change of a file shows. Two writes within the clock's grain that leave the length as it was
/// look like one; files that are replaced, as they should be, are told apart by their inode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    pub(super) fn of(path: &Path) -> Stamp {
        let metadata = fs::metadata(path).ok();
        Stamp(metadata.map(|of| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec())))
    }
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, CertError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| CertError::Unreadable(path.to_owned(), error))?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(CertError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// The certificates in a file, at least one.
pub(crate) fn read_chain(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CertError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| {
            // The older form of an encrypted key is no base64, and may stand in the same file.
            if pem_is_encrypted(pem) {
                CertError::EncryptedKey(path.to_owned())
            } else {
                CertError::BrokenPem(path.to_owned())
            }
        })?;
    if chain.is_empty() {
        return Err(CertError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

/// A chain and its key, each from a file with this path and content.
pub(super) fn read_certified_key(
    (chain_path, chain): (&Path, &[u8]),
    (key_path, key): (&Path, &[u8]),
) -> Result<(CertifiedKey, Facts), CertError> {
    let chain = read_chain(chain_path, chain)?;
    let facts =
        x509::read(&chain[0]).ok_or_else(|| CertError::BrokenCertificate(chain_path.to_owned()))?;
    let key = read_key(key_path, key)?;
    let key = provider::default_provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| CertError::BrokenKey(key_path.to_owned()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok((certified, facts)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let chain = chain_path.to_owned();
            Err(match place_of_key(&certified) {
                Some(place) => CertError::ChainOrder { chain, place },
                None => CertError::KeyMismatch {
                    chain,
                    key: key_path.to_owned(),
                },
            })
        }
        Err(_) => Err(CertError::BrokenCertificate(chain_path.to_owned())),
    }
}

/// Which certificate of the chain the key belongs to, counted from 1.
fn place_of_key(certified: &CertifiedKey) -> Option<usize> {
    let belongs = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], certified.key.clone())
            .keys_match()
            .is_ok()
    };
    Some(certified.cert.iter().position(belongs)? + 1)
}

fn read_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertError> {
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(_) if pem_is_encrypted(pem) => Err(CertError::EncryptedKey(path.to_owned())),
        Err(pem::Error::NoItemsFound) => Err(CertError::NoKey(path.to_owned())),
        Err(_) => Err(CertError::BrokenPem(path.to_owned())),
    }
}

/// PKCS#8 has a section of its own for it, the older forms a header.
fn pem_is_encrypted(pem: &[u8]) -> bool {
    let contains = |needle: &[u8]| pem.windows(needle.len()).any(|window| window == needle);
    contains(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(b"Proc-Type: 4,ENCRYPTED")
}

/// A bundle of all public authorities has 200 KiB.
const FILE_LEN_MAX: u64 = 4 << 20;
