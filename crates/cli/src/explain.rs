//! `ajayserver explain METHOD URL`: which site and which route would answer, and why.

use std::fmt::Write;
use std::net::IpAddr;

use ajayserver::{Method, Version};

use crate::plan::{Answer, ListenerPlan, Plan, RoutePlan, SitePlan};
use crate::routing::{Facts, Outcome, Where, host_of};
use crate::serve::{self, Place};
use crate::template::Filling;

/// A request that nobody has sent.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) query: Option<String>,
    pub(crate) client: IpAddr,
    pub(crate) version: Version,
}

impl Facts for Asked {
    fn method(&self) -> &Method {
        &self.method
    }

    fn version(&self) -> Version {
        self.version
    }

    fn client(&self) -> Option<IpAddr> {
        Some(self.client)
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_bytes())
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
}

/// A URL in the parts that matter here.
struct Url<'a> {
    is_tls: bool,
    host: &'a str,
    port: u16,
    path: &'a str,
    query: Option<&'a str>,
}

fn parse(url: &str) -> Result<Url<'_>, String> {
    let wrong = || format!("`{url}` is no URL; write it as in https://example.com/path");
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let is_tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err(wrong()),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    let host = host_of(authority);
    if host.is_empty() {
        return Err(wrong());
    }
    let port = match authority[host.len()..].strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| wrong())?,
        None if is_tls => 443,
        None => 80,
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    Ok(Url {
        is_tls,
        host,
        port,
        path: if path.is_empty() { "/" } else { path },
        query,
    })
}

/// The explanation, line by line. An error says what is wrong with the question.
pub(crate) fn explain(
    plan: &Plan,
    method: &str,
    url: &str,
    fields: &[String],
    client: IpAddr,
) -> Result<String, String> {
    let url = parse(url)?;
    let method = Method::from_bytes(method.as_bytes());
    let asked = Asked {
        method: method.map_err(|_| "that is no method".to_owned())?,
        fields: fields
            .iter()
            .map(|it| field(it))
            .collect::<Result<_, _>>()?,
        query: url.query.map(str::to_owned),
        client,
        version: match url.is_tls {
            true => Version::HTTP_2,
            false => Version::HTTP_11,
        },
    };
    let mut text = String::new();
    let Some(listener) = listener(plan, &url, &mut text) else {
        return Ok(text);
    };
    let Some(number) = listener.hosts.find(url.host) else {
        let _ = writeln!(text, "site: none for {} there: 421", url.host);
        return Ok(text);
    };
    let site = &plan.sites[number as usize];
    let _ = writeln!(text, "site: {} ({})", site.name, site.place);
    match serve::find(plan, number, url.path, url.host, &asked) {
        Err(refusal) => {
            let why = match refusal {
                serve::Refusal::Path(error) => format!("the path has {error}"),
                serve::Refusal::Rewrites => "rewrites lead on and on".to_owned(),
            };
            let _ = writeln!(text, "answer: {} - {why}", refusal.status().as_u16());
        }
        Ok(hit) => route(site, &hit, &url, &asked, &mut text),
    }
    Ok(text)
}

fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| format!("`{line}` is no field; write it as 'name: value'"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The listener of the URL's port; if there is none, one that speaks the same.
fn listener<'a>(plan: &'a Plan, url: &Url<'_>, text: &mut String) -> Option<&'a ListenerPlan> {
    let end = format!(":{}", url.port);
    let speaks = |it: &&ListenerPlan| it.tls.is_some() == url.is_tls;
    let at_port = |it: &&ListenerPlan| it.address.to_string().ends_with(&end);
    let with_host = |it: &&ListenerPlan| it.hosts.find(url.host).is_some();
    let candidates = || plan.listeners.iter().filter(speaks).filter(at_port);
    let found = candidates().find(with_host).or_else(|| candidates().next());
    match found {
        Some(listener) => {
            let _ = writeln!(text, "listener: {}", listener.address);
            Some(listener)
        }
        None => {
            let scheme = if url.is_tls { "https" } else { "http" };
            let mut all = plan.listeners.iter().filter(speaks);
            let other = all.clone().find(with_host).or_else(|| all.next());
            let _ = match other {
                Some(other) => writeln!(
                    text,
                    "listener: none speaks {scheme} on port {}; taking {}",
                    url.port, other.address
                ),
                None => writeln!(text, "listener: none speaks {scheme}"),
            };
            other
        }
    }
}

fn route(site: &SitePlan, hit: &serve::Hit, url: &Url<'_>, asked: &Asked, text: &mut String) {
    let _ = writeln!(text, "path: {}", hit.path);
    for number in &hit.rewrites {
        let plan = &site.plans[*number as usize];
        let _ = writeln!(
            text,
            "by way of: {}, {}",
            plan.place,
            plan.answer.describe()
        );
    }
    let plan: &RoutePlan = match hit.place {
        Place::Route(number) => &site.plans[number as usize],
        Place::Missing => {
            let _ = writeln!(text, "route: none for this path\nanswer: 404");
            return options(&site.missing, text);
        }
        Place::NotTheMethod => {
            let _ = writeln!(
                text,
                "route: none for this method\nanswer: 405, allow: {}",
                hit.allow
            );
            return options(&site.missing, text);
        }
    };
    let _ = writeln!(text, "route: {}", plan.place);
    if let Outcome::Found(found) = site.routes.find(&hit.path, asked) {
        let because = match found.by {
            Where::Path(path) => format!("the path is {path}"),
            Where::Pattern(pattern) => format!("the path is like {pattern}"),
            Where::Regex(regex) => format!("the path matches {regex}"),
            Where::Anywhere => "no route with a path is better".to_owned(),
        };
        let count = site.routes.conditions(found.route).count();
        let and = match count {
            0 => String::new(),
            1 => ", and its condition holds".to_owned(),
            count => format!(", and its {count} conditions hold"),
        };
        let _ = writeln!(text, "because: {because}{and}");
        let names = found.names.iter().enumerate();
        for (at, name) in names {
            let value = found.captures.get(at, &hit.path).unwrap_or_default();
            let _ = writeln!(text, "  {{{name}}} is {value:?}");
        }
        if let Answer::Redirect { to, status, .. } = &plan.answer {
            let location = to.fill(&Filling {
                host: url.host,
                path: url.path,
                query: url.query,
                normal: &hit.path,
                names: found.names,
                captures: &found.captures,
            });
            let _ = writeln!(text, "answer: {} to {location}", status.as_u16());
            return options(plan, text);
        }
    }
    let _ = writeln!(text, "answer: {}", plan.answer.describe());
    options(plan, text);
}

fn options(plan: &RoutePlan, text: &mut String) {
    let active = plan.options.active();
    if !active.is_empty() {
        let _ = writeln!(text, "with: {}", active.join(", "));
    }
}
