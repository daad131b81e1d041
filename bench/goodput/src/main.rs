//! What gets through a bad network in a second: our server with an HTTP/3 client, and a plain pair of quinn
//! with the same windows and the same congestion control, in turns, through the same relay.
//!
//! `goodput [--mib 64] [--rounds 3] [--bbr] [--delay-ms 15] [--lost 20] [--late 10]`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ajay_blackbox::http3::{Http3, Options, endpoint};
use ajay_blackbox::relay::{Relay, Weather};
use ajay_blackbox::{Authority, Numbers};
use ajayserver::tls::Versions;
use ajayserver::{Body, Congestion, ContentError, ListenAddr, Request, Response, Server, Tls};
use bytes::{Buf, Bytes};
use clap::Parser;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[derive(Parser)]
struct Arguments {
    /// How much goes each way in each round.
    #[arg(long, default_value_t = 64)]
    mib: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Congestion control by BBR, not Cubic, on all sides.
    #[arg(long)]
    bbr: bool,
    /// Each way.
    #[arg(long, default_value_t = 15)]
    delay_ms: u64,
    /// Of a thousand datagrams.
    #[arg(long, default_value_t = 20)]
    lost: u64,
    /// Of a thousand datagrams.
    #[arg(long, default_value_t = 10)]
    late: u64,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let authority = Authority::new("goodput");
    let issued = authority.issue("localhost");
    let ours = start_ours(&arguments, Tls::files(&issued.chain, &issued.key))?;
    let plain = start_plain(&arguments, &issued.chain, &issued.key)?;
    let bytes = arguments.mib << 20;
    let mut ratios = [Vec::new(), Vec::new()];
    for round in 0..arguments.rounds {
        for (direction, is_upload) in [("down", false), ("up", true)] {
            let seed = round as u64 + 1;
            let first = measure(&arguments, seed, ours, |client| {
                ask_ours(client, bytes, is_upload)
            })?;
            let second = measure(&arguments, seed, plain, |client| {
                ask_plain(client, bytes, is_upload)
            })?;
            let rate = |took: Duration| arguments.mib as f64 / took.as_secs_f64();
            let ratio = rate(first) / rate(second);
            println!(
                "{direction}: ours {:.2} MiB/s, quinn {:.2} MiB/s, ratio {ratio:.3}",
                rate(first),
                rate(second)
            );
            ratios[usize::from(is_upload)].push(ratio);
        }
    }
    for (direction, mut ratios) in ["down", "up"].into_iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        println!("{direction}: median ratio {:.3}", ratios[ratios.len() / 2]);
    }
    Ok(())
}

/// How long something takes through a network of its own.
fn measure(
    arguments: &Arguments,
    seed: u64,
    server: SocketAddr,
    ask: impl FnOnce(Client) -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    let weather = Weather {
        delay: Duration::from_millis(arguments.delay_ms),
        lost: arguments.lost,
        repeated: 0,
        late: arguments.late,
    };
    let relay = Relay::start(server, seed, weather);
    let client = Client {
        server: relay.address(),
        options: Options {
            window: Some(16 << 20),
            bbr: arguments.bbr,
            is_deaf: false,
        },
    };
    let began = Instant::now();
    ask(client)?;
    Ok(began.elapsed())
}

struct Client {
    server: SocketAddr,
    options: Options,
}

const LONG: Duration = Duration::from_secs(1800);

fn ask_ours(client: Client, bytes: usize, is_upload: bool) -> Result<(), Failure> {
    let client = Http3::connect_with(client.server, client.options);
    let (method, path) = match is_upload {
        true => ("POST", "/".to_owned()),
        false => ("GET", format!("/{bytes}")),
    };
    client.wait_for(LONG, async {
        let opened = client.open(method, &path, &[]).await;
        let mut stream = opened.map_err(|answer| format!("{answer:?}"))?;
        if is_upload {
            let piece = Bytes::from(Numbers::default().next_piece());
            for _ in 0..bytes / piece.len() {
                stream.send_data(piece.clone()).await?;
            }
        }
        stream.finish().await?;
        stream.recv_response().await?;
        let mut received = 0;
        while let Some(data) = stream.recv_data().await? {
            received += data.remaining();
        }
        match received {
            8 if is_upload => Ok(()),
            received if received == bytes => Ok(()),
            _ => Err(format!("{received} bytes").into()),
        }
    })
}

