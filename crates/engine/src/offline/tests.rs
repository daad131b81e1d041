use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::Body;

fn answer<F: Future<Output = Response>>(bytes: &str, call: impl FnOnce(Request) -> F) -> Wire {
    let exchange = exchange(bytes.as_bytes(), PeerAddr::Unix, Limits::default(), call);
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(exchange).poll(&mut cx) {
        Poll::Ready(wire) => wire,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn text(wire: &Wire) -> &str {
    std::str::from_utf8(&wire.bytes).expect("text")
}

#[test]
fn a_request_is_answered_as_on_a_connection() {
    let wire = answer(
        "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        async |mut request| {
            let content = request.content().collect().await.expect("content");
            assert_eq!((request.path(), request.query()), ("/a", Some("b")));
            Response::ok(content)
        },
    );
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(text(&wire), expected);
    let wire = answer(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        async |mut request| Response::ok(request.content().collect().await.expect("content")),
    );
    assert!(text(&wire).ends_with("\r\n\r\nabc"));
    let wire = answer("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", async |_| {
        Response::ok("abc")
    });
    assert!(text(&wire).ends_with("Content-Length: 3\r\n\r\n"));
}

#[test]
fn what_breaks_a_rule_reaches_no_handler() {
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/3.0\r\nHost: h\r\n\r\n", "505"),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
            "408",
        ),
    ] {
        let wire = answer(bytes, async |_| panic!("no handler"));
        assert!(
            text(&wire).starts_with(&format!("HTTP/1.1 {status} ")),
            "{wire:?}"
        );
    }
}

#[test]
fn a_stream_that_breaks_off_does_not_look_complete() {
    let wire = answer("GET / HTTP/1.1\r\nHost: h\r\n\r\n", async |_| {
        Response::ok(Body::stream(async |mut writer| {
            writer.write("abc").await?;
            Err::<(), BoxError>("broken".into())
        }))
    });
    assert!(text(&wire).ends_with("\r\n\r\n3\r\nabc\r\n"), "{wire:?}");
    assert_eq!(wire.broken_off.as_deref(), Some("broken"));
}
