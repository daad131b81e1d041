//! Passwords: their hashes by Argon2id (RFC 9106), and who knows them.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};

use ajayserver::blocking;
use ajayserver::middleware::Verifier;
use argon2::Argon2;
use tokio::sync::Semaphore;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Whether it can be verified with what is here.
pub(crate) fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| {
        hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some() && hash.salt.is_some()
    })
}

pub(crate) fn hash(password: &str) -> Result<String, String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

fn is_right(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

/// So many names with passwords that were right are remembered; then all are forgotten. A hash
/// takes some 20 ms of a CPU, too much for each request of a page.
const KNOWN_MAX: usize = 1024;

/// So many passwords are verified at a time: each takes some 20 MiB of memory, and a CPU. Others
/// wait, no longer than handlers may.
static VERIFYING: Semaphore = Semaphore::const_new(4);

/// The users of a configuration, with hashes of their passwords.
#[derive(Clone)]
pub(crate) struct HashedUsers {
    inner: Arc<Inner>,
}

struct Inner {
    hashes: HashMap<String, String>,
    /// What unknown users are verified with, so that they take as long as known ones.
    decoy: String,
    /// 128 bits of names and right passwords, by keys that nobody knows.
    known: Mutex<HashSet<(u64, u64)>>,
    keys: (RandomState, RandomState),
}

impl HashedUsers {
    pub(crate) fn new(users: impl IntoIterator<Item = (String, String)>) -> HashedUsers {
        let hashes: HashMap<String, String> = users.into_iter().collect();
        let decoy = hashes.values().next().cloned().unwrap_or_default();
        HashedUsers {
            inner: Arc::new(Inner {
                hashes,
                decoy,
                known: Mutex::default(),
                keys: Default::default(),
            }),
        }
    }
}

impl std::fmt::Debug for HashedUsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashedUsers")
            .field("count", &self.inner.hashes.len())
            .finish_non_exhaustive()
    }
}

impl Verifier for HashedUsers {
    async fn verify(&self, user: String, password: String) -> bool {
        let inner = &self.inner;
        let pair = (&user, &password);
        let mark = (inner.keys.0.hash_one(pair), inner.keys.1.hash_one(pair));
        let known = || inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&mark) {
            return true;
        }
        let (hash, is_user) = match inner.hashes.get(&user) {
            Some(hash) => (hash.clone(), true),
            None => (inner.decoy.clone(), false),
        };
        // It is never closed. The permit goes with the work, which goes on when the client is gone.
        let permit = VERIFYING.acquire().await;
        // Where the pool is full nobody new is let in.
        let right = blocking(move || {
            let right = is_right(&hash, &password);
            drop(permit);
            right
        })
        .await;
        let is_right = is_user && right.unwrap_or(false);
        if is_right {
            let mut known = known();
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(mark);
        }
        is_right
    }
}

/// Reads a password, without showing it if it is typed.
pub(crate) fn read(from_pipe: bool) -> io::Result<String> {
    let stdin = io::stdin();
    if !from_pipe && rustix::termios::isatty(&stdin) {
        let first = typed("Password: ")?;
        let second = typed("Again: ")?;
        return match first == second {
            true => Ok(first),
            false => Err(io::Error::other("the two are not the same")),
        };
    }
    if !from_pipe {
        return Err(io::Error::other(
            "standard input is no terminal; use --stdin to read the password from it",
        ));
    }
    line()
}

fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    match password.is_empty() {
        true => Err(io::Error::other("no password")),
        false => Ok(password.to_owned()),
    }
}

fn typed(prompt: &str) -> io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    write!(io::stderr(), "{prompt}")?;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let line = line();
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    writeln!(io::stderr())?;
    line
}

#[cfg(test)]
mod tests {
    use super::{hash, is_hash, is_right};

    #[test]
    fn only_the_right_password_fits_its_hash() {
        let made = hash("correct horse").unwrap();
        assert!(made.starts_with("$argon2id$"), "{made}");
        assert!(is_hash(&made));
        assert!(is_right(&made, "correct horse"));
        assert!(!is_right(&made, "battery staple"));
        assert!(!is_right("", "correct horse"));
    }

    #[test]
    fn a_password_is_no_hash() {
        for text in ["", "secret", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert!(!is_hash(text), "{text}");
        }
    }
}
