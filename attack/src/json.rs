//! JSON is only ever written here, and flat enough that a page of code beats a dependency.

use std::fmt::{self, Display, Write as _};

/// A value to print as JSON, in one line.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// What is not known.
    Null,
    /// true or false.
    Bool(bool),
    /// A count.
    Count(u64),
    /// A measurement; one that is not finite is printed as null.
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Names with values, in this order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// An object of these members.
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
        let members = members.map(|(name, value)| (name.to_owned(), value));
        Json::Object(members.into())
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),+) => {
        $(impl From<$type> for Json {
            fn from(value: $type) -> Json {
                Json::$variant(value.into())
            }
        })+
    };
}

from!(bool => Bool, u64 => Count, u32 => Count, u16 => Count, f64 => Number, &str => Text, String => Text, Vec<Json> => List);

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}

impl Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Bool(value) => write!(f, "{value}"),
            Json::Count(value) => write!(f, "{value}"),
            Json::Number(value) if value.is_finite() => write!(f, "{value}"),
            Json::Null | Json::Number(_) => f.write_str("null"),
            Json::Text(text) => string(f, text),
            Json::List(values) => {
                f.write_char('[')?;
                for (at, value) in values.iter().enumerate() {
                    separate(f, at)?;
                    write!(f, "{value}")?;
                }
                f.write_char(']')
            }
            Json::Object(members) => {
                f.write_char('{')?;
                for (at, (name, value)) in members.iter().enumerate() {
                    separate(f, at)?;
                    string(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn separate(f: &mut fmt::Formatter<'_>, at: usize) -> fmt::Result {
    if at > 0 { f.write_char(',') } else { Ok(()) }
}

/// RFC 8259 §7: quote, backslash and control characters are escaped.
fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests;
