//! Blocking work: bounded, refused in time, and never at the cost of others.

use ajay_blackbox::{Client, Server, program};

const ONE_RUNS_ONE_WAITS: &[&str] = &["blocking_threads_max=1", "blocking_queue_max=1"];

fn server(settings: &[&str]) -> Server {
    Server::start(program!("testserver"), settings)
}

/// Fills a pool of one thread and one place in its queue.
fn fill(server: &mut Server) -> [Client; 2] {
    let mut running = server.connect();
    running.get("/blocking-wait", "");
    server.wait_note("wait begun");
    let mut waiting = server.connect();
    waiting.get("/blocking-wait", "");
    // The one worker gives it to the pool before it looks at anybody else.
    server.wait_counter("requests", 2);
    [running, waiting]
}

fn begun(server: &mut Server) -> usize {
    let notes = server.command("notes");
    notes
        .split(';')
        .filter(|note| *note == "wait begun")
        .count()
}

#[test]
fn a_full_pool_answers_503_while_others_are_served() {
    let mut server = server(ONE_RUNS_ONE_WAITS);
    let mut admitted = fill(&mut server);
    let mut client = server.connect();
    for _ in 0..10 {
        let refused = client.fetch("/blocking-wait");
        assert_eq!(refused.status, 503);
        assert_eq!(refused.field("retry-after"), Some("1"));
        assert!(!refused.says_close(), "the connection is kept");
        assert_eq!(client.fetch("/hello").text(), "Hello, world!\n");
    }
    assert_eq!(server.counter("blocking_refused"), 10);
    assert_eq!(server.counter("handler_panics"), 0);
    assert_eq!(begun(&mut server), 1);
    assert_eq!(client.fetch("/blocking-open").status, 200);
    for client in &mut admitted {
        assert_eq!(client.response().text(), "waited\n");
    }
    assert_eq!(client.fetch("/blocking-wait").text(), "waited\n");
}

#[test]
fn who_is_gone_before_it_begins_leaves_the_queue() {
    let mut server = server(ONE_RUNS_ONE_WAITS);
    let [mut running, waiting] = fill(&mut server);
    drop(waiting);
    server.wait_counter("handlers_cancelled", 1);
    // Its place is free again.
    let mut next = server.connect();
    next.get("/blocking-wait", "");
    server.wait_counter("requests", 3);
    assert_eq!(server.connect().fetch("/blocking-open").status, 200);
    assert_eq!(running.response().text(), "waited\n");
    assert_eq!(next.response().text(), "waited\n");
    assert_eq!(server.counter("blocking_refused"), 0);
    assert_eq!(begun(&mut server), 2);
}

/// The thread is still busy when its client is gone.
#[test]
fn who_is_gone_later_is_run_to_the_end() {
    let mut server = server(&["blocking_threads_max=1", "blocking_queue_max=0"]);
    let mut client = server.connect();
    client.get("/blocking-wait", "");
    server.wait_note("wait begun");
    drop(client);
    server.wait_counter("handlers_cancelled", 1);
    let mut client = server.connect();
    assert_eq!(client.fetch("/blocking-wait").status, 503);
    assert_eq!(client.fetch("/blocking-open").status, 200);
    server.wait_note("wait ended");
}

#[test]
fn a_deadline_answers_while_the_closure_runs_on() {
    let mut server = server(&["handler_timeout=300"]);
    let mut client = server.connect();
    let response = client.fetch("/blocking-wait");
    assert_eq!((response.status, response.says_close()), (503, true));
    assert_eq!(server.counter("timeout_handler"), 1);
    assert_eq!(server.connect().fetch("/blocking-open").status, 200);
    server.wait_note("wait ended");
}

#[test]
fn a_panic_answers_500_and_the_pool_goes_on() {
    let mut server = server(ONE_RUNS_ONE_WAITS);
    let mut client = server.connect();
    for _ in 0..3 {
        let response = client.fetch("/blocking-panic");
        assert_eq!((response.status, response.says_close()), (500, false));
    }
    assert_eq!(server.counter("handler_panics"), 3);
    assert_eq!(client.fetch("/blocking-open").status, 200);
    assert_eq!(client.fetch("/blocking-wait").text(), "waited\n");
}

#[test]
fn a_thread_that_is_no_worker_is_told_so() {
    let server = server(&[]);
    let response = server.connect().fetch("/blocking-elsewhere");
    assert_eq!(response.status, 500);
    assert!(
        response.text().contains("needs a worker"),
        "{}",
        response.text()
    );
}

#[test]
fn threads_are_started_when_they_are_needed() {
    let server = server(&["threads=2"]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/hello").status, 200);
    let names = || -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid()));
        let tasks = tasks.into_iter().flatten().flatten();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
            .filter(|name| name.starts_with("blocking-"))
            .collect()
    };
    assert_eq!(names(), [""; 0]);
    assert_eq!(client.fetch("/blocking-open").status, 200);
    for _ in 0..20 {
        assert_eq!(client.fetch("/blocking-wait").status, 200);
    }
    assert_eq!(names(), ["blocking-0\n"]);
}

#[test]
fn threads_are_not_pinned_to_the_cpu_of_their_worker() {
    let mut server = server(&["pin_workers=true"]);
    let mut client = server.connect();
    client.get("/blocking-wait", "");
    server.wait_note("wait begun");
    let cpus = |name: &str| -> String {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid()));
        let tasks = tasks.into_iter().flatten().flatten();
        let statuses = tasks.map(|task| std::fs::read_to_string(task.path().join("status")));
        let status = statuses
            .filter_map(Result::ok)
            .find(|status| status.starts_with(&format!("Name:\t{name}\n")));
        let status = status.unwrap_or_else(|| panic!("there is no thread {name}"));
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.map(str::trim).map(str::to_owned).unwrap_or_default()
    };
    let worker = cpus("worker-0");
    assert!(worker.parse::<usize>().is_ok(), "it is pinned: {worker}");
    assert_eq!(cpus("blocking-0"), cpus("testserver"));
    assert_eq!(server.connect().fetch("/blocking-open").status, 200);
    assert_eq!(client.response().text(), "waited\n");
}

/// What runs is waited for a second, and what waits is dropped: neither holds up a stop.
#[test]
fn a_stop_does_not_wait_for_it() {
    let mut server = server(ONE_RUNS_ONE_WAITS);
    let [running, waiting] = fill(&mut server);
    assert_eq!(server.command("stop"), "ok");
    let exit = server.wait();
    assert_eq!(exit.code, Some(4), "both connections were cut");
    assert!(
        exit.stderr.contains("did not end in time"),
        "{}",
        exit.stderr
    );
    drop((running, waiting));
}
