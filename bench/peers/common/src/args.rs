//! `--listen ADDRESS:PORT --threads N` and those for TLS, the arguments of `ajayserver` that a peer
//! needs, `--http2` for peers that must be told, and `--http3` beside TLS.

use std::{net::SocketAddr, path::PathBuf};

const USAGE: &str = "usage: --listen ADDRESS:PORT [--http2] [--http3] [--threads N]
    [--tls-listen ADDRESS:PORT --tls-cert FILE --tls-key FILE]";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    pub listen: SocketAddr,
    /// HTTP/2 instead of HTTP/1.1 where there is no TLS.
    pub http2: bool,
    /// HTTP/3 too where there is TLS.
    pub http3: bool,
    pub threads: usize,
    pub tls: Option<Tls>,
}

/// Where to speak TLS, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub listen: SocketAddr,
    /// PEM.
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Args {
    /// Reads the program's arguments; ends the program with a message when they are wrong.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_words(std::env::args().skip(1))
    }

    /// The same of words that are left when a peer has taken its own.
    #[must_use]
    pub fn from_words(words: impl IntoIterator<Item = String>) -> Self {
        Self::parse(words.into_iter()).unwrap_or_else(|problem| {
            eprintln!("{problem}\n{USAGE}");
            std::process::exit(2);
        })
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut listen, mut threads, mut http2, mut http3) = (None, 1, false, false);
        let (mut tls_listen, mut cert, mut key) = (None, None, None);
        while let Some(word) = words.next() {
            if word == "--http2" {
                http2 = true;
                continue;
            }
            if word == "--http3" {
                http3 = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            let unreadable = || format!("{word}: cannot read {value:?}");
            match word.as_str() {
                "--listen" => listen = Some(value.parse().map_err(|_| unreadable())?),
                "--threads" => threads = value.parse().map_err(|_| unreadable())?,
                "--tls-listen" => tls_listen = Some(value.parse().map_err(|_| unreadable())?),
                "--tls-cert" => cert = Some(value.into()),
                "--tls-key" => key = Some(value.into()),
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        let listen = listen.ok_or("--listen is missing")?;
        if threads == 0 {
            return Err("--threads must be at least 1".into());
        }
        let tls = match (tls_listen, cert, key) {
            (None, None, None) => None,
            (Some(listen), Some(cert), Some(key)) => Some(Tls { listen, cert, key }),
            _ => return Err("the three arguments for TLS belong together".into()),
        };
        Ok(Self {
            listen,
            http2,
            http3,
            threads,
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Args, Tls};

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn reads_every_argument() {
        let line = "--listen 127.0.0.1:80 --threads 3 --http2 \
            --tls-listen 127.0.0.1:443 --tls-cert a --tls-key b";
        let args = Args {
            listen: "127.0.0.1:80".parse().unwrap(),
            http2: true,
            threads: 3,
            tls: Some(Tls {
                listen: "127.0.0.1:443".parse().unwrap(),
                cert: "a".into(),
                key: "b".into(),
            }),
        };
        assert_eq!(parse(line), Ok(args));
        assert_eq!(parse("--listen 127.0.0.1:80").unwrap().tls, None);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for line in [
            "",
            "--listen",
            "--listen x",
            "--listen 127.0.0.1:80 --threads 0",
            "--listen 127.0.0.1:80 --tls-cert a --tls-key b",
            "--port 80",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
