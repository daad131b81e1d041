//! An application for the tests, on the public library only: a route for everything a handler can
//! do right or wrong.
//!
//! ```text
//! testserver [listen=ADDRESS] [threads=N] [LIMIT=VALUE]...     times in milliseconds, `off` allowed
//!            [tls_listen=ADDRESS tls_cert=FILE tls_key=FILE [tls_versions=1|2|3|all] [tls_version_min=1.3]
//!             [tls_clients_may=FILE | tls_clients_must=FILE]]
//! ```
//!
//! It prints `listening ADDRESS` when its first worker runs, the first of the addresses, those with TLS
//! last. Then it answers commands on standard input, one line each: `addresses`, `counters`,
//! `worker-requests`, `notes` (what handlers noted), `shutdown`, `stop`.

#![forbid(unsafe_code)]

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use ajay_blackbox::{FNV1A_START, Numbers, fnv1a_continued, pattern};
use ajayserver::tls::{ClientCertificates, VersionMin, Versions};
use ajayserver::{
    Body, BoxError, Builder, Congestion, ContentError, Counter, FieldSection, Handle,
    InformationalError, IntoResponse, ListenAddr, Request, Response, Retry, Server, StatusCode,
    StreamClosed, Tls, blocking, is_worker_process, send_informational,
};
use bytes::Bytes;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(match std::env::var_os("TESTSERVER_TRACE") {
            Some(_) => tracing_subscriber::filter::LevelFilter::TRACE,
            None => tracing_subscriber::filter::LevelFilter::WARN,
        })
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    silence_panics_on_purpose();
    match serve() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(4),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "testserver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<usize, String> {
    let mut builder = Server::builder()
        .threads(1)
        .drain_timeout(Duration::from_secs(5));
    let mut addresses = Vec::new();
    let mut tls = TlsSettings::default();
    let mut processes = 1;
    for argument in std::env::args().skip(1) {
        let (name, value) = argument
            .split_once('=')
            .ok_or_else(|| format!("{argument} is not NAME=VALUE"))?;
        if name == "listen" {
            addresses.push(value.to_owned());
        } else if let Some(name) = name.strip_prefix("tls_") {
            tls.set(name, value)?;
        } else if name == "processes" {
            processes = value.parse::<usize>().map_err(|error| error.to_string())?;
            builder = builder.processes(processes);
        } else {
            builder = set(builder, name, value)?;
        }
    }
    if addresses.is_empty() && tls.listen.is_empty() {
        addresses.push("127.0.0.1:0".to_owned());
    }
    for address in &addresses {
        builder = builder.listen(address).map_err(|error| error.to_string())?;
    }
    for address in &tls.listen {
        builder = builder.listen(address).map_err(|error| error.to_string())?;
        builder = builder.tls(tls.tls());
    }
    let server = builder.bind().map_err(|error| error.to_string())?;
    if std::env::var_os("TESTSERVER_FAIL_IN_PROCESS").is_some() && is_worker_process() {
        return Err("told to fail in a worker process".to_owned());
    }
    let app = App {
        handle: server.handle(),
        notes: Notes::default(),
        gate: Arc::default(),
        static_big: pattern(BIG).leak(),
    };
    let (handle, notes) = (server.handle(), app.notes.clone());
    let addresses: Vec<String> = server.local_addrs().iter().map(reachable).collect();
    let begin = move || {
        say(&format!("listening {}", addresses[0]));
        let (handle, notes, addresses) = (handle.clone(), notes.clone(), addresses.join(" "));
        std::thread::spawn(move || obey(&handle, &notes, &addresses));
    };
    let is_master = processes > 1 && !is_worker_process();
    if is_master {
        // Its signals are in place when a process answers.
        begin();
    }
    let summary = server.run_per_worker(move |number| {
        if number == 0 && processes == 1 {
            // Now everything is in place, the signals too.
            begin();
        }
        let app = app.clone();
        async move |request: Request| app.clone().answer(request).await
    });
    summary
        .map(|summary| summary.connections_cut)
        .map_err(|error| error.to_string())
}

/// How clients on this machine reach an address.
fn reachable(address: &ListenAddr) -> String {
    match address {
        ListenAddr::TcpAny(port) => format!("127.0.0.1:{port}"),
        address => address.to_string(),
    }
}

/// What the addresses of `tls_listen` speak.
#[derive(Default)]
struct TlsSettings {
    listen: Vec<String>,
    chain: String,
    key: String,
    versions: Versions,
    version_min: VersionMin,
    clients: ClientCertificates,
}

