//! Reading: from the socket through the core to a handler, a feed, or nowhere.

use ajay_h1::{ContentRemaining, EofEffect, Event, Framing, Reading, Violation};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};

use super::*;
use crate::connection::Starving;

/// So many bytes cost a connection as much of its turn as a request does: half a MiB in a turn, which is
/// some hundred microseconds of copying.
const BUDGET_BYTES: usize = 4096;

/// So many pieces of content cost as much of a turn as a request does: chunks may have one byte each.
pub(super) const BUDGET_STEPS: u32 = 64;

/// What a piece of content counts when it is thrown away, at least: about what it costs to find it.
pub(super) const PIECE_COST_BYTES: usize = 64;

/// Content is read in blocks of this size where that much of it is still to come: as much as a feed holds.
const BLOCK_BYTES: usize = 64 * 1024;

/// A partial head begins with this much room; it grows by doubling up to its limit.
const INBOX_BYTES_MIN: usize = 2048;

impl<S: Service> Session<'_, S> {
    /// Uses what was left over, or reads once and uses that. True when it made a difference,
    /// false when the socket has nothing more or input has to wait.
    pub(super) fn read_input(&mut self) -> Result<bool, Close> {
        if !self.connection.inbox.is_empty() && self.use_inbox() {
            return Ok(true);
        }
        if self.is_end_untold() {
            self.use_input(&[]);
            return Ok(true);
        }
        if !self.connection.readable || self.connection.eof {
            return Ok(false);
        }
        let received = if self.connection.tls.is_some() {
            self.receive_tls()
        } else if !self.connection.inbox.is_empty() {
            self.receive_into_inbox()
        } else if self.is_in_large_content() {
            self.receive_into_block()
        } else {
            self.receive_into_scratch()
        };
        match received {
            Ok(0) => self.end_of_input(),
            Ok(_) if self.tls_has_ended() => self.end_of_input(),
            Ok(_) => {
                let is_in_head = self.connection.http2.is_none()
                    && self.connection.core.reading() == Reading::Head;
                if is_in_head && self.connection.exchange.is_none() && self.holds_too_much() {
                    self.refuse_for_memory();
                }
                Ok(true)
            }
            Err(Errno::AGAIN) => {
                self.connection.readable = false;
                Ok(false)
            }
            Err(Errno::INTR) => Ok(true),
            Err(error) => {
                self.cx.counters.count(Counter::ConnectionErrors);
                tracing::debug!(peer = %self.connection.peer, %error, "receive failed");
                self.connection.broken = true;
                Err(Close::Plain)
            }
        }
    }

    /// The common case: nothing is left over, and the worker's own buffer serves.
    fn receive_into_scratch(&mut self) -> Result<usize, Errno> {
        let mut scratch = std::mem::take(&mut self.cx.scratch);
        let result = rustix::net::recv(
            &self.connection.socket,
            &mut scratch[..],
            RecvFlags::empty(),
        );
        if let Ok((_, received)) = result {
            self.count_received(received, scratch.len());
            let used = self.use_input(&scratch[..received]);
            if used < received {
                self.connection
                    .inbox
                    .extend_from_slice(&scratch[used..received]);
            }
        }
        self.cx.scratch = scratch;
        result.map(|(_, received)| received)
    }

    /// Whether a whole block of what comes next is content, and there is a feed for it.
    fn is_in_large_content(&mut self) -> bool {
        let ContentRemaining::Known(remaining) = self.connection.core.content_remaining() else {
            return false;
        };
        let room = self.cx.block.capacity().max(BLOCK_BYTES);
        remaining >= room as u64
            && self.connection.http2.is_none()
            && self
                .connection
                .exchange
                .is_some_and(|slot| self.slots.get(slot).feed.is_some())
    }

    /// Reads content to where it stays until the handler has read it: only the kernel copies it.
    fn receive_into_block(&mut self) -> Result<usize, Errno> {
        let mut block = std::mem::take(&mut self.cx.block);
        block.clear();
        block.reserve_exact(BLOCK_BYTES);
        let room = block.capacity();
        let buffer = rustix::buffer::spare_capacity(&mut block);
        let result = rustix::net::recv(&self.connection.socket, buffer, RecvFlags::empty());
        let received = block.len();
        self.cx.block = block;
        result?;
        if received == 0 {
            return Ok(0);
        }
        self.count_received(received, room);
        self.connection.clock.moved(received, self.cx.now);
        let told = self.connection.core.content_received(received as u64);
        debug_assert!(
            told.is_ok(),
            "a block has no room for more than the content"
        );
        let slot = self.connection.exchange;
        if let Some(feed) = slot.and_then(|slot| self.slots.get(slot).feed.as_ref()) {
            // A block that is hardly used would hold more memory than the feed counts.
            if received >= room / 2 {
                feed.push_block(std::mem::take(&mut self.cx.block));
            } else {
                feed.push(&self.cx.block);
            }
        }
        Ok(received)
    }

    fn receive_into_inbox(&mut self) -> Result<usize, Errno> {
        let inbox = &mut self.connection.inbox;
        let held = inbox.len();
        inbox.reserve(held.max(INBOX_BYTES_MIN));
        let room = inbox.capacity() - held;
        let buffer = rustix::buffer::spare_capacity(inbox);
        let received = rustix::net::recv(&self.connection.socket, buffer, RecvFlags::empty())?.1;
        self.count_received(received, room);
        if received > 0 {
            self.use_inbox();
        }
        Ok(received)
    }

    pub(super) fn count_received(&mut self, received: usize, room: usize) {
        self.budget = self.budget.saturating_sub((received / BUDGET_BYTES) as u32);
        self.cx
            .counters
            .add(Counter::BytesReceived, received as u64);
        // A short read found the socket empty; what comes later is a new event. Only the end of
        // the stream may hide behind it.
        if received < room && !self.connection.read_closed {
            self.connection.readable = false;
        }
    }

    /// True when some of what was left over could be used.
    pub(super) fn use_inbox(&mut self) -> bool {
        let mut inbox = std::mem::take(&mut self.connection.inbox);
        let used = self.use_input(&inbox);
        if used == inbox.len() {
            // Freed, not kept: an idle connection owns no buffer.
            return true;
        }
        inbox.drain(..used);
        self.connection.inbox = inbox;
        used > 0
    }

    /// Feeds the core and does what it says. Returns how many bytes are used up.
    pub(super) fn use_input(&mut self, input: &[u8]) -> usize {
        if !self.connection.is_settled && !self.settle_protocol(input) {
            return 0;
        }
        if self.connection.http2.is_some() {
            return self.use_frames(input);
        }
        let (mut used, mut steps) = (0, 0);
        while self.may_use_input() {
            steps += 1;
            if steps % BUDGET_STEPS == 0 {
                self.budget = self.budget.saturating_sub(1);
            }
            // Content can end without another byte; everything else needs one.
            if used == input.len() && self.connection.core.reading() != Reading::Content {
                break;
            }
            let mut parts = match self.connection.parts.take() {
                Some(parts) => parts,
                None => Parts::take(&self.connection.peer, &self.connection.local),
            };
            let step = self.connection.core.next_event(
                &self.cx.core_config,
                &input[used..],
                &mut parts.head,
            );
            let step = match step {
                Ok(step) => step,
                Err(violation) => {
                    parts.recycle();
                    self.violated(violation);
                    return input.len();
                }
            };
            used += step.consumed;
            if let Event::Request { framing, .. } = step.event {
                if self.holds_too_much() {
                    parts.recycle();
                    self.refuse_for_memory();
                    return input.len();
                }
                match self.initial_content(framing, &input[used..]) {
                    Ok((content, more)) => {
                        used += more;
                        self.begin(parts, content);
                    }
                    Err(violation) => {
                        parts.recycle();
                        self.violated(violation);
                        return input.len();
                    }
                }
                continue;
            }
            if self.connection.core.reading() == Reading::Head {
                self.connection.parts = Some(parts);
            } else {
                parts.recycle();
            }
            match step.event {
                Event::Request { .. } => {}
                Event::Data(data) => self.content(data, step.consumed),
                Event::End => self.content_ended(),
                Event::NeedData | Event::Paused => break,
                Event::HandOver => {
                    self.connection.ending = Ending::CloseAfterOutput;
                    break;
                }
                Event::Closed => {
                    if self.connection.ending == Ending::Open && self.connection.exchange.is_none()
                    {
                        self.connection.ending = Ending::LingerAfterOutput;
                    }
                    return input.len();
                }
            }
        }
        used
    }

    /// Whether more input may be used now: not while a response has to come first, nor while its
    /// output waits, nor for a feed that is full.
    fn may_use_input(&mut self) -> bool {
        if self.connection.ending != Ending::Open
            || self.budget == 0
            || self.cx.outbox.len() >= OUTBOX_BYTES
        {
            return false;
        }
        match self.connection.exchange {
            Some(slot) => self.feed_wants_input(slot),
            None => !self.discards_too_much(),
        }
    }

    /// Whether content that nobody reads has to wait for the next tick. Only content in tiny pieces
    /// uses up what there is for a tick; who sends other content is bounded by itself.
    pub(super) fn discards_too_much(&self) -> bool {
        self.connection.discarded > 0
            && self.cx.discard_bytes == 0
            && self.connection.core.reading() == Reading::Content
    }

    pub(super) fn feed_wants_input(&mut self, slot: u32) -> bool {
        let too_much = self.holds_too_much();
        match &self.slots.get(slot).feed {
            Some(feed) if !self.connection.core.is_request_complete() => {
                if too_much && !feed.is_empty() {
                    if self.connection.starving == Starving::No {
                        self.connection.starving = Starving::Noticed;
                    }
                    return false;
                }
                feed.wants_more()
            }
            _ => false,
        }
    }

    #[inline]
    pub(super) fn holds_too_much(&self) -> bool {
        let bytes_max = self.cx.config.connections.buffered_bytes_max;
        self.cx.held.is_above(bytes_max)
    }

    /// Whether there is anything to read now.
    pub(super) fn has_input(&self) -> bool {
        !self.connection.inbox.is_empty()
            || self.is_end_untold()
            || (self.connection.readable && !self.connection.eof)
    }

    /// The last byte of content filled the feed, so that its end had to wait. No other byte, and
    /// no event, will come to tell it.
    fn is_end_untold(&self) -> bool {
        self.connection.http2.is_none()
            && self.connection.core.content_remaining() == ContentRemaining::Known(0)
    }

    /// Takes the content that came with the head. Most content is small and all here: then the
    /// handler finds it ready, and no feed is needed.
    fn initial_content(
        &mut self,
        framing: Framing,
        input: &[u8],
    ) -> Result<(InitialContent, usize), Violation> {
        if matches!(framing, Framing::None | Framing::Length(0)) {
            return Ok((InitialContent::None, 0));
        }
        let mut gathered = Vec::new();
        let mut used = 0;
        let mut pieces = 0;
        // The core does not touch the head while it reads content.
        let mut no_head = ajay_http::RequestHead::new();
        loop {
            let step = self.connection.core.next_event(
                &self.cx.core_config,
                &input[used..],
                &mut no_head,
            )?;
            used += step.consumed;
            match step.event {
                Event::Data(data) => {
                    gathered.extend_from_slice(data);
                    pieces += 1;
                    // Content in that many pieces is read as content that is not here yet is: with a
                    // budget, and only if somebody wants it.
                    if pieces == BUDGET_STEPS {
                        self.budget = self.budget.saturating_sub(1);
                        return Ok((InitialContent::Begun(gathered), used));
                    }
                }
                Event::End => {
                    let trailers = self.connection.core.take_trailers();
                    return Ok((InitialContent::Complete(gathered.into(), trailers), used));
                }
                _ => return Ok((InitialContent::Begun(gathered), used)),
            }
        }
    }

    /// Content that came in so many bytes, with the framing before it.
    fn content(&mut self, data: &[u8], received: usize) {
        self.connection.clock.moved(data.len(), self.cx.now);
        let feed = self
            .connection
            .exchange
            .and_then(|slot| self.slots.get(slot).feed.as_ref());
        if let Some(feed) = feed {
            feed.push(data);
            return;
        }
        // What its framing costs us is not less than what it holds, and each piece costs something.
        let cost = received.max(PIECE_COST_BYTES);
        self.connection.discarded += cost as u64;
        if data.len() < PIECE_COST_BYTES {
            self.cx.discard_bytes = self.cx.discard_bytes.saturating_sub(cost);
        }
        if self.connection.discarded > self.cx.config.connections.content_discarded_bytes_max {
            self.connection.ending = Ending::LingerAfterOutput;
        }
    }

    fn content_ended(&mut self) {
        let trailers = self.connection.core.take_trailers();
        match self.connection.exchange {
            Some(slot) => {
                // From here on it is the handler that takes its time.
                self.connection.clock.restart(Wait::Nothing, self.cx.now);
                if let Some(feed) = self.slots.get(slot).feed.take() {
                    feed.end(Ok(()), trailers);
                }
            }
            None => self.next_cycle(),
        }
    }

    /// The peer broke a rule or a limit.
    fn violated(&mut self, violation: Violation) {
        let status = violation.status();
        self.cx.counters.count(match status {
            StatusCode::PAYLOAD_TOO_LARGE => Counter::ContentTooLarge,
            StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                Counter::HeadTooLarge
            }
            _ => Counter::Violations,
        });
        let peer = self.connection.peer;
        tracing::debug!(%peer, violation = violation.name(), "refused: {violation}");
        match self.connection.exchange {
            Some(slot) => self.content_violated(slot, status),
            None => self.refuse(status),
        }
    }

    /// The rest of the content cannot be read while a handler works on the request.
    fn content_violated(&mut self, slot: u32, status: StatusCode) {
        let error = match status {
            StatusCode::PAYLOAD_TOO_LARGE => ContentError::TooLarge,
            _ => ContentError::Invalid,
        };
        if let Some(feed) = self.slots.get(slot).feed.take() {
            feed.end(Err(error), None);
        }
        if self.slots.get(slot).is_running() {
            self.refuse_running(slot, status);
        } else {
            // A response is under way; it is broken off.
            self.connection.broken = true;
        }
    }

    /// Nothing more will come.
    fn end_of_input(&mut self) -> Result<bool, Close> {
        let connection = &mut *self.connection;
        connection.eof = true;
        connection.read_closed = true;
        connection.readable = false;
        if connection.http2.is_some() {
            let unused = connection.inbox.len();
            self.end_of_frames(unused);
            return Ok(true);
        }
        match connection.core.handle_eof(connection.inbox.len()) {
            EofEffect::Idle => {}
            EofEffect::InHead => self.cx.counters.count(Counter::EofInHead),
            EofEffect::InContent => {
                self.cx.counters.count(Counter::EofInContent);
                let slot = self.connection.exchange;
                if let Some(feed) = slot.and_then(|slot| self.slots.get(slot).feed.take()) {
                    feed.end(Err(ContentError::Incomplete), None);
                }
            }
            _ => {}
        }
        match self.connection.exchange {
            // The exchange decides, see `is_client_gone`.
            Some(_) => Ok(true),
            // What has been answered leaves first.
            None => {
                self.connection.ending = Ending::CloseAfterOutput;
                Ok(true)
            }
        }
    }

    /// Sends `100 Continue` when the handler waits for content that the client holds back.
    pub(super) fn continue_if_awaited(&mut self, slot: u32) {
        if !self.connection.core.expects_continue() {
            return;
        }
        let awaited = self
            .slots
            .get(slot)
            .feed
            .as_ref()
            .is_some_and(|feed| feed.is_awaited());
        if awaited
            && self
                .connection
                .core
                .send_continue(&mut self.cx.outbox.buffer)
                .is_err()
        {
            tracing::error!("the core refused to send 100 Continue");
        }
    }

    pub(super) fn begin_lingering(&mut self) -> Result<(), Close> {
        self.connection.ending = Ending::Lingering;
        self.connection.inbox = Vec::new();
        self.connection.discarded = 0;
        match rustix::net::shutdown(&self.connection.socket, Shutdown::Write) {
            Ok(()) if !self.connection.eof => Ok(()),
            _ => Err(Close::Plain),
        }
    }

    /// Throws away what comes, until the peer closes or has sent too much. All lingering connections
    /// of a worker together get only so much in a tick: who is not read has to wait, and costs nothing.
    pub(super) fn linger(&mut self) -> Result<Outcome, Close> {
        while self.connection.readable {
            let room = self.cx.discard_bytes.min(self.cx.scratch.len());
            if room == 0 {
                return Ok(Outcome::NextTick);
            }
            let scratch = &mut self.cx.scratch[..room];
            // On a TCP socket this flag throws bytes away instead of copying them.
            match rustix::net::recv(&self.connection.socket, scratch, RecvFlags::TRUNC) {
                Ok((_, 0)) => return Err(Close::Plain),
                Ok((_, received)) => {
                    self.cx.discard_bytes -= received.min(room);
                    self.connection.discarded += received as u64;
                    if self.connection.discarded > LINGER_BYTES_MAX {
                        return Err(Close::Plain);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.connection.readable = false,
                Err(_) => return Err(Close::Plain),
            }
        }
        Ok(Outcome::Wait)
    }

    pub(super) fn content_is_small_enough_to_discard(&self) -> bool {
        match self.connection.core.content_remaining() {
            ContentRemaining::None => true,
            ContentRemaining::Known(bytes) => {
                bytes <= self.cx.config.connections.content_discarded_bytes_max
            }
            // Chunks may still turn out to be few.
            ContentRemaining::Unknown => true,
        }
    }
}

/// What a lingering connection may still send. A client that ignores our close for longer than
/// this is reset: 16 MiB is what a fast sender has under way before it sees the response.
const LINGER_BYTES_MAX: u64 = 16 * 1024 * 1024;
