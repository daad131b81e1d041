//! What a request's head says about the exchange it opens: version, method, persistence,
//! expectation, upgrade (RFC 9112 §9, RFC 9110 §7.6.1, §7.8, §10.1.1).

use ajay_http::{FieldSection, KnownField, Method, RequestHead, Version, class};

use crate::{Framing, Violation};

/// Facts about the current request that its response depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) is_http10: bool,
    pub(crate) method: MethodClass,
    pub(crate) expectation: Expectation,
    /// The client offers another protocol, in the way RFC 9110 §7.8 demands.
    pub(crate) offers_upgrade: bool,
}

/// The methods whose responses have other framing (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MethodClass {
    Head,
    Connect,
    Other,
}

/// Whether the client waits for 100 (Continue) before it sends content (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expectation {
    None,
    /// It waits: neither did we send 100 nor has it started to send.
    Waiting,
}

impl Exchange {
    /// Before a request's head is known.
    pub(crate) const fn unknown() -> Self {
        Self {
            is_http10: false,
            method: MethodClass::Other,
            expectation: Expectation::None,
            offers_upgrade: false,
        }
    }

    /// The facts of a request, and whether the client wants the connection to persist.
    #[inline]
    pub(crate) fn of(head: &RequestHead) -> (Self, bool) {
        let is_http10 = head.version() == Version::HTTP_10;
        let fields = head.fields();
        let (mut persistent, mut offers_upgrade) = (!is_http10, false);
        if fields.contains(KnownField::Connection) {
            let options = ConnectionOptions::of(fields);
            persistent = !options.close && (options.keep_alive || !is_http10);
            // Without the connection option, or in HTTP/1.0, Upgrade is ignored (RFC 9110 §7.8).
            offers_upgrade = !is_http10 && options.upgrade && fields.contains(KnownField::Upgrade);
        }
        let exchange = Self {
            is_http10,
            method: MethodClass::of(head.method()),
            expectation: Expectation::None,
            offers_upgrade,
        };
        (exchange, persistent)
    }

    /// Reads `Expect`. HTTP/1.0 clients cannot expect anything (RFC 9110 §10.1.1).
    #[inline]
    pub(crate) fn read_expectation(
        &mut self,
        fields: &FieldSection,
        framing: Framing,
    ) -> Result<(), Violation> {
        if fields.contains(KnownField::Expect) && !self.is_http10 {
            for member in fields
                .get_all(KnownField::Expect)
                .flat_map(class::list_elements)
            {
                if !member.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Violation::ExpectationUnknown);
                }
                if framing.has_content() {
                    self.expectation = Expectation::Waiting;
                }
            }
        }
        Ok(())
    }
}

impl MethodClass {
    #[inline]
    pub(crate) fn of(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// The connection options we act on (RFC 9110 §7.6.1, RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ConnectionOptions {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

impl ConnectionOptions {
    /// The options of all `Connection` lines.
    #[inline]
    pub(crate) fn of(fields: &FieldSection) -> Self {
        // One option, not a list, is nearly always all there is.
        let mut values = fields.get_all(KnownField::Connection);
        if let (Some(value), None) = (values.next(), values.next())
            && let Some(option) = Self::of_one(value)
        {
            return option;
        }
        Self::of_all(fields)
    }

    #[cold]
    fn of_all(fields: &FieldSection) -> Self {
        let mut options = Self::default();
        for option in fields
            .get_all(KnownField::Connection)
            .flat_map(class::list_elements)
        {
            options.add(option);
        }
        options
    }

    /// Adds an option; says whether it is one of ours.
    pub(crate) fn add(&mut self, option: &[u8]) -> bool {
        let Some(option) = Self::of_one(option) else {
            return false;
        };
        self.close |= option.close;
        self.keep_alive |= option.keep_alive;
        self.upgrade |= option.upgrade;
        true
    }

    /// The option, if it is one of ours.
    #[inline(always)]
    fn of_one(option: &[u8]) -> Option<Self> {
        let options = Self {
            close: is(option, b"close"),
            keep_alive: is(option, b"keep-alive"),
            upgrade: is(option, b"upgrade"),
        };
        (options != Self::default()).then_some(options)
    }
}

/// Whether `option` is `name`, a name in lower case, but for the case of letters. A fixed length
/// makes this a comparison of words.
#[inline]
fn is<const N: usize>(option: &[u8], name: &[u8; N]) -> bool {
    let Some(option) = option.as_array::<N>() else {
        return false;
    };
    let differs = |at: usize| {
        let case = if name[at].is_ascii_lowercase() {
            0x20
        } else {
            0
        };
        (option[at] | case) != name[at]
    };
    !(0..N).fold(false, |any, at| any | differs(at))
}

#[cfg(test)]
mod tests;