fn start_ours(arguments: &Arguments, tls: Tls) -> Result<SocketAddr, Failure> {
    let server = Server::builder()
        .listen("127.0.0.1:0")?
        .tls(tls.versions(Versions::ALL))
        .threads(1)
        .quic_congestion(match arguments.bbr {
            true => Congestion::Bbr,
            false => Congestion::Cubic,
        })
        .content_bytes_max(u64::MAX)
        .rate_min(None)
        .bind()?;
    let address = match server.local_addrs() {
        [ListenAddr::Tcp(address)] => *address,
        other => return Err(format!("it listens on {other:?}").into()),
    };
    std::thread::spawn(move || server.run(answer));
    Ok(address)
}

async fn answer(mut request: Request) -> Result<Response, ContentError> {
    if let Some(Ok(bytes)) = request.path().get(1..).map(str::parse::<usize>) {
        return Ok(Response::ok(Body::stream(async move |mut writer| {
            let piece = Bytes::from(Numbers::default().next_piece());
            for _ in 0..bytes / piece.len() {
                writer.write(piece.clone()).await?;
            }
            writer.finish();
            Ok::<_, ajayserver::StreamClosed>(())
        })));
    }
    let mut received = 0_u64;
    while let Some(data) = request.content().data().await.transpose()? {
        received += data.len() as u64;
    }
    Ok(Response::ok(received.to_be_bytes().to_vec()))
}

/// The protocol of the plain pair: eight bytes say how much is to come back, and whatever follows is counted.
fn start_plain(
    arguments: &Arguments,
    chain: &std::path::Path,
    key: &std::path::Path,
) -> Result<SocketAddr, Failure> {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut transport = quinn::TransportConfig::default();
    // As ours.
    transport
        .stream_receive_window((1_u32 << 20).into())
        .receive_window((2_u32 << 20).into());
    if arguments.bbr {
        let bbr = quinn::congestion::BbrConfig::default();
        transport.congestion_controller_factory(Arc::new(bbr));
    }
    config.transport_config(Arc::new(transport));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let server = quinn::Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0)))?;
            let _ = tell.send(server.local_addr()?);
            while let Some(incoming) = server.accept().await {
                tokio::spawn(async move {
                    let served = serve_plain(incoming).await;
                    served.inspect_err(|error| eprintln!("quinn: {error}"))
                });
            }
            Ok::<_, Failure>(())
        })
    });
    Ok(told.recv()?)
}

async fn serve_plain(incoming: quinn::Incoming) -> Result<(), Failure> {
    let connection = incoming.await?;
    let (mut send, mut receive) = connection.accept_bi().await?;
    let mut wanted = [0; 8];
    receive.read_exact(&mut wanted).await?;
    let mut received = 0_u64;
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
        received += chunk.bytes.len() as u64;
    }
    let wanted = u64::from_be_bytes(wanted) as usize;
    if wanted == 0 {
        send.write_all(&received.to_be_bytes()).await?;
    }
    let piece = Bytes::from(Numbers::default().next_piece());
    for _ in 0..wanted / piece.len() {
        send.write_chunk(piece.clone()).await?;
    }
    send.finish()?;
    // Until the client has all of it.
    let _ = send.stopped().await;
    connection.closed().await;
    Ok(())
}

fn ask_plain(client: Client, bytes: usize, is_upload: bool) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let endpoint = endpoint(client.server, client.options);
        let connection = endpoint.connect(client.server, "localhost")?.await?;
        let (mut send, mut receive) = connection.open_bi().await?;
        let wanted = if is_upload { 0 } else { bytes as u64 };
        send.write_all(&wanted.to_be_bytes()).await?;
        if is_upload {
            let piece = Bytes::from(Numbers::default().next_piece());
            for _ in 0..bytes / piece.len() {
                send.write_chunk(piece.clone()).await?;
            }
        }
        send.finish()?;
        let mut received = 0;
        while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
            received += chunk.bytes.len();
        }
        connection.close(0_u32.into(), b"");
        match received {
            8 if is_upload => Ok(()),
            received if received == bytes => Ok(()),
            _ => Err(format!("{received} bytes").into()),
        }
    })
}
