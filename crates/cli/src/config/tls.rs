//! Certificates and keys, looked at before anything is served with them.

use std::path::Path;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::read::{Context, reason};
use super::source::Spanned;
use super::values::FilePath;

/// Whether there is a chain and a key, and whether they belong together.
pub(super) fn check(cert: &Spanned<FilePath>, key: &Spanned<FilePath>, context: &mut Context) {
    let chain = read(cert, context).and_then(|pem| {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.unwrap_or_default();
        if chain.is_empty() {
            let message = format!("{} holds no certificate in PEM", cert.value.0);
            context.problems.error(cert.span, message);
            return None;
        }
        Some(chain)
    });
    let private = read(key, context).and_then(|pem| match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Some(key),
        Err(_) => {
            let message = format!("{} holds no private key in PEM", key.value.0);
            context.problems.error(key.span, message);
            None
        }
    });
    let (Some(chain), Some(private)) = (chain, private) else {
        return;
    };
    let Ok(signing) = aws_lc_rs::sign::any_supported_type(&private) else {
        let message = format!("the key in {} is of no kind that is supported", key.value.0);
        context.problems.error(key.span, message);
        return;
    };
    match CertifiedKey::new(chain, signing).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message = format!(
                "the key in {} does not belong to the certificate in {}",
                key.value.0, cert.value.0
            );
            let problem = context.problems.error(key.span, message);
            problem.also(cert.span, "the certificate");
        }
        Err(error) => {
            let message = format!("the certificate in {} is no good: {error}", cert.value.0);
            context.problems.error(cert.span, message);
        }
    }
}

fn read(file: &Spanned<FilePath>, context: &mut Context) -> Option<Vec<u8>> {
    let path = context.path(file.span, &file.value.0);
    match std::fs::read(Path::new(&path)) {
        Ok(pem) => Some(pem),
        Err(error) => {
            let message = format!("cannot read {}: {}", file.value.0, reason(&error));
            context.problems.error(file.span, message);
            None
        }
    }
}
