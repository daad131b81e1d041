//! TLS under a connection: bytes of the socket on one side, of the protocol on the other.
//!
//! What the session has to send goes into the worker's `sealed` buffer, in the order in which it was
//! made: records of the handshake at once, the output of a turn when it leaves. So the order on the
//! wire is the order of the records' numbers, and output that waits for the socket is encrypted already.

use ajay_tls::{Failure, InputEnd};
use rustix::io::Errno;

use super::*;
use crate::tls::TlsInfo;

/// What a connection over TLS has beside what every connection has.
pub(crate) struct Tls {
    session: ajay_tls::Session,
    /// Nothing has come yet.
    is_new: bool,
    /// Our close_notify is on its way, or there is no use for one.
    is_closed: bool,
    /// What requests are told, once the handshake is complete.
    pub(crate) info: Option<Arc<TlsInfo>>,
}

impl Tls {
    pub(crate) fn new(session: ajay_tls::Session) -> Tls {
        Tls {
            session,
            is_new: true,
            is_closed: false,
            info: None,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.info.is_none()
    }

    /// Appends close_notify, once.
    fn close(&mut self, sealed: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.session.close(sealed);
        }
    }
}

/// A record holds so much; smaller pieces of output are gathered into one.
const RECORD_BYTES: usize = ajay_tls::PLAINTEXT_RECORD_MAX;

/// So long nothing was sent or received when the kernel's congestion window counts as cold.
const IDLE_TICKS: crate::deadline::Tick = 4;

/// What a client sees that speaks HTTP to a port for HTTPS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 49\r\nConnection: close\r\n\r\nThis port speaks HTTPS: use https:// in the URL.\n";

