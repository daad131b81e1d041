//! Out of descriptors: accepting pauses, does not spin, and goes on when there are some again.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use ajayserver::{Counter, ListenAddr, Request, Server};

const PATIENCE: Duration = Duration::from_secs(10);
const INSIDE: &str = "AJAY_TEST_FEW_DESCRIPTORS";

#[test]
fn without_descriptors_accepting_pauses_and_goes_on() {
    if std::env::var_os(INSIDE).is_some() {
        return run_out();
    }
    // The limit is the process's, and the server raises what can be raised: a process of its own.
    let program = std::env::current_exe().expect("this test");
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(program)
        .args([
            "--exact",
            "without_descriptors_accepting_pauses_and_goes_on",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .output()
        .expect("sh");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn run_out() {
    let server = Server::builder()
        .threads(1)
        .handle_signals(false)
        .connections_max(1000)
        .listen("127.0.0.1:0")
        .and_then(|builder| builder.bind())
        .expect("bind");
    let ListenAddr::Tcp(address) = server.local_addrs()[0] else {
        panic!("not TCP")
    };
    let handle = server.handle();
    let thread = std::thread::spawn(move || server.run(async |_: Request| "ok"));
    let errors = || handle.counters().get(Counter::AcceptErrors);
    let wait_for = |what: &str, condition: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !condition() {
            assert!(
                started.elapsed() < PATIENCE,
                "waited {PATIENCE:?} for {what}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    // A first connection shows that the worker runs and holds all the descriptors it needs.
    let mut first = connect(address);
    assert_eq!(ask(&mut first), 200);

    let mut held = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
    }
    drop(held.pop());
    let mut client = connect(address);
    wait_for("an accept error", &|| errors() > 0);

    // One attempt each tick of 250 ms, and the clients it has are served meanwhile.
    let before = errors();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        assert_eq!(ask(&mut first), 200);
        std::thread::sleep(Duration::from_millis(10));
    }
    let attempts = errors() - before;
    let ticks = started.elapsed().as_millis() as u64 / 250;
    assert!(
        (1..=ticks + 2).contains(&attempts),
        "{attempts} attempts in {ticks} ticks"
    );

    drop(held);
    assert_eq!(ask(&mut client), 200);
    drop((first, client));
    handle.shutdown();
    thread.join().expect("no panic").expect("a clean drain");
}

fn connect(address: std::net::SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("connect");
    client.set_read_timeout(Some(PATIENCE)).expect("timeout");
    client
}

/// The status of the answer to a request.
fn ask(client: &mut TcpStream) -> u16 {
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("send");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        let mut piece = [0; 512];
        let received = client.read(&mut piece).expect("an answer");
        assert_ne!(received, 0, "closed");
        answer.extend_from_slice(&piece[..received]);
    }
    let status = answer.get(9..12).expect("a status");
    String::from_utf8_lossy(status).parse().expect("a number")
}
