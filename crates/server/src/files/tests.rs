use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::Router;
use crate::testing::{TestClient, TestRequest, TestResponse};

/// A directory of a test's own, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ajay-files-{}-{number}", std::process::id());
        let directory = Directory(std::env::temp_dir().join(name));
        fs::create_dir_all(directory.0.join("public")).unwrap();
        directory
    }

    fn root(&self) -> PathBuf {
        self.0.join("public")
    }

    /// A file that was last changed in 1994.
    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old_time()).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn old_time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(783_459_811)
}

const OLD: &str = "Sat, 29 Oct 1994 19:43:31 GMT";

fn with_fields<'c, H: Handler>(
    request: TestRequest<'c, H>,
    fields: &[(&str, &str)],
) -> TestRequest<'c, H> {
    let add =
        |request: TestRequest<'c, H>, (name, value): &(&str, &str)| request.field(name, value);
    fields.iter().fold(request, add)
}

async fn get(files: &Files, target: &str, fields: &[(&str, &str)]) -> TestResponse {
    with_fields(TestClient::new(files).get(target), fields).await
}

#[tokio::test]
async fn a_file_comes_with_its_type_and_validators() {
    let directory = Directory::new();
    directory.write("a b.txt", "Hello\n");
    let files = Files::new(directory.root()).cache_control("max-age=60");
    let response = get(&files, "/a%20b.txt", &[]).await;
    assert_eq!((response.status(), response.text()), (200, "Hello\n"));
    let etag = format!("\"{:x}-6\"", 783_459_811_u64 * 1_000_000_000);
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "6"),
        ("accept-ranges", "bytes"),
        ("cache-control", "max-age=60"),
        ("last-modified", OLD),
        ("etag", &etag),
    ] {
        assert_eq!(response.field(name), Some(value), "{name}");
    }
    assert_eq!(response.field("vary"), None);
    let client = TestClient::new(&files);
    let head = client.request(Method::HEAD, "/a%20b.txt").await;
    assert_eq!((head.status(), head.content()), (200, &b""[..]));
    assert_eq!(head.field("content-length"), Some("6"));
    let post = client.post("/a%20b.txt").await;
    assert_eq!(
        (post.status(), post.field("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[test]
fn types_follow_from_names() {
    for (name, expected) in [
        ("index.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.JSON", "application/json"),
        ("a.png", "image/png"),
        ("a.wasm", "application/wasm"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("a.unknown", "application/octet-stream"),
        ("Makefile", "application/octet-stream"),
    ] {
        assert_eq!(content_type(Path::new(name)), expected, "{name}");
    }
}

#[tokio::test]
async fn nothing_outside_of_the_root_is_served() {
    let directory = Directory::new();
    fs::write(directory.0.join("secret.txt"), "secret").unwrap();
    directory.write("dir/inner.txt", "inner");
    directory.write(".env", "secret");
    directory.write(".git/config", "secret");
    directory.write("dir/.hidden", "secret");
    let link = |to: &str, name: &str| symlink(to, directory.root().join(name)).unwrap();
    link("../secret.txt", "out.txt");
    link("..", "up");
    link("circle", "circle");
    link("dir/inner.txt", "in.txt");
    link("dir", "other");
    let absolute = directory.0.join("secret.txt");
    symlink(absolute, directory.root().join("absolute.txt")).unwrap();
    let files = Files::new(directory.root());
    for target in [
        "/../secret.txt",
        "/dir/../../secret.txt",
        "/dir/../dir/inner.txt",
        "/%2e%2e/secret.txt",
        "/.%2e/secret.txt",
        "/..%2fsecret.txt",
        "/dir%2finner.txt",
        "/./dir/inner.txt",
        "//dir/inner.txt",
        "/dir//inner.txt",
        "/out.txt",
        "/up/secret.txt",
        "/up/public/dir/inner.txt",
        "/absolute.txt",
        "/circle",
        "/.env",
        "/.git/config",
        "/dir/.hidden",
        "/dir/inner.txt%00",
        "/dir/inner.txt%00.png",
        "/dir/inner.txt/",
        "/dir/inner.txt/x",
        "/%ff",
        "/none",
        "/dir/inner.txt%20",
    ] {
        let response = get(&files, target, &[]).await;
        let found = (response.status(), response.text());
        assert_eq!(found, (404, "404 Not Found\n"), "{target}");
    }
    let long = format!("/{}", "x".repeat(300));
    assert_eq!(get(&files, &long, &[]).await.status(), 404);
    for target in ["/in.txt", "/other/inner.txt", "/dir/inner%2Etxt"] {
        let response = get(&files, target, &[]).await;
        assert_eq!((response.status(), response.text()), (200, "inner"));
    }
    let files = files.with_dot_files();
    assert_eq!(get(&files, "/.env", &[]).await.text(), "secret");
    assert_eq!(get(&files, "/../secret.txt", &[]).await.status(), 404);
}

#[test]
fn without_the_kernels_help_no_link_is_followed() {
    let directory = Directory::new();
    fs::write(directory.0.join("secret.txt"), "secret").unwrap();
    directory.write("dir/inner.txt", "inner");
    symlink("..", directory.root().join("up")).unwrap();
    symlink("dir/inner.txt", directory.root().join("in.txt")).unwrap();
    let root = OwnedFd::from(fs::File::open(directory.root()).unwrap());
    let open = |path: &str| open::open_step_by_step(&root, Path::new(path));
    let opened = fs::File::from(open("dir/inner.txt").unwrap());
    assert_eq!(io::read_to_string(opened).unwrap(), "inner");
    for path in [
        "up/secret.txt",
        "in.txt",
        "../secret.txt",
        "none",
        "dir/none",
    ] {
        let error = io::Error::from(open(path).unwrap_err());
        assert!(open::is_absent(&error), "{path}: {error}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_served() {
    let directory = Directory::new();
    let fifo = directory.root().join("fifo");
    let mode = rustix::fs::Mode::RWXU;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.root().join("s")).unwrap();
    let files = Files::new(directory.root());
    for target in ["/fifo", "/s"] {
        assert_eq!(get(&files, target, &[]).await.status(), 404, "{target}");
    }
    let files = Files::new(directory.root().join("none"));
    assert_eq!(get(&files, "/a.txt", &[]).await.status(), 404);
}

#[tokio::test]
async fn a_directory_is_its_index() {
    let directory = Directory::new();
    directory.write("index.html", "<p>root");
    directory.write("docs/index.html", "<p>docs");
    directory.write("docs/start.htm", "<p>start");
    directory.write("empty/x", "");
    let files = Files::new(directory.root());
    for (target, text) in [
        ("/", "<p>root"),
        ("/docs/", "<p>docs"),
        ("/index.html", "<p>root"),
    ] {
        let response = get(&files, target, &[]).await;
        assert_eq!(
            (response.status(), response.text()),
            (200, text),
            "{target}"
        );
    }
    let response = get(&files, "/docs?a=b", &[]).await;
    assert_eq!(response.status(), 308);
    assert_eq!(response.field("location"), Some("/docs/?a=b"));
    assert_eq!(get(&files, "/empty/", &[]).await.status(), 404);
    let none = files.clone().without_index();
    for target in ["/", "/docs/", "/docs"] {
        assert_eq!(get(&none, target, &[]).await.status(), 404, "{target}");
    }
    let other = files.index("start.htm");
    assert_eq!(get(&other, "/docs/", &[]).await.text(), "<p>start");
}

#[tokio::test]
async fn the_path_is_that_of_the_route() {
    let directory = Directory::new();
    directory.write("a.txt", "a");
    directory.write("index.html", "root");
    directory.write("assets/a.txt", "wrong");
    let files = Files::new(directory.root());
    let router = Router::new()
        .get("/assets/", files.clone())
        .get("/assets/{*path}", files.clone())
        .get("/{tenant}/files/{*path}", files.clone())
        .get("/one", File::new(directory.root().join("a.txt")))
        .fallback(files);
    let client = TestClient::new(&router.build().unwrap());
    for (target, status, text) in [
        ("/assets/a.txt", 200, "a"),
        ("/assets/", 200, "root"),
        ("/x/files/a.txt", 200, "a"),
        ("/one", 200, "a"),
        ("/a.txt", 200, "a"),
        ("/assets//a.txt", 404, "404 Not Found\n"),
        ("/assets/../a.txt", 404, "404 Not Found\n"),
    ] {
        let response = client.get(target).await;
        let found = (response.status(), response.text());
        assert_eq!(found, (status, text), "{target}");
    }
    assert_eq!(client.post("/assets/a.txt").await.status(), 405);
}

#[tokio::test]
async fn conditional_and_range_requests_are_answered() {
    let directory = Directory::new();
    let content: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    directory.write("a.bin", &content);
    directory.write("empty.bin", "");
    let files = Files::new(directory.root());
    let whole = get(&files, "/a.bin", &[]).await;
    assert_eq!(whole.content(), content);
    let etag = whole.field("etag").unwrap();
    for (name, value, status) in [
        ("If-None-Match", etag, 304),
        ("If-None-Match", "\"other\"", 200),
        ("If-Modified-Since", OLD, 304),
        ("If-Match", "\"other\"", 412),
        ("Range", "bytes=200000-", 416),
        ("Range", "bytes=a", 200),
    ] {
        let response = get(&files, "/a.bin", &[(name, value)]).await;
        assert_eq!(response.status(), status, "{name}: {value}");
    }
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=65530-131080", 65_530..131_081),
        ("bytes=-70000", 130_000..200_000),
        ("bytes=199999-", 199_999..200_000),
    ] {
        let part = get(&files, "/a.bin", &[("Range", range), ("If-Range", etag)]).await;
        assert_eq!(part.status(), 206, "{range}");
        assert!(part.content() == &content[expected.clone()], "{range}");
        let content_range = format!("bytes {}-{}/200000", expected.start, expected.end - 1);
        assert_eq!(part.field("content-range"), Some(&*content_range));
    }
    let parts = get(&files, "/a.bin", &[("Range", "bytes=0-99,100000-199999")]).await;
    assert_eq!(parts.status(), 206);
    let end = parts.content().len() - 38 - 2;
    assert_eq!(parts.content()[end - 100_000..end], content[100_000..]);
    assert_eq!(parts.broken_off(), None);
    let empty = get(&files, "/empty.bin", &[]).await;
    assert_eq!(
        (empty.status(), empty.field("content-length")),
        (200, Some("0"))
    );
    let empty = get(&files, "/empty.bin", &[("Range", "bytes=0-")]).await;
    assert_eq!(empty.status(), 416);
}

#[tokio::test]
async fn a_file_that_has_just_changed_has_a_weak_tag() {
    let directory = Directory::new();
    fs::write(directory.root().join("new.txt"), "new").unwrap();
    let files = Files::new(directory.root());
    let response = get(&files, "/new.txt", &[]).await;
    let etag = response.field("etag").unwrap();
    assert!(etag.starts_with("W/\""), "{etag}");
    let again = get(&files, "/new.txt", &[("If-None-Match", etag)]).await;
    assert_eq!(again.status(), 304);
    let fields = [("Range", "bytes=0-0"), ("If-Range", etag)];
    assert_eq!(get(&files, "/new.txt", &fields).await.status(), 200);
}

#[tokio::test]
async fn a_file_that_becomes_shorter_breaks_the_response_off() {
    let directory = Directory::new();
    directory.write("a.bin", vec![b'a'; 300_000]);
    let path = directory.root().join("a.bin");
    let files = Files::new(directory.root());
    let handler = async move |request: Request| {
        let response = files.respond(&request, "a.bin").await;
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(100_000).unwrap();
        response
    };
    let response = TestClient::new(&handler).get("/").await;
    assert_eq!(response.broken_off(), Some("the file became shorter"));
}

#[tokio::test]
async fn compressed_siblings_are_sent_to_those_who_accept_them() {
    let directory = Directory::new();
    directory.write("a.css", "plain");
    directory.write("a.css.br", "brotli");
    directory.write("a.css.gz", "gzipped");
    directory.write("b.css", "plain");
    let files = Files::new(directory.root()).precompressed();
    for (accepted, text, coding) in [
        (None, "plain", None),
        (Some(""), "plain", None),
        (Some("identity"), "plain", None),
        (Some("gzip"), "gzipped", Some("gzip")),
        (Some("X-GZIP"), "gzipped", Some("gzip")),
        (Some("gzip, br"), "brotli", Some("br")),
        (Some("gzip, deflate, br, zstd"), "brotli", Some("br")),
        (Some("gzip;q=1.0, br;q=0.5"), "gzipped", Some("gzip")),
        (Some("br;q=0, gzip;q=0.001"), "gzipped", Some("gzip")),
        (Some("br;q=0, *"), "gzipped", Some("gzip")),
        (Some("*"), "brotli", Some("br")),
        (Some("*;q=0"), "plain", None),
        (Some("br;q=2, gzip;q=x"), "plain", None),
        (Some("identity;q=1, gzip;q=0.5"), "plain", None),
        (Some("zstd"), "plain", None),
    ] {
        let fields: Vec<_> = accepted.iter().map(|it| ("Accept-Encoding", *it)).collect();
        let response = get(&files, "/a.css", &fields).await;
        assert_eq!(response.text(), text, "{accepted:?}");
        assert_eq!(response.field("content-encoding"), coding, "{accepted:?}");
        assert_eq!(response.field("vary"), Some("Accept-Encoding"));
        let content_type = response.field("content-type");
        assert_eq!(content_type, Some("text/css; charset=utf-8"));
    }
    let br = get(&files, "/a.css", &[("Accept-Encoding", "br")]).await;
    let plain = get(&files, "/a.css", &[]).await;
    assert_ne!(br.field("etag"), plain.field("etag"));
    let fields = [
        ("Accept-Encoding", "br"),
        ("If-None-Match", br.field("etag").unwrap()),
    ];
    let again = get(&files, "/a.css", &fields).await;
    assert_eq!(again.status(), 304);
    assert_eq!(again.field("content-encoding"), None);
    assert_eq!(again.field("vary"), Some("Accept-Encoding"));
    let other = get(&files, "/b.css", &[("Accept-Encoding", "br, gzip")]).await;
    assert_eq!(
        (other.text(), other.field("content-encoding")),
        ("plain", None)
    );
}

#[tokio::test]
async fn a_field_that_cannot_be_sent_is_500() {
    let directory = Directory::new();
    directory.write("a.txt", "a");
    let files = Files::new(directory.root()).cache_control("a\r\nX: y");
    let response = get(&files, "/a.txt", &[]).await;
    assert_eq!((response.status(), response.content()), (500, &b""[..]));
}
