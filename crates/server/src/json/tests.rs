use std::collections::HashMap;

use serde::Deserialize;

use super::*;
use crate::testing::{TestClient, TestResponse};

#[derive(Debug, Deserialize, Serialize)]
struct Point {
    x: i32,
    y: i32,
}

async fn send(content_type: &str, content: impl Into<Bytes>) -> TestResponse {
    let handler = async |mut request: Request| {
        let point: Point = request.json().await?;
        Ok::<_, JsonError>(Json(Point {
            x: point.y,
            y: point.x,
        }))
    };
    let client = TestClient::new(&handler);
    let request = client.post("/").content(content);
    let request = match content_type {
        "" => request,
        content_type => request.field("Content-Type", content_type),
    };
    request.await
}

#[tokio::test]
async fn values_come_and_go() {
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;x",
        "application/vnd.api+json",
        "application/problem+JSON ; a=b",
    ] {
        let response = send(content_type, r#"{"x":1,"y":2}"#).await;
        assert_eq!(response.status(), 200, "{content_type}");
        assert_eq!(response.text(), r#"{"x":2,"y":1}"#);
        assert_eq!(response.field("content-type"), Some("application/json"));
        assert_eq!(response.field("content-length"), Some("13"));
    }
}

#[tokio::test]
async fn another_type_is_415() {
    for content_type in [
        "",
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "+json",
        "json",
        "text/json-seq",
        "\u{e4}",
    ] {
        let response = send(content_type, r#"{"x":1,"y":2}"#).await;
        assert_eq!(response.status(), 415, "{content_type:?}");
        assert_eq!(
            response.text(),
            "the content has to be JSON, with Content-Type: application/json\n"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_is_400_and_another_shape_422() {
    let deep = "[".repeat(100_000);
    for (content, status, text) in [
        ("", 400, "the content is not JSON: EOF"),
        ("{", 400, "the content is not JSON: EOF"),
        ("{'x':1}", 400, "the content is not JSON: key must be"),
        (
            r#"{"x":1,"y":2} x"#,
            400,
            "the content is not JSON: trailing characters at line 1 column 15",
        ),
        ("\u{0}", 400, "the content is not JSON: expected value"),
        (
            r#"{"x":1}"#,
            422,
            "the JSON is not what is expected here: missing field `y`",
        ),
        (
            r#"{"x":1,"y":"2"}"#,
            422,
            "the JSON is not what is expected here: invalid type",
        ),
        (
            r#"{"x":1,"y":99999999999}"#,
            422,
            "the JSON is not what is expected here: invalid value",
        ),
        (&deep, 422, "the JSON is not what is expected here"),
    ] {
        let response = send("application/json", content.to_owned()).await;
        let found = response.text();
        assert_eq!(response.status(), status, "{content:.20}: {found}");
        assert!(found.starts_with(text), "{content:.20}: {found}");
        assert!(found.ends_with('\n'));
    }
    let response = send("application/json", &b"\"\xff\""[..]).await;
    assert_eq!(response.status(), 400, "{}", response.text());
}

#[tokio::test]
async fn deep_nesting_is_refused_before_the_stack_is_used_up() {
    let handler = async |mut request: Request| {
        let _: serde_json::Value = request.json().await?;
        Ok::<_, JsonError>(())
    };
    let client = TestClient::new(&handler);
    let request = client.post("/").content("[".repeat(1_000_000));
    let response = request.field("Content-Type", "application/json").await;
    assert_eq!(response.status(), 400);
    assert!(response.text().contains("recursion limit"));
}

#[tokio::test]
async fn too_much_is_413() {
    let content = format!("\"{}\"", "x".repeat(5 << 20));
    let response = send("application/json", content).await;
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn a_value_that_cannot_be_json_is_500() {
    let handler = async |_: Request| Json(HashMap::from([((1, 2), 3)]));
    let response = TestClient::new(&handler).get("/").await;
    assert_eq!((response.status(), response.content()), (500, &b""[..]));
}

#[test]
fn a_value_may_be_made_while_another_is_and_large_ones_are_not_kept() {
    struct Outer;
    impl Serialize for Outer {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = to_bytes(&[1, 2, 3]).unwrap();
            serializer.serialize_str(std::str::from_utf8(&inner).unwrap())
        }
    }
    assert_eq!(
        to_bytes(&vec![Outer, Outer]).unwrap(),
        r#"["[1,2,3]","[1,2,3]"]"#
    );
    let large = "x".repeat(SCRATCH_BYTES_MAX);
    assert_eq!(to_bytes(&large).unwrap().len(), SCRATCH_BYTES_MAX + 2);
    let kept = SCRATCH.take().capacity();
    assert!(kept <= 2 * SCRATCH_BYTES_MAX, "{kept}");
}
