//! The examples do what their documentation says.

use std::process::{Command, Stdio};

use ajay_blackbox::{Address, Client, Server, program, run};

#[test]
fn echo() {
    let server = Server::start_program(program!("blackbox-echo"), &["127.0.0.1:0"]);
    let mut client = server.connect();
    client.post("/", "Echo: hi\r\n", b"some content");
    let response = client.response();
    assert_eq!(response.field("echo"), Some("hi"));
    assert_eq!(response.text(), "some content");
    assert_eq!(client.fetch("/a/b?c").text(), "GET /a/b?c\n");
}

#[test]
fn stream() {
    let server = Server::start_program(program!("blackbox-stream"), &["127.0.0.1:0"]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/?5").text(), "1\n2\n3\n4\n5\n");
    assert_eq!(client.fetch("/").text().lines().count(), 10);
    assert_eq!(client.fetch("/?x").status, 400);
    let response = client.fetch("/?100000");
    assert!(response.text().ends_with("\n99999\n100000\n"));
}

/// It has an address of its own: where that is taken it has to say so.
#[test]
fn hello() {
    let address = Address::Tcp(([127, 0, 0, 1], 8080).into());
    let taken = Client::try_connect(&address).is_ok();
    if taken {
        let output = run(Command::new(program!("blackbox-hello")).stdin(Stdio::null()));
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "Error: cannot listen on 127.0.0.1:8080: another program is listening there\n"
        );
        return;
    }
    let server = Server::start_program(program!("blackbox-hello"), &[]);
    assert_eq!(server.address(), &address);
    let response = server.connect().fetch("/any/path");
    assert_eq!(response.text(), "Hello, world!\n");
    assert_eq!(
        response.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

/// The program that the front page begins with, with a port of its own.
#[test]
fn the_shortest_program() {
    let server = Server::start_program(program!("four-lines"), &[]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/").text(), "Hello, world!\n");
    drop(client);
    // It drains like every other, and ends well.
    server.signal(rustix::process::Signal::INT);
    let exit = server.wait();
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_binary_without_arguments_listens_on_both_families_of_this_machine() {
    let taken = [
        [127, 0, 0, 1].into(),
        std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
    ]
    .iter()
    .any(|ip| std::net::TcpListener::bind((*ip, 8080)).is_err());
    if taken {
        // Whoever has the port keeps it, and we say so.
        let output = run(Command::new(program!("blackbox-ajayserver")).stdin(Stdio::null()));
        assert_eq!(output.status.code(), Some(3));
        return;
    }
    let output = run(Command::new(program!("blackbox-ajayserver")).arg("--help"));
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && help.contains("--drain-timeout"),
        "{help}"
    );
}
