//! The routes of a site, by path.

use std::sync::Arc;

use ajayserver::Method;
use regex::Regex;

use super::conditions::{Conditions, Facts, Holds};
use super::hosts::ByText;
use super::pattern::{Pattern, Segment};

/// So many parts of a path have names: they are kept in place, without an allocation.
pub(crate) const CAPTURES_MAX: usize = 8;

/// Where the parts with names are in the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Captures {
    ranges: [(u32, u32); CAPTURES_MAX],
    len: u8,
}

impl Captures {
    fn push(&mut self, start: usize, end: usize) {
        // Paths are shorter than `target_bytes_max`, which is a `u32`; patterns are checked.
        self.ranges[usize::from(self.len)] = (start as u32, end as u32);
        self.len += 1;
    }

    fn pop(&mut self) {
        self.len -= 1;
    }

    pub(crate) fn get<'a>(&self, place: usize, path: &'a str) -> Option<&'a str> {
        let (start, end) = *self.ranges[..usize::from(self.len)].get(place)?;
        path.get(start as usize..end as usize)
    }
}

/// A route that a path leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) route: u32,
    pub(crate) captures: Captures,
    /// Of the captures.
    pub(crate) names: &'a Arc<[Box<str>]>,
    pub(crate) by: Where<'a>,
}

/// In which group of routes it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where<'a> {
    Path(&'a str),
    Pattern(&'a str),
    Regex(&'a str),
    Anywhere,
}

/// What the routes say to a request.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    Found(Found<'a>),
    /// There are routes, for other methods.
    NotTheMethod,
    None,
}

#[derive(Debug)]
struct Entry {
    route: u32,
    names: Arc<[Box<str>]>,
    text: Box<str>,
}

#[derive(Debug, Default)]
struct Node {
    literals: ByText<u32>,
    capture: Option<u32>,
    /// Routes whose path ends here.
    ends: Vec<Entry>,
    /// Routes for whatever follows.
    rest: Vec<Entry>,
}

/// The routes of a site.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    whole: ByText<Vec<Entry>>,
    /// The first one is the root.
    nodes: Vec<Node>,
    regexes: Vec<(Regex, Entry)>,
    anywhere: Vec<Entry>,
    /// Of each route.
    conditions: Vec<Conditions>,
}

/// Routes on their way into a table.
#[derive(Debug, Default)]
pub(crate) struct RoutesBuilder {
    routes: Routes,
}

impl RoutesBuilder {
    /// Adds a route; the paths are added after it. Its number is the count of those before it.
    pub(crate) fn route(&mut self, conditions: Conditions) -> u32 {
        self.routes.conditions.push(conditions);
        self.routes.conditions.len() as u32 - 1
    }

    pub(crate) fn pattern(&mut self, route: u32, pattern: &Pattern) {
        let entry = Entry {
            route,
            names: pattern.names.clone().into(),
            text: pattern.text.as_str().into(),
        };
        if let Some(path) = pattern.whole() {
            let place = self.routes.whole.entry(path.into()).or_default();
            place.push(entry);
            return;
        }
        if self.routes.nodes.is_empty() {
            self.routes.nodes.push(Node::default());
        }
        let mut at = 0;
        for segment in &pattern.segments {
            let next = self.routes.nodes.len() as u32;
            let node = &mut self.routes.nodes[at];
            let child = match segment {
                Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(next),
                Segment::Capture => *node.capture.get_or_insert(next),
                Segment::Rest => {
                    node.rest.push(entry);
                    return;
                }
            };
            if child == next {
                self.routes.nodes.push(Node::default());
            }
            at = child as usize;
        }
        self.routes.nodes[at].ends.push(entry);
    }

    pub(crate) fn regex(&mut self, route: u32, regex: &Regex) {
        let names = regex.capture_names().flatten().map(Into::into).collect();
        let entry = Entry {
            route,
            names,
            text: regex.as_str().into(),
        };
        self.routes.regexes.push((regex.clone(), entry));
    }

    /// For all paths, after all others.
    pub(crate) fn anywhere(&mut self, route: u32) {
        self.routes.anywhere.push(Entry {
            route,
            names: Arc::default(),
            text: Box::default(),
        });
    }

    pub(crate) fn build(mut self) -> Routes {
        let conditions = &self.routes.conditions;
        // A stable sort keeps the order of the file.
        let sort = |entries: &mut Vec<Entry>| {
            entries
                .sort_by_key(|entry| std::cmp::Reverse(conditions[entry.route as usize].count()));
        };
        self.routes.whole.values_mut().for_each(sort);
        for node in &mut self.routes.nodes {
            sort(&mut node.ends);
            sort(&mut node.rest);
        }
        sort(&mut self.routes.anywhere);
        self.routes
    }
}

