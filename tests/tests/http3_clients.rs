//! HTTP/3 with python's aioquic: as a client that people use, and as one that breaks every rule that
//! RFC 9114 and RFC 9204 name an error for.

use std::path::Path;
use std::process::Command;

use ajay_blackbox::{Authority, Server, program, run};

/// Runs a script against a test server. What it prints.
fn script(test: &str, name: &str, settings: &[&str], arguments: &[&str]) -> String {
    let authority = Authority::new(test);
    let tls = authority.issue("localhost").settings();
    let mut all = vec!["tls_versions=all"];
    all.extend(tls.iter().map(String::as_str));
    all.extend(settings);
    let mut server = Server::start(program!("testserver"), &all);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = run(Command::new("/usr/bin/python3")
        .arg(root.join("scripts").join(name))
        .args(["127.0.0.1", &server.port().to_string()])
        .args(arguments)
        // Where `cargo xtask setup` puts what Debian does not have.
        .env("PYTHONPATH", root.join("../target/python")));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert_eq!(server.counter("handler_panics"), 0);
    stdout
}

const CASES: usize = 14;

#[test]
fn aioquic_is_served() {
    let printed = script("aioquic", "http3_client.py", &["threads=2"], &[]);
    assert_eq!(printed.lines().count(), CASES, "{printed}");
}

#[test]
fn aioquic_may_use_a_table() {
    let settings = ["qpack_table_bytes_max=4096", "qpack_blocked_streams_max=16"];
    let printed = script("aioquic-table", "http3_client.py", &settings, &["dynamic"]);
    assert_eq!(printed.lines().count(), CASES, "{printed}");
}

#[test]
fn every_rule_has_the_error_that_its_rfc_names() {
    let printed = script("aioquic-rules", "http3_rules.py", &[], &[]);
    assert_eq!(printed.trim_end(), "104 of 104 as they should be");
}
