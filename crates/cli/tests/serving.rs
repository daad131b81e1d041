//! The binary serving configurations, over sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// A server that is stopped at the end, in a directory that is removed.
struct Server {
    child: Child,
    directory: PathBuf,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Serves a configuration, with these files beside it.
    fn start(name: &str, config: &str, files: &[(&str, &str)]) -> Server {
        let directory =
            std::env::temp_dir().join(format!("ajayserver-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for (file, text) in files.iter().chain([&("ajayserver.toml", config)]) {
            let path = directory.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Server::start_in(directory, &[])
    }

    fn start_in(directory: PathBuf, arguments: &[&str]) -> Server {
        // The loop below ends with a server that waits for it when dropped, or with the process's end.
        #[allow(clippy::zombie_processes)]
        let mut child = Command::new(env!("CARGO_BIN_EXE_ajayserver"))
            .args(arguments)
            .current_dir(&directory)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut addresses = Vec::new();
        let mut said = String::new();
        for line in lines {
            let line = line.unwrap();
            if let Some((_, address)) = line.split_once("listening on ") {
                let address = address.rsplit('/').next().unwrap();
                addresses.push(address.parse().unwrap());
            }
            if line.contains("stop with Ctrl-C") {
                return Server {
                    child,
                    directory,
                    addresses,
                };
            }
            said += &line;
            said.push('\n');
        }
        let _ = child.wait();
        panic!("it ended: {said}");
    }

    /// Sends a request, and gives all of the answer; what is not text of it does not matter.
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.addresses[0]).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// GET, as HTTP/1.1 with these further field lines.
    fn get(&self, host: &str, target: &str, fields: &str) -> String {
        self.ask(&format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n"
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[track_caller]
fn assert_status(answer: &str, status: u16) {
    let start = format!("HTTP/1.1 {status} ");
    assert!(answer.starts_with(&start), "expected {status}: {answer}");
}

#[track_caller]
fn assert_has(answer: &str, text: &str) {
    let lower = answer.to_lowercase();
    assert!(lower.contains(&text.to_lowercase()), "no {text}: {answer}");
}

#[test]
fn sites_routes_and_answers() {
    let config = r#"
        [server]
        threads = 1
        [[site]]
        hosts = ["a.example", "*.a.example"]
        listen = ["127.0.0.1:0"]
        error_pages = { 404 = "missing.html" }
        [[site.route]]
        match = { path = "/assets/*", methods = ["GET"] }
        files = { root = "public", strip_prefix = true, precompressed = true }
        headers = { set = { cache-control = "max-age=60" }, add = { x-a = "1" }, remove = ["etag"] }
        [[site.route]]
        match = { path = "/app/*" }
        files = { root = "public", fallback = "index.html" }
        [[site.route]]
        match = { path = "/old/*" }
        redirect = { to = "/new/{rest}" }
        [[site.route]]
        match = { path = "/evil/*" }
        redirect = { to = "/{rest}", status = 302 }
        [[site.route]]
        match = { path = "/users/{id}" }
        rewrite = "/profile"
        [[site.route]]
        match = { path = "/profile" }
        respond = { status = 203, body = "profile", content_type = "text/x-profile" }
        [[site]]
        hosts = ["b.example"]
        listen = ["127.0.0.1:0"]
        [[site.route]]
        respond = { body = "b" }
    "#;
    let files = [
        ("missing.html", "<p>Not here.\n"),
        ("public/a.css", "p {}\n"),
        ("public/index.html", "<p>App.\n"),
    ];
    let server = Server::start("answers", config, &files);
    let get = |target: &str| server.get("a.example", target, "");

    let answer = get("/assets/a.css");
    assert_status(&answer, 200);
    assert_has(&answer, "\r\n\r\np {}\n");
    assert_has(&answer, "content-type: text/css");
    assert_has(&answer, "cache-control: max-age=60\r\n");
    assert_has(&answer, "x-a: 1\r\n");
    assert!(!answer.to_lowercase().contains("\netag:"), "{answer}");
    let answer =
        server.ask("DELETE /assets/a.css HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    assert_status(&answer, 405);
    assert_has(&answer, "allow: GET, HEAD\r\n");
    let answer = get("/assets/b.css");
    assert_status(&answer, 404);
    let answer = get("/assets/../../missing.html");
    assert_status(&answer, 404);
    assert_has(&answer, "<p>Not here.");
    assert_status(&get("/assets/%2e%2e%2fmissing.html"), 400);
    assert_status(&get("/assets/%00"), 400);

    assert_has(&get("/app/some/page"), "<p>App.");
    let answer = get("/old/a/b?c");
    assert_status(&answer, 308);
    assert_has(&answer, "location: /new/a/b\r\n");
    let answer = get("/evil//other.example/");
    assert_status(&answer, 302);
    assert_has(&answer, "location: /other.example/\r\n");
    let answer = get("/users/7");
    assert_status(&answer, 203);
    assert_has(&answer, "content-type: text/x-profile\r\n");
    assert_has(&answer, "\r\n\r\nprofile");

    assert_status(&server.get("X.A.example:80", "/profile", ""), 203);
    assert_status(&server.get("c.example", "/profile", ""), 421);
}

#[test]
fn what_stands_before_the_answer() {
    let hash = Command::new(env!("CARGO_BIN_EXE_ajayserver"))
        .args(["hash-password", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            child.stdin.take().unwrap().write_all(b"correct horse\n")?;
            child.wait_with_output()
        })
        .unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let config = r#"
        [[site]]
        listen = ["127.0.0.1:0"]
        request_id = "keep"
        [[site.route]]
        match = { path = "/secret" }
        respond = { body = "secret" }
        basic_auth = { realm = "cellar", users = { ada = { file = "ada.hash" } } }
        [[site.route]]
        match = { path = "/unnamed" }
        respond = { body = "unnamed" }
        request_id = "off"
        [[site.route]]
        match = { path = "/denied" }
        respond = { body = "no" }
        deny = ["127.0.0.0/8"]
        [[site.route]]
        match = { path = "/others" }
        respond = { body = "no" }
        allow = ["10.0.0.0/8"]
        [[site.route]]
        match = { path = "/few" }
        respond = { body = "few" }
        rate_limit = { requests = 1, per = "1h", burst = 2, header = "x-key" }
        [[site.route]]
        match = { path = "/small", methods = ["POST"] }
        respond = { body = "small" }
        limits = { content_bytes_max = 4 }
        cors = { origins = ["https://shop.example"], headers = ["x-key"] }
        [[site.route]]
        match = { path = "/long" }
        respond = { body = { file = "long.txt" } }
        compression = true
        [[site.route]]
        match = { headers = { x-beta = "1" }, query = { a = true }, versions = ["1.1"] }
        respond = { body = "beta" }
    "#;
    let long = "All work and no play. ".repeat(200);
    let server = Server::start(
        "before",
        config,
        &[("ada.hash", &hash), ("long.txt", &long)],
    );
    let get = |target: &str, fields: &str| server.get("localhost", target, fields);

    let answer = get("/secret", "");
    assert_status(&answer, 401);
    assert_has(&answer, "www-authenticate: Basic realm=\"cellar\"");
    // ada:correct horse, twice: the second time it is known. Then ada:wrong, and bob:correct horse.
    for (token, status) in [
        ("YWRhOmNvcnJlY3QgaG9yc2U=", 200),
        ("YWRhOmNvcnJlY3QgaG9yc2U=", 200),
        ("YWRhOndyb25n", 401),
        ("Ym9iOmNvcnJlY3QgaG9yc2U=", 401),
    ] {
        let field = format!("Authorization: Basic {token}\r\n");
        assert_status(&get("/secret", &field), status);
    }
    assert_status(&get("/denied", ""), 403);
    assert_status(&get("/others", ""), 403);
    for (key, status) in [("a", 200), ("a", 200), ("a", 429), ("b", 200)] {
        let answer = get("/few", &format!("X-Key: {key}\r\n"));
        assert_status(&answer, status);
    }
    let post = |length: usize| {
        let content = "x".repeat(length);
        server.ask(&format!(
            "POST /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{content}"
        ))
    };
    assert_status(&post(4), 200);
    assert_status(&post(5), 413);
    let answer = server.ask(
        "OPTIONS /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: https://shop.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    );
    assert_status(&answer, 204);
    assert_has(
        &answer,
        "access-control-allow-origin: https://shop.example\r\n",
    );
    let answer = get("/long", "Accept-Encoding: gzip\r\n");
    assert_has(&answer, "content-encoding: gzip\r\n");
    assert!(answer.len() < long.len() / 2);
    assert_has(
        &get("/long", "X-Request-Id: mine\r\n"),
        "x-request-id: mine\r\n",
    );
    let answer = get("/unnamed", "");
    assert_status(&answer, 200);
    assert!(!answer.to_lowercase().contains("x-request-id"), "{answer}");
    assert_has(&get("/?a=1", "X-Beta: 1\r\n"), "\r\n\r\nbeta");
    assert_status(&get("/?a=1", ""), 404);
    assert_status(&get("/", "X-Beta: 1\r\n"), 404);
}

/// Asks over TLS, by this name for the certificate and that host for the site.
fn ask_tls(server: &Server, roots: &RootCertStore, sni: &str, host: &str) -> String {
    let config = ClientConfig::builder()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let name = sni.to_owned().try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(server.addresses[0]).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn each_site_has_its_certificate() {
    let mut roots = RootCertStore::empty();
    let mut files = Vec::new();
    for name in ["a", "b"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.example")]).unwrap();
        roots.add(made.cert.der().clone()).unwrap();
        files.push((format!("{name}.pem"), made.cert.pem()));
        files.push((format!("{name}.key"), made.signing_key.serialize_pem()));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let site = |name: &str| {
        format!(
            r#"
            [[site]]
            hosts = ["{name}.example"]
            listen = ["127.0.0.1:0"]
            tls = {{ cert = "{name}.pem", key = "{name}.key" }}
            hsts = {{ max_age = "24h" }}
            [[site.route]]
            respond = {{ body = "this is {name}" }}
            "#
        )
    };
    let config = site("a") + &site("b");
    let server = Server::start("tls", &config, &files);
    let answer = ask_tls(&server, &roots, "a.example", "a.example");
    assert_has(&answer, "\r\n\r\nthis is a");
    assert_has(&answer, "strict-transport-security: max-age=86400\r\n");
    assert_has(&answer, "alt-svc: h3=");
    let answer = ask_tls(&server, &roots, "b.example", "b.example");
    assert_has(&answer, "\r\n\r\nthis is b");
    assert_status(&ask_tls(&server, &roots, "a.example", "b.example"), 421);
    assert_status(&ask_tls(&server, &roots, "a.example", "c.example"), 421);
}

#[test]
fn commands_without_a_configuration() {
    let directory = std::env::temp_dir().join(format!("ajayserver-bare-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("public")).unwrap();
    std::fs::write(directory.join("public/a.txt"), "a file\n").unwrap();
    let listen = ["--listen", "127.0.0.1:0"];
    {
        let arguments = [&["respond", "Back at noon"][..], &listen].concat();
        let server = Server::start_in(directory.clone(), &arguments);
        assert_has(&server.get("a", "/", ""), "\r\n\r\nBack at noon");
    }
    std::fs::create_dir_all(directory.join("public")).unwrap();
    std::fs::write(directory.join("public/a.txt"), "a file\n").unwrap();
    let arguments = [&["files", "public"][..], &listen].concat();
    let server = Server::start_in(directory, &arguments);
    assert_has(&server.get("a", "/a.txt", ""), "\r\n\r\na file\n");
    assert_status(&server.get("a", "/b.txt", ""), 404);
}

#[test]
fn init_writes_a_good_configuration_once() {
    let directory = std::env::temp_dir().join(format!("ajayserver-init-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let run = |argument: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ajayserver"));
        let output = command.arg(argument).current_dir(&directory).output();
        output.unwrap().status.code()
    };
    assert_eq!(run("check"), Some(1), "there is no file");
    assert_eq!(run("init"), Some(0));
    assert_eq!(run("check"), Some(0));
    std::fs::write(directory.join("ajayserver.toml"), "mine").unwrap();
    assert_eq!(run("init"), Some(1));
    let kept = std::fs::read_to_string(Path::new(&directory).join("ajayserver.toml"));
    assert_eq!(kept.unwrap(), "mine");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn ten_thousand_sites_are_found() {
    let mut config = String::new();
    for number in 0..10_000 {
        config += &format!(
            "[[site]]\nhosts = [\"s{number}.example\"]\nlisten = [\"127.0.0.1:0\"]\n[[site.route]]\nrespond = {{ body = \"{number}\" }}\n"
        );
    }
    let server = Server::start("many", &config, &[]);
    for number in [0, 4_999, 9_999] {
        let answer = server.get(&format!("s{number}.example"), "/", "");
        assert_has(&answer, &format!("\r\n\r\n{number}"));
    }
    assert_status(&server.get("s10000.example", "/", ""), 421);
}
