//! A peer running as a server: started, checked, looked at, stopped.

use crate::{
    error::{Context as _, Error, Result, fail},
    interrupt,
    place::Dirs,
    process::{self, Child, Launch},
    spec::{Peer, Place},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

const START_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// For the other threads' listeners, once the first has answered.
const SETTLE: Duration = Duration::from_millis(100);
/// The content of the POST loads: the floors know no other length.
const CONTENT_BYTES: usize = 1024;

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts the peer, waits until it listens and checks that it answers GET and POST with OK.
    pub fn start(dirs: &Dirs, peer: &Peer, place: &Place, port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Also fails when the listener there would share its port.
        TcpListener::bind(address)
            .map_err(|e| fail!("port {port} is not free ({e}); choose another with --port"))?;
        let run = dirs.run(&peer.name);
        let names = dirs
            .names()
            .with("run", run.display())
            .with("port", port)
            .with("threads", place.threads)
            .with("descriptors", process::descriptors_max()?);
        prepare(&run)?;
        for file in &peer.start.files {
            let from = dirs.bench.join("peers").join(&peer.name).join(&file.from);
            let template =
                fs::read_to_string(&from).context(|| format!("read {}", from.display()))?;
            let to = run.join(&file.to);
            fs::write(&to, names.fill(&template)?).context(|| format!("write {}", to.display()))?;
        }
        let mut env = BTreeMap::new();
        for (name, value) in &peer.start.env {
            env.insert(name.clone(), names.fill(value)?);
        }
        let log_path = run.join("output.log");
        let log = File::create(&log_path).context(|| format!("create {}", log_path.display()))?;
        let child = Child::start(Launch {
            name: &peer.name,
            command: &names.fill_all(&peer.start.command)?,
            env: &env,
            dir: &run,
            cores: &place.cores,
            stdout: log
                .try_clone()
                .context(|| "share the log file".into())?
                .into(),
            stderr: log.into(),
        })?;
        let mut server = Self { child, address };
        server
            .wait_until_it_listens(peer)
            .and_then(|()| server.check(peer))
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

    fn wait_until_it_listens(&mut self, peer: &Peer) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            self.check_alive(peer)?;
            match TcpStream::connect(self.address) {
                Ok(_) => return Ok(()),
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

    fn check(&self, peer: &Peer) -> Result<()> {
        for request in [get(self.address), post(self.address)] {
            let method = String::from_utf8_lossy(&request[..4]).trim().to_string();
            let answer =
                exchange(self.address, &request).context(|| format!("{}: {method}", peer.name))?;
            check_answer(&answer).map_err(|why| {
                let text = String::from_utf8_lossy(&answer);
                fail!(
                    "{}: {method} was not answered with 200 and OK: {why}\n{text}",
                    peer.name
                )
            })?;
        }
        Ok(())
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

/// A plain request for `/`.
pub fn get(address: SocketAddr) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

fn post(address: SocketAddr) -> Vec<u8> {
    let content = "x".repeat(CONTENT_BYTES);
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: {CONTENT_BYTES}\r\n\r\n{content}"
    )
    .into_bytes()
}

fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(request)?;
    read_answer(&mut stream)
}

/// Reads one response with `Content-Length`, or as much as comes.
pub fn read_answer(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..count]);
        if count == 0 || is_whole(&answer) {
            return Ok(answer);
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").is_some_and(|(head, content)| {
        content_length(head).is_some_and(|length| content.len() >= length)
    })
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}

/// Whether the response is a kept-alive 200 with the content `OK`.
pub fn check_answer(answer: &[u8]) -> std::result::Result<(), &'static str> {
    let text = String::from_utf8_lossy(answer);
    let (head, content) = text.split_once("\r\n\r\n").ok_or("the head has no end")?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err("the status is not 200");
    }
    if content_length(head) != Some(2) || content != "OK" {
        return Err("the content is not OK");
    }
    if head.to_ascii_lowercase().contains("connection: close") {
        return Err("the connection is not kept");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_answer, is_whole};

    #[test]
    fn only_a_kept_alive_ok_passes() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n";
        assert_eq!(check_answer(format!("{head}\r\nOK").as_bytes()), Ok(()));
        for broken in [
            String::new(),
            format!("{head}Connection: close\r\n\r\nOK"),
            format!("{head}\r\nNO"),
            format!("{head}\r\nOK more"),
            "HTTP/1.1 200 OK\r\n\r\nOK".into(),
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nOK".into(),
        ] {
            assert!(check_answer(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_response_is_whole_with_its_content() {
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO"));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"));
    }
}
