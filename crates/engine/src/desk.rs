//! What all sessions do with exchanges, whichever version of HTTP carries them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use crate::content::{Content, Feed};
use crate::context::Context;
use crate::counters::Counter;
use crate::exchange::Slots;
use crate::informational;
use crate::request::{Parts, PeerAddr, Request};
use crate::service::Service;
use crate::{Response, StatusCode};

/// What a worker has for exchanges.
pub(crate) struct Desk<'w, S: Service> {
    pub(crate) cx: &'w mut Context,
    pub(crate) slots: &'w mut Slots<S::Future>,
    pub(crate) service: &'w S,
}

/// What has arrived of a request's content together with its head.
pub(crate) enum InitialContent {
    None,
    Complete(bytes::Bytes, Option<Box<crate::FieldSection>>),
    Begun(Vec<u8>),
}

impl<S: Service> Desk<'_, S> {
    /// Gives a request its content, and its slot the feed where there is more to come. With a window, the
    /// feed tells the worker of what was read.
    #[inline]
    pub(crate) fn fill_content(
        &mut self,
        slot: u32,
        parts: &mut Parts,
        content: InitialContent,
        has_window: bool,
    ) {
        let max = self.cx.config.connections.content_collected_bytes_max;
        match content {
            InitialContent::None => parts.content.renew(max),
            InitialContent::Complete(data, trailers) => {
                parts.content = Content::ready(data, trailers, max);
            }
            InitialContent::Begun(data) => {
                let buffer = self.cx.config.connections.content_buffer_bytes_max;
                let place = self.slots.get(slot);
                let feed = Feed::new(place.signal(), buffer, has_window, self.cx.held.clone());
                if !data.is_empty() {
                    feed.push(&data);
                }
                place.feed = Some(feed.clone());
                parts.content = Content::fed(feed, max);
            }
        }
    }

    /// Calls the service with a request, and polls the handler for the first time. The session
    /// then writes the informational responses that the handler has sent.
    #[inline]
    pub(crate) fn first_poll(&mut self, slot: u32, parts: Box<Parts>) -> Poll<Response> {
        let peer = parts.peer;
        let request = Request::new(parts);
        let (service, place) = (self.service, self.slots.get(slot));
        informational::open();
        let first_poll = catch_unwind(AssertUnwindSafe(|| {
            place.begin(service.call(request));
            place.poll()
        }));
        first_poll.unwrap_or_else(|_| Poll::Ready(self.handler_panicked(slot, peer)))
    }

    /// Polls a handler again; what it has sent is written as after the first time.
    pub(crate) fn poll_handler(&mut self, slot: u32, peer: PeerAddr) -> Poll<Response> {
        let place = self.slots.get(slot);
        informational::open();
        match catch_unwind(AssertUnwindSafe(|| place.poll())) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(self.handler_panicked(slot, peer)),
        }
    }

    /// The core refused an informational response.
    #[cold]
    pub(crate) fn informational_refused(&self, misuse: &dyn std::fmt::Display) {
        self.cx.counters.count(Counter::ResponseMisuse);
        tracing::warn!(%misuse, "an informational response is left out");
    }

    fn handler_panicked(&mut self, slot: u32, peer: PeerAddr) -> Response {
        self.cx.counters.count(Counter::HandlerPanics);
        tracing::error!(%peer, "a handler panicked");
        self.cancel_handler(slot);
        Response::new(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn cancel_handler(&mut self, slot: u32) {
        let place = self.slots.get(slot);
        if catch_unwind(AssertUnwindSafe(|| place.cancel())).is_err() {
            tracing::error!("a cancelled handler panicked while it was dropped");
        }
    }

    #[inline(always)]
    pub(crate) fn release_exchange(&mut self, slot: u32) {
        if !self.slots.release_empty(slot) {
            self.release_full(slot);
        }
    }

    #[inline(never)]
    fn release_full(&mut self, slot: u32) {
        let slots = &mut *self.slots;
        if catch_unwind(AssertUnwindSafe(|| slots.release(slot))).is_err() {
            tracing::error!("a handler or response stream panicked while it was dropped");
        }
    }

    #[inline]
    pub(crate) fn count_response(&self, status: StatusCode) {
        self.cx.counters.count(match status.as_u16() {
            ..300 => Counter::ResponsesSuccess,
            300..400 => Counter::ResponsesRedirection,
            400..500 => Counter::ResponsesClientError,
            _ => Counter::ResponsesServerError,
        });
    }
}
