//! From routes as they were written to tables.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ajay_engine::{Method, Response, StatusCode};

use super::serve::{Endpoint, HostTable, PathEntry, Routes, Table};
use super::{MakeHandler, MakeWrapped, Route, RouteLimits, Router, make_handler};
use crate::request::{Matched, States};
use crate::{IntoResponse, Request};

/// What is wrong with the routes of a router: every conflict, in the order of the routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteErrors(Vec<RouteError>);

impl RouteErrors {
    /// Each of them, in the order of the routes. There is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &RouteError> {
        self.0.iter()
    }
}

impl fmt::Display for RouteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for RouteErrors {}

/// One thing that is wrong with the routes of a router.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// Two routes stand for the same paths, with other names for their parameters.
    Conflict {
        /// The later one.
        pattern: String,
        /// The earlier one.
        with: String,
    },
    /// A method has two handlers on a path.
    Repeated {
        /// The method; none for "any".
        method: Option<Method>,
        /// The path's pattern.
        pattern: String,
    },
    /// Not a pattern of a path, or not a prefix.
    InvalidPattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a host, or one that has a router already.
    InvalidHost {
        /// What was given.
        host: String,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteError::Conflict { pattern, with } => {
                write!(f, "the route {pattern} stands for the same paths as {with}")
            }
            RouteError::Repeated { method, pattern } => {
                let method = method.as_ref().map_or("any method", Method::as_str);
                write!(f, "{method} has two handlers on {pattern}")
            }
            RouteError::InvalidPattern { pattern, reason } => {
                write!(f, "{pattern:?} is not a route: {reason}")
            }
            RouteError::InvalidHost { host } => {
                write!(f, "{host:?} is not a host, or has a router already")
            }
        }
    }
}

impl std::error::Error for RouteError {}

/// Endpoints that every table has.
pub(super) const NOT_FOUND: usize = 0;
pub(super) const TOO_LARGE: usize = 1;
pub(super) const SERVER_OPTIONS: usize = 2;

pub(super) fn build(router: &Router) -> Result<Routes, RouteErrors> {
    let mut build = Build {
        endpoints: vec![
            Endpoint::bare(make_handler(async |_: Request| {
                (StatusCode::NOT_FOUND, "404 Not Found\n")
            })),
            Endpoint::bare(make_handler(async |_: Request| {
                (StatusCode::PAYLOAD_TOO_LARGE, "413 Content Too Large\n")
            })),
            Endpoint::bare(make_handler(async |_: Request| StatusCode::NO_CONTENT)),
        ],
        errors: Vec::new(),
    };
    let outer = Outer {
        prefix: String::new(),
        wraps: Vec::new(),
        states: router.states.clone(),
        limits: router.limits,
    };
    let mut default = HostBuild::default();
    build.router(&mut default, router, &outer);
    let fallback = build.fallback(router, &outer);
    let mut table = Table {
        exact: HashMap::new(),
        below: HashMap::new(),
        default: build.host(default, fallback),
        endpoints: Vec::new(),
        wraps: router.wraps.clone(),
    };
    for (host, inner) in &router.hosts {
        let mut here = HostBuild::default();
        let within = outer.of(inner, "");
        build.router(&mut here, inner, &within);
        let fallback = build.fallback(inner, &within);
        let here = build.host(here, fallback);
        let host = host.to_ascii_lowercase();
        let (hosts, name) = match host.strip_prefix('*') {
            Some(below) => (&mut table.below, below),
            None => (&mut table.exact, &*host),
        };
        if !is_host(name) || hosts.insert(name.into(), here).is_some() || !inner.hosts.is_empty() {
            build.errors.push(RouteError::InvalidHost { host });
        }
    }
    if !build.errors.is_empty() {
        return Err(RouteErrors(build.errors));
    }
    table.endpoints = build.endpoints;
    Ok(Routes::new(table))
}

fn is_host(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    name.len() > 1 && name.bytes().all(is_valid)
}

struct Build {
    endpoints: Vec<Endpoint>,
    errors: Vec<RouteError>,
}

/// What a router is inside of. The root's middleware is not among it: it goes before the whole table.
#[derive(Clone)]
struct Outer {
    prefix: String,
    wraps: Vec<MakeWrapped>,
    states: States,
    limits: RouteLimits,
}

impl Outer {
    /// What the routes of a router inside this one are inside of.
    fn of(&self, inner: &Router, prefix: &str) -> Outer {
        let mut states = inner.states.clone();
        states.inherit(&self.states);
        Outer {
            prefix: format!("{}{prefix}", self.prefix),
            wraps: [&self.wraps[..], &inner.wraps].concat(),
            states,
            limits: inner.limits.within(self.limits),
        }
    }
}

#[derive(Default)]
struct HostBuild {
    paths: matchit::Router<usize>,
    entries: Vec<EntryBuild>,
    /// Of routers that are nested: their own middleware and fallback.
    fallbacks: matchit::Router<usize>,
}

struct EntryBuild {
    pattern: String,
    methods: Vec<(Method, usize)>,
    any: Option<usize>,
    /// What the path's first route is inside of, for answers that no handler gives.
    outer: Outer,
}

impl Build {
    fn endpoint(&mut self, make: MakeHandler, outer: &Outer) -> usize {
        self.endpoints.push(Endpoint {
            make,
            wraps: outer.wraps.clone().into(),
            timeout: outer.limits.timeout,
            content_bytes_max: outer.limits.content_bytes_max,
            states: (!outer.states.is_empty()).then(|| Arc::new(outer.states.clone())),
        });
        self.endpoints.len() - 1
    }

