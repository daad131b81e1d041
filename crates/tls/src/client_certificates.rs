//! The authorities that issue client certificates, and whom they let in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::certificates::{CertError, not_after, read_chain, read_file};
use crate::session;
use crate::tickets::POLICY_LEN;

/// Those who issue client certificates, from a file.
pub(crate) struct Authorities {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Need {
    Optional = 1,
    Required = 2,
}

impl Authorities {
    pub(crate) fn read(path: &Path) -> Result<Authorities, CertError> {
        let certificates = read_chain(path, &read_file(path)?)?;
        Ok(Authorities {
            path: path.to_owned(),
            certificates,
        })
    }

    pub(crate) fn verifier(
        &self,
        need: Need,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, CertError> {
        let broken = || CertError::BrokenCertificate(self.path.clone());
        let mut roots = RootCertStore::empty();
        for certificate in &self.certificates {
            roots.add(certificate.clone()).map_err(|_| broken())?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = match need {
            Need::Optional => builder.allow_unauthenticated(),
            Need::Required => builder,
        };
        Ok(Arc::new(Verifier(builder.build().map_err(|_| broken())?)))
    }

    /// Differs for whatever makes a difference to who is let in.
    pub(crate) fn policy(&self, need: Need) -> [u8; POLICY_LEN] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&[need as u8]);
        for certificate in &self.certificates {
            context.update(&(certificate.len() as u64).to_be_bytes());
            context.update(certificate);
        }
        let mut policy = [0; POLICY_LEN];
        policy.copy_from_slice(context.finish().as_ref());
        policy
    }
}

/// rustls's verifier, which also tells the session until when the certificate is good: rustls does not
/// look at it again when the session is resumed.
#[derive(Debug)]
struct Verifier(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Verifier {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        session::set_client_good_until(not_after(end_entity));
        Ok(verified)
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
