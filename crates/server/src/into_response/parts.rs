//! What a tuple adds to the response that is its last element.

use std::any::type_name;

use ajay_engine::{ContentType, InvalidField, Response, StatusCode};

use crate::IntoResponse;

/// What can stand before the last element of a tuple that a handler returns: it is added to the
/// response that the last element makes, the first of several first.
///
/// | type | what it does |
/// |---|---|
/// | [`StatusCode`] | sets the status |
/// | [`ContentType`] | sets `Content-Type` |
/// | `[(name, value); N]`, `Vec<(name, value)>` | adds field lines, as [`Response::append`] |
/// | `Option<P>` | what `P` does, if there is one |
/// | `Cookie`, `[Cookie; N]`, `Vec<Cookie>` (feature `cookies`) | adds `Set-Cookie` |
///
/// ```
/// # use ajayserver::{ContentType, IntoResponse, Request, StatusCode};
/// async fn created(_: Request) -> impl IntoResponse {
///     (StatusCode::CREATED, [("Location", "/notes/7")], "a note\n")
/// }
///
/// async fn table(_: Request) -> impl IntoResponse {
///     const CSV: ContentType = ContentType::new("text/csv; charset=utf-8");
///     (CSV, [("Cache-Control", "max-age=60")], "a,b\n1,2\n")
/// }
/// ```
///
/// What cannot be sent never reaches the wire: the response is 500 then, without a body, and the
/// reason is logged.
pub trait ResponsePart {
    /// Adds this to a response.
    ///
    /// # Errors
    /// [`InvalidField`] where it cannot be sent.
    fn add_to(self, response: Response) -> Result<Response, InvalidField>;
}

impl ResponsePart for StatusCode {
    #[inline]
    fn add_to(self, response: Response) -> Result<Response, InvalidField> {
        Ok(response.with_status(self))
    }
}

impl ResponsePart for ContentType {
    #[inline]
    fn add_to(self, response: Response) -> Result<Response, InvalidField> {
        Ok(response.with_content_type(self))
    }
}

impl<P: ResponsePart> ResponsePart for Option<P> {
    fn add_to(self, response: Response) -> Result<Response, InvalidField> {
        match self {
            Some(part) => part.add_to(response),
            None => Ok(response),
        }
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const LEN: usize> ResponsePart for [(N, V); LEN] {
    fn add_to(self, response: Response) -> Result<Response, InvalidField> {
        add_lines(response, self)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> ResponsePart for Vec<(N, V)> {
    fn add_to(self, response: Response) -> Result<Response, InvalidField> {
        add_lines(response, self)
    }
}

fn add_lines<N: AsRef<str>, V: AsRef<[u8]>>(
    mut response: Response,
    lines: impl IntoIterator<Item = (N, V)>,
) -> Result<Response, InvalidField> {
    for (name, value) in lines {
        response.append(name.as_ref(), value)?;
    }
    Ok(response)
}

/// The response with this part, or 500.
#[inline]
pub(super) fn added<P: ResponsePart>(
    response: Result<Response, InvalidField>,
    part: P,
) -> Result<Response, InvalidField> {
    let response = part.add_to(response?);
    if let Err(error) = &response {
        tracing::error!(part = type_name::<P>(), %error, "a handler's response cannot be sent");
    }
    response
}

macro_rules! tuples {
    ($(($($part:ident $name:ident),+))+) => {$(
        impl<$($part: ResponsePart,)+ T: IntoResponse> IntoResponse for ($($part,)+ T) {
            #[inline]
            fn into_response(self) -> Response {
                let ($($name,)+ last) = self;
                let response = Ok(last.into_response());
                $(let response = added(response, $name);)+
                response.into_response()
            }
        }
    )+};
}

tuples! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
    (A a, B b, C c, D d, E e)
}
