//! From responses to streams: heads at once, content by turns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context as TaskContext, Poll};

use ajay_h3::Misuse;
use ajay_http::{ContentSize, ResponseHead, SendBody};
use bytes::Buf;
use quinn_proto::SendStream;

use super::*;
use crate::body::{Kind, Piece};
use crate::informational::{self, Informational};
use crate::outbox::COPY_BYTES_MAX;
use crate::{FieldSection, Response, StatusCode};

/// Frames are copied into blocks of this size. One lives until all that is in it is acknowledged.
const BLOCK_BYTES: usize = 16 * 1024;

impl<S: Service> Session<'_, '_, S> {
    /// Looks at the exchanges whose wakers were used.
    pub(super) fn poll_woken(&mut self) {
        let Some(http) = self.http() else {
            return;
        };
        let mut woken = std::mem::take(&mut http.woken);
        for slot in woken.drain(..) {
            self.poll_exchange(slot);
        }
        if let Some(http) = self.http() {
            http.woken = woken;
        }
    }

    fn poll_exchange(&mut self, slot: u32) {
        let place = self.desk.slots.get(slot);
        // It may have ended, and be another connection's by now.
        if place.owner != Some(self.connection.token) {
            return;
        }
        let at = place.stream as usize;
        let is_running = place.is_running();
        let stream = self.http().and_then(|http| http.streams.get(at));
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
        let peer = self.connection.peer;
        let poll = self.desk.poll_handler(slot, peer);
        self.inform(key);
        match poll {
            Poll::Ready(response) => self.answer(key, slot, response),
            Poll::Pending => self.exchange_waits(key, slot, Wait::Handler),
        }
    }

    /// Writes the informational responses of the handler that has just been polled.
    #[inline]
    pub(super) fn inform(&mut self, key: StreamKey) {
        if !informational::close() {
            return;
        }
        for Informational { status, fields } in informational::take() {
            let Some(http) = self.connection.http.as_deref_mut() else {
                return;
            };
            self.scratch.frames.clear();
            let frames = &mut self.scratch.frames;
            if let Err(misuse) = http.core.send_informational(key, status, &fields, frames) {
                self.desk.informational_refused(&misuse);
                continue;
            }
            if status == StatusCode::CONTINUE
                && let Some(stream) = http.stream(key)
            {
                stream.is_held_back = false;
            }
            self.write_frames(key);
        }
    }

    /// A handler has been polled and is not ready, or a streamed body has nothing: what they wait for
    /// sets the deadline.
    pub(super) fn exchange_waits(&mut self, key: StreamKey, slot: u32, wait: Wait) {
        let is_awaited = self.look_at_feed(key, slot);
        let now = self.desk.cx.now;
        let wait = if is_awaited { Wait::Content } else { wait };
        if let Some(http) = self.http() {
            http.set_clock(key, |clock| clock.wait_for(wait, now));
        }
    }

    /// Writes a response's head, and its content as far as that may leave at once.
    pub(super) fn answer(&mut self, key: StreamKey, slot: u32, response: Response) {
        let began = self
            .http()
            .and_then(|http| http.stream(key))
            .map(|stream| stream.began);
        let cx = &self.desk.cx;
        let took = cx.micros - began.unwrap_or(cx.micros);
        cx.counters.request_time.record(took);
        if !self.answer_usual(key, slot, &response) {
            self.answer_in_steps(key, slot, response);
        }
    }

