//! The routes of a site.

use ajayserver::{File, Files};

use super::check::place;
use super::keys::{FilesAnswer, Match, RedirectAnswer, RespondAnswer, Route, Site};
use super::options;
use super::read::Context;
use super::source::{Span, Spanned};
use crate::plan::{Answer, OptionsPlan, RoutePlan};
use crate::routing::{Conditions, Found, Routes, RoutesBuilder, normalise};
use crate::template::{COMMON, Template};
use crate::units::Switch;

pub(super) struct Compiled {
    pub(super) routes: Routes,
    pub(super) plans: Vec<RoutePlan>,
    pub(super) missing: RoutePlan,
}

pub(super) fn compile(
    site: &Spanned<Site>,
    outer: &OptionsPlan,
    context: &mut Context,
) -> Compiled {
    let mut builder = RoutesBuilder::default();
    let mut plans = Vec::new();
    let mut spans = Vec::new();
    let mut seen: Vec<Seen> = Vec::new();
    let all = site.value.route.as_ref().map_or(&[][..], |it| &it.value);
    if all.is_empty() {
        let problem = context
            .problems
            .error(site.span, "a site without a route answers nothing");
        problem.hint("add [[site.route]] with `files`, `respond` or `redirect`");
    }
    for Spanned { span, value } in all {
        let (route, span) = (&value.value, *span);
        let options = options::compile(&route.options, outer, context);
        let takes_preflights = options.cors.is_some();
        let matched = route.r#match.as_ref();
        let is_whole = matched.is_none_or(|it| it.value.is_whole);
        let matched = matched.map(|it| &it.value.value);
        let conditions = conditions(matched, takes_preflights, context);
        let answer = answer(route, span, value.is_whole, context);
        let number = builder.route(conditions.clone());
        insert(&mut builder, number, matched, context);
        // A key that was not understood says so itself.
        if is_whole {
            reachable(span, matched, conditions, &mut seen, context);
        }
        spans.push(span);
        plans.push(RoutePlan {
            place: place(context, span),
            answer: answer.unwrap_or(Answer::NotFound),
            options,
        });
    }
    let routes = builder.build();
    rewrites(&routes, &plans, &spans, context);
    Compiled {
        routes,
        plans,
        missing: RoutePlan {
            place: place(context, site.span),
            answer: Answer::NotFound,
            options: outer.clone(),
        },
    }
}

fn conditions(keys: Option<&Match>, takes_preflights: bool, context: &mut Context) -> Conditions {
    let Some(keys) = keys else {
        return Conditions::default();
    };
    let mut headers = Vec::new();
    for (name, wanted) in keys.headers.iter().flat_map(|it| &it.value.0) {
        if let Some(name) = options::field_name(name, context) {
            headers.push((name, wanted.value.clone()));
        }
    }
    let query = keys.query.iter().flat_map(|it| &it.value.0);
    Conditions {
        methods: keys
            .methods
            .iter()
            .flat_map(|it| &it.value)
            .map(|it| it.0.clone())
            .collect(),
        headers,
        query: query
            .map(|(name, wanted)| (name.value.clone(), wanted.value.clone()))
            .collect(),
        client: keys
            .client
            .iter()
            .flat_map(|it| options::networks(&it.value).to_vec())
            .collect(),
        versions: keys
            .versions
            .iter()
            .flat_map(|it| &it.value)
            .map(|it| it.0)
            .collect(),
        takes_preflights,
    }
}

fn insert(builder: &mut RoutesBuilder, number: u32, keys: Option<&Match>, context: &mut Context) {
    let paths = keys.and_then(|it| it.path.as_ref());
    let regex = keys.and_then(|it| it.path_regex.as_ref());
    match (paths, regex) {
        (Some(_), Some(regex)) => {
            let message = "a route has either `path` or `path_regex`";
            context.problems.error(regex.span, message);
        }
        (Some(paths), None) => {
            for pattern in &paths.value.0 {
                builder.pattern(number, &pattern.value.0);
            }
        }
        (None, Some(regex)) => builder.regex(number, &regex.value.0),
        (None, None) => builder.anywhere(number),
    }
}

