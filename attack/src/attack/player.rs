//! One connection and the script it plays.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::Socket;

use super::script::{Reading, Script, Step, Streams};
use super::tally::Tally;
use crate::Protocol;
use crate::events::Seen;
use crate::h2::{self, Frame, Scanner, fields, flag, kind};

/// Calls for one connection before others have their turn.
const CALLS_PER_TURN: usize = 8;
/// [`Step::ReadSlowly`] reads that much each period.
const SLOW_READ_BYTES: usize = 1024;
/// A read that is larger is one of many of a large response: only its beginning is looked at.
const SCANNED_BYTES_MAX: usize = 4096;
/// SETTINGS with ACK.
const ACKNOWLEDGEMENT: &[u8] = &[0, 0, 0, kind::SETTINGS, flag::ACK, 0, 0, 0, 0];

pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) script: usize,
    pub(super) opened: Instant,
    /// Of the response that was seen last, 0 before the first.
    pub(super) last_status: u16,
    /// Error code of the GOAWAY that was seen last.
    pub(super) last_goaway: Option<u32>,
    /// Waits for its turn, and must not do so twice.
    pub(super) queued: bool,
    /// Which of several sendings is ours.
    serial: u64,
    step: usize,
    /// Bytes of the step that were sent.
    sent: usize,
    timer: Timer,
    /// There may be something to read.
    readable: bool,
    /// The server has closed its sending side; what it sent before may be unread.
    finished: bool,
    answered: bool,
    /// Of [`Step::SendStreamsForever`], with the identifiers that are due.
    streams: Vec<u8>,
    frames: Scanner,
    /// SETTINGS of the server that are not acknowledged.
    unacknowledged: u32,
    /// Bytes of an acknowledgement that were sent.
    acknowledgement_sent: usize,
}

/// Of the step that is played now; none runs on into the next step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    Off,
    Armed,
    Due,
}

/// Where a turn left a connection.
pub(super) enum Turn {
    /// Until an event.
    Waiting,
    /// Until an event, or until [`Connection::timer_due`] is called.
    Timed(Wait),
    /// It used up its calls.
    Unfinished,
    Ended(End),
}

#[derive(Clone, Copy)]
pub(super) enum Wait {
    Period,
    Pause,
}

/// Who ended a connection.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// The server, in order.
    Fin,
    /// The server.
    Reset,
    Ours,
}

/// What a step came to.
enum Flow {
    Next,
    Again,
    Blocked,
    Timed(Wait),
    Ended(End),
}

impl Connection {
    pub(super) fn new(socket: Socket, script: usize, serial: u64, now: Instant) -> Connection {
        Connection {
            socket,
            script,
            opened: now,
            last_status: 0,
            last_goaway: None,
            queued: false,
            serial,
            step: 0,
            sent: 0,
            timer: Timer::Off,
            readable: false,
            finished: false,
            answered: false,
            streams: Vec::new(),
            frames: Scanner::default(),
            unacknowledged: 0,
            acknowledgement_sent: 0,
        }
    }

    pub(super) fn timer_due(&mut self) {
        self.timer = Timer::Due;
    }
}

/// A connection with what it needs to go on.
pub(super) struct Player<'a> {
    pub(super) script: &'a Script,
    pub(super) connection: &'a mut Connection,
    pub(super) tally: &'a mut Tally,
    /// What is read is thrown away.
    pub(super) received: &'a mut [u8],
}

