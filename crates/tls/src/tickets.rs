//! Keys of session tickets (RFC 5077, RFC 8446 §4.6.1), shared by all workers and processes.
//!
//! [`TicketKeys`] is a value. Whoever is in charge makes one, [rotates](TicketKeys::rotated) it as
//! time goes by, and exports it as bytes; the others import these. A [`TicketKeysCell`] holds the
//! current one for the sessions of a process.
//!
//! ```text
//! age of a key   0 h         12 h                    36 h
//!                | encrypts   |  decrypts only        |  is forgotten
//! ticket         |<- at most 24 h ->|
//! ```
//!
//! A ticket is `name of the key (16) | nonce (12) | sealed | tag (16)` with AES-256-GCM-SIV, whose
//! nonces may be random even for as many tickets as all processes issue in 12 hours. What is sealed is
//! the time of issue and the end of the client's certificate, which bound the ticket's life, and
//! rustls's state. The name and the listener's policy on client certificates are authenticated along:
//! a ticket from a listener that asks for none does not open a session where one is required.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;
use rustls::time_provider::TimeProvider;

use crate::session;

/// The keys that are in use, the newest first.
///
/// Secrets: whoever has them can read the sessions that were resumed without a new key exchange, and
/// pose as this server to their clients.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKeys {
    /// At most [`KEYS_MAX`], at least one.
    keys: Vec<Key>,
}

#[derive(Clone, PartialEq, Eq)]
struct Key {
    /// Seconds since 1970.
    created: u64,
    name: [u8; NAME_LEN],
    secret: [u8; SECRET_LEN],
}

/// Why there are no keys.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TicketKeysError {
    /// What was to be imported is no export of [`TicketKeys`].
    NotAnExport,
    /// The system gives no randomness.
    NoRandomness,
    /// The cipher refuses a key.
    Cipher,
}

impl TicketKeys {
    /// One new key.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness.
    pub fn new(now: UnixTime) -> Result<TicketKeys, TicketKeysError> {
        Ok(TicketKeys {
            keys: vec![Key::new(now.as_secs())?],
        })
    }

    /// The keys for the time from `now` on, if these need a change: with a new one if the newest is 12
    /// hours old, without those that are forgotten. To be asked about every minute.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness.
    pub fn rotated(&self, now: UnixTime) -> Result<Option<TicketKeys>, TicketKeysError> {
        let now = now.as_secs();
        let mut keys: Vec<Key> = self
            .keys
            .iter()
            .filter(|key| key.decrypts(now))
            .cloned()
            .collect();
        if !keys.first().is_some_and(|key| key.encrypts(now)) {
            keys.insert(0, Key::new(now)?);
            keys.truncate(KEYS_MAX);
        }
        let rotated = TicketKeys { keys };
        Ok((rotated != *self).then_some(rotated))
    }

    /// For another process, through memory that nobody else can read.
    #[must_use]
    pub fn export(&self) -> [u8; TICKET_KEYS_LEN] {
        let mut bytes = [0; TICKET_KEYS_LEN];
        bytes[0] = FORMAT;
        bytes[1] = self.keys.len() as u8;
        for (slot, key) in bytes[2..].chunks_exact_mut(KEY_LEN).zip(&self.keys) {
            let (created, rest) = slot.split_at_mut(8);
            let (name, secret) = rest.split_at_mut(NAME_LEN);
            created.copy_from_slice(&key.created.to_be_bytes());
            name.copy_from_slice(&key.name);
            secret.copy_from_slice(&key.secret);
        }
        bytes
    }

    /// What another process exported.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn import(bytes: &[u8]) -> Result<TicketKeys, TicketKeysError> {
        let (&[format, count], slots) = bytes
            .split_first_chunk()
            .ok_or(TicketKeysError::NotAnExport)?;
        let count = usize::from(count);
        if bytes.len() != TICKET_KEYS_LEN || format != FORMAT || !(1..=KEYS_MAX).contains(&count) {
            return Err(TicketKeysError::NotAnExport);
        }
        let keys = slots.chunks_exact(KEY_LEN).take(count).map(Key::import);
        keys.collect::<Option<_>>()
            .map(|keys| TicketKeys { keys })
            .ok_or(TicketKeysError::NotAnExport)
    }
}

impl Key {
    fn new(created: u64) -> Result<Key, TicketKeysError> {
        let mut key = Key {
            created,
            name: [0; NAME_LEN],
            secret: [0; SECRET_LEN],
        };
        rand::fill(&mut key.name).map_err(|_| TicketKeysError::NoRandomness)?;
        rand::fill(&mut key.secret).map_err(|_| TicketKeysError::NoRandomness)?;
        Ok(key)
    }

    fn import(slot: &[u8]) -> Option<Key> {
        let (created, rest) = slot.split_first_chunk()?;
        let (&name, secret) = rest.split_first_chunk()?;
        Some(Key {
            created: u64::from_be_bytes(*created),
            name,
            secret: *secret.first_chunk()?,
        })
    }

    fn encrypts(&self, now: u64) -> bool {
        self.age(now).is_some_and(|age| age < ENCRYPTS_SECS)
    }

    fn decrypts(&self, now: u64) -> bool {
        self.age(now)
            .is_some_and(|age| age < ENCRYPTS_SECS + TICKET_LIFETIME_SECS)
    }

