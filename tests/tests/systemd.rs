//! Started by systemd, whose part these tests play: sockets at descriptors 3 and up, and a socket
//! that is told how far the server is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ajay_blackbox::{Address, Client, PATIENCE, Server, program, run, wait_for};
use rustix::process::Signal;

const BINARY: &str = program!("blackbox-ajayserver");

/// Runs the binary with one or two descriptors at 3 and 4. They reach the shell as its standard
/// input and output; it becomes the server, so that its process id is the server's.
fn activated(passed: &[OwnedFd], variables: &[(&str, &str)], args: &[&str]) -> Command {
    let set_pid = match variables.iter().any(|(name, _)| *name == "LISTEN_PID") {
        true => "",
        false => "export LISTEN_PID=$$; ",
    };
    let script = format!("exec 3<&0 4<&1 0</dev/null 1>&2; {set_pid}exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", BINARY]).args(args);
    command.env("LISTEN_FDS", passed.len().to_string());
    command.envs(variables.iter().copied());
    let [first, second] = [0, 1].map(|at| match passed.get(at).map(OwnedFd::try_clone) {
        Some(Ok(descriptor)) => Stdio::from(descriptor),
        Some(Err(error)) => panic!("cannot duplicate a descriptor: {error}"),
        None => Stdio::null(),
    });
    command.stdin(first).stdout(second);
    command
}

fn tcp() -> (TcpListener, Address) {
    match TcpListener::bind("127.0.0.1:0").and_then(|it| Ok((it.local_addr()?, it))) {
        Ok((address, listener)) => (listener, Address::Tcp(address)),
        Err(error) => panic!("cannot listen: {error}"),
    }
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ajay-systemd-{name}-{}", std::process::id()))
}

fn unix(name: &str) -> (UnixListener, PathBuf) {
    let path = path(name);
    match UnixListener::bind(&path) {
        Ok(listener) => (listener, path),
        Err(error) => panic!("cannot listen on {}: {error}", path.display()),
    }
}

fn duplicate(listener: &TcpListener) -> OwnedFd {
    match listener.try_clone() {
        Ok(listener) => listener.into(),
        Err(error) => panic!("cannot duplicate a listener: {error}"),
    }
}

#[test]
fn a_passed_socket_is_served_by_all_workers() {
    let (listener, address) = tcp();
    let args = ["--listen", "systemd", "--threads", "3"];
    let server = Server::start_other(activated(&[listener.into()], &[], &args), None);
    assert_eq!(server.address(), &address);
    let mut clients: Vec<Client> = (0..60).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.fetch("/").text(), "OK");
    }
    let expected = format!("listening on http://{address}\n");
    wait_for("its announcement", || {
        server.stderr().contains(&expected).then_some(())
    });
    // Programs that the server might execute do not get it.
    let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/3", server.pid()));
    let flags = info.unwrap_or_default();
    let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    const O_CLOEXEC: u32 = 0o2_000_000;
    assert!(flags.is_some_and(|flags| flags & O_CLOEXEC != 0));
}

/// Whoever comes while nobody serves waits for the next server, and is answered by it.
#[test]
fn nobody_is_lost_between_two_servers_of_a_socket() {
    let (listener, address) = tcp();
    let (unix, path) = unix("successor");
    let passed: [OwnedFd; 2] = [duplicate(&listener), unix.into()];
    let addresses = [address, Address::Unix(path.clone())];
    let mut waiting: Vec<Client> = Vec::new();
    for _ in 0..3 {
        let command = activated(&passed, &[], &["--listen", "systemd", "--threads", "2"]);
        let server = Server::start_other(command, None);
        for mut client in waiting.drain(..) {
            assert_eq!(client.response().text(), "OK");
        }
        for address in &addresses {
            assert_eq!(Client::connect(address).fetch("/").text(), "OK");
        }
        server.signal(Signal::TERM);
        let exit = server.wait();
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        for address in &addresses {
            let mut client = Client::connect(address);
            client.get("/", "");
            waiting.push(client);
        }
    }
    assert!(path.exists(), "its file is not the server's to remove");
    let _ = std::fs::remove_file(path);
}

/// The same without a pause: a restart under load loses nothing.
#[test]
fn a_restart_under_load_loses_nobody() {
    let (listener, address) = tcp();
    let passed = [duplicate(&listener)];
    let start = || {
        let command = activated(&passed, &[], &["--listen", "systemd", "--threads", "2"]);
        Server::start_other(command, None)
    };
    let mut server = start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = 0;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let mut client = Client::connect(&address);
                        client.get("/", "");
                        match client.try_response_to("GET") {
                            Ok(response) => assert_eq!(response.status, 200),
                            Err(error) => panic!("after {answered} answers: {error}"),
                        }
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        for _ in 0..3 {
            assert_eq!(Client::connect(&address).fetch("/").text(), "OK");
            server.signal(Signal::TERM);
            let old = std::mem::replace(&mut server, start());
            assert_eq!(old.wait().code, Some(0));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for client in clients {
            assert!(client.join().is_ok_and(|answered| answered > 0));
        }
    });
}

