use std::cell::Cell;

use http_body_util::{Empty, Full, Limited, StreamBody};

use super::*;
use crate::{ContentType, PerWorker, Router, StreamClosed};

fn service(router: Router) -> IntoTower {
    into_tower(router.build().expect("no conflict")).threads(1)
}

async fn ask<B>(service: &IntoTower, request: http::Request<B>) -> http::Response<ResponseBody>
where
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    match service.clone().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn get(target: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(target)
        .body(Empty::new())
        .expect("a request")
}

async fn text(response: http::Response<ResponseBody>) -> Result<String, BoxError> {
    let all = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&all).into_owned())
}

fn is_service<T: Send + Sync + Clone + 'static>(_: &T) {}
fn is_send<T: Send>(_: &T) {}

#[tokio::test]
async fn requests_and_responses_cross_over() {
    let router = Router::new().post("/echo/{name}", async |mut request: Request| {
        // Not `Send`.
        let name = Rc::new(request.param("name").unwrap_or_default().into_owned());
        let content = request.content().collect().await?;
        let peer = request.peer_addr();
        let extension: Option<u32> = request.extension();
        let text = format!("{name} {} {peer} {extension:?}", content.len());
        Ok::<_, ContentError>(([("X-A", "1"), ("Connection", "close")], text))
    });
    let service = service(router).peer_addr(|it| it.get::<SocketAddr>().copied());
    is_service(&service);
    let address: SocketAddr = "192.0.2.1:7".parse().expect("an address");
    let request = http::Request::post("/echo/b")
        .extension(7_u32)
        .extension(address)
        .body(Full::<Bytes>::from("hello"));
    let future = service.clone().call(request.expect("a request"));
    is_send(&future);
    let Ok(response) = future.await;
    is_send(&response);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-a"], "1");
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(response.body().size_hint().exact(), Some(23));
    assert_eq!(
        text(response).await.expect("content"),
        "b 5 192.0.2.1:7 Some(7)"
    );
    assert_eq!(ask(&service, get("/nowhere")).await.status(), 404);
}

#[tokio::test]
async fn content_over_the_other_servers_limit_is_413() {
    let router = Router::new().post("/", async |mut request: Request| {
        request.content().collect().await
    });
    let service = service(router);
    for (body, status) in [("1234", 200), ("12345", 413)] {
        let body = Limited::new(Full::<Bytes>::from(body), 4);
        let request = http::Request::post("/").body(body).expect("a request");
        assert_eq!(ask(&service, request).await.status(), status);
    }
    let broken = futures_stream([Ok(Frame::data(Bytes::from("1"))), Err("broken".into())]);
    let request = http::Request::post("/").body(StreamBody::new(broken));
    assert_eq!(
        ask(&service, request.expect("a request")).await.status(),
        400
    );
}

type Frames = Vec<Result<Frame<Bytes>, BoxError>>;

fn futures_stream<const N: usize>(frames: [Result<Frame<Bytes>, BoxError>; N]) -> Listed {
    Listed(frames.into_iter().rev().collect())
}

struct Listed(Frames);

impl futures_core::Stream for Listed {
    type Item = Result<Frame<Bytes>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop())
    }
}

#[tokio::test]
async fn a_stream_is_one_piece_ahead_and_ends_as_it_does() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let router = Router::new()
        .get("/whole", async move |_: Request| {
            let count = Arc::clone(&count);
            Response::stream(async move |mut writer| {
                for _ in 0..20 {
                    count.fetch_add(1, Ordering::SeqCst);
                    writer.write("piece ").await?;
                }
                let mut trailers = crate::FieldSection::new();
                trailers.append("X-Sum", "7").expect("a field");
                writer.finish_with_trailers(trailers);
                Ok::<_, StreamClosed>(())
            })
            .with_content_type(ContentType::TEXT)
        })
        .get("/broken", async |_: Request| {
            Response::stream(async |mut writer| writer.write("piece ").await)
        })
        .get("/panics", async |_: Request| {
            Response::stream(async |mut writer| {
                writer.write("piece ").await?;
                tokio::task::yield_now().await;
                panic!("on purpose");
                #[allow(unreachable_code)]
                Ok::<_, StreamClosed>(())
            })
        });
    let service = service(router);
    let response = ask(&service, get("/whole")).await;
    let mut body = response.into_body();
    assert_eq!(body.size_hint().exact(), None);
    for _ in 0..3 {
        body.frame().await.expect("more").expect("no error");
    }
    // One in the channel, one in the writer, one that waits for a place.
    assert!(written.load(Ordering::SeqCst) <= 6);
    let rest = body.collect().await.expect("no error");
    assert_eq!(rest.trailers().expect("trailers")["x-sum"], "7");
    assert_eq!(rest.to_bytes(), "piece ".repeat(17));
    for target in ["/broken", "/panics"] {
        assert!(
            text(ask(&service, get(target)).await).await.is_err(),
            "{target}"
        );
    }
}

struct Gone(mpsc::UnboundedSender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn who_does_not_wait_drops_the_handler_and_its_stream() {
    let (sender, mut gone) = mpsc::unbounded_channel();
    let waiting = sender.clone();
    let router = Router::new()
        .get("/waits", async move |_: Request| {
            let _gone = Gone(waiting.clone());
            std::future::pending::<&str>().await
        })
        .get("/streams", async move |_: Request| {
            let guard = Gone(sender.clone());
            Response::stream(async move |mut writer| {
                let _guard = guard;
                writer.write("piece").await?;
                std::future::pending::<Result<(), StreamClosed>>().await
            })
        });
    let service = service(router);
    let mut body = ask(&service, get("/streams")).await.into_body();
    body.frame().await.expect("a piece").expect("no error");
    drop(body);
    gone.recv().await.expect("dropped");
    assert!(gone.is_empty());
    let mut future = service.clone().call(get("/waits"));
    let once = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx).is_pending()));
    assert!(once.await);
    // It has begun when a later one has been answered.
    assert_eq!(ask(&service, get("/nowhere")).await.status(), 404);
    drop(future);
    gone.recv().await.expect("dropped");
}

#[tokio::test]
async fn a_panic_is_500_and_others_go_on() {
    let router = Router::new()
        .get("/", async |_: Request| "there")
        .get("/panics", async |_: Request| -> &str {
            panic!("on purpose")
        });
    let service = service(router);
    for _ in 0..2 {
        assert_eq!(ask(&service, get("/panics")).await.status(), 500);
        assert_eq!(
            text(ask(&service, get("/")).await).await.expect("content"),
            "there"
        );
    }
}

#[tokio::test]
async fn each_thread_has_values_of_its_own_and_ends_with_the_service() {
    let (sender, mut gone) = mpsc::unbounded_channel();
    let seen = PerWorker::new(move || (Cell::new(0_u32), Gone(sender.clone())));
    let router = Router::new().get("/", async move |_: Request| {
        let seen = seen.get();
        seen.0.set(seen.0.get() + 1);
        seen.0.get().to_string()
    });
    let service = service(router).threads(2);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(text(ask(&service, get("/")).await).await.expect("content"));
    }
    assert_eq!(all, ["1", "1", "2", "2"]);
    drop(service);
    gone.recv().await.expect("dropped");
    gone.recv().await.expect("dropped");
}
