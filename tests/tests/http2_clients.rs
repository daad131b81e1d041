//! HTTP/2 with clients that people use: curl, nghttp, h2load, node, and python's h2.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ajay_blackbox::{Server, fnv1a, pattern, program, run};

const MIB: usize = 1024 * 1024;

fn server() -> Server {
    Server::start(
        program!("testserver"),
        &["threads=2", "content_collected_bytes_max=100000000"],
    )
}

fn url(server: &Server, target: &str) -> String {
    format!("http://{}{target}", server.address())
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn curl(server: &Server, target: &str, args: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command
        .args(["-sS", "--max-time", "30", "--http2-prior-knowledge"])
        .args(args);
    let output = run(command.arg(url(server, target)));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {args:?} {target}: {stderr}");
    output
}

/// A file that is removed at the end.
struct File(PathBuf);

impl File {
    fn of(name: &str, content: &[u8]) -> File {
        let name = format!("ajay-blackbox-http2-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match std::fs::write(&path, content) {
            Ok(()) => File(path),
            Err(error) => panic!("cannot write {}: {error}", path.display()),
        }
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn curl_reads() {
    let server = server();
    let args = ["-w", "%{http_version}"];
    assert_eq!(text(&curl(&server, "/hello", &args)), "Hello, world!\n2");
    let head = text(&curl(&server, "/hello", &["-I"]));
    assert!(head.starts_with("HTTP/2 200 \r\n"), "{head}");
    assert!(head.contains("\r\ncontent-length: 14\r\n"), "{head}");
    assert_eq!(
        curl(&server, "/stream?n=500&bytes=1000", &[]).stdout.len(),
        500_000
    );
    assert!(curl(&server, "/static-big", &[]).stdout == pattern(MIB));
    let args = ["-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(text(&curl(&server, "/none", &args)), "404");
    let slow = curl(&server, "/big?bytes=1000000", &["--limit-rate", "500k"]);
    assert!(slow.stdout == pattern(1_000_000));
}

#[test]
fn curl_that_asks_for_an_upgrade_gets_http_1() {
    let server = server();
    let mut command = Command::new("curl");
    command.args([
        "-sS",
        "--http2",
        "-w",
        "%{http_version}",
        &url(&server, "/hello"),
    ]);
    assert_eq!(text(&run(&mut command)), "Hello, world!\n1.1");
}

#[test]
fn curl_sends() {
    let server = server();
    let content = pattern(10 * MIB);
    let file = File::of("sends", &content);
    let at_file = format!("@{}", file.path());
    let expected = format!("{} {:016x}\n", content.len(), fnv1a(&content));
    for args in [
        &["--data-binary", &at_file][..],
        &["-T", file.path()],
        &["--data-binary", &at_file, "-H", "Expect:"],
        &["--data-binary", &at_file, "-H", "Expect: 100-continue"],
    ] {
        assert_eq!(text(&curl(&server, "/collect", args)), expected, "{args:?}");
        assert!(curl(&server, "/echo", args).stdout == content, "{args:?}");
    }
}

#[test]
fn curl_notices_a_broken_response() {
    let server = server();
    for target in [
        "/stream-abort?n=3&bytes=10&pause=20",
        "/stream-length?n=3&length=100&pause=20",
    ] {
        let mut command = Command::new("curl");
        command.args([
            "-sS",
            "--max-time",
            "20",
            "--http2-prior-knowledge",
            &url(&server, target),
        ]);
        // CURLE_HTTP2_STREAM
        assert_eq!(run(&mut command).status.code(), Some(92), "{target}");
    }
}

#[test]
fn curl_moves_64_mib() {
    let server = server();
    let content = pattern(64 * MIB);
    let file = File::of("large", &content);
    let expected = format!("{} {:016x} 0\n", content.len(), fnv1a(&content));
    let args = ["-T", file.path(), "-H", "Expect:"];
    assert_eq!(text(&curl(&server, "/read", &args)), expected);
    assert!(curl(&server, "/big?bytes=67108864", &[]).stdout == content);
    assert!(curl(&server, "/echo", &args).stdout == content);
}

fn nghttp(server: &Server, target: &str, args: &[&str]) -> Output {
    let output = run(Command::new("nghttp").args(args).arg(url(server, target)));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "nghttp {args:?} {target}: {stderr}"
    );
    assert!(!text(&output).contains("[ERROR]"), "{}", text(&output));
    output
}

#[test]
fn nghttp_sees_the_frames() {
    let server = server();
    let shown = text(&nghttp(&server, "/hello", &["-nv"]));
    for expected in [
        "SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100",
        "SETTINGS_INITIAL_WINDOW_SIZE(0x04):65535",
        ":status: 200",
        "content-length: 14",
        "recv DATA frame <length=14, flags=0x01",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let shown = text(&nghttp(&server, "/stream-trailers?n=3&bytes=5", &["-nv"]));
    assert!(shown.contains("x-pieces: 3"), "{shown}");
}

#[test]
fn nghttp_sends() {
    let server = server();
    let content = pattern(3_000_000);
    let file = File::of("nghttp", &content);
    let expected = format!("{} {:016x}\n", content.len(), fnv1a(&content));
    assert_eq!(
        text(&nghttp(&server, "/collect", &["-d", file.path()])),
        expected
    );
    let args = ["-d", file.path(), "--expect-continue"];
    assert_eq!(text(&nghttp(&server, "/collect", &args)), expected);
    let args = ["-d", file.path(), "--trailer", "x-sum: 17"];
    let expected = format!("{} {:016x} 1\n", content.len(), fnv1a(&content));
    assert_eq!(text(&nghttp(&server, "/read", &args)), expected);
    // Forty at once, with padding and small windows.
    let args = ["-m", "40", "-b", "64", "-w", "14", "-W", "16"];
    assert_eq!(
        nghttp(&server, "/big?bytes=100000", &args).stdout.len(),
        4_000_000
    );
}

/// The curl of Debian 12 cannot take one, whoever the server is.
#[test]
fn nghttp_takes_an_early_answer() {
    let server = server();
    let file = File::of("early", &pattern(3_000_000));
    for args in [
        &["-nv", "-d", file.path()][..],
        &["-nv", "-d", file.path(), "--expect-continue"],
    ] {
        let shown = text(&nghttp(&server, "/early-413", args));
        assert!(shown.contains(":status: 413"), "{shown}");
        assert!(!shown.contains(":status: 100"), "{shown}");
    }
}

/// All requests are answered.
fn h2load(server: &Server, target: &str, requests: &str, args: &[&str]) {
    let output = run(Command::new("h2load")
        .args(["-n", requests])
        .args(args)
        .arg(url(server, target)));
    let shown = text(&output);
    let expected = format!(
        "requests: {requests} total, {requests} started, {requests} done, {requests} succeeded, 0 failed, 0 \
         errored, 0 timeout"
    );
    assert!(shown.contains(&expected), "{args:?}: {shown}");
    assert!(
        shown.contains(&format!("status codes: {requests} 2xx")),
        "{shown}"
    );
}

#[test]
fn h2load_with_many_streams() {
    let mut server = server();
    h2load(&server, "/hello", "20000", &["-c", "8", "-m", "32"]);
    h2load(&server, "/hello", "5000", &["-c", "50", "-m", "100"]);
    h2load(
        &server,
        "/stream?n=3&bytes=100",
        "3000",
        &["-c", "8", "-m", "32"],
    );
    h2load(
        &server,
        "/big?bytes=100000",
        "1000",
        &["-c", "8", "-m", "32"],
    );
    h2load(&server, "/slow?ms=5", "2000", &["-c", "4", "-m", "100"]);
    let file = File::of("h2load", &pattern(20_000));
    h2load(
        &server,
        "/collect",
        "2000",
        &["-c", "8", "-m", "16", "-d", file.path()],
    );
    server.wait_counter("open", 0);
    assert_eq!(server.counter("violations"), 0);
    assert_eq!(server.counter("streams_refused"), 0);
}

/// As many as the machine has room for; small windows make every response wait.
#[test]
fn h2load_with_small_windows() {
    let server = server();
    h2load(
        &server,
        "/big?bytes=50000",
        "500",
        &["-c", "4", "-m", "16", "-w", "10", "-W", "12"],
    );
}

fn script(server: &Server, program: &str, name: &str, args: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scripts")
        .join(name);
    let output = run(Command::new(program).arg(path).args(args));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text(&output).trim(), "ok", "{stderr}");
    assert_eq!(server.connect_http2().fetch("/hello").status, 200);
}

// The system's python: Debian has installed these libraries for it.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn python_h2() {
    let server = server();
    script(
        &server,
        PYTHON,
        "http2_client.py",
        &["127.0.0.1", &server.port().to_string()],
    );
}

#[test]
fn python_breaks_the_rules() {
    let server = server();
    script(
        &server,
        PYTHON,
        "http2_rules.py",
        &["127.0.0.1", &server.port().to_string()],
    );
}

#[test]
fn node() {
    let server = server();
    script(
        &server,
        "node",
        "http2_client.mjs",
        &[&server.port().to_string()],
    );
}
