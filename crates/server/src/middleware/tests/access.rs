use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{client, hello, late};
use crate::middleware::{BasicAuth, RateLimit, RequestId, Timeout, Trace, Users};
use crate::testing::TestClient;
use crate::{Request, Router};

#[tokio::test]
async fn who_knows_the_password_is_let_in() {
    let users = Users::new().user("ada", "pa:ss").user("bob", "");
    let client = client(
        Router::new()
            .get("/", hello)
            .wrap(BasicAuth::new("a \"b\"", users)),
    );
    let response = client.get("/").await;
    assert_eq!(response.status(), 401);
    let challenge = response.field("WWW-Authenticate");
    assert_eq!(challenge, Some(r#"Basic realm="a \"b\"", charset="UTF-8""#));
    let cases = [
        ("Basic YWRhOnBhOnNz", 200),
        ("basic YWRhOnBhOnNz", 200),
        ("Basic Ym9iOg==", 200),
        ("Basic Ym9iOg", 200),
        // `ada:`, `ada:pa:st`, `ada`, and what is no Base64 or no UTF-8.
        ("Basic YWRhOg==", 401),
        ("Basic YWRhOnBhOnN0", 401),
        ("Basic YWRh", 401),
        ("Basic Y", 401),
        ("Basic *", 401),
        ("Basic", 401),
        ("Basic /////w==", 401),
        ("Bearer YWRhOnBhOnNz", 401),
    ];
    for (value, status) in cases {
        let response = client.get("/").field("Authorization", value).await;
        assert_eq!(response.status(), status, "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_has_its_tokens_and_gets_new_ones() {
    let routes = Router::new()
        .get("/", hello)
        .wrap(RateLimit::new(Duration::from_millis(1500), 2))
        .build()
        .expect("no conflict");
    let from =
        |address: &str| TestClient::new(&routes).peer_addr(address.parse().expect("an address"));
    let (one, other) = (from("[2001:db8::1]:1"), from("[2001:db8::2]:2"));
    assert_eq!(one.get("/").await.status(), 200);
    assert_eq!(other.get("/").await.status(), 200);
    let response = one.get("/").await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.field("Retry-After"), Some("2"));
    assert_eq!(from("[2001:db8:0:1::1]:1").get("/").await.status(), 200);
    tokio::time::advance(Duration::from_millis(1500)).await;
    assert_eq!(one.get("/").await.status(), 200);
    assert_eq!(one.get("/").await.status(), 429);
}

#[tokio::test(start_paused = true)]
async fn clients_beyond_the_table_drive_out_others() {
    let limit = RateLimit::new(Duration::from_secs(60), 1)
        .clients_max(16)
        .key(|request: &Request| request.query().map(str::to_owned));
    let client = client(Router::new().get("/", hello).wrap(limit.clone()));
    for number in 0..200 {
        assert_eq!(client.get(&format!("/?{number}")).await.status(), 200);
    }
    assert_eq!(client.get("/?199").await.status(), 429);
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status(), 200);
    }
    let shards = limit.table.shards.iter();
    let kept: usize = shards
        .map(|shard| shard.lock().expect("no panic").len())
        .sum();
    assert!((1..=16).contains(&kept), "{kept}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_traced_to_their_end() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let router = Router::new()
        .get("/users/{id}", hello)
        .get("/late", late)
        .wrap(RequestId::new().trust_clients(true))
        .wrap(Timeout::new(Duration::from_secs(1)))
        .wrap(Trace::new());
    let client = client(router);
    assert_eq!(
        client
            .get("/users/7")
            .field("X-Request-Id", "abc")
            .await
            .status(),
        200
    );
    assert_eq!(client.get("/late").await.status(), 503);
    let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let has = |line: &str, parts: &[&str]| parts.iter().all(|part| line.contains(part));
    let parts = [
        "INFO",
        "GET",
        "/users/{id}",
        "127.0.0.1:50000",
        "abc",
        "status=200",
    ];
    assert!(has(lines[0], &parts), "{text}");
    let parts = ["/late", "dropped unfinished", "duration_us=100"];
    assert!(has(lines[1], &parts), "{text}");
}
