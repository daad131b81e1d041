//! Whom client certificates let in, with each version and each policy.

use std::sync::Arc;

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::AlertDescription;
use rustls::Error;

use super::*;
use crate::testing::{Authority, BOTH, Clock, Directory, Made, Pair, now, showing};
use crate::{Failure, HandshakeKind, TicketKeys};

/// A server with policies on client certificates, and clients of it.
struct Server {
    made: Made,
    directory: Directory,
    clock: Arc<Clock>,
    tickets: Arc<TicketKeysCell>,
}

type Policy = fn(PathBuf) -> ClientCertificates;
const OPTIONAL_OR_REQUIRED: [Policy; 2] =
    [ClientCertificates::Optional, ClientCertificates::Required];

impl Server {
    /// The name is the directory's.
    fn new(name: &str) -> Server {
        let keys = TicketKeys::new(now()).unwrap();
        Server {
            made: Made::new(&["a"]),
            directory: Directory::new(name),
            clock: Clock::new(),
            tickets: Arc::new(TicketKeysCell::new(keys).unwrap()),
        }
    }

    fn config(&self, client_certificates: ClientCertificates) -> Config {
        self.made.config(&Options {
            client_certificates,
            tickets: Some(Arc::clone(&self.tickets)),
            clock: Arc::clone(&self.clock) as Arc<dyn TimeProvider>,
            ..Options::default()
        })
    }

    /// One that trusts these authorities.
    fn trusting(&self, policy: Policy, authorities: &[&Authority]) -> Config {
        let pem: String = authorities
            .iter()
            .map(|authority| authority.pem())
            .collect();
        self.config(policy(self.directory.file("authorities.pem", pem)))
    }

    fn client(&self, version: &'static SupportedProtocolVersion) -> rustls::ClientConfig {
        self.made.client(&[version])
    }

    /// What comes of a client that shows this certificate, with each version.
    fn judge(&self, config: &Config, shown: &Made) -> [Result<(), Failure>; 2] {
        BOTH.map(|version| {
            let client = showing(self.client(version), &shown.chain, &shown.key);
            let mut pair = Pair::new(&client, config, "a");
            let result = pair.run();
            if result.is_ok() {
                assert!(!pair.session.is_handshaking());
                let shown = pair.session.peer_certificates().unwrap();
                assert_eq!(shown.len(), 1);
            } else {
                let alert = pair.client_error.take();
                assert!(matches!(alert, Some(Error::AlertReceived(_))), "{alert:?}");
                let mut output = Vec::new();
                assert!(pair.session.encrypt(b"secret", &mut output).is_err());
                assert!(output.is_empty());
            }
            result
        })
    }
}

#[test]
fn a_certificate_that_the_authority_issued_is_let_in_and_told() {
    let server = Server::new("issued");
    let authority = Authority::new("clients");
    let shown = authority.issue("client", |_| ());
    for policy in OPTIONAL_OR_REQUIRED {
        let config = server.trusting(policy, &[&Authority::new("others"), &authority]);
        for version in BOTH {
            let client = showing(server.client(version), &shown.chain, &shown.key);
            let mut pair = Pair::new(&client, &config, "a");
            assert_eq!(pair.session.peer_certificates(), None);
            pair.run().unwrap();
            let told = pair.session.peer_certificates().unwrap();
            assert_eq!(told, [shown.der()]);
            assert_eq!(pair.server_sends(b"x"), b"x");
        }
    }
}

#[test]
fn what_is_told_begins_with_the_clients_own_certificate() {
    let server = Server::new("chain");
    let authority = Authority::new("clients");
    let department = authority.intermediate("department");
    let shown = department.issue("client", |_| ());
    let config = server.trusting(ClientCertificates::Required, &[&authority]);
    let chain = format!("{}{}", shown.chain, department.pem());
    for version in BOTH {
        let client = showing(server.client(version), &chain, &shown.key);
        let pair = Pair::connected(&client, &config, "a");
        let told = pair.session.peer_certificates().unwrap();
        assert_eq!(told, [shown.der(), department.made().der()]);
        // Without the link between them nobody knows the issuer.
        let client = showing(server.client(version), &shown.chain, &shown.key);
        let refused = Pair::new(&client, &config, "a").run();
        assert_eq!(refused, Err(Failure::ClientCertificateUnknownIssuer));
    }
}

#[test]
fn a_client_without_a_certificate_is_let_in_where_it_is_optional() {
    let server = Server::new("missing");
    let authority = Authority::new("clients");
    for version in BOTH {
        let config = server.trusting(ClientCertificates::Optional, &[&authority]);
        let pair = Pair::connected(&server.client(version), &config, "a");
        assert_eq!(pair.session.peer_certificates(), None);
        let config = server.trusting(ClientCertificates::Required, &[&authority]);
        let mut pair = Pair::new(&server.client(version), &config, "a");
        assert_eq!(pair.run(), Err(Failure::ClientCertificateMissing));
        let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(pair.client_error, Some(alert));
    }
}

