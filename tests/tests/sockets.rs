//! Where the server listens: families, Unix sockets, and what it says when it cannot.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ajay_blackbox::{Address, Client, Server, program, run, wait_for};

const BINARY: &str = program!("blackbox-ajayserver");

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Starts the binary and waits until it answers, so that its signal handlers are in place.
fn listening(args: &[&str]) -> Server {
    let server = Server::start_program(BINARY, args);
    let addresses = [V4, V6].map(|ip| Address::Tcp(SocketAddr::new(ip, server.port())));
    let mut client = wait_for("an answer", || {
        addresses
            .iter()
            .find_map(|address| Client::try_connect(address).ok())
    });
    assert_eq!(client.fetch("/").text(), "OK");
    server
}

fn answers(ip: IpAddr, port: u16) -> bool {
    match Client::try_connect(&Address::Tcp(SocketAddr::new(ip, port))) {
        Ok(mut client) => client.fetch("/").text() == "OK",
        Err(_) => false,
    }
}

/// A directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ajay-blackbox-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    match std::fs::create_dir_all(&path) {
        Ok(()) => path,
        Err(error) => panic!("cannot make {}: {error}", path.display()),
    }
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// The exit code and standard error, which is one sentence.
fn complaint(output: &Output) -> (Option<i32>, String) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("ajayserver: "), "{stderr}");
    (output.status.code(), stderr)
}

#[test]
fn ipv4_and_ipv6() {
    let server = listening(&["-l", "127.0.0.1:0"]);
    assert!(answers(V4, server.port()));
    assert!(!answers(V6, server.port()));
    let server = listening(&["-l", "[::1]:0"]);
    assert!(answers(V6, server.port()));
    assert!(!answers(V4, server.port()));
}

#[test]
fn a_port_alone_is_every_address() {
    let server = listening(&["-l", ":0"]);
    assert!(answers(V4, server.port()));
    assert!(answers(V6, server.port()));
}

#[test]
fn a_client_of_a_dual_stack_listener_is_shown_with_its_ipv4_address() {
    let server = Server::start(program!("testserver"), &["listen=:0"]);
    for (ip, shown) in [(V4, "127.0.0.1:"), (V6, "[::1]:")] {
        let address = SocketAddr::new(ip, server.port());
        let mut client = Client::connect(&Address::Tcp(address));
        let response = client.fetch("/connection");
        let text = response.text();
        assert!(text.starts_with(shown), "{text}");
        assert!(text.contains(&format!(" Some({address}) ")), "{text}");
    }
}

#[test]
fn both_families_share_a_port() {
    let server = listening(&["-l", "0.0.0.0:0"]);
    let port = server.port();
    assert!(!answers(V6, port));
    let other = listening(&["-l", &format!("[::]:{port}")]);
    assert_eq!(other.port(), port);
    assert!(answers(V4, port) && answers(V6, port));
    drop(server);
    assert!(!answers(V4, port) && answers(V6, port));
}

#[test]
fn not_ipv6_only_is_both_families() {
    let server = listening(&["-l", "[::]:0", "--ipv6-only", "false"]);
    assert!(answers(V4, server.port()) && answers(V6, server.port()));
}

