//! HTTP/3 as a good user of `quinn` and `h3` writes it: one runtime of one thread, a task for each connection,
//! and requests served in that task one after the other where their content is small (a task for each request
//! costs more and is faster for nobody).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use clap::Parser;
use http::{Method, Response};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    cert: String,
    #[arg(long)]
    key: String,
    /// Serve each request in a task of its own
    #[arg(long)]
    tasks: bool,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve(args))
}

async fn serve(args: Args) -> Result<(), Error> {
    let chain = CertificateDer::pem_file_iter(&args.cert)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&args.key)?;
    let mut tls = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let endpoint = quinn::Endpoint::server(config, args.listen)?;
    let megabyte = Bytes::from(vec![b'x'; 1 << 20]);
    while let Some(incoming) = endpoint.accept().await {
        let (megabyte, tasks) = (megabyte.clone(), args.tasks);
        tokio::task::spawn_local(async move {
            if let Ok(connection) = incoming.await {
                let _ = converse(connection, megabyte, tasks).await;
            }
        });
    }
    Ok(())
}

async fn converse(
    connection: quinn::Connection,
    megabyte: Bytes,
    tasks: bool,
) -> Result<(), Error> {
    let mut connection =
        h3::server::Connection::<_, Bytes>::new(h3_quinn::Connection::new(connection)).await?;
    while let Some(resolver) = connection.accept().await? {
        let megabyte = megabyte.clone();
        if tasks {
            tokio::task::spawn_local(async move {
                let _ = answer(resolver, &megabyte).await;
            });
        } else {
            answer(resolver, &megabyte).await?;
        }
    }
    Ok(())
}

async fn answer(
    resolver: h3::server::RequestResolver<h3_quinn::Connection, Bytes>,
    megabyte: &Bytes,
) -> Result<(), Error> {
    let (request, mut stream) = resolver.resolve_request().await?;
    let mut received = 0;
    if request.method() == Method::POST {
        while let Some(data) = stream.recv_data().await? {
            received += data.remaining();
        }
    }
    let content = match request.uri().path() {
        "/10k.txt" => megabyte.slice(..10 * 1024),
        "/1m.txt" => megabyte.clone(),
        "/upload" => Bytes::from(received.to_string()),
        _ => Bytes::from_static(b"OK"),
    };
    let response = Response::builder()
        .header("server", "quinn-h3")
        .header("date", "Thu, 26 Nov 2026 16:00:00 GMT")
        .header("content-type", "text/plain; charset=utf-8")
        .header("content-length", content.len())
        .body(())?;
    stream.send_response(response).await?;
    stream.send_data(content).await?;
    stream.finish().await?;
    Ok(())
}
