//! Applications of the `tower` ecosystem, unchanged: axum, tower-http, anything that is a
//! [`tower_service::Service`].
//!
//! ```no_run
//! # mod axum { pub use ::axum::*; }
//! use ajayserver::tower::from_tower;
//! use axum::{Router, routing::get};
//!
//! fn main() -> ajayserver::Result<()> {
//!     let app = Router::new().route("/", get(|| async { "Hello, world!\n" }));
//!     ajayserver::Server::bind("127.0.0.1:8080")?.run(from_tower(app))
//! }
//! ```
//!
//! | what the service sees | comes from |
//! |---|---|
//! | method, version, fields | the request; the fields' values share one copy of its head |
//! | URI | as hyper has it: path and query over HTTP/1, with scheme and authority over HTTP/2 and HTTP/3 |
//! | body | [`RequestBody`]: `Send`, read as the client sends it, with trailers |
//! | extensions | those that middleware has left, and what [`FromTower::extension`] adds |
//!
//! Its future stays on the worker that owns the connection, and is dropped when the client goes away. Its
//! response's body is asked for more only when the client has taken enough; one that fails breaks the response off. 101
//! (Switching Protocols) is answered with 501: connections are not handed over yet.
//!
//! [`into_tower`] goes the other way: an application of ours as a service, inside another server.

mod into;
mod request;
mod response;

use std::fmt;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use ajay_engine::{BoxError, Response, StatusCode};
use http::Extensions;
use tower_service::Service;

pub use into::{IntoTower, ResponseBody, ResponseFuture, into_tower};
pub use request::RequestBody;

use crate::{Application, Handler, IntoResponse, Request};

/// Adds something to the extensions of a request.
type Extend = dyn Fn(&Request, &mut Extensions) + Send + Sync;

/// Makes an application of a `tower` service: an axum `Router`, a stack of layers. It is cloned for
/// each worker, and there for each request.
///
/// An error of the service is answered with 500 and logged. Services of axum have none.
pub fn from_tower<S>(service: S) -> FromTower<S> {
    FromTower {
        service: Mutex::new(service),
        extend: None,
    }
}

/// An axum application with its clients' addresses: `ConnectInfo<SocketAddr>` can be extracted, as after
/// `into_make_service_with_connect_info`. Requests over Unix sockets have none.
#[cfg(feature = "axum")]
pub fn from_axum(router: axum::Router) -> FromTower<axum::Router> {
    from_tower(router).extension(|request, extensions| {
        if let Some(address) = request.peer_addr().ip() {
            extensions.insert(axum::extract::ConnectInfo(address));
        }
    })
}

/// An application made by [`from_tower`].
pub struct FromTower<S> {
    /// Services need not be `Sync`.
    service: Mutex<S>,
    extend: Option<Arc<Extend>>,
}

impl<S> FromTower<S> {
    /// Adds something to the extensions of each request, in the form in which the service looks for it: the
    /// client's address, the name that it asked TLS for.
    ///
    /// ```
    /// # use ajayserver::tower::from_tower;
    /// # let app: axum::Router = axum::Router::new();
    /// let app = from_tower(app).extension(|request, extensions| {
    ///     extensions.insert(request.peer_addr());
    ///     if let Some(name) = request.tls().and_then(|tls| tls.sni()) {
    ///         extensions.insert(name.to_owned());
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn extension(
        mut self,
        extend: impl Fn(&Request, &mut Extensions) + Send + Sync + 'static,
    ) -> FromTower<S> {
        self.extend = Some(match self.extend.take() {
            None => Arc::new(extend),
            Some(before) => Arc::new(move |request, extensions| {
                before(request, extensions);
                extend(request, extensions);
            }),
        });
        self
    }
}

impl<S> fmt::Debug for FromTower<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromTower").finish_non_exhaustive()
    }
}

impl<S, B> Application for FromTower<S>
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: 'static,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
{
    type Handler = TowerHandler<S>;

    fn handler(&self) -> TowerHandler<S> {
        // A panic in `clone` leaves nothing half done.
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        TowerHandler {
            service: service.clone(),
            extend: self.extend.clone(),
        }
    }
}

/// A `tower` service on one worker.
pub struct TowerHandler<S> {
    service: S,
    extend: Option<Arc<Extend>>,
}

impl<S> fmt::Debug for TowerHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerHandler").finish_non_exhaustive()
    }
}

impl<S, B> Handler for TowerHandler<S>
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    S::Future: 'static,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
{
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<S, B> {
        let mut service = self.service.clone();
        let request = request::to_http(request, self.extend.as_deref());
        async move {
            let Ok(request) = request else {
                return (StatusCode::BAD_REQUEST, "400 Bad Request\n").into_response();
            };
            let answered = async {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(request).await
            };
            match answered.await {
                Ok(response) => response::from_http(response).await,
                Err(error) => {
                    let error: BoxError = error.into();
                    tracing::error!(%error, "a service failed; answered 500");
                    Response::new(StatusCode::INTERNAL_SERVER_ERROR)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
