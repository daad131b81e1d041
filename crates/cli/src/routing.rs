//! Which site and which route a request takes.
//!
//! A table is made once and never changes. Finding a site and a route in it allocates nothing, but for
//! hosts with upper-case letters, paths that are not in their normal form, and regular expressions
//! with named groups.
//!
//! **Order.** Whole paths come first. Then patterns, compared part by part from the left: a literal
//! part goes before a `{name}`, and that before the `*` at an end, so that of two beginnings the
//! longer one wins. Then regular expressions, in their order. Then routes without a path. Among
//! those with equal paths the one with more conditions goes first, then the one that was written
//! first. The first whose conditions hold is taken.

mod conditions;
mod hosts;
mod path;
mod pattern;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use conditions::{Conditions, Facts, Network};
pub(crate) use hosts::{Hosts, host_of};
pub(crate) use path::{PathError, normalise};
pub(crate) use pattern::Pattern;
pub(crate) use table::{CAPTURES_MAX, Captures, Found, Outcome, Routes, RoutesBuilder, Where};
