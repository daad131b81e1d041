//! Clients that people use: curl, Python's and wrk.

use std::path::Path;
use std::process::{Command, Output};

use ajay_blackbox::{Server, fnv1a, pattern, program, run, stdin_from};

fn server() -> Server {
    Server::start(program!("testserver"), &["threads=2"])
}

fn url(server: &Server, target: &str) -> String {
    format!("http://{}{target}", server.address())
}

fn curl(server: &Server, target: &str, args: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20"]).args(args);
    let output = run(command.arg(url(server, target)));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {args:?} {target}: {stderr}");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The content of a file for curl to send.
fn file_of(name: &str, content: &[u8]) -> std::path::PathBuf {
    let name = format!("ajay-blackbox-{name}-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    match std::fs::write(&path, content) {
        Ok(()) => path,
        Err(error) => panic!("cannot write {}: {error}", path.display()),
    }
}

#[test]
fn curl_reads() {
    let server = server();
    assert_eq!(text(&curl(&server, "/hello", &[])), "Hello, world!\n");
    let head = text(&curl(&server, "/hello", &["-I"]));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Length: 14\r\n"), "{head}");
    assert_eq!(
        curl(&server, "/stream?n=500&bytes=1000", &[]).stdout.len(),
        500_000
    );
    assert_eq!(curl(&server, "/static-big", &[]).stdout, pattern(1 << 20));
    let shown = text(&curl(&server, "/close", &["-i"]));
    assert!(shown.contains("\r\nConnection: close\r\n"), "{shown}");
    let status = text(&curl(
        &server,
        "/none",
        &["-o", "/dev/null", "-w", "%{http_code}"],
    ));
    assert_eq!(status, "404");
}

#[test]
fn curl_speaks_http_1_0() {
    let server = server();
    assert_eq!(
        text(&curl(&server, "/hello", &["--http1.0"])),
        "Hello, world!\n"
    );
    let streamed = curl(&server, "/stream?n=100&bytes=1000", &["-0", "-i"]);
    let streamed = String::from_utf8_lossy(&streamed.stdout).into_owned();
    assert!(streamed.contains("Connection: close\r\n"));
    assert!(!streamed.contains("Transfer-Encoding"));
}

#[test]
fn curl_sends() {
    let server = server();
    let content = pattern(2_000_000);
    let file = file_of("sends", &content);
    let at_file = format!("@{}", file.display());
    let expected = format!("{} {:016x}\n", content.len(), fnv1a(&content));
    for args in [
        &["--data-binary", &at_file][..],
        &["-T", file.to_str().unwrap_or_default()][..],
        &[
            "-T",
            file.to_str().unwrap_or_default(),
            "-H",
            "Transfer-Encoding: chunked",
        ][..],
        &[
            "--data-binary",
            &at_file,
            "-H",
            "Transfer-Encoding: chunked",
        ][..],
        &["--data-binary", &at_file, "-H", "Expect:"][..],
        &["--data-binary", &at_file, "-H", "Expect: 100-continue"][..],
        &["--data-binary", &at_file, "-H", "Connection: close"][..],
        &["--data-binary", &at_file, "--http1.0"][..],
    ] {
        assert_eq!(text(&curl(&server, "/collect", args)), expected, "{args:?}");
        let echoed = curl(&server, "/echo", args);
        assert!(echoed.stdout == content, "{args:?}");
    }
    assert_eq!(
        text(&curl(&server, "/collect", &["-d", "a=b"])),
        format!("3 {:016x}\n", fnv1a(b"a=b"))
    );
    let _ = std::fs::remove_file(file);
}

#[test]
fn curl_sends_from_a_pipe() {
    let server = server();
    let content = pattern(700_000);
    let mut command = Command::new("curl");
    command.args([
        "-sS",
        "--max-time",
        "20",
        "-T",
        "-",
        &url(&server, "/collect"),
    ]);
    let output = stdin_from(&mut command, content.clone());
    assert_eq!(text(&output), format!("700000 {:016x}\n", fnv1a(&content)));
}

#[test]
fn curl_reuses_its_connection() {
    let mut server = server();
    let url = |target| url(&server, target);
    let urls = [
        url("/hello"),
        url("/stream?n=3"),
        url("/status?code=204"),
        url("/hello"),
    ];
    let output = run(Command::new("curl")
        .args(["-sS", "-w", "\n%{num_connects}\n"])
        .args(&urls));
    let output = text(&output);
    let connects: Vec<&str> = output
        .lines()
        .filter(|line| matches!(*line, "0" | "1"))
        .collect();
    assert_eq!(connects, ["1", "0", "0", "0"], "{output}");
    assert_eq!(server.counter("connections_accepted"), 1);
}

#[test]
fn curl_goes_on_after_an_early_answer() {
    let server = server();
    let content = pattern(3_000_000);
    let file = file_of("early", &content);
    let at_file = format!("@{}", file.display());
    for args in [&["-H", "Expect:"][..], &["-H", "Expect: 100-continue"][..]] {
        let args = [args, &["--data-binary", &at_file, "-w", "%{http_code}"]].concat();
        assert_eq!(text(&curl(&server, "/early-413", &args)), "413");
    }
    let _ = std::fs::remove_file(file);
}

#[test]
fn curl_at_a_limited_rate() {
    let server = server();
    let output = curl(&server, "/big?bytes=1000000", &["--limit-rate", "500k"]);
    assert!(output.stdout == pattern(1_000_000));
}

#[test]
fn curl_notices_a_broken_response() {
    let server = server();
    for target in [
        "/stream-abort?n=3&bytes=10&pause=20",
        "/stream-length?n=3&length=100&pause=20",
    ] {
        for version in ["--http1.1", "--http1.0"] {
            let mut command = Command::new("curl");
            command.args(["-sS", "--max-time", "20", version, &url(&server, target)]);
            let output = run(&mut command);
            // CURLE_PARTIAL_FILE or CURLE_RECV_ERROR.
            let code = output.status.code();
            assert!(
                matches!(code, Some(18 | 56)),
                "{target} {version}: {code:?}"
            );
        }
    }
}

#[test]
fn curl_on_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("ajay-blackbox-curl-{}", std::process::id()));
    let listen = format!("listen=unix:{}", path.display());
    let server = Server::start(program!("testserver"), &[&listen]);
    let output = run(Command::new("curl")
        .args(["-sS", "--unix-socket"])
        .arg(&path)
        .arg("http://localhost/hello"));
    assert_eq!(text(&output), "Hello, world!\n");
    drop(server);
}