impl TlsSettings {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let text = || value.to_owned();
        match (name, value) {
            ("listen", _) => self.listen.push(text()),
            ("cert", _) => self.chain = text(),
            ("key", _) => self.key = text(),
            ("versions", "1") => self.versions = Versions::HTTP1,
            ("versions", "2") => self.versions = Versions::HTTP2,
            ("versions", "3") => self.versions = Versions::HTTP3,
            ("versions", "all") => self.versions = Versions::ALL,
            ("version_min", "1.3") => self.version_min = VersionMin::Tls13,
            ("clients_may", _) => self.clients = ClientCertificates::Optional(value.into()),
            ("clients_must", _) => self.clients = ClientCertificates::Required(value.into()),
            _ => return Err(format!("no setting tls_{name}={value}")),
        }
        Ok(())
    }

    fn tls(&self) -> Tls {
        Tls::files(&self.chain, &self.key)
            .versions(self.versions)
            .version_min(self.version_min)
            .client_certificates(self.clients.clone())
    }
}

/// Applies a setting.
fn set(builder: Builder, name: &str, value: &str) -> Result<Builder, String> {
    let number = || value.parse::<u64>().map_err(|_| format!("{name}={value}"));
    let off = value == "off";
    macro_rules! settings {
        (numbers: $($number:ident $type:ident)*; optional: $($optional:ident)*; times: $($time:ident)*;
         optional times: $($optional_time:ident)*; flags: $($flag:ident)*;) => {
            match name {
                $(stringify!($number) => builder.$number(narrow::<$type>(number()?)?),)*
                $(stringify!($optional) if off => builder.$optional(None),)*
                $(stringify!($optional) => builder.$optional(Some(narrow(number()?)?)),)*
                $(stringify!($time) => builder.$time(Duration::from_millis(number()?)),)*
                $(stringify!($optional_time) if off => builder.$optional_time(None),)*
                $(stringify!($optional_time) => {
                    builder.$optional_time(Duration::from_millis(number()?))
                })*
                $(stringify!($flag) => builder.$flag(value == "true"),)*
                "threads" => builder.threads(narrow(number()?)?),
                "quic_retry" if value == "always" => builder.quic_retry(Retry::Always),
                "quic_qlog_directory" => builder.quic_qlog_directory(std::path::PathBuf::from(value)),
                "quic_congestion" if value == "bbr" => builder.quic_congestion(Congestion::Bbr),
                _ => return Err(format!("no setting {name}")),
            }
        };
    }
    Ok(settings! {
        numbers: buffered_bytes_max usize head_bytes_max u32 target_bytes_max u32 trailer_bytes_max u32
            chunk_extension_bytes_max u32 content_bytes_max u64 content_buffer_bytes_max usize
            content_collected_bytes_max usize content_discarded_bytes_max u64 discard_rate_max usize backlog u32
            field_lines_max u16 trailer_lines_max u16 blocking_threads_max usize
            blocking_queue_max usize handshakes_max usize concurrent_streams_max u32
            waiting_streams_max usize lingering_max usize alt_svc_max_age u32
            qpack_table_bytes_max u32 qpack_blocked_streams_max u32;
        optional: connections_max connections_per_worker_max connections_per_address_max requests_per_connection_max
            rate_min notsent_lowat;
        times: rate_grace linger_timeout drain_delay drain_idle_timeout drain_timeout;
        optional times: handshake_timeout first_byte_timeout head_timeout content_timeout handler_timeout
            write_timeout crowded_timeout idle_timeout lifetime_max;
        flags: half_close send_date ipv6_only pin_workers http2_cleartext quic_steering quic_migration;
    })
}

/// A number as the type that a setting has.
fn narrow<T: TryFrom<u64>>(number: u64) -> Result<T, String> {
    T::try_from(number).map_err(|_| format!("{number} is too large here"))
}

/// Answers commands.
fn obey(handle: &Handle, notes: &Notes, addresses: &str) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.as_str() {
            "addresses" => say(addresses),
            "counters" => {
                let counters = handle.counters();
                let items = counters
                    .iter()
                    .map(|(counter, value)| format!("{}={value}", counter.name()));
                let open = format!("open={}", counters.open_connections());
                say(&items.chain([open]).collect::<Vec<_>>().join(" "));
            }
            "worker-requests" => {
                let workers = handle.worker_counters();
                let requests = workers.iter().map(|worker| {
                    let requests = worker.get(Counter::Requests);
                    requests.to_string()
                });
                say(&requests.collect::<Vec<_>>().join(" "));
            }
            "notes" => say(&format!("{};", notes.all().join(";"))),
            "shutdown" => {
                handle.shutdown();
                say("ok");
            }
            "stop" => {
                handle.stop();
                say("ok");
            }
            _ => say("no such command"),
        }
    }
}

