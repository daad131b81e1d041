//! Requests meet the plan: which site, which route, what stands before the answer, and the answer.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use ajayserver::middleware::{BodyLimit, Compression, RequestId, SecurityHeaders, Timeout};
use ajayserver::{
    Application, Body, Handler, Method, Next, Request, Response, Router, Routes, RoutesHandler,
    StatusCode, Version,
};

use crate::plan::{Answer, HeadersPlan, OptionsPlan, Page, Plan, RoutePlan, SitePlan};
use crate::routing::{Captures, Facts, Network, Outcome, PathError, host_of, normalise};
use crate::template::{Filling, Template};

/// A rewrite that leads on and on ends here: 500.
pub(crate) const REWRITES_MAX: usize = 8;

/// And so does one that makes the path longer than this, well above any target that is let in.
const REWRITTEN_BYTES_MAX: usize = 64 * 1024;

/// The plan as an application. Workers share it.
#[derive(Clone)]
pub(crate) struct Served {
    plan: Arc<Plan>,
}

impl Served {
    pub(crate) fn new(plan: Plan) -> Served {
        Served {
            plan: Arc::new(plan),
        }
    }
}

/// What a worker needs to answer.
pub(crate) struct Sites {
    plan: Arc<Plan>,
    /// Routes with something before their answer, made when they are first needed.
    wrapped: RefCell<HashMap<(u32, Place), Rc<RoutesHandler>>>,
}

impl Application for Served {
    type Handler = Sites;

    fn handler(&self) -> Sites {
        Sites {
            plan: Arc::clone(&self.plan),
            wrapped: RefCell::default(),
        }
    }
}

impl Handler for Sites {
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<> {
        let this = Rc::clone(self);
        async move { this.answer(request).await }
    }
}

/// What answers within a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Route(u32),
    /// No route: 404.
    Missing,
    /// No route for this method: 405.
    NotTheMethod,
}

/// Where a request has come to.
#[derive(Clone)]
pub(crate) struct Hit {
    pub(crate) site: u32,
    pub(crate) place: Place,
    /// The path after rewrites, in its normal form.
    pub(crate) path: String,
    pub(crate) captures: Captures,
    pub(crate) names: Arc<[Box<str>]>,
    /// For 405.
    pub(crate) allow: String,
    /// The routes that changed the path.
    pub(crate) rewrites: Vec<u32>,
}

/// Why there is no answer of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Path(PathError),
    Rewrites,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Refusal::Path(_) => StatusCode::BAD_REQUEST,
            Refusal::Rewrites => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A request as conditions see it.
struct Received<'a>(&'a Request);

impl Facts for Received<'_> {
    fn method(&self) -> &Method {
        self.0.method()
    }

    fn version(&self) -> Version {
        self.0.version()
    }

    fn client(&self) -> Option<IpAddr> {
        client_of(self.0)
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        self.0.fields().get_name(name)
    }

    fn query(&self) -> Option<&str> {
        self.0.query()
    }
}

fn client_of(request: &Request) -> Option<IpAddr> {
    request.peer_addr().ip().map(|address| address.ip())
}

/// Finds the route for a path of a site.
pub(crate) fn find(
    plan: &Plan,
    site_number: u32,
    raw_path: &str,
    host: &str,
    facts: &(impl Facts + ?Sized),
) -> Result<Hit, Refusal> {
    let site = &plan.sites[site_number as usize];
    let mut hit = Hit {
        site: site_number,
        place: Place::Missing,
        path: String::new(),
        captures: Captures::default(),
        names: Arc::default(),
        allow: String::new(),
        rewrites: Vec::new(),
    };
    let mut path = normalise(raw_path, site.encoded_slashes).map_err(Refusal::Path)?;
    loop {
        let found = match site.routes.find(&path, facts) {
            Outcome::Found(found) => found,
            Outcome::NotTheMethod => {
                hit.allow = allow(site, &path, facts);
                hit.place = Place::NotTheMethod;
                break;
            }
            Outcome::None => break,
        };
        let Answer::Rewrite { to, .. } = &site.plans[found.route as usize].answer else {
            hit.place = Place::Route(found.route);
            (hit.captures, hit.names) = (found.captures, Arc::clone(found.names));
            break;
        };
        if hit.rewrites.len() == REWRITES_MAX {
            return Err(Refusal::Rewrites);
        }
        hit.rewrites.push(found.route);
        let filled = to.fill(&Filling {
            host,
            path: raw_path,
            query: facts.query(),
            normal: &path,
            names: found.names,
            captures: &found.captures,
        });
        // A template may name a part twice, and another one what came of that.
        if filled.len() > REWRITTEN_BYTES_MAX {
            return Err(Refusal::Rewrites);
        }
        let next = normalise(&filled, site.encoded_slashes).map_err(Refusal::Path)?;
        path = Cow::Owned(next.into_owned());
    }
    hit.path = path.into_owned();
    Ok(hit)
}

