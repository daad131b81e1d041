//! Programs that end with this one: stopped when their value is dropped, and told by the kernel
//! when this process is killed (`setpriv --pdeathsig`).

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, Loopback, Result};

/// From the start of a program until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// From SIGTERM to SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// A program that listens.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: process::Child,
    address: Loopback,
}

impl Child {
    pub(super) fn start(command: &[String], cpus: &[usize], address: Loopback) -> Result<Child> {
        let name = command.first().cloned().unwrap_or_default();
        let process = pinned(command, cpus)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Error::program(&name, format!("cannot start: {error}")))?;
        Ok(Child {
            name,
            process,
            address,
        })
    }

    pub(super) fn address(&self) -> Loopback {
        self.address
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn wait_until_it_listens(&mut self) -> Result<()> {
        let until = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(self.address.get()).is_err() {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(Error::program(&self.name, format!("ended: {status}")));
            }
            if Instant::now() > until {
                let problem = format!("does not listen on {}", self.address.get());
                return Err(Error::program(&self.name, problem));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

/// SIGTERM, and SIGKILL if that does not help.
fn stop(process: &mut process::Child) {
    if matches!(process.try_wait(), Ok(None))
        && let Some(pid) = Pid::from_raw(process.id() as i32)
    {
        // It is not reaped yet: the id is still its own.
        let _ = kill_process(pid, Signal::TERM);
        let until = Instant::now() + STOP_TIMEOUT;
        while matches!(process.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }
    let _ = process.kill();
    let _ = process.wait();
}

/// Runs a program to its end; what it wrote to standard output.
pub(super) fn output_of(command: &[String], cpus: &[usize], timeout: Duration) -> Result<String> {
    let name = command.first().cloned().unwrap_or_default();
    let mut process = pinned(command, cpus)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Error::program(&name, format!("cannot start: {error}")))?;
    let stdout = process.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.map(|mut stdout| stdout.read_to_string(&mut text));
        text
    });
    let until = Instant::now() + timeout;
    let status = loop {
        match process.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
            Ok(None) => {
                stop(&mut process);
                return Err(Error::program(name, "did not end in time"));
            }
            Err(error) => return Err(Error::system(format!("wait for {name}"), error)),
        }
    };
    let text = reader.join().map_err(|_| Error::Panicked)?;
    if status.success() {
        return Ok(text);
    }
    Err(Error::program(name, format!("{status}\n{text}")))
}

fn pinned(command: &[String], cpus: &[usize]) -> Command {
    let mut pinned = Command::new("setpriv");
    pinned.args(["--pdeathsig", "TERM", "--"]);
    if !cpus.is_empty() {
        let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
        pinned.args(["taskset", "-c", &list.join(",")]);
    }
    pinned.args(command);
    pinned
}

/// `{port}` becomes the port, `{address}` address and port.
pub(super) fn fill_in(command: &[String], address: Loopback) -> Vec<String> {
    let address = address.get();
    command
        .iter()
        .map(|word| {
            word.replace("{port}", &address.port().to_string())
                .replace("{address}", &address.to_string())
        })
        .collect()
}

/// A port that nobody had a moment ago.
pub(super) fn free_port() -> Result<Loopback> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let address = TcpListener::bind(any).and_then(|listener| listener.local_addr());
    Loopback::new(address.map_err(|error| Error::system("find a free port", error))?)
}
