//! One exchange without a connection: for tests of applications.
//!
//! The request is read and the response written by the core of HTTP/1 that serves connections, so
//! that what is refused there is refused here, and the bytes are those that a client would get.

use std::future::{Future, poll_fn};
use std::pin::pin;

use ajay_h1::{Connection, Event};
use ajay_http::{ContentSize, FieldSection, Limits, ResponseHead, SendBody, StatusCode};
use bytes::Bytes;

use crate::body::Piece;
use crate::content::{COLLECTED_BYTES_MAX, Content};
use crate::informational::{self, Informational};
use crate::request::{Parts, PeerAddr};
use crate::{BoxError, Request, Response};

/// What a client would have got.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// All bytes of the informational responses and the response. `Date` is not among the fields.
    pub bytes: Vec<u8>,
    /// Why the response was broken off before its end, which a client would see as a connection that closes too
    /// early.
    pub broken_off: Option<String>,
}

/// Answers the request in `bytes` (its head in the form of HTTP/1.1, and all of its content) with
/// `call`, which is not called if the request breaks a rule.
///
/// The future of `call` and a streamed body are polled by whoever polls this future, and dropped with it.
pub async fn exchange<F>(
    bytes: &[u8],
    peer: PeerAddr,
    limits: Limits,
    call: impl FnOnce(Request) -> F,
) -> Wire
where
    F: Future<Output = Response>,
{
    let mut exchange = Exchange {
        core: Connection::new(),
        config: ajay_h1::Config { limits },
        wire: Wire::default(),
    };
    match exchange.read(bytes, peer) {
        Ok(request) => {
            let response = exchange.run(call(request)).await;
            exchange.respond(response).await;
        }
        Err(status) => exchange.head_only(status),
    }
    exchange.wire
}

struct Exchange {
    core: Connection,
    config: ajay_h1::Config,
    wire: Wire,
}

impl Exchange {
    fn read(&mut self, bytes: &[u8], peer: PeerAddr) -> Result<Request, StatusCode> {
        let mut parts = Parts::take(&peer, &None);
        (parts.listener, parts.tls) = (0, None);
        let (mut used, mut content, mut has_head) = (0, Vec::new(), false);
        let mut no_head = ajay_http::RequestHead::new();
        let trailers = loop {
            let head = if has_head {
                &mut no_head
            } else {
                &mut parts.head
            };
            let step = self.core.next_event(&self.config, &bytes[used..], head);
            let step = step.map_err(|violation| violation.status())?;
            used += step.consumed;
            match step.event {
                Event::Request { framing, .. } => {
                    has_head = true;
                    if matches!(
                        framing,
                        ajay_h1::Framing::None | ajay_h1::Framing::Length(0)
                    ) {
                        break None;
                    }
                }
                Event::Data(data) => content.extend_from_slice(data),
                Event::End => break self.core.take_trailers(),
                // It is not complete: a connection would wait, and then say this.
                _ => {
                    self.core.refuse_request();
                    return Err(StatusCode::REQUEST_TIMEOUT);
                }
            }
        };
        parts.content = Content::ready(Bytes::from(content), trailers, COLLECTED_BYTES_MAX);
        Ok(Request::new(parts))
    }

    /// Runs the handler, and writes what it sends before its response.
    async fn run(&mut self, handler: impl Future<Output = Response>) -> Response {
        let mut handler = pin!(handler);
        poll_fn(|cx| {
            informational::open();
            let poll = handler.as_mut().poll(cx);
            if informational::close() {
                for Informational { status, fields } in informational::take() {
                    let out = &mut self.wire.bytes;
                    let sent = self.core.send_informational(status, &fields, out);
                    debug_assert!(sent.is_ok(), "the status was checked");
                }
            }
            poll
        })
        .await
    }

    async fn respond(&mut self, response: Response) {
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
            server: None,
            date: None,
        };
        let sent = self.core.send_head(&head, size, &mut self.wire.bytes);
        match sent {
            Ok(SendBody::None) => {}
            Ok(SendBody::Payload) => {
                let mut body = std::mem::take(&mut parts.body);
                if let Err(error) = self.send_body(&mut body).await {
                    self.wire.broken_off = Some(error.to_string());
                }
            }
            // As a connection answers it.
            Err(_) => self.head_only(StatusCode::INTERNAL_SERVER_ERROR),
        }
        parts.recycle();
    }

    async fn send_body(&mut self, body: &mut crate::Body) -> Result<(), BoxError> {
        let out = &mut self.wire.bytes;
        let trailers = loop {
            match poll_fn(|cx| body.poll_piece(cx)).await.transpose()? {
                Some(Piece::Data(data)) if data.is_empty() => {}
                Some(Piece::Data(data)) => {
                    self.core.frame_data(data.len() as u64, out)?;
                    out.extend_from_slice(&data);
                    self.core.end_data(out);
                }
                Some(Piece::Trailers(trailers)) => break Some(trailers),
                None => break None,
            }
        };
        self.core.finish(trailers.as_deref(), out)?;
        Ok(())
    }

    fn head_only(&mut self, status: StatusCode) {
        let head = ResponseHead {
            status,
            fields: &FieldSection::new(),
            content_type: None,
            server: None,
            date: None,
        };
        let out = &mut self.wire.bytes;
        let sent = self.core.send_head(&head, ContentSize::Empty, out);
        debug_assert!(sent.is_ok(), "a response is due");
    }
}

#[cfg(test)]
mod tests;
