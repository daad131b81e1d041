//! Output: what a turn produces, and what the socket did not take.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

/// The worker's output buffer. All responses of one readable turn are gathered here and leave in
/// one send; connections own no buffer for it.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Heads, framing and small content, in order.
    pub(crate) buffer: Vec<u8>,
    /// Large content, by reference, with its place: the length of `buffer` when it was added.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
}

/// Content up to this size is copied behind its head: one contiguous send beats a gathering one
/// until the copy costs about what a second `iovec` entry does.
pub(crate) const COPY_BYTES_MAX: usize = 8 * 1024;

/// The buffer keeps this much between turns.
const KEPT_BYTES_MAX: usize = 256 * 1024;

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() + self.shared_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds content that lives elsewhere.
    pub(crate) fn push(&mut self, data: Bytes) {
        if data.len() <= COPY_BYTES_MAX {
            self.buffer.extend_from_slice(&data);
        } else {
            self.shared_bytes += data.len();
            self.shared.push((self.buffer.len(), data));
        }
    }

    /// Adds content that lives for ever.
    #[inline]
    pub(crate) fn push_static(&mut self, data: &'static [u8]) {
        if data.len() <= COPY_BYTES_MAX {
            self.buffer.extend_from_slice(data);
        } else {
            self.push(Bytes::from_static(data));
        }
    }

    /// All of it, piece by piece.
    pub(crate) fn for_each(&self, mut see: impl FnMut(&[u8])) {
        let mut from = 0;
        for (at, data) in &self.shared {
            see(&self.buffer[from..*at]);
            see(data);
            from = *at;
        }
        see(&self.buffer[from..]);
    }

    /// Puts these bytes in the place of all there is; their own place is empty then.
    pub(crate) fn replace(&mut self, by: &mut Vec<u8>) {
        self.clear();
        std::mem::swap(&mut self.buffer, by);
    }

    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES_MAX);
        self.shared.clear();
        self.shared_bytes = 0;
    }

    /// Sends all of it; what the socket does not take goes to `pending` (which must be empty).
    /// Returns the bytes sent. The outbox is empty afterwards.
    pub(crate) fn send(
        &mut self,
        socket: &OwnedFd,
        pending: &mut Option<Box<Pending>>,
    ) -> io::Result<usize> {
        if !self.shared.is_empty() {
            let mut all = self.keep_rest(0);
            self.clear();
            let result = all.send(socket);
            *pending = Some(all).filter(|rest| !rest.is_empty());
            return result;
        }
        let total = self.len();
        let result = send(socket, &self.buffer);
        if let Ok(sent) = result
            && sent < total
        {
            *pending = Some(self.keep_rest(sent));
        }
        self.clear();
        result
    }

    /// Adds everything to what is waiting already.
    pub(crate) fn append_to(&mut self, pending: &mut Pending) {
        let more = self.keep_rest(0);
        pending.pieces.extend(more.pieces);
        pending.bytes += more.bytes;
        pending.owned += more.owned;
        self.clear();
    }

    fn keep_rest(&mut self, sent: usize) -> Box<Pending> {
        let buffer = Bytes::copy_from_slice(&self.buffer);
        let mut pieces = VecDeque::with_capacity(2 * self.shared.len() + 1);
        let (mut copied, mut owned) = (0, buffer.len());
        let bytes = self.len();
        for (at, data) in self.shared.drain(..) {
            if data.is_unique() {
                owned += data.len();
            }
            pieces.push_back(buffer.slice(copied..at));
            pieces.push_back(data);
            copied = at;
        }
        pieces.push_back(buffer.slice(copied..));
        let mut pending = Pending {
            pieces,
            bytes,
            owned,
        };
        pending.advance(sent);
        Box::new(pending)
    }
}

/// Output that waits for the socket to become writable.
pub(crate) struct Pending {
    pieces: VecDeque<Bytes>,
    /// Bytes of all pieces.
    bytes: usize,
    /// Bytes that exist for this connection only; what has been sent of them is not taken off.
    owned: usize,
}

impl Pending {
    /// Sends until the socket is full or nothing is left. Returns the bytes sent;
    /// [`is_empty`](Pending::is_empty) says whether that was all.
    pub(crate) fn send(&mut self, socket: &OwnedFd) -> io::Result<usize> {
        let mut total = 0;
        while !self.is_empty() {
            let gathered = self.pieces.iter().take(GATHERED_PIECES_MAX);
            let offered: usize = gathered.clone().map(Bytes::len).sum();
            let sent = send_gathered(socket, gathered.map(|piece| IoSlice::new(piece)))?;
            self.advance(sent);
            total += sent;
            // Only a socket that is full tells when it has room again.
            if sent < offered {
                break;
            }
        }
        Ok(total)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// What would be free if this were dropped, at most.
    pub(crate) fn held(&self) -> usize {
        self.owned.min(self.bytes)
    }

    fn advance(&mut self, mut sent: usize) {
        self.bytes -= sent;
        while let Some(first) = self.pieces.front_mut() {
            if sent < first.len() {
                let _ = first.split_to(sent);
                break;
            }
            sent -= first.len();
            self.pieces.pop_front();
        }
    }
}

/// Zero when the socket is full.
fn send(socket: impl AsFd, data: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::net::send(&socket, data, SendFlags::NOSIGNAL) {
            Ok(sent) => return Ok(sent),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Pieces that one system call takes. More than this waits for the next.
const GATHERED_PIECES_MAX: usize = 64;

fn send_gathered<'a>(
    socket: impl AsFd,
    pieces: impl Iterator<Item = IoSlice<'a>>,
) -> io::Result<usize> {
    let mut gathered = [(); GATHERED_PIECES_MAX].map(|()| IoSlice::new(&[]));
    let mut used = 0;
    for (place, piece) in gathered.iter_mut().zip(pieces) {
        *place = piece;
        used += 1;
    }
    loop {
        let mut control = SendAncillaryBuffer::default();
        match rustix::net::sendmsg(
            &socket,
            &gathered[..used],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(sent) => return Ok(sent),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
