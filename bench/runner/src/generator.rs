//! What is the same for every program that makes the requests.

use crate::{
    error::Result,
    place::Dirs,
    spec::{Load, Metric},
};
use std::{collections::BTreeMap, fmt};

/// Contents from here on cost more than what is around them.
const BULK_BYTES_MIN: u64 = 64 * 1024;

/// A program that makes requests for some seconds and prints what came of them.
pub trait Generator {
    /// For messages.
    fn name(&self) -> &'static str;

    /// Its command line for a run of `seconds` against `port`.
    fn command(&self, dirs: &Dirs, load: &Load, port: u16, seconds: u32) -> Result<Vec<String>>;

    /// What its environment has besides.
    fn env(&self, _dirs: &Dirs, _load: &Load) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Reads the whole of what it printed.
    fn parse(&self, output: &str) -> std::result::Result<Tally, BrokenOutput>;

    /// The length of the content of a request or response.
    fn content_bytes(&self) -> u64;

    /// The same, where it is what costs.
    fn bulk_bytes(&self) -> Option<u64> {
        let bytes = self.content_bytes();
        (bytes >= BULK_BYTES_MIN).then_some(bytes)
    }
}

/// What it says of its whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    pub requests: u64,
    pub rps: f64,
    /// Those that it prints and that are right.
    pub latencies: BTreeMap<Metric, f64>,
    pub socket_errors: u64,
    pub bad_statuses: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum BrokenOutput {
    Missing(&'static str),
    Unreadable(String),
    NoRequests,
}

impl fmt::Display for BrokenOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "the output has no {what}"),
            Self::Unreadable(line) => write!(f, "cannot read this line of the output: {line:?}"),
            Self::NoRequests => write!(f, "no request was completed"),
        }
    }
}

/// `1.50ms` and the like, as wrk and h2load write them.
pub fn microseconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (figure, unit) = text.split_at(unit_at);
    let scale = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return None,
    };
    Some(finite(figure)? * scale)
}

pub fn finite(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|figure: &f64| figure.is_finite())
}
