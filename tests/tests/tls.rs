//! TLS: versions, certificates and who may have which, resumption, and how connections end.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ajay_blackbox::{
    Address, Authority, Client, Issued, Server, fnv1a, pattern, program, resident_bytes, run,
    stdin_from, text_of, wait_for,
};
use rustix::process::Signal;

/// A test server with a certificate for localhost.
fn server(authority: &Authority, settings: &[&str]) -> Server {
    let issued = authority.issue("localhost");
    server_with(&issued, settings)
}

fn server_with(issued: &Issued, settings: &[&str]) -> Server {
    let tls = issued.settings();
    let all: Vec<&str> = tls
        .iter()
        .map(String::as_str)
        .chain(settings.iter().copied())
        .collect();
    Server::start(program!("testserver"), &all)
}

fn curl_command(server: &Server, authority: &Path, target: &str, args: &[&str]) -> Command {
    let port = server.port();
    let mut command = Command::new("curl");
    command
        .args([
            "-sS",
            "--max-time",
            "20",
            "--resolve",
            &format!("localhost:{port}:127.0.0.1"),
        ])
        .arg("--cacert")
        .arg(authority)
        .args(args)
        .arg(format!("https://localhost:{port}{target}"));
    command
}

fn curl(server: &Server, authority: &Authority, target: &str, args: &[&str]) -> String {
    let output = run(&mut curl_command(server, &authority.path(), target, args));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {args:?} {target}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn script(what: &str, server: &Server, authority: &Authority) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/tls_client.py");
    // The system's python: Debian has installed h2 for it.
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(path)
        .args([what, &server.port().to_string()])
        .arg(authority.path());
    command
}

fn python(what: &str, server: &Server, authority: &Authority) {
    let output = run(&mut script(what, server, authority));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout.trim(), "ok", "{what}: {stderr}");
}

/// Starts a part of the script that says when it is ready.
fn start(what: &str, server: &Server, authority: &Authority) -> (Child, BufReader<ChildStdout>) {
    let mut command = script(what, server, authority);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("python3 runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
    assert_eq!(line_of(&mut stdout), "ready", "{what}");
    (child, stdout)
}

fn line_of(stdout: &mut impl BufRead) -> String {
    let mut line = String::new();
    let _ = stdout.read_line(&mut line);
    line.trim().to_owned()
}

// Versions.

#[test]
fn both_versions_of_http_and_of_tls_are_spoken() {
    let authority = Authority::new("tls-versions");
    let mut server = server(&authority, &[]);
    for (http, alpn, version) in [
        ("--http2", "h2", "2"),
        ("--http1.1", "http/1.1", "1.1"),
        ("--no-alpn", "", "1.1"),
    ] {
        for (tls, name) in [
            (&["--tlsv1.2", "--tls-max", "1.2"][..], "TLSv1_2"),
            (&["--tlsv1.3"][..], "TLSv1_3"),
        ] {
            let args = [tls, &[http, "-w", "%{http_version}"]].concat();
            let expected = format!("Some({name}) {alpn} localhost 0\n{version}");
            assert_eq!(curl(&server, &authority, "/tls", &args), expected);
        }
    }
    assert_eq!(server.counter("tls_handshakes"), 6);
    assert_eq!(server.counter("http2_connections"), 2);
    assert_eq!(server.counter("tls_failures"), 0);
    server.wait_counter("open", 0);
}

#[test]
fn the_lowest_version_can_be_raised() {
    let authority = Authority::new("tls-version-min");
    let mut server = server(&authority, &["tls_version_min=1.3"]);
    assert!(curl(&server, &authority, "/tls", &[]).starts_with("Some(TLSv1_3)"));
    let args = ["--tls-max", "1.2"];
    let output = run(&mut curl_command(&server, &authority.path(), "/tls", &args));
    // CURLE_SSL_CONNECT_ERROR
    assert_eq!(output.status.code(), Some(35));
    server.wait_counter("tls_failures", 1);
}

#[test]
fn the_versions_of_http_can_be_chosen() {
    let authority = Authority::new("tls-http-versions");
    let issued = authority.issue("localhost");
    let one = server_with(&issued, &["tls_versions=1"]);
    let args = ["--http2", "-w", "%{http_version}"];
    assert!(curl(&one, &authority, "/tls", &args).ends_with(" http/1.1 localhost 0\n1.1"));
    let mut two = server_with(&issued, &["tls_versions=2"]);
    assert!(curl(&two, &authority, "/tls", &args).ends_with(" h2 localhost 0\n2"));
    // Nothing in common: no_application_protocol (RFC 7301 §3.2).
    let output = run(&mut curl_command(
        &two,
        &authority.path(),
        "/tls",
        &["--http1.1"],
    ));
    assert_eq!(output.status.code(), Some(35));
    two.wait_counter("tls_failures", 1);
}

/// Who offers no protocol may begin with HTTP/2's preface nevertheless, or not: RFC 9113 §3.2 wants ALPN.
#[test]
fn without_alpn_it_is_http_1() {
    let authority = Authority::new("tls-no-alpn");
    let server = server(&authority, &[]);
    let input = b"GET /tls HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec();
    let output = s_client(&server, &authority, &["-ign_eof", "-quiet"], input);
    assert!(
        text(&output).ends_with("Some(TLSv1_3)  localhost 0\n"),
        "{}",
        text(&output)
    );
}

fn s_client(server: &Server, authority: &Authority, args: &[&str], input: Vec<u8>) -> Output {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &server.address().to_string()])
        .args([
            "-servername",
            "localhost",
            "-verify_return_error",
            "-CAfile",
        ])
        .arg(authority.path())
        .args(args);
    stdin_from(&mut command, input)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn key_exchange_is_modern_and_old_versions_are_refused() {
    let authority = Authority::new("tls-old");
    let mut server = server(&authority, &[]);
    let output = s_client(
        &server,
        &authority,
        &["-groups", "X25519:P-256"],
        Vec::new(),
    );
    assert!(
        text(&output).contains("Server Temp Key: X25519"),
        "{}",
        text(&output)
    );
    let args = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    let output = s_client(&server, &authority, &args, Vec::new());
    assert!(!output.status.success());
    server.wait_counter("tls_failures", 1);
}

