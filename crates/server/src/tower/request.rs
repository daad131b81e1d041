//! From our request to one of the `http` crate.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use ajay_engine::{BoxError, Content, ContentError, KnownField, Method, Version};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Full, Limited};

use super::Extend;
use crate::Request;

/// The content of a request, as `http_body` has it.
///
/// Content over a limit fails with what `http_body_util::Limited` fails with, which axum answers with 413. Other
/// errors are [`ContentError`].
#[derive(Debug, Default)]
pub struct RequestBody(Content);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.0).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl From<Content> for RequestBody {
    fn from(content: Content) -> RequestBody {
        RequestBody(content)
    }
}

fn error(error: ContentError) -> BoxError {
    match error {
        ContentError::TooLarge => too_large(),
        error => error.into(),
    }
}

/// That error has no constructor: it is what becomes of content over a limit.
fn too_large() -> BoxError {
    let limited = Limited::new(Full::new(Bytes::from_static(b"x")), 0);
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(limited).poll_frame(&mut cx) {
        Poll::Ready(Some(Err(error))) => error,
        _ => ContentError::TooLarge.into(),
    }
}

thread_local! {
    /// Maps that have been emptied: filling one that has room allocates nothing of its own.
    static MAPS: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// The names of known fields, by their ids: finding one takes the `http` crate as long as a short value.
static NAMES: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    let names = KnownField::ALL
        .iter()
        .map(|field| HeaderName::from_bytes(field.as_str().as_bytes()));
    names.map_while(Result::ok).collect()
});

/// More than are in use at a time on most workers.
const MAPS_MAX: usize = 64;
/// A map with more room than this is not worth keeping.
const MAP_LINES_MAX: usize = 64;

fn take_map() -> HeaderMap {
    MAPS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps a map for the next request.
pub(super) fn recycle(mut map: HeaderMap) {
    if map.capacity() == 0 || map.capacity() > MAP_LINES_MAX {
        return;
    }
    map.clear();
    let _ = MAPS.try_with(|maps| {
        let mut maps = maps.borrow_mut();
        if maps.len() < MAPS_MAX {
            maps.push(map);
        }
    });
}

/// # Errors
/// The `http` crate does not take the target.
pub(super) fn to_http(
    mut request: Request,
    extend: Option<&Extend>,
) -> Result<http::Request<RequestBody>, http::Error> {
    let mut extensions = match request.extensions().is_some_and(|it| !it.is_empty()) {
        true => std::mem::take(request.extensions_mut()),
        false => Extensions::new(),
    };
    if let Some(extend) = extend {
        extend(&request, &mut extensions);
    }
    let fields = request.fields();
    // One copy of the head, which all values share; the target is in it as well.
    let block = Bytes::copy_from_slice(fields.bytes());
    let shared = |part: &[u8]| {
        let start = part.as_ptr() as usize - fields.bytes().as_ptr() as usize;
        block.slice(start..start + part.len())
    };
    let mut headers = take_map();
    let mut lines = fields.iter();
    while let Some((known, name, value)) = lines.next_with_known() {
        // Both were checked when they were received, by rules that are no looser.
        let name = match known.and_then(|field| NAMES.get(field as usize)) {
            Some(name) => name.clone(),
            None => HeaderName::from_bytes(name.as_bytes())?,
        };
        headers.append(name, HeaderValue::from_maybe_shared(shared(value))?);
    }
    let uri = uri(&request, &shared)?;
    let mut built = http::Request::new(RequestBody(Content::default()));
    *built.method_mut() = request.method().clone();
    *built.uri_mut() = uri;
    *built.version_mut() = request.version();
    *built.headers_mut() = headers;
    *built.extensions_mut() = extensions;
    *built.body_mut() = RequestBody(request.take_content());
    Ok(built)
}

/// As hyper has it: what was in the request's target or pseudo-header fields.
fn uri(request: &Request, shared: &dyn Fn(&[u8]) -> Bytes) -> Result<Uri, http::Error> {
    let target = request.target().as_bytes();
    if *request.method() == Method::CONNECT {
        let authority = request.authority().unwrap_or_default();
        return Ok(Uri::from(Authority::try_from(authority)?));
    }
    if request.version() < Version::HTTP_2 {
        return match target.first() {
            Some(b'/' | b'*') => {
                let path = PathAndQuery::from_maybe_shared(shared(target))?;
                Ok(Uri::from(path))
            }
            _ => Ok(Uri::from_maybe_shared(shared(target))?),
        };
    }
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(shared(target))?);
    if let Some(authority) = request.authority() {
        parts.authority = Some(Authority::try_from(authority)?);
        let scheme = match request.tls() {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        };
        parts.scheme = Some(scheme);
    }
    Ok(Uri::from_parts(parts)?)
}
