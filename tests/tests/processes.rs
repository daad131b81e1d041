//! Several processes: one that crashes, is stopped or is told to go costs nobody else anything, and none
//! outlives its master.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::process::Command;
use std::time::{Duration, Instant};

use ajay_blackbox::{Client, End, Server, is_running, program, run, signal, wait_for};
use rustix::process::Signal;

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

/// A server of two processes that both serve.
fn server(settings: &[&str]) -> Server {
    let settings = [&["processes=2"], settings].concat();
    let mut server = Server::start(program!("testserver"), &settings);
    wait_for("both processes", || {
        let _ = server.connect().fetch("/pid");
        let requests = server.command("worker-requests");
        requests.split(' ').all(|count| count != "0").then_some(())
    });
    server
}

/// The process that serves this connection.
fn pid(client: &mut Client) -> u32 {
    let response = client.fetch("/pid");
    match response.text().trim().parse() {
        Ok(pid) => pid,
        Err(error) => panic!("{:?}: {error}", response.text()),
    }
}

/// Connections until there is one to each of the two processes.
fn one_to_each(server: &Server) -> [(u32, Client); 2] {
    let mut found: Vec<(u32, Client)> = Vec::new();
    wait_for("a connection to each process", || {
        let mut client = server.connect();
        let pid = pid(&mut client);
        if found.iter().all(|(other, _)| *other != pid) {
            found.push((pid, client));
        }
        (found.len() == 2).then_some(())
    });
    match found.try_into() {
        Ok(both) => both,
        Err(_) => unreachable!("there are two"),
    }
}

/// Stops a process, and waits until none of its threads runs.
fn stop(pid: u32) {
    signal(pid, Signal::STOP);
    wait_for("the process to stop", || {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let mut threads = threads.into_iter().flatten().flatten();
        let is_stopped = threads.all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.contains(") T ")
        });
        is_stopped.then_some(())
    });
}

/// Waits until processes other than these two run, and serve.
fn wait_for_successor(server: &Server, before: u32) -> u32 {
    wait_for("another process", || {
        let pid = pid(&mut server.connect());
        (pid != before && server.processes().len() == 2 && !server.processes().contains(&before))
            .then_some(pid)
    })
}

#[test]
fn each_process_serves_its_share() {
    let mut server = server(&["threads=2"]);
    let pids = server.processes();
    assert_eq!(pids.len(), 2);
    let served: BTreeSet<u32> = (0..100).map(|_| pid(&mut server.connect())).collect();
    assert_eq!(served.into_iter().collect::<Vec<_>>(), pids);
    let requests = server.command("worker-requests");
    let of_workers: Vec<u64> = requests
        .split(' ')
        .filter_map(|count| count.parse().ok())
        .collect();
    assert_eq!(of_workers.len(), 4, "{requests}");
    assert!(of_workers.iter().all(|count| *count > 0), "{requests}");
    assert_eq!(of_workers.iter().sum::<u64>(), server.counter("requests"));
}

#[test]
fn a_crash_costs_one_process_its_connections() {
    let mut server = server(&[]);
    let [(first, mut lost), (second, mut kept)] = one_to_each(&server);
    lost.get("/slow?ms=5000", "");
    kept.get("/slow?ms=600", "");
    std::thread::sleep(Duration::from_millis(100));
    signal(first, Signal::KILL);
    assert!(matches!(lost.end(), End::Reset | End::Fin));
    // Nobody is refused or kept waiting meanwhile.
    for _ in 0..50 {
        let started = Instant::now();
        assert_eq!(server.connect().fetch("/hello").status, 200);
        assert!(started.elapsed() < Duration::from_millis(500));
    }
    assert_eq!(kept.response().text(), "slow\n");
    assert_eq!(pid(&mut kept), second);
    wait_for_successor(&server, first);
    assert_eq!(server.counter("process_crashes"), 1);
    assert_eq!(server.counter("connections_lost"), 1);
    drop(kept);
    server.wait_counter("open", 0);
    // The new one has sockets of its own again.
    let [(_, _), (_, _)] = one_to_each(&server);
}

