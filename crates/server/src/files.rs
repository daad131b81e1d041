//! A directory, or one file, as a handler.

mod body;
mod open;
mod path;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ajay_engine::{BlockingError, InvalidField, Method, Response, StatusCode};

use crate::coding::{self, Coding};
use crate::conditional::{Boundary, ETag, Selection, Validators};
use crate::{Handler, IntoResponse, Request};
use body::FileReader;
use open::{Opened, Place};

/// Serves the files below a directory.
///
/// ```
/// # use ajayserver::{Files, Router};
/// let assets = Files::new("public").precompressed().cache_control("max-age=3600");
/// let router = Router::new()
///     .get("/assets/", assets.clone())
///     .get("/assets/{*path}", assets);
/// ```
///
/// The path below the directory is the value of the pattern's wildcard; nothing if the pattern has
/// none; all of the request's path where there is no route, as in [`Router::fallback`].
///
/// - Nothing outside of the directory is ever opened: `..` is refused, and so are links that lead
///   out of it. The path is split before it is decoded, so that `%2F` separates nothing. Files and
///   directories whose names begin with a dot do not exist, unless
///   [`with_dot_files`](Files::with_dot_files) is set.
/// - For a directory its `index.html` is sent; without a slash at the end the client is sent to
///   the path with one (308). There are no listings.
/// - `Content-Type` follows from the name. Text is `charset=utf-8`.
/// - `ETag` and `Last-Modified` follow from the time of the last change and the length;
///   conditional requests and ranges are answered by them, see
///   [`conditional`](crate::conditional). Other methods than GET and HEAD are 405.
/// - What may have to wait for the disk is done in the blocking pool: when that is full, 503. The
///   client going away drops the file.
///
/// A file must be replaced by another (written elsewhere and renamed), not changed while it may be
/// in use: one that becomes shorter while it is sent breaks the response off.
///
/// [`Router::fallback`]: crate::Router::fallback
#[derive(Clone)]
pub struct Files {
    options: Arc<Options>,
}

/// Serves one file, whatever the path of the request is: as [`Files`] does in all else.
///
/// ```
/// # use ajayserver::{File, Router};
/// let router = Router::new().get("/favicon.ico", File::new("public/favicon.ico"));
/// ```
#[derive(Clone)]
pub struct File {
    options: Arc<Options>,
}

#[derive(Clone)]
struct Options {
    root: PathBuf,
    index: Option<Cow<'static, str>>,
    has_dot_files: bool,
    is_precompressed: bool,
    cache_control: Option<Cow<'static, str>>,
}

impl Options {
    fn new(root: PathBuf) -> Arc<Options> {
        Arc::new(Options {
            root,
            index: Some(Cow::Borrowed("index.html")),
            has_dot_files: false,
            is_precompressed: false,
            cache_control: None,
        })
    }
}

impl Files {
    /// The files below this directory, which need not exist yet. A relative path is one from the
    /// working directory at the time of the request.
    pub fn new(root: impl Into<PathBuf>) -> Files {
        Files {
            options: Options::new(root.into()),
        }
    }

    /// The name of the file that is sent for its directory; `index.html` if nothing is said.
    #[must_use]
    pub fn index(mut self, name: impl Into<Cow<'static, str>>) -> Files {
        Arc::make_mut(&mut self.options).index = Some(name.into());
        self
    }

    /// Directories are 404.
    #[must_use]
    pub fn without_index(mut self) -> Files {
        Arc::make_mut(&mut self.options).index = None;
        self
    }

    /// Serves files and directories whose names begin with a dot, too.
    #[must_use]
    pub fn with_dot_files(mut self) -> Files {
        Arc::make_mut(&mut self.options).has_dot_files = true;
        self
    }

    /// Sends `name.br`, `name.zst` or `name.gz` instead of `name` where the file exists and the
    /// client accepts it (RFC 9110 §12.5.3). That they hold the same is not checked.
    #[must_use]
    pub fn precompressed(mut self) -> Files {
        Arc::make_mut(&mut self.options).is_precompressed = true;
        self
    }

