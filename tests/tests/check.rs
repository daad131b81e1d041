//! The checker against the echo example; by hand it is run with 100 000 requests.

use std::process::Command;

use ajay_blackbox::{Server, program, run};

fn check(requests: &str, connections: &str, seed: &str) {
    let server = Server::start_program(program!("blackbox-echo"), &["127.0.0.1:0"]);
    let address = server.address().to_string();
    let output = run(Command::new(program!("checker")).args([
        "--address",
        &address,
        "--requests",
        requests,
        "--connections",
        connections,
        "--seed",
        seed,
    ]));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{requests} requests, 0 mismatches, 0 errors\n"),
        "seed {seed}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success());
}

#[test]
fn a_few_connections() {
    check("3000", "4", "1");
}

#[test]
fn many_connections() {
    check("2000", "40", "2");
}

#[test]
fn the_checker_notices() {
    // A server that answers, but does not echo.
    let server = Server::start(program!("testserver"), &[]);
    let address = server.address().to_string();
    let output = run(Command::new(program!("checker")).args([
        "--address",
        &address,
        "--requests",
        "20",
        "--connections",
        "2",
    ]));
    assert!(!output.status.success());
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(!stdout.contains(" 0 mismatches"), "{stdout}");
}
