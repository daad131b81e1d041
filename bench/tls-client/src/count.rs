//! What `tls-handshakes` prints, and the runner reads.

use std::{fmt, iter::Sum, str::FromStr};

/// `614 connections, 612 resumed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub connections: u64,
    /// Those whose handshake resumed a session.
    pub resumed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections, {} resumed",
            self.connections, self.resumed
        )
    }
}

impl FromStr for Count {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (connections, resumed) = text
            .trim()
            .strip_suffix(" resumed")
            .and_then(|text| text.split_once(" connections, "))
            .ok_or(Unreadable)?;
        let number = |text: &str| text.parse().map_err(|_| Unreadable);
        Ok(Self {
            connections: number(connections)?,
            resumed: number(resumed)?,
        })
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| Self {
            connections: sum.connections + count.connections,
            resumed: sum.resumed + count.resumed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Unreadable};

    #[test]
    fn a_count_is_read_as_it_is_written() {
        let count = Count {
            connections: 614,
            resumed: 612,
        };
        assert_eq!(count.to_string(), "614 connections, 612 resumed");
        assert_eq!("614 connections, 612 resumed\n".parse(), Ok(count));
    }

    #[test]
    fn what_is_no_count_is_not_read() {
        for text in [
            "",
            "614 connections",
            "614 connections, some resumed",
            "-1 connections, 0 resumed",
            "614 connections, 612 resumed\n614 connections, 612 resumed",
        ] {
            assert_eq!(text.parse::<Count>(), Err(Unreadable), "{text:?}");
        }
    }
}