// Certificates.

#[test]
fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new("tls-names");
    let issued = authority.issue("localhost");
    let server = server_with(&issued, &[]);
    // Other names get the first one, and their clients decide.
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &server.address().to_string()])
        .args(["-servername", "elsewhere.example"]);
    let shown = text(&stdin_from(&mut command, Vec::new()));
    assert!(shown.contains("subject=CN = localhost"), "{shown}");
}

/// The binary with these arguments, to its end.
fn binary(args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program!("blackbox-ajayserver"));
    let output = run(command.args(["--tls-listen", "127.0.0.1:0"]).args(args));
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_certificate_that_is_no_good_is_told_at_start() {
    let authority = Authority::new("tls-bad");
    let (good, other) = (authority.issue("localhost"), authority.issue("other"));
    let expired = authority.issue_for_years("expired", 2020..2021);
    let future = authority.issue_for_years("future", 2050..2051);
    let empty = authority.write("empty.pem", "");
    let broken = authority.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let unended = authority.write("unended.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let missing = authority.file("missing.pem");
    let directory = std::env::temp_dir();
    let cases: [(&Path, &Path, &str); 10] = [
        (
            &missing,
            &good.key,
            "missing.pem: cannot be read: No such file",
        ),
        (&directory, &good.key, "Is a directory"),
        (
            &good.chain,
            &missing,
            "missing.pem: cannot be read: No such file",
        ),
        (
            &empty,
            &good.key,
            "empty.pem: there is no certificate in it",
        ),
        (
            &good.chain,
            &empty,
            "empty.pem: there is no private key in it",
        ),
        (
            &broken,
            &good.key,
            "broken.pem: the certificate cannot be decoded",
        ),
        (&unended, &good.key, "unended.pem: not PEM"),
        (
            &good.chain,
            &other.key,
            "other-key.pem: this private key does not belong",
        ),
        (
            &expired.chain,
            &expired.key,
            "expired.pem: the certificate expired on 2021-01-01",
        ),
        (
            &future.chain,
            &future.key,
            "future.pem: the certificate is not valid before 2050-01-01",
        ),
    ];
    for (chain, key, expected) in cases {
        let (code, stderr) = binary(&["--tls-cert", text_of(chain), "--tls-key", text_of(key)]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(expected), "{expected}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("ajayserver: "), "{stderr}");
    }
}

#[test]
fn an_unreadable_key_is_told_at_start() {
    use std::os::unix::fs::PermissionsExt;
    let authority = Authority::new("tls-unreadable");
    let issued = authority.issue("localhost");
    let locked = std::fs::set_permissions(&issued.key, std::fs::Permissions::from_mode(0o000));
    assert!(locked.is_ok());
    if std::fs::read(&issued.key).is_ok() {
        // Root reads everything; another user does not.
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            "65534",
            "--clear-groups",
            program!("blackbox-ajayserver"),
        ]);
        command.args([
            "--tls-listen",
            "127.0.0.1:0",
            "--tls-cert",
            text_of(&issued.chain),
        ]);
        command.args(["--tls-key", text_of(&issued.key)]);
        let output = command.output();
        // Where that user may not even run the program there is nothing to be seen.
        if let Ok(output) = output
            && output.status.code() == Some(1)
        {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.contains("Permission denied"), "{stderr}");
        }
        return;
    }
    let args = [
        "--tls-cert",
        text_of(&issued.chain),
        "--tls-key",
        text_of(&issued.key),
    ];
    let (code, stderr) = binary(&args);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("localhost-key.pem: cannot be read: Permission denied"),
        "{stderr}"
    );
}

