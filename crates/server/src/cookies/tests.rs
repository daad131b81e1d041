use super::*;
use crate::testing::{TestClient, TestResponse};
use crate::{IntoResponse, StatusCode};

async fn set(make: impl Fn() -> Cookie<'static> + Clone + Send + Sync + 'static) -> TestResponse {
    let handler = async move |_: Request| (StatusCode::CREATED, make(), "set");
    TestClient::new(&handler).get("/").await
}

#[tokio::test]
async fn cookies_of_all_lines_are_there() {
    let handler = async |request: Request| {
        let all = request.cookies();
        let all: Vec<String> = all
            .map(|it| format!("{}={}", it.name(), it.value()))
            .collect();
        format!(
            "{} | {:?} {:?} {:?}",
            all.join(" "),
            request.cookie("a"),
            request.cookie("q"),
            request.cookie("none")
        )
    };
    let client = TestClient::new(&handler);
    let request = client
        .get("/")
        .field("Cookie", "a=1; b=x=y;; =z; junk; q=\"7\"");
    let response = request.field("Cookie", "c=3; a=2").await;
    assert_eq!(
        response.text(),
        "a=1 b=x=y q=\"7\" c=3 a=2 | Some(\"1\") Some(\"7\") None"
    );
    let response = client.get("/").await;
    assert_eq!(response.text(), " | None None None");
    let response = client.get("/").field("Cookie", b"a=\xff").await;
    assert_eq!(response.text(), " | None None None");
}

#[tokio::test]
async fn cookies_are_set_with_what_belongs_to_them() {
    let response = set(|| {
        Cookie::build(("id", "7f3a"))
            .path("/app")
            .domain("a.example")
            .secure(true)
            .http_only(true)
            .same_site(SameSite::Strict)
            .max_age(time::Duration::hours(1))
            .build()
    })
    .await;
    assert_eq!(response.status(), 201);
    assert_eq!(
        response.field("set-cookie"),
        Some(
            "id=7f3a; HttpOnly; SameSite=Strict; Secure; Path=/app; Domain=a.example; Max-Age=3600"
        )
    );
    let handler = async |_: Request| {
        let mut gone = Cookie::build(("old", "")).path("/").build();
        gone.make_removal();
        let many = [Cookie::new("a", "1"), gone];
        let more = vec![Cookie::new("b", "\"2\"")];
        let mut response = (many, more, "x").into_response();
        response.set_cookie(&Cookie::new("c", "3")).unwrap();
        response
    };
    let response = TestClient::new(&handler).get("/").await;
    let all: Vec<_> = response.fields().get_all(KnownField::SetCookie).collect();
    assert_eq!(all.len(), 4);
    assert_eq!(
        (all[0], all[2], all[3]),
        (&b"a=1"[..], &b"b=\"2\""[..], &b"c=3"[..])
    );
    assert!(all[1].starts_with(b"old=; Path=/; Max-Age=0; Expires="));
}

#[tokio::test]
async fn what_is_no_cookie_is_500() {
    for (name, value) in [
        ("", "1"),
        ("a b", "1"),
        ("a=b", "1"),
        ("a;b", "1"),
        ("a", "1; Domain=evil.example"),
        ("a", "1\r\nX: y"),
        ("a", "a b"),
        ("a", "a,b"),
        ("a", "a\\b"),
        ("a", "\"a"),
        ("a", "ä"),
        ("ä", "1"),
    ] {
        let response = set(move || Cookie::new(name, value)).await;
        assert_eq!(response.status(), 500, "{name:?} {value:?}");
        assert!(response.field("set-cookie").is_none());
    }
    let path = |path: &'static str| set(move || Cookie::build(("a", "1")).path(path).build());
    for wrong in ["/; Secure", "/\n", "/ä"] {
        assert_eq!(path(wrong).await.status(), 500, "{wrong:?}");
    }
    assert_eq!(path("/a b").await.status(), 201);
}