#[test]
fn sockets_are_chosen_by_name() {
    let (listener, address) = tcp();
    let (unix, path) = unix("named");
    let passed: [OwnedFd; 2] = [duplicate(&listener), unix.into()];
    let names = [("LISTEN_FDNAMES", "web:local")];
    let command = activated(&passed, &names, &["--listen", "systemd:local"]);
    let server = Server::start_other(command, Some(path.clone()));
    let local = Address::Unix(path.clone());
    assert_eq!(Client::connect(&local).fetch("/").text(), "OK");
    // A client may be answered before the line has been read.
    let stderr = wait_for("the line", || {
        Some(server.stderr()).filter(|text| text.contains("listening"))
    });
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| line.contains("listening"))
        .collect();
    let expected = format!("ajayserver: listening on unix:{}", path.display());
    assert_eq!(lines, [expected.as_str()]);
    drop(server);

    let command = activated(
        &passed,
        &names,
        &["-l", "systemd:web", "-l", "systemd:local"],
    );
    let server = Server::start_other(command, None);
    for address in [&address, &local] {
        assert_eq!(Client::connect(address).fetch("/").text(), "OK");
    }
    drop(server);
    let _ = std::fs::remove_file(path);
}

#[test]
fn what_was_not_passed_is_told_in_a_sentence() {
    let refused = |mut command: Command, sentence: &str| {
        let output = run(command.stderr(Stdio::piped()));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(sentence), "{stderr}");
    };
    let all = ["--listen", "systemd"];
    let mut alone = Command::new(BINARY);
    alone.args(all).env_remove("LISTEN_PID");
    refused(alone, "no sockets were passed to this process");

    let socket = || -> OwnedFd { tcp().0.into() };
    let other = [("LISTEN_PID", "1")];
    refused(
        activated(&[socket()], &other, &all),
        "passed to another process (LISTEN_PID is 1, and this is ",
    );
    let many = [("LISTEN_FDS", "200")];
    refused(activated(&[socket()], &many, &all), "and is not open");
    let named = [("LISTEN_FDNAMES", "web")];
    refused(
        activated(&[socket()], &named, &["--listen", "systemd:app"]),
        "cannot listen on systemd:app: no socket of that name was passed; there are: web",
    );
    let uneven = [("LISTEN_FDNAMES", "web:app")];
    refused(activated(&[socket()], &uneven, &all), "LISTEN_FDNAMES");
    let Ok(file) = std::fs::File::open("/dev/null") else {
        panic!("there is no /dev/null");
    };
    refused(
        activated(&[file.into()], &[], &all),
        "`unknown` is not a socket",
    );
    let Ok(datagrams) = UdpSocket::bind("127.0.0.1:0") else {
        panic!("no port is free");
    };
    refused(
        activated(&[socket(), datagrams.into()], &[], &all),
        "does not listen for connections",
    );
}

/// The messages that arrive, by their first line.
fn first_line(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = match socket.recv(&mut buffer) {
        Ok(length) => length,
        Err(error) => panic!("nobody told us anything: {error}"),
    };
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(text.contains("\nSTATUS="), "{text}");
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn it_says_when_it_is_ready_and_when_it_stops() {
    let path = path("notify");
    let hidden = format!("ajay-blackbox-notify-{}", std::process::id());
    let on_path = UnixDatagram::bind(&path);
    let in_abstract =
        SocketAddr::from_abstract_name(&hidden).and_then(|name| UnixDatagram::bind_addr(&name));
    let names = [path.display().to_string(), format!("@{hidden}")];
    for (socket, name) in [on_path, in_abstract].into_iter().zip(names) {
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) => panic!("cannot bind {name}: {error}"),
        };
        assert!(socket.set_read_timeout(Some(PATIENCE)).is_ok());
        let mut command = Command::new(BINARY);
        command.args(["-l", "127.0.0.1:0", "-t", "2"]);
        command.env("NOTIFY_SOCKET", &name);
        let server = Server::start_other(command, None);
        assert_eq!(first_line(&socket), "READY=1");
        // A request that is under way when the stop begins.
        let mut client = server.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n");
        assert_eq!(server.connect().fetch("/").status, 200);
        server.signal(Signal::TERM);
        assert_eq!(first_line(&socket), "STOPPING=1");
        client.send("\r\n");
        assert_eq!(client.response().text(), "OK");
        drop(client);
        assert_eq!(server.wait().code, Some(0));
        assert!(socket.set_nonblocking(true).is_ok());
        assert!(socket.recv(&mut [0; 16]).is_err(), "each is said once");
    }
    let _ = std::fs::remove_file(path);
}

/// Nobody to tell is no reason not to serve.
#[test]
fn a_notify_socket_that_is_not_there_is_only_a_warning() {
    let mut command = Command::new(BINARY);
    command.args(["-l", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", path("nobody"));
    let server = Server::start_other(command, None);
    assert_eq!(server.connect().fetch("/").text(), "OK");
    assert!(
        server.stderr().contains("cannot reach NOTIFY_SOCKET"),
        "{}",
        server.stderr()
    );
}

/// The socket may have been bound long before anybody was there to answer.
#[test]
fn who_came_before_the_server_is_answered() {
    let (listener, address) = tcp();
    let Address::Tcp(to) = address else {
        unreachable!("it is a TCP socket");
    };
    let early: Vec<TcpStream> = (0..20)
        .filter_map(|_| TcpStream::connect(to).ok())
        .collect();
    assert_eq!(early.len(), 20);
    for mut socket in &early {
        assert!(socket.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok());
    }
    let command = activated(&[listener.into()], &[], &["--listen", "systemd"]);
    let server = Server::start_other(command, None);
    for mut socket in early {
        assert!(socket.set_read_timeout(Some(PATIENCE)).is_ok());
        let mut text = String::new();
        assert!(socket.read_to_string(&mut text).is_ok());
        assert!(text.ends_with("OK"), "{text}");
    }
    wait_for("its announcement", || {
        server.stderr().contains("listening on").then_some(())
    });
}
