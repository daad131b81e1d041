//! The server's side of one TLS connection (RFC 8446, RFC 5246), over rustls's unbuffered API.
//!
//! | state | `receive` | `encrypt` |
//! |---|---|---|
//! | handshaking | appends handshake records | refused |
//! | open | hands out plaintext; appends answers to key updates | appends records |
//! | the peer closed | ignores what comes | appends records |
//! | closed by us | hands out plaintext; appends nothing | refused |
//! | failed | repeats the failure | refused |
//!
//! # Who keeps what
//!
//! Records that are whole are decrypted where they lie in the caller's input; all of the input is used
//! up by each call. Of a record that is not whole yet the session keeps the part that came, and of a
//! handshake message that spans records all of them, since rustls reassembles it in place. Then the
//! records that follow are completed in this memory until there is nothing left to keep, and it is
//! freed: an idle session holds rustls's state and nothing else.
//!
//! rustls remembers positions in the bytes that it could not use yet and trusts its caller to pass
//! them again. So a call that encrypts passes [`Held`] too. It is asked once for a header that is
//! there and once for a fragment, and not for each piece of them, so that nothing depends on how TCP
//! cut them.

use std::cell::{Cell, RefCell};
use std::mem;

use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError as RustlsEncryptError,
    InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion};

use crate::config::Config;
use crate::failure::{EncryptError, Failure};

/// One connection.
///
/// Feed what the socket gives to [`receive`](Session::receive), write with
/// [`encrypt`](Session::encrypt), end with [`close`](Session::close). All three append records to the
/// caller's output, to be sent in this order. At the end of the socket's input
/// [`input_ended`](Session::input_ended) says what it means.
pub struct Session {
    connection: UnbufferedServerConnection,
    held: Held,
    /// The name in the client's hello, in lower case, without a dot at its end.
    sni: Option<Box<str>>,
    /// When the client's certificate expires; [`FOREVER`] without one.
    client_good_until: u64,
    /// Plaintext sent since the connection was idle, for the size of records.
    sent_since_idle: usize,
    /// The peer's close_notify came.
    peer_closed: bool,
    ending: Ending,
}

/// Input that rustls could not use yet.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// So many of them are whole records, pieces of a handshake message. Behind them is part of a
    /// record, or nothing.
    whole: usize,
}

#[derive(Clone, Copy)]
enum Ending {
    No,
    /// We sent close_notify.
    Closed,
    Failed(Failure),
}

/// What the end of the transport's input means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InputEnd {
    /// The peer had sent close_notify: nothing was cut off.
    Clean,
    /// There was none: an attacker could have cut off what the peer sent (RFC 8446 §6.1). A message
    /// whose end shows from its framing is still good.
    Truncated,
    /// The handshake was not complete.
    DuringHandshake,
}

impl Session {
    /// A session that waits for the client's hello.
    ///
    /// # Errors
    ///
    /// [`Failure::Internal`] if there is no randomness.
    pub fn new(config: &Config) -> Result<Session, Failure> {
        let connection = UnbufferedServerConnection::new(config.rustls())
            .map_err(|error| Failure::from(&error))?;
        Ok(Session {
            connection,
            held: Held::default(),
            sni: None,
            client_good_until: FOREVER,
            sent_since_idle: 0,
            peer_closed: false,
            ending: Ending::No,
        })
    }

