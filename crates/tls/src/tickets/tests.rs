use rustls::{HandshakeKind, version};

use super::*;
use crate::testing::{BOTH, Clock, Made, NOW, Pair, at, now};
use crate::{ClientCertificates, Config, Options};

const HOUR: u64 = 3600;

fn ticketer(keys: &TicketKeys, clock: &Arc<Clock>) -> Ticketer {
    Ticketer {
        keys: Arc::new(TicketKeysCell::new(keys.clone()).unwrap()),
        clock: Arc::clone(clock) as Arc<dyn TimeProvider>,
        policy: [0; POLICY_LEN],
    }
}

fn process(made: &Made, keys: &TicketKeys) -> Config {
    made.config(&Options {
        tickets: Some(Arc::new(TicketKeysCell::new(keys.clone()).unwrap())),
        clock: Clock::new(),
        ..Options::default()
    })
}

#[test]
fn a_ticket_of_one_process_resumes_in_another_until_its_key_is_gone() {
    let made = Made::new(&["a"]);
    let keys = TicketKeys::new(now()).unwrap();
    let imported = TicketKeys::import(&keys.export()).unwrap();
    let strangers = TicketKeys::new(now()).unwrap();
    for version in BOTH {
        for (second, kind) in [
            (&imported, HandshakeKind::Resumed),
            (&strangers, HandshakeKind::Full),
        ] {
            let client = made.client(&[version]);
            let first = Pair::connected(&client, &process(&made, &keys), "a");
            assert_eq!(first.session.handshake_kind(), Some(HandshakeKind::Full));
            let second = Pair::connected(&client, &process(&made, second), "a");
            assert_eq!(second.session.handshake_kind(), Some(kind));
            assert_eq!(second.session.sni(), Some("a"));
        }
    }
}

#[test]
fn a_ticket_opens_no_session_where_a_client_certificate_is_required() {
    let made = Made::new(&["a"]);
    let keys = TicketKeys::new(now()).unwrap();
    let cell = Arc::new(TicketKeysCell::new(keys.clone()).unwrap());
    let path = std::env::temp_dir().join(format!("ajay-tls-authorities-{}", std::process::id()));
    std::fs::write(&path, &made.chain).unwrap();
    let required = made.config(&Options {
        tickets: Some(cell),
        clock: Clock::new(),
        client_certificates: ClientCertificates::Required(path.clone()),
        ..Options::default()
    });
    std::fs::remove_file(path).unwrap();
    let client = made.client(&[&version::TLS13]);
    Pair::connected(&client, &process(&made, &keys), "a");
    let mut second = Pair::new(&client, &required, "a");
    assert_eq!(second.run(), Err(crate::Failure::ClientCertificateMissing));
}

#[test]
fn a_ticket_resumes_for_24_hours_however_often_keys_rotate() {
    let made = Made::new(&["a"]);
    let clock = Clock::new();
    let cell = |keys| Arc::new(TicketKeysCell::new(keys).unwrap());
    let process = |keys: &Arc<TicketKeysCell>| {
        made.config(&Options {
            tickets: Some(Arc::clone(keys)),
            clock: Arc::clone(&clock) as Arc<dyn TimeProvider>,
            ..Options::default()
        })
    };
    // One is told the keys by the other whenever they change.
    let (leader, follower) = (
        cell(TicketKeys::new(now()).unwrap()),
        cell(TicketKeys::new(now()).unwrap()),
    );
    let configs = [process(&leader), process(&follower)];
    let tick = |seconds: u64| {
        clock.set(NOW + seconds);
        if let Some(keys) = leader.get().rotated(at(NOW + seconds)).unwrap() {
            leader.set(keys).unwrap();
        }
        let keys = TicketKeys::import(&leader.get().export()).unwrap();
        follower.set(keys).unwrap();
    };
    for version in BOTH {
        // The first of a key's tickets, and the last.
        for issued in [0, 12 * HOUR - 1] {
            for (age, kind) in [
                (0, HandshakeKind::Resumed),
                (12 * HOUR, HandshakeKind::Resumed),
                (24 * HOUR - 1, HandshakeKind::Resumed),
                (24 * HOUR, HandshakeKind::Full),
                (36 * HOUR, HandshakeKind::Full),
            ] {
                clock.set(NOW);
                leader.set(TicketKeys::new(now()).unwrap()).unwrap();
                tick(issued);
                let client = made.client(&[version]);
                Pair::connected(&client, &configs[0], "a");
                for time in (issued..=issued + age).step_by(6 * HOUR as usize) {
                    tick(time);
                }
                tick(issued + age);
                let pair = Pair::connected(&client, &configs[1], "a");
                let seen = pair.session.handshake_kind();
                assert_eq!(seen, Some(kind), "issued at {issued}, {age} later");
            }
        }
    }
}