    /// Sends this `Cache-Control`. A value that cannot be sent makes every response 500.
    #[must_use]
    pub fn cache_control(mut self, value: impl Into<Cow<'static, str>>) -> Files {
        Arc::make_mut(&mut self.options).cache_control = Some(value.into());
        self
    }

    /// Answers a request with the file at a path below the directory, percent-encoded as in
    /// requests: for handlers that choose it themselves.
    ///
    /// ```
    /// # use ajayserver::{Files, Request, Response, StatusCode};
    /// async fn report(request: Request) -> Response {
    ///     let name = format!("{}.pdf", request.param_raw("id").unwrap_or_default());
    ///     Files::new("reports").respond(&request, &name).await
    /// }
    /// ```
    pub async fn respond(&self, request: &Request, path: &str) -> Response {
        let options = &self.options;
        let Some(path) = path::below(path, options.has_dot_files) else {
            return not_found();
        };
        let place = Place::Below {
            root: options.root.clone(),
            path,
        };
        respond(options, request, place).await
    }
}

impl File {
    /// The file at this path, which need not exist yet. Links are followed.
    pub fn new(path: impl Into<PathBuf>) -> File {
        File {
            options: Options::new(path.into()),
        }
    }

    /// As [`Files::precompressed`].
    #[must_use]
    pub fn precompressed(mut self) -> File {
        Arc::make_mut(&mut self.options).is_precompressed = true;
        self
    }

    /// As [`Files::cache_control`].
    #[must_use]
    pub fn cache_control(mut self, value: impl Into<Cow<'static, str>>) -> File {
        Arc::make_mut(&mut self.options).cache_control = Some(value.into());
        self
    }

    /// Answers a request with the file.
    pub async fn respond(&self, request: &Request) -> Response {
        let place = Place::Anywhere(self.options.root.clone());
        respond(&self.options, request, place).await
    }
}

impl Handler for Files {
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<> {
        let files = Rc::clone(self);
        async move { files.respond(&request, path::of(&request)).await }
    }
}

impl Handler for File {
    fn call(self: &Rc<Self>, request: Request) -> impl Future<Output = Response> + use<> {
        let file = Rc::clone(self);
        async move { file.respond(&request).await }
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").field(&self.options.root).finish()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.options.root).finish()
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 Not Found\n").into_response()
}

async fn respond(options: &Options, request: &Request, mut place: Place) -> Response {
    let method = request.method();
    if *method != Method::GET && *method != Method::HEAD {
        let response = (StatusCode::METHOD_NOT_ALLOWED, [("Allow", "GET, HEAD")], "");
        return response.into_response();
    }
    let is_directory = place.is_directory();
    if is_directory {
        match &options.index {
            Some(index) => place.push(index),
            None => return not_found(),
        }
    }
    let opened = match open::open(&place).await {
        Ok(Opened::File(file)) => file,
        Ok(Opened::Directory) if !is_directory && options.index.is_some() => {
            return to_directory(request);
        }
        Ok(Opened::Directory | Opened::Other) => return not_found(),
        Err(error) => return failed(&place, error),
    };
    let found = Found {
        name: place.path().to_owned(),
        file: opened,
        coding: None,
    };
    let found = match options.is_precompressed {
        true => encoded(found, &place, request).await,
        false => found,
    };
    found.answer(options, request).into_response()
}

/// A sibling that is compressed already, or the file itself.
async fn encoded(mut found: Found, place: &Place, request: &Request) -> Found {
    // The smallest first.
    let kept = [Coding::Brotli, Coding::Zstd, Coding::Gzip];
    for coding in coding::accepted(request.fields(), kept) {
        let sibling = place.with_suffix(coding.suffix());
        if let Ok(Opened::File(file)) = open::open(&sibling).await {
            (found.file, found.coding) = (file, Some(coding));
            break;
        }
    }
    found
}

struct Found {
    /// Of the file as it is without a coding.
    name: PathBuf,
    file: open::Regular,
    coding: Option<Coding>,
}

impl Found {
    fn answer(self, options: &Options, request: &Request) -> Result<Response, InvalidField> {
        let (content_type, len) = (content_type(&self.name), self.file.len);
        let validators = self.validators(SystemTime::now());
        let selection = validators.select(request.method(), request.fields(), len);
        let mut response = match &selection {
            Selection::Ranges(ranges) if ranges.single().is_none() => {
                let boundary = Boundary::random();
                let reader = FileReader::new(self.file.file);
                let segments =
                    crate::conditional::Segments::new(reader, ranges, &content_type, &boundary);
                let body = ajay_engine::Body::from_http_body(segments);
                let head = selection.head(&boundary.content_type(), len, &validators)?;
                head.with_body(body)
            }
            Selection::Ranges(ranges) => {
                let range = ranges.single().unwrap_or(0..0);
                let head = selection.head(&content_type, len, &validators)?;
                head.with_body(body::file_body(self.file.file, range))
            }
            Selection::Whole => {
                let head = selection.head(&content_type, len, &validators)?;
                head.with_body(body::file_body(self.file.file, 0..len))
            }
            _ => selection.head(&content_type, len, &validators)?,
        };
        if options.is_precompressed {
            response.append("Vary", "Accept-Encoding")?;
        }
        if let Some(value) = &options.cache_control {
            response.append("Cache-Control", &**value)?;
        }
        if let (Some(coding), Selection::Whole | Selection::Ranges(_)) = (self.coding, &selection) {
            response.append("Content-Encoding", coding.name())?;
        }
        Ok(response)
    }

