//! Routes at work: from a request to an endpoint, and the endpoints of a worker.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ajay_engine::{KnownField, Method, Response, StatusCode};

use super::build::{NOT_FOUND, SERVER_OPTIONS, TOO_LARGE};
use super::{MakeHandler, MakeWrapped};
use crate::recycled::{self, AnyHandler};
use crate::request::{Matched, States};
use crate::{Application, Handler, IntoResponse, Request};

/// The routes of a [`Router`](crate::Router) after they have been checked; cheap to clone.
#[derive(Clone)]
pub struct Routes {
    table: Arc<Table>,
}

impl Routes {
    pub(super) fn new(table: Table) -> Routes {
        Routes {
            table: Arc::new(table),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.table.default.entries.iter();
        f.debug_list()
            .entries(entries.map(|entry| &entry.matched.pattern))
            .finish()
    }
}

impl Application for Routes {
    type Handler = RoutesHandler;

    fn handler(&self) -> RoutesHandler {
        let made = vec![None; self.table.endpoints.len()];
        let endpoints = Rc::new(Endpoints {
            table: Arc::clone(&self.table),
            made: RefCell::new(made),
        });
        let inner = Rc::clone(&endpoints);
        let inner = move |request: Request| {
            let endpoint = request.route().map_or(NOT_FOUND, |route| route.endpoint);
            inner.run(endpoint, request)
        };
        let has_outer = !self.table.wraps.is_empty();
        RoutesHandler {
            endpoints,
            outer: has_outer.then(|| wrap_all(recycled::from_fn(inner), &self.table.wraps)),
        }
    }
}

/// The routes of a router on one worker.
pub struct RoutesHandler {
    endpoints: Rc<Endpoints>,
    /// The router's own middleware, and the endpoints inside it.
    outer: Option<Rc<dyn AnyHandler>>,
}

impl fmt::Debug for RoutesHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutesHandler").finish_non_exhaustive()
    }
}

impl Handler for RoutesHandler {
    fn call(self: &Rc<Self>, mut request: Request) -> impl Future<Output = Response> + use<> {
        let endpoint = self.endpoints.table.find(&mut request);
        match &self.outer {
            None => self.endpoints.run(endpoint, request),
            Some(outer) => {
                request.route_mut().endpoint = endpoint;
                recycled::run(outer, request)
            }
        }
    }
}

/// Puts middleware before a handler, the first outermost.
fn wrap_all(handler: Rc<dyn AnyHandler>, wraps: &[MakeWrapped]) -> Rc<dyn AnyHandler> {
    wraps.iter().rev().fold(handler, |inner, wrap| wrap(inner))
}

/// A worker's own handlers, made when they are first needed.
struct Endpoints {
    table: Arc<Table>,
    made: RefCell<Vec<Option<Rc<dyn AnyHandler>>>>,
}

impl Endpoints {
    fn run(&self, index: usize, request: Request) -> recycled::Running {
        if let Some(handler) = &self.made.borrow()[index] {
            // Its application's code runs when it is polled; here only its future is made.
            let handler = Rc::clone(handler);
            return recycled::run(&handler, request);
        }
        let handler = self.table.endpoints[index].handler();
        self.made.borrow_mut()[index] = Some(Rc::clone(&handler));
        recycled::run(&handler, request)
    }
}

/// What answers, and what stands before it.
pub(super) struct Endpoint {
    pub(super) make: MakeHandler,
    pub(super) wraps: Box<[MakeWrapped]>,
    pub(super) timeout: Option<Duration>,
    pub(super) content_bytes_max: Option<u64>,
    pub(super) states: Option<Arc<States>>,
}

impl Endpoint {
    pub(super) fn bare(make: MakeHandler) -> Endpoint {
        Endpoint {
            make,
            wraps: Box::default(),
            timeout: None,
            content_bytes_max: None,
            states: None,
        }
    }

