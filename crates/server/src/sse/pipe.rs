//! One event at a time, from the writer to the connection.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::SseError;

#[derive(Debug, Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    text: Option<Bytes>,
    writer: Option<Waker>,
    reader: Option<Waker>,
    is_writer_gone: bool,
    is_reader_gone: bool,
}

impl Pipe {
    /// Puts the text as soon as there is room, and is ready when it has been taken.
    pub(super) fn poll_put(
        &self,
        text: &mut Option<Bytes>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SseError>> {
        let mut state = self.lock();
        if state.is_reader_gone {
            return Poll::Ready(Err(SseError::Closed));
        }
        if state.text.is_some() {
            register(&mut state.writer, cx);
            return Poll::Pending;
        }
        match text.take() {
            None => return Poll::Ready(Ok(())),
            Some(text) => state.text = Some(text),
        }
        register(&mut state.writer, cx);
        let reader = state.reader.take();
        wake(state, reader);
        Poll::Pending
    }

    pub(super) fn writer_gone(&self) {
        let mut state = self.lock();
        state.is_writer_gone = true;
        let reader = state.reader.take();
        wake(state, reader);
    }

    /// What was written; none when the writer is gone.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        if let Some(text) = state.text.take() {
            let writer = state.writer.take();
            wake(state, writer);
            return Poll::Ready(Some(text));
        }
        if state.is_writer_gone {
            return Poll::Ready(None);
        }
        register(&mut state.reader, cx);
        Poll::Pending
    }

    pub(super) fn reader_gone(&self) {
        let mut state = self.lock();
        state.is_reader_gone = true;
        // A writer that stays must not keep what nobody will take.
        state.text = None;
        let writer = state.writer.take();
        wake(state, writer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn register(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

/// A waker may run anything: not under the lock.
fn wake(state: MutexGuard<'_, State>, waker: Option<Waker>) {
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