/// Who waits in the queue of a process that hangs and then dies has lost nothing.
#[test]
fn the_queue_of_a_process_outlives_it() {
    let server = server(&[]);
    let [(first, _), (second, _)] = one_to_each(&server);
    for pid in [first, second] {
        stop(pid);
    }
    let mut waiting: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(HELLO);
    }
    signal(first, Signal::KILL);
    signal(second, Signal::CONT);
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn a_process_that_is_stopped_is_stood_in_for() {
    let mut server = server(&[]);
    let [(first, mut stopped), (second, _)] = one_to_each(&server);
    stop(first);
    stopped.send(HELLO);
    for _ in 0..30 {
        let started = Instant::now();
        assert_eq!(pid(&mut server.connect()), second);
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    signal(first, Signal::CONT);
    // It goes on where it was, and serves new clients again.
    assert_eq!(stopped.response().status, 200);
    let [(_, _), (_, _)] = one_to_each(&server);
    assert_eq!(server.counter("process_crashes"), 0);
}

#[test]
fn a_process_that_is_told_to_go_goes_in_order() {
    let mut server = server(&[]);
    let [(first, mut leaving), (_, mut staying)] = one_to_each(&server);
    leaving.get("/slow?ms=1200", "");
    signal(first, Signal::TERM);
    // Its clients are served to the end, and new ones by the other.
    for _ in 0..50 {
        assert_eq!(server.connect().fetch("/hello").status, 200);
        std::thread::sleep(Duration::from_millis(10));
    }
    let response = leaving.response();
    assert_eq!((response.text(), response.says_close()), ("slow\n", true));
    leaving.expect_fin();
    assert!(!staying.fetch("/hello").says_close());
    wait_for_successor(&server, first);
    assert_eq!(server.counter("process_crashes"), 0);
    assert_eq!(server.counter("connections_lost"), 0);
}

fn is_gone(pids: &[u32]) -> bool {
    !pids.iter().any(|pid| is_running(*pid))
}

#[test]
fn a_drain_ends_all_processes() {
    // To the master, or to every process at once, as service managers do.
    for to_all in [false, true] {
        let server = server(&[]);
        let both = one_to_each(&server);
        let pids = both.each_ref().map(|(pid, _)| *pid);
        let mut clients = both.map(|(_, client)| client);
        for client in &mut clients {
            client.get("/slow?ms=500", "");
        }
        let mut idle = server.connect();
        assert_eq!(idle.fetch("/hello").status, 200);
        std::thread::sleep(Duration::from_millis(100));
        if to_all {
            for pid in pids {
                signal(pid, Signal::TERM);
            }
        }
        server.signal(Signal::TERM);
        for client in &mut clients {
            let response = client.response();
            assert_eq!((response.text(), response.says_close()), ("slow\n", true));
            client.expect_fin();
        }
        idle.expect_fin();
        let refused = wait_for("refusal", || Client::try_connect(server.address()).err());
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(server.wait().code, Some(0));
        assert!(is_gone(&pids));
    }
}

#[test]
fn a_second_signal_cuts_in_all_processes() {
    let server = server(&["drain_timeout=30000"]);
    let both = one_to_each(&server);
    let pids = both.each_ref().map(|(pid, _)| *pid);
    let mut clients = both.map(|(_, client)| client);
    for client in &mut clients {
        client.get("/never", "");
    }
    std::thread::sleep(Duration::from_millis(100));
    server.signal(Signal::TERM);
    wait_for("refusal", || Client::try_connect(server.address()).err());
    server.signal(Signal::INT);
    for client in &mut clients {
        assert_eq!(client.end(), End::Reset);
    }
    assert_eq!(server.wait().code, Some(4));
    assert!(is_gone(&pids));
}

/// What was written before the signal is answered, in whatever queue it is.
#[test]
fn a_drain_answers_what_was_written() {
    for _ in 0..10 {
        let server = server(&[]);
        let mut clients: Vec<Client> = (0..60).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(HELLO);
        }
        server.signal(Signal::TERM);
        for client in &mut clients {
            assert_eq!(client.response().status, 200);
        }
        drop(clients);
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn nothing_outlives_a_master_that_is_killed() {
    let server = server(&[]);
    let both = one_to_each(&server);
    let pids = both.each_ref().map(|(pid, _)| *pid);
    let mut clients = both.map(|(_, client)| client);
    for client in &mut clients {
        client.get("/slow?ms=400", "");
    }
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    server.signal(Signal::KILL);
    for client in &mut clients {
        assert_eq!(client.response().text(), "slow\n");
    }
    wait_for("their end", || is_gone(&pids).then_some(()));
    // In order, and not when what guards against processes that hang ends them.
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(server.wait().code, None);
}

/// Also when a handler blocks its thread for ever.
#[test]
fn a_process_that_hangs_does_not_outlive_its_master() {
    let server = server(&["drain_timeout=200"]);
    let [(first, mut hanging), (second, _)] = one_to_each(&server);
    hanging.get("/hang", "");
    std::thread::sleep(Duration::from_millis(100));
    server.signal(Signal::KILL);
    wait_for("their end", || is_gone(&[first, second]).then_some(()));
    assert_eq!(server.wait().code, None);
}

#[test]
fn a_process_that_hangs_is_killed_at_the_end() {
    let server = server(&["drain_timeout=200"]);
    let [(first, mut hanging), (second, _)] = one_to_each(&server);
    hanging.get("/hang", "");
    std::thread::sleep(Duration::from_millis(100));
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code, Some(4), "its connection was cut");
    assert!(is_gone(&[first, second]));
}

#[test]
fn a_handler_can_end_the_whole_server() {
    let server = server(&[]);
    let pids = server.processes();
    let mut client = server.connect();
    assert_eq!(client.fetch("/draining").text(), "false\n");
    assert_eq!(client.fetch("/shutdown").status, 200);
    assert_eq!(server.wait().code, Some(0));
    assert!(is_gone(&pids));
}

#[test]
fn the_handle_of_the_master_drains() {
    let mut server = server(&[]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/hello").status, 200);
    assert_eq!(server.command("shutdown"), "ok");
    client.expect_fin();
    assert_eq!(server.wait().code, Some(0));
}

/// Accepting goes on for a while, and readiness says so.
#[test]
fn a_drain_can_be_delayed() {
    for processes in ["processes=1", "processes=2"] {
        let server = Server::start(
            program!("testserver"),
            &[processes, "drain_delay=1500", "drain_idle_timeout=100"],
        );
        let mut open = server.connect();
        assert_eq!(open.fetch("/draining").text(), "false\n");
        let started = Instant::now();
        server.signal(Signal::TERM);
        wait_for("readiness to go", || {
            (open.fetch("/draining").text() == "true\n").then_some(())
        });
        let response = server.connect().fetch("/hello");
        assert_eq!((response.status, response.says_close()), (200, false));
        assert!(
            started.elapsed() < Duration::from_millis(1400),
            "too slow to tell"
        );
        open.expect_fin();
        assert!(started.elapsed() > Duration::from_millis(1500));
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn no_process_is_started_when_there_is_nothing_to_serve() {
    let holder = Server::start(program!("testserver"), &[]);
    let address = holder.address().to_string();
    let output = run(Command::new(program!("blackbox-ajayserver")).args([
        "-l",
        &address,
        "--processes",
        "2",
    ]));
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_process_that_cannot_start_ends_the_server() {
    let output = run(Command::new(program!("testserver"))
        .arg("processes=2")
        .env("TESTSERVER_FAIL_IN_PROCESS", "1"));
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("told to fail in a worker process"),
        "{stderr}"
    );
    let last = stderr.lines().last().unwrap_or_default();
    assert!(
        last.contains("a worker process ended with exit code 1 before it was ready"),
        "{stderr}"
    );
}

/// The bound on an address holds for all processes together, and a crash gives back what it held.
#[test]
fn an_address_is_counted_over_all_processes() {
    let mut server = server(&["connections_per_address_max=6"]);
    server.wait_counter("open", 0);
    let mut clients: Vec<(u32, Client)> = Vec::new();
    for _ in 0..6 {
        let mut client = server.connect();
        clients.push((pid(&mut client), client));
    }
    for _ in 0..6 {
        let mut refused = server.connect();
        let _ = refused.try_send(HELLO);
        assert_eq!(refused.response().status, 503);
    }
    let (killed, _) = clients[0];
    let lost = clients.iter().filter(|(pid, _)| *pid == killed).count();
    signal(killed, Signal::KILL);
    server.wait_counter("connections_lost", lost as u64);
    let mut again: Vec<Client> = (0..lost).map(|_| server.connect()).collect();
    for client in &mut again {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    let mut refused = server.connect();
    let _ = refused.try_send(HELLO);
    assert_eq!(refused.response().status, 503);
}

/// What a process counted before it was killed is not lost.
#[test]
fn counters_survive_a_crash_and_can_be_read_from_outside() {
    let mut server = server(&[]);
    let before = server.counter("requests");
    let [(first, _), (_, _)] = one_to_each(&server);
    let mut client = server.connect();
    for _ in 0..100 {
        assert_eq!(client.fetch("/hello").status, 200);
    }
    let at_least = before + 102;
    signal(first, Signal::KILL);
    wait_for_successor(&server, first);
    let output =
        run(Command::new(program!("blackbox-ajayserver"))
            .args(["counters", &server.pid().to_string()]));
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.and_then(|value| value.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    assert!(value("requests") >= at_least, "{text}");
    assert_eq!(value("process_crashes"), 1);
    assert_eq!(value("request_time_count"), value("requests"));
    // A worker process knows the same.
    let process = server.processes()[0].to_string();
    let output = run(Command::new(program!("blackbox-ajayserver")).args([
        "counters",
        "--workers",
        &process,
    ]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.lines().any(|line| line.starts_with("1 requests ")),
        "{text}"
    );
    // And who is no server is told apart.
    let output = run(Command::new(program!("blackbox-ajayserver"))
        .args(["counters", &std::process::id().to_string()]));
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("is no server with counters"), "{stderr}");
}

/// Killed again and again, each time as soon as it is back.
#[test]
fn a_process_that_is_killed_again_and_again_comes_back() {
    let server = server(&[]);
    for _ in 0..8 {
        let victim = wait_for("a process", || server.processes().first().copied());
        signal(victim, Signal::KILL);
        for _ in 0..10 {
            assert_eq!(server.connect().fetch("/hello").status, 200);
        }
    }
    wait_for("both", || (server.processes().len() == 2).then_some(()));
    assert_eq!(server.connect().fetch("/hello").status, 200);
}

/// A process whose master dies before it has even looked is no master itself.
#[test]
fn a_process_that_comes_too_late_does_not_become_a_master() {
    for _ in 0..8 {
        let server = server(&[]);
        let before = server.processes();
        // Its successors are started at once, and the master is gone before they are up.
        for pid in &before {
            signal(*pid, Signal::KILL);
        }
        let successors = wait_for("successors", || {
            let now = server.processes();
            let is_new = now.iter().any(|pid| !before.contains(pid));
            is_new.then_some(now)
        });
        server.signal(Signal::KILL);
        let started = Instant::now();
        while !is_gone(&successors) && started.elapsed() < Duration::from_secs(8) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left: Vec<u32> = successors
            .into_iter()
            .filter(|pid| is_running(*pid))
            .collect();
        // Nobody else would end them.
        for pid in &left {
            signal(*pid, Signal::KILL);
        }
        assert_eq!(left, [0; 0], "these have become masters");
        assert_eq!(server.wait().code, None);
    }
}

/// The same, whatever the scheduler does: a channel whose other end is gone, and one whose other end goes
/// only later, as that of a master whose threads are still being ended.
#[test]
fn an_orphaned_channel_makes_no_master() {
    for outlives in [None, Some(Duration::from_millis(700))] {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        let family = rustix::net::AddressFamily::UNIX;
        let kind = rustix::net::SocketType::SEQPACKET;
        let pair = rustix::net::socketpair(family, kind, flags, None);
        let (ours, theirs) = match pair {
            Ok(pair) => pair,
            Err(error) => panic!("{error}"),
        };
        let is_passed_on = rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty());
        assert_eq!(is_passed_on, Ok(()));
        let mut ours = Some(ours);
        let closing = match outlives {
            None => {
                drop(ours.take());
                None
            }
            Some(time) => Some(std::thread::spawn(move || {
                std::thread::sleep(time);
                drop(ours);
            })),
        };
        // We are the master; what runs in between makes that we are not the parent.
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&theirs);
        let marker = format!("{}:{descriptor}", std::process::id());
        let mut command = Command::new("timeout");
        command.args(["5", program!("testserver"), "processes=2"]);
        let output = run(command.env("AJAYSERVER_PROCESS", marker));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("the master process is gone"), "{stderr}");
        drop(theirs);
        if let Some(closing) = closing {
            assert!(closing.join().is_ok());
        }
    }
}
