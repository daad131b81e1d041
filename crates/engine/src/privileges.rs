//! From root to the user that the server runs as.
//!
//! Root binds the addresses, reads what only it may read, and then becomes somebody else for good:
//! groups first, then the group, then the user, each for all threads of the process, since the C
//! library carries the change to every one. Capabilities belong to a thread; they are limited
//! before the workers are started, which inherit them.
//!
//! Afterwards everything is asked for again, and one tries to become root: a server that only
//! believes it is harmless does not start.

use std::ffi::CString;
use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Group, Uid, User};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Whom the process becomes: looked up before anything is bound.
#[derive(Debug)]
pub(crate) struct Identity {
    uid: Uid,
    gid: Gid,
    /// The supplementary groups, sorted.
    groups: Vec<Gid>,
}

/// Why the process cannot run as the user it was told.
#[derive(Debug)]
#[non_exhaustive]
pub enum UserError {
    /// The text is none of `NAME`, `NAME:GROUP` and `UID:GID`.
    Malformed(String),
    /// There is no user of this name or number.
    UnknownUser(String),
    /// There is no group of this name.
    UnknownGroup(String),
    /// The user or group could not be looked up.
    LookUp {
        /// Whom we looked for.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// Only root may become somebody else.
    NotRoot(String),
    /// A step of the change failed.
    Change {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// All steps of the change succeeded, and the process has not become what it should be.
    NotChanged {
        /// What is not as it should be.
        what: &'static str,
    },
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::Malformed(text) => write!(
                f,
                "`{text}` is no user to run as: write it as in `www-data`, `www-data:web` or \
                 `1000:1000`"
            ),
            UserError::UnknownUser(name) => write!(f, "there is no user `{name}` on this machine"),
            UserError::UnknownGroup(name) => {
                write!(f, "there is no group `{name}` on this machine")
            }
            UserError::LookUp { name, error } => write!(f, "cannot look up `{name}`: {error}"),
            UserError::NotRoot(name) => write!(
                f,
                "cannot run as `{name}`: only root can become another user; start as root, or \
                 as that user"
            ),
            UserError::Change { what, error } => write!(f, "{what} failed: {error}"),
            UserError::NotChanged { what } => {
                write!(f, "privileges were dropped, but {what}: refusing to run")
            }
        }
    }
}

impl std::error::Error for UserError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            UserError::LookUp { error, .. } | UserError::Change { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl Identity {
    /// Looks up `NAME`, `NAME:GROUP` or numbers in their place, and whether this process may
    /// become that.
    pub(crate) fn resolve(text: &str) -> Result<Identity, UserError> {
        let identity = Identity::look_up(text)?;
        if !identity.is_current() && !Uid::effective().is_root() {
            return Err(UserError::NotRoot(text.to_owned()));
        }
        Ok(identity)
    }

    /// A user that is given by its number need not be in the database, and has no groups but the
    /// one it is given.
    fn look_up(text: &str) -> Result<Identity, UserError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let is_malformed = |part: &str| part.is_empty() || part.contains([':', '\0']);
        if is_malformed(user) || group.is_some_and(is_malformed) {
            return Err(UserError::Malformed(text.to_owned()));
        }
        let number = number(user).map(Uid::from_raw);
        let entry = match number {
            Some(uid) => found(user, User::from_uid(uid))?,
            None => found(user, User::from_name(user))?,
        };
        let gid = match (group, &entry) {
            (Some(group), _) => look_up_group(group)?,
            (None, Some(entry)) => entry.gid,
            (None, None) => return Err(UserError::UnknownUser(user.to_owned())),
        };
        let (uid, mut groups) = match (number, entry) {
            (Some(uid), _) => (uid, vec![gid]),
            (None, Some(entry)) => (entry.uid, groups_of(entry.name, gid)?),
            (None, None) => return Err(UserError::UnknownUser(user.to_owned())),
        };
        groups.sort_unstable_by_key(|gid| gid.as_raw());
        groups.dedup();
        Ok(Identity { uid, gid, groups })
    }

