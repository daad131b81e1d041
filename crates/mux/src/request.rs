//! From decoded field lines to a request (RFC 9113 §8.2, §8.3) or a trailer section (§8.1).
//!
//! A field block is decoded to its end whatever is in it, for it changes the state of compression.
//! The first rule that it breaks decides.

use std::ops::ControlFlow;

use ajay_fields::{
    KnownName, PseudoField,
    hpack::{DecodedField, FieldSink},
};
use ajay_http::{
    FieldSection, KnownField, Limits, Method, RequestHead, Span, TargetForm, TargetParts, Version,
    class,
    target::{self, Authority},
    trailers,
};

use crate::{Fault, MethodClass, Priority};

/// What a request's head says about its stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    /// How its response is framed.
    pub method: MethodClass,
    /// The declared length of its content.
    pub content_length: Option<u64>,
    /// The client waits for 100 (Continue).
    pub expects_continue: bool,
    /// What its `Priority` field says.
    pub priority: Priority,
}

/// Fills a [`RequestHead`].
pub struct HeadSink<'a> {
    head: &'a mut RequestHead,
    limits: &'a Limits,
    /// Counted as SETTINGS_MAX_HEADER_LIST_SIZE is (§6.5.2).
    bytes: usize,
    pseudo: PseudoFields,
    fault: Option<Fault>,
}

/// Where the pseudo-header fields lie in the head's bytes.
#[derive(Default)]
struct PseudoFields {
    has_method: bool,
    path: Option<Span>,
    authority: Option<Span>,
    scheme: Option<Span>,
}

/// The longest method an application can implement. The longest registered one has 17 bytes
/// (`UPDATEREDIRECTREF`).
const METHOD_LEN_MAX: usize = 32;

impl<'a> HeadSink<'a> {
    /// A sink for the head of a new request of this version.
    #[inline]
    pub fn new(version: Version, head: &'a mut RequestHead, limits: &'a Limits) -> Self {
        head.clear();
        head.set_version(version);
        Self {
            head,
            limits,
            bytes: 0,
            pseudo: PseudoFields::default(),
            fault: None,
        }
    }

    /// The verdict, after the whole block.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    #[inline]
    pub fn finish(mut self) -> Result<Facts, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.check_control_data()?;
        let fields = self.head.fields();
        let mut priority = Priority::default();
        for value in fields.get_all(KnownField::Priority) {
            priority.update(value);
        }
        let content_length = content_length(fields)?;
        let method = MethodClass::of(self.head.method());
        if content_length.is_some() && method == MethodClass::Connect {
            return Err(Fault::ContentLengthInvalid);
        }
        if content_length.is_some_and(|length| length > 0) && *self.head.method() == Method::TRACE {
            return Err(Fault::ContentForbidden);
        }
        let expects_continue = expects_continue(fields)?;
        if fields.contains(KnownField::Cookie) && fields.count(KnownField::Cookie) > 1 {
            // §8.2.3: as one line for whoever knows nothing of HTTP/2.
            self.head.fields_mut().join(KnownField::Cookie, b"; ");
        }
        if content_length.is_some_and(|length| length > self.limits.content_bytes_max) {
            return Err(Fault::ContentTooLarge);
        }
        Ok(Facts {
            method,
            content_length,
            expects_continue,
            priority,
        })
    }

    #[inline]
    fn take(&mut self, field: &DecodedField<'_>) -> Result<(), Fault> {
        self.bytes += field.size();
        if self.bytes > self.limits.head_bytes_max as usize {
            return Err(Fault::HeadTooLarge);
        }
        match field.known {
            Some(KnownName::Pseudo(pseudo)) => self.take_pseudo(pseudo, field),
            known => {
                let known = match known {
                    Some(KnownName::Field(field)) => Some(field),
                    _ => None,
                };
                check_line(known, field)?;
                let fields = self.head.fields_mut();
                if fields.len() >= usize::from(self.limits.field_lines_max) {
                    return Err(Fault::TooManyFieldLines);
                }
                push_line(fields, known, field);
                Ok(())
            }
        }
    }

    #[inline]
    fn take_pseudo(&mut self, pseudo: PseudoField, field: &DecodedField<'_>) -> Result<(), Fault> {
        if !self.head.fields().is_empty() {
            return Err(Fault::PseudoFieldMisplaced);
        }
        let place = match pseudo {
            PseudoField::Method => return self.take_method(field.value),
            PseudoField::Path if field.value.len() > self.limits.target_bytes_max as usize => {
                return Err(Fault::PathTooLong);
            }
            PseudoField::Path => &mut self.pseudo.path,
            PseudoField::Authority => &mut self.pseudo.authority,
            PseudoField::Scheme => &mut self.pseudo.scheme,
            PseudoField::Protocol | PseudoField::Status => {
                return Err(Fault::PseudoFieldUnknown);
            }
        };
        if place.is_some() {
            return Err(Fault::PseudoFieldRepeated);
        }
        *place = Some(Span {
            start: self.head.fields_mut().push_bytes(field.value),
            len: field.value.len() as u32,
        });
        Ok(())
    }

    #[inline]
    fn take_method(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.pseudo.has_method {
            return Err(Fault::PseudoFieldRepeated);
        }
        self.pseudo.has_method = true;
        // A cleared head has GET already.
        if value != b"GET" {
            if value.len() > METHOD_LEN_MAX && class::is_token(value) {
                return Err(Fault::MethodTooLong);
            }
            let method = Method::from_bytes(value).map_err(|_| Fault::MethodInvalid)?;
            self.head.set_method(method);
        }
        Ok(())
    }

    /// Checks the pseudo-header fields together (§8.3.1, §8.5), and sets the target.
    fn check_control_data(&mut self) -> Result<(), Fault> {
        if !self.pseudo.has_method {
            return Err(Fault::MethodMissing);
        }
        let (fields, pseudo) = (self.head.fields(), &self.pseudo);
        let text = |span: Option<Span>| span.map(|span| span.of(fields.bytes()));
        let authority = text(pseudo.authority).map(|text| (text, target::authority(text)));
        let parts = if *self.head.method() == Method::CONNECT {
            connect_target(pseudo, authority.and_then(|(_, authority)| authority))?
        } else {
            let scheme = text(pseudo.scheme).ok_or(Fault::SchemeMissing)?;
            if !is_scheme(scheme) {
                return Err(Fault::SchemeInvalid);
            }
            let span = pseudo.path.ok_or(Fault::PathMissing)?;
            let path = span.of(fields.bytes());
            let parts = path_target(path, span, self.head.method())?;
            if authority.is_some_and(|(_, authority)| authority.is_none_or(|it| it.host_is_empty)) {
                return Err(Fault::AuthorityInvalid);
            }
            TargetParts {
                authority: pseudo.authority,
                scheme: pseudo.scheme,
                ..parts
            }
        };
        check_host(fields, authority.map(|(text, _)| text))?;
        self.head.set_target(parts);
        Ok(())
    }
}

