use std::net::SocketAddr;
use std::task::{Context, Poll};

use ajay_engine::{BoxError, Limits};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, Json, Multipart, Path, Query, State};
use axum::http::{HeaderMap, Uri, Version, header};
use axum::response::{IntoResponse, Redirect, Sse, sse};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};

use super::{from_axum, from_tower};
use crate::testing::TestClient;

#[derive(Debug, Deserialize, Serialize)]
struct Thing {
    name: String,
    count: u32,
}

async fn parts(Path(id): Path<u32>, Query(thing): Query<Thing>) -> String {
    format!("{id} {} {}", thing.name, thing.count)
}

async fn uploaded(mut multipart: Multipart) -> String {
    let mut text = String::new();
    while let Ok(Some(field)) = multipart.next_field().await {
        let name = field.name().unwrap_or_default().to_owned();
        let content = field.bytes().await.map_or(0, |bytes| bytes.len());
        text.push_str(&format!("{name}={content};"));
    }
    text
}

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/things/{id}", get(parts))
        .route("/json", post(async |Json(thing): Json<Thing>| Json(thing)))
        .route("/form", post(async |Form(thing): Form<Thing>| thing.name))
        .route("/multipart", post(uploaded))
        .route(
            "/state",
            get(async |State(state): State<&'static str>| state),
        )
        .route(
            "/small",
            post(async |body: Bytes| body.len().to_string()).layer(DefaultBodyLimit::max(10)),
        )
        .route(
            "/length",
            post(async |body: Bytes| body.len().to_string()).layer(DefaultBodyLimit::disable()),
        )
        .route(
            "/uri",
            any(async |uri: Uri, version: Version| format!("{uri} {version:?}")),
        )
        .route(
            "/fields",
            get(async |headers: HeaderMap| {
                let lines = headers.iter();
                lines
                    .map(|(name, value)| format!("{name}: {}\n", value.as_bytes().escape_ascii()))
                    .collect::<String>()
            }),
        )
        .route("/redirect", get(async || Redirect::to("/elsewhere")))
        .route(
            "/cookies",
            get(async || {
                let both = [(header::SET_COOKIE, "a=1"), (header::SET_COOKIE, "b=2")];
                axum::response::AppendHeaders(both)
            }),
        )
        .route("/events", get(events))
        .with_state("shared")
}

async fn events() -> impl IntoResponse {
    let events = (0..3).map(|n| Ok::<_, BoxError>(sse::Event::default().data(n.to_string())));
    Sse::new(Several(events))
}

/// A stream of what an iterator has, with a pause before each.
struct Several<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Several<I> {
    type Item = I::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<I::Item>> {
        thread_local! { static IS_SECOND: std::cell::Cell<bool> = const { std::cell::Cell::new(false) } }
        if !IS_SECOND.replace(!IS_SECOND.get()) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.0.next())
    }
}

#[tokio::test]
async fn extractors_of_axum_find_what_they_look_for() {
    let client = TestClient::new(&from_tower(app()));
    assert_eq!(client.get("/").await.text(), "hello");
    let response = client.get("/things/7?name=a%20b&count=2").await;
    assert_eq!(response.text(), "7 a b 2");
    assert_eq!(client.get("/things/x?name=a&count=2").await.status(), 400);
    assert_eq!(client.get("/state").await.text(), "shared");
    let json = r#"{"name":"x","count":3}"#;
    let response = client
        .post("/json")
        .field("Content-Type", "application/json")
        .content(json)
        .await;
    assert_eq!((response.status(), response.text()), (200, json));
    assert_eq!(response.field("content-type"), Some("application/json"));
    assert_eq!(client.post("/json").content(json).await.status(), 415);
    let form = client
        .post("/form")
        .field("Content-Type", "application/x-www-form-urlencoded")
        .content("name=a+b&count=1");
    assert_eq!(form.await.text(), "a b");
    let content = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n12345\r\n--X--\r\n";
    let response = client
        .post("/multipart")
        .field("Content-Type", "multipart/form-data; boundary=X")
        .content(content)
        .await;
    assert_eq!(response.text(), "a=5;");
}

#[tokio::test]
async fn limits_are_answered_with_413() {
    let client = TestClient::new(&from_tower(app()));
    assert_eq!(
        client.post("/small").content("0123456789").await.text(),
        "10"
    );
    assert_eq!(
        client.post("/small").content("0123456789a").await.status(),
        413
    );
    // Ours, while the content is read.
    let handler = crate::Router::new().route(
        "/{*all}",
        crate::router::any(from_tower_handler()).content_bytes_max(100),
    );
    let client = TestClient::new(&handler.build().expect("no conflict"));
    let chunked = "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let ask = |bytes: usize| {
        let content = "x".repeat(bytes);
        client.raw(format!("{chunked}{bytes:x}\r\n{content}\r\n0\r\n\r\n"))
    };
    assert_eq!(ask(100).await.text(), "100");
    assert_eq!(ask(101).await.status(), 413);
}

/// The application inside a handler, as a part of a router of ours.
fn from_tower_handler() -> impl crate::Handler + Clone + Send + Sync {
    let service =
        crate::PerWorker::new(|| std::rc::Rc::new(crate::Application::handler(&from_tower(app()))));
    async move |request: crate::Request| crate::Handler::call(&*service.get(), request).await
}

