//! Reading the counters of a server that runs in another process.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::counters::CountersSnapshot;
use crate::mapping::{self, Mapping};

/// Looks at the counters of a running server from outside: without its help, so also when it is busy,
/// stopped or hung.
pub struct Observer {
    mapping: Arc<Mapping>,
}

impl Observer {
    /// Finds the counters of the server that the process with this id belongs to, be it the master
    /// or a worker process.
    ///
    /// # Errors
    /// When there is no such process, it may not be looked at, or is no server of this version.
    pub fn of_process(pid: u32) -> io::Result<Observer> {
        // What a memfd's link says, with a suffix for a file that has no name.
        let wanted = format!("/memfd:{} (deleted)", mapping::NAME);
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
            let path = entry?.path();
            if std::fs::read_link(&path).is_ok_and(|target| target.as_os_str() == &*wanted) {
                let file = OwnedFd::from(std::fs::File::open(path)?);
                return Ok(Observer {
                    mapping: Mapping::open(file, true)?,
                });
            }
        }
        let text = format!("process {pid} is no server with counters");
        Err(io::Error::new(io::ErrorKind::NotFound, text))
    }

    /// The counters of all workers of all processes, added up.
    pub fn counters(&self) -> CountersSnapshot {
        CountersSnapshot::sum(&self.mapping, 0..self.mapping.shape().workers())
    }

    /// The counters of each worker: first those of the first process.
    pub fn worker_counters(&self) -> Vec<CountersSnapshot> {
        CountersSnapshot::each(&self.mapping)
    }

    /// How many processes the server has, and how many workers each of them.
    pub fn shape(&self) -> (usize, usize) {
        let shape = self.mapping.shape();
        (shape.processes, shape.threads)
    }
}
