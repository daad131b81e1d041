//! The router: from a request's host, path and method to a handler.
//!
//! | step | what is looked at |
//! |---|---|
//! | [`Router`], [`Route`] | collects routes, routers inside it, middleware and limits |
//! | [`Router::build`] | checks them as a whole: [`Routes`], or every conflict at once |
//! | [`Application::handler`] | a worker's own handlers, made when they are first needed |
//! | a request | host → path → method; then the middleware and the handler |
//!
//! The tables are immutable and shared by all workers; handlers and the places of their futures
//! are the worker's own.

mod build;
mod route;
mod serve;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ajay_engine::Method;

pub use build::{RouteError, RouteErrors};
pub use route::{Route, any, delete, get, head, on, options, patch, post, put};
pub use serve::{Routes, RoutesHandler};

use crate::recycled::{AnyHandler, recycled};
use crate::request::States;
use crate::{Application, Handler, Middleware};

/// Makes a worker's handler.
type MakeHandler = Arc<dyn Fn() -> Rc<dyn AnyHandler> + Send + Sync>;
/// Makes a worker's handler with a middleware before another.
type MakeWrapped = Arc<dyn Fn(Rc<dyn AnyHandler>) -> Rc<dyn AnyHandler> + Send + Sync>;

/// Which handler answers which request.
///
/// ```no_run
/// use ajayserver::{Request, Router, Server};
///
/// async fn greet(request: Request) -> String {
///     format!("Hello, {}!\n", request.param("name").unwrap_or_default())
/// }
///
/// fn main() -> ajayserver::Result<()> {
///     let router = Router::new()
///         .get("/", async |_: Request| "Hello, world!\n")
///         .get("/hello/{name}", greet);
///     Server::bind("127.0.0.1:8080")?.run(router.build()?)
/// }
/// ```
///
/// **Patterns** begin with `/`. `{name}` stands for one segment that is not empty, also inside it
/// (`/file-{name}`), and `{*name}` at the end for all that is left, which is not empty either; `{{`
/// and `}}` stand for braces. What is literal goes before what is not: `/users/me` before
/// `/users/{id}`. They are compared with the path as it was received, byte by byte; `/a` and `/a/` are two
/// paths.
///
/// **Methods.** GET answers HEAD too, without the content. Where a path is known and the method is
/// not, the answer is 405 with `Allow`, and OPTIONS is answered with 204 and `Allow`.
///
/// **Middleware** runs in the order in which it is written, and before every handler of its router, also of those
/// written after it and of those in [nested](Router::nest) routers, for 404 and 405 too.
#[derive(Clone, Default)]
pub struct Router {
    routes: Vec<(String, Route)>,
    nested: Vec<(String, Router)>,
    hosts: Vec<(String, Router)>,
    fallback: Option<MakeHandler>,
    wraps: Vec<MakeWrapped>,
    states: States,
    limits: RouteLimits,
}

/// What a route or router may change of the server's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RouteLimits {
    content_bytes_max: Option<u64>,
    timeout: Option<Duration>,
}

impl RouteLimits {
    /// These limits, with those of `outer` where there are none.
    fn within(self, outer: RouteLimits) -> RouteLimits {
        RouteLimits {
            content_bytes_max: self.content_bytes_max.or(outer.content_bytes_max),
            timeout: self.timeout.or(outer.timeout),
        }
    }
}

fn make_handler<A>(application: A) -> MakeHandler
where
    A: Application + 'static,
{
    Arc::new(move || recycled(application.handler()))
}

fn make_wrapped<M>(middleware: M) -> MakeWrapped
where
    M: Middleware + Clone + Send + Sync,
{
    Arc::new(move |handler| crate::middleware::wrapped(middleware.clone(), handler))
}

impl Router {
    /// A router without routes: it answers 404.
    pub fn new() -> Router {
        Router::default()
    }

    /// Answers GET and HEAD (RFC 9110 §9.3.1, §9.3.2) on a path.
    #[must_use]
    pub fn get<H: Handler + Clone + Send + Sync>(self, pattern: &str, handler: H) -> Router {
        self.route(pattern, get(handler))
    }

    /// Answers POST (RFC 9110 §9.3.3) on a path.
    #[must_use]
    pub fn post<H: Handler + Clone + Send + Sync>(self, pattern: &str, handler: H) -> Router {
        self.route(pattern, post(handler))
    }

    /// Answers PUT (RFC 9110 §9.3.4) on a path.
    #[must_use]
    pub fn put<H: Handler + Clone + Send + Sync>(self, pattern: &str, handler: H) -> Router {
        self.route(pattern, put(handler))
    }

