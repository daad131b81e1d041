//! Servers on sockets that the program has made.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use ajayserver::tls::Versions;
use ajayserver::{Builder, ListenAddr, Request, Server, Tls};

type Outcome = Result<(), Box<dyn Error>>;

const ASK: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn builder() -> Builder {
    Server::builder().threads(2).handle_signals(false)
}

/// Serves what `ask` asks for, with the path of each request.
fn serve(server: Server, ask: impl FnOnce() -> Outcome) -> Outcome {
    let handle = server.handle();
    let serving = std::thread::spawn(|| server.run(async |it: Request| it.path().to_owned()));
    let asked = ask();
    handle.shutdown();
    serving.join().expect("the server does not panic")?;
    asked
}

fn is_answered(mut stream: impl Read + Write) -> Outcome {
    stream.write_all(ASK)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n/a"), "{answer}");
    Ok(())
}

#[test]
fn a_tcp_listener_is_served_beside_an_address() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // It has come before there was a server.
    let early = TcpStream::connect(address)?;
    let server = builder()
        .listen("127.0.0.1:0")?
        .listen_on(listener)
        .bind()?;
    let [ListenAddr::Tcp(other), ListenAddr::Tcp(given)] = *server.local_addrs() else {
        panic!("{:?}", server.local_addrs());
    };
    assert_eq!(given, address);
    serve(server, || {
        is_answered(early)?;
        for _ in 0..20 {
            is_answered(TcpStream::connect(address)?)?;
        }
        is_answered(TcpStream::connect(other)?)
    })
}

#[test]
fn a_socket_that_others_hold_outlives_the_server() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    for _ in 0..2 {
        let server = builder().listen_on(listener.try_clone()?).bind()?;
        serve(server, || is_answered(TcpStream::connect(address)?))?;
    }
    let waiting = TcpStream::connect(address)?;
    let server = builder().listen_on(listener).bind()?;
    serve(server, || is_answered(waiting))
}

#[test]
fn a_unix_listener_is_served_and_its_file_stays() -> Outcome {
    let path = std::env::temp_dir().join(format!("ajay-listen-on-{}", std::process::id()));
    let server = builder().listen_on(UnixListener::bind(&path)?).bind()?;
    assert_eq!(server.local_addrs(), [ListenAddr::Inherited(path.clone())]);
    let served = serve(server, || is_answered(UnixStream::connect(&path)?));
    assert!(path.exists(), "the file is the program's");
    std::fs::remove_file(path)?;
    served
}

#[test]
fn what_does_not_listen_is_refused() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let no_listener = "it is no stream socket that listens";
    let cases: [(OwnedFd, &str); 3] = [
        (stream.into(), no_listener),
        (UdpSocket::bind("127.0.0.1:0")?.into(), no_listener),
        (
            std::fs::File::open("/dev/null")?.into(),
            "it is not a socket",
        ),
    ];
    for (descriptor, why) in cases {
        let error = builder()
            .listen_on(descriptor)
            .bind()
            .map(drop)
            .unwrap_err();
        let message = format!("cannot listen on a socket of the program: {why}");
        assert_eq!(error.to_string(), message);
        assert!(error.is_bind());
    }
    Ok(())
}

#[test]
fn http_3_alone_is_refused() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let directory = std::env::temp_dir().join(format!("ajay-h3-alone-{}", std::process::id()));
    let tls = Tls::self_signed(&directory, ["localhost"]).versions(Versions::HTTP3);
    let error = builder().listen_on(listener).tls(tls).bind().map(drop);
    let _ = std::fs::remove_dir_all(&directory);
    let error = error.unwrap_err();
    assert!(
        error.to_string().ends_with("HTTP/3 alone does not use it"),
        "{error}"
    );
    Ok(())
}

#[test]
fn several_processes_are_refused() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let builder = builder().processes(2).listen_on(listener);
    let error = builder.bind().map(drop).unwrap_err();
    assert!(error.is_bind(), "{error}");
    assert!(error.to_string().contains("use one process"), "{error}");
    Ok(())
}
