//! One path: handlers by method.

use std::time::Duration;

use ajay_engine::Method;

use super::{MakeHandler, MakeWrapped, RouteLimits, make_handler, make_wrapped};
use crate::{Handler, Middleware};

/// The handlers of a path, by method, with limits and middleware of their own.
#[derive(Clone, Default)]
pub struct Route {
    pub(super) methods: Vec<(Method, MakeHandler)>,
    pub(super) any: Option<MakeHandler>,
    pub(super) wraps: Vec<MakeWrapped>,
    pub(super) limits: RouteLimits,
    /// A method that was given twice.
    pub(super) repeated: Option<Method>,
}

macro_rules! methods {
    ($($name:ident $method:ident $text:literal;)*) => {
        $(
            #[doc = concat!("A route that answers ", $text, ".")]
            pub fn $name<H: Handler + Clone + Send + Sync>(handler: H) -> Route {
                on(Method::$method, handler)
            }
        )*

        impl Route {
            $(
                #[doc = concat!("Answers ", $text, " as well.")]
                #[must_use]
                pub fn $name<H: Handler + Clone + Send + Sync>(self, handler: H) -> Route {
                    self.on(Method::$method, handler)
                }
            )*
        }
    };
}

methods! {
    get GET "GET and HEAD";
    head HEAD "HEAD";
    post POST "POST";
    put PUT "PUT";
    patch PATCH "PATCH";
    delete DELETE "DELETE";
    options OPTIONS "OPTIONS";
}

/// A route that answers one method.
pub fn on<H: Handler + Clone + Send + Sync>(method: Method, handler: H) -> Route {
    Route::default().on(method, handler)
}

/// A route that answers any method.
pub fn any<H: Handler + Clone + Send + Sync>(handler: H) -> Route {
    Route::default().any(handler)
}

impl Route {
    /// Answers this method as well.
    #[must_use]
    pub fn on<H>(mut self, method: Method, handler: H) -> Route
    where
        H: Handler + Clone + Send + Sync,
    {
        if self.methods.iter().any(|(other, _)| *other == method) {
            self.repeated = Some(method.clone());
        }
        self.methods.push((method, make_handler(handler)));
        self
    }

    /// Answers all methods that have no handler of their own.
    #[must_use]
    pub fn any<H: Handler + Clone + Send + Sync>(mut self, handler: H) -> Route {
        self.any = Some(make_handler(handler));
        self
    }

    /// Puts a middleware before these handlers, inside those of the router.
    #[must_use]
    pub fn wrap<M>(mut self, middleware: M) -> Route
    where
        M: Middleware + Clone + Send + Sync,
    {
        self.wraps.push(make_wrapped(middleware));
        self
    }

    /// The largest content, in bytes, that requests to this route may have (413). No more than the
    /// server's `content_bytes_max`. A request that declares more is refused before any of it is
    /// read.
    #[must_use]
    pub fn content_bytes_max(mut self, bytes: u64) -> Route {
        self.limits.content_bytes_max = Some(bytes);
        self
    }

    /// How long these handlers may take to answer, from the request's head to the response's (503); then they
    /// are dropped. No more than the server's `handler_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Route {
        self.limits.timeout = Some(timeout);
        self
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let methods = self.methods.iter().map(|(method, _)| method);
        f.debug_list().entries(methods).finish()
    }
}
