//! Names in the client's hello that rustls's client does not send.

use rustls::version;

use super::*;

/// What comes of a hello that asks for `sent`. The name that the client puts into it is exchanged for
/// this one, so that the handshake cannot be completed.
fn hello_for(sent: &str) -> (Pair, Result<(), Failure>) {
    let made = fixed();
    let name = "x".repeat(sent.len());
    let client = x25519_client(&made, &version::TLS12);
    let mut pair = Pair::new(&client, &made.config(&options()), &name);
    let mut hello = pair.flight();
    let at = hello
        .windows(name.len())
        .position(|window| window == name.as_bytes())
        .unwrap();
    hello[at..at + sent.len()].copy_from_slice(sent.as_bytes());
    let result = pair.give(&mut hello);
    (pair, result)
}

#[test]
fn a_name_is_told_in_lower_case_and_without_its_dot() {
    for (sent, told) in [
        ("WWW.Example.com", "www.example.com"),
        ("www.example.com.", "www.example.com"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("under_score.test", "under_score.test"),
    ] {
        let (pair, result) = hello_for(sent);
        assert_eq!(result, Ok(()));
        assert_eq!(pair.session.sni(), Some(told));
    }
}

#[test]
fn an_address_is_as_good_as_no_name() {
    for sent in ["192.0.2.1", "2001:db8::1"] {
        let (pair, result) = hello_for(sent);
        assert_eq!(result, Ok(()));
        assert_eq!(pair.session.sni(), None);
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for sent in [
        "a..b", ".a.b", "a b", "a\0b", "a/b", "*.test", "-a.test", "ä.test",
    ] {
        let (pair, result) = hello_for(sent);
        assert_eq!(result, Err(Failure::ProtocolViolation), "{sent}");
        assert_eq!(pair.session.sni(), None);
    }
}

#[test]
fn a_resumed_session_is_bound_to_its_name() {
    // RFC 6066 §3: one that asks for another name is not resumed.
    let made = Made::new(&["a", "b"]);
    let keys = crate::TicketKeys::new(now()).unwrap();
    let config = made.config(&Options {
        tickets: Some(Arc::new(crate::TicketKeysCell::new(keys).unwrap())),
        clock: crate::testing::Clock::new(),
        ..options()
    });
    for version in BOTH {
        let client = x25519_client(&made, version);
        let kind = |name| {
            let pair = Pair::connected(&client, &config, name);
            let told = (pair.session.sni() == Some(name)).then_some(());
            told.and(pair.session.handshake_kind())
        };
        assert_eq!(kind("a"), Some(HandshakeKind::Full));
        assert_eq!(kind("a"), Some(HandshakeKind::Resumed));
        assert_eq!(kind("b"), Some(HandshakeKind::Full));
        assert_eq!(kind("b"), Some(HandshakeKind::Resumed));
    }
}
