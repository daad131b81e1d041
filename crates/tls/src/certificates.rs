//! Certificates and their keys, found by the name that a client asks for (RFC 6066 §3).
//!
//! A store is read from files or bytes as a whole, and swapped as a whole: sessions that are there
//! keep what they have, a set that is not good replaces nothing.
//!
//! Names are those of the certificate's subject alternative names (RFC 9525 §6.3): an exact one is
//! preferred to a wildcard, which stands for one whole label at the left. Where several certificates
//! have a name, the first whose key the client can verify is taken, so that one with ECDSA and one with
//! RSA can serve the same name. A client that gives no name, or one that is unknown, gets the first
//! certificate of the store.

mod error;
mod files;
mod x509;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;

use crate::date::SECS_IN_DAY;
pub use error::CertError;
use files::{Stamp, read_certified_key};
pub(crate) use files::{read_chain, read_file};
pub(crate) use x509::Facts;

/// A chain, the server's own certificate first, and its key, each in a PEM file. Both can be in the
/// same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Files {
    /// `CERTIFICATE` sections.
    pub chain: PathBuf,
    /// A `PRIVATE KEY` (PKCS#8), `EC PRIVATE KEY` (SEC1) or `RSA PRIVATE KEY` (PKCS#1) section.
    pub key: PathBuf,
}

/// The same, as bytes in PEM.
#[derive(Clone, Copy, Debug)]
pub struct Pem<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// As in [`Files::chain`].
    pub chain: &'a [u8],
    /// As in [`Files::key`].
    pub key: &'a [u8],
}

/// Until when a certificate is good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Validity {
    /// Its file.
    pub chain: PathBuf,
    /// The names in it.
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub not_after: i64,
}

/// The certificates of a listener, or of several.
#[derive(Debug)]
pub struct CertStore {
    current: ArcSwap<CertSet>,
    /// Empty if the store was made from bytes.
    files: Vec<Files>,
    /// How the files were when they were read last, whether that went well or not.
    read: Mutex<Vec<Stamp>>,
}

/// Certificates with the index of their names.
#[derive(Debug)]
struct CertSet {
    /// Not empty. The first is for those whose name is unknown.
    entries: Vec<Entry>,
    exact: HashMap<String, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<usize>>,
    /// The first, and those that share a name with it.
    default: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

impl CertStore {
    /// Reads certificates and keys, the default first.
    ///
    /// # Errors
    ///
    /// See [`CertError`].
    pub fn from_files(files: Vec<Files>, now: UnixTime) -> Result<CertStore, CertError> {
        // Before reading: what changes meanwhile is read again.
        let stamps = stamps(&files);
        let set = read_set(&files, now)?;
        Ok(CertStore {
            current: ArcSwap::from_pointee(set),
            files,
            read: Mutex::new(stamps),
        })
    }

    /// Takes certificates and keys from memory, the default first.
    ///
    /// # Errors
    ///
    /// See [`CertError`].
    pub fn from_pem(pairs: &[Pem<'_>], now: UnixTime) -> Result<CertStore, CertError> {
        Ok(CertStore {
            current: ArcSwap::from_pointee(set_of_pem(pairs, now)?),
            files: Vec::new(),
            read: Mutex::default(),
        })
    }

    /// Replaces all certificates by these, for handshakes that begin from now on.
    ///
    /// # Errors
    ///
    /// See [`CertError`]. Then everything is as before.
    pub fn replace_with_pem(&self, pairs: &[Pem<'_>], now: UnixTime) -> Result<(), CertError> {
        self.current.store(Arc::new(set_of_pem(pairs, now)?));
        Ok(())
    }

    /// Reads the files again.
    ///
    /// # Errors
    ///
    /// See [`CertError`]. Then everything is as before.
    pub fn reload(&self, now: UnixTime) -> Result<(), CertError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.reload_as(stamps(&self.files), &mut read, now)
    }

    /// Reads the files again if one of them is another, or was written to, since they were read last;
    /// whether there are new certificates now.
    ///
    /// # Errors
    ///
    /// As for `reload`, but only once for each change: what is wrong stays wrong until somebody
    /// writes to the files.
    pub fn reload_if_changed(&self, now: UnixTime) -> Result<bool, CertError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if *read == stamps {
            return Ok(false);
        }
        self.reload_as(stamps, &mut read, now).map(|()| true)
    }

    fn reload_as(
        &self,
        stamps: Vec<Stamp>,
        read: &mut Vec<Stamp>,
        now: UnixTime,
    ) -> Result<(), CertError> {
        *read = stamps;
        if !self.files.is_empty() {
            self.current.store(Arc::new(read_set(&self.files, now)?));
        }
        Ok(())
    }