    /// Takes what the peer sent, all of it, and decrypts in place. Plaintext goes to `sink`, a record
    /// at a time; whatever must be sent is appended to `output`.
    ///
    /// What comes after the peer's close_notify is ignored. After ours nothing more is appended.
    ///
    /// # Errors
    ///
    /// After a failure, which is repeated from then on, send `output` and close.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        output: &mut Vec<u8>,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        if let Ending::Failed(failure) = self.ending {
            return Err(failure);
        }
        let len = output.len();
        let is_silent = matches!(self.ending, Ending::Closed) && !self.is_handshaking();
        let result = self.receive_records(input, output, &mut sink);
        if is_silent {
            // rustls would send alerts behind its close_notify.
            output.truncate(len);
        }
        result
    }

    fn receive_records(
        &mut self,
        mut input: &mut [u8],
        output: &mut Vec<u8>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        while !input.is_empty() && !self.peer_closed {
            match whole_record(input) {
                Some(len) if self.held.bytes.is_empty() => {
                    let (record, rest) = mem::take(&mut input).split_at_mut(len);
                    let used = self.advance(record, output, sink)?;
                    if used > 0 || !did_not_decrypt(record) {
                        self.held.keep(&record[used..]);
                    }
                    input = rest;
                }
                _ => {
                    let (rest, is_filled) = self.held.fill_from(mem::take(&mut input));
                    if is_filled {
                        self.advance_held(output, sink)?;
                    }
                    input = rest;
                }
            }
            if self.held.bytes.len() > HELD_MAX {
                self.append_close_notify(output);
                return Err(self.fail(Failure::HandshakeTooLarge, output));
            }
        }
        self.flush(output);
        Ok(())
    }

    /// Encrypts all of `plaintext` into records appended to `output`: small ones first, so that a
    /// client can use each as its packet arrives, then large ones, which cost less.
    ///
    /// # Errors
    ///
    /// See [`EncryptError`]; what was appended before is to be sent.
    pub fn encrypt(&mut self, plaintext: &[u8], output: &mut Vec<u8>) -> Result<(), EncryptError> {
        match self.ending {
            Ending::No if self.is_handshaking() => return Err(EncryptError::Handshaking),
            Ending::No => {}
            Ending::Closed => return Err(EncryptError::Closed),
            Ending::Failed(failure) => return Err(EncryptError::Failed(failure)),
        }
        let mut rest = plaintext;
        while !rest.is_empty() {
            let len = if self.sent_since_idle < SMALL_RECORDS_LEN {
                SMALL_RECORD_LEN.min(rest.len())
            } else {
                PLAINTEXT_RECORD_MAX.min(rest.len())
            };
            let (record, after) = rest.split_at(len);
            self.encrypt_record(record, output)
                .map_err(|failure| EncryptError::Failed(self.fail(failure, output)))?;
            self.sent_since_idle = self.sent_since_idle.saturating_add(len);
            rest = after;
        }
        Ok(())
    }

    /// The connection was idle: the congestion window is small again, and so are the next records.
    pub fn was_idle(&mut self) {
        self.sent_since_idle = 0;
    }

    /// Appends close_notify, once. Nothing can be encrypted from then on, while `receive` goes on
    /// until the peer closes too. Allowed at any time; nothing is appended after a failure, nor while
    /// there are no keys to send anything with.
    pub fn close(&mut self, output: &mut Vec<u8>) {
        if let Ending::No = self.ending {
            self.ending = Ending::Closed;
            self.append_close_notify(output);
        }
    }

    /// What it means that the transport's input ended now.
    #[must_use]
    pub fn input_ended(&self) -> InputEnd {
        if self.peer_closed {
            InputEnd::Clean
        } else if self.is_handshaking() {
            InputEnd::DuringHandshake
        } else {
            InputEnd::Truncated
        }
    }

    /// Until the handshake is complete nothing can be encrypted, and nothing known below is
    /// authenticated.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The peer's close_notify came: no more plaintext will.
    #[must_use]
    pub fn peer_has_closed(&self) -> bool {
        self.peer_closed
    }

    /// The application protocol that was agreed on (RFC 7301).
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// The server's name as the client gave it, in lower case. The dot at its end that some clients
    /// send (RFC 6066 §3 has none) is gone.
    #[must_use]
    pub fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }

    /// The client's certificate and those that it sent along, verified.
    #[must_use]
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection.peer_certificates()
    }

    /// TLS 1.2 or 1.3.
    #[must_use]
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.connection.protocol_version()
    }

    /// The cipher suite.
    #[must_use]
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        let suite = self.connection.negotiated_cipher_suite()?;
        Some(suite.suite())
    }

    /// The group of the key exchange, unless the session was resumed without one.
    #[must_use]
    pub fn key_exchange_group(&self) -> Option<NamedGroup> {
        let group = self.connection.negotiated_key_exchange_group()?;
        Some(group.name())
    }

    /// A full handshake or a resumed session.
    #[must_use]
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.connection.handshake_kind()
    }

    /// Bytes of input that are kept.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn held_len(&self) -> usize {
        self.held.bytes.len()
    }

    /// Lets rustls work on a record; how much of it is used up. What is not belongs to a handshake
    /// message that goes on in the next.
    fn advance(
        &mut self,
        record: &mut [u8],
        output: &mut Vec<u8>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<usize, Failure> {
        let was_handshaking = self.connection.is_handshaking();
        if was_handshaking {
            CLIENT_GOOD_UNTIL.set(self.client_good_until);
        }
        let result = advance(&mut self.connection, record, output, sink);
        if was_handshaking {
            self.client_good_until = CLIENT_GOOD_UNTIL.get();
            if let Some(name) = NAME_SEEN.take() {
                self.sni = Some(name);
            }
        }
        match result {
            Ok(Advanced { used, peer_closed }) => {
                self.peer_closed |= peer_closed;
                Ok(used)
            }
            Err(failure) => Err(self.fail(failure, output)),
        }
    }

    fn advance_held(
        &mut self,
        output: &mut Vec<u8>,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        let mut held = mem::take(&mut self.held);
        let mut used = self.advance(&mut held.bytes, output, sink)?;
        let is_one_record = record_len(&held.bytes) == Some(held.bytes.len());
        if used == 0 && is_one_record && did_not_decrypt(&held.bytes) {
            used = held.bytes.len();
        }
        held.release(used);
        self.held = held;
        Ok(())
    }

    fn encrypt_record(&mut self, record: &[u8], output: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            let UnbufferedStatus { state, .. } =
                self.connection.process_tls_records(&mut self.held.bytes);
            match state.map_err(|error| Failure::from(&error))? {
                ConnectionState::WriteTraffic(traffic) => {
                    return append_record(traffic, record, output);
                }
                ConnectionState::EncodeTlsData(data) => append_handshake(data, output)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                // `receive` saw that the peer closed, and leaves nothing to be read.
                _ => return Err(Failure::Internal),
            }
        }
    }

    /// Remembers the failure, and appends the alert that tells the peer.
    fn fail(&mut self, failure: Failure, output: &mut Vec<u8>) -> Failure {
        self.ending = Ending::Failed(failure);
        self.flush(output);
        self.held = Held::default();
        failure
    }

    /// Appends what waits to be sent. While there is something, rustls does not look at its input,
    /// so that after a failure it needs none.
    fn flush(&mut self, output: &mut Vec<u8>) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    if append_handshake(data, output).is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    fn append_close_notify(&mut self, output: &mut Vec<u8>) {
        loop {
            let UnbufferedStatus { state, .. } =
                self.connection.process_tls_records(&mut self.held.bytes);
            match state {
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    if append_handshake(data, output).is_err() {
                        return;
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let start = output.len();
                    // Asked with no room, it says how much it needs.
                    if let Err(RustlsEncryptError::InsufficientSize(InsufficientSizeError {
                        required_size,
                    })) = traffic.queue_close_notify(&mut [])
                    {
                        output.resize(start + required_size, 0);
                        let written = traffic.queue_close_notify(&mut output[start..]);
                        output.truncate(start + written.unwrap_or(0));
                    }
                    return;
                }
                _ => return,
            }
        }
    }
}

