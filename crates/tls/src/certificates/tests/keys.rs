//! Files as people have them: each kind of key in each form, and each mistake with the sentence that
//! names the file.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rcgen::{
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize,
};

use super::*;
use crate::testing::{Authority, BOTH, Directory, NOW, Pair};
use crate::{Config, Options};

/// What `openssl` makes of its input.
fn openssl(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A chain and a key that are in order: clients of both versions talk to a server that has them.
fn assert_serves(made: &Made, chain: &str, key: &str) {
    let pem = Pem {
        name: "x.pem",
        chain: chain.as_bytes(),
        key: key.as_bytes(),
    };
    let store = Arc::new(CertStore::from_pem(&[pem], now()).unwrap());
    let config = Config::new(&Options::default(), &store).unwrap();
    for version in BOTH {
        let mut pair = Pair::connected(&made.client(&[version]), &config, "a");
        assert_eq!(pair.server_sends(b"x"), b"x");
    }
}

#[test]
fn each_kind_of_key_serves_both_versions() {
    let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
    for key in [
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        rsa(RsaKeySize::_2048),
        rsa(RsaKeySize::_4096),
    ] {
        let made = Made::with_key(&["a"], &key);
        assert_serves(&made, &made.chain, &made.key);
    }
}

#[test]
fn a_key_may_be_pkcs_8_or_the_form_of_its_kind() {
    let ecdsa = Made::new(&["a"]);
    let sec1 = openssl(&["ec"], &ecdsa.key);
    assert!(sec1.starts_with("-----BEGIN EC PRIVATE KEY-----"));
    assert_serves(&ecdsa, &ecdsa.chain, &sec1);
    // As `openssl ecparam -genkey` writes it.
    let curve = openssl(&["ecparam", "-name", "prime256v1"], "");
    assert!(curve.starts_with("-----BEGIN EC PARAMETERS-----"));
    assert_serves(&ecdsa, &ecdsa.chain, &(curve + &sec1));

    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let rsa = Made::with_key(&["a"], &key);
    let pkcs1 = openssl(&["rsa", "-traditional"], &rsa.key);
    assert!(pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert_serves(&rsa, &rsa.chain, &pkcs1);
    let pkcs8 = openssl(&["pkey"], &pkcs1);
    assert!(pkcs8.starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_serves(&rsa, &rsa.chain, &pkcs8);
}

#[test]
fn certificate_and_key_may_be_in_one_file_in_either_order() {
    let made = Made::new(&["a"]);
    let directory = Directory::new("one-file");
    for text in [
        format!("{}{}", made.chain, made.key),
        format!("{}{}", made.key, made.chain),
        format!("Bag Attributes: none\n{}\nKey:\n{}", made.chain, made.key),
        format!("{}{}", made.chain, made.key).replace('\n', "\r\n"),
    ] {
        let path = directory.file("both.pem", &text);
        let files = Files {
            chain: path.clone(),
            key: path,
        };
        CertStore::from_files(vec![files], now()).unwrap();
        assert_serves(&made, &text, &text);
    }
}

#[test]
fn a_chain_is_sent_in_the_order_of_its_file() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let leaf = between.issue("a", |_| ());
    let chain = format!("{}{}", leaf.chain, between.pem());
    // This client knows the root only.
    assert_serves(&root.made(), &chain, &leaf.key);
}

fn pem_error(chain: &str, key: &str) -> CertError {
    let pem = Pem {
        name: "x.pem",
        chain: chain.as_bytes(),
        key: key.as_bytes(),
    };
    CertStore::from_pem(&[pem], now()).unwrap_err()
}

#[test]
fn a_chain_in_the_wrong_order_says_which_is_the_first() {
    let root = Authority::new("root");
    let leaf = root.issue("a", |_| ());
    let error = pem_error(&format!("{}{}", root.pem(), leaf.chain), &leaf.key);
    assert!(matches!(&error, CertError::ChainOrder { place: 2, .. }));
    let text = error.to_string();
    assert!(
        text.starts_with("x.pem: the private key belongs to certificate 2"),
        "{text}"
    );
}

#[test]
fn a_key_of_another_certificate_names_both_files() {
    let (made, other) = (Made::new(&["a"]), Made::new(&["a"]));
    let directory = Directory::new("mismatch");
    let files = Files {
        chain: directory.file("chain.pem", &made.chain),
        key: directory.file("key.pem", &other.key),
    };
    let error = CertStore::from_files(vec![files.clone()], now()).unwrap_err();
    let CertError::KeyMismatch { chain, key } = &error else {
        panic!("{error}");
    };
    assert_eq!((chain, key), (&files.chain, &files.key));
    let text = error.to_string();
    assert!(text.starts_with(&format!("{}: ", key.display())), "{text}");
    assert!(text.contains(&*chain.display().to_string()), "{text}");
    // Also if they are of different kinds.
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let error = pem_error(&made.chain, &key.serialize_pem());
    assert!(matches!(error, CertError::KeyMismatch { .. }));
}

#[test]
fn an_encrypted_key_says_how_to_decrypt_it() {
    let made = Made::new(&["a"]);
    let passphrase = ["-aes128", "-passout", "pass:secret"];
    let pkcs8 = openssl(&[&["pkey"], &passphrase[..]].concat(), &made.key);
    assert!(pkcs8.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let sec1 = openssl(&[&["ec"], &passphrase[..]].concat(), &made.key);
    assert!(sec1.contains("Proc-Type: 4,ENCRYPTED"));
    for key in [pkcs8, sec1] {
        for (chain, key) in [
            (made.chain.clone(), key.clone()),
            (
                format!("{}{key}", made.chain),
                format!("{}{key}", made.chain),
            ),
            (
                format!("{key}{}", made.chain),
                format!("{key}{}", made.chain),
            ),
        ] {
            let error = pem_error(&chain, &key);
            assert!(matches!(error, CertError::EncryptedKey(_)), "{error}");
            assert!(error.to_string().contains("openssl pkey"), "{error}");
        }
    }
}

#[test]
fn kinds_of_keys_that_are_not_supported_say_which_are() {
    // Not of the certificate either, but nobody can tell.
    let made = Made::new(&["a"]);
    let weak = openssl(&["genrsa", "1024"], "");
    let odd = openssl(&["ecparam", "-name", "secp256k1", "-genkey", "-noout"], "");
    let x25519 = openssl(&["genpkey", "-algorithm", "X25519"], "");
    for key in [weak, odd, x25519] {
        let error = pem_error(&made.chain, &key);
        assert!(matches!(error, CertError::BrokenKey(_)), "{error}");
        assert!(error.to_string().contains("2048"), "{error}");
    }
}

/// For a certificate or a key in its place: what is expected of an error.
type Expected = fn(&CertError) -> bool;

#[test]
fn files_that_hold_no_certificate_or_no_key_are_named() {
    let made = Made::new(&["a"]);
    let directory = Directory::new("contents");
    let der = made.der();
    let garbage: Vec<u8> = (0..=255).collect();
    let cut = &made.chain.as_bytes()[..100];
    let no_base64 = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let is_no_certificate: Expected = |error| matches!(error, CertError::NoCertificate(_));
    let is_no_key: Expected = |error| matches!(error, CertError::NoKey(_));
    let is_broken_pem: Expected = |error| matches!(error, CertError::BrokenPem(_));
    for (content, as_chain, as_key) in [
        (&b""[..], is_no_certificate, is_no_key),
        (&garbage, is_no_certificate, is_no_key),
        (&der, is_no_certificate, is_no_key),
        (cut, is_broken_pem, is_broken_pem),
        (no_base64, is_broken_pem, is_broken_pem),
    ] {
        let bad = directory.file("bad.pem", content);
        let good = directory.file("good.pem", format!("{}{}", made.chain, made.key));
        for (chain, key, expected) in [(&bad, &good, as_chain), (&good, &bad, as_key)] {
            let (chain, key) = (chain.clone(), key.clone());
            let error = CertStore::from_files(vec![Files { chain, key }], now()).unwrap_err();
            assert!(expected(&error), "{error}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("{}: ", bad.display())), "{text}");
        }
    }
    // Exchanged, it is the first of the two that is told.
    let error = pem_error(&made.key, &made.chain);
    assert!(matches!(error, CertError::NoCertificate(_)));
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let made = Made::new(&["a"]);
    let directory = Directory::new("unreadable");
    let good = directory.file("good.pem", format!("{}{}", made.chain, made.key));
    let large = directory.file("large.pem", vec![b'\n'; (4 << 20) + 1]);
    let secret = directory.file("secret.pem", "x");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let read = |key: &Path| {
        let files = Files {
            chain: good.clone(),
            key: key.to_owned(),
        };
        let error = CertStore::from_files(vec![files], now()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("{}: ", key.display())), "{text}");
        error
    };
    let kind = |error: CertError| match error {
        CertError::Unreadable(_, error) => error.kind(),
        other => panic!("{other}"),
    };
    assert_eq!(
        kind(read(&directory.path().join("none.pem"))),
        std::io::ErrorKind::NotFound
    );
    assert_eq!(
        kind(read(directory.path())),
        std::io::ErrorKind::IsADirectory
    );
    assert!(matches!(read(&large), CertError::TooLarge(_)));
    // Root reads everything.
    if fs::read(&secret).is_err() {
        assert_eq!(kind(read(&secret)), std::io::ErrorKind::PermissionDenied);
    }
}

#[test]
fn a_certificate_is_good_from_its_first_second_to_its_last() {
    let key = KeyPair::generate().unwrap();
    let made = Made::with_years(&["a"], &key, 2026..2027);
    let at = |time| CertStore::from_pem(&[made.pem()], at(time));
    let (first, last) = (1_767_225_600, 1_798_761_600);
    assert!(matches!(at(first - 1), Err(CertError::NotYetValid(_, time)) if time as u64 == first));
    assert!(at(first).is_ok() && at(NOW).is_ok() && at(last).is_ok());
    assert!(matches!(at(last + 1), Err(CertError::Expired(_, time)) if time as u64 == last));
}

#[test]
fn a_certificate_of_version_1_is_refused_with_the_reason() {
    let key = Made::new(&["a"]).key;
    let directory = Directory::new("version-1");
    let path = directory.file("key.pem", &key);
    let request = openssl(
        &[
            "req",
            "-new",
            "-subj",
            "/CN=a",
            "-key",
            path.to_str().unwrap(),
        ],
        "",
    );
    let sign = ["x509", "-req", "-signkey", path.to_str().unwrap()];
    let error = pem_error(&openssl(&sign, &request), &key);
    assert!(matches!(error, CertError::BrokenCertificate(_)), "{error}");
    assert!(error.to_string().contains("version 3"), "{error}");
}
