use std::io::Write;
use std::net::TcpStream;

use super::*;

#[test]
fn a_sink_reads_all_and_counts() {
    let sink = Sink::start("127.0.0.1:0".parse().unwrap(), Duration::from_secs(60)).unwrap();
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
        accepted: 3,
        ended: 3,
        bytes: 9_000_000,
    };
    assert_eq!(sink.join().unwrap(), expected);
}

#[test]
fn a_sink_ends_by_itself() {
    let sink = Sink::start("[::1]:0".parse().unwrap(), Duration::from_millis(1));
    // A machine without IPv6 has no such address.
    if let Ok(sink) = sink {
        assert_eq!(sink.join().unwrap(), Totals::default());
    }
}
