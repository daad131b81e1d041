//! Echoes: content comes back as content while it arrives, the field `Echo` as the field `Echo`,
//! and a request without content is answered with its method and target.
//!
//! ```text
//! cargo run --release --example echo -- 127.0.0.1:8080
//! curl -H 'Echo: hi' -d 'some content' -i localhost:8080
//! ```

use ajayserver::{Body, InvalidField, Request, Response, Server};

fn main() -> ajayserver::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    Server::bind(&address)?.run(echo)
}

async fn echo(mut request: Request) -> Result<Response, InvalidField> {
    let mut response = if request.content().is_end() {
        Response::ok(format!("{} {}\n", request.method(), request.target()))
    } else {
        Response::ok(Body::from_http_body(request.take_content()))
    };
    if let Some(value) = request.field("echo") {
        response.append("Echo", value)?;
    }
    Ok(response)
}
