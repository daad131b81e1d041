use std::io::Write;
use std::net::TcpStream;

use super::*;

fn start(manner: Manner) -> Sink {
    let address = "127.0.0.1:0".parse().unwrap();
    Sink::start(address, Duration::from_secs(60), manner).unwrap()
}

#[test]
fn a_sink_reads_all_and_counts() {
    let sink = start(Manner::Silent);
    let piece = vec![b'x'; 3_000_000];
    for _ in 0..3 {
        let mut client = TcpStream::connect(sink.address().get()).unwrap();
        client.write_all(&piece).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        // It ends when the sink has read all, without a byte from it.
        assert_eq!(std::io::Read::read(&mut client, &mut [0; 8]).unwrap(), 0);
    }
    sink.stop();
    let expected = Totals {
        datagrams: 0,
        accepted: 3,
        ended: 3,
        bytes: 9_000_000,
    };
    assert_eq!(sink.join().unwrap(), expected);
}

#[test]
fn a_streaming_sink_sends_without_end_to_who_has_asked() {
    let sink = start(Manner::Streams);
    let mut client = TcpStream::connect(sink.address().get()).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let nothing = std::io::Read::read(&mut client, &mut [0; 8]);
    assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    client.write_all(b"more").unwrap();
    std::io::Read::read_exact(&mut client, &mut vec![0; 20_000_000]).unwrap();
}

#[test]
fn a_refusing_sink_answers_once_and_closes() {
    let sink = start(Manner::Refuses);
    let mut client = TcpStream::connect(sink.address().get()).unwrap();
    client.write_all(b"what").unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut client, &mut answer).unwrap();
    assert_eq!(answer, REFUSAL);
}

#[test]
fn a_sink_ends_by_itself() {
    let sink = Sink::start(
        "[::1]:0".parse().unwrap(),
        Duration::from_millis(1),
        Manner::Silent,
    );
    // A machine without IPv6 has no such address.
    if let Ok(sink) = sink {
        assert_eq!(sink.join().unwrap(), Totals::default());
    }
}
