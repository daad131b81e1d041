//! Content codings on the way out: gzip, brotli, zstd.

mod body;
mod encoder;
mod media_type;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use ajay_engine::{Body, FieldSection, KnownField, Method, Response, StatusCode};

use crate::coding::{self, Coding};
use crate::{Middleware, Next, Request};
use body::{Compressed, Permit, yield_once};
use encoder::{Encoder, Levels, SLICE_BYTES};

/// Compresses content with what the client accepts (RFC 9110 §12.5.3): zstd, brotli or gzip, in this
/// order where it likes them as much. A client that accepts none of them, or refuses even content as it
/// is, gets it as it is; there is no 406.
///
/// ```
/// # use ajayserver::{Request, Router, middleware::Compression};
/// let router = Router::new()
///     .get("/", async |_: Request| "Hello, world!\n".repeat(1000))
///     .wrap(Compression::new());
/// ```
///
/// **What is compressed**: content of 1 KiB or more, or of unknown length, whose media type says that it
/// is text or otherwise worth it: `text/*`, JSON, JavaScript, XML and SVG, WebAssembly, fonts that are not
/// compressed by themselves. Not images, sounds, films, archives, what has no `Content-Type`, and not
/// `text/event-stream` unless [`media_type`](Compression::media_type) asks for it. Never a response that has a
/// `Content-Encoding`, a `Content-Range`, a digest of its content, or `Cache-Control: no-transform`; never 204,
/// 205, 206 and 304.
///
/// **Its fields**: `Vary: Accept-Encoding` is added also where this client gets it as it is. A strong `ETag`
/// becomes weak, since the bytes are others; one in a 304 too, if the client asked with the weak one. So
/// `If-Match`, which needs strong ones, works for who asks for `Accept-Encoding: identity`. `Accept-Ranges` is
/// removed. HEAD has the fields that GET has.
///
/// **Streams** are compressed piece by piece; when the handler pauses, all that it has written leaves.
/// Content of up to 64 KiB that is here is compressed as a whole, has a `Content-Length`, and is sent as it
/// is if it has not become smaller.
///
/// **What it costs**: the worker's time, 32 KiB at a time, which is half a millisecond or so; others are served
/// between. While it is sent, a stream holds 0.4 MiB of memory with gzip, 1.8 MiB with zstd and 3.2 MiB with
/// brotli, 4.8 MiB at its highest quality. A worker compresses 128 streams at a time; further ones go as they
/// are, see [`streams_max`](Compression::streams_max). The client going away drops all of it.
///
/// Over TLS, compression lets who can make a client send requests guess secrets that stand beside what it sent (BREACH). Wrap
/// no routes that answer with both, or have them say `no-transform`.
#[derive(Clone, Debug)]
pub struct Compression {
    levels: Levels,
    size_min: u64,
    streams_max: usize,
    more: Arc<Vec<Cow<'static, str>>>,
}

impl Default for Compression {
    fn default() -> Compression {
        Compression {
            levels: Levels::default(),
            // What fits into one packet is not there any sooner.
            size_min: 1024,
            streams_max: 128,
            more: Arc::default(),
        }
    }
}

/// What is here and no longer than this has a length afterwards.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

impl Compression {
    /// With all codings, at the levels that suit content made for each request.
    pub fn new() -> Compression {
        Compression::default()
    }

    /// The level of gzip, from 1 to 9, or none to leave it out; 5 if nothing is said.
    ///
    /// # Panics
    /// When there is no such level.
    #[must_use]
    pub fn gzip(mut self, level: impl Into<Option<u32>>) -> Compression {
        self.levels.gzip = level.into();
        assert!(
            self.levels.gzip.is_none_or(|it| (1..=9).contains(&it)),
            "gzip has the levels 1 to 9"
        );
        self
    }

