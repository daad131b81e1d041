//! TLS by rustls, HTTP/2 or HTTP/1.1 by ALPN.

use crate::{serve_http1, serve_http2};
use hyper_util::rt::TokioIo;
use peer_common::{Tls, listen};
use std::{error::Error, io, net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    task,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(&tls.cert)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub async fn serve(address: SocketAddr, acceptor: TlsAcceptor) -> io::Result<()> {
    let listener = TcpListener::from_std(listen(address)?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        task::spawn_local(serve_connection(stream, acceptor.clone()));
    }
}

async fn serve_connection(stream: TcpStream, acceptor: TlsAcceptor) {
    // A client that goes away is no news here.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if is_http2 {
        serve_http2(TokioIo::new(stream)).await;
    } else {
        serve_http1(TokioIo::new(stream)).await;
    }
}
