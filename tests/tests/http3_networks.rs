//! HTTP/3 over bad networks: datagrams lost, repeated and out of order, and clients whose address changes
//! all the time, with several threads and processes.
//!
//! The tests that are ignored do the same with as much as a network carries in minutes (`cargo xtask test-heavy
//! networks`); with `AJAY_NETWORKS=full` in the environment with eight times as much.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ajay_blackbox::http3::{Http3, Options};
use ajay_blackbox::relay::{Relay, Weather};
use ajay_blackbox::{Authority, FNV1A_START, Numbers, Server, fnv1a_continued, pattern, program};
use bytes::{Buf, Bytes};

struct Quic {
    server: Server,
    address: SocketAddr,
    _authority: Authority,
}

fn server(test: &str, settings: &[&str]) -> Quic {
    let authority = Authority::new(test);
    let tls = authority.issue("localhost").settings();
    let mut all = vec!["tls_versions=all"];
    all.extend(tls.iter().map(String::as_str));
    all.extend(settings);
    let server = Server::start(program!("testserver"), &all);
    let address = SocketAddr::from(([127, 0, 0, 1], server.port()));
    Quic {
        server,
        address,
        _authority: authority,
    }
}

/// Uploads, downloads and small requests on one connection, each compared byte by byte.
fn exchange(client: &Http3, rounds: usize) {
    for round in 0..rounds {
        let content = pattern(1000 + 37_123 * (round % 5));
        let answer = client.ask("POST", "/echo", &[], &content);
        assert_eq!(answer.error, None, "round {round}");
        assert!(answer.body == content, "round {round}");
        let answer = client.fetch("/big?bytes=100000");
        assert_eq!((answer.status, answer.error), (200, None), "round {round}");
        assert_eq!(answer.body.len(), 100_000, "round {round}");
        assert_eq!(client.fetch("/hello").text(), "Hello, world!\n");
    }
}

#[test]
fn contents_survive_a_bad_network() {
    for congestion in ["cubic", "bbr"] {
        let setting = format!("quic_congestion={congestion}");
        let settings: &[&str] = match congestion {
            "bbr" => &[&setting],
            _ => &[],
        };
        let mut quic = server("h3-weather", settings);
        for seed in 1..=4 {
            let weather = Weather {
                delay: Duration::ZERO,
                lost: 30,
                repeated: 20,
                late: 50,
            };
            let relay = Relay::start(quic.address, seed, weather);
            let client = Http3::connect(relay.address());
            exchange(&client, 5);
            client.close();
            assert!(relay.lost() > 0, "seed {seed}");
        }
        assert_eq!(quic.server.counter("http3_connections"), 4);
        assert_eq!(quic.server.counter("violations"), 0);
    }
}

#[test]
fn connections_survive_clients_that_always_move() {
    for settings in [
        &["threads=2", "processes=2"][..],
        &["threads=2", "processes=2", "quic_steering=false"],
    ] {
        let mut quic = server("h3-moving", settings);
        let relay = Relay::start(quic.address, 7, Weather::default());
        let clients: Vec<Http3> = (0..8).map(|_| Http3::connect(relay.address())).collect();
        for client in &clients {
            assert_eq!(client.fetch("/hello").status, 200);
        }
        relay.change_ports_every(Duration::from_millis(40));
        for client in &clients {
            exchange(client, 6);
        }
        assert!(relay.port_changes() > 40, "{}", relay.port_changes());
        assert_eq!(quic.server.counter("http3_connections"), 8);
        assert_eq!(quic.server.counter("connections_closed"), 0);
        assert_eq!(quic.server.counter("quic_forwards_lost"), 0);
        if settings.len() == 2 {
            assert_eq!(quic.server.counter("quic_forwards"), 0, "the kernel steers");
        } else {
            assert!(quic.server.counter("quic_forwards") > 0);
        }
    }
}

const MIB: usize = 1 << 20;

