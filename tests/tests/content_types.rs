//! Content types over real sockets: multipart, server-sent events, cookies, files and ranges.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ajay_blackbox::{Client, Server, fnv1a, pattern, program, resident_bytes, run, wait_for};

const MIB: usize = 1 << 20;

/// A server and the directory of its files.
struct Site {
    server: Server,
    directory: PathBuf,
}

impl Site {
    fn new(name: &str) -> Site {
        let name = format!("ajay-content-types-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        if let Err(error) = std::fs::create_dir_all(&directory) {
            panic!("cannot make {}: {error}", directory.display());
        }
        let path = directory.display().to_string();
        let server = Server::start_program(program!("contentserver"), &["127.0.0.1:0", &path]);
        Site { server, directory }
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.join(name);
        if let Err(error) = std::fs::write(&path, content) {
            panic!("cannot write {}: {error}", path.display());
        }
        path
    }

    fn curl(&self, target: &str, args: &[&str]) -> String {
        curl(&self.server, target, args)
    }

    fn connect(&self) -> Client {
        self.server.connect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // What is left behind is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn curl_output(server: &Server, target: &str, args: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30"]).args(args);
    run(command.arg(format!("http://{}{target}", server.address())))
}

fn curl(server: &Server, target: &str, args: &[&str]) -> String {
    let output = curl_output(server, target, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {args:?} {target}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn file_argument(path: &Path) -> String {
    format!("file=@{}", path.display())
}

#[test]
fn multipart_of_10_mib_by_curl() {
    let site = Site::new("multipart");
    let content = pattern(10 * MIB);
    let path = site.write("large.bin", &content);
    let shown = site.curl(
        "/multipart",
        &[
            "-F",
            "note=Hello",
            "-F",
            &file_argument(&path),
            "-F",
            "end=;type=text/plain",
        ],
    );
    let expected = format!(
        "note - - 5 {:016x}\nfile large.bin application/octet-stream {} {:016x}\n\
         end - text/plain 0 {:016x}\n",
        fnv1a(b"Hello"),
        content.len(),
        fnv1a(&content),
        fnv1a(b"")
    );
    assert_eq!(shown, expected);
    let plain = site.curl(
        "/multipart",
        &["-d", "a=b", "-o", "/dev/null", "-w", "%{http_code}"],
    );
    assert_eq!(plain, "415");
}

/// A handler that takes less than comes keeps the client waiting, and not the content in memory.
#[test]
fn a_slow_reader_of_a_part_slows_the_client_down() {
    let site = Site::new("slow");
    let path = site.write("large.bin", &pattern(20 * MIB));
    let before = resident_bytes(site.server.pid());
    let (most, shown) = std::thread::scope(|scope| {
        let upload = scope.spawn(|| site.curl("/multipart/slow", &["-F", &file_argument(&path)]));
        let mut most = 0;
        while !upload.is_finished() {
            most = most.max(resident_bytes(site.server.pid()));
            std::thread::sleep(Duration::from_millis(10));
        }
        match upload.join() {
            Ok(shown) => (most, shown),
            Err(_) => panic!("curl failed"),
        }
    });
    assert_eq!(shown, format!("{}\n", 20 * MIB));
    let grown = most.saturating_sub(before) as usize;
    assert!(grown < 3 * MIB, "{grown} bytes more");
}

/// The parser waits for the end of a head or boundary only so long.
#[test]
fn a_head_that_never_ends_is_refused_early() {
    let site = Site::new("head");
    for start in [
        "junk without a boundary",
        "--XX\r\nContent-Disposition: form-data; name=\"",
        "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nabc\r\n--XX\r\nX: ",
    ] {
        let mut client = site.connect();
        let len = 100 * MIB;
        client.send(format!(
            "POST /multipart HTTP/1.1\r\nHost: a\r\n\
             Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {len}\r\n\r\n{start}"
        ));
        let piece = [b'x'; 16 * 1024];
        let mut sent = 0;
        // It is answered long before all of it has been sent.
        while sent < 8 * MIB && client.try_send(piece).is_ok() {
            sent += piece.len();
            if client
                .peek(Duration::from_millis(1))
                .is_ok_and(|len| len > 0)
            {
                break;
            }
        }
        let response = client.response();
        assert_eq!(response.status, 413, "{start}");
        assert_eq!(response.text(), "the head of a part is too large\n");
        assert!(sent < 8 * MIB, "{start}: {sent} bytes were sent");
    }
}

#[test]
fn a_form_has_a_thousand_parts_and_no_more() {
    let site = Site::new("parts");
    let part = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n";
    let content = part.repeat(1000) + "--XX--\r\n";
    let mut client = site.connect();
    client.post(
        "/multipart",
        "Content-Type: multipart/form-data; boundary=XX\r\n",
        content.as_bytes(),
    );
    let response = client.response();
    assert_eq!(response.status, 200);
    assert_eq!(response.text().lines().count(), 1000);
    let content = part.repeat(1001) + "--XX--\r\n";
    client.post(
        "/multipart",
        "Content-Type: multipart/form-data; boundary=XX\r\n",
        content.as_bytes(),
    );
    assert_eq!(client.response().status, 413);
}

#[test]
fn events_by_curl() {
    let site = Site::new("events");
    let shown = site.curl("/events?2", &["-N", "-i"]);
    let (head, content) = shown.split_once("\r\n\r\n").unwrap_or_default();
    assert!(
        head.contains("\r\nContent-Type: text/event-stream\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nCache-Control: no-cache"), "{head}");
    assert_eq!(
        content,
        "data: number 0\ndata: of 2\nid: 0\nevent: n\n\ndata: number 1\ndata: of 2\nid: 1\nevent: n\n\n"
    );
    let shown = site.curl("/events?1", &["-N", "-H", "Last-Event-ID: 41"]);
    assert!(shown.starts_with("data: number 42\n"), "{shown}");
    let shown = site.curl("/events?100000", &["-N"]);
    assert_eq!(shown.matches("\n\n").count(), 100_000);
}

/// The head is sent before anything happens, and comments while nothing does.
#[test]
fn a_quiet_stream_of_events_is_kept_alive() {
    let site = Site::new("quiet");
    let output = curl_output(&site.server, "/quiet", &["-N", "-i", "--max-time", "1"]);
    assert_eq!(output.status.code(), Some(28), "curl's time is up");
    let shown = String::from_utf8_lossy(&output.stdout);
    let (head, content) = shown.split_once("\r\n\r\n").unwrap_or_default();
    assert!(head.starts_with("HTTP/1.1 200 "), "{shown}");
    let comments = content.matches(":\n\n").count();
    assert!((2..=5).contains(&comments), "{content:?}");
    assert_eq!(content.len(), comments * 3);
}

/// A stream that says so ends well when the server stops, long before the drain's 30 s.
#[test]
fn a_stream_of_events_ends_when_the_server_drains() {
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let server = Server::start_program(program!("contentserver"), &["127.0.0.1:0", "."]);
        let url = format!("http://{}/quiet", server.address());
        let mut command = Command::new("curl");
        command.args(["-sSN", "--max-time", "20", version, &url]);
        let curl = command.stdout(Stdio::piped()).spawn();
        let Ok(mut curl) = curl else {
            panic!("curl did not start");
        };
        let mut comment = [0; 3];
        let mut shown = curl.stdout.take();
        let read = shown.as_mut().map(|shown| shown.read_exact(&mut comment));
        assert!(matches!(read, Some(Ok(()))) && &comment == b":\n\n");
        let started = Instant::now();
        server.signal(rustix::process::Signal::TERM);
        let status = curl.wait();
        assert!(status.is_ok_and(|status| status.success()), "{version}");
        assert_eq!(server.wait().code, Some(0), "{version}");
        assert!(started.elapsed() < Duration::from_secs(5), "{version}");
    }
}

#[test]
fn cookies_by_curl() {
    let site = Site::new("cookies");
    let jar = site.directory.join("jar").display().to_string();
    for visit in ["1\n", "2\n", "3\n"] {
        let shown = site.curl("/cookies", &["-c", &jar, "-b", &jar]);
        assert_eq!(shown, visit);
    }
    let head = site.curl("/cookies", &["-i", "-b", "visits=7"]);
    assert!(
        head.contains("\r\nSet-Cookie: visits=8; HttpOnly; Path=/\r\n"),
        "{head}"
    );
}

#[test]
fn files_and_ranges_by_curl() {
    let site = Site::new("files");
    let content = pattern(3 * MIB + 1);
    site.write("a.bin", &content);
    site.write("a.txt", b"0123456789");
    let fetch = |target: &str, args: &[&str]| curl_output(&site.server, target, args).stdout;
    assert!(fetch("/files/a.bin", &[]) == content);
    for (range, expected) in [
        ("0-0", 0..1),
        ("100000-2000000", 100_000..2_000_001),
        ("-5", content.len() - 5..content.len()),
    ] {
        let part = fetch("/files/a.bin", &["-r", range]);
        assert!(part == content[expected], "{range}");
    }
    let shown = site.curl("/files/a.txt", &["-r", "1-2", "-i"]);
    assert!(shown.starts_with("HTTP/1.1 206 "), "{shown}");
    assert!(
        shown.contains("\r\nContent-Range: bytes 1-2/10\r\n"),
        "{shown}"
    );
    assert!(shown.ends_with("\r\n\r\n12"), "{shown}");
    let several = site.curl("/files/a.bin", &["-r", "0-1,1000-1001", "-i"]);
    assert!(several.contains("\r\nContent-Type: multipart/byteranges; boundary="));
    let code = &["-o", "/dev/null", "-w", "%{http_code}", "-r", "10-"];
    assert_eq!(site.curl("/files/a.txt", code), "416");
    // curl goes on with a file that it has in part.
    let partial = site.write("partial", &content[..MIB]).display().to_string();
    site.curl("/files/a.bin", &["-C", "-", "-o", &partial]);
    assert!(std::fs::read(&partial).is_ok_and(|read| read == content));
    // And asks whether what it has is still right.
    let etags = site.directory.join("etags").display().to_string();
    let code = ["-o", "/dev/null", "-w", "%{http_code}"];
    let first = [&code[..], &["--etag-save", &etags]].concat();
    assert_eq!(site.curl("/files/a.txt", &first), "200");
    let again = [&code[..], &["--etag-compare", &etags]].concat();
    assert_eq!(site.curl("/files/a.txt", &again), "304");
}

#[test]
fn all_of_it_works_over_http_2() {
    let site = Site::new("http2");
    let content = pattern(3 * MIB);
    let path = site.write("a.bin", &content);
    let h2 = "--http2-prior-knowledge";
    let shown = site.curl("/multipart", &[h2, "-F", &file_argument(&path)]);
    let expected = format!(
        "file a.bin application/octet-stream {} {:016x}\n",
        content.len(),
        fnv1a(&content)
    );
    assert_eq!(shown, expected);
    let shown = site.curl("/events?1000", &[h2, "-N", "-i"]);
    assert!(shown.starts_with("HTTP/2 200 "), "{shown:.100}");
    assert!(shown.contains("content-type: text/event-stream\r\n"));
    assert!(shown.ends_with("\nid: 999\nevent: n\n\n"));
    let part = curl_output(&site.server, "/files/a.bin", &[h2, "-r", "1000-200000"]);
    assert!(part.stdout == content[1000..=200_000]);
    let several = site.curl("/files/a.bin", &[h2, "-r", "0-1,1000-1001", "-i"]);
    assert!(several.contains("content-type: multipart/byteranges; boundary="));
    let head = site.curl("/cookies", &[h2, "-i", "-b", "a=1; visits=7"]);
    assert!(
        head.contains("set-cookie: visits=8; HttpOnly; Path=/\r\n"),
        "{head}"
    );
}

#[test]
fn the_chat_is_heard_by_all_and_by_those_who_come_back() {
    let server = Server::start_program(program!("blackbox-chat"), &["127.0.0.1:0"]);
    let mut listeners: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for listener in &mut listeners {
        listener.get("/events", "");
        assert!(listener.head().is_ok_and(|head| head.status == 200));
    }
    for text in ["one", "two+two", "three"] {
        let data = format!("text={text}");
        curl(&server, "/say", &["-d", "name=Ada", "-d", &data]);
    }
    let said = "data: Ada: one\nid: 1\n\ndata: Ada: two two\nid: 2\n\ndata: Ada: three\nid: 3\n\n";
    for listener in &mut listeners {
        assert_eq!(heard(listener, 3), said);
    }
    let mut late = server.connect();
    late.get("/events", "Last-Event-ID: 2\r\n");
    assert!(late.head().is_ok_and(|head| head.status == 200));
    assert_eq!(heard(&mut late, 1), "data: Ada: three\nid: 3\n\n");
    assert!(curl(&server, "/", &[]).contains("EventSource"));
}

/// So many events, without the sizes of their chunks.
fn heard(listener: &mut Client, count: usize) -> String {
    let mut received = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        received.extend(listener.take_received());
        let text = String::from_utf8_lossy(&received).into_owned();
        if text.matches("\n\n\r\n").count() >= count {
            let lines = text.split("\r\n").skip(1).step_by(2);
            return lines.collect();
        }
        assert!(Instant::now() < deadline && listener.receive(), "{text:?}");
    }
}

#[test]
fn uploads_are_counted_kept_and_watched() {
    let site = Site::new("uploads");
    let content = pattern(20 * MIB);
    let path = site.write("large.bin", &content);
    let kept = site.directory.join("kept");
    assert!(std::fs::create_dir(&kept).is_ok());
    let arguments = ["127.0.0.1:0", &kept.display().to_string()];
    let server = Server::start_program(program!("blackbox-upload"), &arguments);
    let mut watcher = server.connect();
    watcher.get("/progress/mine", "");
    assert!(watcher.head().is_ok_and(|head| head.status == 200));
    let counted = curl(
        &server,
        "/count",
        &["--data-binary", &format!("@{}", path.display())],
    );
    assert_eq!(counted, format!("{} bytes\n", content.len()));
    let shown = curl(&server, "/upload?name=mine", &["-F", &file_argument(&path)]);
    assert_eq!(shown, format!("1 files, {} bytes\n", content.len()));
    assert!(std::fs::read(kept.join("upload-1")).is_ok_and(|read| read == content));
    let seen = wait_for("the end of the upload", || {
        watcher.receive();
        let seen = String::from_utf8_lossy(&watcher.take_received()).into_owned();
        seen.contains("event: end").then_some(seen)
    });
    assert!(seen.contains("event: end\n\n"), "{seen}");
}

#[test]
fn the_cache_is_the_workers() {
    let server = Server::start_program(program!("blackbox-worker-cache"), &["127.0.0.1:0"]);
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(
            client.fetch("/factors/360").text(),
            "360 = 2 * 2 * 2 * 3 * 3 * 5\n"
        );
    }
    assert_eq!(client.fetch("/factors/0").text(), "0 = 0\n");
    assert_eq!(client.fetch("/factors/x").status, 404);
    // One connection, one worker.
    assert_eq!(client.fetch("/cache").text(), "2 numbers, 2 hits\n");
}

