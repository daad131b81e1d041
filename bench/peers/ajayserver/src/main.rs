//! AjayServer's library with everything at its default, for loads that need more than the binary's
//! one answer: long contents, and content that is read.

use ajayserver::{ContentError, Request, Response, Result, Server};
use peer_common::{Args, content};

fn main() -> Result<()> {
    let args = Args::from_env();
    Server::builder()
        .listen(args.listen)?
        .threads(args.threads)
        .bind()?
        .run(answer)
}

async fn answer(mut request: Request) -> std::result::Result<Response, ContentError> {
    while let Some(data) = request.content().data().await {
        data?;
    }
    Ok(Response::ok(content(request.path())))
}
