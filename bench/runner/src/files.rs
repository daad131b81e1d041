//! What loads send and peers serve: contents of known length, and a certificate; and what OpenSSL
//! must be told where a load generator has no option for it.
//!
//! They stand in cargo's target directory: `www/` is what file servers serve, and the peers that
//! answer from memory answer the same (`peers/common/src/content.rs`).

use crate::{
    error::{Context as _, Result, fail},
    place::Dirs,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tls_client::CIPHER;

/// Where a request's content goes; file servers answer it as any other file.
const OK_FILES: [&str; 2] = ["ok.txt", "upload"];
const LONG_FILES: [(&str, usize); 3] = [
    ("10k.txt", 10 * 1024),
    ("1m.txt", 1024 * 1024),
    ("20m.txt", 20 * 1024 * 1024),
];

/// What the application takes (`peers/app/src/model.rs`): 1 KiB of JSON.
const ORDER: &str = include_str!("../../loads/app/order.json");
const FORM: &str = include_str!("../../loads/app/form.txt");
const PART_BYTES: usize = 10 * 1024 * 1024;
const BOUNDARY: &str = "boundary-of-the-bench";

pub fn prepare(dirs: &Dirs) -> Result<()> {
    let files = dirs.files();
    let www = files.join("www");
    fs::create_dir_all(&www).context(|| format!("create {}", www.display()))?;
    for name in OK_FILES {
        write(&www.join(name), b"OK")?;
    }
    for (name, length) in LONG_FILES {
        write(&www.join(name), &vec![b'x'; length])?;
    }
    write(&www.join("order.json"), ORDER.trim_end().as_bytes())?;
    write(&www.join("form.txt"), FORM.trim_end().as_bytes())?;
    write(&www.join("multipart.txt"), &multipart())?;
    write(&openssl_config(dirs), openssl_config_text().as_bytes())?;
    let (certificate, key) = (files.join("cert.pem"), files.join("key.pem"));
    if certificate.exists() && key.exists() {
        return Ok(());
    }
    make_certificate(&certificate, &key)
}

/// A form with a field and a file.
fn multipart() -> Vec<u8> {
    let mut form = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nholiday\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    form.resize(form.len() + PART_BYTES, b'x');
    form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    form
}

/// Makes clients that use OpenSSL offer what the others offer (`OPENSSL_CONF`).
pub fn openssl_config(dirs: &Dirs) -> PathBuf {
    dirs.files().join("openssl.cnf")
}

fn openssl_config_text() -> String {
    format!(
        "openssl_conf = all\n\
         [all]\nssl_conf = ssl\n\
         [ssl]\nsystem_default = client\n\
         [client]\nMinProtocol = TLSv1.3\nCiphersuites = {CIPHER}\n"
    )
}

/// A file that is right stays as it is: servers keep files open.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    fs::write(path, content).context(|| format!("write {}", path.display()))
}

/// ECDSA with P-256, what most sites have.
fn make_certificate(certificate: &Path, key: &Path) -> Result<()> {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "3650"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()
        .context(|| "start openssl".into())?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(fail!("openssl made no certificate: {message}"));
    }
    Ok(())
}
