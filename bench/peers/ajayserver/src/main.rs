//! AjayServer's library with everything at its default, for loads that need more than the binary's
//! one answer: long contents, and content that is read.

use ajayserver::tls::Versions;
use ajayserver::{ContentError, Request, Response, Result, Server, Tls};
use peer_common::{Args, content};

fn main() -> Result<()> {
    let args = Args::from_env();
    let mut builder = Server::builder()
        .threads(args.threads)
        .listen(args.listen)?;
    if let Some(tls) = args.tls {
        let versions = match args.http3 {
            true => Versions::ALL,
            false => Versions::default(),
        };
        builder = builder
            .listen(tls.listen)?
            .tls(Tls::files(tls.cert, tls.key).versions(versions));
    }
    builder.bind()?.run(answer)
}

async fn answer(mut request: Request) -> std::result::Result<Response, ContentError> {
    while let Some(data) = request.content().data().await {
        data?;
    }
    Ok(Response::ok(content(request.path())))
}
