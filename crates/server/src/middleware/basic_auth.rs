//! User names and passwords by Basic authentication (RFC 7617).

use std::future::Future;
use std::hint::black_box;
use std::rc::Rc;

use ajay_engine::{FieldSection, KnownField, Response, StatusCode};

use crate::{Middleware, Next, Request};

/// Lets in who knows a user name and its password (RFC 7617); others get 401 with
/// `WWW-Authenticate`.
///
/// What is sent is not encrypted: for use over TLS. The name of who was let in is in the extensions, as a [`User`].
///
/// ```
/// # use ajayserver::{Request, Router, middleware::{BasicAuth, Users}};
/// let users = Users::new().user("ada", "correct horse");
/// let router = Router::new()
///     .get("/", async |_: Request| "Hello, Ada!\n")
///     .wrap(BasicAuth::new("cellar", users));
/// // Or ask a database:
/// let asked = BasicAuth::new("cellar", async |user: String, password: String| {
///     user == "ada" && password.len() > 20
/// });
/// ```
#[derive(Clone, Debug)]
pub struct BasicAuth<V> {
    challenge: String,
    verifier: V,
}

impl<V: Verifier> BasicAuth<V> {
    /// Asks for what this verifier accepts: [`Users`], or an async function from name and password
    /// to whether they are right. Browsers show the realm.
    ///
    /// # Panics
    /// When the realm cannot be in a field value.
    pub fn new(realm: &str, verifier: V) -> BasicAuth<V> {
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        if let Err(error) = FieldSection::new().append(FIELD, &challenge) {
            panic!("{realm:?}: {error}");
        }
        BasicAuth {
            challenge,
            verifier,
        }
    }

    fn refusal(&self) -> Response {
        let mut response = Response::new(StatusCode::UNAUTHORIZED);
        let added = response.append(FIELD, &self.challenge);
        debug_assert!(added.is_ok(), "checked when it was set");
        response
    }
}

const FIELD: &str = "WWW-Authenticate";

/// Who was let in by [`BasicAuth`], in the extensions of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(pub String);

/// What knows users and passwords, for [`BasicAuth`].
pub trait Verifier: 'static {
    /// Whether this is the user's password.
    fn verify(&self, user: String, password: String) -> impl Future<Output = bool>;
}

impl<F: AsyncFn(String, String) -> bool + 'static> Verifier for F {
    fn verify(&self, user: String, password: String) -> impl Future<Output = bool> {
        self(user, password)
    }
}

/// A few users with their passwords, compared in a time that does not depend on where they
/// differ, though it does on their lengths.
#[derive(Clone, Default)]
pub struct Users(Vec<(String, String)>);

impl Users {
    /// No users: nobody is let in.
    pub fn new() -> Users {
        Users::default()
    }

    /// Adds a user. A name holds no colon: such a user is never let in.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Users {
        self.0.push((name.to_owned(), password.to_owned()));
        self
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users")
            .field("count", &self.0.len())
            .finish_non_exhaustive()
    }
}

impl Verifier for Users {
    async fn verify(&self, user: String, password: String) -> bool {
        // All of them, whichever it is.
        self.0.iter().fold(false, |found, (name, right)| {
            found | (is_equal(name, &user) & is_equal(right, &password))
        })
    }
}

fn is_equal(a: &str, b: &str) -> bool {
    let differing = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    a.len() == b.len() && differing == 0
}

/// The user name and password of `Authorization`.
fn credentials(request: &Request) -> Option<(String, String)> {
    let value = std::str::from_utf8(request.get(KnownField::Authorization)?).ok()?;
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(decoded(token.trim_matches(' '))?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The bytes of Base64 with its padding, or without (RFC 4648 §4). None of anything else.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | u32::from(sextet(*byte)?);
        }
        // From the left: 2, 3 and 4 digits are 1, 2 and 3 bytes.
        let count = match group.len() {
            1 => return None,
            digits => digits - 1,
        };
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=count]);
    }
    Some(bytes)
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

impl<V: Verifier> Middleware for BasicAuth<V> {
    fn handle(
        self: &Rc<Self>,
        mut request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<V> {
        let this = Rc::clone(self);
        async move {
            let Some((user, password)) = credentials(&request) else {
                return this.refusal();
            };
            if !this.verifier.verify(user.clone(), password).await {
                return this.refusal();
            }
            request.extensions_mut().insert(User(user));
            next.run(request).await
        }
    }
}
