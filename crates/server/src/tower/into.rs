//! From our applications to services of the `tower` ecosystem.
//!
//! Handlers and their futures stay on the thread where they were made; services are cloned, moved and polled
//! anywhere. So handlers have threads of their own here, and what belongs to a request crosses over:
//!
//! ```text
//!   the other server's task                 a thread of ours
//!   call ── Job: head, content, reply ──▶   handler.call(request)
//!   ResponseFuture ◀── reply ────────────   its response
//!   ResponseBody ◀── pieces, one ahead ──   its body, if that is a stream
//! ```
//!
//! Each arrow is also how a thread learns that the other end has gone.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::thread;

use ajay_engine::{BoxError, Content, ContentError, KnownField, PeerAddr, Response, StatusCode};
use bytes::{Buf, Bytes};
use http::{Extensions, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError};
use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

use crate::{Application, Handler, Request};

/// Makes a `tower` service of an application, to be used inside another server: a router of ours in an axum
/// app that `axum::serve` serves, or behind hyper.
///
/// ```no_run
/// # mod axum { pub use ::axum::*; }
/// use ajayserver::tower::into_tower;
/// use ajayserver::{Request, Router};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let ours = Router::new().get("/hello/{name}", async |request: Request| {
///     format!("Hello, {}!\n", request.param("name").unwrap_or_default())
/// });
/// let app = axum::Router::new()
///     .route("/", axum::routing::get(|| async { "theirs" }))
///     .nest_service("/ours", into_tower(ours.build()?));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, app).await?;
/// # Ok(())
/// # }
/// ```
///
/// **Threads.** Our handlers' futures need not be `Send`, and those of services have to be. So handlers run on threads
/// of their own, each with its clone of the application and a tokio runtime, as workers are; by default as many as there are
/// CPUs ([`IntoTower::threads`]). Requests take turns among them. The service and its futures are
/// `Send` and `Sync`, and need no runtime of tokio's around them. A request costs two hand-overs between
/// threads, a streamed body one for each piece.
///
/// **As on a server of ours**: extensions of the request are those of [`Request::extensions`], such as axum's
/// `OriginalUri`; trailers pass both ways; content is read when the handler asks for it, and a stream is
/// asked for its next piece when the one before has been taken. Dropping the service's future, or the body, drops
/// the handler. A panic answers 500, and breaks a stream off.
///
/// **Not there**: what belongs to connections. [`send_informational`](crate::send_informational) is
/// [`NotInHandler`](crate::InformationalError::NotInHandler), [`blocking`](crate::blocking()) is
/// [`NotOnWorker`](crate::BlockingError::NotOnWorker) (tokio's `spawn_blocking` works),
/// [`is_draining`](crate::is_draining) is false, [`Request::tls`] and `local_addr` are none, `Connection: close` is
/// left out. Limits and deadlines are those of the other server, apart from those of routes. The client's
/// address is what [`IntoTower::peer_addr`] finds.
///
/// [`Request::tls`]: crate::Request#deref-methods-Request
pub fn into_tower<A: Application + 'static>(application: A) -> IntoTower {
    IntoTower {
        run: Arc::new(move |jobs| run(&application, jobs)),
        threads: thread::available_parallelism().map_or(1, usize::from),
        peer_addr: Arc::new(connect_info),
        workers: Arc::default(),
    }
}

type Run = dyn Fn(mpsc::UnboundedReceiver<Job>) -> io::Result<()> + Send + Sync;
type FindPeer = dyn Fn(&Extensions) -> Option<SocketAddr> + Send + Sync;

/// A service made by [`into_tower`]. Clones share its threads, which end when the last of them and of its responses
/// is dropped.
#[derive(Clone)]
pub struct IntoTower {
    run: Arc<Run>,
    threads: usize,
    peer_addr: Arc<FindPeer>,
    /// Started with the first request.
    workers: Arc<OnceLock<Workers>>,
}

impl IntoTower {
    /// On how many threads handlers run, at least one; as many as there are CPUs if nothing is said. They are
    /// not those of clones made before.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> IntoTower {
        self.threads = threads.max(1);
        self.workers = Arc::default();
        self
    }

    /// How the client's address is found in the extensions that the other server has set. If nothing is
    /// said: axum's `ConnectInfo<SocketAddr>`, with the feature `axum`. Without one it is
    /// [`PeerAddr::Unix`].
    #[must_use]
    pub fn peer_addr<F>(mut self, find: F) -> IntoTower
    where
        F: Fn(&Extensions) -> Option<SocketAddr> + Send + Sync + 'static,
    {
        self.peer_addr = Arc::new(find);
        self
    }
}

