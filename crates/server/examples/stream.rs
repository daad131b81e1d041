//! Streams numbered lines, as fast as the client takes them and not faster.
//!
//! ```text
//! cargo run --release --example stream -- 127.0.0.1:8080
//! curl 'localhost:8080/?5'            # five lines
//! curl --limit-rate 10k 'localhost:8080/?1000000' | tail -1
//! ```

use ajayserver::{Body, ContentType, Request, Response, Server, StatusCode, StreamClosed};

fn main() -> ajayserver::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    Server::bind(&address)?.run(count)
}

async fn count(request: Request) -> Response {
    let Ok(lines) = request.query().unwrap_or("10").parse::<u64>() else {
        return Response::new(StatusCode::BAD_REQUEST).with_body("how many lines? try /?5\n");
    };
    let body = Body::stream(async move |mut writer| {
        for line in 1..=lines {
            // Waits here while the client is slower; ends here when it is gone.
            writer.write(format!("{line}\n")).await?;
        }
        writer.finish();
        Ok::<_, StreamClosed>(())
    });
    Response::ok(body).with_content_type(ContentType::TEXT)
}