impl Held {
    /// Keeps the whole records that are left of the input.
    fn keep(&mut self, records: &[u8]) {
        self.bytes.extend_from_slice(records);
        self.whole += records.len();
    }

    /// Takes from the input what the last record still needs, first its header and then its
    /// fragment; returns the rest, and whether the one or the other is there now.
    fn fill_from<'a>(&mut self, input: &'a mut [u8]) -> (&'a mut [u8], bool) {
        let missing = self.missing();
        let (taken, rest) = input.split_at_mut(missing.min(input.len()));
        self.bytes.extend_from_slice(taken);
        if self.missing() == 0 {
            self.whole = self.bytes.len();
        }
        let is_filled = taken.len() == missing;
        (rest, is_filled)
    }

    /// How much the last record lacks, or its header.
    fn missing(&self) -> usize {
        let part = &self.bytes[self.whole..];
        match record_len(part) {
            Some(len) => len - part.len(),
            None => HEADER_LEN - part.len(),
        }
    }

    /// Forgets what was used up, and frees the memory with the last of it.
    fn release(&mut self, used: usize) {
        if used == self.bytes.len() {
            *self = Held::default();
        } else if used > 0 {
            self.bytes.drain(..used);
            self.whole = self.whole.saturating_sub(used);
        }
    }
}

/// What came of the bytes that rustls was given.
struct Advanced {
    used: usize,
    peer_closed: bool,
}

fn advance(
    connection: &mut UnbufferedServerConnection,
    input: &mut [u8],
    output: &mut Vec<u8>,
    sink: &mut impl FnMut(&[u8]),
) -> Result<Advanced, Failure> {
    let mut used = 0;
    let mut peer_closed = false;
    loop {
        let UnbufferedStatus { discard, state } =
            connection.process_tls_records(&mut input[used..]);
        let mut done = false;
        match state.map_err(|error| Failure::from(&error))? {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    sink(record.map_err(|error| Failure::from(&error))?.payload);
                }
                // With the record used up there is nothing more, but for what `flush` appends.
                done = used + discard == input.len();
            }
            ConnectionState::EncodeTlsData(data) => append_handshake(data, output)?,
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::PeerClosed => peer_closed = true,
            ConnectionState::BlockedHandshake
            | ConnectionState::WriteTraffic(_)
            | ConnectionState::Closed => done = true,
            // Early data is never accepted.
            _ => return Err(Failure::Internal),
        }
        used += discard;
        if done {
            return Ok(Advanced { used, peer_closed });
        }
    }
}

