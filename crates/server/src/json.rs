//! JSON in requests and responses (RFC 8259).

use std::cell::Cell;
use std::fmt;

use ajay_engine::{ContentError, ContentType, Response, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{IntoResponse, Request, media_type};

impl Request {
    /// The content as JSON, up to `content_collected_bytes_max` (4 MiB by default).
    ///
    /// ```
    /// # use ajayserver::{Json, JsonError, Request};
    /// #[derive(serde::Deserialize, serde::Serialize)]
    /// struct Point {
    ///     x: i32,
    ///     y: i32,
    /// }
    ///
    /// async fn mirror(mut request: Request) -> Result<Json<Point>, JsonError> {
    ///     let point: Point = request.json().await?;
    ///     Ok(Json(Point { x: point.y, y: point.x }))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`JsonError`], each with its status as a response. The content is not read where
    /// `Content-Type` is another, so that `Expect: 100-continue` is refused.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, JsonError> {
        if !is_json(media_type::of(self)) {
            return Err(JsonError::UnsupportedMediaType);
        }
        let content = self.content().collect().await?;
        serde_json::from_slice(&content).map_err(|error| match error.classify() {
            Category::Data => JsonError::Shape(error.to_string()),
            _ => JsonError::Syntax(error.to_string()),
        })
    }
}

/// `application/json`, and types with the suffix `+json` (RFC 6839 §3.1).
fn is_json(media_type: &str) -> bool {
    let suffix = media_type.len().checked_sub("+json".len());
    let suffix = suffix.and_then(|start| media_type.get(start..));
    media_type.eq_ignore_ascii_case("application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
            && media_type.contains('/')
}

/// Why there is no value from a request's content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonError {
    /// `Content-Type` is neither `application/json` nor one with `+json` (415).
    UnsupportedMediaType,
    /// The content did not come as a whole: 413, 408 or 400, as [`ContentError`] says.
    Content(ContentError),
    /// It is no JSON (400): what is wrong, and where.
    Syntax(String),
    /// It is JSON, but not what the type asks for (422): what is wrong, and where.
    Shape(String),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::UnsupportedMediaType => {
                f.write_str("the content has to be JSON, with Content-Type: application/json")
            }
            JsonError::Content(error) => error.fmt(f),
            JsonError::Syntax(text) => write!(f, "the content is not JSON: {text}"),
            JsonError::Shape(text) => write!(f, "the JSON is not what is expected here: {text}"),
        }
    }
}

impl std::error::Error for JsonError {}

impl From<ContentError> for JsonError {
    fn from(error: ContentError) -> JsonError {
        JsonError::Content(error)
    }
}

impl IntoResponse for JsonError {
    fn into_response(self) -> Response {
        let status = match self {
            JsonError::Content(error) => return error.into_response(),
            JsonError::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            JsonError::Syntax(_) => StatusCode::BAD_REQUEST,
            JsonError::Shape(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, format!("{self}\n")).into_response()
    }
}

/// A value as JSON, with `Content-Type: application/json`.
///
/// ```
/// # use ajayserver::{Json, Request, StatusCode};
/// #[derive(serde::Serialize)]
/// struct Note {
///     id: u64,
///     text: &'static str,
/// }
///
/// async fn create(_: Request) -> (StatusCode, Json<Note>) {
///     (StatusCode::CREATED, Json(Note { id: 7, text: "buy milk" }))
/// }
/// ```
///
/// A value that cannot be JSON (a map with keys that are no strings, or a `Serialize` that fails)
/// is 500, and logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match to_bytes(&self.0) {
            Ok(bytes) => Response::ok(bytes).with_content_type(ContentType::JSON),
            Err(error) => {
                tracing::error!(%error, "a handler's value cannot be JSON");
                Response::new(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

thread_local! {
    /// Where values are written, so that what is sent is allocated once and with its exact size.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// More than this is not kept for the next value.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Result<Bytes, serde_json::Error> {
    // Taken out: a value's own code runs now, and may come back here.
    let mut text = SCRATCH.take();
    text.clear();
    serde_json::to_writer(&mut text, value)?;
    if text.len() > SCRATCH_BYTES_MAX {
        return Ok(text.into());
    }
    let bytes = Bytes::copy_from_slice(&text);
    SCRATCH.set(text);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
