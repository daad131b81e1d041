//! A span for each request.

use std::future::Future;
use std::rc::Rc;

use ajay_engine::{PeerAddr, Response};
use tokio::time::Instant;
use tracing::{Instrument, Level, Span, field};

use super::Id;
use crate::{Middleware, Next, Request};

/// A `tracing` span for each request, and an event in it when the response's head is there.
///
/// The span `request` has `method`, `route` (the pattern, else the path), `version`, `peer` and
/// `request_id`, where [`RequestId`](super::RequestId) comes before this one. The event has
/// `status` and `duration_us`. A handler that is dropped unfinished, because its client has gone
/// or its time is over, has an event without a status. What becomes of a streamed body is not recorded.
///
/// Span and event are of level INFO if nothing is said, and the event of WARN for 5xx.
///
/// ```
/// # use ajayserver::{Request, Router, middleware::{RequestId, Trace}};
/// let router = Router::new()
///     .get("/", async |_: Request| "Hello, world!\n")
///     .wrap(RequestId::new())
///     .wrap(Trace::new());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    level: Level,
    failure_level: Level,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace {
            level: Level::INFO,
            failure_level: Level::WARN,
        }
    }
}

impl Trace {
    /// Spans and events of the levels above.
    pub fn new() -> Trace {
        Trace::default()
    }

    /// The level of spans, and of events for responses but 5xx.
    #[must_use]
    pub fn level(mut self, level: Level) -> Trace {
        self.level = level;
        self
    }

    /// The level of events for 5xx.
    #[must_use]
    pub fn failure_level(mut self, level: Level) -> Trace {
        self.failure_level = level;
        self
    }
}

/// Levels are constants of the places where spans and events are written.
macro_rules! at_level {
    ($level:expr, $macro:ident, $($arguments:tt)*) => {
        match $level {
            Level::ERROR => tracing::$macro!(Level::ERROR, $($arguments)*),
            Level::WARN => tracing::$macro!(Level::WARN, $($arguments)*),
            Level::INFO => tracing::$macro!(Level::INFO, $($arguments)*),
            Level::DEBUG => tracing::$macro!(Level::DEBUG, $($arguments)*),
            Level::TRACE => tracing::$macro!(Level::TRACE, $($arguments)*),
        }
    };
}

fn span(level: Level, request: &Request) -> Span {
    let route = request.route_pattern().unwrap_or_else(|| request.path());
    let span = at_level!(
        level,
        span,
        "request",
        method = %request.method(),
        route,
        version = ?request.version(),
        peer = field::Empty,
        request_id = field::Empty
    );
    match request.peer_addr() {
        PeerAddr::Ip(address) => span.record("peer", field::display(address)),
        _ => span.record("peer", "unix"),
    };
    if let Some(id) = request.extensions().and_then(|values| values.get::<Id>()) {
        span.record("request_id", id.as_str());
    }
    span
}

/// Says what became of a request, at the latest when it is dropped.
struct End {
    trace: Trace,
    span: Span,
    start: Instant,
    is_told: bool,
}

impl End {
    fn duration_us(&self) -> u64 {
        self.start
            .elapsed()
            .as_micros()
            .try_into()
            .unwrap_or(u64::MAX)
    }

    fn answered(mut self, response: &Response) {
        self.is_told = true;
        let (status, duration_us) = (response.status().as_u16(), self.duration_us());
        let level = match response.status().is_server_error() {
            true => self.trace.failure_level,
            false => self.trace.level,
        };
        self.span
            .in_scope(|| at_level!(level, event, status, duration_us, "answered"));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.is_told {
            let duration_us = self.duration_us();
            self.span
                .in_scope(|| at_level!(self.trace.level, event, duration_us, "dropped unfinished"));
        }
    }
}

impl Middleware for Trace {
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<> {
        let trace = **self;
        async move {
            let span = span(trace.level, &request);
            let end = End {
                trace,
                span: span.clone(),
                start: Instant::now(),
                is_told: false,
            };
            let response = next.run(request).instrument(span).await;
            end.answered(&response);
            response
        }
    }
}
