use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::time::{Instant, sleep};

use super::*;
use crate::testing::{TestClient, TestResponse};

async fn get(sse: impl Fn() -> Sse + Clone + Send + Sync + 'static) -> TestResponse {
    let handler = async move |_: Request| sse();
    TestClient::new(&handler).get("/").await
}

#[test]
fn events_are_written_so_that_the_client_reads_what_was_meant() {
    for (event, text) in [
        (Event::data("a"), "data: a\n\n"),
        (Event::data(""), "data: \n\n"),
        (Event::data(" a: b"), "data:  a: b\n\n"),
        (Event::data("a\nb"), "data: a\ndata: b\n\n"),
        (Event::data("a\r\nb\rc"), "data: a\ndata: b\ndata: c\n\n"),
        (Event::data("\n\r\n"), "data: \ndata: \ndata: \n\n"),
        (Event::data("a\r\rb"), "data: a\ndata: \ndata: b\n\n"),
        (
            Event::data("a\n\nid: 7"),
            "data: a\ndata: \ndata: id: 7\n\n",
        ),
        (Event::data("\u{2028}ä\0"), "data: \u{2028}ä\0\n\n"),
        (
            Event::data(1)
                .name("n")
                .id(2)
                .retry(Duration::from_millis(1500)),
            "data: 1\nevent: n\nid: 2\nretry: 1500\n\n",
        ),
        (Event::new().id(""), "id: \n\n"),
        (Event::comment("a\nb"), ": a\n: b\n\n"),
        (Event::new(), ""),
        (Event::json(&["a\nb"]).unwrap(), "data: [\"a\\nb\"]\n\n"),
    ] {
        assert_eq!(event.text().unwrap(), text);
        assert_eq!(event.to_string(), text);
    }
}

#[test]
fn a_clone_shares_its_text_until_one_of_them_changes() {
    let event = Event::data("a");
    let clone = event.clone();
    let (one, other) = (event.text().unwrap(), clone.text().unwrap());
    assert_eq!(one.as_ptr(), other.as_ptr());
    let changed = clone.id(1);
    assert_eq!(event.to_string(), "data: a\n\n");
    assert_eq!(changed.to_string(), "data: a\nid: 1\n\n");
}

#[tokio::test]
async fn names_and_ids_with_line_breaks_are_not_sent() {
    for wrong in [
        Event::data("a").name("a\nb"),
        Event::data("a").name("a\rb"),
        Event::data("a").id("a\nb"),
        Event::data("a").id("a\r"),
        Event::data("a").id("a\0b"),
    ] {
        assert_eq!(wrong.text(), Err(InvalidEvent));
        let response = get(move || {
            let wrong = wrong.clone();
            Sse::new(async move |mut events| {
                events.send(Event::data("before")).await?;
                let sent = events.send(wrong).await;
                assert_eq!(sent, Err(SseError::InvalidEvent));
                Ok(sent?)
            })
        })
        .await;
        assert_eq!(response.text(), "data: before\n\n");
        let error = "an event's id or name holds what it cannot";
        assert_eq!(response.broken_off(), Some(error));
    }
}

#[tokio::test]
async fn a_response_of_events_has_its_fields_and_ends_with_its_function() {
    let response = get(|| {
        Sse::new(async |mut events| {
            for number in 1..=3 {
                events.send(Event::data(number)).await?;
                events.send(Event::new()).await?;
            }
            Ok(())
        })
    })
    .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.field("content-type"), Some("text/event-stream"));
    assert_eq!(response.field("cache-control"), Some("no-cache"));
    assert_eq!(response.text(), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
    assert_eq!(response.broken_off(), None);
}

#[tokio::test]
async fn a_function_that_fails_breaks_the_response_off() {
    let response = get(|| {
        Sse::new(async |mut events| {
            events.send(Event::data("a")).await?;
            Err("out of news".into())
        })
    })
    .await;
    assert_eq!(response.text(), "data: a\n\n");
    assert_eq!(response.broken_off(), Some("out of news"));
}

