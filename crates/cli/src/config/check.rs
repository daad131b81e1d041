//! Listeners and sites: what fits together.

use std::collections::HashMap;
use std::path::PathBuf;

use ajayserver::ListenAddr;

use super::keys::{File, Server, Site};
use super::read::Context;
use super::source::{Level, Span, Spanned};
use super::values::TlsValue;
use super::{options, routes, tls};
use crate::args::{DEFAULT_LISTEN, DEFAULT_TLS_LISTEN, DEVELOPMENT_CERTIFICATE};
use crate::plan::{ListenerPlan, OptionsPlan, Plan, ServerPlan, SitePlan, TlsPlan};
use crate::routing::Hosts;

/// Checks everything, and compiles what it can. None where there is nothing to serve.
pub(super) fn compile(files: &[File], context: &mut Context) -> Option<Plan> {
    let main = files.first()?;
    let server = main.server.as_ref().map(|it| server(&it.value));
    let mut compile = Compile {
        context,
        listeners: Vec::new(),
        by_address: HashMap::new(),
        certificates: HashMap::new(),
        sites: Vec::new(),
        spans: Vec::new(),
    };
    for file in files {
        for site in file.site.iter().flat_map(|it| &it.value) {
            compile.site(site);
        }
    }
    let (listeners, sites) = (compile.listeners, compile.sites);
    let is_read = context.problems.count(Level::Error) == 0;
    if is_read && sites.is_empty() {
        let problem = context.problems.error_nowhere("there is no site");
        problem.hint("add [[site]] with a route, or begin with `ajayserver init`");
        return None;
    }
    Some(Plan {
        generation: 1,
        server: server.unwrap_or_default(),
        listeners: listeners.into_iter().map(|it| it.plan).collect(),
        sites,
    })
}

fn server(keys: &Server) -> ServerPlan {
    ServerPlan {
        processes: keys.processes.as_ref().map(|it| it.value.0),
        threads: keys.threads.as_ref().and_then(|it| it.value.0),
        pin_workers: keys.pin_workers.as_ref().is_some_and(|it| it.value),
        user: keys.user.as_ref().map(|it| it.value.0.clone()),
        no_date: keys.date.as_ref().is_some_and(|it| !it.value),
        no_server_name: keys.server_name.as_ref().is_some_and(|it| !it.value),
        limits: keys
            .limits
            .as_ref()
            .map(|it| it.value.0.clone())
            .unwrap_or_default(),
    }
}

struct Listener {
    plan: ListenerPlan,
    /// Where it was named first.
    span: Span,
}

struct Compile<'a> {
    context: &'a mut Context,
    listeners: Vec<Listener>,
    by_address: HashMap<String, usize>,
    /// Pairs of files that were looked at, by number.
    certificates: HashMap<(PathBuf, PathBuf), u32>,
    sites: Vec<SitePlan>,
    /// Of the sites.
    spans: Vec<Span>,
}

/// The number of all development certificates: it is not one of those in files.
const SELF_SIGNED: u32 = u32::MAX;

