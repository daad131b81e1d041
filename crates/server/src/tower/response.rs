//! From a response of the `http` crate to ours.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use ajay_engine::{BoxError, Response, StatusCode};
use bytes::{Buf, Bytes};
use http::header::TRANSFER_ENCODING;
use http_body::{Body, Frame, SizeHint};

use super::request::recycle;

pub(super) async fn from_http<B>(response: http::Response<B>) -> Response
where
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    let mut response = Response::new(parts.status);
    for (name, value) in &parts.headers {
        // How content is framed is decided below.
        if name == TRANSFER_ENCODING {
            continue;
        }
        if response.append(name.as_str(), value.as_bytes()).is_err() {
            tracing::error!(%name, "a field of a response cannot be sent; answered 500");
            return Response::new(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
    recycle(parts.headers);
    response.with_body(content(body).await)
}

/// Most bodies are one piece that is there: it leaves together with the head.
async fn content<B>(body: B) -> ajay_engine::Body
where
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return ajay_engine::Body::empty();
    }
    let mut body = Box::pin(body);
    let first = poll_fn(|cx| {
        Poll::Ready(match body.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => Some(frame),
            Poll::Pending => None,
        })
    });
    let first = match first.await {
        None => None,
        Some(None) => return ajay_engine::Body::empty(),
        Some(Some(Ok(frame))) => match frame.into_data() {
            Ok(data) if body.is_end_stream() => return whole(data).into(),
            Ok(data) => Some(Ok(Frame::data(whole(data)))),
            Err(frame) => Some(Ok(frame.map_data(whole))),
        },
        Some(Some(Err(error))) => Some(Err(error.into())),
    };
    ajay_engine::Body::from_http_body(Rest { first, body })
}

/// Without a copy where the data is one piece of memory that can be shared.
fn whole(mut data: impl Buf) -> Bytes {
    data.copy_to_bytes(data.remaining())
}

/// A body whose first frame was taken already.
struct Rest<B> {
    first: Option<Result<Frame<Bytes>, BoxError>>,
    body: Pin<Box<B>>,
}

impl<B> Body for Rest<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let frame = std::task::ready!(self.body.as_mut().poll_frame(cx));
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => Ok(frame.map_data(whole)),
            Err(error) => Err(error.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint();
        let first = match &self.first {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) | None => 0,
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + first);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint
    }
}