#[tokio::test(start_paused = true)]
async fn comments_are_sent_while_nothing_else_is() {
    let started = Instant::now();
    let response = get(|| {
        Sse::new(async |mut events| {
            sleep(Duration::from_secs(40)).await;
            events.send(Event::data("a")).await?;
            // Two events, so that no time between them is as long as the interval.
            sleep(Duration::from_secs(14)).await;
            events.send(Event::data("b")).await?;
            sleep(Duration::from_secs(14)).await;
            events.send(Event::data("c")).await?;
            sleep(Duration::from_secs(16)).await;
            Ok(())
        })
    })
    .await;
    assert_eq!(started.elapsed(), Duration::from_secs(84));
    assert_eq!(
        response.text(),
        ":\n\n:\n\ndata: a\n\ndata: b\n\ndata: c\n\n:\n\n"
    );
}

#[tokio::test(start_paused = true)]
async fn the_interval_can_be_set_or_switched_off() {
    let quiet = || {
        Sse::new(async |_events| {
            sleep(Duration::from_secs(65)).await;
            Ok(())
        })
    };
    let response = get(move || quiet().keep_alive(Duration::from_secs(30))).await;
    assert_eq!(response.text(), ":\n\n:\n\n");
    let response = get(move || quiet().without_keep_alive()).await;
    assert_eq!(response.text(), "");
}

#[tokio::test(flavor = "current_thread")]
async fn a_writer_may_be_moved_to_a_thread() {
    let response = get(|| {
        Sse::new(async |mut events| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for number in 0..1000 {
                        events.send(Event::data(number)).await.unwrap();
                    }
                });
            });
            Ok(())
        })
    })
    .await;
    assert_eq!(response.text().lines().count(), 2000);
    assert_eq!(response.broken_off(), None);
}

#[tokio::test]
async fn dropping_the_body_drops_the_future_and_tells_a_writer_elsewhere() {
    struct Dropped(Rc<Cell<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let is_dropped = Rc::new(Cell::new(false));
    let dropped = Dropped(Rc::clone(&is_dropped));
    let sse = Sse::new(async move |mut events| {
        let _dropped = dropped;
        events.send(Event::data("a")).await?;
        Ok(())
    });
    drop(sse.into_response());
    assert!(is_dropped.get());

    let kept = Rc::new(Cell::new(None));
    let keep = Rc::clone(&kept);
    let sse = Sse::new(|events| {
        keep.set(Some(events));
        async { Ok(()) }
    });
    drop(sse);
    let mut events = kept.take().unwrap();
    let sent = events.send(Event::data("a")).await;
    assert_eq!(sent, Err(SseError::Closed));
}

/// A stream of what is in it.
struct Queue<E>(VecDeque<Result<Event, E>>);

impl<E: Unpin> Stream for Queue<E> {
    type Item = Result<Event, E>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front())
    }
}

#[tokio::test]
async fn events_come_from_streams() {
    let response = get(|| {
        let events = [Event::data("a"), Event::new(), Event::comment("b")];
        Sse::from_stream(Queue(events.map(Ok::<_, Infallible>).into()))
    })
    .await;
    assert_eq!(response.text(), "data: a\n\n: b\n\n");
    assert_eq!(response.broken_off(), None);
    let response = get(|| {
        let events = [Ok(Event::data("a")), Err("no more"), Ok(Event::data("b"))];
        Sse::from_stream(Queue(events.into()))
    })
    .await;
    assert_eq!(response.text(), "data: a\n\n");
    assert_eq!(response.broken_off(), Some("no more"));
}

#[tokio::test]
async fn the_last_event_id_is_there_if_it_was_sent() {
    let handler = async |request: Request| format!("{:?}", request.last_event_id());
    let client = TestClient::new(&handler);
    assert_eq!(client.get("/").await.text(), "None");
    let named = |id: &'static str| client.get("/").field("Last-Event-ID", id);
    assert_eq!(named("7ä").await.text(), "Some(\"7ä\")");
    assert_eq!(named("").await.text(), "None");
}