fn allow(site: &SitePlan, path: &str, facts: &(impl Facts + ?Sized)) -> String {
    let methods = site.routes.allowed(path, facts);
    let names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    names.join(", ")
}

impl Sites {
    async fn answer(&self, request: Request) -> Response {
        let plan = &self.plan;
        let Some(listener) = plan.listeners.get(request.listener()) else {
            return plain(StatusCode::MISDIRECTED_REQUEST);
        };
        let host = request.authority().map_or("", host_of);
        let Some(site_number) = listener.hosts.find(host) else {
            return plain(StatusCode::MISDIRECTED_REQUEST);
        };
        let site = &plan.sites[site_number as usize];
        // Who asked for one site's certificate does not get another's (RFC 9110 §7.4).
        if let Some(sni) = request.tls().and_then(|tls| tls.sni()) {
            let asked = listener.hosts.find(sni);
            let asked = asked.and_then(|site| plan.sites[site as usize].certificate);
            if asked != site.certificate {
                return plain(StatusCode::MISDIRECTED_REQUEST);
            }
        }
        match (request.method(), request.path()) {
            (&Method::CONNECT, _) => return plain(StatusCode::NOT_IMPLEMENTED),
            (&Method::OPTIONS, "*") => return Response::new(StatusCode::NO_CONTENT),
            _ => {}
        }
        // The usual case, without an allocation: a path that is normal, and nothing around the answer.
        if let Ok(path) = normalise(request.path(), site.encoded_slashes)
            && let Outcome::Found(found) = site.routes.find(&path, &Received(&request))
        {
            let route = &site.plans[found.route as usize];
            let is_rewrite = matches!(route.answer, Answer::Rewrite { .. });
            if !is_rewrite && route.options.is_plain() {
                let captured = (&found.names[..], &found.captures);
                return respond(&route.answer, &request, host, &path, captured).await;
            }
            if !is_rewrite {
                let hit = Hit {
                    site: site_number,
                    place: Place::Route(found.route),
                    captures: found.captures,
                    names: Arc::clone(found.names),
                    path: path.into_owned(),
                    allow: String::new(),
                    rewrites: Vec::new(),
                };
                return self.wrapped(request, hit).await;
            }
        }
        let hit = match find(plan, site_number, request.path(), host, &Received(&request)) {
            Ok(hit) => hit,
            Err(refusal) => {
                if refusal == Refusal::Rewrites {
                    tracing::error!(path = request.path(), "too many rewrites");
                }
                return plain(refusal.status());
            }
        };
        self.wrapped(request, hit).await
    }

    /// Answers with what stands around the answer.
    async fn wrapped(&self, mut request: Request, hit: Hit) -> Response {
        let key = (hit.site, hit.place);
        let options = &route_of(&self.plan.sites[hit.site as usize], hit.place).options;
        if options.is_plain() {
            return complete(&self.plan, &request, &hit).await;
        }
        request.extensions_mut().insert(Arc::new(hit));
        let known = self.wrapped.borrow().get(&key).cloned();
        let handler = match known {
            Some(handler) => handler,
            None => {
                let Some(routes) = wrap(&self.plan, options) else {
                    return plain(StatusCode::INTERNAL_SERVER_ERROR);
                };
                let made = Rc::new(routes.handler());
                self.wrapped.borrow_mut().insert(key, Rc::clone(&made));
                made
            }
        };
        handler.call(request).await
    }
}

fn route_of(site: &SitePlan, place: Place) -> &RoutePlan {
    match place {
        Place::Route(number) => &site.plans[number as usize],
        Place::Missing | Place::NotTheMethod => &site.missing,
    }
}

async fn complete(plan: &Plan, request: &Request, hit: &Hit) -> Response {
    if hit.place == Place::NotTheMethod {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
        // Methods are tokens, which any field value may hold.
        let _ = response.append("Allow", &hit.allow);
        return response;
    }
    let route = route_of(&plan.sites[hit.site as usize], hit.place);
    let host = request.authority().map_or("", host_of);
    let captured = (&hit.names[..], &hit.captures);
    respond(&route.answer, request, host, &hit.path, captured).await
}

async fn respond(
    answer: &Answer,
    request: &Request,
    host: &str,
    path: &str,
    (names, captures): (&[Box<str>], &Captures),
) -> Response {
    match answer {
        Answer::Respond {
            status,
            body,
            content_type,
        } => {
            let response = Response::new(*status).with_body(Body::from(body.clone()));
            if body.is_empty() {
                return response;
            }
            let typed = response.with_field("Content-Type", content_type);
            typed.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR))
        }
        Answer::Files {
            files,
            strip_prefix,
            fallback,
            ..
        } => {
            let below = match strip_prefix {
                true => names
                    .iter()
                    .position(|name| **name == *"rest")
                    .and_then(|at| captures.get(at, path))
                    .unwrap_or(path),
                false => path,
            };
            let response = files.respond(request, below).await;
            match fallback {
                Some(file) if response.status() == StatusCode::NOT_FOUND => {
                    file.respond(request).await
                }
                _ => response,
            }
        }
        Answer::Redirect { to, status, .. } => {
            let filling = Filling {
                host,
                path: request.path(),
                query: request.query(),
                normal: path,
                names,
                captures,
            };
            redirect(to, *status, &filling)
        }
        Answer::Rewrite { .. } | Answer::NotFound => plain(StatusCode::NOT_FOUND),
    }
}

