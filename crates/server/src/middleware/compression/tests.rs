use std::io::Read;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use ajay_engine::{ContentType, StreamClosed};
use http_body::Body as _;

use super::*;
use crate::testing::{TestClient, TestResponse};
use crate::{Router, RoutesHandler};

/// Text of which no two lines are the same.
fn text(bytes: usize) -> String {
    let mut text = String::new();
    let mut number = 1_u64;
    while text.len() < bytes {
        number = number.wrapping_mul(6_364_136_223_846_793_005) + 1;
        text += &format!("line {number} of some text\n");
    }
    text.truncate(bytes);
    text
}

/// As much as can be decoded, and whether that is all of it.
fn decoded(coding: &str, content: &[u8]) -> (Vec<u8>, bool) {
    let mut reader: Box<dyn Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(content)),
        "br" => Box::new(brotli::Decompressor::new(content, 4096)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(content).expect("a decoder")),
        _ => panic!("{coding}"),
    };
    let mut bytes = Vec::new();
    let is_complete = reader.read_to_end(&mut bytes).is_ok();
    (bytes, is_complete)
}

fn all_of(response: &TestResponse) -> Vec<u8> {
    assert_eq!(response.broken_off(), None);
    match response.field("Content-Encoding") {
        Some(coding) => {
            let (bytes, is_complete) = decoded(coding, response.content());
            assert!(is_complete);
            bytes
        }
        None => response.content().to_owned(),
    }
}

fn client(router: Router, compression: Compression) -> TestClient<RoutesHandler> {
    TestClient::new(&router.wrap(compression).build().expect("no conflict"))
}

/// As long as its query says: at once at `/`, in pieces at `/pieces`.
fn sized() -> Router {
    let len = |request: &Request| request.query().and_then(|it| it.parse().ok()).unwrap_or(0);
    Router::new()
        .get("/", async move |request: Request| text(len(&request)))
        .get("/pieces", async move |request: Request| {
            let text = text(len(&request));
            let response = Response::stream(async move |mut writer| {
                for piece in text.as_bytes().chunks(10_000) {
                    writer.write(piece.to_vec()).await?;
                }
                writer.finish();
                Ok::<_, StreamClosed>(())
            });
            response.with_content_type(ContentType::TEXT)
        })
}

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

