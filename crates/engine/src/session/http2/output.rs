//! From responses to frames: heads at once, content by turns.

use std::task::Context as TaskContext;

use ajay_h2::{ErrorCode, Misuse, StreamKey};
use ajay_http::{ContentSize, ResponseHead, SendBody};
use bytes::Bytes;

use super::*;
use crate::body::{Kind, Piece};
use crate::informational::{self, Informational};
use crate::outbox::COPY_BYTES_MAX;

impl<S: Service> Session<'_, S> {
    /// Looks at the exchanges whose wakers were used.
    pub(super) fn poll_woken(&mut self) {
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        let mut woken = std::mem::take(&mut http2.woken);
        for slot in woken.drain(..) {
            self.poll_exchange(slot);
        }
        if let Some(http2) = self.http2() {
            http2.woken = woken;
        }
    }

    fn poll_exchange(&mut self, slot: u32) {
        let place = self.slots.get(slot);
        // It may have ended, and be another connection's by now.
        if place.owner != Some(self.connection.token) {
            return;
        }
        let at = place.stream as usize;
        let is_running = place.is_running();
        let stream = self.http2().and_then(|http2| http2.streams.get(at));
        let Some(Some(stream)) = stream else {
            return;
        };
        if stream.exchange != Some(slot) {
            return;
        }
        let (key, has_output) = (stream.key, !stream.output.is_empty() || stream.is_last);
        self.look_at_feed(key, slot);
        if !is_running {
            if !has_output {
                self.fetch_output(key, slot);
            }
            return;
        }
        let poll = self.poll_handler(slot);
        self.inform_stream(key);
        match poll {
            Poll::Ready(response) => self.answer(key, slot, response),
            Poll::Pending => self.exchange_waits(key, slot, Wait::Handler),
        }
    }

    /// Writes the informational responses of the handler that has just been polled.
    #[inline]
    pub(super) fn inform_stream(&mut self, key: StreamKey) {
        if !informational::close() {
            return;
        }
        for Informational { status, fields } in informational::take() {
            let Some(http2) = self.connection.http2.as_deref_mut() else {
                return;
            };
            let out = &mut self.cx.outbox.buffer;
            if let Err(misuse) = http2.core.send_informational(key, status, &fields, out) {
                self.desk().informational_refused(&misuse);
            } else if status == StatusCode::CONTINUE
                && let Some(stream) = http2.stream(key)
            {
                stream.is_held_back = false;
            }
        }
    }

    /// A handler has been polled and is not ready, or a streamed body has nothing: what they wait for
    /// sets the deadline.
    pub(super) fn exchange_waits(&mut self, key: StreamKey, slot: u32, wait: Wait) {
        let is_awaited = self.look_at_feed(key, slot);
        let now = self.cx.now;
        let wait = if is_awaited { Wait::Content } else { wait };
        if let Some(http2) = self.http2() {
            http2.set_clock(key, |clock| clock.wait_for(wait, now));
        }
    }

    /// Writes a response's head, and its content as far as that may leave at once.
    pub(super) fn answer(&mut self, key: StreamKey, slot: u32, mut response: Response) {
        self.tell_of_http3(&mut response);
        let began = self
            .http2()
            .and_then(|http2| http2.stream(key))
            .map(|stream| stream.began);
        let took = self.cx.micros - began.unwrap_or(self.cx.micros);
        self.cx.counters.request_time.record(took);
        if !self.answer_usual(key, slot, &response) {
            self.answer_in_steps(key, slot, response);
        }
    }

    /// A response that leaves at once, and says whether it was one: content that is here, small, and
    /// has a window.
    fn answer_usual(&mut self, key: StreamKey, slot: u32, response: &Response) -> bool {
        let parts = response.parts();
        let content = match parts.body.kind() {
            Kind::Static(data) => *data,
            Kind::Bytes(data) => data,
            Kind::Empty => &[],
            Kind::Stream(_) => return false,
        };
        if content.len() > COPY_BYTES_MAX || parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return false;
        }
        let head = ResponseHead {
            status: parts.status,
            fields: &parts.fields,
            content_type: parts.content_type,
            server: self.cx.config.server_name,
            date: self.cx.config.send_date.then_some(&self.cx.date),
        };
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return false;
        };
        let out = &mut self.cx.outbox.buffer;
        if !matches!(http2.core.send_whole(key, &head, content, out), Ok(true)) {
            return false;
        }
        self.count_response(parts.status);
        self.complete(key, slot);
        true
    }

    #[inline(never)]
    fn answer_in_steps(&mut self, key: StreamKey, slot: u32, response: Response) {
        let mut response = response;
        let is_due = self
            .http2()
            .is_some_and(|http2| http2.core.is_response_due(key));
        if !is_due {
            // The client has reset the stream.
            self.stream_gone(key);
            return;
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            tracing::debug!(peer = %self.connection.peer, "HTTP/2 has no 101; answered 501");
            response = Response::new(StatusCode::NOT_IMPLEMENTED);
        }
        let status = response.status();
        match self.try_answer(key, slot, response) {
            Ok(()) => self.count_response(status),
            Err(misuse) => {
                self.cx.counters.count(Counter::ResponseMisuse);
                tracing::error!(%misuse, "a handler's response cannot be sent; answered 500");
                let failed = Response::new(StatusCode::INTERNAL_SERVER_ERROR);
                let status = failed.status();
                match self.try_answer(key, slot, failed) {
                    Ok(()) => self.count_response(status),
                    Err(_) => self.break_off(key, ErrorCode::INTERNAL_ERROR),
                }
            }
        }
    }

    fn try_answer(&mut self, key: StreamKey, slot: u32, response: Response) -> Result<(), Misuse> {
        if response.body().is_stream() && self.content_is_wanted(slot) {
            // The stream may be made of the content: it must not wait for a client that waits for us.
            self.ask_for_content(key);
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
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return Ok(());
        };
        let out = &mut self.cx.outbox.buffer;
        let has_payload = match http2.core.send_head(key, &head, size, out)? {
            SendBody::Payload => true,
            SendBody::None => false,
        };
        if !has_payload {
            parts.recycle();
            self.complete(key, slot);
            return Ok(());
        }
        let mut body = std::mem::take(&mut parts.body);
        parts.recycle();
        let output = match body.kind_mut() {
            Kind::Stream(_) => {
                let place = self.slots.get(slot);
                place.body = Some(body);
                self.fetch_output(key, slot);
                return Ok(());
            }
            Kind::Empty => Bytes::new(),
            Kind::Static(data) => Bytes::from_static(data),
            Kind::Bytes(data) => std::mem::take(data),
        };
        self.set_output(key, output, true);
        Ok(())
    }

    /// Makes content of a response ready to be framed.
    fn set_output(&mut self, key: StreamKey, output: Bytes, is_last: bool) {
        let (now, millis) = (self.cx.now, self.cx.millis());
        let Some(http2) = self.http2() else {
            return;
        };
        let len = output.len();
        if http2.core.set_ready(key, len as u64, millis).is_err() {
            return;
        }
        // What other responses use as well would not be free if this one were gone.
        let is_owned = output.is_unique();
        if let Some(stream) = http2.stream(key) {
            stream.output = output;
            stream.is_owned = is_owned;
            stream.is_last = is_last;
            if is_owned {
                http2.output_bytes += len;
            }
        }
        http2.set_clock(key, |clock| clock.wait_for(Wait::Write, now));
    }

    /// Takes the next piece of a streamed body.
    fn fetch_output(&mut self, key: StreamKey, slot: u32) {
        loop {
            self.budget = self.budget.saturating_sub(1);
            let place = self.slots.get(slot);
            let Some(mut body) = place.body.take() else {
                return self.break_off(key, ErrorCode::INTERNAL_ERROR);
            };
            let mut cx = TaskContext::from_waker(place.waker());
            let piece = catch_unwind(AssertUnwindSafe(|| body.poll_piece(&mut cx)));
            self.slots.get(slot).body = Some(body);
            let piece = match piece {
                Ok(Poll::Pending) => return self.exchange_waits(key, slot, Wait::Nothing),
                Ok(Poll::Ready(piece)) => piece,
                Err(_) => {
                    self.cx.counters.count(Counter::HandlerPanics);
                    Some(Err("the response stream panicked".into()))
                }
            };
            let finished = match piece {
                Some(Ok(Piece::Data(data))) if data.is_empty() => continue,
                Some(Ok(Piece::Data(data))) => return self.set_output(key, data, false),
                Some(Ok(Piece::Trailers(trailers))) => self.finish_stream_of(key, Some(&trailers)),
                None => self.finish_stream_of(key, None),
                Some(Err(error)) => {
                    let peer = self.connection.peer;
                    tracing::warn!(%peer, %error, "a response stream broke off");
                    return self.break_off(key, ErrorCode::INTERNAL_ERROR);
                }
            };
            match finished {
                Ok(()) => self.complete(key, slot),
                Err(misuse) => {
                    self.cx.counters.count(Counter::ResponseMisuse);
                    tracing::warn!(%misuse, "a response stream cannot end so; it is broken off");
                    self.break_off(key, ErrorCode::INTERNAL_ERROR);
                }
            }
            return;
        }
    }

    fn finish_stream_of(
        &mut self,
        key: StreamKey,
        trailers: Option<&crate::FieldSection>,
    ) -> Result<(), Misuse> {
        match self.connection.http2.as_deref_mut() {
            Some(http2) => http2.core.finish(key, trailers, &mut self.cx.outbox.buffer),
            None => Ok(()),
        }
    }

    /// Frames content of responses while the windows, the socket and the turn allow. True when there
    /// was any.
    pub(super) fn send_content(&mut self) -> Result<bool, Close> {
        let mut progress = false;
        while self.budget > 0 {
            if self.cx.outbox.len() >= OUTBOX_BYTES && !self.flush()? {
                break;
            }
            let millis = self.cx.millis();
            let now = self.cx.now;
            let Some(http2) = self.connection.http2.as_deref_mut() else {
                break;
            };
            let Some(grant) = http2.core.next_grant(millis) else {
                break;
            };
            let key = grant.key;
            let Some(stream) = http2.stream(key) else {
                // Not one that we know: nobody has its content. It counts, so that this ends whatever the core
                // says.
                self.budget -= 1;
                let _ = http2.core.set_ready(key, 0, millis);
                continue;
            };
            let len = stream.output.len().min(grant.bytes_max as usize);
            let data = stream.output.split_to(len);
            let is_end = stream.is_last && stream.output.is_empty();
            let is_empty = stream.output.is_empty();
            stream.clock.moved(len, now);
            let exchange = stream.exchange;
            if stream.is_owned {
                http2.output_bytes -= len;
            }
            http2.window_clock.moved(len, now);
            progress = true;
            self.budget -= 1;
            let out = &mut self.cx.outbox.buffer;
            if let Err(misuse) = http2.core.frame_data(key, len as u32, is_end, out) {
                self.cx.counters.count(Counter::ResponseMisuse);
                tracing::warn!(%misuse, "a response does not keep to its length; broken off");
                self.break_off(key, ErrorCode::INTERNAL_ERROR);
                continue;
            }
            self.cx.outbox.push(data);
            match exchange {
                Some(slot) if is_end => self.complete(key, slot),
                Some(slot) if is_empty => self.fetch_output(key, slot),
                _ => {}
            }
        }
        let now = self.cx.now;
        if let Some(http2) = self.http2() {
            let wait = match http2.core.is_window_exhausted() {
                true => Wait::Write,
                false => Wait::Nothing,
            };
            http2.window_clock.wait_for(wait, now);
        }
        Ok(progress)
    }

    /// A response is complete.
    fn complete(&mut self, key: StreamKey, slot: u32) {
        tracing::trace!(peer = %self.connection.peer, stream = key.id(), "a response is complete");
        self.end_exchange(key, slot);
        let now = self.cx.now;
        let discarded_max = self.cx.config.connections.content_discarded_bytes_max;
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        if http2.core.is_receiving(key)
            && let Some(stream) = http2.stream(key)
            && !stream.is_held_back
            && stream.remaining.is_none_or(|bytes| bytes <= discarded_max)
        {
            // A little that still comes is thrown away, and the client need not learn of it.
            stream.exchange = None;
            http2.set_clock(key, |clock| clock.restart(Wait::Content, now));
            return;
        }
        http2.core.stream_done(key, &mut self.cx.outbox.buffer);
        http2.remove(key);
    }

    /// Gives back what an exchange holds, and to the client what is left of its content.
    pub(super) fn end_exchange(&mut self, key: StreamKey, slot: u32) {
        let feed = self.slots.get(slot).feed.take();
        if let Some(feed) = feed {
            // Whoever still reads learns that the exchange is over.
            feed.abandon();
            let bytes = feed.take_all();
            if bytes > 0 {
                self.release_content(key, bytes);
            }
        }
        self.release_exchange(slot);
    }

    /// Ends a stream whose response cannot be completed.
    pub(super) fn break_off(&mut self, key: StreamKey, code: ErrorCode) {
        if let Some(http2) = self.connection.http2.as_deref_mut() {
            // It may be over already.
            let _ = http2.core.reset(key, code, &mut self.cx.outbox.buffer);
        }
        self.stream_gone(key);
    }

    /// A stream was reset, by the client or by us: whoever works for it stops.
    pub(super) fn stream_gone(&mut self, key: StreamKey) {
        let Some(http2) = self.connection.http2.as_deref_mut() else {
            return;
        };
        http2.core.stream_done(key, &mut self.cx.outbox.buffer);
        if let Some(stream) = http2.remove(key) {
            self.abandon_stream(&stream);
        }
    }
}
