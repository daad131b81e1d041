//! Handshakes one after the other, on several connections at once, a thread for each.
//!
//! What a connection carries is the least that shows the server's part to be done:
//!
//! | sessions | with the client's Finished | then |
//! |---|---|---|
//! | new | close_notify | the server ends the connection |
//! | resumed | a request that ends the connection | it answers, with tickets before it, and ends the connection |
//!
//! In both the server closes first. So TIME_WAIT is at its end, and the client does not run out of
//! ports, of which it takes thousands in a second.

use crate::{Client, Count, Group, Sessions};
use rustls::{ClientConnection, HandshakeKind, StreamOwned};
use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

const REQUEST: &[u8] = b"GET /ok.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// How its response must begin.
const STATUS_LINE: &[u8] = b"HTTP/1.1 200";

#[derive(Debug, Clone)]
pub struct Load {
    pub address: SocketAddr,
    pub group: Group,
    pub sessions: Sessions,
    /// At a time.
    pub connections: usize,
    pub duration: Duration,
}

/// Makes handshakes until the time is over; a failure is told then. With [`Sessions::Resumed`] the
/// first handshake of each thread is a full one.
pub fn run(load: &Load) -> io::Result<Count> {
    let deadline = Instant::now() + load.duration;
    thread::scope(|scope| {
        let start = |_| scope.spawn(|| work(load, deadline));
        let workers: Vec<_> = (0..load.connections).map(start).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker panicked"))
            .sum()
    })
}

fn work(load: &Load, deadline: Instant) -> io::Result<Count> {
    // Of its own, with its own tickets: threads that took each other's would run out of them.
    let client = Client::new(load.group, load.sessions);
    let mut count = Count::default();
    while Instant::now() < deadline {
        let kind = handshake(&client, load.address, load.sessions)?;
        count.connections += 1;
        count.resumed += u64::from(kind == HandshakeKind::Resumed);
    }
    Ok(count)
}

/// One connection from its beginning to its end.
fn handshake(
    client: &Client,
    address: SocketAddr,
    sessions: Sessions,
) -> io::Result<HandshakeKind> {
    let StreamOwned {
        conn: mut tls,
        sock: mut socket,
    } = client.connect(address)?;
    if sessions == Sessions::Resumed {
        // rustls keeps it until the handshake is done; then both leave together.
        tls.writer().write_all(REQUEST)?;
    }
    let mut response = Vec::new();
    loop {
        if sessions == Sessions::New && !tls.is_handshaking() {
            tls.send_close_notify();
        }
        while tls.wants_write() {
            tls.write_tls(&mut socket)?;
        }
        if !receive(&mut tls, &mut socket, &mut response)? {
            break;
        }
    }
    wait_for_the_end(&mut socket)?;
    if sessions == Sessions::Resumed && !response.starts_with(STATUS_LINE) {
        let text = String::from_utf8_lossy(&response);
        return Err(io::Error::other(format!("the response is {text:?}")));
    }
    let kind = tls.handshake_kind().filter(|_| !tls.is_handshaking());
    kind.ok_or_else(|| io::Error::other("the server ended the connection before the handshake"))
}

/// Takes what the next read brings; false when nothing more comes.
fn receive(
    tls: &mut ClientConnection,
    socket: &mut TcpStream,
    response: &mut Vec<u8>,
) -> io::Result<bool> {
    if tls.read_tls(socket)? == 0 {
        return Ok(false);
    }
    let state = tls.process_new_packets().map_err(io::Error::other)?;
    let begin = response.len();
    response.resize(begin + state.plaintext_bytes_to_read(), 0);
    tls.reader().read_exact(&mut response[begin..])?;
    Ok(true)
}

/// rustls reads no further than close_notify; the end of the connection may come later.
fn wait_for_the_end(socket: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 256];
    while socket.read(&mut rest)? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Load, REQUEST, run};
    use crate::{Count, Group, Sessions, testing::Server};
    use std::time::Duration;

    fn load(server: &Server, sessions: Sessions, group: Group) -> Load {
        Load {
            address: server.address,
            group,
            sessions,
            connections: 2,
            duration: Duration::from_millis(100),
        }
    }

    #[test]
    fn new_sessions_are_never_resumed() {
        for group in Group::ALL {
            let server = Server::start(b"");
            let count = run(&load(&server, Sessions::New, group)).unwrap();
            assert!(count.connections > 0);
            assert_eq!(count.resumed, 0);
            assert!(server.requests().is_empty());
        }
    }

    #[test]
    fn all_but_the_first_of_each_thread_are_resumed() {
        for group in Group::ALL {
            let server = Server::start(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
            let count = run(&load(&server, Sessions::Resumed, group)).unwrap();
            let Count {
                connections,
                resumed,
            } = count;
            assert!(connections > 2);
            assert_eq!(resumed, connections - 2);
            let requests = server.requests();
            assert_eq!(requests.len() as u64, connections);
            assert!(requests.iter().all(|request| request == REQUEST));
        }
    }

    #[test]
    fn a_bad_status_is_an_error() {
        let server = Server::start(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
        let error = run(&load(&server, Sessions::Resumed, Group::X25519)).unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
    }
}
