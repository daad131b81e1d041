//! Sites by the host that clients ask for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// FNV-1a. The keys of the tables are those of the configuration, so that nobody can fill a bucket:
/// a quick function is enough.
#[derive(Clone)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

pub(super) type ByText<T> = HashMap<Box<str>, T, BuildHasherDefault<Fnv>>;

/// The sites of a listener.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    exact: ByText<u32>,
    /// By what follows `*.`.
    below: ByText<u32>,
    default: Option<u32>,
}

/// The longest name there is (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;

impl Hosts {
    /// Adds a site for a host, `*.` and a host, or for all others. Says which one has it already.
    pub(crate) fn insert(&mut self, host: Option<&str>, site: u32) -> Result<(), u32> {
        let place = match host {
            None => match self.default {
                Some(other) => return Err(other),
                None => {
                    self.default = Some(site);
                    return Ok(());
                }
            },
            Some(host) => match host.strip_prefix("*.") {
                Some(below) => self.below.entry(below.into()),
                None => self.exact.entry(host.into()),
            },
        };
        match place {
            std::collections::hash_map::Entry::Occupied(other) => Err(*other.get()),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(site);
                Ok(())
            }
        }
    }

    /// The site for a host without its port: by its name, else by the longest `*.`, else the default.
    pub(crate) fn find(&self, host: &str) -> Option<u32> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > HOST_BYTES_MAX {
            return self.default;
        }
        let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(host.to_ascii_lowercase()),
            false => Cow::Borrowed(host),
        };
        if let Some(site) = self.exact.get(&*host) {
            return Some(*site);
        }
        if !self.below.is_empty() {
            let mut rest = &*host;
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(site) = self.below.get(parent) {
                    return Some(*site);
                }
                rest = parent;
            }
        }
        self.default
    }
}

/// The host of an authority; an IPv6 address keeps its brackets.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    }
}
