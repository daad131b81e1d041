//! HTTP/3 over bad networks: datagrams lost, repeated and out of order, and clients whose address changes
//! all the time, with several threads and processes.

use std::net::SocketAddr;
use std::time::Duration;

use ajay_blackbox::http3::Http3;
use ajay_blackbox::relay::{Relay, Weather};
use ajay_blackbox::{Authority, Server, pattern, program};

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