#[test]
fn arguments_that_do_not_go_together_are_explained() {
    let authority = Authority::new("tls-arguments");
    let issued = authority.issue("localhost");
    let (chain, key) = (text_of(&issued.chain), text_of(&issued.key));
    for (args, expected) in [
        (
            &[][..],
            "--tls-listen needs --tls-cert and --tls-key, or --tls-self-signed",
        ),
        (&["--tls-cert", chain][..], "--tls-key"),
        (&["--tls-key", key][..], "--tls-cert"),
        (
            &["--tls-cert", chain, "--tls-key", key, "--tls-self-signed"][..],
            "cannot be used with",
        ),
    ] {
        let (code, stderr) = binary(args);
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

/// The binary with a listener for TLS, and where that is.
fn start_binary(args: &[&str]) -> Server {
    let args = [&["--tls-listen", "127.0.0.1:0"], args].concat();
    Server::start_program(program!("blackbox-ajayserver"), &args)
}

#[test]
fn a_development_certificate_is_made_once_and_kept() {
    use std::os::unix::fs::PermissionsExt;
    let authority = Authority::new("tls-self-signed");
    let directory = authority.file("made");
    let ask = || {
        let server = start_binary(&["--tls-self-signed", text_of(&directory)]);
        let chain = directory.join("development-cert.pem");
        for args in [&["--http2"][..], &["--http1.1"]] {
            let output = run(&mut curl_command(&server, &chain, "/", args));
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(text(&output), "OK", "{stderr}");
        }
        wait_for("the address to be told", || {
            let stderr = server.stderr();
            stderr
                .contains("listening on https://127.0.0.1:")
                .then_some(())
        });
        std::fs::read(chain).unwrap_or_default()
    };
    let first = ask();
    assert_eq!(ask(), first, "a new one would have to be trusted again");
    let mode = |path: &Path| {
        let metadata = std::fs::metadata(path);
        metadata
            .map(|metadata| metadata.permissions().mode() & 0o777)
            .ok()
    };
    assert_eq!(mode(&directory), Some(0o700));
    assert_eq!(mode(&directory.join("development-key.pem")), Some(0o600));
}

#[test]
fn clients_of_http_are_sent_on_to_https() {
    let authority = Authority::new("tls-redirect");
    let issued = authority.issue("localhost");
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--redirect-to-https",
        "8443",
        "--tls-cert",
        text_of(&issued.chain),
        "--tls-key",
        text_of(&issued.key),
    ];
    let server = start_binary(&args);
    let of_http = wait_for("the address to be told", || {
        let stderr = server.stderr();
        let line = stderr
            .lines()
            .find_map(|line| line.split_once("listening on http://"));
        line.and_then(|(_, address)| address.parse().ok())
    });
    let mut client = Client::connect(&Address::Tcp(of_http));
    client.send("GET /a?b=c HTTP/1.1\r\nHost: example.com:80\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 308);
    assert_eq!(
        response.field("location"),
        Some("https://example.com:8443/a?b=c")
    );
}

fn replace(authority: &Authority, from: &Issued, to: &Issued) {
    for (from, to) in [(&from.key, &to.key), (&from.chain, &to.chain)] {
        let content = std::fs::read_to_string(from).unwrap_or_default();
        let name = to
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        authority.write(name, &content);
    }
}

fn shown_subject(server: &Server) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &server.address().to_string()]);
    let shown = text(&stdin_from(&mut command, Vec::new()));
    let subject = shown.lines().find(|line| line.starts_with("subject="));
    subject.unwrap_or_default().to_owned()
}