    /// Until when each certificate is good, to warn before it is not.
    #[must_use]
    pub fn validity(&self) -> Vec<Validity> {
        let set = self.current.load();
        set.entries
            .iter()
            .map(|entry| entry.validity.clone())
            .collect()
    }

    pub(crate) fn select(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Arc<CertifiedKey> {
        let set = self.current.load();
        let candidates = set.candidates(name);
        let usable = candidates.iter().find(|&&index| {
            let key = &set.entries[index].key.key;
            key.choose_scheme(schemes).is_some()
        });
        let index = usable.or(candidates.first()).copied().unwrap_or(0);
        Arc::clone(&set.entries[index].key)
    }
}

impl Validity {
    /// Whole days until the certificate expires; below zero when it has.
    #[must_use]
    pub fn days_left(&self, now: UnixTime) -> i64 {
        (self.not_after - seconds(now)).div_euclid(SECS_IN_DAY)
    }
}

impl CertSet {
    fn new(entries: Vec<Entry>) -> CertSet {
        let mut set = CertSet {
            entries,
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: vec![0],
        };
        let names_of_first = &set.entries[0].validity.names;
        for (index, entry) in set.entries.iter().enumerate() {
            for name in &entry.validity.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut set.wildcard, parent),
                    None => (&mut set.exact, name.as_str()),
                };
                let indices = names.entry(name.to_owned()).or_default();
                if !indices.contains(&index) {
                    indices.push(index);
                }
            }
            if index > 0
                && names_of_first
                    .iter()
                    .any(|name| entry.validity.names.contains(name))
            {
                set.default.push(index);
            }
        }
        set
    }

    fn candidates(&self, name: Option<&str>) -> &[usize] {
        let Some(name) = name else {
            return &self.default;
        };
        let name = name.to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        let wildcard = || {
            let (label, parent) = name.split_once('.')?;
            (!label.is_empty()).then(|| self.wildcard.get(parent))?
        };
        self.exact
            .get(name)
            .or_else(wildcard)
            .unwrap_or(&self.default)
    }
}

fn read_set(files: &[Files], now: UnixTime) -> Result<CertSet, CertError> {
    let read = |files: &Files| {
        let (chain, key) = (read_file(&files.chain)?, read_file(&files.key)?);
        Entry::new((&files.chain, &chain), (&files.key, &key), now)
    };
    set_of(files.iter().map(read).collect::<Result<_, _>>()?)
}

fn set_of_pem(pairs: &[Pem<'_>], now: UnixTime) -> Result<CertSet, CertError> {
    let entry = |pem: &Pem<'_>| {
        let name = Path::new(pem.name);
        Entry::new((name, pem.chain), (name, pem.key), now)
    };
    set_of(pairs.iter().map(entry).collect::<Result<_, _>>()?)
}

fn set_of(entries: Vec<Entry>) -> Result<CertSet, CertError> {
    if entries.is_empty() {
        return Err(CertError::NothingGiven);
    }
    Ok(CertSet::new(entries))
}

impl Entry {
    fn new(chain: (&Path, &[u8]), key: (&Path, &[u8]), now: UnixTime) -> Result<Entry, CertError> {
        let path = chain.0;
        let (certified, facts) = read_certified_key(chain, key)?;
        if seconds(now) < facts.not_before {
            return Err(CertError::NotYetValid(path.to_owned(), facts.not_before));
        }
        if seconds(now) > facts.not_after {
            return Err(CertError::Expired(path.to_owned(), facts.not_after));
        }
        Ok(Entry {
            key: Arc::new(certified),
            validity: Validity {
                chain: path.to_owned(),
                names: facts.dns_names,
                not_after: facts.not_after,
            },
        })
    }
}

/// What stands in a certificate that its key belongs to, whether it is good at this time or not.
pub(crate) fn read_facts(files: &Files) -> Result<Facts, CertError> {
    let (chain, key) = (read_file(&files.chain)?, read_file(&files.key)?);
    let (_, facts) = read_certified_key((&files.chain, &chain), (&files.key, &key))?;
    Ok(facts)
}

/// When a certificate expires, in seconds since 1970; it has if that cannot be read.
pub(crate) fn not_after(certificate: &[u8]) -> u64 {
    let facts = x509::read(certificate);
    facts.map_or(0, |facts| u64::try_from(facts.not_after).unwrap_or(0))
}

fn stamps(files: &[Files]) -> Vec<Stamp> {
    let paths = files.iter().flat_map(|files| [&files.chain, &files.key]);
    paths.map(|path| Stamp::of(path)).collect()
}

pub(crate) fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