#[tokio::test]
async fn fields_of_one_request_are_not_those_of_the_next() {
    let client = TestClient::new(&from_tower(app()));
    let response = client
        .get("/fields")
        .field("X-One", "1")
        .field("X-Two", b"\xff\x80")
        .field("X-One", "again");
    let text = "host: localhost\nx-one: 1\nx-one: again\nx-two: \\xff\\x80\n";
    let mut lines: Vec<String> = response.await.text().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines.join("\n") + "\n", text);
    assert_eq!(client.get("/fields").await.text(), "host: localhost\n");
}

#[tokio::test]
async fn uris_are_as_hyper_has_them() {
    let client = TestClient::new(&from_tower(app()));
    let texts = [
        (
            "GET /uri?a=%20b HTTP/1.1\r\nHost: h\r\n\r\n",
            "/uri?a=%20b HTTP/1.1",
        ),
        (
            "GET http://h/uri HTTP/1.1\r\nHost: h\r\n\r\n",
            "http://h/uri HTTP/1.1",
        ),
        ("GET /uri HTTP/1.0\r\n\r\n", "/uri HTTP/1.0"),
    ];
    for (request, text) in texts {
        assert_eq!(client.raw(request).await.text(), text);
    }
    // The path of this one is not one of the application's.
    let options = client.raw("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(options.status(), 404);
}

#[tokio::test]
async fn responses_arrive_as_they_are() {
    let client = TestClient::new(&from_tower(app()));
    let response = client.get("/redirect").await;
    assert_eq!(
        (response.status(), response.field("location")),
        (303, Some("/elsewhere"))
    );
    let response = client.get("/cookies").await;
    let cookies = response
        .fields()
        .iter()
        .filter(|(name, _)| *name == "set-cookie");
    let cookies: Vec<&[u8]> = cookies.map(|(_, value)| value).collect();
    assert_eq!(cookies, [b"a=1", b"b=2"]);
    let response = client.request(http::Method::HEAD, "/").await;
    assert_eq!((response.status(), response.text()), (200, ""));
    assert_eq!(response.field("content-length"), Some("5"));
    let response = client.get("/events").await;
    assert_eq!(response.text(), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    assert_eq!(response.field("transfer-encoding"), Some("chunked"));
    assert_eq!(client.get("/nowhere").await.status(), 404);
    assert_eq!(client.post("/").await.status(), 405);
}

#[tokio::test]
async fn bodies_that_fail_break_the_response_off() {
    struct Failing(u8);
    impl http_body::Body for Failing {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            self.0 += 1;
            Poll::Ready(Some(match self.0 {
                1 => Ok(http_body::Frame::data(Bytes::from_static(b"first"))),
                _ => Err("broken".into()),
            }))
        }
    }
    let app = Router::new().route("/", get(async || Body::new(Failing(0))));
    let response = TestClient::new(&from_tower(app)).get("/").await;
    assert_eq!(
        (response.text(), response.broken_off()),
        ("first", Some("broken"))
    );
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    use http_body::Frame;
    use http_body_util::BodyExt;

    /// Of a length that nobody knows: one that is known leaves no place for trailers.
    struct Frames(std::vec::IntoIter<Frame<Bytes>>);
    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.next().map(Ok))
        }
    }
    async fn echo(body: Body) -> Body {
        let collected = body.collect().await.expect("a body");
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let frames = vec![Frame::data(collected.to_bytes()), Frame::trailers(trailers)];
        Body::new(Frames(frames.into_iter()))
    }
    let app = Router::new().route("/", post(echo));
    let client = TestClient::new(&from_tower(app));
    let request = "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n";
    let response = client.raw(request).await;
    assert_eq!(response.text(), "abc");
    assert_eq!(response.trailers().get_name("x-sum"), Some(&b"7"[..]));
}

#[tokio::test]
async fn clients_have_addresses_and_extensions_come_along() {
    #[derive(Clone)]
    struct Mark(u8);
    let app = || {
        Router::new()
            .route(
                "/",
                get(async |ConnectInfo(address): ConnectInfo<SocketAddr>| address.to_string()),
            )
            .route(
                "/mark",
                get(async |Extension(Mark(mark)): Extension<Mark>| mark.to_string()),
            )
    };
    let address: SocketAddr = "192.0.2.7:999".parse().expect("an address");
    let client = TestClient::new(&from_axum(app())).peer_addr(address);
    assert_eq!(client.get("/").await.text(), "192.0.2.7:999");
    let marked = from_tower(app()).extension(|_, extensions| {
        extensions.insert(Mark(3));
    });
    assert_eq!(TestClient::new(&marked).get("/mark").await.text(), "3");
}

#[tokio::test]
async fn an_error_of_a_service_is_500_and_readiness_is_waited_for() {
    #[derive(Clone)]
    struct Slow(u32);
    impl tower_service::Service<http::Request<super::RequestBody>> for Slow {
        type Response = http::Response<Body>;
        type Error = BoxError;
        type Future = std::future::Ready<Result<http::Response<Body>, BoxError>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            self.0 += 1;
            if self.0 < 3 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<super::RequestBody>) -> Self::Future {
            assert!(self.0 >= 3, "it was ready");
            std::future::ready(match request.uri().path() {
                "/fails" => Err("no".into()),
                _ => Ok(http::Response::new(Body::from("ready"))),
            })
        }
    }
    let client = TestClient::new(&from_tower(Slow(0))).limits(Limits::default());
    assert_eq!(client.get("/").await.text(), "ready");
    assert_eq!(client.get("/fails").await.status(), 500);
}