#[tokio::test]
async fn content_of_all_sizes_comes_out_as_it_went_in() {
    let client = client(sized(), Compression::new());
    for coding in CODINGS {
        for path in ["/", "/pieces"] {
            for len in [
                1024,
                5000,
                32 * 1024,
                WHOLE_BYTES_MAX,
                WHOLE_BYTES_MAX + 1,
                400_000,
            ] {
                let target = format!("{path}?{len}");
                let response = client.get(&target).field("Accept-Encoding", coding).await;
                let what = format!("{coding} {target}");
                assert_eq!(response.field("Content-Encoding"), Some(coding), "{what}");
                assert!(all_of(&response) == text(len).as_bytes(), "{what}");
                assert!(response.content().len() < len / 2, "{what}");
                let has_length = response.field("Content-Length").is_some();
                assert_eq!(has_length, path == "/" && len <= WHOLE_BYTES_MAX, "{what}");
                assert_eq!(response.field("Vary"), Some("Accept-Encoding"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn the_client_chooses() {
    let all = client(sized(), Compression::new());
    let gzip = client(sized(), Compression::new().brotli(None).zstd(None));
    let cases = [
        (&all, "gzip, deflate, br, zstd", Some("zstd")),
        (&all, "gzip, deflate, br", Some("br")),
        (&all, "gzip;q=1, br;q=0.5", Some("gzip")),
        (&all, "*", Some("zstd")),
        (&all, "identity, gzip;q=0.9", None),
        (&all, "deflate", None),
        // Nothing that we have: as it is, and no 406.
        (&all, "identity;q=0, *;q=0", None),
        (&gzip, "gzip, br, zstd", Some("gzip")),
        (&gzip, "br, zstd", None),
    ];
    for (client, accepted, coding) in cases {
        let response = client
            .get("/?3000")
            .field("Accept-Encoding", accepted)
            .await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.field("Content-Encoding"), coding, "{accepted}");
        assert_eq!(response.field("Vary"), Some("Accept-Encoding"));
        assert_eq!(all_of(&response), text(3000).as_bytes());
    }
}

#[tokio::test]
async fn head_has_the_fields_of_get() {
    let client = client(sized(), Compression::new());
    for target in ["/?100", "/?5000", "/?100000", "/pieces?5000"] {
        for accepted in ["gzip", "identity"] {
            let get = client.get(target).field("Accept-Encoding", accepted).await;
            let head = client.request(Method::HEAD, target);
            let head = head.field("Accept-Encoding", accepted).await;
            // HTTP/1 says how content is framed only where there is some.
            let shown = |response: &TestResponse| {
                let mut fields = response.fields().clone();
                fields.remove("Transfer-Encoding");
                format!("{fields:?}")
            };
            assert_eq!(shown(&head), shown(&get), "{target} {accepted}");
            assert_eq!(head.content(), b"");
        }
    }
}

/// A response with these fields and enough text.
fn with(status: StatusCode, fields: &[(&str, &str)]) -> Response {
    let mut response = Response::ok(text(3000)).with_status(status);
    for (name, value) in fields {
        response.append(name, value).expect("a field");
    }
    response
}

async fn answer(response: Response, fields: &[(&str, &str)]) -> TestResponse {
    let response = std::cell::RefCell::new(Some(response));
    let response = Rc::new(response);
    let next = crate::recycled::from_fn(move |_| {
        let response = response.take().expect("asked once");
        async move { response }
    });
    let next = super::super::wrapped(Compression::new(), next);
    let client = TestClient::of(Running(next));
    let mut request = client.get("/").field("Accept-Encoding", "gzip");
    for (name, value) in fields {
        request = request.field(name, value);
    }
    request.await
}

struct Running(Rc<dyn crate::recycled::AnyHandler>);

impl crate::Handler for Running {
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<> {
        crate::recycled::run(&self.0, request)
    }
}

#[tokio::test]
async fn some_responses_stay_as_they_are() {
    let plain = ("Content-Type", "text/plain");
    let ok = StatusCode::OK;
    let cases: [(StatusCode, &[(&str, &str)]); 14] = [
        (
            StatusCode::PARTIAL_CONTENT,
            &[plain, ("Content-Range", "bytes 0-2999/9000")],
        ),
        (StatusCode::PARTIAL_CONTENT, &[plain]),
        (
            StatusCode::RANGE_NOT_SATISFIABLE,
            &[plain, ("Content-Range", "bytes */9000")],
        ),
        (ok, &[plain, ("Content-Encoding", "br")]),
        (ok, &[plain, ("Content-Digest", "sha-256=:AAAA:")]),
        (ok, &[plain, ("Digest", "sha-256=AAAA")]),
        (ok, &[plain, ("Cache-Control", "public, No-Transform")]),
        (ok, &[("Content-Type", "image/png")]),
        (ok, &[("Content-Type", "video/mp4")]),
        (ok, &[("Content-Type", "font/woff2")]),
        (ok, &[("Content-Type", "application/zip")]),
        (ok, &[("Content-Type", "text/event-stream")]),
        (ok, &[("Content-Type", "multipart/byteranges; boundary=a")]),
        (ok, &[]),
    ];
    for (status, fields) in cases {
        let response = answer(with(status, fields), &[]).await;
        let encoding = fields.iter().find(|(name, _)| *name == "Content-Encoding");
        let encoding = encoding.map(|(_, value)| *value);
        assert_eq!(response.field("Content-Encoding"), encoding, "{fields:?}");
        assert_eq!(response.content(), text(3000).as_bytes(), "{fields:?}");
        assert_eq!(response.field("Vary"), None, "{fields:?}");
    }
    let nothing = Response::new(StatusCode::NO_CONTENT).with_field("Content-Type", "text/plain");
    let response = answer(nothing.expect("a field"), &[]).await;
    assert_eq!(
        (response.field("Content-Encoding"), response.field("Vary")),
        (None, None)
    );
}

#[tokio::test]
async fn media_types_are_known_or_told() {
    let worth = [
        "text/html; charset=utf-8",
        "TEXT/CSS",
        "application/json",
        "application/problem+json",
        "application/javascript",
        "application/wasm",
        "image/svg+xml",
        "font/ttf",
        "application/atom+xml;type=feed",
    ];
    for value in worth {
        let response = answer(with(StatusCode::OK, &[("Content-Type", value)]), &[]).await;
        assert_eq!(response.field("Content-Encoding"), Some("gzip"), "{value}");
    }
    let events = async |_: Request| {
        Response::ok(text(3000)).with_content_type(ContentType::new("text/event-stream"))
    };
    let compression = Compression::new().media_type("Text/Event-Stream");
    let client = client(Router::new().get("/", events), compression);
    let response = client.get("/").field("Accept-Encoding", "br").await;
    assert_eq!(response.field("Content-Encoding"), Some("br"));
}

#[tokio::test]
async fn fields_that_are_no_longer_true_change() {
    let fields = [
        ("Content-Type", "text/plain"),
        ("Content-Length", "3000"),
        ("ETag", "\"a\""),
        ("Accept-Ranges", "bytes"),
        ("Vary", "Origin"),
    ];
    let response = answer(with(StatusCode::OK, &fields), &[]).await;
    assert_eq!(all_of(&response), text(3000).as_bytes());
    assert_eq!(response.field("ETag"), Some("W/\"a\""));
    assert_eq!(response.field("Accept-Ranges"), None);
    assert_eq!(response.field("Vary"), Some("Origin, Accept-Encoding"));
    let length = response.field("Content-Length").expect("known");
    assert_eq!(length, response.content().len().to_string());
    for vary in ["*", "accept-encoding", "Origin, Accept-Encoding"] {
        let fields = [
            ("Content-Type", "text/plain"),
            ("Vary", vary),
            ("ETag", "W/\"a\""),
        ];
        let response = answer(with(StatusCode::OK, &fields), &[]).await;
        assert_eq!(response.field("Vary"), Some(vary));
        assert_eq!(response.field("ETag"), Some("W/\"a\""));
    }
}

#[tokio::test]
async fn a_304_has_the_tag_that_the_client_has() {
    for (asked, tag) in [
        ("W/\"a\"", "W/\"a\""),
        ("\"b\", W/\"a\"", "W/\"a\""),
        ("\"a\"", "\"a\""),
        ("W/\"b\"", "\"a\""),
        ("*", "\"a\""),
    ] {
        let response = Response::new(StatusCode::NOT_MODIFIED).with_field("ETag", "\"a\"");
        let response = answer(response.expect("a field"), &[("If-None-Match", asked)]).await;
        assert_eq!(response.status(), 304);
        assert_eq!(response.field("ETag"), Some(tag), "{asked}");
        assert_eq!(response.field("Content-Encoding"), None);
    }
}

#[tokio::test]
async fn what_does_not_become_smaller_stays() {
    let random: Vec<u8> = (0..2000_u64)
        .map(|it| (std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), it)) as u8)
        .collect();
    let response = Response::ok(random.clone()).with_content_type(ContentType::TEXT);
    let response = answer(response, &[]).await;
    assert_eq!(response.field("Content-Encoding"), None);
    assert_eq!(response.field("Vary"), Some("Accept-Encoding"));
    assert_eq!(response.content(), random);
}

fn compressed(body: Body, coding: Coding) -> Compressed {
    let encoder = Encoder::new(coding, &Levels::default(), body.exact_len());
    let permit = Permit::take(usize::MAX).expect("no limit");
    Compressed::new(body, encoder.expect("an encoder"), permit)
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// All that comes before it has to wait for its source, and how often others had their turn.
fn drain(body: &mut Compressed) -> (Vec<u8>, usize) {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let (mut bytes, mut turns) = (Vec::new(), 0);
    loop {
        match pin!(&mut *body).poll_frame(&mut cx) {
            Poll::Ready(Some(frame)) => {
                let data = frame.expect("no error").into_data().expect("no trailers");
                assert!(!data.is_empty());
                bytes.extend_from_slice(&data);
            }
            Poll::Ready(None) => return (bytes, turns),
            Poll::Pending if woken.0.swap(false, Ordering::Relaxed) => turns += 1,
            Poll::Pending => return (bytes, turns),
        }
    }
}

#[test]
fn what_was_written_leaves_when_the_handler_pauses() {
    for (coding, name) in [Coding::Gzip, Coding::Brotli, Coding::Zstd]
        .into_iter()
        .zip(CODINGS)
    {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<String>();
        let body = Body::stream(async move |mut writer| {
            while let Some(text) = receiver.recv().await {
                writer.write(text).await?;
            }
            writer.finish();
            Ok::<_, StreamClosed>(())
        });
        let mut body = compressed(body, coding);
        let (mut content, mut sent) = (Vec::new(), String::new());
        for number in 0..5 {
            // The first is one byte; and nothing more than once.
            let text = text(1 + 5000 * number);
            sent += &text;
            sender.send(text).expect("it is read");
            content.extend(drain(&mut body).0);
            assert_eq!(drain(&mut body).0, b"", "{name}");
            let (bytes, is_complete) = decoded(name, &content);
            assert_eq!(String::from_utf8_lossy(&bytes), sent, "{name} {number}");
            assert!(!is_complete, "{name}");
        }
        drop(sender);
        content.extend(drain(&mut body).0);
        assert_eq!(decoded(name, &content), (sent.into_bytes(), true), "{name}");
    }
}

#[test]
fn others_have_their_turn_between_slices() {
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        let zeros = Body::from(vec![0; 64 * SLICE_BYTES]);
        let (content, turns) = drain(&mut compressed(zeros, coding));
        assert!(turns >= 64, "{coding:?}: {turns}");
        let (bytes, is_complete) = decoded(coding.name(), &content);
        assert!(is_complete && bytes.len() == 64 * SLICE_BYTES);
        // Tiny pieces count as well.
        let tiny = Body::stream(async |mut writer| {
            for _ in 0..5000 {
                writer.write("a").await?;
            }
            writer.finish();
            Ok::<_, StreamClosed>(())
        });
        assert!(drain(&mut compressed(tiny, coding)).1 >= 5000 * 64 / SLICE_BYTES);
    }
}

#[test]
fn trailers_pass() {
    let mut trailers = FieldSection::new();
    trailers.append("X-Sum", "7").expect("a field");
    let body = Body::stream(async |mut writer| {
        writer.write("a").await?;
        writer.finish_with_trailers(trailers);
        Ok::<_, StreamClosed>(())
    });
    let mut body = compressed(body, Coding::Gzip);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Ok(data))) = pin!(&mut body).poll_frame(&mut cx) else {
        panic!("no data");
    };
    let data = data.into_data().expect("data");
    assert_eq!(decoded("gzip", &data), (b"a".to_vec(), true));
    let Poll::Ready(Some(Ok(frame))) = pin!(&mut body).poll_frame(&mut cx) else {
        panic!("no trailers");
    };
    assert_eq!(frame.into_trailers().expect("trailers")["x-sum"], "7");
    assert!(drain(&mut body).0.is_empty());
}

#[tokio::test]
async fn a_stream_that_fails_is_not_ended() {
    let failing = async |_: Request| {
        let response = Response::stream(async |mut writer| {
            writer.write(text(3000)).await?;
            Err::<(), crate::BoxError>("on purpose".into())
        });
        response.with_content_type(ContentType::TEXT)
    };
    let client = client(Router::new().get("/", failing), Compression::new());
    for coding in CODINGS {
        let response = client.get("/").field("Accept-Encoding", coding).await;
        assert_eq!(response.field("Content-Encoding"), Some(coding));
        assert_eq!(response.broken_off(), Some("on purpose"));
        assert!(!decoded(coding, response.content()).1);
    }
}

#[test]
fn a_worker_compresses_so_many_at_a_time() {
    let compression = Compression::new().streams_max(2);
    let whether = |kept: &mut Vec<Body>| {
        let inner = Body::stream(async |_| Ok::<_, StreamClosed>(()));
        let (body, is_changed) = compression.stream(inner, Coding::Gzip);
        kept.push(body);
        is_changed
    };
    let mut kept = Vec::new();
    assert!(whether(&mut kept) && whether(&mut kept));
    assert!(!whether(&mut kept));
    kept.remove(0);
    assert!(whether(&mut kept));
    assert!(!whether(&mut kept));
}

#[test]
fn a_body_that_is_dropped_drops_what_makes_it() {
    let guard = Rc::new(());
    let held = Rc::clone(&guard);
    let body = Body::stream(async move |mut writer| {
        let _held = held;
        writer.write("a").await?;
        std::future::pending::<Result<(), StreamClosed>>().await
    });
    let mut body = compressed(body, Coding::Zstd);
    assert!(!drain(&mut body).0.is_empty());
    assert_eq!(Rc::strong_count(&guard), 2);
    drop(body);
    assert_eq!(Rc::strong_count(&guard), 1);
}

#[test]
#[should_panic(expected = "levels 1 to 9")]
fn a_level_that_there_is_not_is_refused() {
    let _ = Compression::new().gzip(10);
}