fn append_handshake(
    mut data: EncodeTlsData<'_, ServerConnectionData>,
    output: &mut Vec<u8>,
) -> Result<(), Failure> {
    let start = output.len();
    // Asked with no room, it says how much it needs.
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
        data.encode(&mut [])
    {
        output.resize(start + required_size, 0);
        data.encode(&mut output[start..])
            .map_err(|_| Failure::Internal)?;
    }
    Ok(())
}

fn append_record(
    mut traffic: WriteTraffic<'_, ServerConnectionData>,
    plaintext: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), Failure> {
    let start = output.len();
    let mut room = plaintext.len() + RECORD_OVERHEAD_MAX;
    loop {
        output.resize(start + room, 0);
        match traffic.encrypt(plaintext, &mut output[start..]) {
            Ok(written) => {
                output.truncate(start + written);
                return Ok(());
            }
            // A key update goes first.
            Err(RustlsEncryptError::InsufficientSize(InsufficientSizeError { required_size }))
                if required_size > room =>
            {
                room = required_size;
            }
            Err(RustlsEncryptError::EncryptExhausted) => {
                output.truncate(start);
                return Err(Failure::KeyExhausted);
            }
            Err(RustlsEncryptError::InsufficientSize(_)) => {
                output.truncate(start);
                return Err(Failure::Internal);
            }
        }
    }
}

/// The length of the first record with its header, if all of it is there.
fn whole_record(input: &[u8]) -> Option<usize> {
    record_len(input).filter(|&len| len <= input.len())
}

/// The length of the first record with its header (RFC 8446 §5.1).
fn record_len(input: &[u8]) -> Option<usize> {
    let header = input.first_chunk::<HEADER_LEN>()?;
    Some(HEADER_LEN + usize::from(u16::from_be_bytes([header[3], header[4]])))
}

/// Whether a record of which rustls used nothing is one that it skipped: early data that we did not
/// agree to, encrypted with keys that we do not have (RFC 8446 §4.2.10). Passed again with what comes
/// next, it would be decrypted and counted once more, each time.
///
/// In the first part of a message there is plaintext, with a content type at its end, which is not
/// zero (§5.4). Of a record that does not decrypt aws-lc leaves zeros; too short a one holds a tag at
/// most.
fn did_not_decrypt(record: &[u8]) -> bool {
    match record.split_first_chunk::<HEADER_LEN>() {
        Some((&[APPLICATION_DATA, ..], fragment)) => {
            let len = fragment.len().saturating_sub(TAG_LEN);
            fragment[..len].iter().all(|&byte| byte == 0)
        }
        _ => false,
    }
}

thread_local! {
    /// The name of the hello that this thread's call of rustls is processing. rustls 0.23 tells it to
    /// the resolver of certificates only, which knows no connection.
    static NAME_SEEN: RefCell<Option<Box<str>>> = const { RefCell::new(None) };

    /// [`Session::client_good_until`] of the session whose handshake this thread's call of rustls is
    /// processing, for its tickets.
    static CLIENT_GOOD_UNTIL: Cell<u64> = const { Cell::new(FOREVER) };
}

/// For the resolver: the name that the client asks for.
pub(crate) fn name_seen(name: Option<&str>) {
    NAME_SEEN.set(name.map(|name| Box::from(name.trim_end_matches('.'))));
}

/// For the verifier, or from a ticket: when the client's certificate expires.
pub(crate) fn set_client_good_until(time: u64) {
    CLIENT_GOOD_UNTIL.set(time);
}

/// For tickets: when the client's certificate expires.
pub(crate) fn client_good_until() -> u64 {
    CLIENT_GOOD_UNTIL.get()
}

/// Without a certificate there is none that expires.
const FOREVER: u64 = u64::MAX;

const HEADER_LEN: usize = 5;
const TAG_LEN: usize = 16;

/// The content type of all records that are encrypted, in TLS 1.3 (RFC 8446 §5.2).
const APPLICATION_DATA: u8 = 23;

/// The most plaintext in a record (RFC 8446 §5.1).
pub const PLAINTEXT_RECORD_MAX: usize = 1 << 14;

/// With what TLS adds, fits into one segment of TCP over Ethernet, options included.
const SMALL_RECORD_LEN: usize = 1400;

/// Records are small until about as much was sent as the congestion window lets through early on.
const SMALL_RECORDS_LEN: usize = 64 * 1024;

/// Header, content type and tag; TLS 1.2 has an explicit nonce instead of the content type.
const RECORD_OVERHEAD_MAX: usize = HEADER_LEN + 8 + 16;

/// A client's flight with its certificates is below 10 KiB even with long chains. rustls lets a
/// message be 64 KiB, in as many records as one likes.
pub(crate) const HELD_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