/// RFC 8446 appendix C.4: a client that uses each ticket once has one for the next connection.
#[test]
fn each_connection_brings_the_ticket_of_the_next() {
    let made = Made::new(&["a"]);
    let config = process(&made, &TicketKeys::new(now()).unwrap());
    let client = made.client(&[&version::TLS13]);
    for kind in [
        HandshakeKind::Full,
        HandshakeKind::Resumed,
        HandshakeKind::Resumed,
    ] {
        let pair = Pair::connected(&client, &config, "a");
        assert_eq!(pair.session.handshake_kind(), Some(kind));
        assert_eq!(pair.client.tls13_tickets_received(), 1);
    }
}

#[test]
fn without_keys_no_session_is_resumed() {
    let made = Made::new(&["a"]);
    let config = made.config(&Options::default());
    for version in BOTH {
        let client = made.client(&[version]);
        for _ in 0..2 {
            let pair = Pair::connected(&client, &config, "a");
            let kind = pair.session.handshake_kind();
            assert_eq!(kind, Some(HandshakeKind::Full));
        }
    }
}

#[test]
fn a_ticket_does_not_outlive_the_clients_certificate() {
    let clock = Clock::new();
    let ticketer = ticketer(&TicketKeys::new(now()).unwrap(), &clock);
    session::set_client_good_until(NOW + 60);
    let ticket = ticketer.encrypt(b"state").unwrap();
    clock.set(NOW + 60);
    session::set_client_good_until(0);
    assert_eq!(ticketer.decrypt(&ticket).unwrap(), b"state");
    assert_eq!(
        session::client_good_until(),
        NOW + 60,
        "for the next ticket"
    );
    clock.set(NOW + 61);
    assert_eq!(ticketer.decrypt(&ticket), None);
}

#[test]
fn keys_rotate_every_12_hours_and_are_forgotten_24_hours_later() {
    let first = TicketKeys::new(now()).unwrap();
    let clock = Clock::new();
    let ticket = ticketer(&first, &clock).encrypt(b"state").unwrap();
    let rotated = |keys: &TicketKeys, hours: u64| keys.rotated(at(NOW + hours * HOUR)).unwrap();
    assert_eq!(rotated(&first, 11), None);
    let second = rotated(&first, 12).unwrap();
    assert_eq!(rotated(&second, 23), None);
    let third = rotated(&second, 24).unwrap();
    assert_eq!(third.keys.len(), 3);
    clock.set(NOW + 12 * HOUR);
    let later = ticketer(&second, &clock).encrypt(b"state").unwrap();
    clock.set(NOW + 35 * HOUR);
    // Its key is still there for tickets of its last hours, but the ticket is too old.
    assert_eq!(ticketer(&third, &clock).decrypt(&ticket), None);
    assert_eq!(ticketer(&third, &clock).decrypt(&later).unwrap(), b"state");
    let fourth = rotated(&third, 36).unwrap();
    assert!(!fourth.keys.contains(&first.keys[0]));
    clock.set(NOW);
    assert_eq!(
        ticketer(&fourth, &clock).decrypt(&ticket),
        None,
        "rotated out"
    );
    assert_eq!(rotated(&first, 1000).unwrap().keys.len(), 1);
}

#[test]
fn nobody_rotates_and_no_tickets_are_issued() {
    let clock = Clock::new();
    let ticketer = ticketer(&TicketKeys::new(now()).unwrap(), &clock);
    clock.set(NOW + 12 * HOUR);
    assert!(ticketer.encrypt(b"x").is_some());
    clock.set(NOW + 13 * HOUR);
    assert!(ticketer.encrypt(b"x").is_none());
}

#[test]
fn changed_and_short_tickets_do_not_open() {
    let ticketer = ticketer(&TicketKeys::new(now()).unwrap(), &Clock::new());
    let ticket = ticketer.encrypt(b"state").unwrap();
    assert_eq!(ticketer.decrypt(&ticket).unwrap(), b"state");
    for index in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[index] ^= 1;
        assert_eq!(ticketer.decrypt(&changed), None, "byte {index}");
        assert_eq!(ticketer.decrypt(&ticket[..index]), None);
    }
}

#[test]
fn what_is_no_export_is_not_imported() {
    let keys = TicketKeys::new(now()).unwrap();
    let bytes = keys.export();
    assert_eq!(TicketKeys::import(&bytes).unwrap(), keys);
    for (index, value) in [(0, 0), (0, 2), (1, 0), (1, 4)] {
        let mut bytes = bytes;
        bytes[index] = value;
        let error = TicketKeys::import(&bytes).unwrap_err();
        assert_eq!(error, TicketKeysError::NotAnExport);
    }
    assert!(TicketKeys::import(&bytes[..TICKET_KEYS_LEN - 1]).is_err());
    assert!(TicketKeys::import(&[]).is_err());
}
