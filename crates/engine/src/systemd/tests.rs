use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;

use socket2::{Domain, SockAddr, Socket, Type};

use super::*;
use crate::listener::Local;

const OUR_PID: u32 = 77;

fn read(variables: &[(&str, &str)]) -> Result<Vec<String>, ActivationError> {
    let variable = |name: &str| {
        let mut found = variables.iter().filter(|(key, _)| *key == name);
        found.next().map(|(_, value)| (*value).to_owned())
    };
    Passed::read(variable, OUR_PID).map(|passed| passed.names)
}

#[test]
fn what_the_environment_says() {
    let malformed = |variable| Err(ActivationError::Malformed { variable });
    let (pid, two) = (("LISTEN_PID", "77"), ("LISTEN_FDS", "2"));
    let names = |names| ("LISTEN_FDNAMES", names);
    let owned = |names: [&str; 2]| Ok(names.map(str::to_owned).to_vec());
    assert_eq!(read(&[pid, two]), owned(["unknown", "unknown"]));
    assert_eq!(read(&[pid, two, names("a:b")]), owned(["a", "b"]));
    assert_eq!(read(&[pid, two, names("a:")]), owned(["a", ""]));
    assert_eq!(read(&[]), Err(ActivationError::NotPassed));
    assert_eq!(read(&[pid]), Err(ActivationError::NotPassed));
    assert_eq!(read(&[two]), Err(ActivationError::NotPassed));
    let none = ("LISTEN_FDS", "0");
    assert_eq!(read(&[pid, none]), Err(ActivationError::NotPassed));
    let other = ("LISTEN_PID", "78");
    let error = Err(ActivationError::OtherProcess { pid: 78 });
    assert_eq!(read(&[other, two]), error);
    for pid in ["", "-77", "77x", "99999999999"] {
        let pid = ("LISTEN_PID", pid);
        assert_eq!(read(&[pid, two]), malformed("LISTEN_PID"), "{pid:?}");
    }
    for count in ["", "-1", "two", "65536"] {
        let count = ("LISTEN_FDS", count);
        assert_eq!(read(&[pid, count]), malformed("LISTEN_FDS"), "{count:?}");
    }
    for list in ["", "a", "a:b:c"] {
        let error = malformed("LISTEN_FDNAMES");
        assert_eq!(read(&[pid, two, names(list)]), error, "{list:?}");
    }
}

fn on(descriptor: impl Into<OwnedFd>) -> io::Result<Listening> {
    listeners_on("web", &descriptor.into(), 2, &SocketOptions::default())
}

#[test]
fn workers_share_a_passed_socket_and_its_options_are_ours() {
    let passed = TcpListener::bind("127.0.0.1:0").expect("bind");
    let bound = passed.local_addr().expect("an address");
    let (address, listeners) = on(passed).expect("a listener");
    assert_eq!(address, ListenAddr::Tcp(bound));
    assert_eq!(listeners.len(), 2);
    assert!(matches!(listeners[1].local, Local::Fixed(local) if local == bound));
    let nothing = rustix::net::accept(&listeners[0].socket);
    assert_eq!(nothing.err(), Some(rustix::io::Errno::AGAIN));
    let _client = TcpStream::connect(bound).expect("connect");
    let accepted = rustix::net::accept(&listeners[1].socket).expect("accept");
    assert!(rustix::net::sockopt::tcp_nodelay(&accepted).expect("nodelay"));
    let lowat = Socket::from(accepted).tcp_notsent_lowat();
    assert_eq!(lowat.expect("lowat"), 64 * 1024);
}

/// A drain must not do to it what would be done to our successor.
#[test]
fn a_passed_socket_is_left_as_it_was() {
    let passed = TcpListener::bind("127.0.0.1:0").expect("bind");
    let bound = passed.local_addr().expect("an address");
    let (_, listeners) = on(passed.try_clone().expect("a duplicate")).expect("a listener");
    for listener in &listeners {
        listener.turn_away().expect("nothing to do");
    }
    drop(listeners);
    let timeout = std::time::Duration::from_secs(5);
    let _client = TcpStream::connect_timeout(&bound, timeout).expect("still connects");
}

#[test]
fn addresses_of_passed_sockets() {
    let any = TcpListener::bind("0.0.0.0:0").expect("bind");
    let bound = any.local_addr().expect("an address");
    let (address, listeners) = on(any).expect("a listener");
    assert_eq!(address, ListenAddr::Tcp(bound));
    assert!(matches!(listeners[0].local, Local::Any));

    let both = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
    both.set_only_v6(false).expect("both families");
    let wanted = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    both.bind(&wanted.into()).expect("bind");
    both.listen(1).expect("listen");
    let (address, _) = on(both).expect("a listener");
    assert!(matches!(address, ListenAddr::TcpAny(port) if port != 0));

    let path = std::env::temp_dir().join(format!("ajay-systemd-{}", std::process::id()));
    let unix = UnixListener::bind(&path).expect("bind");
    let (address, listeners) = on(unix).expect("a listener");
    assert_eq!(address.to_string(), format!("unix:{}", path.display()));
    assert!(matches!(listeners[0].local, Local::Unix));
    std::fs::remove_file(&path).expect("remove");

    let name = format!("\0ajay-systemd-{}", std::process::id());
    let hidden = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let wanted = SockAddr::unix(&name).expect("an address");
    hidden.bind(&wanted).expect("bind");
    hidden.listen(1).expect("listen");
    let (address, _) = on(hidden).expect("a listener");
    assert_eq!(address.to_string(), format!("unix:@{}", &name[1..]));
}

#[test]
fn what_does_not_listen_is_refused() {
    let text = |result: io::Result<Listening>| result.expect_err("refused").to_string();
    let file = std::fs::File::open("/dev/null").expect("open");
    assert!(text(on(file)).contains("is not a socket"));
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address");
    let connected = TcpStream::connect(address).expect("connect");
    let packets = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    for result in [on(bound), on(datagrams), on(connected), on(packets)] {
        let text = text(result);
        assert!(text.contains("does not listen"), "{text}");
    }
}