/// One line to whoever started us; who may be gone.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

const ON_PURPOSE: &str = "on purpose";

/// Panics of the routes below stay off standard error, so that any other one is seen there.
fn silence_panics_on_purpose() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(ON_PURPOSE) {
            report(info);
        }
    }));
}

/// What handlers tell the tests behind the client's back.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

const NOTES_MAX: usize = 4096;

impl Notes {
    fn add(&self, note: impl Into<String>) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody asks for must not grow: attacks run for long.
        if notes.len() == NOTES_MAX {
            notes.clear();
        }
        notes.push(note.into());
    }

    fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Notes that it was dropped.
struct NoteOnDrop(Notes, &'static str);

impl Drop for NoteOnDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

/// Panics when it is dropped.
struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("{}", ON_PURPOSE);
    }
}

/// What stands before it on threads of the blocking pool goes on once it is open.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(open, |open| !*open));
    }
}

/// `n` pieces of 64 KiB, each of which can be told from all others.
fn numbered(pieces: usize) -> Response {
    let body = Body::stream(async move |mut writer| {
        let mut numbers = Numbers::default();
        for _ in 0..pieces {
            writer.write(numbers.next_piece()).await?;
        }
        writer.finish();
        Ok::<_, StreamClosed>(())
    });
    Response::ok(body)
}