    /// Becomes that user, for good, and keeps no capability but these: permitted and effective,
    /// for this thread and those it starts from now on. No program that is executed later has
    /// more privileges either.
    ///
    /// A single process keeps `CAP_NET_BIND_SERVICE`; one that has a master to bind for it keeps
    /// none.
    pub(crate) fn assume(&self, kept: CapabilitySet) -> Result<(), UserError> {
        let is_change = !self.is_current();
        if is_change {
            self.change(!kept.is_empty())?;
        }
        let mut allowed = capabilities()?;
        if !self.uid.is_root() {
            let kept = kept & allowed.permitted;
            allowed = CapabilitySets {
                effective: kept,
                permitted: kept,
                inheritable: CapabilitySet::empty(),
            };
            rustix::thread::set_capabilities(None, allowed)
                .map_err(failed("limiting capabilities"))?;
        }
        rustix::thread::set_no_new_privs(true).map_err(failed("setting no_new_privs"))?;
        self.verify(is_change, allowed)?;
        tracing::info!(
            uid = self.uid.as_raw(),
            gid = self.gid.as_raw(),
            capabilities = ?allowed.effective,
            "running as"
        );
        Ok(())
    }

    /// Through the C library, which does it for all threads. Without `keep_capabilities` the
    /// change of user clears them all.
    fn change(&self, keep_capabilities: bool) -> Result<(), UserError> {
        rustix::thread::set_keep_capabilities(keep_capabilities)
            .map_err(failed("keeping capabilities"))?;
        let Identity { uid, gid, groups } = self;
        unistd::setgroups(groups).map_err(failed("setting the supplementary groups"))?;
        unistd::setresgid(*gid, *gid, *gid).map_err(failed("setting the group"))?;
        unistd::setresuid(*uid, *uid, *uid).map_err(failed("setting the user"))?;
        rustix::thread::set_keep_capabilities(false).map_err(failed("keeping capabilities"))
    }

    fn verify(&self, is_change: bool, allowed: CapabilitySets) -> Result<(), UserError> {
        let must = |holds: bool, what| match holds {
            true => Ok(()),
            false => Err(UserError::NotChanged { what }),
        };
        must(self.is_current(), "user or group are others")?;
        if is_change {
            let mut groups = unistd::getgroups().map_err(failed("reading the groups"))?;
            groups.sort_unstable_by_key(|gid| gid.as_raw());
            must(groups == self.groups, "supplementary groups are left")?;
        }
        let now = capabilities()?;
        must(now == allowed, "capabilities are left")?;
        let root = Uid::from_raw(0);
        let is_safe = self.uid.is_root() || unistd::setuid(root).is_err();
        must(is_safe, "root can be had again")
    }

    /// Whether the process is that user already, whatever its supplementary groups are.
    fn is_current(&self) -> bool {
        let (Ok(users), Ok(groups)) = (unistd::getresuid(), unistd::getresgid()) else {
            return false;
        };
        [users.real, users.effective, users.saved] == [self.uid; 3]
            && [groups.real, groups.effective, groups.saved] == [self.gid; 3]
    }
}

fn look_up_group(group: &str) -> Result<Gid, UserError> {
    if let Some(number) = number(group) {
        return Ok(Gid::from_raw(number));
    }
    match found(group, Group::from_name(group))? {
        Some(entry) => Ok(entry.gid),
        None => Err(UserError::UnknownGroup(group.to_owned())),
    }
}

/// A user's or group's number; to the system calls the highest one means "leave it as it is".
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

/// The groups that the database has for a user, with this one among them.
fn groups_of(name: String, gid: Gid) -> Result<Vec<Gid>, UserError> {
    let listed = match CString::new(name.as_str()) {
        Ok(c_name) => unistd::getgrouplist(&c_name, gid),
        Err(_) => Err(Errno::EINVAL),
    };
    listed.map_err(|error| UserError::LookUp {
        name,
        error: error.into(),
    })
}

/// Machines without a database have no entry: getpwnam(3) names these two errors for that.
fn found<T>(name: &str, result: nix::Result<Option<T>>) -> Result<Option<T>, UserError> {
    match result {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        other => other.map_err(|error| UserError::LookUp {
            name: name.to_owned(),
            error: error.into(),
        }),
    }
}

fn capabilities() -> Result<CapabilitySets, UserError> {
    rustix::thread::capabilities(None).map_err(failed("reading the capabilities"))
}

fn failed<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> UserError {
    move |error| UserError::Change {
        what,
        error: error.into(),
    }
}

#[cfg(test)]
mod tests;
