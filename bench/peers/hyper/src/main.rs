//! hyper 1.x at its best for this load: one `current_thread` runtime per core, no work stealing,
//! pipelined responses flushed together. It reads the content of a request before it answers.

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Body as _, Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue, SERVER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use peer_common::{Args, listen, on_threads, raise_descriptor_limit};
use std::io;
use tokio::{
    net::TcpListener,
    runtime::{self, LocalOptions},
    task,
};

fn main() {
    let args = Args::from_env();
    raise_descriptor_limit().expect("raise the descriptor limit");
    on_threads(args.threads, || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .build_local(LocalOptions::default())
            .expect("build a runtime");
        runtime.block_on(serve(args)).expect("serve");
    });
}

async fn serve(args: Args) -> io::Result<()> {
    let listener = TcpListener::from_std(listen(args.listen)?)?;
    let mut http = http1::Builder::new();
    http.pipeline_flush(true);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http.serve_connection(TokioIo::new(stream), service_fn(answer));
        task::spawn_local(async move {
            // A client that goes away is no news here.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let mut content = request.into_body();
    while !content.is_end_stream() {
        match content.frame().await {
            Some(frame) => drop(frame?),
            None => break,
        }
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"OK")));
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("hyper"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
