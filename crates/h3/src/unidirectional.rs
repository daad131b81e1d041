//! The unidirectional streams of a client (RFC 9114 §6.2).

use std::collections::VecDeque;

use crate::{frame::PartialHeader, varint};

/// Stream types (§6.2, RFC 9204 §4.2).
pub(crate) mod kind {
    pub(crate) const CONTROL: u64 = 0x00;
    pub(crate) const PUSH: u64 = 0x01;
    pub(crate) const QPACK_ENCODER: u64 = 0x02;
    pub(crate) const QPACK_DECODER: u64 = 0x03;
}

/// Streams that are open. There are few: those of a type we do not know are stopped.
#[derive(Debug, Default)]
pub(crate) struct Unidirectional {
    streams: Vec<(u64, State)>,
    /// Those that we have stopped last: bytes of them may be under way.
    stopped: VecDeque<u64>,
}

/// As many as may be under way at once, in practice.
const STOPPED_MAX: usize = 16;

/// How far one is read.
#[derive(Debug)]
pub(crate) enum State {
    /// Its type is coming.
    Type(PartialType),
    Control(Control),
    QpackEncoder,
    QpackDecoder,
}

/// Where in the control stream's frames it is.
#[derive(Debug)]
pub(crate) enum Control {
    Header(PartialHeader),
    /// Within a frame of this type, which is gathered.
    Payload {
        kind: u64,
        left: u64,
        bytes: Vec<u8>,
    },
    Skip {
        left: u64,
    },
}

/// The beginning of a stream's type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartialType {
    bytes: [u8; varint::LEN_MAX],
    len: u8,
}

impl PartialType {
    /// Reads the type from what came before and `input`. Returns how many bytes of `input` are used, and
    /// the type if it is complete; otherwise all of them are.
    pub(crate) fn read(&mut self, input: &[u8]) -> (usize, Option<u64>) {
        for (at, byte) in input.iter().enumerate() {
            if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
                *place = *byte;
                self.len += 1;
            }
            let so_far = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
            if let Some((kind, _)) = varint::decode(so_far) {
                return (at + 1, Some(kind));
            }
        }
        (input.len(), None)
    }
}

impl Unidirectional {
    /// The state of a stream, which is new if it was not seen before.
    pub(crate) fn state(&mut self, id: u64) -> &mut State {
        let at = match self.streams.iter().position(|(known, _)| *known == id) {
            Some(at) => at,
            None => {
                let state = State::Type(PartialType::default());
                self.streams.push((id, state));
                self.streams.len() - 1
            }
        };
        // Just found or added.
        &mut self.streams[at].1
    }

    /// Whether there is a stream of which this is true.
    pub(crate) fn any(&self, is_it: impl Fn(&State) -> bool) -> bool {
        self.streams.iter().any(|(_, state)| is_it(state))
    }

    /// Nobody wants what still comes on a stream.
    pub(crate) fn stop(&mut self, id: u64) {
        self.remove(id);
        if self.stopped.len() >= STOPPED_MAX {
            self.stopped.pop_front();
        }
        self.stopped.push_back(id);
    }

    /// Whether that is so.
    pub(crate) fn is_stopped(&self, id: u64) -> bool {
        self.stopped.contains(&id)
    }

    /// A stream is over.
    pub(crate) fn remove(&mut self, id: u64) {
        self.streams.retain(|(known, _)| *known != id);
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Memory held.
    pub(crate) fn capacity_bytes(&self) -> usize {
        let payloads = self.streams.iter().map(|(_, state)| match state {
            State::Control(Control::Payload { bytes, .. }) => bytes.capacity(),
            _ => 0,
        });
        payloads.sum::<usize>() + self.streams.capacity() * size_of::<(u64, State)>()
    }
}