    /// A response that leaves at once, and says whether it was one: content that is here and small.
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
        let cx = &*self.desk.cx;
        let head = ResponseHead {
            status: parts.status,
            fields: &parts.fields,
            content_type: parts.content_type,
            server: cx.config.server_name,
            date: cx.config.send_date.then_some(&cx.date),
        };
        let Some(http) = self.connection.http.as_deref_mut() else {
            return false;
        };
        self.scratch.frames.clear();
        let frames = &mut self.scratch.frames;
        if !matches!(http.core.send_whole(key, &head, content, frames), Ok(true)) {
            return false;
        }
        self.desk.count_response(parts.status);
        if self.write_last(key) {
            self.complete(key, slot);
        }
        true
    }

    #[inline(never)]
    fn answer_in_steps(&mut self, key: StreamKey, slot: u32, response: Response) {
        let mut response = response;
        let is_due = self
            .http()
            .is_some_and(|http| http.core.is_response_due(key));
        if !is_due {
            // The client has reset the stream.
            self.stream_gone(key);
            return;
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            tracing::debug!(peer = %self.connection.peer, "HTTP/3 has no 101; answered 501");
            response = Response::new(StatusCode::NOT_IMPLEMENTED);
        }
        let status = response.status();
        match self.try_answer(key, slot, response) {
            Ok(()) => self.desk.count_response(status),
            Err(misuse) => {
                self.desk.cx.counters.count(Counter::ResponseMisuse);
                tracing::error!(%misuse, "a handler's response cannot be sent; answered 500");
                let failed = Response::new(StatusCode::INTERNAL_SERVER_ERROR);
                let status = failed.status();
                match self.try_answer(key, slot, failed) {
                    Ok(()) => self.desk.count_response(status),
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
        let cx = &*self.desk.cx;
        let head = ResponseHead {
            status: parts.status,
            fields: &parts.fields,
            content_type: parts.content_type,
            server: cx.config.server_name,
            date: cx.config.send_date.then_some(&cx.date),
        };
        let Some(http) = self.connection.http.as_deref_mut() else {
            return Ok(());
        };
        self.scratch.frames.clear();
        let frames = &mut self.scratch.frames;
        let has_payload = http.core.send_head(key, &head, size, frames)? == SendBody::Payload;
        let mut body = std::mem::take(&mut parts.body);
        parts.recycle();
        if !has_payload {
            if self.write_last(key) {
                self.complete(key, slot);
            }
            return Ok(());
        }
        self.write_frames(key);
        let output = match body.kind_mut() {
            Kind::Stream(_) => {
                self.desk.slots.get(slot).body = Some(body);
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

    fn content_is_wanted(&mut self, slot: u32) -> bool {
        let feed = &self.desk.slots.get(slot).feed;
        feed.as_ref().is_some_and(|feed| feed.has_reader())
    }

    /// Makes content of a response ready to be handed over.
    fn set_output(&mut self, key: StreamKey, output: Bytes, is_last: bool) {
        let (now, millis) = (self.desk.cx.now, self.desk.cx.millis());
        let Some(http) = self.http() else {
            return;
        };
        let len = output.len();
        if http.core.set_ready(key, len as u64, millis).is_err() {
            return;
        }
        // What other responses use as well would not be free if this one were gone.
        let is_owned = output.is_unique();
        if let Some(stream) = http.stream(key) {
            stream.output = output;
            stream.is_owned = is_owned;
            stream.is_last = is_last;
            if is_owned {
                http.output_bytes += len;
            }
        }
        http.set_clock(key, |clock| clock.wait_for(Wait::Write, now));
    }

    /// Takes the next piece of a streamed body.
    fn fetch_output(&mut self, key: StreamKey, slot: u32) {
        loop {
            self.budget = self.budget.saturating_sub(1);
            let place = self.desk.slots.get(slot);
            let Some(mut body) = place.body.take() else {
                return self.break_off(key, ErrorCode::INTERNAL_ERROR);
            };
            let mut cx = TaskContext::from_waker(place.waker());
            let piece = catch_unwind(AssertUnwindSafe(|| body.poll_piece(&mut cx)));
            self.desk.slots.get(slot).body = Some(body);
            let piece = match piece {
                Ok(Poll::Pending) => return self.exchange_waits(key, slot, Wait::Nothing),
                Ok(Poll::Ready(piece)) => piece,
                Err(_) => {
                    self.desk.cx.counters.count(Counter::HandlerPanics);
                    Some(Err("the response stream panicked".into()))
                }
            };
            let trailers = match piece {
                Some(Ok(Piece::Data(data))) if data.is_empty() => continue,
                Some(Ok(Piece::Data(data))) => return self.set_output(key, data, false),
                Some(Ok(Piece::Trailers(trailers))) => Some(trailers),
                None => None,
                Some(Err(error)) => {
                    let peer = self.connection.peer;
                    tracing::warn!(%peer, %error, "a response stream broke off");
                    return self.break_off(key, ErrorCode::INTERNAL_ERROR);
                }
            };
            return self.finish(key, slot, trailers.as_deref());
        }
    }

    /// The streamed body of a response is at its end.
    fn finish(&mut self, key: StreamKey, slot: u32, trailers: Option<&FieldSection>) {
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        self.scratch.frames.clear();
        match http.core.finish(key, trailers, &mut self.scratch.frames) {
            Ok(()) => {
                if self.write_last(key) {
                    self.complete(key, slot);
                }
            }
            Err(misuse) => {
                self.desk.cx.counters.count(Counter::ResponseMisuse);
                tracing::warn!(%misuse, "a response stream cannot end so; it is broken off");
                self.break_off(key, ErrorCode::INTERNAL_ERROR);
            }
        }
    }

    /// Frames content of responses and hands it over, while the transport and the turn allow.
    pub(super) fn send_content(&mut self) {
        while self.budget > 0 && self.connection.phase == Phase::Open {
            let (millis, now) = (self.desk.cx.millis(), self.desk.cx.now);
            let Some(http) = self.connection.http.as_deref_mut() else {
                return;
            };
            let Some(grant) = http.core.next_grant(millis) else {
                return;
            };
            self.budget -= 1;
            let key = grant.key;
            let Some(stream) = http.stream(key) else {
                // Not one that we know: nobody has its content.
                let _ = http.core.set_ready(key, 0, millis);
                continue;
            };
            let len = stream.output.len().min(grant.bytes_max as usize);
            let is_end = stream.is_last && len == stream.output.len();
            stream.clock.moved(len, now);
            self.connection.balance.earn_bytes(len);
            self.scratch.frames.clear();
            let frames = &mut self.scratch.frames;
            if let Err(misuse) = http.core.frame_data(key, len as u32, is_end, frames) {
                self.desk.cx.counters.count(Counter::ResponseMisuse);
                tracing::warn!(%misuse, "a response does not keep to its length; broken off");
                self.break_off(key, ErrorCode::INTERNAL_ERROR);
                continue;
            }
            if let Some(stream) = http.stream(key) {
                stream.framed = len;
            }
            self.write_frames(key);
        }
    }

    /// Copies `scratch.frames` behind what waits on a stream, and hands over what the transport takes.
    pub(super) fn write_frames(&mut self, key: StreamKey) {
        let frames = self.take_frames();
        let Some(stream) = self.http().and_then(|http| http.stream(key)) else {
            return;
        };
        if stream.frames.is_empty() {
            stream.frames = frames;
        } else {
            // The transport is full and an informational response waits already.
            let joined = [&stream.frames[..], &frames[..]].concat();
            stream.frames = joined.into();
        }
        self.push(key);
    }

    /// Hands over `scratch.frames`, which are the last of a stream. True when all of it was, and the stream
    /// ended.
    pub(super) fn write_last(&mut self, key: StreamKey) -> bool {
        let id = stream_id(key.id());
        if let Some(stream) = self.http().and_then(|http| http.stream(key)) {
            stream.is_last = true;
            if !stream.frames.is_empty() {
                self.write_frames(key);
                return false;
            }
        }
        let mut frames = [self.take_frames()];
        let mut send = self.connection.transport.send_stream(id);
        write_all(&mut send, &mut frames);
        let [rest] = frames;
        if rest.is_empty() {
            // It can have been stopped, which we are about to learn.
            let _ = send.finish();
            return true;
        }
        let now = self.desk.cx.now;
        if let Some(http) = self.http()
            && let Some(stream) = http.stream(key)
        {
            stream.frames = rest;
            http.core.set_blocked(key, true);
            http.set_clock(key, |clock| clock.wait_for(Wait::Write, now));
        }
        false
    }

    fn take_frames(&mut self) -> Bytes {
        let Scratch { frames, block, .. } = &mut *self.scratch;
        if block.capacity() < frames.len() {
            block.reserve(BLOCK_BYTES.max(frames.len()));
        }
        block.extend_from_slice(frames);
        frames.clear();
        block.split().freeze()
    }

    /// Hands over what is framed of a stream, and goes on with its response when that is gone.
    pub(super) fn push(&mut self, key: StreamKey) {
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        let Some(stream) = http.stream(key) else {
            return;
        };
        let framed = stream.framed;
        let before = stream.frames.len() + framed;
        let payload = stream.output.slice(..framed);
        let mut pieces = [std::mem::take(&mut stream.frames), payload];
        let mut send = self.connection.transport.send_stream(stream_id(key.id()));
        // A stream that was stopped takes nothing, and we are about to learn that it was.
        write_all(&mut send, &mut pieces);
        let [frames, payload] = pieces;
        let left = frames.len() + payload.len();
        let taken = framed - payload.len();
        drop(payload);
        let now = self.desk.cx.now;
        stream.clock.moved(before - left, now);
        stream.frames = frames;
        stream.framed -= taken;
        stream.output.advance(taken);
        if stream.is_owned {
            http.output_bytes -= taken;
        }
        let Some(stream) = http.stream(key) else {
            return;
        };
        let (is_last, exchange) = (stream.is_last, stream.exchange);
        let (is_empty, is_handed_over) = (stream.output.is_empty(), left == 0);
        if !is_handed_over {
            http.core.set_blocked(key, true);
            http.set_clock(key, |clock| clock.wait_for(Wait::Write, now));
            return;
        }
        http.core.set_blocked(key, false);
        if !is_empty {
            return;
        }
        match exchange {
            Some(slot) if is_last => {
                let mut send = self.connection.transport.send_stream(stream_id(key.id()));
                let _ = send.finish();
                self.complete(key, slot);
            }
            Some(slot) if framed > 0 && !self.desk.slots.get(slot).is_running() => {
                self.fetch_output(key, slot);
            }
            _ => {}
        }
    }

    /// A response is complete, and the transport has all of it.
    fn complete(&mut self, key: StreamKey, slot: u32) {
        tracing::trace!(peer = %self.connection.peer, stream = key.id(), "a response is complete");
        self.end_exchange(slot);
        self.connection.balance.earn_response();
        let now = self.desk.cx.now;
        let discarded_max = self.desk.cx.config.connections.content_discarded_bytes_max;
        let Some(http) = self.connection.http.as_deref_mut() else {
            return;
        };
        if http.core.is_receiving(key)
            && let Some(stream) = http.stream(key)
            && !stream.is_held_back
            && stream.remaining.is_none_or(|bytes| bytes <= discarded_max)
        {
            // A little that still comes is thrown away, and the client need not learn of it.
            stream.exchange = None;
            let id = stream.id();
            http.set_clock(key, |clock| clock.restart(Wait::Content, now));
            http.is_readable(id);
            return;
        }
        self.stream_done(key);
    }

    /// Gives back what an exchange holds.
    pub(super) fn end_exchange(&mut self, slot: u32) {
        if let Some(feed) = self.desk.slots.get(slot).feed.take() {
            // Whoever still reads learns that the exchange is over.
            feed.abandon();
        }
        self.desk.release_exchange(slot);
    }

    /// Ends a stream whose response cannot be completed.
    pub(super) fn break_off(&mut self, key: StreamKey, code: ErrorCode) {
        if let Some(http) = self.http() {
            // It may be over already.
            let _ = http.core.reset(key, code);
        }
        self.stream_gone(key);
    }

    /// A stream was reset, by the client or by us: whoever works for it stops.
    pub(super) fn stream_gone(&mut self, key: StreamKey) {
        let Some(http) = self.http() else {
            return;
        };
        http.core.stream_done(key);
        if let Some(stream) = http.remove(key) {
            self.abandon_stream(&stream);
        }
        self.obey();
    }

    /// Nothing more is to be done for a stream.
    pub(super) fn stream_done(&mut self, key: StreamKey) {
        let Some(http) = self.http() else {
            return;
        };
        http.core.stream_done(key);
        http.remove(key);
        self.obey();
    }
}

/// Hands over as much as the transport takes. It tells when it takes more only if it has said that it does not,
/// which taking a part is not.
fn write_all(send: &mut SendStream<'_>, pieces: &mut [Bytes]) {
    while pieces.iter().any(|piece| !piece.is_empty()) {
        if send.write_chunks(pieces).is_err() {
            return;
        }
    }
}
