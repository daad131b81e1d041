//! The system fails, and the server goes on: calls that fail, a disk that is full, a clock that jumps.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ajay_blackbox::{Client, Server, cpu_time, program, wait_for};

/// The test server, some of whose system calls fail: `strace` takes their places. It is the tracer that
/// stands aside, so the process is the server's own.
fn with_failing_calls(injections: &[&str], settings: &[&str]) -> Server {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-o", "/dev/null"]);
    for injection in injections {
        command.args(["-e", &format!("inject={injection}")]);
    }
    command.arg(program!("testserver")).args(settings);
    Server::start_command(command)
}

#[test]
fn accept_runs_out_of_buffers() {
    let mut server = with_failing_calls(&["accept4:error=ENOBUFS:when=2+3"], &[]);
    for _ in 0..12 {
        assert_eq!(server.connect().fetch("/hello").status, 200);
    }
    assert!(server.counter("accept_errors") >= 3);
    let stderr = server.stderr();
    assert!(stderr.contains("accept failed"), "{stderr}");
}

/// Connections that fail before they are accepted are no reason to pause.
#[test]
fn accept_meets_connections_that_are_gone() {
    let mut server = with_failing_calls(&["accept4:error=ECONNABORTED:when=1+2"], &[]);
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.connect().fetch("/hello").status, 200);
    }
    assert!(server.counter("accept_errors") >= 19);
    assert!(started.elapsed() < Duration::from_secs(4), "it paused");
}

/// A send or receive that fails costs its own connection.
#[test]
fn a_connection_whose_calls_fail_is_the_only_one_to_end() {
    let calls = [
        "sendto:error=ENOBUFS:when=3",
        "recvfrom:error=ENOMEM:when=9",
    ];
    let mut server = with_failing_calls(&calls, &["half_close=true"]);
    let mut other = server.connect();
    assert_eq!(other.fetch("/hello").status, 200);
    let mut failed = 0;
    for _ in 0..12 {
        let mut client = server.connect();
        client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        match client.try_response_to("GET") {
            Ok(response) => assert_eq!(response.status, 200),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 2);
    assert_eq!(other.fetch("/hello").status, 200);
    assert_eq!(server.counter("connection_errors"), 2);
}

/// What cannot be logged is lost, and nothing else is.
#[test]
fn the_log_is_on_a_full_disk() {
    let full = || match OpenOptions::new().write(true).open("/dev/full") {
        Ok(file) => Stdio::from(file),
        Err(error) => panic!("/dev/full: {error}"),
    };
    for processes in ["1", "2"] {
        let path = std::env::temp_dir().join(format!(
            "ajay-blackbox-full-{processes}-{}",
            std::process::id()
        ));
        let mut command = Command::new(program!("blackbox-ajayserver"));
        command
            .args(["--processes", processes, "--listen"])
            .arg(format!("unix:{}", path.display()))
            .env("AJAYSERVER_LOG", "trace")
            .stdout(full());
        let server = Server::start_deaf(command, full(), &path);
        for _ in 0..20 {
            let mut client = server.connect();
            assert_eq!(client.fetch("/").text(), "OK");
            let mut broken = server.connect();
            broken.send("BROKEN\r\n\r\n");
            assert_eq!(broken.response().status, 400);
        }
    }
}

/// A server whose wall clock can be set, and nothing else of it.
struct Clock {
    file: PathBuf,
}

impl Clock {
    fn new(name: &str) -> Clock {
        let name = format!("ajay-blackbox-clock-{name}-{}", std::process::id());
        let clock = Clock {
            file: std::env::temp_dir().join(name),
        };
        clock.set("+0");
        clock
    }

    /// An offset, as libfaketime reads it.
    fn set(&self, offset: &str) {
        // In one step: it may be read at any moment.
        let next = self.file.with_extension("next");
        let set = std::fs::write(&next, offset).and_then(|()| std::fs::rename(&next, &self.file));
        assert!(set.is_ok(), "{set:?}");
    }

    fn start(&self, settings: &[&str]) -> Server {
        let mut command = Command::new(program!("testserver"));
        command
            .args(settings)
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Server::start_command(command)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Where Debian keeps it.
fn libfaketime() -> PathBuf {
    let triplets = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let paths = triplets.map(|triplet| {
        Path::new("/usr/lib")
            .join(triplet)
            .join("faketime/libfaketime.so.1")
    });
    match paths.iter().find(|path| path.exists()) {
        Some(path) => path.clone(),
        None => panic!("libfaketime is missing; these tests need the package faketime"),
    }
}

/// The day of the month in `Date`.
fn day(client: &mut Client) -> u32 {
    let response = client.fetch("/hello");
    let date = response.field("Date").unwrap_or_default().to_owned();
    let day = date.split(' ').nth(1).and_then(|day| day.parse().ok());
    day.unwrap_or_else(|| panic!("{date}"))
}

/// A clock that jumps changes `Date`, and no deadline.
#[test]
fn the_clock_jumps() {
    for processes in ["processes=1", "processes=2"] {
        let clock = Clock::new(processes);
        let server = clock.start(&[processes, "idle_timeout=1500", "handler_timeout=4000"]);
        let mut client = server.connect();
        let today = day(&mut client);
        let mut slow = server.connect();
        slow.get("/slow?ms=2500", "");
        for offset in ["+1d", "-1d", "+1d"] {
            clock.set(offset);
            wait_for("the date to follow", || {
                (day(&mut client) != today).then_some(())
            });
            clock.set("+0");
            wait_for("the date to come back", || {
                (day(&mut client) == today).then_some(())
            });
        }
        clock.set("-1d");
        // Neither early nor never.
        assert_eq!(slow.response().text(), "slow\n");
        let mut client = server.connect();
        assert_eq!(client.fetch("/hello").status, 200);
        let started = Instant::now();
        client.expect_fin();
        let taken = started.elapsed();
        assert!(taken > Duration::from_millis(1400), "{taken:?}");
        assert!(taken < Duration::from_millis(3000), "{taken:?}");
        // And it does not make up for lost time.
        let (before, started) = (cpu_time(server.pid()), Instant::now());
        std::thread::sleep(Duration::from_millis(500));
        assert!((cpu_time(server.pid()) - before) * 2 < started.elapsed());
    }
}
