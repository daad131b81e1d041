//! Programs under test, and what can be seen of them from outside.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http2::Http2;
use crate::{Client, PATIENCE, wait_for};

/// Where a server can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A program that runs. Dropping it sends SIGTERM and demands a clean exit: code 0, and no panic
/// on standard error.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: Address,
    stderr: Stderr,
    /// The test server's control channel.
    control: Option<(ChildStdin, BufReader<ChildStdout>)>,
    exited: bool,
}

/// How a program ended.
#[derive(Debug)]
pub struct Exit {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to standard error.
    pub stderr: String,
}

#[derive(Debug)]
struct Stderr {
    text: Arc<Mutex<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the test server on a port of its own, with one worker and these settings, written
    /// as `name=value` (times in milliseconds).
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(testserver: &str, settings: &[&str]) -> Server {
        let mut command = Command::new(testserver);
        command.args(settings);
        Server::start_command(command)
    }

    /// Starts the test server by a command of the caller's.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_command(mut command: Command) -> Server {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let stderr = Stderr::collect(&mut child);
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for");
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        let Some(address) = line.trim().strip_prefix("listening ") else {
            panic!(
                "the test server did not start ({read:?}): {}",
                stderr.text()
            );
        };
        let address = match address.strip_prefix("unix:") {
            Some(path) => Address::Unix(PathBuf::from(path)),
            None => match address.parse() {
                Ok(address) => Address::Tcp(address),
                Err(error) => panic!("the test server listens on {address:?}: {error}"),
            },
        };
        Server {
            child,
            address,
            stderr,
            control: Some((stdin, stdout)),
            exited: false,
        }
    }

    /// Starts another program and waits until it listens on a TCP port.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_program(program: &str, args: &[&str]) -> Server {
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Server::start_other(command, None)
    }

    /// Starts another program and waits until it listens on a TCP port, or on this path.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_other(mut command: Command, path: Option<PathBuf>) -> Server {
        let mut child = spawn(command.stderr(Stdio::piped()));
        let stderr = Stderr::collect(&mut child);
        let address = wait_for("a listener", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the program ended with {status}: {}", stderr.text());
            }
            match &path {
                Some(path) => {
                    let connected = std::os::unix::net::UnixStream::connect(path);
                    connected.ok().map(|_| Address::Unix(path.clone()))
                }
                None => listening_port(child.id())
                    .map(|port| Address::Tcp((Ipv4Addr::LOCALHOST, port).into())),
            }
        });
        Server {
            child,
            address,
            stderr,
            control: None,
            exited: false,
        }
    }

    /// Starts another program that writes its standard error elsewhere, and waits until it listens
    /// on this path.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_deaf(mut command: Command, stderr: Stdio, path: &Path) -> Server {
        let mut child = spawn(command.stdin(Stdio::null()).stderr(stderr));
        wait_for("a listener", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the program ended with {status}");
            }
            std::os::unix::net::UnixStream::connect(path).ok()
        });
        Server {
            child,
            address: Address::Unix(path.to_owned()),
            stderr: Stderr::none(),
            control: None,
            exited: false,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The TCP port it listens on.
    ///
    /// # Panics
    /// When it is a Unix socket.
    pub fn port(&self) -> u16 {
        match &self.address {
            Address::Tcp(address) => address.port(),
            Address::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Opens a connection.
    pub fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Opens a connection of HTTP/2, with prior knowledge.
    pub fn connect_http2(&self) -> Http2 {
        Http2::connect(&self.address)
    }

    /// Sends a command to the test server and reads its answer, one line.
    ///
    /// # Panics
    /// When there is none.
    pub fn command(&mut self, command: &str) -> String {
        let Some((stdin, stdout)) = &mut self.control else {
            panic!("only the test server takes commands");
        };
        let mut line = String::new();
        let result = writeln!(stdin, "{command}").and_then(|()| stdout.read_line(&mut line));
        match result {
            Ok(1..) => line.trim_end().to_owned(),
            other => panic!("no answer to {command}: {other:?}, {}", self.stderr.text()),
        }
    }

    /// All counters of the test server.
    pub fn counters(&mut self) -> BTreeMap<String, u64> {
        let line = self.command("counters");
        let counters = line.split(' ').filter_map(|item| {
            let (name, value) = item.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        counters.collect()
    }

    /// One counter of the test server.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn counter(&mut self, name: &str) -> u64 {
        match self.counters().get(name) {
            Some(value) => *value,
            None => panic!("no counter {name}"),
        }
    }

    /// Waits until a counter of the test server has this value.
    ///
    /// # Panics
    /// When it passes it or does not reach it.
    pub fn wait_counter(&mut self, name: &str, value: u64) {
        wait_for(&format!("{name} = {value}"), || {
            let now = self.counter(name);
            // All others only grow.
            assert!(name == OPEN || now <= value, "{name} is {now}, not {value}");
            (now == value).then_some(())
        });
    }

    /// Waits until the test server's application has noted this.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_note(&mut self, note: &str) {
        let mut notes = String::new();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            notes = self.command("notes");
            if notes.split(';').any(|noted| noted == note) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the application noted {notes:?} and not {note}");
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is not there.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        if let Err(error) = kill_process(pid, signal) {
            panic!("cannot send a signal: {error}");
        }
    }

    /// The ids of the processes it has started and that have not ended, in ascending order.
    pub fn processes(&self) -> Vec<u32> {
        let pid = self.pid();
        // Each thread has a list of its own.
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let lists = threads
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        let mut all: Vec<u32> = lists
            .flat_map(|list| {
                list.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter_map(|pid| pid.parse().ok())
            .filter(|pid| is_running(*pid))
            .collect();
        all.sort_unstable();
        all
    }

    /// What was written to standard error up to now.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(mut self) -> Exit {
        let status = self.wait_for_exit();
        Exit {
            code: status.code(),
            stderr: self.stderr.complete(),
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    fn wait_for_exit(&mut self) -> ExitStatus {
        let status = wait_for("the program's end", || self.child.try_wait().ok().flatten());
        self.exited = true;
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.exited {
            return;
        }
        if std::thread::panicking() {
            // One that is stopped would never learn that its master is gone.
            for pid in self.processes() {
                signal(pid, Signal::KILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
            let text = self.stderr.complete();
            if !text.is_empty() {
                let _ = writeln!(std::io::stderr(), "the server wrote:\n{text}");
            }
            return;
        }
        self.signal(Signal::TERM);
        let status = self.wait_for_exit();
        let stderr = self.stderr.complete();
        assert!(status.success(), "the server ended with {status}: {stderr}");
        assert!(!stderr.contains("panicked at"), "{stderr}");
    }
}

impl Stderr {
    fn collect(child: &mut Child) -> Stderr {
        let text = Arc::new(Mutex::new(String::new()));
        let Some(pipe) = child.stderr.take() else {
            unreachable!("it was asked for");
        };
        let to = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut text = to.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        Stderr {
            text,
            thread: Some(thread),
        }
    }

    fn none() -> Stderr {
        Stderr {
            text: Arc::default(),
            thread: None,
        }
    }

    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }

    /// All of it, after the program's end.
    fn complete(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            // Whoever else has the pipe may keep it open, if the test has failed.
            let started = Instant::now();
            while !thread.is_finished() && started.elapsed() < PATIENCE / 4 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.text()
    }
}

fn spawn(command: &mut Command) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("cannot run {}: {error}", command.get_program().display()),
    }
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be run, with a sentence that names it: a tool that is missing is a failure.
pub fn run(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!(
            "cannot run `{}` ({error}); these tests need it installed",
            command.get_program().display()
        ),
    }
}

/// Runs a program to its end with this standard input.
///
/// # Panics
/// As [`run`].
pub fn stdin_from(command: &mut Command, input: Vec<u8>) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(command);
    let stdin = child.stdin.take();
    let writer = std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&input);
        }
    });
    let output = match child.wait_with_output() {
        Ok(output) => output,
        Err(error) => panic!("cannot wait for a program: {error}"),
    };
    let _ = writer.join();
    output
}