    fn handler(&self) -> Rc<dyn AnyHandler> {
        let handler = (self.make)();
        let handler = match self.timeout {
            None => handler,
            Some(timeout) => recycled::from_fn(move |request| {
                let running = recycled::run(&handler, request);
                async move {
                    match tokio::time::timeout(timeout, running).await {
                        Ok(response) => response,
                        Err(_) => {
                            let text = "503 Service Unavailable\n";
                            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
                        }
                    }
                }
            }),
        };
        wrap_all(handler, &self.wraps)
    }
}

pub(super) struct Table {
    pub(super) exact: HashMap<Box<str>, HostTable>,
    /// By what follows the asterisk, with its dot.
    pub(super) below: HashMap<Box<str>, HostTable>,
    pub(super) default: HostTable,
    pub(super) endpoints: Vec<Endpoint>,
    /// The router's own middleware.
    pub(super) wraps: Vec<MakeWrapped>,
}

pub(super) struct HostTable {
    pub(super) paths: matchit::Router<usize>,
    pub(super) entries: Vec<PathEntry>,
    pub(super) fallbacks: matchit::Router<usize>,
    pub(super) fallback: usize,
}

pub(super) struct PathEntry {
    pub(super) matched: Arc<Matched>,
    pub(super) methods: Vec<(Method, usize)>,
    pub(super) any: Option<usize>,
    pub(super) not_allowed: usize,
    pub(super) options: usize,
}

impl PathEntry {
    fn endpoint(&self, method: &Method) -> usize {
        let of = |method: &Method| {
            let mut methods = self.methods.iter();
            let found = methods.find(|(other, _)| other == method);
            found.map(|(_, endpoint)| *endpoint)
        };
        let found = of(method).or_else(|| match *method {
            Method::HEAD => of(&Method::GET),
            _ => None,
        });
        match (found, self.any) {
            (Some(endpoint), _) | (None, Some(endpoint)) => endpoint,
            (None, None) if *method == Method::OPTIONS => self.options,
            (None, None) => self.not_allowed,
        }
    }
}

impl Table {
    /// The endpoint that answers a request, which learns of its route.
    fn find(&self, request: &mut Request) -> usize {
        let host = self.host(request);
        // Kept for its memory; the path that is looked at belongs to the request as well.
        let mut values = std::mem::take(&mut request.route_mut().values);
        let path = request.path();
        let (entry, endpoint) = match host.paths.at(path) {
            Ok(found) => {
                let parameters = found.params.iter();
                values.extend(parameters.map(|(_, value)| Request::range_of(path, value)));
                let entry = &host.entries[*found.value];
                (Some(entry), entry.endpoint(request.method()))
            }
            Err(_) if path == "*" && request.method() == Method::OPTIONS => (None, SERVER_OPTIONS),
            Err(_) => {
                let nested = host.fallbacks.at(path).ok();
                (None, nested.map_or(host.fallback, |found| *found.value))
            }
        };
        let Endpoint {
            content_bytes_max,
            states,
            ..
        } = &self.endpoints[endpoint];
        let route = request.route_mut();
        route.values = values;
        route.matched = entry.map(|entry| Arc::clone(&entry.matched));
        route.states.clone_from(states);
        if let Some(max) = *content_bytes_max {
            if declared_length(request).is_some_and(|bytes| bytes > max) {
                return TOO_LARGE;
            }
            request.content().limit(max);
        }
        endpoint
    }

    fn host(&self, request: &Request) -> &HostTable {
        if self.exact.is_empty() && self.below.is_empty() {
            return &self.default;
        }
        let Some(host) = request.authority().map(host_of) else {
            return &self.default;
        };
        let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(host.to_ascii_lowercase()),
            false => Cow::Borrowed(host),
        };
        if let Some(table) = self.exact.get(&*host) {
            return table;
        }
        let mut dots = host.match_indices('.');
        let below = dots.find_map(|(at, _)| self.below.get(&host[at..]));
        below.unwrap_or(&self.default)
    }
}

/// The host of an authority, without its port and the dot of a full name.
fn host_of(authority: &str) -> &str {
    let host = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    };
    host.strip_suffix('.').unwrap_or(host)
}

fn declared_length(request: &Request) -> Option<u64> {
    let value = request.get(KnownField::ContentLength)?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
