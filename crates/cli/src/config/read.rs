//! From TOML to typed values. What a table holds is declared once, with [`section!`]: from that come
//! the type, how it is read, which keys are unknown, and the reference of all keys.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::units::Switch;

use super::source::{Level, Problems, Source, Span, Spanned};

/// A file that is larger is no configuration.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

/// A value of TOML and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Text(String),
    /// A number as it was written.
    Number(String),
    Bool(bool),
    Time,
    List(Vec<Node>),
    Table(Vec<(Spanned<String>, Node)>),
}

impl Node {
    pub(crate) fn what(&self) -> &'static str {
        match self.kind {
            Kind::Text(_) => "text",
            Kind::Number(_) => "a number",
            Kind::Bool(_) => "true or false",
            Kind::Time => "a date or time",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }
}

/// What reading needs and finds.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) sources: Vec<Source>,
    /// For each of them, where relative paths begin.
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) problems: Problems,
}

impl Context {
    /// A path as written in this place.
    pub(crate) fn path(&self, span: Span, path: &str) -> PathBuf {
        self.directories[span.file()].join(path)
    }

    pub(crate) fn wrong_kind(&mut self, node: &Node, wanted: &str) {
        let what = node.what();
        self.problems
            .error(node.span, format!("expected {wanted}, found {what}"));
    }

    /// Parses a file, and adds it to the sources.
    pub(crate) fn parse(&mut self, name: String, path: &Path, text: String) -> Node {
        let file = self.sources.len();
        let directory = path.parent().unwrap_or(Path::new(""));
        self.directories.push(directory.to_owned());
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let range = error.span().unwrap_or(0..0);
            let range = floor(&text, range.start)..floor(&text, range.end);
            let message = format!("not TOML: {}", error.message());
            self.problems.error(Span::new(file, range), message);
        }
        let root = Node {
            span: Span::new(file, 0..0),
            kind: table_of(file, table.get_ref()),
        };
        self.sources.push(Source::new(name, text));
        root
    }
}

/// The beginning of the character that a place is in.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn table_of(file: usize, table: &DeTable<'_>) -> Kind {
    let mut keys: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let key = Spanned {
                span: Span::new(file, key.span()),
                value: key.get_ref().to_string(),
            };
            (key, node_of(file, value))
        })
        .collect();
    keys.sort_by_key(|(key, _)| key.span.start());
    Kind::Table(keys)
}

fn node_of(file: usize, value: &toml::Spanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => Kind::Number(match number.radix() {
            10 => number.as_str().to_owned(),
            radix => match i64::from_str_radix(number.as_str(), radix) {
                Ok(value) => value.to_string(),
                Err(_) => number.as_str().to_owned(),
            },
        }),
        DeValue::Float(number) => Kind::Number(number.as_str().to_owned()),
        DeValue::Boolean(value) => Kind::Bool(*value),
        DeValue::Datetime(_) => Kind::Time,
        DeValue::Array(values) => {
            Kind::List(values.iter().map(|value| node_of(file, value)).collect())
        }
        DeValue::Table(table) => table_of(file, table),
    };
    Node {
        span: Span::new(file, value.span()),
        kind,
    }
}

/// What can be made of a value. What cannot be is told to the context.
pub(crate) trait Read: Sized {
    /// How the reference calls such values.
    const KIND: &'static str;

    fn read(node: &Node, context: &mut Context) -> Option<Self>;
}

/// What is made of text, or of a number where one is written.
pub(crate) trait FromText: Sized {
    const KIND: &'static str;

    fn from_text(text: &str) -> Result<Self, String>;
}

/// The text of a value, from the file itself, the environment, or a file that holds it alone.
pub(crate) fn text_of(node: &Node, kind: &str, context: &mut Context) -> Option<String> {
    let keys = match &node.kind {
        Kind::Text(text) => return Some(text.clone()),
        Kind::Number(number) => return Some(number.clone()),
        Kind::Table(keys) => keys,
        _ => {
            context.wrong_kind(node, kind);
            return None;
        }
    };
    let [
        (
            key,
            Node {
                kind: Kind::Text(name),
                span,
            },
        ),
    ] = &keys[..]
    else {
        context
            .problems
            .error(node.span, format!("expected {kind}, found a table"))
            .hint("only { env = \"NAME\" } or { file = \"PATH\" } can stand for text");
        return None;
    };
    let found = match &*key.value {
        "env" => std::env::var(name)
            .map_err(|_| format!("the environment variable {name} is not set, or is not text")),
        "file" => {
            let path = context.path(*span, name);
            let text = std::fs::read_to_string(&path);
            text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| format!("cannot read the file {name}: {}", reason(&error)))
        }
        other => {
            context
                .problems
                .error(key.span, format!("unknown source of text `{other}`"))
                .hint("it is `env` or `file`");
            return None;
        }
    };
    match found {
        Ok(text) => Some(text),
        Err(message) => {
            context.problems.error(*span, message);
            None
        }
    }
}

