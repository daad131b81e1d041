use super::*;

fn options() -> SocketOptions {
    SocketOptions::default()
}

fn listen_once(
    address: &ListenAddr,
    workers: usize,
    options: &SocketOptions,
) -> Result<Listening, BindError> {
    let mut listening = listen(address, workers, options)?;
    assert_eq!(listening.len(), 1);
    Ok(listening.remove(0))
}

#[test]
fn addresses_as_people_write_them() {
    for (text, expected) in [
        (
            "127.0.0.1:80",
            ListenAddr::Tcp("127.0.0.1:80".parse().expect("valid")),
        ),
        (
            "[::1]:8080",
            ListenAddr::Tcp("[::1]:8080".parse().expect("valid")),
        ),
        (":8080", ListenAddr::TcpAny(8080)),
        ("unix:/run/a.sock", ListenAddr::Unix("/run/a.sock".into())),
        ("systemd", ListenAddr::Systemd(None)),
        ("systemd:web", ListenAddr::Systemd(Some("web".to_owned()))),
    ] {
        assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
        let shown = expected.to_string();
        assert_eq!(shown.trim_start_matches('*'), text);
    }
    for bad in [
        "",
        "localhost",
        "localhost:80",
        "127.0.0.1",
        ":",
        ":70000",
        "unix:",
        "systemd:",
        "systemd0",
        "::1:80",
    ] {
        let error = bad.parse::<ListenAddr>().expect_err(bad);
        assert!(error.contains("as in"), "{error}");
    }
}

#[test]
fn workers_share_a_port_and_another_server_does_not() {
    let any_port = ListenAddr::Tcp("127.0.0.1:0".parse().expect("valid"));
    let (bound, listeners) = listen_once(&any_port, 3, &options()).expect("listen");
    assert_eq!(listeners.len(), 3);
    let error = listen_once(&bound, 1, &options()).expect_err("in use");
    assert_eq!(error.io_error().kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains("another program"), "{error}");
    drop(listeners);
    listen_once(&bound, 1, &options()).expect("free again");
}

#[test]
fn accepted_sockets_inherit_their_options() {
    let any_port = ListenAddr::Tcp("127.0.0.1:0".parse().expect("valid"));
    let (bound, listeners) = listen_once(&any_port, 1, &options()).expect("listen");
    let ListenAddr::Tcp(address) = bound else {
        panic!("{bound}")
    };
    let _client = std::net::TcpStream::connect(address).expect("connect");
    let accepted = rustix::net::accept(&listeners[0].socket).expect("accept");
    assert!(rustix::net::sockopt::tcp_nodelay(&accepted).expect("nodelay"));
    assert!(rustix::net::sockopt::socket_keepalive(&accepted).expect("keepalive"));
    let socket = Socket::from(accepted);
    assert_eq!(socket.tcp_notsent_lowat().expect("lowat"), 64 * 1024);
}

#[test]
fn a_dead_socket_file_is_replaced_and_a_live_one_or_a_file_is_not() {
    let directory = std::env::temp_dir().join(format!("ajay-listener-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("directory");
    let path = directory.join("a.sock");
    let address = ListenAddr::Unix(path.clone());

    let (_, listeners) = listen_once(&address, 2, &options()).expect("listen");
    let error = listen_once(&address, 1, &options()).expect_err("live");
    assert_eq!(error.io_error().kind(), io::ErrorKind::AddrInUse);
    drop(listeners);
    listen_once(&address, 1, &options()).expect("the file of a dead server is replaced");

    std::fs::remove_file(&path).expect("remove");
    std::fs::write(&path, "precious").expect("write");
    listen_once(&address, 1, &options()).expect_err("not a socket");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "precious");
    std::fs::remove_dir_all(&directory).expect("clean up");
}
