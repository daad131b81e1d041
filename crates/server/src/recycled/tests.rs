use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Waker;

use super::*;
use crate::testing::TestClient;
use crate::{Application, IntoResponse};

/// An application whose handlers are all recycled.
#[derive(Clone)]
struct Rig(fn(usize) -> Pin<Box<dyn Future<Output = Response>>>);

struct RigHandler(Rc<dyn AnyHandler>);

impl Handler for RigHandler {
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<> {
        run(&self.0, request)
    }
}

impl Application for Rig {
    type Handler = RigHandler;

    fn handler(&self) -> RigHandler {
        let (make, count) = (self.0, Cell::new(0));
        RigHandler(from_fn(move |_| {
            count.set(count.get() + 1);
            make(count.get())
        }))
    }
}

#[tokio::test]
async fn places_are_used_again_and_answers_do_not_mix() {
    let rig = Rig(|number| {
        Box::pin(async move {
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
            number.to_string().into_response()
        })
    });
    let client = TestClient::new(&rig);
    let (a, b, c) = tokio::join!(client.get("/"), client.get("/"), client.get("/"));
    assert_eq!([a.text(), b.text(), c.text()], ["1", "2", "3"]);
    assert_eq!(client.get("/").await.text(), "4");
}

#[test]
fn a_future_is_dropped_with_its_running_and_its_place_is_free() {
    thread_local! { static DROPPED: Cell<u32> = const { Cell::new(0) } }
    struct Note;
    impl Drop for Note {
        fn drop(&mut self) {
            DROPPED.set(DROPPED.get() + 1);
        }
    }
    let rig = Rig(|_| {
        Box::pin(async {
            let _note = Note;
            pending().await
        })
    });
    let client = TestClient::new(&rig);
    let mut cx = Context::from_waker(Waker::noop());
    for round in 1..=3 {
        {
            let mut first = pin!(client.get("/").into_future());
            assert!(first.as_mut().poll(&mut cx).is_pending());
            assert_eq!(DROPPED.get(), round - 1);
        }
        assert_eq!(DROPPED.get(), round);
    }
}

#[test]
fn a_panic_leaves_the_others_alone() {
    let rig = Rig(|number| {
        Box::pin(poll_fn(move |_| match number {
            1 => panic!("on purpose"),
            number => Poll::Ready(number.to_string().into_response()),
        }))
    });
    let client = TestClient::new(&rig);
    let mut cx = Context::from_waker(Waker::noop());
    let mut ask = || {
        let mut request = pin!(client.get("/").into_future());
        let poll = std::panic::AssertUnwindSafe(|| request.as_mut().poll(&mut cx));
        std::panic::catch_unwind(poll)
    };
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let first = ask();
    std::panic::set_hook(report);
    assert!(first.is_err());
    for number in 2..5 {
        let Ok(Poll::Ready(response)) = ask() else {
            panic!("it is answered at once");
        };
        assert_eq!(response.text(), number.to_string());
    }
}
