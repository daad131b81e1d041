//! hyper 1.x at its best for this load: one `current_thread` runtime per core, no work stealing,
//! pipelined responses flushed together. It reads the content of a request before it answers.

mod tls;

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Body as _, Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue, SERVER},
    rt::{Executor, Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use peer_common::{Args, content, listen, on_threads, raise_descriptor_limit};
use std::io;
use tokio::{
    net::TcpListener,
    runtime::{self, LocalOptions},
    task,
};

fn main() {
    let args = Args::from_env();
    raise_descriptor_limit().expect("raise the descriptor limit");
    let tls = args.tls.as_ref().map(|tls| {
        let acceptor = tls::acceptor(tls).expect("read the certificate");
        (tls.listen, acceptor)
    });
    on_threads(args.threads, || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .build_local(LocalOptions::default())
            .expect("build a runtime");
        runtime.block_on(async {
            if let Some((address, acceptor)) = tls.clone() {
                task::spawn_local(async move {
                    tls::serve(address, acceptor).await.expect("serve TLS");
                });
            }
            serve(&args).await.expect("serve");
        });
    });
}

async fn serve(args: &Args) -> io::Result<()> {
    let listener = TcpListener::from_std(listen(args.listen)?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if args.http2 {
            task::spawn_local(serve_http2(TokioIo::new(stream)));
        } else {
            task::spawn_local(serve_http1(TokioIo::new(stream)));
        }
    }
}

// A client that goes away is no news in either.

async fn serve_http1(io: impl Read + Write + Unpin + 'static) {
    let connection = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(io, service_fn(answer));
    let _ = connection.await;
}

async fn serve_http2(io: impl Read + Write + Unpin + 'static) {
    let connection = http2::Builder::new(SpawnLocal).serve_connection(io, service_fn(answer));
    let _ = connection.await;
}

/// Puts what hyper spawns for a request on the thread of its connection.
#[derive(Clone)]
struct SpawnLocal;

impl<F: Future + 'static> Executor<F> for SpawnLocal {
    fn execute(&self, future: F) {
        task::spawn_local(async move {
            future.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    while !body.is_end_stream() {
        match body.frame().await {
            Some(frame) => drop(frame?),
            None => break,
        }
    }
    let content = Bytes::from_static(content(head.uri.path()));
    let mut response = Response::new(Full::new(content));
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("hyper"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