fn redirect(to: &Template, status: StatusCode, filling: &Filling<'_>) -> Response {
    let mut target = to.fill(filling);
    // `//host` would be another host, and what stands there came from the client.
    if target.starts_with("//") {
        let path = target.trim_start_matches('/');
        target = format!("/{path}");
    }
    Response::new(status)
        .with_field("Location", target)
        .unwrap_or_else(|_| plain(StatusCode::BAD_REQUEST))
}

/// A status with its name as content.
fn plain(status: StatusCode) -> Response {
    use ajayserver::IntoResponse;
    let reason = status.canonical_reason().unwrap_or_default();
    (status, format!("{} {reason}\n", status.as_u16())).into_response()
}

/// The answer of whatever a request has hit, with these options around it. The first one is outermost.
fn wrap(plan: &Arc<Plan>, options: &OptionsPlan) -> Option<Routes> {
    let plan = Arc::clone(plan);
    let mut router = Router::new().fallback(async move |request: Request| {
        match request.extension::<Arc<Hit>>() {
            Some(hit) => complete(&plan, &request, &hit).await,
            None => plain(StatusCode::INTERNAL_SERVER_ERROR),
        }
    });
    if let Some(keeps) = options.request_id {
        router = router.wrap(RequestId::new().trust_clients(keeps));
    }
    if let Some(headers) = &options.headers {
        let headers = Arc::clone(headers);
        router = router.wrap(async move |request: Request, next: Next| {
            let mut response = next.run(request).await;
            change(&mut response, &headers);
            response
        });
    }
    if let Some((max_age, subdomains)) = options.hsts {
        let only = SecurityHeaders::new()
            .nosniff(false)
            .referrer_policy("")
            .frame_options("")
            .hsts(max_age, subdomains);
        router = router.wrap(only);
    }
    if options.compression {
        router = router.wrap(Compression::new());
    }
    if let Some(pages) = &options.error_pages {
        let pages = Arc::clone(pages);
        router = router.wrap(async move |request: Request, next: Next| {
            with_page(next.run(request).await, &pages)
        });
    }
    if options.allow.is_some() || options.deny.is_some() {
        let (allow, deny) = (options.allow.clone(), options.deny.clone());
        router = router.wrap(async move |request: Request, next: Next| {
            match is_allowed(client_of(&request), allow.as_deref(), deny.as_deref()) {
                true => next.run(request).await,
                false => plain(StatusCode::FORBIDDEN),
            }
        });
    }
    if let Some(limit) = &options.rate_limit {
        router = router.wrap(limit.clone());
    }
    if let Some(cors) = &options.cors {
        router = router.wrap(cors.clone());
    }
    if let Some(auth) = &options.basic_auth {
        router = router.wrap(auth.clone());
    }
    if let Some(bytes) = options.content_bytes_max {
        router = router.wrap(BodyLimit::new(bytes));
    }
    if let Some(timeout) = options.timeout {
        router = router.wrap(Timeout::new(timeout));
    }
    router.build().ok()
}

fn change(response: &mut Response, headers: &HeadersPlan) {
    let fields = response.fields_mut();
    for name in &headers.remove {
        fields.remove(name);
    }
    // Names and values were checked when they were read.
    for (name, value) in &headers.set {
        let _ = fields.set(name, value);
    }
    for (name, value) in &headers.add {
        let _ = fields.append(name, value);
    }
}

fn with_page(mut response: Response, pages: &[(u16, Page)]) -> Response {
    let status = response.status().as_u16();
    let Some((_, page)) = pages.iter().find(|(code, _)| *code == status) else {
        return response;
    };
    let fields = response.fields_mut();
    for name in ["content-type", "content-length", "content-encoding", "etag"] {
        fields.remove(name);
    }
    let _ = fields.append("Content-Type", page.content_type);
    response.with_body(Body::from(page.body.clone()))
}

/// A client without an address, over a Unix socket, is in no network.
fn is_allowed(client: Option<IpAddr>, allow: Option<&[Network]>, deny: Option<&[Network]>) -> bool {
    let is_in = |networks: &[Network]| {
        client.is_some_and(|client| networks.iter().any(|network| network.contains(client)))
    };
    !deny.is_some_and(is_in) && allow.is_none_or(is_in)
}
