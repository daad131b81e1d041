//! Which certificate a name gets, and what of it is told.

use rcgen::SanType;

use super::*;
use crate::testing::{Directory, NOW};

#[test]
fn a_wildcard_stands_for_one_label_and_never_for_none() {
    let default = Made::new(&["default.test"]);
    let wildcard = Made::new(&["*.example.com"]);
    let deeper = Made::new(&["*.b.example.com"]);
    let pairs = [default.pem(), wildcard.pem(), deeper.pem()];
    let store = CertStore::from_pem(&pairs, now()).unwrap();
    for (name, made) in [
        ("a.example.com", &wildcard),
        ("A.EXAMPLE.COM", &wildcard),
        ("xn--bcher-kva.example.com", &wildcard),
        ("b.example.com", &wildcard),
        ("a.b.example.com", &deeper),
        ("a.c.example.com", &default),
        ("a.b.c.example.com", &default),
        ("example.com", &default),
        ("a.example.org", &default),
        ("*.example.com.evil.test", &default),
        ("aexample.com", &default),
        ("", &default),
        (".", &default),
    ] {
        assert_eq!(chosen(&store, Some(name)), made.der(), "{name:?}");
    }
}

#[test]
fn a_dot_at_the_end_of_a_name_does_not_count() {
    let default = Made::new(&["default.test"]);
    let exact = Made::new(&["www.example.com"]);
    let wildcard = Made::new(&["*.example.com"]);
    let pairs = [default.pem(), exact.pem(), wildcard.pem()];
    let store = CertStore::from_pem(&pairs, now()).unwrap();
    assert_eq!(chosen(&store, Some("www.example.com.")), exact.der());
    assert_eq!(chosen(&store, Some("Api.Example.com.")), wildcard.der());
    assert_eq!(chosen(&store, Some("unknown.test.")), default.der());
}

#[test]
fn addresses_are_no_names() {
    // A client that connects to an address sends no name (RFC 6066 §3) and gets the first.
    let first = Made::new(&["192.0.2.1", "::1"]);
    let second = Made::new(&["192.0.2.2", "b.test"]);
    let store = CertStore::from_pem(&[first.pem(), second.pem()], now()).unwrap();
    assert_eq!(store.validity()[0].names, [""; 0]);
    assert_eq!(store.validity()[1].names, ["b.test"]);
    for name in [None, Some("192.0.2.2"), Some("::1"), Some("[::1]")] {
        assert_eq!(chosen(&store, name), first.der());
    }
    assert_eq!(chosen(&store, Some("b.test")), second.der());
}

#[test]
fn only_alternative_names_count() {
    // The common name of the subject does not (RFC 9525 §2), nor do other kinds of names.
    let key = KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.not_after = rcgen::date_time_ymd(2060, 1, 1);
    let name = rcgen::DnType::CommonName;
    parameters.distinguished_name.push(name, "common.test");
    parameters.subject_alt_names = vec![
        SanType::Rfc822Name("mail@mail.test".try_into().unwrap()),
        SanType::URI("https://uri.test/".try_into().unwrap()),
        SanType::DnsName("Dns.Test".try_into().unwrap()),
    ];
    let made = Made {
        chain: parameters.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    };
    let default = Made::new(&["default.test"]);
    let store = CertStore::from_pem(&[default.pem(), made.pem()], now()).unwrap();
    assert_eq!(store.validity()[1].names, ["dns.test"]);
    assert_eq!(chosen(&store, Some("dns.test")), made.der());
    for name in ["common.test", "mail.test", "uri.test"] {
        assert_eq!(chosen(&store, Some(name)), default.der(), "{name}");
    }
}

