use super::*;

#[test]
fn other_machines_are_refused() {
    for text in [
        "192.0.2.1:80",
        "0.0.0.0:80",
        "[::]:80",
        "[2001:db8::1]:80",
        "10.0.0.1:8080",
        "126.255.255.255:80",
        "128.0.0.1:80",
    ] {
        let error = text.parse::<Loopback>().unwrap_err();
        assert!(matches!(error, Error::NotLoopback(_)), "{text}");
        assert!(error.to_string().contains("is not a loopback address"));
    }
    for text in ["", "localhost:80", "127.0.0.1", "127.0.0.1:99999"] {
        let error = text.parse::<Loopback>().unwrap_err();
        assert!(matches!(error, Error::NotAnAddress(_)), "{text}");
    }
}

#[test]
fn this_machine_is_allowed() {
    for text in ["127.0.0.1:80", "127.255.255.254:1", "[::1]:8080"] {
        assert!(text.parse::<Loopback>().is_ok(), "{text}");
    }
}

#[test]
fn sources_are_distinct_loopback_addresses_and_not_the_honest_one() {
    let to: Loopback = "127.0.0.1:80".parse().unwrap();
    let sources = Sources::new(SOURCES_MAX, to).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for serial in 0..u64::from(SOURCES_MAX) {
        let source = sources.nth(serial).unwrap();
        assert!(source.is_loopback() && source != Ipv4Addr::LOCALHOST);
        assert!(seen.insert(source), "{source} twice");
    }
    assert_eq!(
        sources.nth(u64::from(SOURCES_MAX)),
        Some(Ipv4Addr::new(127, 0, 1, 1))
    );
    assert_eq!(Sources::new(1, to).unwrap().nth(7), None);
}

#[test]
fn sources_have_bounds() {
    let to: Loopback = "127.0.0.1:80".parse().unwrap();
    assert!(Sources::new(0, to).is_err());
    assert!(Sources::new(SOURCES_MAX + 1, to).is_err());
    let to: Loopback = "[::1]:80".parse().unwrap();
    assert!(matches!(
        Sources::new(2, to),
        Err(Error::SourcesNeedIpv4(_))
    ));
}