impl<S: Service> Session<'_, S> {
    /// Reads once, decrypts, and uses what comes of it. Returns the bytes received.
    pub(super) fn receive_tls(&mut self) -> Result<usize, Errno> {
        let mut scratch = std::mem::take(&mut self.cx.scratch);
        let received = rustix::net::recv(
            &self.connection.socket,
            &mut scratch[..],
            rustix::net::RecvFlags::empty(),
        );
        if let Ok((_, received)) = received
            && received > 0
        {
            self.note_idleness();
            self.count_received(received, scratch.len());
            self.decrypt(&mut scratch[..received]);
        }
        self.cx.scratch = scratch;
        received.map(|(_, received)| received)
    }

    /// After a second without anything the path's congestion window is small again, and so are the next
    /// records.
    fn note_idleness(&mut self) {
        let clock = &self.connection.clock;
        let is_idle = clock.wait() == Wait::Idle && self.cx.now > clock.since() + IDLE_TICKS;
        if is_idle && let Some(tls) = self.connection.tls.as_deref_mut() {
            tls.session.was_idle();
        }
    }

    fn decrypt(&mut self, input: &mut [u8]) {
        let Some(tls) = self.connection.tls.as_deref_mut() else {
            return;
        };
        if std::mem::take(&mut tls.is_new) && ajay_tls::looks_like_http(input) {
            return self.refuse_plain_http();
        }
        let mut plain = std::mem::take(&mut self.cx.plain);
        plain.clear();
        let was_handshaking = tls.is_handshaking();
        let result = tls.session.receive(input, &mut self.cx.sealed, |data| {
            plain.extend_from_slice(data);
        });
        if was_handshaking && result.is_ok() && !tls.session.is_handshaking() {
            self.handshake_completed();
        }
        if let Err(failure) = result {
            self.tls_failed(failure);
        } else if !plain.is_empty() {
            self.use_plaintext(&plain);
        }
        self.cx.plain = plain;
    }

    fn use_plaintext(&mut self, plain: &[u8]) {
        if self.connection.inbox.is_empty() {
            let used = self.use_input(plain);
            self.connection.inbox.extend_from_slice(&plain[used..]);
        } else {
            self.connection.inbox.extend_from_slice(plain);
            self.use_inbox();
        }
    }

    /// Whether the peer has said that it sends nothing more, which means the same as FIN.
    pub(super) fn tls_has_ended(&self) -> bool {
        let tls = self.connection.tls.as_deref();
        tls.is_some_and(|tls| tls.session.input_ended() == InputEnd::Clean)
    }

    #[inline(never)]
    fn handshake_completed(&mut self) {
        let Some(tls) = self.connection.tls.as_deref_mut() else {
            return;
        };
        let info = TlsInfo::of(&tls.session);
        let (is_http2, is_resumed) = (info.is_http2(), info.is_resumed());
        tls.info = Some(Arc::new(info));
        self.cx.handshakes -= 1;
        self.cx.counters.count(Counter::TlsHandshakes);
        if is_resumed {
            self.cx.counters.count(Counter::TlsResumptions);
        }
        self.connection.is_settled = true;
        if is_http2 {
            self.become_http2();
        }
    }

    #[inline(never)]
    fn tls_failed(&mut self, failure: Failure) {
        self.cx.counters.count(Counter::TlsFailures);
        let peer = self.connection.peer;
        tracing::debug!(%peer, failure = failure.name(), "TLS failed: {failure}");
        // What was written cannot be encrypted any more; the alert says why.
        self.cx.outbox.clear();
        if let Some(tls) = self.connection.tls.as_deref_mut() {
            tls.is_closed = true;
        }
        self.abandon_exchanges();
        self.connection.ending = Ending::LingerAfterOutput;
    }

    /// Says in cleartext what is wrong, since the client understands nothing else.
    #[inline(never)]
    fn refuse_plain_http(&mut self) {
        self.cx.counters.count(Counter::TlsPlainHttp);
        self.end_handshake();
        self.connection.tls = None;
        self.cx.outbox.buffer.extend_from_slice(PLAIN_HTTP);
        self.connection.ending = Ending::LingerAfterOutput;
    }

    /// A handshake that does not end any more makes room for another.
    pub(super) fn end_handshake(&mut self) {
        let tls = self.connection.tls.as_deref();
        if tls.is_some_and(Tls::is_handshaking) {
            self.cx.handshakes -= 1;
        }
    }

    /// Encrypts what waits in the outbox, and puts the records in its place.
    pub(super) fn seal(&mut self) {
        let Some(tls) = self.connection.tls.as_deref_mut() else {
            return;
        };
        if self.cx.outbox.is_empty() && self.cx.sealed.is_empty() {
            return;
        }
        let (sealed, gather) = (&mut self.cx.sealed, &mut self.cx.plain);
        gather.clear();
        let mut result = Ok(());
        let mut encrypt = |data: &[u8], sealed: &mut Vec<u8>| {
            if result.is_ok() && !data.is_empty() {
                result = tls.session.encrypt(data, sealed);
            }
        };
        self.cx.outbox.for_each(|mut piece| {
            // Small pieces would be small records: they go together with what follows them.
            while !piece.is_empty() {
                if gather.is_empty() && piece.len() >= RECORD_BYTES {
                    let whole = piece.len() - piece.len() % RECORD_BYTES;
                    encrypt(&piece[..whole], sealed);
                    piece = &piece[whole..];
                } else {
                    let len = piece.len().min(RECORD_BYTES - gather.len());
                    gather.extend_from_slice(&piece[..len]);
                    piece = &piece[len..];
                    if gather.len() == RECORD_BYTES {
                        encrypt(gather, sealed);
                        gather.clear();
                    }
                }
            }
        });
        encrypt(gather, sealed);
        gather.clear();
        let ending = self.connection.ending;
        if matches!(ending, Ending::CloseAfterOutput | Ending::LingerAfterOutput) {
            // Nothing comes after this: what says so leaves along with it.
            tls.close(sealed);
        }
        if let Err(error) = result {
            // Only a failure, after which nothing is written: see `tls_failed`.
            tracing::debug!(peer = %self.connection.peer, %error, "output was not encrypted");
            self.connection.broken = true;
        }
        self.cx.outbox.replace(&mut self.cx.sealed);
    }

    /// On a connection that is about to be closed: tells the peer that nothing was cut off, if that can
    /// be told at once.
    pub(crate) fn say_goodbye(&mut self) {
        self.cx.outbox.clear();
        let can = self.connection.pending.is_none() && !self.connection.is_handshaking();
        if can && !self.connection.broken && self.close_tls() {
            let _ = self.flush();
        }
    }

    /// Appends close_notify to what is sent, once. True when there is something to be sent now.
    pub(super) fn close_tls(&mut self) -> bool {
        let Some(tls) = self.connection.tls.as_deref_mut() else {
            return false;
        };
        tls.close(&mut self.cx.sealed);
        !self.cx.sealed.is_empty()
    }
}