    /// None if the key is from the future: the clock was wrong when it was made, or is now.
    fn age(&self, now: u64) -> Option<u64> {
        (now + CLOCK_SKEW_SECS).checked_sub(self.created)?;
        Some(now.saturating_sub(self.created))
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TicketKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TicketKeysError::NotAnExport => "these bytes are no exported ticket keys",
            TicketKeysError::NoRandomness => "the system gives no randomness for ticket keys",
            TicketKeysError::Cipher => "the cipher of tickets refuses a key",
        })
    }
}

impl std::error::Error for TicketKeysError {}

/// The ticket keys of a process, replaced while sessions use them.
#[derive(Debug)]
pub struct TicketKeysCell {
    current: ArcSwap<Ready>,
}

/// Keys with their ciphers set up.
#[derive(Debug)]
struct Ready {
    keys: TicketKeys,
    ciphers: Vec<RandomizedNonceKey>,
}

impl TicketKeysCell {
    /// # Errors
    ///
    /// If the cipher does not take a key, which cannot be.
    pub fn new(keys: TicketKeys) -> Result<TicketKeysCell, TicketKeysError> {
        Ok(TicketKeysCell {
            current: ArcSwap::from_pointee(Ready::new(keys)?),
        })
    }

    /// From now on these keys count.
    ///
    /// # Errors
    ///
    /// As for `new`.
    pub fn set(&self, keys: TicketKeys) -> Result<(), TicketKeysError> {
        self.current.store(Arc::new(Ready::new(keys)?));
        Ok(())
    }

    /// The keys that count.
    #[must_use]
    pub fn get(&self) -> TicketKeys {
        self.current.load().keys.clone()
    }
}

impl Ready {
    fn new(keys: TicketKeys) -> Result<Ready, TicketKeysError> {
        let cipher = |key: &Key| {
            RandomizedNonceKey::new(&AES_256_GCM_SIV, &key.secret)
                .map_err(|_| TicketKeysError::Cipher)
        };
        let ciphers = keys.keys.iter().map(cipher).collect::<Result<_, _>>()?;
        Ok(Ready { keys, ciphers })
    }
}

/// What rustls asks for tickets: the process's keys as one listener uses them.
#[derive(Debug)]
pub(crate) struct Ticketer {
    pub(crate) keys: Arc<TicketKeysCell>,
    pub(crate) clock: Arc<dyn TimeProvider>,
    /// Stands for the policy on client certificates.
    pub(crate) policy: [u8; POLICY_LEN],
}

impl Ticketer {
    fn authenticated(&self, name: &[u8; NAME_LEN]) -> Aad<[u8; NAME_LEN + POLICY_LEN]> {
        let mut data = [0; NAME_LEN + POLICY_LEN];
        data[..NAME_LEN].copy_from_slice(name);
        data[NAME_LEN..].copy_from_slice(&self.policy);
        Aad::from(data)
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_LIFETIME_SECS as u32
    }

    /// No ticket if the newest key is too old, for then nobody rotates them.
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let now = self.clock.current_time()?.as_secs();
        let current = self.keys.current.load();
        let (key, cipher) = current.keys.keys.iter().zip(&current.ciphers).next()?;
        if key.age(now)? >= ENCRYPTS_SECS + ROTATION_LATE_SECS {
            return None;
        }
        let mut sealed = Vec::with_capacity(8 + 8 + plain.len() + TAG_LEN);
        sealed.extend_from_slice(&now.to_be_bytes());
        sealed.extend_from_slice(&session::client_good_until().to_be_bytes());
        sealed.extend_from_slice(plain);
        let nonce = cipher
            .seal_in_place_append_tag(self.authenticated(&key.name), &mut sealed)
            .ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + sealed.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let now = self.clock.current_time()?.as_secs();
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let current = self.keys.current.load();
        let (_, cipher) = current
            .keys
            .keys
            .iter()
            .zip(&current.ciphers)
            .find(|(key, _)| key.name == *name && key.decrypts(now))?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = cipher
            .open_in_place(nonce, self.authenticated(name), &mut sealed)
            .ok()?;
        let (issued, rest) = opened.split_first_chunk()?;
        let (client_good_until, state) = rest.split_first_chunk()?;
        let issued = u64::from_be_bytes(*issued);
        let client_good_until = u64::from_be_bytes(*client_good_until);
        let good = issued <= now + CLOCK_SKEW_SECS
            && now.saturating_sub(issued) < TICKET_LIFETIME_SECS
            && now <= client_good_until;
        good.then(|| {
            session::set_client_good_until(client_good_until);
            state.to_vec()
        })
    }
}

/// A key that leaks opens the sessions of this time, and the next.
const ENCRYPTS_SECS: u64 = 12 * 3600;

/// As long as a visitor who comes back each day is worth a shorter handshake. RFC 8446 §4.6.1 allows
/// seven days.
const TICKET_LIFETIME_SECS: u64 = 24 * 3600;

/// A new key may be as late as that before no tickets are issued.
const ROTATION_LATE_SECS: u64 = 3600;

/// What clocks may be set back without making keys or tickets ones from the future.
const CLOCK_SKEW_SECS: u64 = 600;

/// One encrypts, and those of the two periods before decrypt.
const KEYS_MAX: usize = 3;

const NAME_LEN: usize = 16;
const SECRET_LEN: usize = 32;
const TAG_LEN: usize = 16;
pub(crate) const POLICY_LEN: usize = 32;
const KEY_LEN: usize = 8 + NAME_LEN + SECRET_LEN;

/// The length of exported keys.
pub const TICKET_KEYS_LEN: usize = 2 + KEYS_MAX * KEY_LEN;

/// The first byte of exported keys.
const FORMAT: u8 = 1;

#[cfg(test)]
mod tests;
