//! AjayServer, by its own API and with the axum application.

use std::path::PathBuf;
use std::time::Duration;

use ajayserver::router::Router;
use ajayserver::tower::from_tower;
use ajayserver::{
    BoxError, ContentError, Event, Files, FormError, Json, JsonError, MultipartError, Request,
    Result, Server, Sse, SseWriter,
};
use peer_common::Args;

use crate::model::{HELLO, Order, Receipt, SignUp};

pub fn native(args: &Args, files: PathBuf) -> Result<()> {
    let router = Router::new()
        .get("/hello", async |_: Request| HELLO)
        .post("/json", json)
        .post("/form", form)
        .post("/multipart", multipart)
        .post("/upload", upload)
        .get("/file/{*path}", Files::new(files))
        .get("/sse", async |_: Request| Sse::new(ticks));
    builder(args)?.bind()?.run(router.build()?)
}

pub fn of_axum(args: &Args, files: PathBuf) -> Result<()> {
    let app = crate::axum_app::router(&files);
    // As `axum::serve(listener, app)`: without `ConnectInfo`.
    builder(args)?.bind()?.run(from_tower(app))
}

fn builder(args: &Args) -> Result<ajayserver::Builder> {
    Server::builder()
        .threads(args.threads)
        .content_bytes_max(64 << 20)
        .listen(args.listen)
}

async fn json(mut request: Request) -> std::result::Result<Json<Receipt>, JsonError> {
    let order: Order = request.json().await?;
    Ok(Json(order.into()))
}

async fn form(mut request: Request) -> std::result::Result<String, FormError> {
    let form: SignUp = request.form().await?;
    Ok(form.answer())
}

async fn multipart(mut request: Request) -> std::result::Result<String, MultipartError> {
    let mut form = request.multipart()?;
    let mut bytes = 0;
    while let Some(mut part) = form.next_part().await? {
        while let Some(data) = part.data().await? {
            bytes += data.len();
        }
    }
    Ok(bytes.to_string())
}

async fn upload(mut request: Request) -> std::result::Result<String, ContentError> {
    let mut bytes = 0;
    while let Some(data) = request.content().data().await {
        bytes += data?.len();
    }
    Ok(bytes.to_string())
}

async fn ticks(mut events: SseWriter) -> std::result::Result<(), BoxError> {
    loop {
        events.send(Event::data("tick")).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