/// Connections that are open now, among the counters.
const OPEN: &str = "open";

/// The port a process listens on, found through its descriptors. The lowest, if there are several.
fn listening_port(pid: u32) -> Option<u16> {
    let mut inodes = HashSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else {
            continue;
        };
        let target = target.to_string_lossy();
        if let Some(inode) = target.strip_prefix("socket:[") {
            inodes.insert(inode.trim_end_matches(']').to_owned());
        }
    }
    let tables = ["tcp", "tcp6"].map(|table| format!("/proc/{pid}/net/{table}"));
    let tables = tables.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let ports = tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let listens = *columns.get(3)? == LISTEN && inodes.contains(*columns.get(9)?);
            let (_, port) = columns.get(1)?.rsplit_once(':')?;
            u16::from_str_radix(port, 16).ok().filter(|_| listens)
        });
    ports.min()
}

/// `TCP_LISTEN` as /proc/net/tcp writes it.
const LISTEN: &str = "0A";

/// Whether there is a process of this id that has not ended.
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses; Z is one that nobody has waited for yet.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Sends a signal to a process that a [`Server`] has started.
///
/// # Panics
/// When it is not there.
pub fn signal(pid: u32, signal: Signal) {
    let result = match Pid::from_raw(pid.cast_signed()) {
        Some(pid) => kill_process(pid, signal),
        None => Err(rustix::io::Errno::SRCH),
    };
    if let Err(error) = result {
        panic!("cannot send a signal to {pid}: {error}");
    }
}

/// The memory a process has resident.
///
/// # Panics
/// When the process is not there.
pub fn resident_bytes(pid: u32) -> u64 {
    let mut text = String::new();
    let read = std::fs::File::open(format!("/proc/{pid}/status"))
        .and_then(|mut file| file.read_to_string(&mut text));
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok());
    match kib {
        Some(kib) => kib * 1024,
        None => panic!("no VmRSS of process {pid}: {read:?}"),
    }
}

/// The CPU time a process has used.
///
/// # Panics
/// When the process is not there.
pub fn cpu_time(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
    let times = text.rsplit_once(") ").map(|(_, rest)| {
        let fields = rest.split(' ').skip(11).take(2);
        fields.filter_map(|field| field.parse::<u64>().ok()).sum()
    });
    match times {
        Some::<u64>(ticks) => Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
        None => panic!("no CPU time of process {pid}"),
    }
}

/// `USER_HZ`: 100 on every Linux architecture but Alpha.
const TICKS_PER_SECOND: u64 = 100;
