//! A server of content types, for `content_types.rs`: multipart, events, cookies, files.
//!
//! `contentserver ADDRESS DIRECTORY`

use std::time::Duration;

use ajay_blackbox::{FNV1A_START, fnv1a_continued};
use ajayserver::cookies::Cookie;
use ajayserver::{
    Event, Files, IntoResponse, MultipartError, Request, Router, Server, Sse, StatusCode,
};
use tokio::time::sleep;

fn main() -> ajayserver::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(directory)) = (arguments.next(), arguments.next()) else {
        panic!("contentserver ADDRESS DIRECTORY");
    };
    let router = Router::new()
        .post("/multipart", multipart)
        .post("/multipart/slow", slow)
        .get("/events", events)
        .get("/quiet", quiet)
        .get("/cookies", cookies)
        .get("/files/{*path}", Files::new(directory).precompressed());
    let server = Server::builder().listen(&address)?.threads(1).bind()?;
    server.run(router.build()?)
}

/// A line for each part: name, file name, type, length and digest.
async fn multipart(mut request: Request) -> Result<String, MultipartError> {
    let mut form = request.multipart()?;
    let mut shown = String::new();
    while let Some(mut part) = form.next_part().await? {
        let (mut bytes, mut hash) = (0, FNV1A_START);
        let head = format!(
            "{} {} {}",
            part.name().unwrap_or("-"),
            part.file_name().unwrap_or("-"),
            part.content_type().unwrap_or("-")
        );
        while let Some(data) = part.data().await? {
            bytes += data.len();
            hash = fnv1a_continued(hash, &data);
        }
        shown += &format!("{head} {bytes} {hash:016x}\n");
    }
    Ok(shown)
}

/// Takes a piece of the first part in each 5 ms.
async fn slow(mut request: Request) -> Result<String, MultipartError> {
    let mut form = request.multipart()?;
    let mut bytes = 0;
    if let Some(mut part) = form.next_part().await? {
        while let Some(data) = part.data().await? {
            bytes += data.len();
            sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(format!("{bytes}\n"))
}

/// As many events as the query says, from the one after `Last-Event-ID`.
async fn events(request: Request) -> Result<Sse, StatusCode> {
    let count = request.query().and_then(|query| query.parse().ok());
    let count: u64 = count.ok_or(StatusCode::BAD_REQUEST)?;
    let seen = request.last_event_id().and_then(|id| id.parse().ok());
    let first = seen.map_or(0, |id: u64| id + 1);
    Ok(Sse::new(async move |mut events| {
        for number in first..first + count {
            let text = format!("number {number}\r\nof {count}");
            events.send(Event::data(text).id(number).name("n")).await?;
        }
        Ok(())
    }))
}

/// Nothing but comments, each 200 ms, until the server drains.
async fn quiet(_: Request) -> Sse {
    let sse = Sse::new(async |_events| std::future::pending().await);
    sse.keep_alive(Duration::from_millis(200)).ends_at_drain()
}

async fn cookies(request: Request) -> impl IntoResponse {
    let visits = request.cookie("visits").and_then(|it| it.parse().ok());
    let visits = visits.unwrap_or(0_u32) + 1;
    let cookie = Cookie::build(("visits", visits.to_string())).path("/");
    (cookie.http_only(true).build(), format!("{visits}\n"))
}
