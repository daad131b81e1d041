//! The groups of the key exchange, of which a client offers one.

use rustls::crypto::{SupportedKxGroup, aws_lc_rs::kx_group};
use std::{fmt, str::FromStr};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Group {
    /// What `openssl` and h2load offer first.
    #[default]
    X25519,
    /// With ML-KEM-768 beside it: post-quantum, as browsers offer it. Not every server has it.
    X25519Mlkem768,
}

impl Group {
    pub const ALL: [Self; 2] = [Self::X25519, Self::X25519Mlkem768];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X25519 => "x25519",
            Self::X25519Mlkem768 => "x25519mlkem768",
        }
    }

    pub(crate) fn key_exchange(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519 => kx_group::X25519,
            Self::X25519Mlkem768 => kx_group::X25519MLKEM768,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownGroup(String);

impl FromStr for Group {
    type Err = UnknownGroup;

    fn from_str(text: &str) -> Result<Self, UnknownGroup> {
        let found = Self::ALL.into_iter().find(|group| group.name() == text);
        found.ok_or_else(|| UnknownGroup(text.to_string()))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for UnknownGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Group::ALL.map(Group::name).join(" and ");
        write!(f, "{:?} is no group; there are {known}", self.0)
    }
}

impl std::error::Error for UnknownGroup {}

#[cfg(test)]
mod tests {
    use super::Group;

    #[test]
    fn names_are_read_as_they_are_written() {
        for group in Group::ALL {
            assert_eq!(group.to_string().parse(), Ok(group));
        }
        let unknown = "P-256".parse::<Group>().unwrap_err();
        let text = "\"P-256\" is no group; there are x25519 and x25519mlkem768";
        assert_eq!(unknown.to_string(), text);
    }
}