/// A route that was looked at, for comparing later ones with it.
struct Seen {
    span: Span,
    /// In a form that is equal for equal paths.
    path: String,
    is_regex: bool,
    is_everything: bool,
    conditions: Conditions,
}

/// Whether another route leaves something to this one, and this one to others.
fn reachable(
    span: Span,
    keys: Option<&Match>,
    conditions: Conditions,
    seen: &mut Vec<Seen>,
    context: &mut Context,
) {
    let mut paths: Vec<(String, Span, bool, bool)> = Vec::new();
    if let Some(all) = keys.and_then(|it| it.path.as_ref()) {
        for pattern in &all.value.0 {
            let shape = pattern.value.0.shape();
            let is_everything = pattern.value.0.is_everything();
            paths.push((shape, pattern.span, false, is_everything));
        }
    } else if let Some(regex) = keys.and_then(|it| it.path_regex.as_ref()) {
        let text = format!("~{}", regex.value.0.as_str());
        paths.push((text, regex.span, true, false));
    } else {
        paths.push((String::new(), span, false, false));
    }
    for (path, at, is_regex, is_everything) in paths {
        let now = Seen {
            span: at,
            path,
            is_regex,
            is_everything,
            conditions: conditions.clone(),
        };
        for other in seen.iter() {
            compare(other, &now, context);
        }
        seen.push(now);
    }
}

fn compare(earlier: &Seen, later: &Seen, context: &mut Context) {
    let is_same_path = earlier.path == later.path;
    if is_same_path && earlier.conditions == later.conditions {
        let problem = context
            .problems
            .error(later.span, "a second route for the same requests");
        problem.also(earlier.span, "the first one");
        return;
    }
    let taken_first = |first: &Seen, then: &Seen| {
        first.conditions.are_implied_by(&then.conditions)
            && first.conditions.count() >= then.conditions.count()
    };
    let is_taken = is_same_path && taken_first(earlier, later)
        || goes_before(earlier, later) && earlier.conditions.count() == 0;
    let unreachable = if is_taken {
        Some((later, earlier))
    } else if goes_before(later, earlier) && later.conditions.count() == 0 {
        Some((earlier, later))
    } else {
        None
    };
    if let Some((never, always)) = unreachable {
        let message = "no request reaches this route";
        let problem = context.problems.warning(never.span, message);
        problem.also(always.span, "this one takes all of them before");
    }
}

/// Whether the first one has every path that the other one has, and comes first.
fn goes_before(first: &Seen, then: &Seen) -> bool {
    first.is_everything && (then.is_regex || then.path.is_empty())
}