    /// Answers PATCH (RFC 5789) on a path.
    #[must_use]
    pub fn patch<H: Handler + Clone + Send + Sync>(self, pattern: &str, handler: H) -> Router {
        self.route(pattern, patch(handler))
    }

    /// Answers DELETE (RFC 9110 §9.3.5) on a path.
    #[must_use]
    pub fn delete<H: Handler + Clone + Send + Sync>(self, pattern: &str, handler: H) -> Router {
        self.route(pattern, delete(handler))
    }

    /// Answers any method that has no handler of its own on a path.
    #[must_use]
    pub fn any<H: Handler + Clone + Send + Sync>(self, pattern: &str, handler: H) -> Router {
        self.route(pattern, any(handler))
    }

    /// Answers one method on a path; for GET it answers HEAD too, unless HEAD has a handler of its own.
    #[must_use]
    pub fn on<H>(self, method: Method, pattern: &str, handler: H) -> Router
    where
        H: Handler + Clone + Send + Sync,
    {
        self.route(pattern, on(method, handler))
    }

    /// Adds a route: a path with handlers for one or more methods, and limits and middleware of its
    /// own.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ajayserver::router::{Router, get};
    /// # use ajayserver::{Request, StatusCode};
    /// # async fn show(_: Request) -> &'static str { "" }
    /// # async fn replace(_: Request) -> StatusCode { StatusCode::NO_CONTENT }
    /// let router = Router::new().route(
    ///     "/picture",
    ///     get(show)
    ///         .put(replace)
    ///         .content_bytes_max(64 << 20)
    ///         .timeout(Duration::from_secs(120)),
    /// );
    /// ```
    #[must_use]
    pub fn route(mut self, pattern: &str, route: Route) -> Router {
        self.routes.push((pattern.to_owned(), route));
        self
    }

    /// Puts the routes of another router below a path: `/users` of `inner` becomes `/api/users`,
    /// and `/` becomes `/api`. Its middleware, state, limits and fallback hold for what is below the path.
    #[must_use]
    pub fn nest(mut self, prefix: &str, inner: Router) -> Router {
        self.nested.push((prefix.to_owned(), inner));
        self
    }

    /// Adds the routes of another router, with its middleware, state and limits. Its fallback is
    /// not used.
    #[must_use]
    pub fn merge(self, inner: Router) -> Router {
        self.nest("", inner)
    }

    /// Leaves requests for a host to a router of its own: `example.com`, or `*.example.com` for
    /// all names below it. The port is not compared. This router's own routes are for all other
    /// hosts, and its middleware, state and limits for all.
    #[must_use]
    pub fn host(mut self, host: &str, inner: Router) -> Router {
        self.hosts.push((host.to_owned(), inner));
        self
    }

    /// Answers what no route matches, in place of 404. A path that is known with another method is still 405.
    #[must_use]
    pub fn fallback<A: Application + 'static>(mut self, handler: A) -> Router {
        self.fallback = Some(make_handler(handler));
        self
    }

    /// Puts a middleware before all handlers of this router.
    #[must_use]
    pub fn wrap<M>(mut self, middleware: M) -> Router
    where
        M: Middleware + Clone + Send + Sync,
    {
        self.wraps.push(make_wrapped(middleware));
        self
    }

    /// Shares a value with all handlers of this router, which find it by its type:
    /// [`Request::state`](crate::Request::state). A second one of the same type replaces the first.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Router {
        self.states.insert(state);
        self
    }

    /// The largest content, in bytes, that requests to this router may have (413). No more than
    /// the server's `content_bytes_max`. A router or route inside has its own in place of this. Default: the
    /// server's.
    #[must_use]
    pub fn content_bytes_max(mut self, bytes: u64) -> Router {
        self.limits.content_bytes_max = Some(bytes);
        self
    }

    /// How long handlers of this router may take to answer, from the request's head to the response's (503);
    /// then they are dropped. No more than the server's `handler_timeout`. A router or route inside has its own
    /// in place of this. Default: the server's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Router {
        self.limits.timeout = Some(timeout);
        self
    }

    /// Checks the routes as a whole, and makes of them what [`Server::run`](crate::Server::run) takes.
    ///
    /// # Errors
    /// Everything that is wrong: two routes for the same requests, patterns and hosts that are none.
    pub fn build(self) -> Result<Routes, RouteErrors> {
        build::build(&self)
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns = |f: &mut std::fmt::Formatter<'_>| {
            let patterns = self.routes.iter().map(|(pattern, _)| pattern);
            f.debug_list().entries(patterns).finish()
        };
        f.debug_struct("Router")
            .field("routes", &std::fmt::from_fn(patterns))
            .field("nested", &self.nested)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
