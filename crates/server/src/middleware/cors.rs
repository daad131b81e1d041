//! Cross-origin requests (Fetch standard, §3.2 "CORS protocol").

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ajay_engine::{FieldSection, KnownField, Method, Response, StatusCode};

use super::vary;
use crate::{Middleware, Next, Request};

/// Says which pages of other origins may read the answers, and what their requests may be like
/// (CORS protocol of the Fetch standard).
///
/// ```
/// # use std::time::Duration;
/// # use ajayserver::{Method, Request, Router, middleware::Cors};
/// let cors = Cors::new()
///     .origin("https://shop.example")
///     .methods([Method::GET, Method::PUT])
///     .headers(["Content-Type", "Authorization"])
///     .credentials(true)
///     .max_age(Duration::from_secs(3600));
/// let router = Router::new()
///     .put("/cart", async |_: Request| "changed\n")
///     .wrap(cors);
/// ```
///
/// | | if nothing is said |
/// |---|---|
/// | origins | none: browsers let only pages of our own read the answers |
/// | methods | GET, HEAD and POST, which browsers do not ask about |
/// | fields of requests | those that browsers do not ask about |
/// | fields of responses that pages may read | those that browsers show without asking |
/// | credentials (cookies, `Authorization`) | not allowed |
/// | how long browsers remember the answer to a preflight | as they like: five seconds |
///
/// A preflight, which is OPTIONS with `Origin` and `Access-Control-Request-Method`, is answered here with 204, and
/// reaches neither the routes nor their handlers. All other requests do, of whichever origin: it is the browser
/// that keeps the answer from the page. `Vary` names the fields that the answer depends on. Fields of these names that a handler sets
/// are replaced where an origin is allowed.
///
/// It belongs around a router, [`Router::wrap`](crate::Router::wrap), or a route. Where it wraps a route,
/// preflights have to get to that: they do, since OPTIONS of a path is wrapped as the first route of that path is. Middleware
/// before it that refuses requests without credentials refuses preflights too, which have none.
#[derive(Clone, Default)]
pub struct Cors {
    origins: Origins,
    methods: Names,
    headers: Names,
    exposed: Names,
    has_credentials: bool,
    max_age: Option<Duration>,
}

#[derive(Clone)]
enum Origins {
    Listed(Arc<Vec<Cow<'static, str>>>),
    Any,
    Mirrored,
    By(Arc<IsAllowed>),
}

type IsAllowed = dyn Fn(&str, &Request) -> bool + Send + Sync;

impl Default for Origins {
    fn default() -> Origins {
        Origins::Listed(Arc::default())
    }
}

/// Names of fields or methods, as they stand in a field's value.
#[derive(Clone, Debug, Default, PartialEq)]
enum Names {
    #[default]
    None,
    Listed(Arc<str>),
    /// `*`
    Any,
    /// Whatever the preflight asks for.
    Mirrored,
}

impl Cors {
    /// Allows nothing yet.
    pub fn new() -> Cors {
        Cors::default()
    }

    /// Allows an origin: `https://shop.example`, `http://localhost:3000`, or `null`. It is called for each. No
    /// path, and no port that follows from the scheme: browsers send none.
    ///
    /// # Panics
    /// When it is not an origin as browsers send it, which would never be allowed.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<Cow<'static, str>>) -> Cors {
        let origin = origin.into();
        assert!(is_origin(&origin), "{origin:?} is not an origin");
        let mut listed = match self.origins {
            Origins::Listed(listed) => listed,
            _ => Arc::default(),
        };
        Arc::make_mut(&mut listed).push(origin);
        self.origins = Origins::Listed(listed);
        self
    }

    /// Allows all origins, with `*`.
    ///
    /// # Panics
    /// With credentials, where browsers do not take `*`: see [`mirror_origin`](Cors::mirror_origin).
    #[must_use]
    pub fn any_origin(mut self) -> Cors {
        self.origins = Origins::Any;
        self.checked()
    }

    /// Allows all origins, each by its name. With [`credentials`](Cors::credentials), every page that a user visits
    /// may do whatever the user may. The origin `null`, which sandboxed pages have, is not allowed.
    #[must_use]
    pub fn mirror_origin(mut self) -> Cors {
        self.origins = Origins::Mirrored;
        self
    }