#[test]
fn a_certificate_is_not_asked_for_where_there_is_no_policy() {
    let server = Server::new("off");
    let shown = Authority::new("clients").issue("client", |_| ());
    for version in BOTH {
        let client = showing(server.client(version), &shown.chain, &shown.key);
        let pair = Pair::connected(&client, &server.config(ClientCertificates::Off), "a");
        assert_eq!(pair.session.peer_certificates(), None);
    }
}

/// A certificate that is no good keeps its client out also where none is needed: who shows one means
/// to be somebody.
#[test]
fn a_certificate_that_is_no_good_is_refused_under_each_policy() {
    let server = Server::new("bad");
    let authority = Authority::new("clients");
    let good = authority.issue("client", |_| ());
    let mut stolen = good.clone();
    stolen.key = Made::new(&["thief"]).key;
    for policy in OPTIONAL_OR_REQUIRED {
        let config = server.trusting(policy, &[&authority]);
        assert_eq!(server.judge(&config, &good), [Ok(()); 2]);
        for (shown, failure, why) in [
            (
                Authority::new("strangers").issue("client", |_| ()),
                Failure::ClientCertificateUnknownIssuer,
                "another authority",
            ),
            (
                Made::new(&["client"]),
                Failure::ClientCertificateUnknownIssuer,
                "signed by itself",
            ),
            (
                Authority::new("clients").issue("client", |_| ()),
                Failure::ClientCertificateInvalid,
                "an authority of the same name",
            ),
            (
                authority.issue("client", |parameters| {
                    parameters.not_after = date_time_ymd(2026, 6, 30);
                }),
                Failure::ClientCertificateExpired,
                "expired a day ago",
            ),
            (
                authority.issue("client", |parameters| {
                    parameters.not_before = date_time_ymd(2026, 7, 2);
                }),
                Failure::ClientCertificateExpired,
                "valid from tomorrow on",
            ),
            (
                authority.issue("client", |parameters| {
                    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                }),
                Failure::ClientCertificateInvalid,
                "for servers",
            ),
            (
                authority.made(),
                Failure::ClientCertificateInvalid,
                "the authority's own",
            ),
            (
                stolen.clone(),
                Failure::ClientCertificateInvalid,
                "with the key of another",
            ),
        ] {
            assert_eq!(server.judge(&config, &shown), [Err(failure); 2], "{why}");
        }
    }
}

#[test]
fn a_certificate_for_clients_may_be_for_servers_too() {
    let server = Server::new("usage");
    let authority = Authority::new("clients");
    let config = server.trusting(ClientCertificates::Required, &[&authority]);
    let shown = authority.issue("client", |parameters| {
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
    });
    assert_eq!(server.judge(&config, &shown), [Ok(()); 2]);
}

#[test]
fn the_clock_of_the_options_says_whether_a_certificate_is_expired() {
    let server = Server::new("clock");
    let authority = Authority::new("clients");
    let config = server.trusting(ClientCertificates::Required, &[&authority]);
    let shown = authority.issue("client", |parameters| {
        parameters.not_after = date_time_ymd(2027, 1, 1);
    });
    assert_eq!(server.judge(&config, &shown), [Ok(()); 2]);
    server.clock.set(NEW_YEAR_2027 + 1);
    let expired = Err(Failure::ClientCertificateExpired);
    assert_eq!(server.judge(&config, &shown), [expired; 2]);
}

/// Two sessions of the same client, one after the other: what comes of the second.
fn second_session(
    client: &rustls::ClientConfig,
    first: &Config,
    second: &Config,
) -> Result<Pair, Failure> {
    let full = Pair::connected(client, first, "a");
    assert_eq!(full.session.handshake_kind(), Some(HandshakeKind::Full));
    let mut pair = Pair::new(client, second, "a");
    pair.run().map(|()| pair)
}

#[test]
fn a_resumed_session_tells_the_certificate_of_the_first() {
    let server = Server::new("resumed");
    let authority = Authority::new("clients");
    let shown = authority.issue("client", |_| ());
    for policy in OPTIONAL_OR_REQUIRED {
        let config = server.trusting(policy, &[&authority]);
        // Another listener, or another process, with the same policy.
        let same = server.trusting(policy, &[&authority]);
        for version in BOTH {
            let client = showing(server.client(version), &shown.chain, &shown.key);
            let pair = second_session(&client, &config, &same).unwrap();
            assert_eq!(pair.session.handshake_kind(), Some(HandshakeKind::Resumed));
            let told = pair.session.peer_certificates().unwrap();
            assert_eq!(told, [shown.der()]);
        }
    }
    let config = server.trusting(ClientCertificates::Optional, &[&authority]);
    for version in BOTH {
        let pair = second_session(&server.client(version), &config, &config).unwrap();
        assert_eq!(pair.session.handshake_kind(), Some(HandshakeKind::Resumed));
        assert_eq!(pair.session.peer_certificates(), None);
    }
}

