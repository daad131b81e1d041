//! Sessions against `openssl s_client`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ajay_tls::{
    CertStore, ClientCertificates, Config, Failure, Files, InputEnd, Options, ProtocolVersion,
    Session, UnixTime, self_signed,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const VERSIONS: [(&str, ProtocolVersion); 2] = [
    ("-tls1_2", ProtocolVersion::TLSv1_2),
    ("-tls1_3", ProtocolVersion::TLSv1_3),
];

/// A server's files, in a directory that is gone with this.
struct Server {
    directory: PathBuf,
    files: Files,
}

impl Server {
    fn new(name: &str) -> Server {
        let directory =
            std::env::temp_dir().join(format!("ajay-tls-{name}-{}", std::process::id()));
        let files = self_signed::certificate(&directory, &[], UnixTime::now()).unwrap();
        Server { directory, files }
    }

    fn config(&self, client_certificates: ClientCertificates) -> Config {
        let store = CertStore::from_files(vec![self.files.clone()], UnixTime::now()).unwrap();
        let options = Options {
            alpn: vec![b"http/1.1".to_vec()],
            client_certificates,
            ..Options::default()
        };
        Config::new(&options, &Arc::new(store)).unwrap()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// What came of a conversation.
struct Talked {
    session: Session,
    result: Result<(), Failure>,
    received: Vec<u8>,
    printed: Vec<u8>,
}

/// A client that sends a line, which is answered with `content`.
fn talk(server: &Server, config: &Config, arguments: &[&str], content: &[u8]) -> Talked {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error"])
        .args(["-servername", "localhost", "-alpn", "http/1.1", "-CAfile"])
        .arg(&server.files.chain)
        .args(["-connect", &listener.local_addr().unwrap().to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdin = client.stdin.as_mut().unwrap();
    stdin.write_all(b"request\n").unwrap();
    let mut stdout = client.stdout.take().unwrap();
    let printed = std::thread::spawn(move || {
        let mut printed = Vec::new();
        stdout.read_to_end(&mut printed).unwrap();
        printed
    });
    let (mut socket, _) = listener.accept().unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut session = Session::new(config).unwrap();
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    let (mut result, mut answered) = (Ok(()), false);
    while result.is_ok() {
        let len = socket.read(&mut buffer).unwrap_or(0);
        if len == 0 {
            break;
        }
        let mut output = Vec::new();
        let sink = |plaintext: &[u8]| received.extend_from_slice(plaintext);
        result = session.receive(&mut buffer[..len], &mut output, sink);
        let answers = !answered && received.ends_with(b"\n");
        if answers {
            answered = true;
            session.encrypt(content, &mut output).unwrap();
            session.close(&mut output);
        }
        // A client that gave up need not read why.
        let sent = socket.write_all(&output);
        assert!(sent.is_ok() || result.is_err());
        if answers || result.is_err() {
            // Having read all of it, `s_client` ends when the transport does.
            let _ = socket.shutdown(Shutdown::Write);
        }
    }
    drop(socket);
    client.wait().unwrap();
    Talked {
        session,
        result,
        received,
        printed: printed.join().unwrap(),
    }
}

#[test]
fn openssl_talks_both_versions() {
    let server = Server::new("openssl");
    let config = server.config(ClientCertificates::Off);
    let content = vec![b'x'; 300_001];
    for (flag, version) in VERSIONS {
        let talked = talk(&server, &config, &[flag], &content);
        assert_eq!(talked.result, Ok(()));
        assert_eq!(talked.received, b"request\n");
        assert_eq!(talked.session.version(), Some(version));
        assert_eq!(talked.session.sni(), Some("localhost"));
        assert_eq!(talked.session.alpn(), Some(&b"http/1.1"[..]));
        assert_eq!(talked.session.input_ended(), InputEnd::Clean);
        assert!(talked.printed == content);
    }
}

#[test]
fn openssl_shows_its_certificate_or_is_refused() {
    let server = Server::new("openssl-clients");
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let shown = CertificateParams::new(["client".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let authorities = server.file("authorities.pem", &authority.pem());
    let certificate = server.file("client.pem", &(shown.pem() + &key.serialize_pem()));
    let shows = ["-cert", path(&certificate), "-key", path(&certificate)];
    for (flag, _) in VERSIONS {
        let with = [&[flag], &shows[..]].concat();
        for (policy, without) in [
            (ClientCertificates::Optional(authorities.clone()), Ok(())),
            (
                ClientCertificates::Required(authorities.clone()),
                Err(Failure::ClientCertificateMissing),
            ),
        ] {
            let config = server.config(policy);
            let talked = talk(&server, &config, &with, b"answer");
            assert_eq!(talked.result, Ok(()));
            let told = talked.session.peer_certificates().unwrap();
            assert_eq!(told, [shown.der().clone()]);
            assert_eq!(talked.printed, b"answer");
            let talked = talk(&server, &config, &[flag], b"answer");
            assert_eq!(talked.result, without);
            assert_eq!(talked.session.peer_certificates(), None);
            assert_eq!(talked.printed == b"answer", without.is_ok());
        }
    }
}

/// OpenSSL, too, knows the name with a dot as the one without.
#[test]
fn openssl_may_put_a_dot_behind_the_name() {
    let server = Server::new("openssl-dot");
    let config = server.config(ClientCertificates::Off);
    for (flag, _) in VERSIONS {
        let dot = [flag, "-servername", "LocalHost."];
        let talked = talk(&server, &config, &dot, b"answer");
        assert_eq!(talked.result, Ok(()));
        assert_eq!(talked.session.sni(), Some("localhost"));
        assert_eq!(talked.printed, b"answer");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