    /// Allows the origins for which this says so.
    ///
    /// ```
    /// # use ajayserver::middleware::Cors;
    /// let cors = Cors::new().origin_if(|origin, _request| origin.ends_with(".shop.example"));
    /// ```
    #[must_use]
    pub fn origin_if<F>(mut self, is_allowed: F) -> Cors
    where
        F: Fn(&str, &Request) -> bool + Send + Sync + 'static,
    {
        self.origins = Origins::By(Arc::new(is_allowed));
        self
    }

    /// Allows these methods; browsers never ask about GET, HEAD and POST.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Cors {
        self.methods = Names::of(methods.into_iter().map(|method| method.to_string()));
        self
    }

    /// Allows all methods, with `*`.
    ///
    /// # Panics
    /// With credentials, where browsers take `*` for the name of a method.
    #[must_use]
    pub fn any_method(mut self) -> Cors {
        self.methods = Names::Any;
        self.checked()
    }

    /// Allows whichever method the preflight asks for.
    #[must_use]
    pub fn mirror_method(mut self) -> Cors {
        self.methods = Names::Mirrored;
        self
    }

    /// Allows requests to have these fields.
    ///
    /// # Panics
    /// When one cannot be the name of a field.
    #[must_use]
    pub fn headers<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Cors {
        self.headers = Names::of_fields(names);
        self
    }

    /// Allows requests to have all fields but `Authorization`, with `*`.
    ///
    /// # Panics
    /// With credentials, where browsers take `*` for the name of a field.
    #[must_use]
    pub fn any_header(mut self) -> Cors {
        self.headers = Names::Any;
        self.checked()
    }

    /// Allows requests to have whichever fields the preflight asks for.
    #[must_use]
    pub fn mirror_headers(mut self) -> Cors {
        self.headers = Names::Mirrored;
        self
    }

    /// Lets pages read these fields of responses.
    ///
    /// # Panics
    /// When one cannot be the name of a field.
    #[must_use]
    pub fn expose<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Cors {
        self.exposed = Names::of_fields(names);
        self
    }

    /// Lets pages read all fields of responses, with `*`.
    ///
    /// # Panics
    /// With credentials, where browsers take `*` for the name of a field.
    #[must_use]
    pub fn expose_any(mut self) -> Cors {
        self.exposed = Names::Any;
        self.checked()
    }

    /// Allows requests with cookies, client certificates and `Authorization`.
    ///
    /// # Panics
    /// Together with anything that is `*`.
    #[must_use]
    pub fn credentials(mut self, are_allowed: bool) -> Cors {
        self.has_credentials = are_allowed;
        self.checked()
    }

    /// How long browsers may remember the answer to a preflight, in whole seconds. They have bounds of their own, of two
    /// hours or a day.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Cors {
        self.max_age = Some(max_age);
        self
    }

    /// Fetch standard, §3.2.5: with credentials `*` allows nothing.
    fn checked(self) -> Cors {
        let has_any = matches!(self.origins, Origins::Any)
            || [&self.methods, &self.headers, &self.exposed].contains(&&Names::Any);
        assert!(
            !(self.has_credentials && has_any),
            "with credentials browsers take no `*`: name what is allowed, or mirror it"
        );
        self
    }

    fn is_allowed(&self, origin: &str, request: &Request) -> bool {
        match &self.origins {
            Origins::Listed(listed) => listed.iter().any(|it| it == origin),
            Origins::Any => true,
            Origins::Mirrored => origin != "null",
            Origins::By(is_allowed) => is_allowed(origin, request),
        }
    }

    /// What any answer to this request says: the value of `Access-Control-Allow-Origin`, if its origin is allowed.
    fn allowed_origin(&self, request: &Request) -> Option<Cow<'static, str>> {
        let value = request.get(KnownField::Origin)?;
        let origin = std::str::from_utf8(value).ok()?;
        if !self.is_allowed(origin, request) {
            return None;
        }
        Some(match self.origins {
            Origins::Any => "*".into(),
            _ => origin.to_owned().into(),
        })
    }

    /// The fields that both kinds of answers have.
    fn add_origin(&self, fields: &mut FieldSection, origin: Option<&str>) {
        if !matches!(self.origins, Origins::Any) {
            vary::add(fields, "Origin");
        }
        let Some(origin) = origin else { return };
        set(fields, KnownField::AccessControlAllowOrigin, origin);
        match self.has_credentials {
            true => set(fields, KnownField::AccessControlAllowCredentials, "true"),
            false => {
                fields.remove_known(KnownField::AccessControlAllowCredentials);
            }
        }
    }

    fn preflight(&self, request: &Request) -> Response {
        let mut response = Response::new(StatusCode::NO_CONTENT);
        let origin = self.allowed_origin(request);
        let fields = response.fields_mut();
        self.add_origin(fields, origin.as_deref());
        let asked = [
            (
                &self.methods,
                KnownField::AccessControlRequestMethod,
                KnownField::AccessControlAllowMethods,
            ),
            (
                &self.headers,
                KnownField::AccessControlRequestHeaders,
                KnownField::AccessControlAllowHeaders,
            ),
        ];
        for (names, question, answer) in asked {
            if *names == Names::Mirrored {
                vary::add(fields, question.as_str());
            }
            if origin.is_none() {
                continue;
            }
            let value = match names {
                Names::None => None,
                Names::Listed(names) => Some(names.as_bytes()),
                Names::Any => Some(&b"*"[..]),
                Names::Mirrored => request.get(question),
            };
            if let Some(value) = value {
                set(fields, answer, value);
            }
        }
        if let (Some(_), Some(max_age)) = (&origin, self.max_age) {
            let seconds = max_age.as_secs().to_string();
            set(fields, KnownField::AccessControlMaxAge, seconds);
        }
        response
    }

    fn add(&self, response: &mut Response, origin: Option<&str>) {
        let fields = response.fields_mut();
        self.add_origin(fields, origin);
        if origin.is_none() {
            return;
        }
        match &self.exposed {
            Names::Listed(names) => set(fields, KnownField::AccessControlExposeHeaders, &**names),
            Names::Any => set(fields, KnownField::AccessControlExposeHeaders, "*"),
            Names::None | Names::Mirrored => {}
        }
    }
}

