//! A certificate for development that signs itself, made on request and kept between starts, so that a
//! browser that was told to trust it goes on doing so.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::UnixTime;

use crate::certificates::{Facts, Files, read_facts, seconds};
use crate::date::{SECS_IN_DAY, date_of};

/// Why there is no development certificate.
#[non_exhaustive]
#[derive(Debug)]
pub enum SelfSignedError {
    /// A file or the directory cannot be written.
    Unwritable(PathBuf, io::Error),
    /// This can be no name in a certificate.
    BadName(String),
    /// The certificate could not be made.
    Generation,
}

/// The certificate in `directory`, good for `localhost`, `127.0.0.1`, `::1` and `names`. A new one is
/// made if there is none, if it lacks a name, or if it is near its end. The directory and the key are
/// for the owner only.
///
/// # Errors
///
/// See [`SelfSignedError`].
pub fn certificate(
    directory: &Path,
    names: &[String],
    now: UnixTime,
) -> Result<Files, SelfSignedError> {
    let files = Files {
        chain: directory.join("development-cert.pem"),
        key: directory.join("development-key.pem"),
    };
    let names = with_local_names(names);
    let good = read_facts(&files).is_ok_and(|facts| is_good(&facts, &names, now));
    if !good {
        make(directory, &files, &names, now)?;
    }
    Ok(files)
}

fn with_local_names(names: &[String]) -> Vec<String> {
    let mut all: Vec<String> = LOCAL_NAMES.iter().map(|&name| name.to_owned()).collect();
    for name in names {
        let name = name.to_ascii_lowercase();
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn is_good(facts: &Facts, names: &[String], now: UnixTime) -> bool {
    let now = seconds(now);
    let has = |name: &String| match name.parse::<IpAddr>() {
        Ok(address) => facts.ip_addresses.contains(&address),
        Err(_) => facts.dns_names.contains(name),
    };
    facts.not_before <= now
        && facts.not_after >= now + RENEWED_BEFORE_DAYS * SECS_IN_DAY
        && names.iter().all(has)
}

fn make(
    directory: &Path,
    files: &Files,
    names: &[String],
    now: UnixTime,
) -> Result<(), SelfSignedError> {
    let key = KeyPair::generate().map_err(|_| SelfSignedError::Generation)?;
    let certificate = parameters(names, now)?
        .self_signed(&key)
        .map_err(|_| SelfSignedError::Generation)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| SelfSignedError::Unwritable(directory.to_owned(), error))?;
    // Cut short between the two, they do not match, and the next start makes new ones.
    replace(&files.key, key.serialize_pem().as_bytes(), 0o600)?;
    replace(&files.chain, certificate.pem().as_bytes(), 0o644)
}

fn parameters(names: &[String], now: UnixTime) -> Result<CertificateParams, SelfSignedError> {
    if let Some(bad) = names.iter().find(|name| !can_be_name(name)) {
        return Err(SelfSignedError::BadName(bad.clone()));
    }
    let mut parameters =
        CertificateParams::new(names).map_err(|_| SelfSignedError::BadName(names.join(", ")))?;
    // From yesterday on, for clients whose clock is behind.
    let today = seconds(now).div_euclid(SECS_IN_DAY);
    let midnight = |days| {
        let (year, month, day) = date_of(days);
        date_time_ymd(year as i32, month as u8, day as u8)
    };
    parameters.not_before = midnight(today - 1);
    parameters.not_after = midnight(today + VALID_DAYS);
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "AjayServer development");
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

fn can_be_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    name.parse::<IpAddr>().is_ok()
        || (name.len() <= 253
            && name.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            }))
}

/// Writes a file beside and renames it, so that whoever reads sees all of it or the old one.
fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), SelfSignedError> {
    let unwritable = |error| SelfSignedError::Unwritable(path.to_owned(), error);
    let new = path.with_extension("pem.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .map_err(unwritable)?;
    file.write_all(content).map_err(unwritable)?;
    fs::rename(&new, path).map_err(unwritable)
}

impl fmt::Display for SelfSignedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelfSignedError::Unwritable(path, error) => write!(f, "{}: {error}", path.display()),
            SelfSignedError::BadName(name) => {
                write!(f, "`{name}` can be no name in a certificate")
            }
            SelfSignedError::Generation => {
                f.write_str("a development certificate could not be made")
            }
        }
    }
}

impl std::error::Error for SelfSignedError {}

const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Browsers refuse certificates for much longer than a year.
const VALID_DAYS: i64 = 365;

const RENEWED_BEFORE_DAYS: i64 = 30;

#[cfg(test)]
mod tests;