    /// The quality of brotli, from 0 to 6, or none to leave it out; 4 if nothing is said. Those above it take
    /// ten times the memory and more: they are for content that is compressed once and kept, as
    /// `Files::precompressed` takes it.
    ///
    /// # Panics
    /// When there is no such quality.
    #[must_use]
    pub fn brotli(mut self, quality: impl Into<Option<u32>>) -> Compression {
        self.levels.brotli = quality.into();
        assert!(
            self.levels.brotli.is_none_or(|it| it <= 6),
            "what is compressed on the way has the qualities 0 to 6 of brotli"
        );
        self
    }

    /// The level of zstd, from 1 to 9, or none to leave it out; 3 if nothing is said. All of them take as much
    /// memory.
    ///
    /// # Panics
    /// When there is no such level.
    #[must_use]
    pub fn zstd(mut self, level: impl Into<Option<u32>>) -> Compression {
        self.levels.zstd = level.into();
        assert!(
            self.levels.zstd.is_none_or(|it| (1..=9).contains(&it)),
            "what is compressed on the way has the levels 1 to 9 of zstd"
        );
        self
    }

    /// Content of fewer bytes is left as it is; 1024 if nothing is said.
    #[must_use]
    pub fn size_min(mut self, bytes: u64) -> Compression {
        self.size_min = bytes;
        self
    }

    /// How many streams a worker compresses at a time, of all middleware like this; 128 if nothing is said. It bounds
    /// the memory that slow clients can make it hold.
    #[must_use]
    pub fn streams_max(mut self, streams: usize) -> Compression {
        self.streams_max = streams;
        self
    }

    /// Compresses this media type as well: `text/event-stream`, `application/x-of-mine`. Parameters are
    /// not compared.
    #[must_use]
    pub fn media_type(mut self, media_type: impl Into<Cow<'static, str>>) -> Compression {
        Arc::make_mut(&mut self.more).push(media_type.into());
        self
    }

    /// Whether a client that accepts a coding gets this content in it.
    fn is_worth_it(&self, response: &Response, method: &Method) -> bool {
        let status = response.status();
        let has_none = [
            StatusCode::NO_CONTENT,
            StatusCode::RESET_CONTENT,
            StatusCode::PARTIAL_CONTENT,
            StatusCode::NOT_MODIFIED,
        ];
        if status.is_informational() || has_none.contains(&status) || *method == Method::CONNECT {
            return false;
        }
        let fields = response.fields();
        let is_bound = fields.contains_any(&[
            KnownField::ContentEncoding,
            KnownField::ContentRange,
            KnownField::ContentDigest,
            KnownField::ReprDigest,
        ]);
        let has_digest = || ["Digest", "Content-MD5"].map(|name| fields.get_name(name).is_some());
        if is_bound || has_digest().contains(&true) || is_not_to_be_transformed(fields) {
            return false;
        }
        let is_of_type = response.content_type().is_some_and(|value| {
            let essence = media_type::essence(value);
            media_type::is_compressible(essence)
                || self.more.iter().any(|it| it.eq_ignore_ascii_case(essence))
        });
        is_of_type && length(response, method).is_none_or(|bytes| bytes >= self.size_min)
    }

    async fn compress(&self, mut response: Response, coding: Coding) -> Response {
        let body = response.take_body();
        let (encoded, is_changed) = match body.try_into_bytes() {
            // Asked by HEAD, a handler need not have made it.
            Ok(content) if content.is_empty() => (Body::empty(), true),
            Ok(content) if content.len() <= WHOLE_BYTES_MAX => {
                let encoded = self.whole(&content, coding).await;
                match encoded.filter(|encoded| encoded.len() < content.len()) {
                    Some(encoded) => (encoded.into(), true),
                    None => (content.into(), false),
                }
            }
            Ok(content) => self.stream(content.into(), coding),
            Err(body) => self.stream(body, coding),
        };
        if is_changed {
            become_encoded(response.fields_mut(), coding);
        }
        response.with_body(encoded)
    }

