//! Forms and queries: `application/x-www-form-urlencoded`, as the URL Standard defines it.

use std::fmt;

use ajay_engine::{ContentError, Response, StatusCode};
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;

use crate::{IntoResponse, Request, media_type};

impl Request {
    /// The content as the fields of an HTML form, up to `content_collected_bytes_max` (4 MiB by
    /// default). A name that is there several times becomes a `Vec`; an empty value is `None` only
    /// where the type says so.
    ///
    /// ```
    /// # use ajayserver::{FormError, Request};
    /// #[derive(serde::Deserialize)]
    /// struct Login {
    ///     name: String,
    ///     #[serde(default)]
    ///     groups: Vec<String>,
    /// }
    ///
    /// async fn login(mut request: Request) -> Result<String, FormError> {
    ///     let login: Login = request.form().await?;
    ///     Ok(format!("Hello, {} of {} groups!\n", login.name, login.groups.len()))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`FormError`], each with its status as a response. The content is not read where
    /// `Content-Type` is another.
    pub async fn form<T: DeserializeOwned>(&mut self) -> Result<T, FormError> {
        if !media_type::of(self).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(FormError::UnsupportedMediaType);
        }
        let content = self.content().collect().await?;
        check(&content)?;
        serde_html_form::from_bytes(&content).map_err(|error| FormError::Shape(error.to_string()))
    }

    /// The query as a structure; without a query, an empty one.
    ///
    /// ```
    /// # use ajayserver::{QueryError, Request};
    /// #[derive(serde::Deserialize)]
    /// struct Page {
    ///     #[serde(default)]
    ///     page: u32,
    ///     tag: Vec<String>,
    /// }
    ///
    /// async fn list(request: Request) -> Result<String, QueryError> {
    ///     let page: Page = request.query_as()?;
    ///     Ok(format!("page {} of {:?}\n", page.page, page.tag))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`QueryError`], which as a response is 400.
    pub fn query_as<T: DeserializeOwned>(&self) -> Result<T, QueryError> {
        let query = self.query().unwrap_or_default().as_bytes();
        let checked = check(query).map_err(|error| error.to_string());
        let parsed = checked
            .and_then(|()| serde_html_form::from_bytes(query).map_err(|error| error.to_string()));
        parsed.map_err(QueryError)
    }
}

/// As many fields a form may have: each takes much more memory than its bytes.
const FIELDS_MAX: usize = 10_000;

fn check(text: &[u8]) -> Result<(), FormError> {
    if text.iter().filter(|byte| **byte == b'&').count() >= FIELDS_MAX {
        return Err(FormError::TooManyFields);
    }
    match percent_decode(text).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => Err(FormError::NotText),
    }
}

/// Why there is no value from a form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormError {
    /// `Content-Type` is not `application/x-www-form-urlencoded` (415).
    UnsupportedMediaType,
    /// The content did not come as a whole: 413, 408 or 400, as [`ContentError`] says.
    Content(ContentError),
    /// More than 10 000 fields (413).
    TooManyFields,
    /// Decoded, it is not UTF-8 (400).
    NotText,
    /// The fields are not what the type asks for (422): what is wrong.
    Shape(String),
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormError::UnsupportedMediaType => f.write_str(
                "the content has to be a form, with Content-Type: application/x-www-form-urlencoded",
            ),
            FormError::Content(error) => error.fmt(f),
            FormError::TooManyFields => write!(f, "there are more than {FIELDS_MAX} fields"),
            FormError::NotText => f.write_str("the fields are not UTF-8"),
            FormError::Shape(text) => write!(f, "the form is not what is expected here: {text}"),
        }
    }
}

impl std::error::Error for FormError {}

impl From<ContentError> for FormError {
    fn from(error: ContentError) -> FormError {
        FormError::Content(error)
    }
}

impl IntoResponse for FormError {
    fn into_response(self) -> Response {
        let status = match self {
            FormError::Content(error) => return error.into_response(),
            FormError::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            FormError::TooManyFields => StatusCode::PAYLOAD_TOO_LARGE,
            FormError::NotText => StatusCode::BAD_REQUEST,
            FormError::Shape(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, format!("{self}\n")).into_response()
    }
}

/// The query is not what the type asks for; as a response 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError(String);

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the query is not what is expected here: {}", self.0)
    }
}

impl std::error::Error for QueryError {}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, format!("{self}\n")).into_response()
    }
}

#[cfg(test)]
mod tests;
