//! Fields that tell browsers to be careful.

use std::borrow::Cow;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use ajay_engine::{FieldSection, Response};

use crate::{Middleware, Next, Request};

type Value = Option<Cow<'static, str>>;

/// Adds fields that tell browsers to be careful. What a handler has set itself stays.
///
/// | field | if nothing is said |
/// |---|---|
/// | `X-Content-Type-Options` | `nosniff` |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin` |
/// | `X-Frame-Options` | `SAMEORIGIN` |
/// | `Content-Security-Policy` | not sent |
/// | `Strict-Transport-Security` | not sent; over TLS only (RFC 6797 §7.2) |
///
/// ```
/// # use ajayserver::{Request, Router, middleware::SecurityHeaders};
/// let router = Router::new()
///     .get("/", async |_: Request| "Hello, world!\n")
///     .wrap(SecurityHeaders::new().frame_options("DENY"));
/// ```
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    content_type_options: Value,
    referrer_policy: Value,
    frame_options: Value,
    content_security_policy: Value,
    strict_transport_security: Value,
}

impl Default for SecurityHeaders {
    fn default() -> SecurityHeaders {
        SecurityHeaders {
            content_type_options: Some("nosniff".into()),
            referrer_policy: Some("strict-origin-when-cross-origin".into()),
            frame_options: Some("SAMEORIGIN".into()),
            content_security_policy: None,
            strict_transport_security: None,
        }
    }
}

impl SecurityHeaders {
    /// The fields of the table above.
    pub fn new() -> SecurityHeaders {
        SecurityHeaders::default()
    }

    /// Whether to send `X-Content-Type-Options: nosniff`; yes if nothing is said.
    #[must_use]
    pub fn nosniff(mut self, is_sent: bool) -> SecurityHeaders {
        self.content_type_options = is_sent.then_some("nosniff".into());
        self
    }

    /// The value of `Referrer-Policy`; empty to send none.
    ///
    /// # Panics
    /// When it cannot be a field value.
    #[must_use]
    pub fn referrer_policy(mut self, value: impl Into<Cow<'static, str>>) -> SecurityHeaders {
        self.referrer_policy = checked(value.into());
        self
    }

    /// The value of `X-Frame-Options` (RFC 7034); empty to send none, as where `frame-ancestors` of the
    /// content security policy says it.
    ///
    /// # Panics
    /// When it cannot be a field value.
    #[must_use]
    pub fn frame_options(mut self, value: impl Into<Cow<'static, str>>) -> SecurityHeaders {
        self.frame_options = checked(value.into());
        self
    }

    /// The value of `Content-Security-Policy`; empty to send none.
    ///
    /// # Panics
    /// When it cannot be a field value.
    #[must_use]
    pub fn content_security_policy(
        mut self,
        value: impl Into<Cow<'static, str>>,
    ) -> SecurityHeaders {
        self.content_security_policy = checked(value.into());
        self
    }

    /// Sends `Strict-Transport-Security` over TLS: for this long browsers will use nothing else, also
    /// for the hosts below this one if so said.
    #[must_use]
    pub fn hsts(mut self, max_age: Duration, include_subdomains: bool) -> SecurityHeaders {
        let also = match include_subdomains {
            true => "; includeSubDomains",
            false => "",
        };
        self.strict_transport_security =
            Some(format!("max-age={}{also}", max_age.as_secs()).into());
        self
    }

    fn add(&self, response: &mut Response, is_tls: bool) {
        let hsts = self.strict_transport_security.as_ref().filter(|_| is_tls);
        let fields = [
            ("X-Content-Type-Options", self.content_type_options.as_ref()),
            ("Referrer-Policy", self.referrer_policy.as_ref()),
            ("X-Frame-Options", self.frame_options.as_ref()),
            (
                "Content-Security-Policy",
                self.content_security_policy.as_ref(),
            ),
            ("Strict-Transport-Security", hsts),
        ];
        for (name, value) in fields {
            if let Some(value) = value
                && response.fields().get_name(name).is_none()
            {
                let added = response.append(name, &**value);
                debug_assert!(added.is_ok(), "checked when it was set");
            }
        }
    }
}

fn checked(value: Cow<'static, str>) -> Value {
    if let Err(error) = FieldSection::new().append("X", &*value) {
        panic!("{value:?}: {error}");
    }
    Some(value).filter(|value| !value.is_empty())
}

impl Middleware for SecurityHeaders {
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<> {
        let this = Rc::clone(self);
        async move {
            let is_tls = request.tls().is_some();
            let mut response = next.run(request).await;
            this.add(&mut response, is_tls);
            response
        }
    }
}
