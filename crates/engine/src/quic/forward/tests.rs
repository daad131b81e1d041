use super::*;

fn arrival(remote: &str, local_ip: Option<&str>, ecn: Option<EcnCodepoint>) -> Arrival {
    Arrival {
        remote: remote.parse().unwrap(),
        local_ip: local_ip.map(|ip| ip.parse().unwrap()),
        ecn,
    }
}

#[test]
fn datagrams_reach_the_worker_with_where_they_came_from() {
    let ways = Ways::new(3).unwrap();
    let (first, last) = (ways.of(0).unwrap(), ways.of(2).unwrap());
    let sent = [
        (
            0,
            arrival("192.0.2.1:4433", Some("192.0.2.9"), Some(EcnCodepoint::Ce)),
        ),
        (7, arrival("[2001:db8::1]:1", None, None)),
        (
            65535,
            arrival(
                "[2001:db8::1]:65535",
                Some("2001:db8::2"),
                Some(EcnCodepoint::Ect0),
            ),
        ),
    ];
    for (place, arrival) in &sent {
        assert!(first.send(2, *place, arrival, b"two datagrams", 7));
    }
    let mut buffer = [0; 100];
    for (place, arrival) in &sent {
        let (at, from, datagrams) = last.receive(&mut buffer).unwrap();
        assert_eq!(at, *place);
        let datagrams: Vec<&[u8]> = datagrams.collect();
        assert_eq!(datagrams, [&b"two dat"[..], b"agrams"]);
        assert_eq!(from.remote, arrival.remote);
        assert_eq!(from.local_ip, arrival.local_ip);
        assert_eq!(from.ecn, arrival.ecn);
    }
    assert!(last.receive(&mut buffer).is_none());
}

#[test]
fn a_worker_that_does_not_read_loses_datagrams_only() {
    let ways = Ways::new(2).unwrap();
    let forwarding = ways.of(0).unwrap();
    let from = arrival("192.0.2.1:1", None, None);
    let sent = (0..10_000).filter(|_| forwarding.send(1, 0, &from, &[0; 1200], 1200));
    let sent = sent.count();
    assert!((50..10_000).contains(&sent), "{sent}");
    assert!(!forwarding.send(5, 0, &from, b"to nobody", 9));
}