impl Compile<'_> {
    fn site(&mut self, site: &Spanned<Site>) {
        let number = self.sites.len() as u32;
        let keys = &site.value;
        let certificate = keys.tls.as_ref().map(|tls| self.certificate(tls));
        self.listen(site, number);
        let outer = options::compile(&keys.options, &OptionsPlan::default(), self.context);
        let compiled = routes::compile(site, &outer, self.context);
        let names = keys.hosts.iter().flat_map(|it| &it.value);
        let names: Vec<&str> = names.map(|it| &*it.value.0).collect();
        self.sites.push(SitePlan {
            name: match names.is_empty() {
                true => "all other hosts".to_owned(),
                false => names.join(", "),
            },
            place: place(self.context, site.span),
            encoded_slashes: keys.encoded_slashes.as_ref().is_some_and(|it| it.value),
            certificate,
            routes: compiled.routes,
            plans: compiled.plans,
            missing: compiled.missing,
        });
        self.spans.push(site.span);
    }

    fn certificate(&mut self, tls: &Spanned<TlsValue>) -> u32 {
        let TlsValue::Files { cert, key } = &tls.value else {
            return SELF_SIGNED;
        };
        let pair = (
            self.context.path(cert.span, &cert.value.0),
            self.context.path(key.span, &key.value.0),
        );
        let next = self.certificates.len() as u32;
        if let Some(known) = self.certificates.get(&pair) {
            return *known;
        }
        tls::check(cert, key, self.context);
        self.certificates.insert(pair, next);
        next
    }

    /// Puts the site on its listeners, and its hosts there.
    fn listen(&mut self, site: &Spanned<Site>, number: u32) {
        let keys = &site.value;
        let tls = keys.tls.as_ref();
        let mut places: Vec<(ListenAddr, Span, bool)> = Vec::new();
        match &keys.listen {
            Some(listen) => {
                for address in &listen.value {
                    if places.iter().any(|(other, ..)| *other == address.value.0) {
                        let message = "the site listens here already";
                        self.context.problems.error(address.span, message);
                        continue;
                    }
                    places.push((address.value.0.clone(), address.span, false));
                }
            }
            None => {
                let default = match tls {
                    Some(_) => DEFAULT_TLS_LISTEN,
                    None => DEFAULT_LISTEN,
                };
                let addresses = default.iter().filter_map(|text| text.parse().ok());
                places.extend(addresses.map(|address| (address, site.span, true)));
            }
        }
        let mut has_said = false;
        for (address, span, is_default) in places {
            let at = self.listener(address, span, is_default, tls);
            // Once for all addresses is enough.
            has_said |= self.hosts(at, site, number, has_said);
        }
    }

    fn listener(
        &mut self,
        address: ListenAddr,
        span: Span,
        is_default: bool,
        tls: Option<&Spanned<TlsValue>>,
    ) -> usize {
        let next = self.listeners.len();
        let at = *self.by_address.entry(address.to_string()).or_insert(next);
        let wanted = tls.map(|tls| self.tls(tls));
        if at == next {
            self.listeners.push(Listener {
                span,
                plan: ListenerPlan {
                    address,
                    is_default,
                    tls: wanted,
                    hosts: Hosts::default(),
                },
            });
            return at;
        }
        let listener = &mut self.listeners[at];
        listener.plan.is_default &= is_default;
        let first = listener.span;
        let address = &listener.plan.address;
        let message = match (&mut listener.plan.tls, wanted) {
            (None, None) => return at,
            (Some(TlsPlan::Files(all)), Some(TlsPlan::Files(more))) => {
                all.extend(
                    more.into_iter()
                        .filter(|it| !all.contains(it))
                        .collect::<Vec<_>>(),
                );
                return at;
            }
            (
                Some(TlsPlan::SelfSigned { names, .. }),
                Some(TlsPlan::SelfSigned { names: more, .. }),
            ) => {
                names.extend(
                    more.into_iter()
                        .filter(|it| !names.contains(it))
                        .collect::<Vec<_>>(),
                );
                return at;
            }
            (Some(_), Some(_)) => {
                format!("{address} has both a certificate from files and one for development")
            }
            (Some(_), None) => format!("{address} speaks TLS, and this site has no `tls`"),
            (None, Some(_)) => format!("{address} speaks no TLS, and this site has `tls`"),
        };
        let problem = self.context.problems.error(span, message);
        problem.also(first, "named here first");
        at
    }

    fn tls(&self, tls: &Spanned<TlsValue>) -> TlsPlan {
        match &tls.value {
            TlsValue::SelfSigned => TlsPlan::SelfSigned {
                directory: self.context.path(tls.span, DEVELOPMENT_CERTIFICATE),
                names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
            },
            TlsValue::Files { cert, key } => TlsPlan::Files(vec![(
                self.context.path(cert.span, &cert.value.0),
                self.context.path(key.span, &key.value.0),
            )]),
        }
    }

    /// Whether something was wrong.
    fn hosts(&mut self, listener: usize, site: &Spanned<Site>, number: u32, quiet: bool) -> bool {
        let listener = &mut self.listeners[listener].plan;
        let mut refused: Vec<(Span, String, u32)> = Vec::new();
        match &site.value.hosts {
            Some(hosts) => {
                for host in &hosts.value {
                    if let Err(other) = listener.hosts.insert(Some(&host.value.0), number) {
                        let message = format!("`{}` has a site already", host.value.0);
                        refused.push((host.span, message, other));
                    }
                }
            }
            None => {
                if let Err(other) = listener.hosts.insert(None, number) {
                    let message = "two sites without `hosts` listen";
                    refused.push((site.span, message.to_owned(), other));
                }
            }
        }
        let is_wrong = !refused.is_empty();
        for (span, message, other) in refused.into_iter().filter(|_| !quiet) {
            let message = format!("{message} at {}", listener.address);
            let problem = self.context.problems.error(span, message);
            if other != number {
                problem.also(self.spans[other as usize], "the other site");
            }
        }
        is_wrong
    }
}

/// File and line, for people.
pub(super) fn place(context: &Context, span: Span) -> String {
    let source = &context.sources[span.file()];
    format!("{}:{}", source.name, source.line(span))
}
