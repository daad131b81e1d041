//! From root to another user, seen from outside: every thread, every set.
//!
//! As root, all of it is shown. As anybody else, what such a process may do is shown: stay who it
//! is, and be refused the rest.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output};

use ajay_blackbox::{Server, program, run, wait_for};

const BINARY: &str = program!("blackbox-ajayserver");

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What /proc says of one thread: values by their names.
type Status = BTreeMap<String, String>;

/// The status of every thread, once all have been started: the first, one for signals, and two
/// workers.
fn threads(server: &Server) -> Vec<Status> {
    assert_eq!(server.connect().fetch("/").status, 200);
    wait_for("four threads", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).ok()?;
        let files = tasks.flatten().map(|task| task.path().join("status"));
        let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
        let statuses: Vec<Status> = texts.map(|text| status(&text)).collect();
        (statuses.len() == 4).then_some(statuses)
    })
}

fn status(text: &str) -> Status {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let words = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
    lines
        .map(|(name, value)| (name.to_owned(), words(value)))
        .collect()
}

/// Every thread is this user and no other, in these groups, with this capability set and no other.
fn assert_all(server: &Server, uid: u32, gid: u32, groups: &str, capabilities: u64) {
    for status in threads(server) {
        let four = |id: u32| vec![id.to_string(); 4].join(" ");
        let set = |bits: u64| format!("{bits:016x}");
        for (name, expected) in [
            ("Uid", four(uid)),
            ("Gid", four(gid)),
            ("Groups", groups.to_owned()),
            ("CapPrm", set(capabilities)),
            ("CapEff", set(capabilities)),
            ("CapInh", set(0)),
            ("CapAmb", set(0)),
            ("NoNewPrivs", "1".to_owned()),
        ] {
            let thread = status.get("Name");
            assert_eq!(status.get(name), Some(&expected), "{name} of {thread:?}");
        }
    }
}

const CAP_NET_BIND_SERVICE: u64 = 1 << 10;

/// A port that only root may bind, where there are such, and that nobody listens on.
fn privileged_port() -> u16 {
    let free = (600..1000).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let Some(port) = free else {
        panic!("no port below 1000 is free");
    };
    port
}

fn serve_as(user: &str, address: &str) -> Server {
    let args = ["--listen", address, "--threads", "2", "--user", user];
    Server::start_program(BINARY, &args)
}

/// The exit code, and the one line on standard error.
fn refused(output: &Output) -> (Option<i32>, String) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    (output.status.code(), stderr)
}

fn refused_as(user: &str) -> String {
    let output = run(Command::new(BINARY).args(["-l", "127.0.0.1:0", "--user", user]));
    let (code, stderr) = refused(&output);
    assert_eq!(code, Some(1), "{stderr}");
    stderr
}

/// A copy of the binary that anybody may run: the build directory may be closed to others.
fn copy_for_all(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("ajay-{name}-{}", std::process::id()));
    let copy = directory.join("ajayserver");
    let copied = std::fs::create_dir_all(&directory).and_then(|()| std::fs::copy(BINARY, &copy));
    if let Err(error) = copied {
        panic!("cannot copy {BINARY} to {}: {error}", copy.display());
    }
    copy
}

/// Runs the program as somebody without any privilege.
fn unprivileged(program: &PathBuf) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "54321", "--regid", "54321", "--clear-groups"])
        .args(["--inh-caps", "-all", "--bounding-set", "-all"])
        .arg(program);
    command
}

#[test]
fn root_becomes_nobody_with_one_capability() {
    if !is_root() {
        let stderr = refused_as("root");
        assert!(stderr.contains("only root can"), "{stderr}");
        return;
    }
    let address = format!("127.0.0.1:{}", privileged_port());
    let server = serve_as("nobody", &address);
    let nobody = run(Command::new("id").args(["-u", "nobody"]));
    let group = run(Command::new("id").args(["-g", "nobody"]));
    let groups = run(Command::new("id").args(["-G", "nobody"]));
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let number = |output: &Output| text(output).parse().unwrap_or(u32::MAX);
    let (uid, gid) = (number(&nobody), number(&group));
    assert_all(&server, uid, gid, &text(&groups), CAP_NET_BIND_SERVICE);
}

#[test]
fn root_becomes_a_number() {
    if !is_root() {
        let stderr = refused_as("0:54322");
        assert!(stderr.contains("only root can"), "{stderr}");
        return;
    }
    let server = serve_as("54321:54322", "127.0.0.1:0");
    assert_all(&server, 54321, 54322, "54322", CAP_NET_BIND_SERVICE);
}

#[test]
fn without_a_user_nothing_is_changed() {
    let server = Server::start_program(BINARY, &["-l", "127.0.0.1:0", "-t", "2"]);
    let ours = status(&std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default());
    for status in threads(&server) {
        for name in ["Uid", "Gid", "Groups", "CapPrm", "CapEff", "NoNewPrivs"] {
            assert!(ours.contains_key(name));
            assert_eq!(status.get(name), ours.get(name), "{name}");
        }
    }
}

#[test]
fn nobody_else_becomes_root() {
    let copy = copy_for_all("not-root");
    for user in ["root", "root:root", "0:0"] {
        let output = run(unprivileged(&copy).args(["-l", "127.0.0.1:0", "--user", user]));
        let (code, stderr) = refused(&output);
        assert_eq!(code, Some(1));
        let expected = format!("ajayserver: cannot run as `{user}`: only root can");
        assert!(stderr.starts_with(&expected), "{stderr}");
    }
    let _ = copy.parent().map(std::fs::remove_dir_all);
}

#[test]
fn who_is_that_user_already_stays_it() {
    let copy = copy_for_all("same");
    let (uid, gid) = match is_root() {
        true => (54321, 54321),
        false => (
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
        ),
    };
    let mut command = unprivileged(&copy);
    command.args(["-l", "127.0.0.1:0", "-t", "2"]);
    command.args(["--user", &format!("{uid}:{gid}")]);
    let server = Server::start_other(command, None);
    for status in threads(&server) {
        let of = |name: &str| status.get(name).map(String::as_str).unwrap_or_default();
        assert!(of("Uid").starts_with(&format!("{uid} ")), "{status:?}");
        assert_eq!((of("CapEff"), of("NoNewPrivs")), ("0000000000000000", "1"));
    }
    drop(server);
    let _ = copy.parent().map(std::fs::remove_dir_all);
}

#[test]
fn who_is_unknown_is_named() {
    let stderr = refused_as("no-such-user");
    assert_eq!(
        stderr,
        "ajayserver: there is no user `no-such-user` on this machine\n"
    );
    let stderr = refused_as("root:no-such-group");
    assert_eq!(
        stderr,
        "ajayserver: there is no group `no-such-group` on this machine\n"
    );
    let stderr = refused_as("a:b:c");
    assert!(stderr.contains("`a:b:c` is no user to run as"), "{stderr}");
}