/// As much in all, or an eighth.
fn sized(full: usize) -> usize {
    match std::env::var("AJAY_NETWORKS").as_deref() {
        Ok("full") => full,
        _ => full / 8,
    }
}

/// How long anything here may take.
const LONG: Duration = Duration::from_secs(900);

/// Downloads so many bytes and compares them; `progress` is told how many there are.
fn download(client: &Http3, bytes: usize, mut progress: impl FnMut(usize)) -> Duration {
    let began = Instant::now();
    let path = format!("/numbered?n={}", bytes / Numbers::PIECE_BYTES);
    client.wait_for(LONG, async {
        let mut stream = client.open("GET", &path, &[]).await.expect("a stream");
        stream.finish().await.expect("it is sent");
        let head = stream.recv_response().await.expect("a response");
        assert_eq!(head.status(), 200);
        let (mut numbers, mut received) = (Numbers::default(), 0);
        while let Some(mut data) = stream.recv_data().await.expect("all of it comes") {
            while data.has_remaining() {
                let piece = data.chunk();
                assert!(
                    numbers.goes_on_with(piece),
                    "in {received} to {} bytes",
                    received + piece.len()
                );
                received += piece.len();
                data.advance(piece.len());
            }
            progress(received);
        }
        assert_eq!(received, bytes);
    });
    began.elapsed()
}