/// An error of the system without its number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_lowercase(),
        None => text,
    }
}

/// Makes what is [`FromText`] readable.
macro_rules! read_from_text {
    ($($type:ty),+ $(,)?) => {
        $(
            impl $crate::config::read::Read for $type {
                const KIND: &'static str = <$type as $crate::config::read::FromText>::KIND;

                fn read(
                    node: &$crate::config::read::Node,
                    context: &mut $crate::config::read::Context,
                ) -> Option<Self> {
                    let text = $crate::config::read::text_of(
                        node,
                        <$type as $crate::config::read::FromText>::KIND,
                        context,
                    )?;
                    match <$type as $crate::config::read::FromText>::from_text(&text) {
                        Ok(value) => Some(value),
                        Err(message) => {
                            context.problems.error(node.span, message);
                            None
                        }
                    }
                }
            }
        )+
    };
}
pub(crate) use read_from_text;

impl Read for bool {
    const KIND: &'static str = "true or false";

    fn read(node: &Node, context: &mut Context) -> Option<bool> {
        match node.kind {
            Kind::Bool(value) => Some(value),
            _ => {
                context.wrong_kind(node, Self::KIND);
                None
            }
        }
    }
}

/// A list in brackets. All that can be read of it is.
impl<T: Read> Read for Vec<T> {
    const KIND: &'static str = "list";

    fn read(node: &Node, context: &mut Context) -> Option<Vec<T>> {
        match &node.kind {
            Kind::List(nodes) => {
                if nodes.is_empty() {
                    let problem = context.problems.error(node.span, "an empty list");
                    problem.hint("leave the key out");
                }
                let values = nodes.iter().filter_map(|node| T::read(node, context));
                Some(values.collect())
            }
            _ => {
                context.wrong_kind(node, &format!("a list: [{}, ...]", T::KIND));
                None
            }
        }
    }
}

impl<T: Read> Read for Spanned<T> {
    const KIND: &'static str = T::KIND;

    fn read(node: &Node, context: &mut Context) -> Option<Spanned<T>> {
        let value = T::read(node, context)?;
        Some(Spanned {
            span: node.span,
            value,
        })
    }
}

/// A value that says whether all of it could be read: what was not understood is not compared.
#[derive(Debug)]
pub(crate) struct Whole<T> {
    pub(crate) value: T,
    pub(crate) is_whole: bool,
}

impl<T: Read> Read for Whole<T> {
    const KIND: &'static str = T::KIND;

    fn read(node: &Node, context: &mut Context) -> Option<Whole<T>> {
        let before = context.problems.count(Level::Error);
        let value = T::read(node, context)?;
        let is_whole = context.problems.count(Level::Error) == before;
        Some(Whole { value, is_whole })
    }
}

/// `off`, where something can be switched off that holds otherwise.
impl<T: Read> Read for Switch<T> {
    const KIND: &'static str = T::KIND;

    fn read(node: &Node, context: &mut Context) -> Option<Switch<T>> {
        match &node.kind {
            Kind::Text(text) if text == "off" => Some(Switch::Off),
            _ => T::read(node, context).map(Switch::On),
        }
    }
}

/// One value, or a list of them.
#[derive(Debug)]
pub(crate) struct OneOrMore<T>(pub(crate) Vec<Spanned<T>>);

impl<T: Read> Read for OneOrMore<T> {
    const KIND: &'static str = "value or list";

    fn read(node: &Node, context: &mut Context) -> Option<OneOrMore<T>> {
        Some(OneOrMore(match &node.kind {
            Kind::List(_) => Vec::read(node, context)?,
            _ => vec![Spanned::read(node, context)?],
        }))
    }
}

