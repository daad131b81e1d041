//! actix-web with as many workers as threads.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use actix_files::Files;
use actix_multipart::Multipart;
use actix_web::web::{self, Bytes, Form, Json, Payload};
use actix_web::{App, Error, HttpResponse, HttpServer};
use futures_util::{StreamExt as _, stream};
use peer_common::Args;

use crate::model::{HELLO, Order, Receipt, SignUp};

pub fn serve(args: &Args, files: PathBuf) -> io::Result<()> {
    let app = move || {
        App::new()
            .route("/hello", web::get().to(async || HELLO))
            .route("/json", web::post().to(json))
            .route("/form", web::post().to(form))
            .route("/multipart", web::post().to(multipart))
            .route("/upload", web::post().to(upload))
            .route("/sse", web::get().to(sse))
            .service(Files::new("/file", &files))
    };
    let server = HttpServer::new(app)
        .workers(args.threads)
        .max_connections(100_000)
        .bind_auto_h2c(args.listen)?;
    actix_web::rt::System::new().block_on(server.run())
}

async fn json(Json(order): Json<Order>) -> Json<Receipt> {
    Json(order.into())
}

async fn form(Form(form): Form<SignUp>) -> String {
    form.answer()
}

async fn multipart(mut form: Multipart) -> Result<String, Error> {
    let mut bytes = 0;
    while let Some(part) = form.next().await {
        let mut part = part?;
        while let Some(data) = part.next().await {
            bytes += data?.len();
        }
    }
    Ok(bytes.to_string())
}

async fn upload(mut content: Payload) -> Result<String, Error> {
    let mut bytes = 0;
    while let Some(data) = content.next().await {
        bytes += data?.len();
    }
    Ok(bytes.to_string())
}

async fn sse() -> HttpResponse {
    let ticks = stream::unfold(false, async |waits| {
        if waits {
            actix_web::rt::time::sleep(Duration::from_secs(1)).await;
        }
        Some((Ok::<_, Error>(Bytes::from_static(b"data: tick\n\n")), true))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(Box::pin(ticks))
}
