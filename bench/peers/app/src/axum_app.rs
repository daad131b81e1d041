//! axum, and `axum::serve` on a runtime for each thread.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Form, Json, Multipart};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt as _, stream};
use peer_common::{Args, listen, on_threads};
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

use crate::model::{HELLO, Order, Receipt, SignUp};

pub fn router(files: &Path) -> Router {
    Router::new()
        .route("/hello", get(async || HELLO))
        .route(
            "/json",
            post(async |Json(order): Json<Order>| Json(Receipt::from(order))),
        )
        .route(
            "/form",
            post(async |Form(form): Form<SignUp>| form.answer()),
        )
        .route("/multipart", post(multipart))
        .route("/upload", post(upload))
        .route("/sse", get(async || Sse::new(ticks())))
        .nest_service("/file", ServeDir::new(files))
        .layer(DefaultBodyLimit::max(64 << 20))
}

pub fn serve(args: &Args, files: &Path) {
    let app = router(files);
    on_threads(args.threads, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("build a runtime");
        runtime.block_on(async {
            let listener = listen(args.listen).and_then(TcpListener::from_std);
            let served = axum::serve(listener.expect("listen"), app.clone());
            served.await.expect("serve");
        });
    });
}

async fn multipart(mut form: Multipart) -> Result<String, StatusCode> {
    let mut bytes = 0;
    while let Some(mut part) = form
        .next_field()
        .await
        .map_err(|_| StatusCode::BAD_REQUEST)?
    {
        while let Some(data) = part.chunk().await.map_err(|_| StatusCode::BAD_REQUEST)? {
            bytes += data.len();
        }
    }
    Ok(bytes.to_string())
}

async fn upload(body: Body) -> Result<String, StatusCode> {
    let mut bytes = 0;
    let mut data = body.into_data_stream();
    while let Some(data) = data.next().await {
        bytes += data.map_err(|_| StatusCode::BAD_REQUEST)?.len();
    }
    Ok(bytes.to_string())
}

fn ticks() -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(false, async |waits| {
        if waits {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Some((Ok(Event::default().data("tick")), true))
    })
}
