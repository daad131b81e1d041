//! What sites and routes have alike.

use std::sync::Arc;

use ajayserver::middleware::{BasicAuth, Cors, RateLimit};

use super::keys::{BasicAuthTable, CorsTable, Headers, Options, RateLimitTable};
use super::read::{Context, Pairs, reason};
use super::source::{Span, Spanned};
use super::values::{FieldName, FieldValue, FilePath, Network};
use crate::password::HashedUsers;
use crate::plan::{HeadersPlan, OptionsPlan, Page};
use crate::routing;
use crate::units::Switch;

/// Pages are kept in memory.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Browsers forget after a year at most.
const HSTS_DEFAULT: std::time::Duration = std::time::Duration::from_secs(8760 * 3600);

/// The options of a site or route, with those of its site where it says nothing.
pub(super) fn compile(keys: &Options, outer: &OptionsPlan, context: &mut Context) -> OptionsPlan {
    let mut plan = outer.clone();
    set(&keys.headers, &mut plan.headers, context, |it, context| {
        Some(Arc::new(headers_of(it.value, context)))
    });
    if let Some(limits) = &keys.limits {
        if let Some(bytes) = &limits.value.content_bytes_max {
            plan.content_bytes_max = Some(bytes.value.0);
        }
        if let Some(timeout) = &limits.value.timeout {
            plan.timeout = Some(timeout.value.0);
        }
    }
    set(&keys.allow, &mut plan.allow, context, |it, _| {
        Some(networks(it.value))
    });
    set(&keys.deny, &mut plan.deny, context, |it, _| {
        Some(networks(it.value))
    });
    set(
        &keys.basic_auth,
        &mut plan.basic_auth,
        context,
        |it, context| basic_auth(&it, context),
    );
    set(
        &keys.rate_limit,
        &mut plan.rate_limit,
        context,
        |it, context| rate_limit(&it, context),
    );
    set(
        &keys.error_pages,
        &mut plan.error_pages,
        context,
        |it, context| Some(error_pages(it.value, context)),
    );
    set(&keys.cors, &mut plan.cors, context, |it, context| {
        cors_of(&it, context)
    });
    set(&keys.hsts, &mut plan.hsts, context, |it, _| {
        let max_age = it.value.max_age.as_ref();
        let subdomains = it.value.subdomains.as_ref().is_some_and(|it| it.value);
        Some((max_age.map_or(HSTS_DEFAULT, |it| it.value.0), subdomains))
    });
    set(&keys.request_id, &mut plan.request_id, context, |it, _| {
        Some(it.value.0)
    });
    if let Some(compression) = &keys.compression {
        plan.compression = compression.value;
    }
    plan
}

/// Sets what a key says, if it says something.
fn set<T, U>(
    key: &Option<Spanned<Switch<T>>>,
    place: &mut Option<U>,
    context: &mut Context,
    compile: impl FnOnce(Spanned<&T>, &mut Context) -> Option<U>,
) {
    let Some(Spanned { span, value }) = key else {
        return;
    };
    *place = match value {
        Switch::Off => None,
        Switch::On(value) => compile(Spanned { span: *span, value }, context),
    };
}

pub(super) fn networks(all: &[Network]) -> Arc<[routing::Network]> {
    let network = |it: &Network| routing::Network {
        address: it.0.0,
        bits: it.0.1,
    };
    all.iter().map(network).collect()
}

/// A name where one is needed.
pub(super) fn field_name(name: &Spanned<String>, context: &mut Context) -> Option<String> {
    use super::read::FromText;
    match FieldName::from_text(&name.value) {
        Ok(name) => Some(name.0),
        Err(message) => {
            context.problems.error(name.span, message);
            None
        }
    }
}

