mod access;
mod cors;

use std::time::Duration;

use ajay_engine::StatusCode;

use super::{BodyLimit, CatchPanic, Id, RequestId, SecurityHeaders, Timeout};
use crate::testing::TestClient;
use crate::{Handler, Request, Router, RoutesHandler};

fn client(router: Router) -> TestClient<RoutesHandler> {
    TestClient::new(&router.build().expect("no conflict"))
}

async fn hello(_: Request) -> &'static str {
    "hello"
}

async fn late(_: Request) -> &'static str {
    tokio::time::sleep(Duration::from_secs(10)).await;
    "late"
}

#[tokio::test(start_paused = true)]
async fn a_late_handler_is_answered_for() {
    let after = Duration::from_secs(5);
    let routes = Router::new().get("/", hello).get("/late", late);
    let client = client(routes.wrap(Timeout::new(after)));
    assert_eq!(client.get("/").await.text(), "hello");
    let start = tokio::time::Instant::now();
    assert_eq!(client.get("/late").await.status(), 503);
    assert!(start.elapsed() >= after && start.elapsed() < after * 2);

    let timeout = Timeout::new(after).status(StatusCode::GATEWAY_TIMEOUT);
    let layered = TestClient::of(late.layer(timeout));
    assert_eq!(layered.get("/late").await.status(), 504);
}

#[tokio::test]
async fn too_much_content_is_refused() {
    let collect = async |mut request: Request| request.content().collect().await;
    let client = client(Router::new().post("/", collect).wrap(BodyLimit::new(4)));
    assert_eq!(client.post("/").content("1234").await.text(), "1234");
    assert_eq!(client.post("/").content("12345").await.status(), 413);
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n";
    assert_eq!(client.raw(chunked).await.status(), 413);
}

#[tokio::test]
async fn a_panic_has_the_applications_answer() {
    let router = Router::new()
        .get("/", hello)
        .get("/panic", async |_: Request| -> &str {
            panic!("on purpose")
        })
        .wrap(CatchPanic::new(|payload| {
            let text = payload.downcast_ref::<&str>().copied();
            (StatusCode::INTERNAL_SERVER_ERROR, text.unwrap_or("none"))
        }));
    let client = client(router);
    for _ in 0..2 {
        let response = client.get("/panic").await;
        assert_eq!((response.status(), response.text()), (500, "on purpose"));
        assert_eq!(client.get("/").await.text(), "hello");
    }
}

#[tokio::test]
async fn security_fields_are_added_and_a_handlers_own_stay() {
    let own = async |_: Request| crate::Response::ok("").with_field("Referrer-Policy", "origin");
    let headers = SecurityHeaders::new()
        .frame_options("")
        .content_security_policy("frame-ancestors 'none'")
        .hsts(Duration::from_secs(60), true);
    let client = client(Router::new().get("/", hello).get("/own", own).wrap(headers));
    let response = client.get("/").await;
    assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
    let policy = Some("strict-origin-when-cross-origin");
    assert_eq!(response.field("Referrer-Policy"), policy);
    assert_eq!(response.field("X-Frame-Options"), None);
    assert!(response.field("Content-Security-Policy").is_some());
    // Not over TLS.
    assert_eq!(response.field("Strict-Transport-Security"), None);
    let response = client.get("/own").await;
    assert_eq!(response.field("Referrer-Policy"), Some("origin"));
}

#[test]
#[should_panic(expected = "a\\nb")]
fn a_security_field_that_cannot_be_sent_is_refused() {
    let _ = SecurityHeaders::new().frame_options("a\nb");
}

#[tokio::test]
async fn each_request_has_an_id() {
    let id = async |request: Request| request.extension::<Id>().expect("an id").to_string();
    let ids = Router::new().get("/", id);
    let untrusting = client(ids.clone().wrap(RequestId::new()));
    let first = untrusting.get("/").field("X-Request-Id", "mine").await;
    let second = untrusting.get("/").await;
    assert_eq!(first.field("X-Request-Id"), Some(first.text()));
    assert_eq!(first.text().len(), 32);
    assert!(first.text().bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(first.text(), second.text());

    let trusting = client(ids.wrap(RequestId::new().trust_clients(true)));
    assert_eq!(
        trusting.get("/").field("X-Request-Id", "mine").await.text(),
        "mine"
    );
    let odd = trusting.get("/").field("X-Request-Id", "a b").await;
    assert_eq!(odd.text().len(), 32);
}