#[test]
fn new_certificates_are_read_without_a_restart() {
    let authority = Authority::new("tls-reread");
    let (first, second) = (authority.issue("localhost"), authority.issue("renewed"));
    for processes in [1, 2] {
        let served = Issued {
            chain: authority.file("served.pem"),
            key: authority.file("served-key.pem"),
        };
        replace(&authority, &first, &served);
        let mut server = server_with(&served, &[&format!("processes={processes}")]);
        // A process that starts reads the files: each has to be there before they change.
        let mut pids = HashSet::new();
        wait_for("an answer of each process", || {
            pids.insert(curl(&server, &authority, "/pid", &[]));
            (pids.len() == processes).then_some(())
        });
        assert_eq!(shown_subject(&server), "subject=CN = localhost");
        // One that is no good replaces nothing.
        authority.write("served.pem", "no certificate\n");
        wait_for("the server to complain", || {
            server
                .stderr()
                .contains("new certificates are no good")
                .then_some(())
        });
        assert_eq!(shown_subject(&server), "subject=CN = localhost");
        replace(&authority, &second, &served);
        // Every process has looked when so many in a row have it.
        let mut in_a_row = 0;
        wait_for("the new certificate", || {
            in_a_row = if shown_subject(&server) == "subject=CN = renewed" {
                in_a_row + 1
            } else {
                0
            };
            (in_a_row > 20).then_some(())
        });
        assert_eq!(server.counter("tls_failures"), 0);
    }
}

// Clients that show certificates.

#[test]
fn certificates_of_clients_are_asked_for_and_checked() {
    let (authority, stranger) = (
        Authority::new("tls-clients"),
        Authority::new("tls-stranger"),
    );
    let localhost = authority.issue("localhost");
    let (known, unknown) = (authority.issue("client"), stranger.issue("client"));
    let of = |issued: &Issued| {
        [
            "--cert",
            text_of(&issued.chain),
            "--key",
            text_of(&issued.key),
        ]
        .map(str::to_owned)
    };
    let (known, unknown) = (of(&known), of(&unknown));
    let path = authority.path();
    for (setting, without) in [("tls_clients_may", true), ("tls_clients_must", false)] {
        let mut server = server_with(&localhost, &[&format!("{setting}={}", path.display())]);
        let mut failures = 0;
        for version in ["1.2", "1.3"] {
            for (client, shown) in [
                (Some(&known), Some(1)),
                (Some(&unknown), None),
                (None, without.then_some(0)),
            ] {
                let mut args = vec!["--tls-max", version];
                args.extend(client.into_iter().flatten().map(String::as_str));
                let output = run(&mut curl_command(&server, &path, "/tls", &args));
                match shown {
                    Some(count) => {
                        let expected = format!("localhost {count}\n");
                        let stderr = String::from_utf8_lossy(&output.stderr);
                        let shown = text(&output);
                        assert!(shown.ends_with(&expected), "{args:?}: {shown} {stderr}");
                    }
                    None => {
                        assert!(!output.status.success(), "{setting} {args:?}");
                        failures += 1;
                        server.wait_counter("tls_failures", failures);
                    }
                }
            }
        }
    }
}

#[test]
fn authorities_that_are_no_good_are_told_at_start() {
    let authority = Authority::new("tls-authorities");
    let issued = authority.issue("localhost");
    let empty = authority.write("empty.pem", "");
    let mut command = Command::new(program!("testserver"));
    command
        .args(issued.settings())
        .arg(format!("tls_clients_must={}", empty.display()));
    let output = run(&mut command);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        stderr.contains("client certificates: ") && stderr.contains("empty.pem"),
        "{stderr}"
    );
}

// Resumption.