impl fmt::Debug for IntoTower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoTower")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
fn connect_info(extensions: &Extensions) -> Option<SocketAddr> {
    let info = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>()?;
    Some(info.0)
}

#[cfg(not(feature = "axum"))]
fn connect_info(_: &Extensions) -> Option<SocketAddr> {
    None
}

impl<B> Service<http::Request<B>> for IntoTower
where
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ResponseFuture {
        let (head, body) = request.into_parts();
        let content = Content::from_http_body(body.map_frame(whole).map_err(content_error));
        let peer = (self.peer_addr)(&head.extensions).map_or(PeerAddr::Unix, PeerAddr::Ip);
        let (reply, response) = oneshot::channel();
        let job = Job {
            head,
            content,
            peer,
            reply,
        };
        let workers = self
            .workers
            .get_or_init(|| Workers::start(&self.run, self.threads));
        workers.give(job);
        ResponseFuture {
            response,
            workers: Arc::clone(&self.workers),
        }
    }
}

fn whole(frame: Frame<impl Buf>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

fn content_error(error: impl Into<BoxError>) -> ContentError {
    let error = error.into();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    // axum wraps it.
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return ContentError::TooLarge;
        }
        cause = error.source();
    }
    ContentError::Incomplete
}

/// A request on its way to a thread of ours.
struct Job {
    head: http::request::Parts,
    content: Content,
    peer: PeerAddr,
    reply: oneshot::Sender<http::Response<ResponseBody>>,
}

/// The threads that run handlers.
struct Workers {
    senders: Vec<mpsc::UnboundedSender<Job>>,
    next: AtomicUsize,
}