#[test]
fn todos_are_kept_in_the_database() {
    let site = Site::new("todos");
    let path = site.directory.join("todo.db").display().to_string();
    let server = Server::start_program(program!("blackbox-todo"), &["127.0.0.1:0", &path]);
    let mut client = server.connect();
    assert_eq!(client.fetch("/todos").text(), "[]");
    let json = "Content-Type: application/json\r\n";
    let mut send = |method: &str, target: &str, content: &str| {
        let len = content.len();
        client.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\n{json}Content-Length: {len}\r\n\r\n{content}"
        ));
        client.response()
    };
    let created = send("POST", "/todos", r#"{"text":"buy milk"}"#);
    assert_eq!(
        (created.status, created.field("location")),
        (201, Some("/todos/1"))
    );
    let todo = r#"{"id":1,"text":"buy milk","done":false}"#;
    assert_eq!(created.text(), todo);
    let changed = send("PATCH", "/todos/1", r#"{"done":true}"#);
    let todo = todo.replace("false", "true");
    assert_eq!((changed.status, changed.text()), (200, &*todo));
    assert_eq!(send("GET", "/todos/1", "").text(), todo);
    assert_eq!(send("GET", "/todos", "").text(), format!("[{todo}]"));
    for (method, target, content, status) in [
        ("POST", "/todos", "{", 400),
        ("POST", "/todos", "{}", 422),
        ("GET", "/todos/2", "", 404),
        ("GET", "/todos/x", "", 404),
        ("PATCH", "/todos/2", "{}", 404),
        ("PUT", "/todos/1", "{}", 405),
        ("DELETE", "/todos/1", "", 204),
        ("DELETE", "/todos/1", "", 404),
    ] {
        let response = send(method, target, content);
        assert_eq!(response.status, status, "{method} {target} {content}");
    }
    assert_eq!(send("GET", "/todos", "").text(), "[]");
}