#[test]
fn a_session_is_not_resumed_under_another_policy() {
    let server = Server::new("policies");
    let (authority, other) = (Authority::new("clients"), Authority::new("others"));
    let configs = [
        server.config(ClientCertificates::Off),
        server.trusting(ClientCertificates::Optional, &[&authority]),
        server.trusting(ClientCertificates::Required, &[&authority]),
        server.trusting(ClientCertificates::Required, &[&authority, &other]),
        server.trusting(ClientCertificates::Optional, &[&other, &authority]),
    ];
    let shown = authority.issue("client", |_| ());
    for version in BOTH {
        for (i, first) in configs.iter().enumerate() {
            for (j, second) in configs.iter().enumerate() {
                let client = showing(server.client(version), &shown.chain, &shown.key);
                let pair = second_session(&client, first, second).unwrap();
                let kind = if i == j {
                    HandshakeKind::Resumed
                } else {
                    HandshakeKind::Full
                };
                assert_eq!(pair.session.handshake_kind(), Some(kind), "{i} then {j}");
                assert_eq!(pair.session.peer_certificates().is_some(), j > 0);
            }
        }
    }
}

#[test]
fn a_ticket_does_not_stand_in_for_an_authority_that_is_trusted_no_more() {
    let server = Server::new("withdrawn");
    let (authority, other) = (Authority::new("clients"), Authority::new("others"));
    let shown = authority.issue("client", |_| ());
    for policy in OPTIONAL_OR_REQUIRED {
        let before = server.trusting(policy, &[&authority]);
        let after = server.trusting(policy, &[&other]);
        for version in BOTH {
            let client = showing(server.client(version), &shown.chain, &shown.key);
            let refused = second_session(&client, &before, &after).err();
            assert_eq!(refused, Some(Failure::ClientCertificateUnknownIssuer));
        }
    }
}

#[test]
fn a_session_is_not_resumed_when_the_clients_certificate_has_expired() {
    let server = Server::new("resumed-expired");
    let authority = Authority::new("clients");
    let shown = authority.issue("client", |parameters| {
        parameters.not_after = date_time_ymd(2027, 1, 1);
    });
    for policy in OPTIONAL_OR_REQUIRED {
        let config = server.trusting(policy, &[&authority]);
        for version in BOTH {
            server.clock.set(NEW_YEAR_2027 - 3_600);
            server.renew_tickets();
            let old = showing(server.client(version), &shown.chain, &shown.key);
            Pair::connected(&old, &config, "a");
            server.clock.set(NEW_YEAR_2027 - 1_800);
            let pair = Pair::connected(&old, &config, "a");
            assert_eq!(pair.session.handshake_kind(), Some(HandshakeKind::Resumed));
            // Its own tickets end when the certificate does, too.
            server.clock.set(NEW_YEAR_2027 + 1);
            let mut pair = Pair::new(&old, &config, "a");
            assert_eq!(pair.run(), Err(Failure::ClientCertificateExpired));
        }
    }
}

impl Server {
    fn renew_tickets(&self) {
        let now = self.clock.current_time().unwrap();
        self.tickets.set(TicketKeys::new(now).unwrap()).unwrap();
    }
}

#[test]
fn files_of_authorities_that_are_no_good_are_named() {
    let server = Server::new("authorities");
    let directory = &server.directory;
    let key = Made::new(&["a"]).key;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (path, sentence) in [
        (directory.path().join("none.pem"), "No such file"),
        (directory.file("empty.pem", ""), "no certificate"),
        (directory.file("key.pem", key), "no certificate"),
        (directory.file("broken.pem", broken), "cannot be decoded"),
        (
            directory.file("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
            "not PEM",
        ),
    ] {
        for policy in OPTIONAL_OR_REQUIRED {
            let options = Options {
                client_certificates: policy(path.clone()),
                ..Options::default()
            };
            let error = Config::new(&options, &server.made.store()).unwrap_err();
            assert!(matches!(error, ConfigError::ClientAuthorities(_)));
            let (text, file) = (error.to_string(), path.display().to_string());
            assert!(
                text.starts_with(&format!("client certificates: {file}: ")),
                "{text}"
            );
            assert!(text.contains(sentence), "{text}");
        }
    }
}

#[test]
fn names_of_application_protocols_have_1_to_255_bytes() {
    let store = Made::new(&["a"]).store();
    for (len, good) in [(0, false), (1, true), (255, true), (256, false)] {
        let options = Options {
            alpn: vec![b"h2".to_vec(), vec![b'x'; len]],
            ..Options::default()
        };
        assert_eq!(Config::new(&options, &store).is_ok(), good, "{len}");
    }
}

const NEW_YEAR_2027: u64 = 1_798_761_600;
