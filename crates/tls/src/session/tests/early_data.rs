//! Clients that resume with early data what another server of the same name agreed to.

use std::io::Write;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ServerConfig, ServerConnection, version};

use super::*;

/// A client that has a ticket of another server, and early data under way in records of these lengths.
fn with_early_data(made: &Made, lens: &[usize]) -> Pair {
    let mut client = made.client(&[&version::TLS13]);
    client.enable_early_data = true;
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let mut other = ServerConfig::builder_with_protocol_versions(&[&version::TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![made.der()], key)
        .unwrap();
    other.max_early_data_size = 1 << 20;
    get_a_ticket(&client, other);
    let mut pair = Pair::new(&client, &made.config(&options()), "a");
    for &len in lens {
        let mut writer = pair.client.early_data().expect("a ticket");
        assert_eq!(writer.write(&vec![b'e'; len]).unwrap(), len);
    }
    pair
}

fn get_a_ticket(client: &ClientConfig, server: ServerConfig) {
    let name = "a".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client.clone()), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.wants_write() || server.wants_write() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        client.write_tls(&mut there).unwrap();
        server.read_tls(&mut &there[..]).unwrap();
        server.process_new_packets().unwrap();
        server.write_tls(&mut back).unwrap();
        client.read_tls(&mut &back[..]).unwrap();
        client.process_new_packets().unwrap();
    }
}

#[test]
fn early_data_is_skipped_however_it_is_cut() {
    let made = Made::new(&["a"]);
    // Together near the bound of what is skipped, so that none of it may count twice.
    let lens = [1, 4_000, 6_000, 5_900];
    for piece_len in [100_000, 1, 5, 1_448] {
        let mut pair = with_early_data(&made, &lens);
        let mut flight = pair.flight();
        assert!(records(&flight).len() > lens.len());
        for piece in flight.chunks_mut(piece_len) {
            pair.give(piece).unwrap();
        }
        assert_eq!(pair.session.held_len(), 0, "nothing of it is kept");
        pair.client_sends(b"ping");
        pair.run().unwrap();
        assert!(!pair.client.is_early_data_accepted());
        assert!(!pair.session.is_handshaking());
        assert_eq!(pair.received, b"ping");
        assert_eq!(pair.server_sends(b"pong"), b"pong");
    }
}

#[test]
fn early_data_without_end_ends_the_session() {
    let made = Made::new(&["a"]);
    for piece_len in [100_000, 1_448] {
        let mut pair = with_early_data(&made, &[8_000, 8_000, 8_000]);
        let mut flight = pair.flight();
        let result = flight
            .chunks_mut(piece_len)
            .try_for_each(|piece| pair.give(piece));
        assert_eq!(result, Err(Failure::BadRecord));
        assert_eq!(pair.session.held_len(), 0);
    }
}

#[test]
fn records_too_short_to_be_encrypted_are_not_kept() {
    let mut pair = with_early_data(&Made::new(&["a"]), &[]);
    let mut flight = pair.flight();
    pair.give(&mut flight).unwrap();
    assert!(pair.session.is_handshaking());
    for len in 0..=16 {
        let mut record = vec![APPLICATION_DATA, 3, 3, 0, len];
        record.resize(HEADER_LEN + usize::from(len), b'e');
        let (head, tail) = record.split_at_mut(3);
        pair.give(head).unwrap();
        pair.give(tail).unwrap();
        assert_eq!(pair.session.held_len(), 0);
    }
    pair.run().unwrap();
    assert!(!pair.session.is_handshaking());
}