impl Routes {
    /// The route for a path in its normal form, or `*`.
    pub(crate) fn find(&self, path: &str, facts: &(impl Facts + ?Sized)) -> Outcome<'_> {
        let mut outcome = Outcome::None;
        self.candidates(path, &mut |found| {
            match self.conditions[found.route as usize].hold(facts) {
                Holds::Yes => {
                    outcome = Outcome::Found(found);
                    return true;
                }
                Holds::NotTheMethod => outcome = Outcome::NotTheMethod,
                Holds::No => {}
            }
            false
        });
        outcome
    }

    /// Methods that have a route where this one has none, each once.
    pub(crate) fn allowed(&self, path: &str, facts: &(impl Facts + ?Sized)) -> Vec<&Method> {
        let mut methods: Vec<&Method> = Vec::new();
        self.candidates(path, &mut |found| {
            let conditions = &self.conditions[found.route as usize];
            if conditions.hold(facts) == Holds::NotTheMethod {
                for method in &conditions.methods {
                    if !methods.contains(&method) {
                        methods.push(method);
                    }
                    if *method == Method::GET && !methods.contains(&&Method::HEAD) {
                        methods.push(&Method::HEAD);
                    }
                }
            }
            false
        });
        methods
    }

    /// Whether the conditions of a route hold.
    pub(crate) fn conditions(&self, route: u32) -> &Conditions {
        &self.conditions[route as usize]
    }

    /// Shows all routes for a path, best first, until it is told to stop.
    pub(crate) fn candidates<'a>(
        &'a self,
        path: &str,
        visit: &mut dyn FnMut(Found<'a>) -> bool,
    ) -> bool {
        let none = Captures::default();
        if let Some(entries) = self.whole.get(path)
            && entries
                .iter()
                .any(|it| visit(it.found(none, Where::Path(&it.text))))
        {
            return true;
        }
        if !self.nodes.is_empty()
            && path.starts_with('/')
            && self.walk(0, path, 1, &mut Captures::default(), visit)
        {
            return true;
        }
        for (regex, entry) in &self.regexes {
            let by = Where::Regex(&entry.text);
            let is_done = match entry.names.is_empty() {
                true => regex.is_match(path) && visit(entry.found(none, by)),
                false => match regex.captures(path) {
                    Some(found) => {
                        let mut captures = Captures::default();
                        for name in entry.names.iter() {
                            let range = found.name(name).map_or(0..0, |it| it.range());
                            captures.push(range.start, range.end);
                        }
                        visit(entry.found(captures, by))
                    }
                    None => false,
                },
            };
            if is_done {
                return true;
            }
        }
        let mut anywhere = self.anywhere.iter();
        anywhere.any(|entry| visit(entry.found(none, Where::Anywhere)))
    }

    /// Goes down from a node with the part of the path that begins here. No deeper than the longest
    /// pattern has parts.
    fn walk<'a>(
        &'a self,
        node: usize,
        path: &str,
        at: usize,
        captures: &mut Captures,
        visit: &mut dyn FnMut(Found<'a>) -> bool,
    ) -> bool {
        let node = &self.nodes[node];
        let end = path[at..].find('/').map_or(path.len(), |len| at + len);
        let segment = &path[at..end];
        let mut below = |child: u32, captures: &mut Captures| {
            if end < path.len() {
                return self.walk(child as usize, path, end + 1, captures, visit);
            }
            let mut ends = self.nodes[child as usize].ends.iter();
            ends.any(|it| visit(it.found(*captures, Where::Pattern(&it.text))))
        };
        if let Some(child) = node.literals.get(segment)
            && below(*child, captures)
        {
            return true;
        }
        if let Some(child) = node.capture
            && !segment.is_empty()
        {
            captures.push(at, end);
            let is_done = below(child, captures);
            captures.pop();
            if is_done {
                return true;
            }
        }
        if node.rest.is_empty() {
            return false;
        }
        let mut all = *captures;
        all.push(at, path.len());
        let mut rest = node.rest.iter();
        rest.any(|it| visit(it.found(all, Where::Pattern(&it.text))))
    }
}

impl Entry {
    fn found<'a>(&'a self, captures: Captures, by: Where<'a>) -> Found<'a> {
        Found {
            route: self.route,
            captures,
            names: &self.names,
            by,
        }
    }
}
