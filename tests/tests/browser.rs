//! Chromium, as its users have it. One of the long tests (`cargo xtask test-heavy browser`): it needs the
//! Debian package `chromium`.

use std::path::Path;
use std::process::Command;

use ajay_blackbox::{Authority, Server, program, run};

/// The text of the page's elements with these names, when the page has loaded.
fn texts<const N: usize>(
    url: &str,
    profile: &Path,
    flags: &[&str],
    elements: [&str; N],
) -> [String; N] {
    let output = run(Command::new("chromium")
        // Chromium's own sandbox cannot be used by root, nor in most containers.
        .args(["--headless", "--disable-gpu", "--no-sandbox", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(flags)
        .arg(url));
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    elements.map(|element| {
        let text = page
            .split_once(&format!("id=\"{element}\">"))
            .and_then(|(_, rest)| rest.split_once('<'));
        let Some((text, _)) = text else {
            panic!("no such page: {output:?}");
        };
        text.to_owned()
    })
}

/// What the gallery says.
fn seen(server: &Server, profile: &Path, flags: &[&str]) -> String {
    let url = format!("https://{}/", server.address());
    let mut all = vec!["--ignore-certificate-errors", "--virtual-time-budget=20000"];
    all.extend(flags);
    let [seen] = texts(&url, profile, &all, ["seen"]);
    seen
}

/// What makes Chromium trust a certificate as it trusts one that an authority has signed, which QUIC needs: the
/// hash of its key.
fn trust(certificate: &Path) -> String {
    let hash = "openssl x509 -in \"$1\" -pubkey -noout | openssl pkey -pubin -outform der \
                | openssl dgst -sha256 -binary | base64";
    let output = run(Command::new("sh").args(["-c", hash, "sh"]).arg(certificate));
    let hash = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(hash.len(), 44, "{output:?}");
    format!("--ignore-certificate-errors-spki-list={hash}")
}

/// The server listens on 127.0.0.1 only.
const RESOLVE: &str = "--host-resolver-rules=MAP localhost 127.0.0.1";

#[test]
#[ignore = "long: cargo xtask test-heavy browser"]
fn two_hundred_images_come_over_every_version() {
    let name = format!("ajay-blackbox-browser-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir(&directory).expect("a directory of our own");
    let certificate = directory.join("certificate").display().to_string();
    let arguments = ["127.0.0.1:0", &certificate];
    let server = Server::start_program(program!("blackbox-gallery"), &arguments);
    let profile = directory.join("profile");
    assert_eq!(
        seen(&server, &profile, &[]),
        "200 images; nextHopProtocol {\"h2\":200}"
    );
    // The same page without HTTP/2.
    let profile = directory.join("profile-http1");
    assert_eq!(
        seen(&server, &profile, &["--disable-http2"]),
        "200 images; nextHopProtocol {\"http/1.1\":200}"
    );
    // And over QUIC, without having been told of it.
    let port = server.port();
    let [seen] = texts(
        &format!("https://localhost:{port}/"),
        &directory.join("profile-http3"),
        &[
            "--virtual-time-budget=20000",
            RESOLVE,
            "--enable-quic",
            &format!("--origin-to-force-quic-on=localhost:{port}"),
            &trust(&directory.join("certificate/development-cert.pem")),
        ],
        ["seen"],
    );
    assert_eq!(seen, "200 images; nextHopProtocol {\"h3\":200}");
    std::fs::remove_dir_all(&directory).expect("it was ours");
}

#[test]
#[ignore = "long: cargo xtask test-heavy browser"]
fn alt_svc_leads_from_http2_to_http3() {
    let authority = Authority::new("browser-alt-svc");
    let issued = authority.issue("localhost");
    let tls = issued.settings();
    let mut settings = vec!["tls_versions=all"];
    settings.extend(tls.iter().map(String::as_str));
    let server = Server::start(program!("testserver"), &settings);
    let [first, after] = texts(
        &format!("https://localhost:{}/protocols", server.port()),
        &authority.path().with_file_name("profile"),
        &[
            RESOLVE,
            "--enable-quic",
            // Without any origin here, Alt-Svc counts only with a certificate of an authority that the
            // browser came with.
            "--origin-to-force-quic-on=localhost:1",
            &trust(&issued.chain),
        ],
        ["first", "seen"],
    );
    assert_eq!(first, "h2");
    assert!(after.ends_with("h3"), "{after}");
}
