use super::*;
use crate::Request;
use crate::testing::{TestClient, TestResponse};

async fn answer<R: IntoResponse + 'static>(
    make: impl Fn() -> R + Clone + Send + Sync + 'static,
) -> TestResponse {
    let handler = async move |_: Request| make();
    TestClient::new(&handler).get("/").await
}

#[tokio::test]
async fn tuples_add_status_type_and_fields_to_what_they_end_with() {
    let response = answer(|| {
        (
            StatusCode::CREATED,
            [("Location", "/notes/7"), ("X-A", "1")],
            "a note\n",
        )
    })
    .await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.field("location"), Some("/notes/7"));
    assert_eq!(response.field("x-a"), Some("1"));
    assert_eq!(
        response.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(response.text(), "a note\n");

    let response = answer(|| (ContentType::HTML, StatusCode::ACCEPTED, "<p>")).await;
    assert_eq!(response.status(), 202);
    assert_eq!(
        response.field("content-type"),
        Some("text/html; charset=utf-8")
    );
}

#[tokio::test]
async fn lines_of_one_name_all_stay_and_a_type_replaces_the_constant() {
    let response = answer(|| {
        let lines = vec![
            ("Set-Cookie".to_owned(), "a=1"),
            ("Set-Cookie".to_owned(), "b=2"),
            ("content-type".to_owned(), "text/csv"),
        ];
        (lines, None::<StatusCode>, Some(StatusCode::OK), "x")
    })
    .await;
    let all = response.fields().get_all(crate::KnownField::SetCookie);
    assert_eq!(all.collect::<Vec<_>>(), [&b"a=1"[..], b"b=2"]);
    let types = response.fields().get_all(crate::KnownField::ContentType);
    assert_eq!(types.collect::<Vec<_>>(), [b"text/csv"]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_500_and_nothing_of_it_is_sent() {
    for (name, value) in [
        ("X-Note", "a\r\nX-Evil: 1"),
        ("X-Note", "a\nb"),
        ("X-Note", "a\0b"),
        ("X Note", "a"),
        ("X:Note", "a"),
        ("", "a"),
    ] {
        let response = answer(move || (StatusCode::OK, [(name, value)], "secret")).await;
        assert_eq!(response.status(), 500, "{name:?} {value:?}");
        assert_eq!(response.content(), b"", "{name:?} {value:?}");
        assert!(response.field("x-evil").is_none());
    }
}

#[tokio::test]
async fn redirects_say_where_to() {
    for (redirect, status) in [
        (Redirect::see_other("/a?b=c#d"), 303),
        (Redirect::temporary("https://a.example/"), 307),
        (Redirect::permanent("../x%20y"), 308),
        (Redirect::found(String::from("//a.example/[::1]")), 302),
        (Redirect::moved_permanently("?page=2"), 301),
    ] {
        let location = redirect.location().to_owned();
        let response = answer(move || redirect.clone()).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.field("location"), Some(&*location));
    }
}

#[tokio::test]
async fn redirects_to_what_is_no_address_are_500() {
    for location in [
        "",
        "/a b",
        "/a\r\nX: y",
        "/ä",
        "/a\\b",
        "/%",
        "/%4",
        "/%zz",
        "/\"",
        "/<a>",
        "/\u{7f}",
    ] {
        let response = answer(move || Redirect::see_other(location)).await;
        assert_eq!(response.status(), 500, "{location:?}");
        assert!(response.field("location").is_none(), "{location:?}");
    }
}

#[tokio::test]
async fn html_is_html() {
    let response = answer(|| Html(String::from("<p>Hello"))).await;
    assert_eq!(
        response.field("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(response.text(), "<p>Hello");
}