impl Player<'_> {
    pub(super) fn turn(&mut self, seen: Option<Seen>) -> Turn {
        if let Some(seen) = seen {
            self.connection.readable |= seen.readable || seen.finished || seen.broken;
            self.connection.finished |= seen.finished;
        }
        let looked = match self.script.reading {
            Reading::All => self.receive(),
            Reading::Nothing => self.look(seen),
        };
        match looked {
            Some(end) => Turn::Ended(end),
            None => self.play(),
        }
    }

    fn receive(&mut self) -> Option<End> {
        for _ in 0..CALLS_PER_TURN {
            if !self.connection.readable {
                return None;
            }
            match recv(
                &self.connection.socket,
                &mut *self.received,
                RecvFlags::DONTWAIT,
            ) {
                Ok((0, _)) => return Some(End::Fin),
                Ok((len, _)) => {
                    self.take(len);
                    // A short read has emptied the socket; what comes later is a new event.
                    self.connection.readable =
                        len == self.received.len() || self.connection.finished;
                }
                Err(Errno::AGAIN) => self.connection.readable = false,
                Err(Errno::INTR) => {}
                Err(_) => return Some(End::Reset),
            }
        }
        None
    }

    /// Without reading: a response lets us go on, and an end is seen.
    fn look(&mut self, seen: Option<Seen>) -> Option<End> {
        let seen = seen?;
        self.connection.answered |= seen.readable && !seen.finished && !seen.broken;
        if seen.broken && matches!(self.connection.socket.take_error(), Ok(Some(_))) {
            return Some(End::Reset);
        }
        seen.finished.then_some(End::Fin)
    }

    fn take(&mut self, len: usize) {
        self.connection.answered = true;
        self.tally.bytes_received += len as u64;
        match self.script.protocol {
            Protocol::Http1 => self.take_http1(len),
            Protocol::Http2 => self.take_http2(len),
            // Not over TCP.
            Protocol::Http3 => {}
        }
    }

    fn take_http1(&mut self, len: usize) {
        let scanned = if len <= SCANNED_BYTES_MAX { len } else { 16 };
        for status in statuses_in(&self.received[..scanned]) {
            self.connection.last_status = status;
            self.tally.add_response(status);
        }
    }

    fn take_http2(&mut self, len: usize) {
        let Connection {
            frames,
            opened,
            last_status,
            last_goaway,
            unacknowledged,
            ..
        } = &mut *self.connection;
        let tally = &mut *self.tally;
        frames.scan(&self.received[..len], |frame| match frame.kind {
            kind::HEADERS => {
                if let Some(status) = status_in(frame) {
                    *last_status = status;
                    tally.add_response(status);
                }
            }
            kind::RST_STREAM => {
                let code = h2::whole_number_at(frame.beginning, 0);
                tally.add_stream_reset(code.unwrap_or(u32::MAX));
            }
            kind::GOAWAY => {
                let code = h2::whole_number_at(frame.beginning, 4).unwrap_or(u32::MAX);
                if last_goaway.replace(code).is_none() {
                    tally.told_after.add(opened.elapsed());
                }
                tally.add_goaway(code);
            }
            kind::SETTINGS if frame.flags & flag::ACK == 0 => *unacknowledged += 1,
            _ => {}
        });
    }

    fn play(&mut self) -> Turn {
        for _ in 0..CALLS_PER_TURN {
            match self.step() {
                Flow::Next => {
                    self.connection.step += 1;
                    self.connection.sent = 0;
                }
                Flow::Again => {}
                Flow::Blocked if self.unread() => return Turn::Unfinished,
                Flow::Blocked => return Turn::Waiting,
                Flow::Timed(wait) => {
                    self.connection.timer = Timer::Armed;
                    return Turn::Timed(wait);
                }
                Flow::Ended(end) => return Turn::Ended(end),
            }
        }
        Turn::Unfinished
    }

    /// More to read than one turn allows.
    fn unread(&self) -> bool {
        self.script.reading == Reading::All && self.connection.readable
    }

    fn step(&mut self) -> Flow {
        let script = self.script;
        if self.must_acknowledge() {
            return self.acknowledge();
        }
        match &script.steps[self.connection.step] {
            Step::Send(bytes) => self.send_all(bytes),
            Step::SendOneOf(choices) => {
                let choice = self.connection.serial % choices.len() as u64;
                self.send_all(&choices[choice as usize])
            }
            Step::SendForever(bytes) => match self.send_all(bytes) {
                Flow::Next => {
                    self.connection.sent = 0;
                    Flow::Again
                }
                other => other,
            },
            Step::SendStreamsForever(streams) => self.send_streams(streams),
            Step::Trickle(bytes) => self.trickle(bytes),
            Step::TrickleForever(bytes) => match self.trickle(bytes) {
                Flow::Next => {
                    self.connection.sent = 0;
                    Flow::Again
                }
                other => other,
            },
            Step::SendEachPeriod(bytes) => self.send_each_period(bytes),
            Step::Await if self.connection.answered => Flow::Next,
            Step::Await | Step::Stay => Flow::Blocked,
            Step::Pause => match std::mem::replace(&mut self.connection.timer, Timer::Off) {
                Timer::Off => Flow::Timed(Wait::Pause),
                Timer::Armed => self.keep_waiting(),
                Timer::Due => Flow::Next,
            },
            Step::ReadSlowly => self.read_slowly(),
            Step::Finish => match self.connection.socket.shutdown(Shutdown::Write) {
                Ok(()) => Flow::Next,
                Err(_) => Flow::Ended(End::Reset),
            },
            Step::Close => Flow::Ended(End::Ours),
            Step::Reset => {
                reset_on_close(&self.connection.socket);
                Flow::Ended(End::Ours)
            }
        }
    }

    /// Between two frames, and not before the preface.
    fn must_acknowledge(&self) -> bool {
        let Connection {
            unacknowledged,
            step,
            sent,
            ..
        } = *self.connection;
        self.script.acknowledges && unacknowledged > 0 && step > 0 && sent == 0
    }

    fn acknowledge(&mut self) -> Flow {
        let rest = &ACKNOWLEDGEMENT[self.connection.acknowledgement_sent..];
        match self.transmit(rest) {
            Err(flow) => flow,
            Ok(len) if len == rest.len() => {
                self.connection.acknowledgement_sent = 0;
                self.connection.unacknowledged -= 1;
                Flow::Again
            }
            Ok(len) => {
                self.connection.acknowledgement_sent += len;
                Flow::Again
            }
        }
    }

    fn keep_waiting(&mut self) -> Flow {
        self.connection.timer = Timer::Armed;
        Flow::Blocked
    }

    /// The rest of `bytes`.
    fn send_all(&mut self, bytes: &[u8]) -> Flow {
        match self.send(&bytes[self.connection.sent..]) {
            Err(flow) => flow,
            Ok(()) if self.connection.sent == bytes.len() => Flow::Next,
            Ok(()) => Flow::Again,
        }
    }

    /// The rest of the streams, and then the next ones.
    fn send_streams(&mut self, streams: &Streams) -> Flow {
        let mut bytes = std::mem::take(&mut self.connection.streams);
        if bytes.is_empty() {
            bytes.extend_from_slice(&streams.bytes);
        }
        let mut flow = self.send_all(&bytes);
        if matches!(flow, Flow::Next) {
            streams.advance(&mut bytes);
            self.connection.sent = 0;
            flow = Flow::Again;
        }
        self.connection.streams = bytes;
        flow
    }

    /// The next byte, once a period. The step ends a period after the last one.
    fn trickle(&mut self, bytes: &[u8]) -> Flow {
        if self.connection.timer == Timer::Armed {
            return Flow::Blocked;
        }
        self.connection.timer = Timer::Off;
        let at = self.connection.sent;
        if at == bytes.len() {
            return Flow::Next;
        }
        match self.send(&bytes[at..=at]) {
            Ok(()) => Flow::Timed(Wait::Period),
            Err(flow) => flow,
        }
    }

    /// All of `bytes`, and again after a period.
    fn send_each_period(&mut self, bytes: &[u8]) -> Flow {
        if self.connection.timer == Timer::Armed {
            return Flow::Blocked;
        }
        self.connection.timer = Timer::Off;
        match self.send_all(bytes) {
            Flow::Next => {
                self.connection.sent = 0;
                Flow::Timed(Wait::Period)
            }
            other => other,
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Flow> {
        self.connection.sent += self.transmit(bytes)?;
        Ok(())
    }

    /// How much of `bytes` the kernel took.
    fn transmit(&mut self, bytes: &[u8]) -> Result<usize, Flow> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match send(&self.connection.socket, bytes, flags) {
            Ok(len) => {
                self.tally.bytes_sent += len as u64;
                Ok(len)
            }
            Err(Errno::AGAIN) => Err(Flow::Blocked),
            Err(Errno::INTR) => Err(Flow::Again),
            Err(_) => {
                // What the server said before its reset may still be there.
                if self.script.reading == Reading::All {
                    self.connection.readable = true;
                    self.receive();
                }
                Err(Flow::Ended(End::Reset))
            }
        }
    }

    fn read_slowly(&mut self) -> Flow {
        if self.connection.timer == Timer::Armed {
            return Flow::Blocked;
        }
        self.connection.timer = Timer::Off;
        let piece = &mut self.received[..SLOW_READ_BYTES];
        match recv(&self.connection.socket, piece, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Flow::Ended(End::Fin),
            Ok((len, _)) => {
                self.take(len);
                Flow::Timed(Wait::Period)
            }
            Err(Errno::AGAIN | Errno::INTR) => Flow::Timed(Wait::Period),
            Err(_) => Flow::Ended(End::Reset),
        }
    }
}

/// Closing will be a reset, and leave nothing in TIME_WAIT.
pub(super) fn reset_on_close(socket: &Socket) {
    // Fails only if the kernel has no socket here, and then there is nothing to reset.
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// The status in HEADERS; trailers have none.
fn status_in(frame: Frame<'_>) -> Option<u16> {
    let skipped = usize::from(frame.flags & flag::PADDED != 0)
        + 5 * usize::from(frame.flags & flag::PRIORITY != 0);
    fields::status_of(frame.beginning.get(skipped..)?)
}

/// The status codes of the status lines in `bytes`. Content that looks like one counts.
fn statuses_in(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let starts = bytes.windows(12).filter_map(|line| {
        let version = line.starts_with(b"HTTP/1.") && line[8] == b' ';
        version.then_some(&line[9..])
    });
    starts.filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
}