/// Fields that say how a message is framed: another value would break it.
const FRAMING: [&str; 6] = [
    "connection",
    "content-length",
    "keep-alive",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn headers_of(keys: &Headers, context: &mut Context) -> HeadersPlan {
    let mut pairs = |pairs: &Option<Spanned<Pairs<FieldValue>>>| {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs.iter().flat_map(|it| &it.value.0) {
            let Some(lower) = field_name(name, context) else {
                continue;
            };
            check_framing(name.span, &lower, context);
            if fields.iter().any(|(other, _)| *other == lower) {
                let message = format!("`{lower}` stands here twice: names have no case");
                context.problems.error(name.span, message);
            }
            fields.push((lower, value.value.0.clone()));
        }
        fields
    };
    let (set, add) = (pairs(&keys.set), pairs(&keys.add));
    let mut remove = Vec::new();
    if let Some(names) = &keys.remove {
        for name in &names.value {
            check_framing(names.span, &name.0, context);
            remove.push(name.0.clone());
        }
    }
    HeadersPlan { set, add, remove }
}

fn check_framing(span: Span, name: &str, context: &mut Context) {
    if FRAMING.contains(&name) {
        let message = format!("`{name}` is the server's own: it says how the message is sent");
        context.problems.error(span, message);
    }
}

fn required(span: Span, table: &str, key: &str, context: &mut Context) {
    let message = format!("`{table}` needs `{key}`");
    context.problems.error(span, message);
}

fn basic_auth(
    table: &Spanned<&BasicAuthTable>,
    context: &mut Context,
) -> Option<BasicAuth<HashedUsers>> {
    let Some(users) = &table.value.users else {
        required(table.span, "basic_auth", "users", context);
        return None;
    };
    for (name, _) in &users.value.0 {
        if name.value.contains(':') {
            let message = format!("`{}` can be no name of a user: it has a colon", name.value);
            context.problems.error(name.span, message);
        }
    }
    let realm = table
        .value
        .realm
        .as_ref()
        .map_or("restricted", |it| &it.value.0);
    let users = users.value.0.iter();
    let users = users.map(|(name, hash)| (name.value.clone(), hash.value.0.clone()));
    Some(BasicAuth::new(realm, HashedUsers::new(users)))
}

fn rate_limit(table: &Spanned<&RateLimitTable>, context: &mut Context) -> Option<RateLimit> {
    let keys = &table.value;
    let Some(requests) = &keys.requests else {
        required(table.span, "rate_limit", "requests", context);
        return None;
    };
    let per = keys
        .per
        .as_ref()
        .map_or(std::time::Duration::from_secs(1), |it| it.value.0);
    let count = requests.value.0;
    let interval = per.checked_div(count).unwrap_or_default();
    if interval.is_zero() {
        let message = match count {
            0 => "no requests at all; use `deny` to refuse clients",
            _ => "more than a request for each nanosecond is no limit",
        };
        context.problems.error(requests.span, message);
        return None;
    }
    let burst = keys.burst.as_ref().map_or(count, |it| it.value.0);
    if let (0, Some(place)) = (burst, &keys.burst) {
        context
            .problems
            .error(place.span, "no request would ever be let in");
        return None;
    }
    let limit = RateLimit::new(interval, burst);
    Some(match &keys.header {
        None => limit,
        Some(name) => {
            let name = name.value.0.clone();
            limit.key(move |request| {
                let key = request.field(&name).map(|key| format!("k{key}"));
                let address = || request.peer_addr().ip().map(|it| format!("a{}", it.ip()));
                key.or_else(address)
            })
        }
    })
}

fn error_pages(pages: &Pairs<FilePath>, context: &mut Context) -> Arc<[(u16, Page)]> {
    let mut all = Vec::new();
    for (status, file) in &pages.0 {
        let Some(code) = status
            .value
            .parse()
            .ok()
            .filter(|it| (400..=599).contains(it))
        else {
            let message = format!(
                "`{}` is no status of an error; those are 400 to 599",
                status.value
            );
            context.problems.error(status.span, message);
            continue;
        };
        let path = context.path(file.span, &file.value.0);
        match std::fs::read(&path) {
            Ok(body) if body.len() <= PAGE_BYTES_MAX => {
                let content_type = page_type(&file.value.0);
                let body = body.into();
                all.push((code, Page { body, content_type }));
            }
            Ok(_) => {
                let message = format!(
                    "{} is larger than 1 MiB, too large for an error page",
                    file.value.0
                );
                context.problems.error(file.span, message);
            }
            Err(error) => {
                let message = format!("cannot read {}: {}", file.value.0, reason(&error));
                context.problems.error(file.span, message);
            }
        }
    }
    all.into()
}

fn page_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}

fn cors_of(table: &Spanned<&CorsTable>, context: &mut Context) -> Option<Cors> {
    let keys = &table.value;
    let Some(origins) = &keys.origins else {
        required(table.span, "cors", "origins", context);
        return None;
    };
    let has_credentials = keys.credentials.as_ref().is_some_and(|it| it.value);
    let mut cors = Cors::new();
    for origin in &origins.value {
        if origin.value.0 != "*" {
            cors = cors.origin(origin.value.0.clone());
            continue;
        }
        if origins.value.len() > 1 {
            context
                .problems
                .error(origin.span, "`*` stands for all origins: it is alone");
            return None;
        }
        if has_credentials {
            let message = "browsers take no credentials where all origins are allowed";
            let problem = context.problems.error(origin.span, message);
            problem.hint("name the origins, or leave `credentials` out");
            return None;
        }
        cors = cors.any_origin();
    }
    if let Some(methods) = &keys.methods {
        cors = cors.methods(methods.value.iter().map(|it| it.0.clone()));
    }
    if let Some(names) = &keys.headers {
        cors = cors.headers(names.value.iter().map(|it| it.0.clone()));
    }
    if let Some(names) = &keys.expose {
        cors = cors.expose(names.value.iter().map(|it| it.0.clone()));
    }
    if let Some(max_age) = &keys.max_age {
        cors = cors.max_age(max_age.value.0);
    }
    Some(cors.credentials(has_credentials))
}