    async fn whole(&self, content: &[u8], coding: Coding) -> Option<Vec<u8>> {
        let len = content.len() as u64;
        let mut encoder = Encoder::new(coding, &self.levels, Some(len)).ok()?;
        for (number, slice) in content.chunks(SLICE_BYTES).enumerate() {
            if number > 0 {
                yield_once().await;
            }
            encoder.write(slice).ok()?;
        }
        encoder.finish().ok()
    }

    /// The body that compresses another, unless the worker does so for too many; whether it does.
    fn stream(&self, body: Body, coding: Coding) -> (Body, bool) {
        let Some(permit) = Permit::take(self.streams_max) else {
            return (body, false);
        };
        match Encoder::new(coding, &self.levels, body.exact_len()) {
            Ok(encoder) => {
                let compressed = Compressed::new(body, encoder, permit);
                (Body::from_http_body(compressed), true)
            }
            Err(error) => {
                tracing::warn!(%error, "content cannot be compressed; sent as it is");
                (body, false)
            }
        }
    }
}

/// The length of the content, if it is known. Asked by HEAD, a handler may say it without making any.
fn length(response: &Response, method: &Method) -> Option<u64> {
    let here = response.body().exact_len();
    if here != Some(0) || *method != Method::HEAD {
        return here;
    }
    let declared = response.fields().get(KnownField::ContentLength);
    match declared.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()) {
        Some(bytes) => Some(bytes),
        None => here,
    }
}

/// RFC 9111 §5.2.2.6.
fn is_not_to_be_transformed(fields: &FieldSection) -> bool {
    let lines = fields.get_all(KnownField::CacheControl);
    let mut directives = lines.flat_map(|line| line.split(|byte| *byte == b','));
    directives.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

/// What is no longer true of content that is encoded now.
fn become_encoded(fields: &mut FieldSection, coding: Coding) {
    fields.remove_known(KnownField::ContentLength);
    fields.remove_known(KnownField::AcceptRanges);
    let set = fields.set_known(KnownField::ContentEncoding, coding.name());
    debug_assert!(set.is_ok(), "a token");
    weaken(fields);
}

/// RFC 9110 §8.8.1: the same for other bytes is weak.
fn weaken(fields: &mut FieldSection) {
    let Some(weak) = weak(fields) else { return };
    let set = fields.set_known(KnownField::Etag, weak);
    debug_assert!(set.is_ok(), "a value that was there");
}

/// The weak form of a strong `ETag`.
fn weak(fields: &FieldSection) -> Option<Vec<u8>> {
    let tag = fields.get(KnownField::Etag)?;
    tag.starts_with(b"\"").then(|| [b"W/", tag].concat())
}

/// The tags that the client asks with, if any of them are weak.
fn weak_tags(request: &Request) -> Option<Vec<u8>> {
    let lines = request.fields().get_all(KnownField::IfNoneMatch);
    let all: Vec<&[u8]> = lines.filter(|line| contains(line, b"W/")).collect();
    (!all.is_empty()).then(|| all.join(&b','))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

impl Middleware for Compression {
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<> {
        let this = Rc::clone(self);
        async move {
            let method = request.method().clone();
            let offered = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
            let mut accepted = coding::accepted(request.fields(), offered);
            let coding = accepted.find(|coding| this.levels.of(*coding).is_some());
            let asked = weak_tags(&request);
            let mut response = next.run(request).await;
            if let (StatusCode::NOT_MODIFIED, Some(asked)) = (response.status(), asked) {
                let fields = response.fields_mut();
                if weak(fields).is_some_and(|tag| contains(&asked, &tag)) {
                    weaken(fields);
                }
            }
            if !this.is_worth_it(&response, &method) {
                return response;
            }
            super::vary::add(response.fields_mut(), "Accept-Encoding");
            match coding {
                Some(coding) => this.compress(response, coding).await,
                None => response,
            }
        }
    }
}
