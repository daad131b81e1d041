//! The head of a request: control data and header section.

use std::fmt;

use crate::{FieldSection, KnownField, Method, Version};

/// The form of a request target (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TargetForm {
    /// A path and a query: what every request to an origin server has.
    #[default]
    Origin,
    /// A whole URI, as sent to proxies.
    Absolute,
    /// Host and port, only with CONNECT.
    Authority,
    /// `*`, only with OPTIONS.
    Asterisk,
}

/// A range of the section's buffer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    /// Where it starts.
    pub start: u32,
    /// Its length.
    pub len: u32,
}

impl Span {
    /// The bytes of the span, or none at all if it lies outside of `bytes`.
    #[inline]
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.start as usize + self.len as usize)
            .unwrap_or_default()
    }
}

/// Where the parts of a request target lie in the buffer of the head's field section.
///
/// Set by a protocol core, which has checked that all of it is ASCII.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TargetParts {
    /// Which form the target has.
    pub form: TargetForm,
    /// The target as received; in HTTP/2 and HTTP/3, `:path`.
    pub target: Span,
    /// The path: a prefix of the query's place. For the asterisk-form, the asterisk.
    pub path: Span,
    /// What follows the `?`, if there is one.
    pub query: Option<Span>,
    /// The authority if the target (or `:authority`) has one.
    pub authority: Option<Span>,
    /// The scheme if the target (or `:scheme`) has one.
    pub scheme: Option<Span>,
}

/// Method, request target, version and header section of a request.
///
/// The object is recycled: a core [`clear`](Self::clear)s and fills it, and once its buffers have
/// grown to the size of a usual head, filling it allocates nothing.
#[derive(Clone)]
pub struct RequestHead {
    method: Method,
    version: Version,
    parts: TargetParts,
    fields: FieldSection,
}

impl RequestHead {
    /// An empty head. Does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            method: Method::GET,
            version: Version::HTTP_11,
            parts: TargetParts {
                form: TargetForm::Origin,
                target: Span { start: 0, len: 0 },
                path: Span { start: 0, len: 0 },
                query: None,
                authority: None,
                scheme: None,
            },
            fields: FieldSection::new(),
        }
    }

    /// Empties the head and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.method = Method::GET;
        self.version = Version::HTTP_11;
        self.parts = TargetParts::default();
        self.fields.clear();
    }

    /// The method (RFC 9110 §9).
    #[inline]
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The version the request came with.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The request target as received (RFC 9112 §3.2).
    #[inline]
    #[must_use]
    pub fn target(&self) -> &str {
        self.text(self.parts.target)
    }

    /// The form of the request target.
    #[inline]
    #[must_use]
    pub const fn form(&self) -> TargetForm {
        self.parts.form
    }

    /// The path, as received: not decoded, not normalised.
    ///
    /// `*` for the asterisk-form, empty for the authority-form. An absolute-form without a path has
    /// the path `/` (RFC 9110 §4.2.3).
    #[inline]
    #[must_use]
    pub fn path(&self) -> &str {
        let path = self.text(self.parts.path);
        if path.is_empty() && matches!(self.parts.form, TargetForm::Absolute) {
            "/"
        } else {
            path
        }
    }

    /// What follows the `?` of the target, as received.
    #[inline]
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.parts.query.map(|query| self.text(query))
    }

    /// The authority the request is for: the target's, else the `Host` field's (RFC 9112 §3.3).
    ///
    /// `None` if there is neither or `Host` is empty.
    #[inline]
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        let authority = match self.parts.authority {
            Some(span) => self.text(span),
            None => std::str::from_utf8(self.fields.get(KnownField::Host)?).ok()?,
        };
        Some(authority).filter(|authority| !authority.is_empty())
    }

    /// The scheme if the target has one. For the other forms it follows from the connection.
    #[inline]
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.parts.scheme.map(|scheme| self.text(scheme))
    }

    /// The header section.
    #[inline]
    #[must_use]
    pub const fn fields(&self) -> &FieldSection {
        &self.fields
    }

    /// The header section, to change it. Its bytes hold the target too: they are only added to.
    #[inline]
    pub const fn fields_mut(&mut self) -> &mut FieldSection {
        &mut self.fields
    }

    #[inline]
    fn text(&self, span: Span) -> &str {
        // Always ASCII: the cores check every byte of a target.
        std::str::from_utf8(span.of(self.fields.bytes())).unwrap_or_default()
    }
}

/// For the protocol cores.
impl RequestHead {
    /// Sets the method.
    #[inline]
    pub fn set_method(&mut self, method: Method) {
        self.method = method;
    }

    /// Sets the version.
    #[inline]
    pub const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Sets where the target lies in the bytes of the field section.
    #[inline]
    pub const fn set_target(&mut self, parts: TargetParts) {
        self.parts = parts;
    }

    /// Where the target lies.
    #[inline]
    #[must_use]
    pub const fn target_parts(&self) -> &TargetParts {
        &self.parts
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("target", &self.target())
            .field("version", &self.version)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