impl FieldSink for HeadSink<'_> {
    #[inline]
    fn field(&mut self, field: DecodedField<'_>) -> ControlFlow<()> {
        match self.take(&field) {
            Ok(()) => ControlFlow::Continue(()),
            Err(fault) => {
                self.fault = Some(fault);
                ControlFlow::Break(())
            }
        }
    }
}

/// Fills a trailer section.
pub struct TrailerSink<'a> {
    fields: &'a mut FieldSection,
    limits: &'a Limits,
    bytes: usize,
    fault: Option<Fault>,
}

impl<'a> TrailerSink<'a> {
    /// A sink for the trailer section of a request.
    pub fn new(fields: &'a mut FieldSection, limits: &'a Limits) -> Self {
        fields.clear();
        Self {
            fields,
            limits,
            bytes: 0,
            fault: None,
        }
    }

    /// The verdict, after the whole block. Fields that may not be in a trailer section are dropped.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn finish(self) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.fields.contains_any(trailers::REFUSED) {
            return Err(Fault::TrailerFieldForbidden);
        }
        self.fields
            .retain(|known, _| !known.is_some_and(trailers::is_ignored));
        Ok(())
    }

    fn take(&mut self, field: &DecodedField<'_>) -> Result<(), Fault> {
        self.bytes += field.size();
        if self.bytes > self.limits.trailer_bytes_max as usize
            || self.fields.len() >= usize::from(self.limits.trailer_lines_max)
        {
            return Err(Fault::TrailersTooLarge);
        }
        let known = match field.known {
            Some(KnownName::Pseudo(_)) => return Err(Fault::TrailerPseudoField),
            Some(KnownName::Field(known)) => Some(known),
            None if field.name.first() == Some(&b':') => return Err(Fault::TrailerPseudoField),
            None => None,
        };
        check_line(known, field)?;
        push_line(self.fields, known, field);
        Ok(())
    }
}

impl FieldSink for TrailerSink<'_> {
    fn field(&mut self, field: DecodedField<'_>) -> ControlFlow<()> {
        match self.take(&field) {
            Ok(()) => ControlFlow::Continue(()),
            Err(fault) => {
                self.fault = Some(fault);
                ControlFlow::Break(())
            }
        }
    }
}

/// The rules on a single field line (§8.2).
#[inline]
fn check_line(known: Option<KnownField>, field: &DecodedField<'_>) -> Result<(), Fault> {
    if !field.is_name_valid {
        return Err(refuse_name(field.name));
    }
    if !field.is_value_valid {
        return Err(Fault::FieldValueInvalid);
    }
    if let ([b' ' | b'\t', ..], _) | (_, [.., b' ' | b'\t']) = (field.value, field.value) {
        return Err(Fault::FieldValueWhitespace);
    }
    match known {
        Some(
            KnownField::Connection
            | KnownField::KeepAlive
            | KnownField::ProxyConnection
            | KnownField::TransferEncoding
            | KnownField::Upgrade,
        ) => Err(Fault::ConnectionFieldPresent),
        Some(KnownField::Te) if !field.value.eq_ignore_ascii_case(b"trailers") => {
            Err(Fault::TeInvalid)
        }
        None if matches!(field.name, b"content_length" | b"transfer_encoding") => {
            Err(Fault::FieldNameLookalike)
        }
        _ => Ok(()),
    }
}

