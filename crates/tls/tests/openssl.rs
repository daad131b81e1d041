//! Sessions against `openssl s_client`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ajay_tls::{
    CertStore, Config, InputEnd, Options, ProtocolVersion, Session, UnixTime, self_signed,
};

#[test]
fn openssl_talks_both_versions() {
    let now = UnixTime::now();
    let directory = std::env::temp_dir().join(format!("ajay-tls-openssl-{}", std::process::id()));
    let files = self_signed::certificate(&directory, &[], now).unwrap();
    let store = Arc::new(CertStore::from_files(vec![files.clone()], now).unwrap());
    let options = Options {
        alpn: vec![b"http/1.1".to_vec()],
        ..Options::default()
    };
    let config = Config::new(&options, &store).unwrap();
    for (flag, version) in [
        ("-tls1_2", ProtocolVersion::TLSv1_2),
        ("-tls1_3", ProtocolVersion::TLSv1_3),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", flag])
            .args(["-servername", "localhost", "-alpn", "http/1.1", "-CAfile"])
            .arg(&files.chain)
            .args(["-connect", &listener.local_addr().unwrap().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"request\n")
            .unwrap();
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
        let mut session = Session::new(&config).unwrap();
        let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
        let content = vec![b'x'; 300_001];
        let mut answered = false;
        loop {
            let len = socket.read(&mut buffer).unwrap_or(0);
            if len == 0 {
                break;
            }
            let mut output = Vec::new();
            let sink = |plaintext: &[u8]| received.extend_from_slice(plaintext);
            session
                .receive(&mut buffer[..len], &mut output, sink)
                .unwrap();
            let answers = !answered && received.ends_with(b"\n");
            if answers {
                answered = true;
                session.encrypt(&content, &mut output).unwrap();
                session.close(&mut output);
            }
            socket.write_all(&output).unwrap();
            if answers {
                // Having read all of it, `s_client` ends when the transport does.
                socket.shutdown(std::net::Shutdown::Write).unwrap();
            }
        }
        assert_eq!(received, b"request\n");
        assert_eq!(session.version(), Some(version));
        assert_eq!(session.sni(), Some("localhost"));
        assert_eq!(session.alpn(), Some(&b"http/1.1"[..]));
        assert_eq!(session.input_ended(), InputEnd::Clean);
        assert!(printed.join().unwrap() == content);
        client.wait().unwrap();
    }
    std::fs::remove_dir_all(directory).unwrap();
}
