//! The body of the fuzz target for datagrams: what is done with one before its connection is known.

use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::{DatagramEvent, Endpoint};

use super::endpoint;
use super::forward;
use super::id::{ID_LEN, LastId, Seat, initial_destination, settled_destination};
use super::keys::Secret;

/// The first two bytes choose a seat; then datagrams, each after two bytes with its length. Panics if a
/// property does not hold: an identifier that is taken for one of ours has our length and names a worker; what
/// is answered is no larger than the rules allow; a header of a forwarded datagram means the same when it is
/// written again.
///
/// # Panics
/// When the system has no randomness, or a property does not hold.
pub fn fuzz_datagrams(data: &[u8]) {
    let [first, second, rest @ ..] = data else {
        return;
    };
    let workers = u16::from(first % 16) + 1;
    let seat = Seat {
        worker: u16::from(second % 16) % workers,
        workers,
        generation: first >> 4,
    };
    let secret = Secret::new().expect("randomness");
    let config = endpoint::config(&secret, seat, &LastId::default());
    let mut transport = Endpoint::new(config, None, true, Some([0; 32]));
    let remote = ([127, 0, 0, 1], 4433).into();
    let now = Instant::now();
    let (mut rest, mut answer) = (rest, Vec::new());
    while let [high, low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (datagram, after) = after.split_at(len);
        rest = after;
        assert!(initial_destination(datagram).is_none() || settled_destination(datagram).is_none());
        if let Some(id) = settled_destination(datagram) {
            assert_eq!(id.len(), ID_LEN);
            assert!(seat.worker_of(id).is_some_and(|worker| worker < workers));
        }
        forward::check_header(datagram);
        answer.clear();
        let bytes = BytesMut::from(datagram);
        let event = transport.handle(now, remote, None, None, bytes, &mut answer);
        match event {
            Some(DatagramEvent::Response(response)) => {
                // A stateless reset is smaller than what it answers, so that two of them end (RFC 9000 §10.3.3);
                // version negotiation answers what could begin a connection only (§6.1).
                assert_eq!(response.size, answer.len());
                assert!(answer.len() < datagram.len());
            }
            Some(_) => panic!("there is no connection, and nothing begins one here"),
            None => assert!(answer.is_empty()),
        }
    }
}