#[test]
fn sessions_are_resumed_by_openssl() {
    let authority = Authority::new("tls-resumed");
    let mut server = server(&authority, &[]);
    let session = authority.file("session");
    let request = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut resumed = 0;
    for version in ["-tls1_2", "-tls1_3"] {
        let args = [version, "-ign_eof", "-sess_out", text_of(&session)];
        let shown = text(&s_client(&server, &authority, &args, request.to_vec()));
        assert!(
            shown.contains("\nNew, TLS") && shown.contains("Hello, world!"),
            "{shown}"
        );
        for _ in 0..3 {
            let args = [version, "-ign_eof", "-sess_in", text_of(&session)];
            let shown = text(&s_client(&server, &authority, &args, request.to_vec()));
            assert!(
                shown.contains("\nReused, TLS") && shown.contains("Hello, world!"),
                "{shown}"
            );
            resumed += 1;
            server.wait_counter("tls_resumptions", resumed);
        }
    }
    assert_eq!(server.counter("tls_handshakes"), 8);
}

#[test]
fn sessions_are_resumed_in_every_process() {
    let authority = Authority::new("tls-processes");
    let server = server(&authority, &["processes=2"]);
    python("resumed_in_every_process", &server, &authority);
}

// Who does not speak TLS, or speaks it slowly.

#[test]
fn plain_http_is_told_so() {
    let authority = Authority::new("tls-plain");
    let mut server = server(&authority, &[]);
    for (round, request) in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST ",
    ]
    .iter()
    .enumerate()
    {
        let mut client = server.connect();
        client.send(request);
        let response = client.response();
        assert_eq!((response.status, response.says_close()), (400, true));
        assert!(response.text().contains("https://"), "{}", response.text());
        client.expect_fin();
        server.wait_counter("tls_plain_http", round as u64 + 1);
    }
    assert_eq!(server.counter("tls_handshakes"), 0);
    drop(server.connect());
    server.wait_counter("open", 0);
    // They have given their places among the handshakes back.
    assert_eq!(curl(&server, &authority, "/hello", &[]), "Hello, world!\n");
}

#[test]
fn what_is_neither_is_refused_with_an_alert() {
    let authority = Authority::new("tls-garbage");
    let mut server = server(&authority, &[]);
    for (round, bytes) in [
        &[0xff; 100][..],
        b"\x16\x03\x01\x00\x05hello",
        b"\x15\x03\x01\x00\x02\x02\x28",
    ]
    .iter()
    .enumerate()
    {
        let mut client = server.connect();
        client.send(bytes);
        while client.receive() {}
        let received = client.take_received();
        // A record of an alert, or nothing where the client has sent one.
        assert!(received.is_empty() || received[0] == 0x15, "{received:x?}");
        server.wait_counter("tls_failures", round as u64 + 1);
    }
    server.wait_counter("open", 0);
    assert_eq!(curl(&server, &authority, "/hello", &[]), "Hello, world!\n");
}

#[test]
fn a_handshake_that_does_not_end() {
    let authority = Authority::new("tls-timeout");
    let mut server = server(
        &authority,
        &["handshake_timeout=700", "first_byte_timeout=10000"],
    );
    // Not a byte, and the beginning of a ClientHello.
    for (round, part) in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"]
        .iter()
        .enumerate()
    {
        let mut client = server.connect();
        client.send(part);
        let started = Instant::now();
        client.expect_fin();
        let taken = started.elapsed();
        assert!(
            taken > Duration::from_millis(680) && taken < Duration::from_millis(2200),
            "{taken:?}"
        );
        server.wait_counter("timeout_handshake", round as u64 + 1);
    }
    server.wait_counter("open", 0);
}

#[test]
fn after_the_handshake_the_first_byte_has_its_time() {
    let authority = Authority::new("tls-first-byte");
    let mut server = server(
        &authority,
        &["first_byte_timeout=700", "handshake_timeout=10000"],
    );
    let started = Instant::now();
    // Standard input stays open, so that only the server ends it.
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &server.address().to_string()]);
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        panic!("cannot run openssl");
    };
    server.wait_counter("timeout_first_byte", 1);
    let taken = started.elapsed();
    assert!(
        taken > Duration::from_millis(680) && taken < Duration::from_millis(2700),
        "{taken:?}"
    );
    assert!(
        wait_for("openssl's end", || child.try_wait().ok().flatten())
            .code()
            .is_some()
    );
}