/// Informational responses: `n` of them, the first at once and each other after `pause`, and then the
/// response; `/style.css` and so on.
async fn hints(query: &Query) -> Response {
    for number in 0..query.number("n") {
        if number > 0 {
            tokio::time::sleep(query.time("pause")).await;
        }
        let mut fields = FieldSection::new();
        let link = format!("</{number}.css>; rel=preload; as=style");
        let appended = fields.append("Link", link.as_bytes());
        let appended = appended.and_then(|()| fields.append("Content-Length", b"5"));
        if appended.is_err() || send_informational(StatusCode::EARLY_HINTS, fields).is_err() {
            return Response::new(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
    let is_refused = send_informational(StatusCode::OK, FieldSection::new()).is_err();
    let task = async { send_informational(StatusCode::PROCESSING, FieldSection::new()) };
    match tokio::task::spawn_local(task).await {
        Ok(Err(InformationalError::NotInHandler)) if is_refused => "hinted\n".into_response(),
        _ => Response::new(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

const BIG: usize = 1024 * 1024;

#[derive(Clone)]
struct App {
    handle: Handle,
    notes: Notes,
    gate: Arc<Gate>,
    static_big: &'static [u8],
}

impl App {
    async fn answer(self, mut request: Request) -> Response {
        let query = Query::of(&request);
        let path = request.path().to_owned();
        match path.as_str() {
            "/" | "/hello" => "Hello, world!\n".into_response(),
            "/protocols" => Response::ok(PROTOCOLS)
                .with_field("Content-Type", "text/html; charset=utf-8")
                .into_response(),
            "/target" => format!("{} {}\n", request.method(), request.target()).into_response(),
            "/fields" => fields(&request),
            "/connection" => format!(
                "{} {:?} {:?} {:?}\n",
                request.peer_addr(),
                request.local_addr(),
                request.version(),
                request.authority(),
            )
            .into_response(),
            "/tls" => tls(&request),
            "/slow" => {
                self.notes.add("slow begun");
                tokio::time::sleep(query.time("ms")).await;
                "slow\n".into_response()
            }
            "/pid" => format!("{}\n", std::process::id()).into_response(),
            "/draining" => format!("{}\n", self.handle.is_draining()).into_response(),
            "/shutdown" => {
                self.handle.shutdown();
                "shutting down\n".into_response()
            }
            "/hang" => {
                // Blocks its worker, as no handler should.
                std::thread::sleep(Duration::from_secs(3600));
                "woke up\n".into_response()
            }
            "/never" => {
                let _note = NoteOnDrop(self.notes.clone(), "never dropped");
                self.notes.add("never begun");
                std::future::pending().await
            }
            "/hints" => hints(&query).await,
            "/numbered" => numbered(query.number("n")),
            "/never-panic-on-drop" => {
                let _panic = PanicOnDrop;
                self.notes.add("never begun");
                std::future::pending().await
            }
            "/panic" => panic!("{}", ON_PURPOSE),
            "/panic-later" => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                panic!("{}", ON_PURPOSE)
            }
            "/status" => {
                let code = StatusCode::from_u16(query.number("code") as u16);
                let body = query.text("body").unwrap_or_default().to_owned();
                Response::new(code.unwrap_or(StatusCode::BAD_REQUEST)).with_body(body)
            }
            "/big" => pattern(query.number("bytes")).into_response(),
            "/static-big" => self.static_big.into_response(),
            "/close" => with_field("Connection", "close"),
            "/connection-option" => with_field("Connection", "x-option, Keep-Alive"),
            "/own-fields" => own_fields(),
            "/bad-field" => with_field("X-Evil", "a\r\nSet-Cookie: b"),
            "/wrong-length" => with_field("Content-Length", "5"),
            "/transfer-encoding" => with_field("Transfer-Encoding", "chunked"),
            "/early-413" => Response::new(StatusCode::PAYLOAD_TOO_LARGE),
            "/ignore" => "ignored\n".into_response(),
            "/ignore-late" => {
                tokio::time::sleep(query.time("ms")).await;
                drop(request);
                "ignored\n".into_response()
            }
            "/collect" => match request.content().collect().await {
                Ok(content) => digest(&content),
                Err(error) => self.content_failed(error),
            },
            "/collect-after" => {
                tokio::time::sleep(query.time("ms")).await;
                match request.content().collect().await {
                    Ok(content) => digest(&content),
                    Err(error) => self.content_failed(error),
                }
            }
            "/read" => self.read(request, query.time("pause")).await,
            "/read-elsewhere" => {
                // The handler itself is not woken while the content is read.
                let reading = self.read(request, query.time("pause"));
                let response = tokio::task::spawn_local(reading).await;
                response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
            }
            "/read-later" => self.read_later(request),
            "/echo" => Response::ok(Body::from_http_body(request.take_content())),
            "/blocking-read" => {
                let status = tokio::task::spawn_blocking(|| std::fs::read("/proc/self/status"));
                match status.await {
                    Ok(Ok(status)) => status.into_response(),
                    _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                }
            }
            path if path.starts_with("/blocking") => self.block(path).await,
            "/stream-shared" => self.stream_shared(query.number("n")),
            path if path.starts_with("/stream") => self.stream(path, &query),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn content_failed(&self, error: ContentError) -> Response {
        self.notes.add(format!("content {error:?}"));
        error.into_response()
    }

    /// Reads piece by piece with a pause after each.
    async fn read(self, mut request: Request, pause: Duration) -> Response {
        let _note = NoteOnDrop(self.notes.clone(), "read dropped");
        self.notes.add("read begun");
        let (mut len, mut hash) = (0, FNV1A_START);
        while let Some(data) = request.content().data().await {
            match data {
                Ok(data) => {
                    len += data.len();
                    hash = fnv1a_continued(hash, &data);
                }
                Err(error) => return self.content_failed(error),
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        let trailers = request.content().trailers().map_or(0, FieldSection::len);
        format!("{len} {hash:016x} {trailers}\n").into_response()
    }

    /// Answers at once, and reads the content in a task of its own, which the engine must not
    /// leave hanging.
    fn read_later(self, mut request: Request) -> Response {
        let mut content = request.take_content();
        tokio::task::spawn_local(async move {
            let end = content.collect().await;
            self.notes.add(match end {
                Ok(content) => format!("later {}", content.len()),
                Err(error) => format!("later {error:?}"),
            });
        });
        "later\n".into_response()
    }

    /// Blocking work that waits at the gate, opens it, or panics.
    async fn block(self, path: &str) -> Response {
        let (notes, gate) = (self.notes, self.gate);
        match path {
            "/blocking-wait" => {
                let wait = move || {
                    notes.add("wait begun");
                    gate.pass();
                    notes.add("wait ended");
                    "waited\n"
                };
                blocking(wait).await.into_response()
            }
            "/blocking-open" => {
                gate.open();
                "open\n".into_response()
            }
            "/blocking-panic" => {
                let result: Result<(), _> = blocking(|| panic!("{}", ON_PURPOSE)).await;
                result.into_response()
            }
            "/blocking-elsewhere" => {
                let elsewhere = std::thread::spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.map(|runtime| runtime.block_on(blocking(|| "ran\n")))
                });
                match elsewhere.join() {
                    Ok(Ok(result)) => result.into_response(),
                    other => format!("{other:?}\n").into_response(),
                }
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    /// `n` pieces of 64 KiB that all responses share: a stream that costs its handler no memory.
    fn stream_shared(&self, pieces: usize) -> Response {
        let piece: &'static [u8] = &self.static_big[..64 * 1024];
        Response::ok(Body::stream(async move |mut writer| {
            for _ in 0..pieces {
                writer.write(Bytes::from_static(piece)).await?;
            }
            writer.finish();
            Ok::<_, StreamClosed>(())
        }))
    }

    /// Streamed responses: `n` pieces of `bytes` bytes with `pause` after each, and then an end
    /// that depends on the path.
    fn stream(&self, path: &str, query: &Query) -> Response {
        let end = path.trim_start_matches("/stream").to_owned();
        let (pieces, bytes) = (query.number("n"), query.number("bytes").max(1));
        let pause = query.time("pause");
        let note = NoteOnDrop(self.notes.clone(), "stream dropped");
        let notes = self.notes.clone();
        let write_end = end.clone();
        let body = Body::stream(async move |mut writer| {
            let _note = note;
            let all = pattern(bytes);
            for _ in 0..pieces {
                writer.write(all.clone()).await?;
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            notes.add("stream written");
            match write_end.as_str() {
                "-abort" => return Err("the application gave up".into()),
                "-drop" => {}
                "-panic" => panic!("{}", ON_PURPOSE),
                "-never" => std::future::pending().await,
                "-trailers" => {
                    let mut trailers = FieldSection::new();
                    trailers.append("X-Pieces", pieces.to_string())?;
                    // It may not stand in a trailer section.
                    trailers.append("Set-Cookie", "a=b")?;
                    writer.finish_with_trailers(trailers);
                }
                _ => writer.finish(),
            }
            Ok::<_, BoxError>(())
        });
        let response = Response::ok(body);
        match end.as_str() {
            "-length" | "-length-abort" => {
                let length = query.number("length").to_string();
                response
                    .with_field("Content-Length", length)
                    .into_response()
            }
            "-panic-at-once" => Response::ok(Body::stream(async |_writer| {
                panic!("{}", ON_PURPOSE);
                #[allow(unreachable_code)]
                Ok::<_, StreamClosed>(())
            })),
            _ => response,
        }
    }
}

/// A page that asks for something again and again for some seconds, and says by which protocols it came. It is
/// loaded when its picture is, which takes longer.
const PROTOCOLS: &str = "<!doctype html><meta charset=utf-8><title>Protocols</title>
<style>body{font:14px sans-serif;margin:8px}</style>
<p>This page came by <b id=first></b>. What it asked for after that: <b id=seen>nothing</b>.
<img src='/slow?ms=4000' alt=''>
<script>
    const navigation = performance.getEntriesByType('navigation')[0];
    document.getElementById('first').textContent = navigation.nextHopProtocol;
    const seen = [];
    let number = 0;
    const ask = async () => {
        const url = new URL('/hello?' + number++, location);
        await (await fetch(url)).text();
        const [entry] = performance.getEntriesByName(url.href);
        if (entry && seen.at(-1) !== entry.nextHopProtocol) seen.push(entry.nextHopProtocol);
        document.getElementById('seen').textContent = seen.join(', then ');
        setTimeout(ask, 100);
    };
    ask();
</script>
";

fn digest(content: &[u8]) -> Response {
    let hash = fnv1a_continued(FNV1A_START, content);
    format!("{} {hash:016x}\n", content.len()).into_response()
}

fn with_field(name: &str, value: &str) -> Response {
    Response::ok("ok\n").with_field(name, value).into_response()
}

fn own_fields() -> Response {
    let fields = [
        ("Server", "mine"),
        ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("Content-Type", "text/x-mine"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Content-Length", "3"),
    ];
    let mut response = Response::ok("ok\n");
    for (name, value) in fields {
        if let Err(error) = response.append(name, value) {
            return error.into_response();
        }
    }
    response
}

/// Every field line that was received.
fn fields(request: &Request) -> Response {
    let mut text = String::new();
    for (name, value) in request.fields().iter() {
        text.push_str(&format!("{name}: {}\n", value.escape_ascii()));
    }
    text.into_response()
}

/// What was agreed on below HTTP.
fn tls(request: &Request) -> Response {
    let Some(tls) = request.tls() else {
        return "cleartext\n".into_response();
    };
    let alpn = tls.alpn().map(|name| name.escape_ascii().to_string());
    format!(
        "{:?} {} {} {}\n",
        tls.version(),
        alpn.unwrap_or_default(),
        tls.sni().unwrap_or_default(),
        // Some clients send their authority's along.
        tls.peer_certificates().len().min(1),
    )
    .into_response()
}

/// The query of a request, as `name=value` pairs.
struct Query(String);

impl Query {
    fn of(request: &Request) -> Query {
        Query(request.query().unwrap_or_default().to_owned())
    }

    fn text(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    }

    fn number(&self, name: &str) -> usize {
        self.text(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    fn time(&self, name: &str) -> Duration {
        Duration::from_millis(self.number(name) as u64)
    }
}
