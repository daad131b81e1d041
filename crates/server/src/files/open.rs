//! Opening files without leaving their root, and without making a worker wait for the disk.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use ajay_engine::{BlockingError, blocking};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::OpenError;

/// Where a file is.
#[derive(Clone)]
pub(super) enum Place {
    /// Below a directory, which no link may leave.
    Below {
        root: PathBuf,
        path: PathBuf,
    },
    Anywhere(PathBuf),
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        match self {
            Place::Below { path, .. } | Place::Anywhere(path) => path,
        }
    }

    /// Whether it names a directory: the root, or with a slash at the end.
    pub(super) fn is_directory(&self) -> bool {
        match self {
            Place::Below { path, .. } => {
                matches!(path.as_os_str().as_bytes().last(), None | Some(b'/'))
            }
            Place::Anywhere(_) => false,
        }
    }

    pub(super) fn push(&mut self, name: &str) {
        match self {
            Place::Below { path, .. } | Place::Anywhere(path) => path.push(name),
        }
    }

    pub(super) fn with_suffix(&self, suffix: &str) -> Place {
        let mut place = self.clone();
        match &mut place {
            Place::Below { path, .. } | Place::Anywhere(path) => {
                path.as_mut_os_string().push(suffix)
            }
        }
        place
    }
}

/// What was found at a place.
pub(super) enum Opened {
    File(Regular),
    Directory,
    /// A socket, a device, a FIFO.
    Other,
}

pub(super) struct Regular {
    pub(super) file: File,
    pub(super) len: u64,
    pub(super) modified: SystemTime,
}

/// Opens at once what the kernel knows without the disk, and all else in the blocking pool.
pub(super) async fn open(place: &Place) -> Result<Opened, OpenError> {
    match open_now(place, ResolveFlags::CACHED) {
        // The disk is needed; or the kernel is too old to say so.
        Err(Errno::AGAIN | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {}
        done => return inspect(done),
    }
    let there = place.clone();
    let opened = blocking(move || open_now(&there, ResolveFlags::empty())).await;
    inspect(match opened {
        Ok(done) => done,
        // In tests without a server there is no pool, and nobody whom it would keep waiting.
        Err(BlockingError::NotOnWorker) => open_now(place, ResolveFlags::empty()),
        Err(error) => return Err(OpenError::Blocking(error)),
    })
}

/// `NONBLOCK`: a FIFO would make it wait for a writer. Files do not mind.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK);

fn open_now(place: &Place, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    match place {
        Place::Anywhere(path) => match resolve.is_empty() {
            true => openat(CWD, path, FLAGS, Mode::empty()),
            false => openat2(CWD, path, FLAGS, Mode::empty(), resolve),
        },
        Place::Below { root, path } => {
            let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = match resolve.is_empty() {
                true => openat(CWD, root, directory, Mode::empty())?,
                false => openat2(CWD, root, directory, Mode::empty(), resolve)?,
            };
            open_beneath(&root, path, resolve)
        }
    }
}

/// Opens a path that cannot leave the directory, whatever links there are.
fn open_beneath(root: &OwnedFd, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | resolve;
    let opened = openat2(root, path, FLAGS, Mode::empty(), beneath);
    match opened {
        // Before Linux 5.6, or where a filter does not know the call.
        Err(Errno::NOSYS | Errno::PERM) if resolve.is_empty() => open_step_by_step(root, path),
        opened => opened,
    }
}

/// The same without the kernel's help: name by name, and no link is followed.
pub(super) fn open_step_by_step(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let mut here = root.try_clone().map_err(|_| Errno::MFILE)?;
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else {
            return Err(Errno::XDEV);
        };
        let flags = match names.peek() {
            Some(_) => OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            None => FLAGS,
        };
        here = openat(&here, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(here)
}

fn inspect(opened: Result<OwnedFd, Errno>) -> Result<Opened, OpenError> {
    let opened = opened.map_err(|errno| OpenError::Io(errno.into()))?;
    let file = File::from(opened);
    // Of an open file it is in memory.
    let metadata = file.metadata().map_err(OpenError::Io)?;
    if metadata.is_dir() {
        return Ok(Opened::Directory);
    }
    if !metadata.is_file() {
        return Ok(Opened::Other);
    }
    Ok(Opened::File(Regular {
        len: metadata.len(),
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        file,
    }))
}

/// Whether the client named what is not there, or not for it: no such name, a path through what is
/// no directory, a link that leads out or in circles, a socket.
pub(super) fn is_absent(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(
            Errno::NOENT
                | Errno::NOTDIR
                | Errno::XDEV
                | Errno::LOOP
                | Errno::NAMETOOLONG
                | Errno::NXIO
                | Errno::INVAL
        )
    )
}
