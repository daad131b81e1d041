use std::fs;

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;

use super::*;
use crate::testing::{Made, at, now};

mod keys;
mod names;

const SCHEMES: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256];

fn chosen(store: &CertStore, name: Option<&str>) -> CertificateDer<'static> {
    store.select(name, SCHEMES).cert[0].clone()
}

#[test]
fn names_choose_the_certificate() {
    let first = Made::new(&["default.test"]);
    let exact = Made::new(&["www.example.com", "Example.COM"]);
    let wildcard = Made::new(&["*.example.com"]);
    let pairs = [first.pem(), wildcard.pem(), exact.pem()];
    let store = CertStore::from_pem(&pairs, now()).unwrap();
    for (name, made) in [
        (None, &first),
        (Some("default.test"), &first),
        (Some("unknown.test"), &first),
        (Some("www.example.com"), &exact),
        (Some("WWW.Example.com"), &exact),
        (Some("example.com"), &exact),
        (Some("api.example.com"), &wildcard),
        (Some("a.b.example.com"), &first),
        (Some(".example.com"), &first),
        (Some("com"), &first),
    ] {
        assert_eq!(chosen(&store, name), made.der(), "{name:?}");
    }
}

#[test]
fn of_two_kinds_of_keys_the_client_gets_what_it_can_verify() {
    let ed25519 = Made::with_key(
        &["a"],
        &KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
    );
    let ecdsa = Made::new(&["a"]);
    let store = CertStore::from_pem(&[ed25519.pem(), ecdsa.pem()], now()).unwrap();
    for name in [Some("a"), None] {
        assert_eq!(chosen(&store, name), ecdsa.der());
        let other = store.select(name, &[SignatureScheme::ED25519]);
        assert_eq!(other.cert[0], ed25519.der());
    }
}

fn error(chain: &str, key: &str, time: u64) -> String {
    let pem = Pem {
        name: "x.pem",
        chain: chain.as_bytes(),
        key: key.as_bytes(),
    };
    CertStore::from_pem(&[pem], at(time))
        .unwrap_err()
        .to_string()
}

#[test]
fn each_mistake_has_its_sentence_with_the_file() {
    let now = crate::testing::NOW;
    let (good, other) = (Made::new(&["a"]), Made::new(&["a"]));
    let short = Made::with_years(&["a"], &KeyPair::generate().unwrap(), 2026..2027);
    let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (chain, key, time, sentence) in [
        ("", &*good.key, now, "no certificate in it"),
        (&*good.chain, "", now, "no private key in it"),
        (&*good.chain, encrypted, now, "is encrypted"),
        (&good.chain[..200], &*good.key, now, "not PEM"),
        (garbled, &*good.key, now, "certificate cannot be decoded"),
        (&*good.chain, bad_key, now, "private key cannot be decoded"),
        (&*good.chain, &*other.key, now, "does not belong to"),
        (
            &*short.chain,
            &*short.key,
            1_893_456_000,
            "expired on 2027-01-01",
        ),
        (
            &*short.chain,
            &*short.key,
            1_700_000_000,
            "not valid before 2026-01-01",
        ),
    ] {
        let text = error(chain, key, time);
        assert!(
            text.starts_with("x.pem: ") && text.contains(sentence),
            "{text}"
        );
    }
    let files = Files {
        chain: "/nonexistent/chain.pem".into(),
        key: "/nonexistent/key.pem".into(),
    };
    let text = CertStore::from_files(vec![files], at(now))
        .unwrap_err()
        .to_string();
    assert!(text.starts_with("/nonexistent/chain.pem: "), "{text}");
    assert!(CertStore::from_pem(&[], at(now)).is_err());
}

#[test]
fn changed_files_are_read_again_and_bad_ones_change_nothing() {
    let directory = std::env::temp_dir().join(format!("ajay-tls-reload-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let files = Files {
        chain: directory.join("chain.pem"),
        key: directory.join("key.pem"),
    };
    let write = |made: &Made| {
        for (path, text) in [(&files.chain, &made.chain), (&files.key, &made.key)] {
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }
    };
    let (old, new) = (Made::new(&["a"]), Made::new(&["a"]));
    write(&old);
    let store = CertStore::from_files(vec![files.clone()], now()).unwrap();
    assert!(!store.reload_if_changed(now()).unwrap());
    write(&new);
    assert!(store.reload_if_changed(now()).unwrap());
    assert_eq!(chosen(&store, None), new.der());
    fs::write(&files.chain, "broken").unwrap();
    assert!(store.reload_if_changed(now()).is_err());
    assert!(!store.reload_if_changed(now()).unwrap(), "told once");
    assert_eq!(chosen(&store, None), new.der());
    assert!(store.validity()[0].days_left(now()) > 10_000);
    fs::remove_dir_all(directory).unwrap();
}
