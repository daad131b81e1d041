//! Which protocol is spoken.

/// A version of HTTP, over cleartext TCP or over QUIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// HTTP/1.1
    #[default]
    #[value(name = "h1")]
    Http1,
    /// HTTP/2 with prior knowledge
    #[value(name = "h2")]
    Http2,
    /// HTTP/3, with any certificate
    #[value(name = "h3")]
    Http3,
}