#[test]
fn of_several_certificates_with_a_name_the_first_is_taken() {
    let (first, second) = (Made::new(&["a", "b"]), Made::new(&["b", "c", "b"]));
    let store = CertStore::from_pem(&[first.pem(), second.pem()], now()).unwrap();
    assert_eq!(chosen(&store, Some("b")), first.der());
    assert_eq!(chosen(&store, Some("c")), second.der());
    // One that the client cannot verify is better than none: the client says so.
    let chosen = store.select(Some("c"), &[SignatureScheme::ED25519]);
    assert_eq!(chosen.cert[0], second.der());
}

#[test]
fn days_left_are_whole_days_and_negative_afterwards() {
    let key = KeyPair::generate().unwrap();
    let made = Made::with_years(&["a"], &key, 2026..2027);
    let store = CertStore::from_pem(&[made.pem(), Made::new(&["b"]).pem()], now()).unwrap();
    let [first, second] = &store.validity()[..] else {
        panic!("two");
    };
    assert_eq!(first.chain, Path::new("made.pem"));
    assert_eq!(first.names, ["a"]);
    assert_eq!(first.not_after, 1_798_761_600);
    let end = first.not_after as u64;
    for (time, days) in [
        (end - 86_401, 1),
        (end - 86_400, 1),
        (end - 86_399, 0),
        (end, 0),
        (end + 1, -1),
        (end + 86_400, -1),
        (end + 86_401, -2),
        (NOW, 184),
    ] {
        assert_eq!(first.days_left(at(time)), days, "{time}");
    }
    assert!(second.days_left(now()) > 12_000);
}

#[test]
fn one_bad_file_of_several_changes_nothing() {
    let directory = Directory::new("several");
    let write = |name: &str, made: &Made| {
        let text = format!("{}{}", made.chain, made.key);
        let new = directory.file(&format!("{name}.new"), text);
        let path = directory.path().join(name);
        fs::rename(new, &path).unwrap();
        Files {
            chain: path.clone(),
            key: path,
        }
    };
    let (a, b) = (Made::new(&["a"]), Made::new(&["b"]));
    let files = vec![write("a.pem", &a), write("b.pem", &b)];
    let store = CertStore::from_files(files.clone(), now()).unwrap();
    let (newer_a, expired) = (
        Made::new(&["a"]),
        Made::with_years(&["b"], &KeyPair::generate().unwrap(), 2020..2021),
    );
    write("a.pem", &newer_a);
    write("b.pem", &expired);
    let error = store.reload_if_changed(now()).unwrap_err();
    assert!(matches!(error, CertError::Expired(path, _) if path == files[1].chain));
    assert_eq!(chosen(&store, Some("a")), a.der());
    assert_eq!(chosen(&store, Some("b")), b.der());
    assert!(
        store.reload(now()).is_err(),
        "told whenever one asks for it"
    );
    // A file that is gone is as bad as a bad one.
    fs::remove_file(&files[1].chain).unwrap();
    assert!(store.reload_if_changed(now()).is_err());
    assert_eq!(chosen(&store, Some("b")), b.der());
    let newer_b = Made::new(&["b"]);
    write("b.pem", &newer_b);
    assert!(store.reload_if_changed(now()).unwrap());
    assert_eq!(chosen(&store, Some("a")), newer_a.der());
    assert_eq!(chosen(&store, Some("b")), newer_b.der());
    assert!(!store.reload_if_changed(now()).unwrap());
}

#[test]
fn what_was_made_from_bytes_is_never_read_again() {
    let (old, new) = (Made::new(&["a"]), Made::new(&["a"]));
    let store = CertStore::from_pem(&[old.pem()], now()).unwrap();
    assert!(!store.reload_if_changed(now()).unwrap());
    store.reload(now()).unwrap();
    assert_eq!(chosen(&store, None), old.der());
    assert!(store.replace_with_pem(&[], now()).is_err());
    let broken = Pem {
        key: b"",
        ..new.pem()
    };
    assert!(store.replace_with_pem(&[new.pem(), broken], now()).is_err());
    assert_eq!(chosen(&store, None), old.der());
    store.replace_with_pem(&[new.pem()], now()).unwrap();
    assert_eq!(chosen(&store, None), new.der());
}
