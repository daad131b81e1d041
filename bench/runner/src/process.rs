//! Children that never outlive the runner.
//!
//! A child is stopped when its value is dropped, on errors, Ctrl-C and panics alike; when the
//! runner is killed, the kernel tells the child (`PR_SET_PDEATHSIG`).

use crate::{
    error::{Context as _, Result, fail},
    interrupt, procfs,
};
use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{self, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// From SIGTERM to SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a wait looks whether the child ended.
const LOOK: Duration = Duration::from_millis(10);
/// What a child may write to a pipe, which is read when it has ended: reading meanwhile would
/// disturb what is measured. `openssl s_time` writes a byte per connection; this is the most that
/// the kernel gives without asking for more rights.
const PIPE_BYTES: libc::c_int = 1 << 20;

pub struct Launch<'a> {
    /// For messages.
    pub name: &'a str,
    pub command: &'a [String],
    pub env: &'a BTreeMap<String, String>,
    pub dir: &'a Path,
    /// Empty: not pinned.
    pub cores: &'a [usize],
    pub stdout: Stdio,
    pub stderr: Stdio,
}

pub struct Child {
    name: String,
    inner: process::Child,
}

impl Child {
    pub fn start(launch: Launch<'_>) -> Result<Self> {
        let (program, arguments) = launch
            .command
            .split_first()
            .ok_or_else(|| fail!("{}: nothing to start", launch.name))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(launch.env)
            .current_dir(launch.dir)
            .stdin(Stdio::null())
            .stdout(launch.stdout)
            .stderr(launch.stderr)
            // Ctrl-C at the terminal is for the runner, which then stops its children.
            .process_group(0);
        let cores = launch.cores.to_vec();
        let runner = process::id();
        // SAFETY: between fork and exec the closure makes system calls only and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                die_with(runner)?;
                raise_descriptor_limit()?;
                pin(&cores)
            });
        }
        let inner = command.spawn().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => fail!(
                "{}: {program} is not there; `setup` builds the peers and installs the tools",
                launch.name
            ),
            _ => fail!("{}: cannot start {program}: {e}", launch.name),
        })?;
        if let Some(stdout) = &inner.stdout {
            // SAFETY: no pointers. A pipe that stays small is enough for most.
            unsafe { libc::fcntl(stdout.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
        }
        Ok(Self {
            name: launch.name.to_string(),
            inner,
        })
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.inner.id()).expect("a process id fits")
    }

    /// The status if it ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.inner
            .try_wait()
            .context(|| format!("wait for {}", self.name))
    }

    /// Waits until the child ends by itself; `last_look` sees it dead but not yet reaped, when
    /// /proc still tells about it. Returns what it wrote to a piped standard output.
    pub fn finish<T>(
        mut self,
        deadline: Instant,
        last_look: impl FnOnce(i32) -> Result<T>,
    ) -> Result<(T, String)> {
        while !self.is_zombie()? {
            if Instant::now() > deadline {
                return Err(fail!("{} did not end in time", self.name));
            }
            interrupt::sleep(LOOK)?;
        }
        let seen = last_look(self.pid())?;
        let mut output = String::new();
        if let Some(mut stdout) = self.inner.stdout.take() {
            stdout
                .read_to_string(&mut output)
                .context(|| format!("read the output of {}", self.name))?;
        }
        match self.ended()? {
            Some(status) if status.success() => Ok((seen, output)),
            Some(status) => Err(fail!("{} failed: {status}\n{output}", self.name)),
            None => Err(fail!("{} ended and did not end", self.name)),
        }
    }

    fn is_zombie(&self) -> Result<bool> {
        // SAFETY: all-zero is a valid siginfo_t, which the call fills.
        let (result, signal) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
            let result = libc::waitid(libc::P_PID, self.inner.id(), &raw mut info, options);
            (result, info.si_signo)
        };
        if result != 0 {
            let error = io::Error::last_os_error();
            return Err(fail!("wait for {}: {error}", self.name));
        }
        Ok(signal == libc::SIGCHLD)
    }

    /// SIGTERM, then SIGKILL for it and what is left of its process group.
    fn stop(&mut self) {
        if matches!(self.inner.try_wait(), Ok(None)) {
            signal(self.pid(), libc::SIGTERM);
            let deadline = Instant::now() + STOP_TIMEOUT;
            while matches!(self.inner.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(LOOK);
            }
        }
        // Its own children (nginx's workers); an empty group is no error.
        signal(-self.pid(), libc::SIGKILL);
        let _ = self.inner.wait();
    }

    /// The child and its descendants.
    pub fn tree(&self) -> Result<Vec<i32>> {
        procfs::tree(self.pid())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: no pointers; the id is that of a child of ours, or of the group it leads.
    unsafe { libc::kill(pid, signal) };
}

fn die_with(runner: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0 {
            return Err(io::Error::last_os_error());
        }
        // The runner may have died before the call.
        if u32::try_from(libc::getppid()) != Ok(runner) {
            libc::_exit(1);
        }
    }
    Ok(())
}

fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = descriptor_limit()?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is valid for reading.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn descriptor_limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for writing.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit)
}

/// How many descriptors a child may open.
pub fn descriptors_max() -> Result<u64> {
    let limit = descriptor_limit().context(|| "read the descriptor limit".into())?;
    Ok(limit.rlim_max)
}

/// Raises the runner's own descriptor limit, for the connections that it opens itself.
pub fn raise_own_descriptor_limit() -> Result<()> {
    raise_descriptor_limit().context(|| "raise the descriptor limit".into())
}

/// Restricts the calling thread to `cores`; none means no restriction.
pub fn pin(cores: &[usize]) -> io::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    // SAFETY: all-zero is the empty set; CPU_SET checks its index; the set outlives the call.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for core in cores {
            libc::CPU_SET(*core, &mut set);
        }
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