    /// From the time of the last change, to its nanosecond, and the length. A file that has only
    /// just changed may change again within what the file system's clock can tell: weak until
    /// then.
    fn validators(&self, now: SystemTime) -> Validators {
        let modified = self.file.modified;
        let since_epoch = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let coding = self.coding.map_or("", Coding::suffix);
        let opaque = format!("{:x}-{:x}{coding}", since_epoch.as_nanos(), self.file.len);
        let is_settled = now
            .duration_since(modified)
            .is_ok_and(|age| age >= SETTLED_AFTER);
        let etag = match is_settled {
            true => ETag::strong(&opaque),
            false => ETag::weak(&opaque),
        };
        let validators = Validators::new().with_last_modified(modified);
        match etag {
            Ok(etag) => validators.with_etag(etag),
            // Hexadecimal digits can always be one.
            Err(_) => validators,
        }
    }
}

/// More than the clocks of file systems are apart from one tick to the next.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

fn content_type(name: &Path) -> Cow<'static, str> {
    match mime_guess::from_path(name).first_raw() {
        Some(text) if text.starts_with("text/") => format!("{text}; charset=utf-8").into(),
        // RFC 9239 §6.1.1.
        Some("application/javascript") => "text/javascript; charset=utf-8".into(),
        Some(other) => other.into(),
        None => "application/octet-stream".into(),
    }
}

/// To the same path with a slash at its end, where relative links lead below the directory.
fn to_directory(request: &Request) -> Response {
    let query = request.query().map_or(String::new(), |it| format!("?{it}"));
    let location = format!("{}/{query}", request.path());
    Response::new(StatusCode::PERMANENT_REDIRECT)
        .with_field("Location", location)
        .into_response()
}

/// Why there is no file.
enum OpenError {
    Io(io::Error),
    Blocking(BlockingError),
}

fn failed(place: &Place, error: OpenError) -> Response {
    let error = match error {
        OpenError::Blocking(error) => return error.into_response(),
        OpenError::Io(error) => error,
    };
    if open::is_absent(&error) {
        return not_found();
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return (StatusCode::FORBIDDEN, "403 Forbidden\n").into_response();
    }
    tracing::error!(path = %place.path().display(), %error, "a file cannot be opened");
    Response::new(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests;