#[cold]
fn refuse_name(name: &[u8]) -> Fault {
    if name.first() == Some(&b':') {
        Fault::PseudoFieldUnknown
    } else if class::is_token(name) {
        Fault::FieldNameUppercase
    } else {
        Fault::FieldNameInvalid
    }
}

/// Adds a line that was checked. Lengths are bounded by the limits.
#[inline]
fn push_line(fields: &mut FieldSection, known: Option<KnownField>, field: &DecodedField<'_>) {
    let (name_start, name_len) = match known {
        Some(_) => (0, 0),
        None => (fields.push_bytes(field.name), field.name.len() as u16),
    };
    let value_start = fields.push_bytes(field.value);
    let value_len = field.value.len() as u32;
    fields.push_line(name_start, name_len, value_start, value_len, known);
}

/// CONNECT has an authority with a port and nothing else (§8.5).
fn connect_target(
    pseudo: &PseudoFields,
    authority: Option<Authority>,
) -> Result<TargetParts, Fault> {
    let has_port = matches!(
        authority,
        Some(Authority {
            host_is_empty: false,
            port: Some(1..),
        })
    );
    if pseudo.scheme.is_some() || pseudo.path.is_some() || !has_port {
        return Err(Fault::ConnectInvalid);
    }
    Ok(TargetParts {
        form: TargetForm::Authority,
        target: pseudo.authority.unwrap_or_default(),
        authority: pseudo.authority,
        ..TargetParts::default()
    })
}

/// `:path`: an absolute path with an optional query, or `*` for OPTIONS (§8.3.1).
#[inline]
fn path_target(path: &[u8], span: Span, method: &Method) -> Result<TargetParts, Fault> {
    match path {
        [b'/', ..] => {
            let query = target::check_path_and_query(path).map_err(|_| Fault::PathInvalid)?;
            let path_len = query.map_or(span.len, |query| query as u32 - 1);
            Ok(TargetParts {
                form: TargetForm::Origin,
                target: span,
                path: Span {
                    len: path_len,
                    ..span
                },
                query: query.map(|query| Span {
                    start: span.start + query as u32,
                    len: span.len - query as u32,
                }),
                ..TargetParts::default()
            })
        }
        b"*" if *method == Method::OPTIONS => Ok(TargetParts {
            form: TargetForm::Asterisk,
            target: span,
            path: span,
            ..TargetParts::default()
        }),
        [] => Err(Fault::PathEmpty),
        _ => Err(Fault::PathInvalid),
    }
}

/// `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )` (RFC 3986 §3.1).
#[inline]
fn is_scheme(text: &[u8]) -> bool {
    matches!(text, b"https" | b"http")
        || text.first().is_some_and(u8::is_ascii_alphabetic)
            && text
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// `Host` may stand in for `:authority`, and must not differ from it (§8.3.1).
#[inline]
fn check_host(fields: &FieldSection, authority: Option<&[u8]>) -> Result<(), Fault> {
    if !fields.contains(KnownField::Host) {
        return match authority {
            Some(_) => Ok(()),
            None => Err(Fault::AuthorityMissing),
        };
    }
    let mut hosts = fields.get_all(KnownField::Host);
    let host = hosts.next().unwrap_or_default();
    let is_valid = target::authority(host).is_some_and(|authority| !authority.host_is_empty);
    if !is_valid || hosts.next().is_some() {
        return Err(Fault::HostInvalid);
    }
    match authority {
        Some(authority) if !authority.eq_ignore_ascii_case(host) => Err(Fault::HostDiffers),
        _ => Ok(()),
    }
}

#[inline]
fn content_length(fields: &FieldSection) -> Result<Option<u64>, Fault> {
    if !fields.contains(KnownField::ContentLength) {
        return Ok(None);
    }
    let mut values = fields.get_all(KnownField::ContentLength);
    let length = values.next().and_then(parse_content_length);
    match (length, values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(Fault::ContentLengthInvalid),
    }
}

/// `Content-Length = 1*DIGIT` (RFC 9110 §8.6), without leading zeros.
pub(crate) fn parse_content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || (value.len() > 1 && value.first() == Some(&b'0')) {
        return None;
    }
    value.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

#[inline]
fn expects_continue(fields: &FieldSection) -> Result<bool, Fault> {
    let mut expects = false;
    if fields.contains(KnownField::Expect) {
        for member in fields
            .get_all(KnownField::Expect)
            .flat_map(class::list_elements)
        {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(Fault::ExpectationUnknown);
            }
            expects = true;
        }
    }
    Ok(expects)
}