fn python(server: &Server, script: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scripts")
        .join(script);
    let output = run(Command::new("python3")
        .arg(path)
        .args(["127.0.0.1", &server.port().to_string()]));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text(&output).trim(), "ok", "{stderr}");
}

#[test]
fn python_http_client_and_urllib() {
    python(&server(), "http_client.py");
}

#[test]
fn python_asyncio_with_many_connections() {
    python(&server(), "many_streams.py");
}

/// All requests are answered with 2xx, and no socket has an error.
fn wrk(server: &Server, target: &str, args: &[&str]) {
    let output = run(Command::new("wrk").args(args).arg(url(server, target)));
    let report = text(&output);
    assert!(output.status.success(), "{report}");
    assert!(report.contains(" requests in "), "{report}");
    assert!(!report.contains("Socket errors"), "{report}");
    assert!(!report.contains("Non-2xx"), "{report}");
}

#[test]
fn wrk_with_some_connections() {
    let mut server = server();
    wrk(&server, "/hello", &["-c", "64", "-t", "1", "-d", "1"]);
    wrk(
        &server,
        "/stream?n=5&bytes=100",
        &["-c", "64", "-t", "1", "-d", "1"],
    );
    server.wait_counter("open", 0);
}

#[test]
fn wrk_with_many_connections() {
    let mut server = server();
    let args = ["-c", "512", "-t", "2", "-d", "2", "--timeout", "10"];
    wrk(&server, "/hello", &args);
    server.wait_counter("open", 0);
    wrk(
        &server,
        "/hello",
        &["-c", "64", "-t", "1", "-d", "1", "-H", "Connection: close"],
    );
}