#[test]
fn one_handshake_more_than_may_be_is_closed() {
    let authority = Authority::new("tls-max");
    let mut server = server(&authority, &["handshakes_max=3", "handshake_timeout=10000"]);
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    server.wait_counter("open", 3);
    for round in 1..=5 {
        server.connect().expect_fin();
        server.wait_counter("handshakes_refused", round);
    }
    // However one of them ends, there is room for another.
    for round in 0..5 {
        match round % 3 {
            0 => drop(waiting.pop()),
            1 => {
                let mut client = waiting.swap_remove(0);
                client.send([0xff; 20]);
                while client.receive() {}
            }
            _ => {
                let mut client = waiting.swap_remove(0);
                client.send("GET / HTTP/1.1\r\n\r\n");
                assert_eq!(client.response().status, 400);
            }
        }
        server.wait_counter("open", 2);
        assert_eq!(curl(&server, &authority, "/hello", &[]), "Hello, world!\n");
        server.wait_counter("open", 2);
        waiting.push(server.connect());
        server.wait_counter("open", 3);
    }
    assert_eq!(server.counter("handshakes_refused"), 5);
}

#[test]
fn a_client_gone_in_the_handshake_hurts_nobody() {
    let authority = Authority::new("tls-gone");
    let mut server = server(&authority, &["handshakes_max=4"]);
    for round in 0..20 {
        let mut client = server.connect();
        client.send(&b"\x16\x03\x01\x02\x00\x01\x00"[..round % 8]);
        match round % 3 {
            0 => client.reset(),
            1 => drop(client),
            _ => {
                client.finish_sending();
                while client.receive() {}
            }
        }
        server.wait_counter("open", 0);
    }
    assert_eq!(server.counter("handshakes_refused"), 0);
    assert_eq!(curl(&server, &authority, "/hello", &[]), "Hello, world!\n");
}

#[test]
fn every_byte_may_come_alone() {
    let authority = Authority::new("tls-bytes");
    let server = server(&authority, &[]);
    python("byte_by_byte", &server, &authority);
}

// How connections end.

#[test]
fn the_end_is_announced() {
    let authority = Authority::new("tls-end");
    let server = server(&authority, &["idle_timeout=700"]);
    for what in [
        "close_notify_after_the_last_response",
        "close_notify_at_a_deadline",
        "close_notify_after_an_error",
        "no_close_notify_inside_a_response",
        "http2_ends_with_close_notify",
    ] {
        python(what, &server, &authority);
    }
}

