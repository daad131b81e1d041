//! A peer running as a server: started, checked, looked at, stopped.

use crate::{
    error::{Context as _, Error, Result, fail},
    h1, h2, h2load, interrupt,
    place::Dirs,
    process::{self, Child, Launch},
    quic,
    spec::{Idle, Load, Peer, Tool},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

const START_TIMEOUT: Duration = Duration::from_secs(10);
/// For the other threads' listeners, once the first has answered.
const SETTLE: Duration = Duration::from_millis(100);

pub struct Server {
    child: Child,
    /// Where the load goes.
    pub address: SocketAddr,
}

impl Server {
    /// Starts the peer, waits until it listens and checks that it answers as the load needs it.
    /// Its port for TLS is the one after `port`.
    pub fn start(dirs: &Dirs, peer: &Peer, load: &Load, port: u16) -> Result<Self> {
        let tls_port = port
            .checked_add(1)
            .ok_or_else(|| fail!("there is no port after {port} for TLS; choose another"))?;
        for port in [port, tls_port] {
            // Also fails when the listener there would share its port.
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .map_err(|e| fail!("port {port} is not free ({e}); choose another with --port"))?;
        }
        let load_port = if load.tls { tls_port } else { port };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, load_port));
        let start = peer.start_for(&load.name);
        let run = dirs.run(&peer.name);
        let names = dirs
            .names()
            .with("run", run.display())
            .with("port", port)
            .with("tlsport", tls_port)
            .with("threads", load.server.threads)
            .with("descriptors", process::descriptors_max()?);
        prepare(&run)?;
        for file in &start.files {
            let from = dirs.bench.join("peers").join(&peer.name).join(&file.from);
            let template =
                fs::read_to_string(&from).context(|| format!("read {}", from.display()))?;
            let to = run.join(&file.to);
            fs::write(&to, names.fill(&template)?).context(|| format!("write {}", to.display()))?;
        }
        let mut env = BTreeMap::new();
        for (name, value) in &start.env {
            env.insert(name.clone(), names.fill(value)?);
        }
        let log_path = run.join("output.log");
        let log = File::create(&log_path).context(|| format!("create {}", log_path.display()))?;
        let child = Child::start(Launch {
            name: &peer.name,
            command: &names.fill_all(&start.command)?,
            env: &env,
            dir: &run,
            cores: &load.server.cores,
            stdout: log
                .try_clone()
                .context(|| "share the log file".into())?
                .into(),
            stderr: log.into(),
        })?;
        let mut server = Self { child, address };
        server
            .wait_until_it_listens(dirs, peer, load)
            .and_then(|()| server.check(dirs, peer, load))
            .map_err(|e| with_log(e, &log_path))?;
        interrupt::sleep(SETTLE)?;
        Ok(server)
    }

    pub fn tree(&self) -> Result<Vec<i32>> {
        self.child.tree()
    }

    /// An error if the server is not running any more.
    pub fn check_alive(&mut self, peer: &Peer) -> Result<()> {
        match self.child.ended()? {
            Some(status) => Err(fail!("{} ended: {status}", peer.name)),
            None => Ok(()),
        }
    }

    fn wait_until_it_listens(&mut self, dirs: &Dirs, peer: &Peer, load: &Load) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            self.check_alive(peer)?;
            let there = match &load.tool {
                Tool::Quic(quic) => quic::check(dirs, load, quic, self.address),
                _ => TcpStream::connect(self.address)
                    .map(|_| ())
                    .map_err(|e| fail!("{e}")),
            };
            match there {
                Ok(()) => return Ok(()),
                Err(e) if Instant::now() > deadline => {
                    return Err(fail!(
                        "{} does not listen on {}: {e}",
                        peer.name,
                        self.address
                    ));
                }
                Err(_) => interrupt::sleep(Duration::from_millis(20))?,
            }
        }
    }

    fn check(&self, dirs: &Dirs, peer: &Peer, load: &Load) -> Result<()> {
        let checked = match &load.tool {
            Tool::Wrk(wrk) => h1::check(dirs, self.address, load.tls, wrk.content.as_ref()),
            Tool::Idle(Idle { http2: false, .. }) => h1::check(dirs, self.address, load.tls, None),
            Tool::Idle(_) => h2::check(self.address),
            Tool::H2load(h2load) => h2load::check(dirs, load, h2load, self.address.port()),
            // The load itself fails if there is none.
            Tool::Handshakes(_) => Ok(()),
            // It was answered when it began to listen.
            Tool::Quic(_) => Ok(()),
        };
        checked.map_err(|e| match e {
            Error::Message(message) => fail!("{}: {message}", peer.name),
            Error::Interrupted => Error::Interrupted,
        })
    }
}

fn prepare(run: &Path) -> Result<()> {
    match fs::remove_dir_all(run) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(fail!("clear {}: {e}", run.display()));
        }
        _ => {}
    }
    fs::create_dir_all(run).context(|| format!("create {}", run.display()))
}

fn with_log(error: Error, path: &Path) -> Error {
    match (error, fs::read_to_string(path)) {
        (Error::Message(message), Ok(log)) if !log.trim().is_empty() => {
            fail!("{message}\nits output:\n{}", tail(&log))
        }
        (error, _) => error,
    }
}

fn tail(log: &str) -> String {
    const LINES: usize = 20;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