#[test]
fn several_addresses() {
    let first = listening(&["-l", "127.0.0.1:0"]);
    let port = first.port();
    drop(first);
    let directory = directory("several");
    let path = directory.join("socket");
    let addresses = [
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
        unix(&path),
    ];
    let args: Vec<&str> = addresses
        .iter()
        .flat_map(|address| ["-l", address])
        .collect();
    let server = listening(&args);
    assert!(answers(V4, port) && answers(V6, port));
    let mut client = Client::connect(&Address::Unix(path.clone()));
    assert_eq!(client.fetch("/").text(), "OK");
    let stderr = wait_for("all announcements", || {
        Some(server.stderr()).filter(|text| text.matches("listening on").count() >= addresses.len())
    });
    assert!(
        stderr.contains(&format!("listening on http://127.0.0.1:{port}\n")),
        "{stderr}"
    );
    assert!(
        stderr.contains(&format!("listening on {}\n", unix(&path))),
        "{stderr}"
    );
    drop(client);
    drop(server);
    assert!(!path.exists());
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_port_of_the_systems_choice_is_announced() {
    let server = listening(&["-l", "127.0.0.1:0", "--threads", "3"]);
    let expected = format!(
        "ajayserver: listening on http://127.0.0.1:{}\n",
        server.port()
    );
    wait_for("its announcement", || {
        server.stderr().contains(&expected).then_some(())
    });
}

/// The test server on a Unix socket.
fn on_path(path: &Path) -> Server {
    let listen = format!("listen={}", unix(path));
    Server::start(program!("testserver"), &[&listen, "threads=2"])
}

#[test]
fn a_unix_socket() {
    let directory = directory("unix");
    let path = directory.join("socket");
    let mut server = on_path(&path);
    assert_eq!(server.address(), &Address::Unix(path.clone()));
    let mut clients: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.fetch("/hello").text(), "Hello, world!\n");
    }
    let response = clients[0].fetch("/connection");
    assert!(
        response.text().starts_with("unix None "),
        "{}",
        response.text()
    );
    // Large output, large input, pipelines, the end of input and of the client.
    let response = clients[1].fetch("/big?bytes=5000000");
    assert!(response.body == ajay_blackbox::pattern(5_000_000));
    clients[2].post("/collect", "", &ajay_blackbox::pattern(3_000_000));
    assert!(clients[2].response().text().starts_with("3000000 "));
    clients[3].send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200));
    clients[3].finish_sending();
    for _ in 0..200 {
        assert_eq!(clients[3].response().status, 200);
    }
    clients[3].expect_fin();
    clients[4].get("/never", "");
    server.wait_note("never begun");
    drop(clients);
    server.wait_note("never dropped");
    server.wait_counter("open", 0);
    drop(server);
    assert!(!path.exists(), "the file is removed at the end");
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_refused_request_on_a_unix_socket() {
    let directory = directory("unix-refused");
    let path = directory.join("socket");
    let server = on_path(&path);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.says_close()), (400, true));
    client.expect_fin();
    drop(client);
    drop(server);
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let directory = directory("stale");
    let path = directory.join("socket");
    drop(UnixListener::bind(&path));
    assert!(path.exists());
    let server = on_path(&path);
    assert_eq!(server.connect().fetch("/hello").status, 200);
    drop(server);
    assert!(!path.exists());
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_socket_that_somebody_listens_on_is_left_alone() {
    let directory = directory("live");
    let path = directory.join("socket");
    let first = on_path(&path);
    let output = run(Command::new(BINARY).args(["-l", &unix(&path)]));
    let (code, stderr) = complaint(&output);
    assert_eq!(code, Some(3));
    assert!(
        stderr.contains("another program is listening there"),
        "{stderr}"
    );
    assert_eq!(first.connect().fetch("/hello").status, 200);
    drop(first);
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let directory = directory("file");
    let path = directory.join("file");
    assert!(std::fs::write(&path, "precious").is_ok());
    let output = run(Command::new(BINARY).args(["-l", &unix(&path)]));
    let (code, stderr) = complaint(&output);
    assert_eq!(code, Some(3));
    assert!(stderr.contains("not a socket"), "{stderr}");
    assert_eq!(std::fs::read(&path).unwrap_or_default(), b"precious");
    let missing = directory.join("missing").join("socket");
    let output = run(Command::new(BINARY).args(["-l", &unix(&missing)]));
    assert_eq!(complaint(&output).0, Some(3));
    let _ = std::fs::remove_dir_all(directory);
}