#[test]
fn what_is_under_way_is_answered_on_stop() {
    for what in ["drained", "http2_is_drained"] {
        let authority = Authority::new(&format!("tls-{what}"));
        let mut server = server(&authority, &[]);
        let (mut child, mut stdout) = start(what, &server, &authority);
        server.wait_note("slow begun");
        server.signal(Signal::TERM);
        assert_eq!(line_of(&mut stdout), "ok", "{what}");
        assert!(child.wait().is_ok_and(|status| status.success()));
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn handshakes_under_way_do_not_hold_a_stop_up() {
    let authority = Authority::new("tls-stop");
    let server = server(
        &authority,
        &["drain_timeout=30000", "handshake_timeout=10000"],
    );
    let mut client = server.connect();
    client.send(b"\x16\x03\x01\x02\x00\x01\x00");
    assert_eq!(curl(&server, &authority, "/hello", &[]), "Hello, world!\n");
    let started = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code, Some(0));
    let taken = started.elapsed();
    assert!(taken < Duration::from_secs(5), "{taken:?}");
}

// Content.

#[test]
fn pipelined_requests_are_answered_in_order() {
    let authority = Authority::new("tls-pipelined");
    let server = server(&authority, &[]);
    python("pipelined", &server, &authority);
}

#[test]
fn large_contents_arrive_whole() {
    let authority = Authority::new("tls-large");
    let server = server(&authority, &["content_collected_bytes_max=100000000"]);
    python("large", &server, &authority);
    let content = pattern(64 << 20);
    let file = authority.file("content");
    assert!(std::fs::write(&file, &content).is_ok());
    let expected = format!("{} {:016x} 0\n", content.len(), fnv1a(&content));
    for http in ["--http1.1", "--http2"] {
        let args = [http, "-H", "Expect:", "-T", text_of(&file)];
        assert_eq!(curl(&server, &authority, "/read", &args), expected);
        let args = [http, "--tls-max", "1.2"];
        let command = &mut curl_command(&server, &authority.path(), "/big?bytes=67108864", &args);
        assert!(run(command).stdout == content, "{http}");
    }
    let args = ["--http2", "-T", text_of(&file)];
    let command = &mut curl_command(&server, &authority.path(), "/echo", &args);
    assert!(run(command).stdout == content);
}

/// Records are made as clients take them: a large response that everybody shares costs no copy for each of
/// those who take nothing.
#[test]
fn slow_readers_of_a_shared_response_cost_little() {
    let authority = Authority::new("tls-shared");
    let mut server = server(&authority, &[]);
    python("close_notify_after_the_last_response", &server, &authority);
    let before = resident_bytes(server.pid());
    let (mut child, mut stdout) = start("take_nothing", &server, &authority);
    server.wait_counter("requests", 62);
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    drop(child.stdin.take());
    assert_eq!(line_of(&mut stdout), "ok");
    assert!(child.wait().is_ok_and(|status| status.success()));
    // Sixty of a MiB each.
    assert!(grown < 20 << 20, "{grown} bytes");
}

#[test]
fn a_slow_reader_is_served_to_the_end() {
    let authority = Authority::new("tls-slow");
    let server = server(&authority, &[]);
    for http in ["--http1.1", "--http2"] {
        let args = [http, "--limit-rate", "1m"];
        let command = &mut curl_command(&server, &authority.path(), "/big?bytes=3000000", &args);
        assert!(run(command).stdout == pattern(3_000_000), "{http}");
    }
}

// Other clients.

/// Without TLS the curl of Debian 12 cannot do this, whoever the server is.
#[test]
fn curl_in_parallel_on_one_connection() {
    let authority = Authority::new("tls-parallel");
    let mut server = server(&authority, &["threads=2"]);
    let port = server.port();
    let url = format!("https://localhost:{port}/stream?n=5&bytes=2000&pause=10");
    let output = run(Command::new("curl")
        .args([
            "-sS",
            "--max-time",
            "20",
            "--resolve",
            &format!("localhost:{port}:127.0.0.1"),
        ])
        .arg("--cacert")
        .arg(authority.path())
        .args(["--parallel", "--parallel-max", "50"])
        .args(vec![&url; 60]));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stdout.len(), 60 * 10_000);
    assert_eq!(server.counter("connections_accepted"), 1);
    assert_eq!(server.counter("requests"), 60);
}

#[test]
fn nghttp_and_h2load() {
    let authority = Authority::new("tls-h2load");
    let mut server = server(&authority, &["threads=2"]);
    let url = format!("https://localhost:{}/hello", server.port());
    let output = run(Command::new("nghttp").args(["-v", &url]));
    let shown = text(&output);
    assert!(
        shown.contains(":status: 200") && shown.contains("The negotiated protocol: h2"),
        "{shown}"
    );
    let output = run(Command::new("h2load").args(["-n", "5000", "-c", "8", "-m", "32", &url]));
    let shown = text(&output);
    let expected =
        "5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout";
    assert!(shown.contains(expected), "{shown}");
    let args = ["-n", "5000", "-c", "8", "--h1", &url];
    let shown = text(&run(Command::new("h2load").args(args)));
    assert!(shown.contains(expected), "{shown}");
    server.wait_counter("open", 0);
}

#[test]
fn both_kinds_of_listener_side_by_side() {
    let authority = Authority::new("tls-both");
    let issued = authority.issue("localhost");
    let mut server = server_with(&issued, &["listen=127.0.0.1:0"]);
    let addresses = server.command("addresses");
    let (plain, tls) = addresses.split_once(' ').unwrap_or_default();
    assert_eq!(server.address().to_string(), plain);
    assert_eq!(server.connect().fetch("/tls").text(), "cleartext\n");
    assert_eq!(server.connect_http2().fetch("/tls").text(), "cleartext\n");
    let Ok(tls) = tls.parse::<std::net::SocketAddr>() else {
        panic!("{addresses}");
    };
    let mut client = Client::connect(&Address::Tcp(tls));
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().status, 400);
    let mut socket = client.sender();
    let _ = socket.write_all(b"more");
}
