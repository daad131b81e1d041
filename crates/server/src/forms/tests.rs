use serde::Deserialize;

use super::*;
use crate::testing::{TestClient, TestResponse};

#[derive(Debug, Deserialize)]
struct Note {
    text: String,
    #[serde(default)]
    tag: Vec<String>,
    priority: Option<u8>,
}

impl Note {
    fn show(&self) -> String {
        format!("{} {:?} {:?}", self.text, self.tag, self.priority)
    }
}

async fn send(content_type: &str, content: impl Into<bytes::Bytes>) -> TestResponse {
    let handler = async |mut request: Request| match request.form::<Note>().await {
        Ok(note) => Ok(note.show()),
        Err(error) => Err(error),
    };
    let client = TestClient::new(&handler);
    let request = client.post("/").content(content);
    request.field("Content-Type", content_type).await
}

async fn ask(target: &str) -> TestResponse {
    let handler = async |request: Request| request.query_as::<Note>().map(|note| note.show());
    TestClient::new(&handler).get(target).await
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn forms_and_queries_become_structures() {
    for (text, shown) in [
        ("text=a", "a [] None"),
        (
            "text=a+b%20c%2Bd&tag=x&tag=y",
            "a b c+d [\"x\", \"y\"] None",
        ),
        ("priority=7&text=%C3%A4&other=1", "ä [] Some(7)"),
        ("text=", " [] None"),
        ("&&text=a&", "a [] None"),
    ] {
        let response = send(FORM, text.to_owned()).await;
        assert_eq!((response.status(), response.text()), (200, shown), "{text}");
        let response = ask(&format!("/?{text}")).await;
        assert_eq!((response.status(), response.text()), (200, shown), "{text}");
    }
    let response = send("Application/X-WWW-form-urlencoded; charset=UTF-8", "text=a").await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn what_is_wrong_with_a_form_has_its_status() {
    let many = format!("text=a{}", "&b".repeat(FIELDS_MAX));
    for (content_type, content, status, text) in [
        ("text/plain", "text=a", 415, "the content has to be a form"),
        (
            "multipart/form-data",
            "text=a",
            415,
            "the content has to be",
        ),
        (FORM, "text=%FF", 400, "the fields are not UTF-8"),
        (FORM, "%ff=1&text=a", 400, "the fields are not UTF-8"),
        (
            FORM,
            "",
            422,
            "the form is not what is expected here: missing field `text`",
        ),
        (FORM, "text=a&priority=256", 422, "the form is not what is"),
        (
            FORM,
            "text=a&text=b",
            422,
            "the form is not what is expected",
        ),
        (FORM, &many, 413, "there are more than 10000 fields"),
    ] {
        let response = send(content_type, content.to_owned()).await;
        let found = response.text();
        assert_eq!(response.status(), status, "{content:.20}: {found}");
        assert!(found.starts_with(text), "{content:.20}: {found}");
    }
    let response = send(FORM, vec![b'a'; 5 << 20]).await;
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn a_query_that_does_not_fit_is_400() {
    for target in ["/", "/?", "/?text=a&priority=x", "/?text=%FF", "/?text"] {
        let response = ask(target).await;
        let fits = target == "/?text";
        assert_eq!(response.status(), if fits { 200 } else { 400 }, "{target}");
        if !fits {
            let text = "the query is not what is expected here: ";
            assert!(response.text().starts_with(text), "{target}");
        }
    }
}
