//! Field names with an id, those of pseudo-header fields included.

use ajay_http::KnownField;

/// A pseudo-header field (RFC 9113 §8.3, RFC 8441 §4).
#[repr(u8)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PseudoField {
    /// `:authority`
    Authority,
    /// `:method`
    Method,
    /// `:path`
    Path,
    /// `:protocol`
    Protocol,
    /// `:scheme`
    Scheme,
    /// `:status`
    Status,
}

impl PseudoField {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Authority,
        Self::Method,
        Self::Path,
        Self::Protocol,
        Self::Scheme,
        Self::Status,
    ];

    /// The name, with its colon.
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authority => ":authority",
            Self::Method => ":method",
            Self::Path => ":path",
            Self::Protocol => ":protocol",
            Self::Scheme => ":scheme",
            Self::Status => ":status",
        }
    }

    /// The pseudo-header field of exactly that name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|field| field.as_str().as_bytes() == name)
    }
}

/// A name that has an id: it is valid and in lower case.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KnownName {
    /// A pseudo-header field.
    Pseudo(PseudoField),
    /// A field of the vocabulary.
    Field(KnownField),
}

impl KnownName {
    /// The known name that consists of exactly these bytes: one in another case is not known.
    #[inline]
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        if name.first() == Some(&b':') {
            return PseudoField::from_name(name).map(Self::Pseudo);
        }
        KnownField::from_name(name)
            .filter(|field| field.as_str().as_bytes() == name)
            .map(Self::Field)
    }

    /// The name in lower case.
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pseudo(field) => field.as_str(),
            Self::Field(field) => field.as_str(),
        }
    }
}

/// One byte for an optional [`KnownName`]: how tables remember it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NameId(u8);

impl NameId {
    pub(crate) const UNKNOWN: Self = Self(u8::MAX);
    /// Ids of known fields are smaller than 128.
    const PSEUDO: u8 = 128;

    #[inline]
    pub(crate) const fn new(name: Option<KnownName>) -> Self {
        match name {
            Some(KnownName::Pseudo(field)) => Self(Self::PSEUDO + field as u8),
            Some(KnownName::Field(field)) => Self(field.id()),
            None => Self::UNKNOWN,
        }
    }

    #[inline]
    pub(crate) fn known(self) -> Option<KnownName> {
        match self.0.checked_sub(Self::PSEUDO) {
            None => KnownField::from_id(self.0).map(KnownName::Field),
            Some(at) => PseudoField::ALL
                .get(usize::from(at))
                .copied()
                .map(KnownName::Pseudo),
        }
    }

    #[inline]
    pub(crate) const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests;
