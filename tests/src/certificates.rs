//! Certificates for tests, in a directory that is removed at the end.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A directory of this test, and an authority that issues certificates into it.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// Paths of a certificate chain and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one. Its own certificate is `authority.pem`.
    ///
    /// # Panics
    /// When the directory cannot be written.
    pub fn new(test: &str) -> Authority {
        let name = format!("ajay-blackbox-{test}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let created = std::fs::create_dir_all(&directory);
        assert!(created.is_ok(), "{}: {created:?}", directory.display());
        let key = some(KeyPair::generate());
        let mut parameters = some(CertificateParams::new([]));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        parameters
            .distinguished_name
            .push(DnType::CommonName, "Authority for tests");
        let certificate = some(parameters.self_signed(&key)).pem();
        let authority = Authority {
            directory,
            issuer: Issuer::new(parameters, key),
        };
        authority.write("authority.pem", &certificate);
        authority
    }

    /// The authority's own certificate.
    pub fn path(&self) -> PathBuf {
        self.file("authority.pem")
    }

    /// A file of the directory, which need not be there.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file, so that whoever reads sees all of it or the old one.
    ///
    /// # Panics
    /// When that fails.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let (path, new) = (self.file(name), self.file("new"));
        let written = std::fs::write(&new, content).and_then(|()| std::fs::rename(&new, &path));
        assert!(written.is_ok(), "{}: {written:?}", path.display());
        path
    }

    /// Issues a certificate for a server of this name, valid now.
    pub fn issue(&self, name: &str) -> Issued {
        self.issue_for_years(name, 2020..2060)
    }

    /// Issues a certificate for a server, valid from the beginning of one year to that of another.
    pub fn issue_for_years(&self, name: &str, years: std::ops::Range<i32>) -> Issued {
        let mut parameters = some(CertificateParams::new([name.to_owned()]));
        parameters.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = some(KeyPair::generate());
        let certificate = some(parameters.signed_by(&key, &self.issuer));
        Issued {
            chain: self.write(&format!("{name}.pem"), &certificate.pem()),
            key: self.write(&format!("{name}-key.pem"), &key.serialize_pem()),
        }
    }
}

impl Issued {
    /// The test server's settings for a listener that uses it.
    pub fn settings(&self) -> [String; 3] {
        [
            "tls_listen=127.0.0.1:0".to_owned(),
            format!("tls_cert={}", self.chain.display()),
            format!("tls_key={}", self.key.display()),
        ]
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The text of a path of ours.
///
/// # Panics
/// When it is not UTF-8.
pub fn text_of(path: &Path) -> &str {
    match path.to_str() {
        Some(text) => text,
        None => panic!("{} is not text", path.display()),
    }
}

fn some<T>(made: Result<T, rcgen::Error>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => panic!("a certificate for tests: {error}"),
    }
}