impl Workers {
    fn start(run: &Arc<Run>, threads: usize) -> Workers {
        let senders = (0..threads).filter_map(|number| {
            // As many wait as the other server has requests: its limits bound them.
            let (sender, jobs) = mpsc::unbounded_channel();
            let run = Arc::clone(run);
            let thread = thread::Builder::new().name(format!("into-tower-{number}"));
            let started = thread.spawn(move || {
                if let Err(error) = run(jobs) {
                    tracing::error!(%error, "a thread for handlers has no runtime");
                }
            });
            match started {
                Ok(_) => Some(sender),
                Err(error) => {
                    tracing::error!(%error, "a thread for handlers cannot be started");
                    None
                }
            }
        });
        Workers {
            senders: senders.collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Gives it to the next thread that runs. If there is none, its reply is dropped.
    fn give(&self, mut job: Job) {
        for _ in &self.senders {
            let next = self.next.fetch_add(1, Ordering::Relaxed) % self.senders.len();
            match self.senders[next].send(job) {
                Ok(()) => return,
                Err(refused) => job = refused.0,
            }
        }
    }
}

/// What a thread does until the service is gone.
fn run<A: Application>(application: &A, mut jobs: mpsc::UnboundedReceiver<Job>) -> io::Result<()> {
    let runtime = LocalRuntime::new()?;
    runtime.block_on(async {
        let handler = Rc::new(application.handler());
        while let Some(job) = jobs.recv().await {
            tokio::task::spawn_local(answer(Rc::clone(&handler), job));
        }
    });
    Ok(())
}

async fn answer<H: Handler>(handler: Rc<H>, job: Job) {
    let Job {
        mut head,
        content,
        peer,
        mut reply,
    } = job;
    let Ok(request) = ajay_engine::Request::from_http(&head, content, peer) else {
        let mut response = http::Response::new(ResponseBody::whole(Bytes::new()));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        let _ = reply.send(response);
        return;
    };
    let mut request = Request::from(request);
    if !head.extensions.is_empty() {
        *request.extensions_mut() = std::mem::take(&mut head.extensions);
    }
    let mut response = tokio::select! {
        response = handler.call(request) => response,
        () = reply.closed() => return,
    };
    let body = response.take_body();
    let len = body.exact_len();
    let mut answer = to_http(&response, len);
    match body.try_into_bytes() {
        Ok(data) => {
            *answer.body_mut() = ResponseBody::whole(data);
            let _ = reply.send(answer);
        }
        Err(stream) => {
            let (sender, pieces) = mpsc::channel(1);
            *answer.body_mut() = ResponseBody::stream(pieces, len);
            if reply.send(answer).is_ok() {
                pump(stream, sender).await;
            }
        }
    }
}

/// Hands on the pieces of a stream, one ahead of who takes them.
async fn pump(stream: ajay_engine::Body, sender: mpsc::Sender<Piece>) {
    let mut stream = pin!(stream);
    // An error: nobody takes any more.
    while let Ok(place) = sender.reserve().await {
        let frame = tokio::select! {
            frame = stream.frame() => frame,
            () = sender.closed() => return,
        };
        match frame {
            Some(Ok(frame)) => place.send(Piece::Frame(frame)),
            Some(Err(error)) => return place.send(Piece::Error(error)),
            None => return place.send(Piece::End),
        }
    }
}

/// The head, in the form of the other server, which frames the content.
fn to_http(response: &Response, len: Option<u64>) -> http::Response<ResponseBody> {
    let mut answer = http::Response::new(ResponseBody::whole(Bytes::new()));
    *answer.status_mut() = response.status();
    let headers = answer.headers_mut();
    for (name, value) in response.fields().iter() {
        let known = KnownField::from_name(name.as_bytes());
        let is_framing = match known {
            // Without content it tells what there would be: HEAD, 304.
            Some(KnownField::ContentLength) => len.is_some_and(|len| len > 0),
            Some(KnownField::Connection | KnownField::KeepAlive | KnownField::TransferEncoding) => {
                true
            }
            _ => false,
        };
        if is_framing {
            continue;
        }
        // Both were checked when they were set, by the same rules.
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    if let Some(value) = response.content_type()
        && !headers.contains_key(http::header::CONTENT_TYPE)
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(http::header::CONTENT_TYPE, value);
    }
    answer
}

/// The answer to a request, of a service that [`into_tower`] made. Dropping it drops the handler.
pub struct ResponseFuture {
    response: oneshot::Receiver<http::Response<ResponseBody>>,
    /// Keeps the threads alive.
    workers: Arc<OnceLock<Workers>>,
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.response).poll(cx));
        let response = response.map(|mut response| {
            response.body_mut().keep(&self.workers);
            response
        });
        Poll::Ready(Ok(response.unwrap_or_else(|_| {
            // The handler has panicked, which was reported, or there is no thread.
            let mut response = http::Response::new(ResponseBody::whole(Bytes::new()));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })))
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

enum Piece {
    Frame(Frame<Bytes>),
    Error(BoxError),
    /// A stream that ends without it was broken off.
    End,
}

/// The body of a response, of a service that [`into_tower`] made. Dropping it drops the stream that it comes
/// from.
pub struct ResponseBody(Source);

enum Source {
    Whole(Bytes),
    Stream {
        pieces: mpsc::Receiver<Piece>,
        /// What is to come, if that is known.
        left: Option<u64>,
        /// Keeps the threads alive.
        workers: Option<Arc<OnceLock<Workers>>>,
    },
}

impl ResponseBody {
    fn whole(data: Bytes) -> ResponseBody {
        ResponseBody(Source::Whole(data))
    }

    fn stream(pieces: mpsc::Receiver<Piece>, left: Option<u64>) -> ResponseBody {
        ResponseBody(Source::Stream {
            pieces,
            left,
            workers: None,
        })
    }

    fn keep(&mut self, alive: &Arc<OnceLock<Workers>>) {
        if let Source::Stream { workers, .. } = &mut self.0 {
            *workers = Some(Arc::clone(alive));
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let (pieces, left) = match &mut self.0 {
            Source::Whole(data) => {
                let data = std::mem::take(data);
                return Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))));
            }
            Source::Stream { pieces, left, .. } => (pieces, left),
        };
        let result = match ready!(pieces.poll_recv(cx)) {
            Some(Piece::Frame(frame)) => {
                let len = frame.data_ref().map_or(0, |data| data.len() as u64);
                *left = left.map(|left| left.saturating_sub(len));
                return Poll::Ready(Some(Ok(frame)));
            }
            Some(Piece::End) => None,
            Some(Piece::Error(error)) => Some(Err(error)),
            None => Some(Err("the response stream was broken off".into())),
        };
        self.0 = Source::Whole(Bytes::new());
        Poll::Ready(result)
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Source::Whole(data) if data.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Whole(data) => SizeHint::with_exact(data.len() as u64),
            Source::Stream { left, .. } => {
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