/// The one answer of a route.
fn answer(keys: &Route, span: Span, is_whole: bool, context: &mut Context) -> Option<Answer> {
    let there = [
        keys.files.as_ref().map(|it| ("files", it.span)),
        keys.respond.as_ref().map(|it| ("respond", it.span)),
        keys.redirect.as_ref().map(|it| ("redirect", it.span)),
        keys.rewrite.as_ref().map(|it| ("rewrite", it.span)),
    ];
    let mut there = there.into_iter().flatten();
    let Some((first, first_span)) = there.next() else {
        // What could not be read may have been one.
        if !is_whole {
            return None;
        }
        let problem = context.problems.error(span, "a route without an answer");
        problem.hint("it needs one of `files`, `respond`, `redirect` and `rewrite`");
        return None;
    };
    if let Some((second, span)) = there.next() {
        let message = format!("a route has one answer, and this one has `{first}` and `{second}`");
        let problem = context.problems.error(span, message);
        problem.also(first_span, "the first one");
        return None;
    }
    let names = names_of(keys.r#match.as_ref().map(|it| &it.value.value));
    if let Some(files) = &keys.files {
        return files_answer(files, keys, context);
    }
    if let Some(respond) = &keys.respond {
        return Some(respond_answer(&respond.value, context));
    }
    if let Some(redirect) = &keys.redirect {
        return redirect_answer(redirect, &names, context);
    }
    let to = keys.rewrite.as_ref()?;
    let template = template(to.span, &to.value.0, &names, context)?;
    if to.value.0.contains(['?', '#']) {
        let message = "a rewrite changes the path only: `?` and `#` are not part of it";
        context.problems.error(to.span, message);
    }
    Some(Answer::Rewrite {
        to: template,
        text: to.value.0.clone(),
    })
}

/// The names that every path of a route has.
fn names_of(keys: Option<&Match>) -> Vec<String> {
    let Some(keys) = keys else {
        return Vec::new();
    };
    if let Some(regex) = &keys.path_regex {
        let names = regex.value.0.capture_names().flatten();
        return names.map(str::to_owned).collect();
    }
    let mut all = keys.path.iter().flat_map(|it| &it.value.0);
    let Some(first) = all.next() else {
        return Vec::new();
    };
    let mut names: Vec<String> = first.value.0.names().map(str::to_owned).collect();
    for other in all {
        names.retain(|name| other.value.0.names().any(|it| it == name));
    }
    names
}

fn template(span: Span, text: &str, names: &[String], context: &mut Context) -> Option<Template> {
    match Template::parse(text, names) {
        Ok(template) => Some(template),
        Err((message, name)) => {
            let known = names.iter().map(|it| &**it).chain(COMMON);
            let problem = context.problems.error(span, message);
            if name == "rest" {
                problem.hint("`{rest}` is what the `*` of `path` stands for");
            } else if !name.is_empty() {
                problem.nearest(&name, known);
            }
            None
        }
    }
}

fn files_answer(
    files: &Spanned<FilesAnswer>,
    route: &Route,
    context: &mut Context,
) -> Option<Answer> {
    let keys = &files.value;
    let Some(root) = &keys.root else {
        context.problems.error(files.span, "`files` needs `root`");
        return None;
    };
    let directory = context.path(root.span, &root.value.0);
    if !directory.is_dir() {
        let message = format!("{} is no directory", root.value.0);
        context.problems.error(root.span, message);
        return None;
    }
    let mut served = Files::new(&directory);
    match keys.index.as_ref().map(|it| &it.value.0) {
        Some(Switch::Off) => served = served.without_index(),
        Some(Switch::On(name)) => served = served.index(name.clone()),
        None => {}
    }
    let is_on = |key: &Option<Spanned<bool>>| key.as_ref().is_some_and(|it| it.value);
    if is_on(&keys.dot_files) {
        served = served.with_dot_files();
    }
    if is_on(&keys.precompressed) {
        served = served.precompressed();
    }
    let cache_control = keys.cache_control.as_ref().map(|it| it.value.0.clone());
    if let Some(value) = &cache_control {
        served = served.cache_control(value.clone());
    }
    let fallback = match &keys.fallback {
        None => None,
        Some(name) => {
            let path = directory.join(name.value.0.trim_start_matches('/'));
            if !path.is_file() {
                let message = format!("there is no file {} in {}", name.value.0, root.value.0);
                context.problems.error(name.span, message);
            }
            let mut file = File::new(path);
            if is_on(&keys.precompressed) {
                file = file.precompressed();
            }
            if let Some(value) = cache_control {
                file = file.cache_control(value);
            }
            Some(file)
        }
    };
    let strip_prefix = is_on(&keys.strip_prefix);
    let patterns = route
        .r#match
        .as_ref()
        .and_then(|it| it.value.value.path.as_ref());
    let has_prefix = patterns.is_some_and(|it| {
        !it.value.0.is_empty() && it.value.0.iter().all(|it| it.value.0.is_prefix())
    });
    if let (true, false, Some(key)) = (strip_prefix, has_prefix, &keys.strip_prefix) {
        let message = "there is no prefix: the route's `path` has no `*` at its end";
        context.problems.error(key.span, message);
    }
    Some(Answer::Files {
        files: served,
        root: directory,
        strip_prefix,
        fallback,
    })
}

fn respond_answer(keys: &RespondAnswer, context: &mut Context) -> Answer {
    let status = keys
        .status
        .as_ref()
        .map_or(ajayserver::StatusCode::OK, |it| it.value.0);
    let body = keys
        .body
        .as_ref()
        .map_or(String::new(), |it| it.value.0.clone());
    if let (204 | 205 | 304, false, Some(key)) = (status.as_u16(), body.is_empty(), &keys.body) {
        let message = format!(
            "an answer with the status {} has no content",
            status.as_u16()
        );
        context.problems.error(key.span, message);
    }
    let content_type = keys.content_type.as_ref().map(|it| it.value.0.clone());
    Answer::Respond {
        status,
        body: body.into(),
        content_type: content_type.unwrap_or_else(|| "text/plain; charset=utf-8".to_owned()),
    }
}

fn redirect_answer(
    redirect: &Spanned<RedirectAnswer>,
    names: &[String],
    context: &mut Context,
) -> Option<Answer> {
    let Some(to) = &redirect.value.to else {
        context
            .problems
            .error(redirect.span, "`redirect` needs `to`");
        return None;
    };
    let text = &to.value.0;
    // What the client sent must not be able to name another host.
    let begins = ["http://", "https://", "{path}", "{uri}"];
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let is_target = is_path || begins.iter().any(|begin| text.starts_with(begin));
    if !is_target || has_open_host(text) || text.chars().any(|c| c <= ' ' || !c.is_ascii()) {
        let message = format!("`{text}` is no target of a redirect");
        let problem = context.problems.error(to.span, message);
        problem.hint(match is_target && has_open_host(text) {
            true => "clients could choose the host: end it with `/`, `{path}` or `{uri}`",
            false => "it begins with `/`, `https://`, `http://`, `{path}` or `{uri}`",
        });
        return None;
    }
    let template = template(to.span, text, names, context)?;
    let status = redirect.value.status.as_ref();
    Some(Answer::Redirect {
        to: template,
        status: status.map_or(ajayserver::StatusCode::PERMANENT_REDIRECT, |it| it.value.0),
        text: text.clone(),
    })
}

/// Whether a part of the path would be part of the host of a URL.
fn has_open_host(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    // These begin with a slash.
    let ends = ["/", "{path}", "{uri}"];
    let end = ends.iter().filter_map(|end| rest.find(end)).min();
    let host = rest[..end.unwrap_or(rest.len())].replace("{host}", "");
    host.contains('{')
}

/// What stands for parts of paths when rewrites are followed.
const ANY_PART: &str = "0any";

/// Finds rewrites that lead back to themselves, whatever the request is.
fn rewrites(routes: &Routes, plans: &[RoutePlan], spans: &[Span], context: &mut Context) {
    let mut told = Vec::new();
    for start in 0..plans.len() {
        let mut chain = vec![start];
        while let Some(Answer::Rewrite { to, .. }) = chain.last().map(|last| &plans[*last].answer) {
            let path = to.fill_with(ANY_PART);
            let Ok(path) = normalise(&path, false) else {
                break;
            };
            let Some(next) = certain(routes, &path, &chain) else {
                break;
            };
            if let Some(at) = chain.iter().position(|it| *it == next) {
                let cycle = &chain[at..];
                if !cycle.iter().any(|it| told.contains(it)) {
                    let message = "this rewrite leads back to its own route";
                    let problem = context.problems.error(spans[next], message);
                    if let [_, other, ..] = cycle {
                        problem.also(spans[*other], "by way of this one");
                    }
                }
                told.extend_from_slice(cycle);
                break;
            }
            chain.push(next);
        }
    }
}

/// The route that is surely taken: its conditions hold if those of a route before it did.
fn certain(routes: &Routes, path: &str, chain: &[usize]) -> Option<usize> {
    let mut certain = None;
    routes.candidates(path, &mut |found: Found<'_>| {
        let conditions = routes.conditions(found.route);
        let holds = conditions.count() == 0
            || chain.iter().any(|before| {
                let before = routes.conditions(*before as u32);
                conditions.are_implied_by(before)
            });
        certain = Some(found.route as usize).filter(|_| holds);
        // One that may or may not be taken makes the rest uncertain.
        true
    });
    certain
}
