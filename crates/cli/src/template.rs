//! Text with places that are filled from the request: `/new/{rest}`.

use crate::routing::Captures;

/// A text in pieces.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Host,
    Path,
    Query,
    Uri,
    /// A part of the path, by its name.
    Named(String),
}

/// What is always there.
pub(crate) const COMMON: [&str; 4] = ["host", "path", "query", "uri"];

/// What fills the places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling<'a> {
    /// Without its port.
    pub(crate) host: &'a str,
    /// As the client sent it.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    /// In its normal form; the captures are places in it.
    pub(crate) normal: &'a str,
    pub(crate) names: &'a [Box<str>],
    pub(crate) captures: &'a Captures,
}

impl Template {
    /// Whatever stands in braces has to be common or one of these names. An error is a message, and
    /// the name it is about.
    pub(crate) fn parse(text: &str, names: &[String]) -> Result<Template, (String, String)> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            if !rest[..at].is_empty() {
                pieces.push(Piece::Text(rest[..at].to_owned()));
            }
            let inner = rest[at..]
                .strip_prefix('{')
                .and_then(|it| it.split_once('}'));
            let Some((name, after)) = inner else {
                let message = format!("`{text}` has a brace that has no other one");
                return Err((message, String::new()));
            };
            pieces.push(match name {
                "host" => Piece::Host,
                "path" => Piece::Path,
                "query" => Piece::Query,
                "uri" => Piece::Uri,
                name if names.iter().any(|it| it == name) => Piece::Named(name.to_owned()),
                name => {
                    let message = format!("nothing is called `{{{name}}}` here");
                    return Err((message, name.to_owned()));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Template(pieces))
    }

    pub(crate) fn fill(&self, filling: &Filling<'_>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Host => text.push_str(filling.host),
                Piece::Path => text.push_str(filling.path),
                Piece::Query => text.push_str(filling.query.unwrap_or_default()),
                Piece::Uri => {
                    text.push_str(filling.path);
                    if let Some(query) = filling.query {
                        text.push('?');
                        text.push_str(query);
                    }
                }
                Piece::Named(name) => {
                    let place = filling.names.iter().position(|it| **it == **name);
                    let value = place.and_then(|at| filling.captures.get(at, filling.normal));
                    text.push_str(value.unwrap_or_default());
                }
            }
        }
        text
    }

    /// With the same text in every place.
    pub(crate) fn fill_with(&self, value: &str) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Path | Piece::Uri => {
                    text.push('/');
                    text.push_str(value);
                }
                _ => text.push_str(value),
            }
        }
        text
    }
}
