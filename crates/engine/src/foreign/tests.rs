use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use ajay_http::Version;
use bytes::Bytes;
use http_body::Frame;

use super::*;
use crate::{BoxError, ContentError};

fn request(built: http::request::Builder) -> Result<Request, InvalidField> {
    let (head, ()) = built.body(()).expect("a request").into_parts();
    Request::from_http(&head, Content::default(), PeerAddr::Unix)
}

#[test]
fn handlers_see_what_the_other_server_read() {
    let built = http::Request::put("/a%20b?c=d&e")
        .header("Host", "h:1")
        .header("X-A", "1")
        .header("X-A", "2")
        .header("Cookie", "a=b")
        .header("Cookie", "c=d");
    let one = request(built).expect("a request");
    assert_eq!(
        (one.method(), one.version()),
        (&Method::PUT, Version::HTTP_11)
    );
    assert_eq!(one.target(), "/a%20b?c=d&e");
    assert_eq!((one.path(), one.query()), ("/a%20b", Some("c=d&e")));
    assert_eq!(
        (one.authority(), one.field("x-a")),
        (Some("h:1"), Some("1"))
    );
    assert_eq!(one.field("cookie"), Some("a=b; c=d"));
    assert_eq!(one.fields().len(), 4);

    let built = http::Request::get("https://h/a?").version(Version::HTTP_2);
    let one = request(built).expect("a request");
    assert_eq!((one.path(), one.query()), ("/a", Some("")));
    assert_eq!(one.authority(), Some("h"));
    let one = request(http::Request::get("https://h")).expect("a request");
    assert_eq!((one.path(), one.query()), ("/", None));
    let one = request(http::Request::options("*")).expect("a request");
    assert_eq!((one.path(), one.target()), ("*", "*"));
    let built = http::Request::connect("h:443");
    let one = request(built).expect("a request");
    assert_eq!(
        (one.path(), one.target(), one.authority()),
        ("", "h:443", Some("h:443"))
    );
}

#[test]
fn what_could_not_have_come_to_us_is_refused() {
    let uri = Uri::from_maybe_shared(Bytes::from("/ä")).expect("it takes that");
    assert!(request(http::Request::get(uri)).is_err());
    let value = http::HeaderValue::from_bytes(b"\xff").expect("it takes that");
    assert!(request(http::Request::get("/").header("X-A", value)).is_ok());
}

/// A body of these frames.
struct Frames(Vec<Result<Frame<Bytes>, ContentError>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        Poll::Ready((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

fn collected(content: &mut Content) -> Result<Bytes, ContentError> {
    let mut all = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match content.poll_data(&mut cx) {
            Poll::Pending => panic!("nothing here waits"),
            Poll::Ready(None) => return Ok(all.into()),
            Poll::Ready(Some(data)) => all.extend_from_slice(&data?),
        }
    }
}

#[test]
fn content_comes_from_any_body() -> Result<(), BoxError> {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("7"));
    let data = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    let frames = vec![
        data("a"),
        data(""),
        data("b"),
        Ok(Frame::trailers(trailers)),
    ];
    let mut content = Content::from_http_body(Frames(frames));
    assert!(!content.is_end());
    assert_eq!(collected(&mut content)?, "ab");
    assert!(content.is_end());
    let trailers = content.trailers().and_then(|it| it.get_name("X-Sum"));
    assert_eq!(trailers, Some(&b"7"[..]));

    let mut content = Content::from_http_body(Frames(vec![data("a"), Err(ContentError::TooLarge)]));
    assert_eq!(collected(&mut content), Err(ContentError::TooLarge));
    assert!(content.is_end());
    let mut content = Content::from_http_body(Frames(vec![data("abc"), data("d")]));
    content.limit(3);
    assert_eq!(collected(&mut content), Err(ContentError::TooLarge));

    fn is_shared<T: Send + Sync>() {}
    is_shared::<Request>();
    Ok(())
}
