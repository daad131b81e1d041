//! Writing: from a response through the core to the outbox, and from there to the socket.

use std::task::Context as TaskContext;

use ajay_h1::{ContentSize, Misuse, ResponseHead, SendBody};
use bytes::Bytes;

use super::*;
use crate::KnownField;
use crate::body::{Body, BoxError, Kind, Piece};
use crate::outbox::COPY_BYTES_MAX;

impl<S: Service> Session<'_, S> {
    /// Writes a response. The exchange is over then, unless its body is a stream.
    #[inline]
    pub(super) fn respond(&mut self, slot: u32, mut response: Response) {
        self.tell_of_http3(&mut response);
        let took = self.cx.micros - self.connection.request_began;
        self.cx.counters.request_time.record(took);
        if !self.respond_usual(slot, &response) {
            self.respond_in_steps(slot, response);
        }
    }

    /// Where HTTP/3 is spoken on the same port, clients of other versions are told so (RFC 7838 §3).
    #[inline]
    pub(super) fn tell_of_http3(&self, response: &mut Response) {
        let Some(Some(value)) = self.cx.alt_svc.get(self.connection.entry as usize) else {
            return;
        };
        let fields = &mut response.parts_mut().fields;
        if !fields.contains(KnownField::AltSvc) {
            // It is valid, and there is room in a response that the application could fill as well.
            let _ = fields.append_known(KnownField::AltSvc, value);
        }
    }

    #[inline(never)]
    fn respond_in_steps(&mut self, slot: u32, response: Response) {
        let mut response = response;
        let hands_over = response.status() == StatusCode::SWITCHING_PROTOCOLS
            || (self.connection.core.is_connect() && response.status().is_success());
        if hands_over {
            // It would hand the connection over to a protocol that nobody speaks yet.
            tracing::debug!(peer = %self.connection.peer, "no hand-over here; answered 501");
            response = Response::new(StatusCode::NOT_IMPLEMENTED);
        }
        let status = response.status();
        match self.try_respond(slot, response) {
            Ok(()) => self.count_response(status),
            Err(misuse) => {
                self.cx.counters.count(Counter::ResponseMisuse);
                tracing::error!(%misuse, "a handler's response cannot be sent; answered 500");
                self.connection.core.close_after();
                let failed = Response::new(StatusCode::INTERNAL_SERVER_ERROR);
                self.count_response(failed.status());
                if self.try_respond(slot, failed).is_err() {
                    self.release(slot);
                    self.connection.broken = true;
                }
            }
        }
    }

    /// Writes a response that is as nearly all are, and says whether it was one: a 200 with content
    /// that is here and small.
    fn respond_usual(&mut self, slot: u32, response: &Response) -> bool {
        let parts = response.parts();
        let content = match parts.body.kind() {
            Kind::Static(data) => *data,
            Kind::Bytes(data) => data,
            Kind::Empty => &[],
            Kind::Stream(_) => return false,
        };
        let is_usual = parts.status == StatusCode::OK
            && content.len() <= COPY_BYTES_MAX
            && self.connection.core.send_whole(
                &mut self.cx.opening,
                parts.content_type,
                &parts.fields,
                content,
                &mut self.cx.outbox.buffer,
            );
        if is_usual {
            self.cx.counters.count(Counter::ResponsesSuccess);
            self.finish_exchange(slot);
        }
        is_usual
    }

    fn try_respond(&mut self, slot: u32, response: Response) -> Result<(), Misuse> {
        if response.body().is_stream() && self.content_is_wanted(slot) {
            // The stream may be made of the content: it must not wait for a client that waits
            // for us.
            self.connection
                .core
                .send_continue(&mut self.cx.outbox.buffer)?;
        } else if !self.content_is_small_enough_to_discard() {
            self.connection.core.close_after();
        }
        let mut parts = response.into_parts();
        let size = match parts.body.exact_len() {
            Some(0) => ContentSize::Empty,
            Some(len) => ContentSize::Exact(len),
            None => ContentSize::Unknown,
        };
        let head = ResponseHead {
            status: parts.status,
            fields: &parts.fields,
            content_type: parts.content_type,
            server: self.cx.config.server_name,
            date: self.cx.config.send_date.then_some(&self.cx.date),
        };
        let outbox = &mut self.cx.outbox;
        let has_payload = match self
            .connection
            .core
            .send_head(&head, size, &mut outbox.buffer)?
        {
            SendBody::Payload => true,
            SendBody::None => false,
        };
        let streams = has_payload && self.send_payload(slot, &mut parts.body)?;
        parts.recycle();
        if !streams {
            self.finish_exchange(slot);
        }
        Ok(())
    }

    /// Sends a body that is here; one that is not moves to the slot, and this is true.
    fn send_payload(&mut self, slot: u32, body: &mut Body) -> Result<bool, Misuse> {
        let core = &mut self.connection.core;
        let outbox = &mut self.cx.outbox;
        let is_sealed = self.connection.tls.is_some();
        match body.kind_mut() {
            Kind::Empty => {}
            // What is encrypted is a copy. It is made as the client takes it, or each client would hold
            // one of the whole.
            Kind::Static(data) if is_sealed && data.len() > COPY_BYTES_MAX => {
                self.slots.get(slot).body = Some(std::mem::take(body));
                return Ok(true);
            }
            Kind::Bytes(data) if is_sealed && data.len() > COPY_BYTES_MAX => {
                self.connection.body_held = if data.is_unique() { data.len() } else { 0 };
                self.slots.get(slot).body = Some(std::mem::take(body));
                return Ok(true);
            }
            Kind::Static(data) => {
                core.frame_data(data.len() as u64, &mut outbox.buffer)?;
                outbox.push_static(data);
                core.end_data(&mut outbox.buffer);
            }
            Kind::Bytes(data) => {
                core.frame_data(data.len() as u64, &mut outbox.buffer)?;
                outbox.push(std::mem::take(data));
                core.end_data(&mut outbox.buffer);
            }
            Kind::Stream(_) => {
                self.slots.get(slot).body = Some(std::mem::take(body));
                return Ok(true);
            }
        }
        core.finish(None, &mut outbox.buffer)?;
        Ok(false)
    }

    /// Whether somebody still reads the request's content, or may do so.
    pub(super) fn content_is_wanted(&mut self, slot: u32) -> bool {
        let feed = self.slots.get(slot).feed.as_ref();
        feed.is_some_and(|feed| feed.has_reader())
    }

    pub(super) fn count_response(&mut self, status: StatusCode) {
        self.desk().count_response(status);
    }

    /// Refuses new work, because the worker holds too much for the old.
    pub(super) fn refuse_for_memory(&mut self) {
        self.cx.counters.count(Counter::RequestsRefusedMemory);
        self.refuse(StatusCode::SERVICE_UNAVAILABLE);
    }

    /// Answers a request that cannot be served, without a handler, and ends the connection.
    pub(super) fn refuse(&mut self, status: StatusCode) {
        self.connection.ending = Ending::LingerAfterOutput;
        let core = &mut self.connection.core;
        core.refuse_request();
        if core.is_response_finished() {
            // It was content that nobody wanted any more; its request has been answered.
            return;
        }
        let head = ResponseHead {
            status,
            fields: match status {
                StatusCode::SERVICE_UNAVAILABLE => &self.cx.retry_later,
                _ => &NO_FIELDS,
            },
            content_type: None,
            server: self.cx.config.server_name,
            date: self.cx.config.send_date.then_some(&self.cx.date),
        };
        match core.send_head(&head, ContentSize::Empty, &mut self.cx.outbox.buffer) {
            Ok(_) => self.count_response(status),
            Err(misuse) => tracing::error!(%misuse, "the core refused an error response"),
        }
    }

    /// Moves pieces of a streamed body to the socket while it takes them. True when the response
    /// is complete.
    pub(super) fn stream_body(&mut self, slot: u32) -> Result<bool, Close> {
        while self.budget > 0 {
            if self.cx.outbox.len() >= OUTBOX_BYTES && !self.flush()? {
                return Ok(false);
            }
            let place = self.slots.get(slot);
            let Some(mut body) = place.body.take() else {
                return Err(Close::Reset);
            };
            let mut cx = TaskContext::from_waker(place.waker());
            let piece = catch_unwind(AssertUnwindSafe(|| body.poll_piece(&mut cx)));
            self.slots.get(slot).body = Some(body);
            self.budget -= 1;
            let piece = match piece {
                Ok(Poll::Pending) => {
                    if self.is_client_gone() {
                        return Err(self.cut());
                    }
                    return Ok(false);
                }
                Ok(Poll::Ready(piece)) => piece,
                Err(_) => {
                    self.cx.counters.count(Counter::HandlerPanics);
                    Some(Err("the response stream panicked".into()))
                }
            };
            match piece {
                Some(Ok(Piece::Data(data))) => self.send_piece(data)?,
                Some(Ok(Piece::Trailers(trailers))) => {
                    return self.finish_stream(slot, Some(&trailers));
                }
                None => return self.finish_stream(slot, None),
                Some(Err(error)) => return Err(self.abort_stream(&error)),
            }
        }
        Ok(true)
    }

    fn send_piece(&mut self, data: Bytes) -> Result<(), Close> {
        // An empty chunk would be the last one.
        if data.is_empty() {
            return Ok(());
        }
        let held = &mut self.connection.body_held;
        *held = held.saturating_sub(data.len());
        let core = &mut self.connection.core;
        let outbox = &mut self.cx.outbox;
        match core.frame_data(data.len() as u64, &mut outbox.buffer) {
            Ok(()) => {
                outbox.push(data);
                core.end_data(&mut outbox.buffer);
                Ok(())
            }
            Err(misuse) => Err(self.abort_stream(&misuse.into())),
        }
    }

    fn finish_stream(
        &mut self,
        slot: u32,
        trailers: Option<&crate::FieldSection>,
    ) -> Result<bool, Close> {
        match self
            .connection
            .core
            .finish(trailers, &mut self.cx.outbox.buffer)
        {
            Ok(()) => {
                self.finish_exchange(slot);
                Ok(true)
            }
            Err(misuse) => Err(self.abort_stream(&misuse.into())),
        }
    }

    fn abort_stream(&mut self, error: &BoxError) -> Close {
        tracing::warn!(peer = %self.connection.peer, %error, "a response stream broke off");
        // What came before may still reach the client; the end must not look like one.
        let _ = self.flush();
        Close::Reset
    }

    /// Sends what waits. True when nothing waits any more, false when the socket is full.
    pub(super) fn flush(&mut self) -> Result<bool, Close> {
        if self.connection.tls.is_some() {
            self.seal();
        }
        let Connection {
            socket, pending, ..
        } = &mut *self.connection;
        let sent = match pending {
            Some(waiting) => {
                if !self.cx.outbox.is_empty() {
                    self.cx.outbox.append_to(waiting);
                }
                let sent = waiting.send(socket);
                if waiting.is_empty() {
                    *pending = None;
                }
                sent
            }
            None if self.cx.outbox.is_empty() => return Ok(true),
            None => self.cx.outbox.send(socket, pending),
        };
        match sent {
            Ok(sent) => {
                self.cx.counters.add(Counter::BytesSent, sent as u64);
                if sent > 0 && self.connection.clock.wait() == Wait::Write {
                    self.connection.clock.moved(sent, self.cx.now);
                }
                Ok(self.connection.pending.is_none())
            }
            Err(error) => {
                self.cx.counters.count(Counter::ConnectionErrors);
                tracing::debug!(peer = %self.connection.peer, %error, "send failed");
                self.connection.broken = true;
                Err(Close::Plain)
            }
        }
    }
}

pub(crate) static NO_FIELDS: crate::FieldSection = crate::FieldSection::new();
