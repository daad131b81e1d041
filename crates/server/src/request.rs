//! The request that handlers see: the engine's, with what the router knows of it.

use std::any::{Any, TypeId, type_name};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::str::FromStr;
use std::sync::Arc;

use ajay_engine::{Annex, Response, StatusCode};
use http::Extensions;
use percent_encoding::percent_decode_str;

use crate::IntoResponse;

/// A request: head, content, where it came from, and which route it took.
///
/// It owns its head in one recycled block and hands out views of it: `request.path()` borrows
/// from the request, copies nothing and cannot outlive it. A request is `Send` and may be moved to
/// another thread or task. Everything that the connection knows of it comes from the request of
/// the engine, to which this one [dereferences](#deref-methods-Request).
pub struct Request {
    inner: ajay_engine::Request,
}

impl Request {
    /// The value of a parameter of the route's pattern, percent-decoded: `7` of `/users/7` for
    /// `id` where the pattern is `/users/{id}`. None if the pattern has no such parameter, or the
    /// value is not UTF-8.
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        percent_decode_str(self.param_raw(name)?).decode_utf8().ok()
    }

    /// The value of a parameter of the route's pattern as it was received.
    pub fn param_raw(&self, name: &str) -> Option<&str> {
        let route = self.route()?;
        let mut names = route.matched.as_ref()?.names.iter();
        let place = names.position(|it| **it == *name)?;
        let range = route.values.get(place)?;
        self.path().get(range.start as usize..range.end as usize)
    }

    /// A parameter of the route's pattern as a number, a UUID, or whatever else can be made of
    /// text.
    ///
    /// # Errors
    /// [`ParamError`], which as a response is 404: no such resource can exist. It is 500 where the
    /// pattern has no such parameter.
    pub fn parse_param<T: FromStr>(&self, name: &str) -> Result<T, ParamError> {
        if self.param_raw(name).is_none() {
            return Err(ParamError::Missing);
        }
        let value = self.param(name).ok_or(ParamError::Invalid)?;
        value.parse().map_err(|_| ParamError::Invalid)
    }

    /// All parameters of the route's pattern with their values as they were received, in the
    /// pattern's order.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let matched = self.route().and_then(|route| route.matched.as_deref());
        let names = matched.map_or(&[][..], |matched| &matched.names);
        names.iter().filter_map(|name| {
            let value = self.param_raw(name)?;
            Some((&**name, value))
        })
    }

    /// The pattern of the route that the request took, `/users/{id}`: for logs and counters, where
    /// paths would be too many. None where no route matched, or there is no router.
    pub fn route_pattern(&self) -> Option<&str> {
        let matched = self.route()?.matched.as_ref()?;
        Some(&matched.pattern)
    }

    /// What was given to [`Router::state`](crate::Router::state) by its type.
    ///
    /// # Panics
    /// When no router on the way to this route has a state of this type: 500.
    pub fn state<T: Send + Sync + 'static>(&self) -> &T {
        match self.try_state() {
            Some(state) => state,
            None => panic!("no router has the state {}", type_name::<T>()),
        }
    }

    /// As [`state`](Request::state), where there may be none: None, and no panic.
    pub fn try_state<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.route()?.states.as_ref()?.get()
    }

    /// Values that middleware leaves for those after it, one of each type. None if nobody asked for a place to
    /// leave them yet. They are dropped with the request.
    pub fn extensions(&self) -> Option<&Extensions> {
        Some(&self.inner.annex::<Route>()?.extensions)
    }

    /// Values that middleware leaves for those after it, to be changed.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.inner.annex_mut::<Route>().extensions
    }

    /// A copy of the value of this type that middleware has left.
    pub fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.extensions()?.get::<T>().cloned()
    }

    pub(crate) fn route(&self) -> Option<&Route> {
        self.inner.annex()
    }

    pub(crate) fn route_mut(&mut self) -> &mut Route {
        self.inner.annex_mut()
    }

    /// Where its values are in the path, for [`Route::values`].
    pub(crate) fn range_of(path: &str, value: &str) -> Range<u32> {
        let start = value.as_ptr() as usize - path.as_ptr() as usize;
        // A path is shorter than `target_bytes_max`, which is a `u32`.
        start as u32..(start + value.len()) as u32
    }
}

impl From<ajay_engine::Request> for Request {
    #[inline]
    fn from(inner: ajay_engine::Request) -> Request {
        Request { inner }
    }
}

impl Deref for Request {
    type Target = ajay_engine::Request;

    #[inline]
    fn deref(&self) -> &ajay_engine::Request {
        &self.inner
    }
}

impl DerefMut for Request {
    #[inline]
    fn deref_mut(&mut self) -> &mut ajay_engine::Request {
        &mut self.inner
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Why there is no such parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParamError {
    /// The route's pattern does not have it.
    Missing,
    /// The value is not of the type that was asked for.
    Invalid,
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParamError::Missing => "the route has no such parameter",
            ParamError::Invalid => "a part of the path is not what it should be",
        })
    }
}

impl std::error::Error for ParamError {}

impl IntoResponse for ParamError {
    fn into_response(self) -> Response {
        match self {
            ParamError::Missing => {
                tracing::error!("a handler asked for a parameter that its route does not have");
                Response::new(StatusCode::INTERNAL_SERVER_ERROR)
            }
            ParamError::Invalid => (StatusCode::NOT_FOUND, "404 Not Found\n").into_response(),
        }
    }
}

/// What the router found out about a request; recycled with it.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) matched: Option<Arc<Matched>>,
    /// Where the values of the parameters are in the path, in the order of their names.
    pub(crate) values: Vec<Range<u32>>,
    /// Which endpoint of the table answers.
    pub(crate) endpoint: usize,
    pub(crate) states: Option<Arc<States>>,
    pub(crate) extensions: Extensions,
}

/// The route that a request took.
#[derive(Debug)]
pub(crate) struct Matched {
    pub(crate) pattern: Box<str>,
    pub(crate) names: Box<[Box<str>]>,
}

impl Annex for Route {
    fn clear(&mut self) {
        self.matched = None;
        self.values.clear();
        self.states = None;
        if !self.extensions.is_empty() {
            self.extensions.clear();
        }
    }
}

/// What handlers share, one value of each type.
#[derive(Clone, Default)]
pub(crate) struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, state: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(state));
    }

    /// Takes over those that are not there.
    pub(crate) fn inherit(&mut self, outer: &States) {
        for (id, state) in &outer.0 {
            self.0.entry(*id).or_insert_with(|| Arc::clone(state));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}