/// Uploads so many bytes, and has the server say what it got.
fn upload(client: &Http3, bytes: usize) -> Duration {
    let began = Instant::now();
    client.wait_for(LONG, async {
        let mut stream = client.open("POST", "/read", &[]).await.expect("a stream");
        let (mut numbers, mut hash) = (Numbers::default(), FNV1A_START);
        for _ in 0..bytes / Numbers::PIECE_BYTES {
            let piece = numbers.next_piece();
            hash = fnv1a_continued(hash, &piece);
            stream
                .send_data(Bytes::from(piece))
                .await
                .expect("it is taken");
        }
        stream.finish().await.expect("it is sent");
        let head = stream.recv_response().await.expect("a response");
        assert_eq!(head.status(), 200);
        let mut text = Vec::new();
        while let Some(mut data) = stream.recv_data().await.expect("all of it comes") {
            text.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        assert_eq!(
            String::from_utf8_lossy(&text),
            format!("{bytes} {hash:016x} 0\n")
        );
    });
    began.elapsed()
}

fn rate(bytes: usize, took: Duration) -> String {
    let mebibytes = bytes as f64 / MIB as f64;
    format!(
        "{mebibytes:.0} MiB in {took:.1?}, {:.1} MiB/s",
        mebibytes / took.as_secs_f64()
    )
}

const WIDE: Options = Options {
    window: Some(16 << 20),
    bbr: false,
    is_deaf: false,
};

/// What the counters say of packets that came to another worker than their connection's.
fn assert_steered(quic: &mut Quic, steering: bool) {
    let received = quic.server.counter("quic_datagrams_received");
    let forwards = quic.server.counter("quic_forwards");
    let requests = quic.server.command("worker-requests");
    eprintln!(
        "steering {steering}: {forwards} of {received} datagrams forwarded; requests of the workers: {requests}"
    );
    assert_eq!(quic.server.counter("quic_forwards_lost"), 0);
    if steering {
        assert!(forwards * 100 <= received, "{forwards} of {received}");
    } else {
        assert!(
            forwards > 0,
            "with four workers, some come to the wrong one"
        );
    }
    let used = requests.split_whitespace().filter(|it| *it != "0").count();
    assert_eq!(used, 4, "{requests}");
}

#[test]
#[ignore = "long: cargo xtask test-heavy networks"]
fn a_large_download_survives_five_moves() {
    let bytes = sized(1024 * MIB);
    for steering in [true, false] {
        let setting = format!("quic_steering={steering}");
        let mut quic = server("h3-large", &["threads=2", "processes=2", &setting]);
        // All workers have something to do.
        let others: Vec<Http3> = (0..32).map(|_| Http3::connect(quic.address)).collect();
        others
            .iter()
            .for_each(|client| assert_eq!(client.fetch("/hello").status, 200));
        let relay = Relay::start(quic.address, 1, Weather::default());
        let client = Http3::connect_with(relay.address(), WIDE);
        let mut moves = 0;
        let took = download(&client, bytes, |received| {
            if moves < 5 && received > bytes / 6 * (moves + 1) {
                moves += 1;
                relay.change_ports();
            }
        });
        eprintln!("five moves: {}", rate(bytes, took));
        assert_eq!(relay.port_changes(), 5);
        assert_steered(&mut quic, steering);
    }
}

#[test]
#[ignore = "long: cargo xtask test-heavy networks"]
fn five_hundred_connections_survive_moves_under_load() {
    for steering in [true, false] {
        let setting = format!("quic_steering={steering}");
        let mut quic = server("h3-many", &["threads=2", "processes=2", &setting]);
        let relay = Relay::start(quic.address, 1, Weather::default());
        let clients: Vec<Http3> = (0..500).map(|_| Http3::connect(relay.address())).collect();
        clients
            .iter()
            .for_each(|client| assert_eq!(client.fetch("/hello").status, 200));
        relay.change_ports_every(Duration::from_millis(500));
        let rounds = sized(80);
        std::thread::scope(|scope| {
            for some in clients.chunks(clients.len() / 20) {
                scope.spawn(move || {
                    for round in 0..rounds {
                        for client in some {
                            let answer = client.fetch("/big?bytes=20000");
                            assert_eq!((answer.status, answer.error), (200, None), "round {round}");
                            assert!(answer.body == pattern(20_000), "round {round}");
                        }
                    }
                });
            }
        });
        eprintln!("{} requests, {} moves", 500 * rounds, relay.port_changes());
        assert!(relay.port_changes() >= 500, "{}", relay.port_changes());
        assert_eq!(quic.server.counter("http3_connections"), 500);
        assert_eq!(quic.server.counter("connections_closed"), 0, "none is lost");
        assert_steered(&mut quic, steering);
    }
}

/// 15 ms each way, 2 % lost, 1 % reordered.
const LONG_WAY: Weather = Weather {
    delay: Duration::from_millis(15),
    lost: 20,
    repeated: 0,
    late: 10,
};

#[test]
#[ignore = "long: cargo xtask test-heavy networks"]
fn contents_survive_a_long_way_with_bbr() {
    let bytes = sized(1024 * MIB);
    let quic = server(
        "h3-bbr",
        &["threads=2", "processes=2", "quic_congestion=bbr"],
    );
    let options = Options { bbr: true, ..WIDE };
    let relay = Relay::start(quic.address, 1, LONG_WAY);
    let client = Http3::connect_with(relay.address(), options);
    eprintln!(
        "BBR, down: {}",
        rate(bytes, download(&client, bytes, |_| {}))
    );
    eprintln!("BBR, up: {}", rate(bytes, upload(&client, bytes)));
    assert!(relay.lost() > 0);
}

#[test]
#[ignore = "long: cargo xtask test-heavy networks"]
fn contents_survive_a_long_way_with_cubic() {
    let bytes = sized(64 * MIB);
    let quic = server("h3-cubic", &["threads=2", "processes=2"]);
    // Mostly waiting: both directions at once, on networks of their own.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let relay = Relay::start(quic.address, 1, LONG_WAY);
            let client = Http3::connect_with(relay.address(), WIDE);
            eprintln!(
                "Cubic, down: {}",
                rate(bytes, download(&client, bytes, |_| {}))
            );
        });
        scope.spawn(|| {
            let relay = Relay::start(quic.address, 2, LONG_WAY);
            let client = Http3::connect_with(relay.address(), WIDE);
            eprintln!("Cubic, up: {}", rate(bytes, upload(&client, bytes)));
        });
    });
}
