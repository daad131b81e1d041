//! `--listen ADDRESS:PORT --threads N`, the arguments of `ajayserver` that a peer needs.

use std::net::SocketAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Args {
    pub listen: SocketAddr,
    pub threads: usize,
}

impl Args {
    /// Reads the program's arguments; ends the program with a message when they are wrong.
    #[must_use]
    pub fn from_env() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|problem| {
            eprintln!("{problem}\nusage: --listen ADDRESS:PORT [--threads N]");
            std::process::exit(2);
        })
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut listen = None;
        let mut threads = 1;
        while let Some(word) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            let wrong = |_| format!("{word}: cannot read {value:?}");
            match word.as_str() {
                "--listen" => {
                    listen = Some(
                        value
                            .parse()
                            .map_err(|_| format!("{word}: cannot read {value:?}"))?,
                    );
                }
                "--threads" => threads = value.parse().map_err(wrong)?,
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        let listen = listen.ok_or("--listen is missing")?;
        if threads == 0 {
            return Err("--threads must be at least 1".into());
        }
        Ok(Self { listen, threads })
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn reads_both_arguments() {
        let args = parse("--listen 127.0.0.1:80 --threads 3").unwrap();
        assert_eq!(
            (args.listen, args.threads),
            ("127.0.0.1:80".parse().unwrap(), 3)
        );
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for line in [
            "",
            "--listen",
            "--listen x",
            "--listen 127.0.0.1:80 --threads 0",
            "--port 80",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
