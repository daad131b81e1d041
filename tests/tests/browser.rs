//! Chromium, as its users have it. One of the long tests (`cargo xtask test-heavy browser`): it needs the
//! Debian package `chromium`.

use std::path::Path;
use std::process::Command;

use ajay_blackbox::{Server, program, run};

/// The text of the page's element `seen`, when the page has loaded.
fn seen(server: &Server, profile: &Path, flags: &[&str]) -> String {
    let output = run(Command::new("chromium")
        .args(["--headless", "--disable-gpu", "--ignore-certificate-errors"])
        // Chromium's own sandbox cannot be used by root, nor in most containers.
        .args(["--no-sandbox", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(flags)
        .arg(format!("https://{}/", server.address())));
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen = page
        .split_once("id=\"seen\">")
        .and_then(|(_, rest)| rest.split_once('<'));
    let Some((seen, _)) = seen else {
        panic!("no such page: {output:?}");
    };
    seen.to_owned()
}

#[test]
#[ignore = "long: cargo xtask test-heavy browser"]
fn two_hundred_images_come_over_http2() {
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
    std::fs::remove_dir_all(&directory).expect("it was ours");
}
