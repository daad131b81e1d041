//! What can go wrong in a session: one variant for each kind.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

macro_rules! failures {
    ($($(#[$doc:meta])* $variant:ident = $text:literal;)*) => {
        /// Why a session ended. The alert that tells the peer, if there is one, was appended to the
        /// output; what is left to do is to send it and to close.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Failure {
            $($(#[$doc])* $variant,)*
            /// The peer gave up, with this alert (RFC 8446 §6).
            AlertReceived(u8),
        }

        impl Failure {
            /// A stable name for counters and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Failure::$variant => stringify!($variant),)*
                    Failure::AlertReceived(_) => "AlertReceived",
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Failure::$variant => $text,)*
                    Failure::AlertReceived(_) => "the peer sent an alert",
                }
            }
        }
    };
}

failures! {
    /// The bytes are no TLS records.
    NotTls = "what the peer sent is not TLS";
    /// A message that cannot be decoded.
    Malformed = "malformed TLS message";
    /// A message that may not come now, or contradicts an earlier one.
    ProtocolViolation = "the peer broke the rules of TLS";
    /// A record larger than allowed (RFC 8446 §5.1).
    RecordTooLarge = "TLS record too large";
    /// A handshake message that is larger than we accept, or comes in too many pieces.
    HandshakeTooLarge = "TLS handshake message too large";
    /// A record that does not decrypt: it was damaged or forged on its way.
    BadRecord = "TLS record does not decrypt";
    /// No version of TLS in common.
    NoCommonVersion = "no TLS version in common";
    /// No cipher suite, group or signature scheme in common.
    NoCommonParameters = "no cipher suite, key exchange group or signature scheme in common";
    /// None of the application protocols that the client offers (RFC 7301 §3.2).
    NoApplicationProtocol = "no application protocol in common";
    /// A client certificate is required and there is none.
    ClientCertificateMissing = "the client sent no certificate";
    /// The client's certificate is expired or not valid yet.
    ClientCertificateExpired = "the client's certificate is not valid at this time";
    /// No authority that we trust issued the client's certificate.
    ClientCertificateUnknownIssuer = "the client's certificate is from an unknown issuer";
    /// The client's certificate is not good for some other reason.
    ClientCertificateInvalid = "the client's certificate is invalid";
    /// As many records were sent as the cipher allows with one key, and it cannot be changed.
    KeyExhausted = "the session's key may not be used any longer";
    /// The clock, the random number generator, or our signing key failed.
    Internal = "TLS failed on our side";
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Failure::AlertReceived(alert) => {
                let name = AlertDescription::from(alert);
                write!(f, "{}: {name:?}", self.text())
            }
            failure => f.write_str(failure.text()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        match error {
            Error::InvalidMessage(message) => malformed(message),
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::InvalidEncryptedClientHello(_) => Failure::ProtocolViolation,
            Error::PeerSentOversizedRecord => Failure::RecordTooLarge,
            Error::DecryptError => Failure::BadRecord,
            Error::PeerIncompatible(reason) => incompatible(reason),
            Error::NoApplicationProtocol => Failure::NoApplicationProtocol,
            Error::NoCertificatesPresented => Failure::ClientCertificateMissing,
            Error::InvalidCertificate(reason) => invalid_certificate(reason),
            Error::AlertReceived(alert) => Failure::AlertReceived(u8::from(*alert)),
            // The rest is ours; the type may get more variants.
            _ => Failure::Internal,
        }
    }
}

fn malformed(message: &InvalidMessage) -> Failure {
    match message {
        InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion => {
            Failure::NotTls
        }
        InvalidMessage::MessageTooLarge => Failure::RecordTooLarge,
        InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::CertificatePayloadTooLarge => {
            Failure::HandshakeTooLarge
        }
        _ => Failure::Malformed,
    }
}

fn incompatible(reason: &PeerIncompatible) -> Failure {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => Failure::NoCommonVersion,
        _ => Failure::NoCommonParameters,
    }
}

fn invalid_certificate(reason: &CertificateError) -> Failure {
    match reason {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Failure::ClientCertificateExpired,
        CertificateError::UnknownIssuer => Failure::ClientCertificateUnknownIssuer,
        _ => Failure::ClientCertificateInvalid,
    }
}

/// Why nothing can be encrypted.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EncryptError {
    /// The handshake is not complete. A mistake of the caller.
    Handshaking,
    /// `close` was called before. A mistake of the caller.
    Closed,
    /// The session failed, now or before.
    Failed(Failure),
}

impl fmt::Display for EncryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncryptError::Handshaking => f.write_str("the TLS handshake is not complete"),
            EncryptError::Closed => f.write_str("the TLS session was closed"),
            EncryptError::Failed(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for EncryptError {}