/// A start that fails leaves no socket file behind.
#[test]
fn a_start_that_fails_removes_its_socket_file() {
    let directory = directory("failed");
    let path = directory.join("socket");
    let holder = listening(&["-l", "127.0.0.1:0"]);
    let in_use = format!("127.0.0.1:{}", holder.port());
    let output = run(Command::new(BINARY).args(["-l", &unix(&path), "-l", &in_use]));
    assert_eq!(complaint(&output).0, Some(3));
    assert!(!path.exists());
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_port_in_use() {
    let first = listening(&["-l", "127.0.0.1:0"]);
    let address = format!("127.0.0.1:{}", first.port());
    let output = run(Command::new(BINARY).args(["-l", &address]));
    let (code, stderr) = complaint(&output);
    assert_eq!(code, Some(3));
    assert_eq!(
        stderr,
        format!("ajayserver: cannot listen on {address}: another program is listening there\n")
    );
    // The first one still has all of its connections.
    for _ in 0..20 {
        assert!(answers(V4, first.port()));
    }
    // By a program that does not share its ports either.
    let listener = TcpListener::bind((V4, 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let output = run(Command::new(BINARY).args(["-l", &address]));
    assert_eq!(complaint(&output).0, Some(3));
}

#[test]
fn an_address_of_another_machine() {
    let output = run(Command::new(BINARY).args(["-l", "192.0.2.1:0"]));
    let (code, stderr) = complaint(&output);
    assert_eq!(code, Some(3));
    assert!(stderr.contains("does not have that address"), "{stderr}");
}

#[test]
fn what_is_no_address() {
    for address in [
        "localhost",
        "8080",
        "localhost:80",
        "127.0.0.1",
        "127.0.0.1:99999",
        "::1:80",
        "unix:",
        ":http",
        "",
    ] {
        let output = run(Command::new(BINARY).args(["-l", address]));
        let (code, stderr) = complaint(&output);
        assert_eq!(code, Some(2), "{address}");
        let hint = ["is not an address", "needs a path"].map(|hint| stderr.contains(hint));
        assert!(hint.contains(&true), "{address}: {stderr}");
    }
}

/// A port below 1024 as somebody who may not have it.
#[test]
fn a_privileged_port_without_privilege() {
    let floor = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let floor: u16 = floor.unwrap_or_default().trim().parse().unwrap_or(1024);
    if floor == 0 {
        // Here every port is free to all: there is nothing to refuse.
        return;
    }
    let port = (floor - 1).min(81);
    // A copy that anybody may run: the build directory may be closed to others.
    let directory = directory("privileged");
    let copy = directory.join("ajayserver");
    assert!(std::fs::copy(BINARY, &copy).is_ok());
    let listen = format!("127.0.0.1:{port}");
    let mut command = Command::new(&copy);
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command
            .args(["--inh-caps", "-all", "--bounding-set", "-all"])
            .arg(&copy);
    }
    let output = run(command.args(["-l", &listen]));
    let (code, stderr) = complaint(&output);
    assert_eq!(code, Some(3));
    assert!(stderr.contains("permission denied"), "{stderr}");
    let _ = std::fs::remove_dir_all(directory);
}

/// Nobody who connects and says nothing to a Unix socket keeps others from it.
#[test]
fn silent_clients_of_a_unix_socket() {
    let directory = directory("silent");
    let path = directory.join("socket");
    let server = on_path(&path);
    let silent: Vec<UnixStream> = (0..20)
        .filter_map(|_| UnixStream::connect(&path).ok())
        .collect();
    assert_eq!(silent.len(), 20);
    assert_eq!(server.connect().fetch("/hello").status, 200);
    let mut written = silent;
    for socket in &mut written {
        assert!(
            socket
                .write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
                .is_ok()
        );
    }
    drop(written);
    assert_eq!(server.connect().fetch("/hello").status, 200);
    drop(server);
    let _ = std::fs::remove_dir_all(directory);
}