/// A table whose keys are chosen by who writes it.
#[derive(Debug)]
pub(crate) struct Pairs<T>(pub(crate) Vec<(Spanned<String>, Spanned<T>)>);

impl<T: Read> Read for Pairs<T> {
    const KIND: &'static str = "table";

    fn read(node: &Node, context: &mut Context) -> Option<Pairs<T>> {
        let Kind::Table(keys) = &node.kind else {
            context.wrong_kind(node, "a table");
            return None;
        };
        if keys.is_empty() {
            let problem = context.problems.error(node.span, "an empty table");
            problem.hint("leave the key out");
        }
        let pairs = keys.iter().filter_map(|(key, node)| {
            let value = Spanned::read(node, context)?;
            Some((key.clone(), value))
        });
        Some(Pairs(pairs.collect()))
    }
}

/// A table whose keys are taken one by one.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    keys: &'a [(Spanned<String>, Node)],
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(crate) fn of(node: &'a Node, context: &mut Context) -> Option<Table<'a>> {
        match &node.kind {
            Kind::Table(keys) => Some(Table {
                keys,
                known: Vec::new(),
            }),
            _ => {
                context.wrong_kind(node, "a table");
                None
            }
        }
    }

    pub(crate) fn take<T: Read>(
        &mut self,
        name: &'static str,
        context: &mut Context,
    ) -> Option<Spanned<T>> {
        self.known.push(name);
        let (key, node) = self.keys.iter().find(|(key, _)| key.value == name)?;
        let value = T::read(node, context)?;
        // A table is found by its name, since it may be spread over many lines.
        let span = match node.kind {
            Kind::Table(_) | Kind::List(_) => key.span,
            _ => node.span,
        };
        Some(Spanned { span, value })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|(key, _)| key.value == name)
    }

    /// All that was not taken is unknown.
    pub(crate) fn finish(self, context: &mut Context) {
        for (key, _) in self.keys {
            if !self.known.contains(&&*key.value) {
                let message = format!("unknown key `{}`", key.value);
                context
                    .problems
                    .error(key.span, message)
                    .nearest(&key.value, self.known.iter().copied());
            }
        }
    }
}

/// What the reference says of a key.
#[cfg(test)]
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) default: &'static str,
    pub(crate) example: &'static str,
    pub(crate) text: &'static str,
    /// Whether a value can be read as one of this key.
    pub(crate) read: fn(&Node, &mut Context) -> bool,
}

/// The name of a key whose field is called as a keyword.
pub(crate) const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Declares a table: each key with what it means, its type, its default and an example. `..` takes
/// in the keys of another.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            $($(#[doc = $text:literal])+ $key:ident: $type:ty, $default:literal, $example:literal;)*
            $(.. $flat:ident: $flat_type:ty;)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(crate) struct $name {
            $($(#[doc = $text])+ pub(crate) $key: Option<$crate::config::source::Spanned<$type>>,)*
            $(pub(crate) $flat: $flat_type,)?
        }

        impl $name {
            #[cfg(test)]
            pub(crate) const KEYS: &[$crate::config::read::Key] = &[
                $($crate::config::read::Key {
                    name: $crate::config::read::plain(stringify!($key)),
                    kind: <$type as $crate::config::read::Read>::KIND,
                    default: $default,
                    example: $example,
                    text: concat!($($text),+),
                    read: |node, context| {
                        <$type as $crate::config::read::Read>::read(node, context).is_some()
                    },
                },)*
            ];

            pub(crate) fn take(
                table: &mut $crate::config::read::Table<'_>,
                context: &mut $crate::config::read::Context,
            ) -> $name {
                $name {
                    $($key: table.take($crate::config::read::plain(stringify!($key)), context),)*
                    $($flat: <$flat_type>::take(table, context),)?
                }
            }
        }

        impl $crate::config::read::Read for $name {
            const KIND: &'static str = "table";

            fn read(
                node: &$crate::config::read::Node,
                context: &mut $crate::config::read::Context,
            ) -> Option<Self> {
                let mut table = $crate::config::read::Table::of(node, context)?;
                let section = $name::take(&mut table, context);
                table.finish(context);
                Some(section)
            }
        }
    };
}
pub(crate) use section;