fn set(fields: &mut FieldSection, field: KnownField, value: impl AsRef<[u8]>) {
    let set = fields.set_known(field, value);
    debug_assert!(set.is_ok(), "checked when it was set or received");
}

impl Names {
    fn of(names: impl IntoIterator<Item = String>) -> Names {
        let names: Vec<String> = names.into_iter().collect();
        match names.is_empty() {
            true => Names::None,
            false => Names::Listed(names.join(", ").into()),
        }
    }

    fn of_fields<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Names {
        Names::of(names.into_iter().map(|name| {
            let name = name.into();
            // `*` is a token, and would be taken for all fields.
            let is_name = name != "*" && FieldSection::new().append(&name, "").is_ok();
            assert!(is_name, "{name:?} is not the name of a field");
            name
        }))
    }
}

/// Whether browsers can send this as `Origin`: scheme, host, and a port that does not follow from the scheme; in
/// lower case, without a path.
fn is_origin(origin: &str) -> bool {
    if origin == "null" {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "::",
    };
    let is_part = |part: &str, more: &[u8]| {
        let mut bytes = part.bytes();
        let is_valid =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.contains(&byte);
        !part.is_empty() && bytes.all(is_valid)
    };
    is_part(scheme, b"+-.") && is_part(authority, b"-._:[]") && !authority.ends_with(default_port)
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins: &dyn fmt::Debug = match &self.origins {
            Origins::Listed(listed) => listed,
            Origins::Any => &"any",
            Origins::Mirrored => &"mirrored",
            Origins::By(_) => &"by a function",
        };
        f.debug_struct("Cors")
            .field("origins", origins)
            .field("methods", &self.methods)
            .field("headers", &self.headers)
            .field("exposed", &self.exposed)
            .field("has_credentials", &self.has_credentials)
            .field("max_age", &self.max_age)
            .finish()
    }
}

impl Middleware for Cors {
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<> {
        let this = Rc::clone(self);
        async move {
            let is_preflight = *request.method() == Method::OPTIONS
                && request.get(KnownField::Origin).is_some()
                && request
                    .get(KnownField::AccessControlRequestMethod)
                    .is_some();
            if is_preflight {
                return this.preflight(&request);
            }
            let origin = this.allowed_origin(&request);
            let mut response = next.run(request).await;
            this.add(&mut response, origin.as_deref());
            response
        }
    }
}