    /// What answers where no route of a router matches.
    fn fallback(&mut self, router: &Router, outer: &Outer) -> usize {
        let not_found = || Arc::clone(&self.endpoints[NOT_FOUND].make);
        let make = router.fallback.clone().unwrap_or_else(not_found);
        self.endpoint(make, outer)
    }

    fn router(&mut self, host: &mut HostBuild, router: &Router, outer: &Outer) {
        for (pattern, route) in &router.routes {
            self.route(host, pattern, route, outer);
        }
        for (prefix, inner) in &router.nested {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            if !prefix.is_empty() && !prefix.starts_with('/') {
                self.invalid(prefix, "a prefix begins with a slash");
                continue;
            }
            if !inner.hosts.is_empty() {
                self.invalid(prefix, "a router inside another has no hosts");
                continue;
            }
            let within = outer.of(inner, prefix);
            let has_say = inner.fallback.is_some() || !inner.wraps.is_empty();
            if has_say && !prefix.is_empty() {
                let endpoint = self.fallback(inner, &within);
                for rest in ["", "/", "/{*nested-rest}"] {
                    // The first router that is nested there has it.
                    let _ = host
                        .fallbacks
                        .insert(format!("{}{rest}", within.prefix), endpoint);
                }
            }
            self.router(host, inner, &within);
        }
    }

    fn invalid(&mut self, pattern: &str, reason: &'static str) {
        self.errors.push(RouteError::InvalidPattern {
            pattern: pattern.to_owned(),
            reason,
        });
    }

    fn route(&mut self, host: &mut HostBuild, pattern: &str, route: &Route, outer: &Outer) {
        if !pattern.starts_with('/') {
            return self.invalid(pattern, "a pattern begins with a slash");
        }
        let pattern = match (&*outer.prefix, pattern) {
            ("", pattern) => pattern.to_owned(),
            (prefix, "/") => prefix.to_owned(),
            (prefix, pattern) => format!("{prefix}{pattern}"),
        };
        if let Some(method) = &route.repeated {
            self.errors.push(RouteError::Repeated {
                method: Some(method.clone()),
                pattern: pattern.clone(),
            });
        }
        let mut within = outer.clone();
        within.wraps.extend(route.wraps.iter().cloned());
        within.limits = route.limits.within(outer.limits);
        let there = host.entries.iter().position(|it| it.pattern == pattern);
        let index = there.unwrap_or(host.entries.len());
        if there.is_none() {
            if let Err(error) = host.paths.insert(&*pattern, index) {
                self.errors.push(route_error(error, pattern));
                return;
            }
            host.entries.push(EntryBuild {
                pattern: pattern.clone(),
                methods: Vec::new(),
                any: None,
                outer: within.clone(),
            });
        }
        let entry = &mut host.entries[index];
        for (method, make) in &route.methods {
            if entry.methods.iter().any(|(other, _)| other == method) {
                let error = RouteError::Repeated {
                    method: Some(method.clone()),
                    pattern: pattern.clone(),
                };
                if !self.errors.contains(&error) {
                    self.errors.push(error);
                }
            }
            let endpoint = self.endpoint(Arc::clone(make), &within);
            entry.methods.push((method.clone(), endpoint));
        }
        if let Some(make) = &route.any {
            if entry.any.is_some() {
                let (method, pattern) = (None, pattern.clone());
                self.errors.push(RouteError::Repeated { method, pattern });
            }
            entry.any = Some(self.endpoint(Arc::clone(make), &within));
        }
    }

    fn host(&mut self, host: HostBuild, fallback: usize) -> HostTable {
        let entries = host.entries.into_iter().map(|entry| {
            let allow = allow(entry.methods.iter().map(|(method, _)| method));
            let refusal = Arc::clone(&allow);
            PathEntry {
                matched: Arc::new(Matched {
                    names: names(&entry.pattern),
                    pattern: entry.pattern.into(),
                }),
                methods: entry.methods,
                any: entry.any,
                not_allowed: self.endpoint(
                    make_handler(async move |_: Request| {
                        let text = "405 Method Not Allowed\n";
                        let response = (StatusCode::METHOD_NOT_ALLOWED, text).into_response();
                        response.with_field("Allow", &*refusal)
                    }),
                    &entry.outer,
                ),
                options: self.endpoint(
                    make_handler(async move |_: Request| {
                        Response::new(StatusCode::NO_CONTENT).with_field("Allow", &*allow)
                    }),
                    &entry.outer,
                ),
            }
        });
        HostTable {
            entries: entries.collect(),
            paths: host.paths,
            fallbacks: host.fallbacks,
            fallback,
        }
    }
}

/// The value of `Allow` (RFC 9110 §10.2.1).
fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> Arc<str> {
    let mut all: Vec<&str> = methods.map(Method::as_str).collect();
    for (implied, is_implied) in [("HEAD", all.contains(&"GET")), ("OPTIONS", true)] {
        if is_implied && !all.contains(&implied) {
            all.push(implied);
        }
    }
    all.sort_unstable();
    all.join(", ").into()
}

fn route_error(error: matchit::InsertError, pattern: String) -> RouteError {
    let reason = match error {
        matchit::InsertError::Conflict { with } => return RouteError::Conflict { pattern, with },
        matchit::InsertError::InvalidParamSegment => "a segment can have one parameter",
        matchit::InsertError::InvalidParam => "a parameter has a name, in braces",
        matchit::InsertError::InvalidCatchAll => "a catch-all stands at the end, after a slash",
        _ => "the router does not know this form",
    };
    RouteError::InvalidPattern { pattern, reason }
}

/// The names of a pattern's parameters in their order.
fn names(pattern: &str) -> Box<[Box<str>]> {
    let literal = pattern.replace("{{", "").replace("}}", "");
    let parameters = literal.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        Some(name.trim_start_matches('*').into())
    });
    parameters.collect()
}
