//! A name for each request.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;

use ajay_engine::Response;

use crate::{Middleware, Next, Request};

/// Gives each request an id: in its extensions as an [`Id`], and in `X-Request-Id` of the response.
///
/// An id has 128 bits that nobody repeats by chance, in hexadecimal. It is not a secret.
///
/// ```
/// # use ajayserver::{Request, Router, middleware::{Id, RequestId}};
/// let router = Router::new()
///     .get("/", async |request: Request| match request.extension::<Id>() {
///         Some(id) => format!("You are {id}.\n"),
///         None => "Who are you?\n".to_owned(),
///     })
///     .wrap(RequestId::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestId {
    trusts_clients: bool,
}

impl RequestId {
    /// Makes an id for each request, whatever the client says.
    pub fn new() -> RequestId {
        RequestId::default()
    }

    /// Takes the id of a request that has one, of 1 to 128 letters, digits, `-`, `_`, `.` and `:`: behind a proxy
    /// that sets it. No if nothing is said.
    #[must_use]
    pub fn trust_clients(mut self, trusts: bool) -> RequestId {
        self.trusts_clients = trusts;
        self
    }

    fn of(self, request: &Request) -> Id {
        let theirs = request
            .field(FIELD)
            .filter(|id| self.trusts_clients && is_id(id));
        Id(theirs.map_or_else(made, Arc::from))
    }
}

/// The id of a request, as [`RequestId`] leaves it in the extensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const FIELD: &str = "X-Request-Id";

/// Longer than any usual form of an id, short enough for logs.
const ID_BYTES_MAX: usize = 128;

fn is_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_plain)
}

thread_local! {
    /// The system's randomness for this thread, and how many ids were made of it.
    static SEEDS: (RandomState, RandomState, Cell<u64>) = Default::default();
}

fn made() -> Arc<str> {
    SEEDS.with(|(high, low, count)| {
        let number = count.get();
        count.set(number.wrapping_add(1));
        format!(
            "{:016x}{:016x}",
            high.hash_one(number),
            low.hash_one(number)
        )
        .into()
    })
}

impl Middleware for RequestId {
    fn handle(
        self: &Rc<Self>,
        mut request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<> {
        let id = self.of(&request);
        async move {
            request.extensions_mut().insert(id.clone());
            let mut response = next.run(request).await;
            let set = response.fields_mut().set(FIELD, id.as_str());
            debug_assert!(
                set.is_ok(),
                "an id is made of letters, digits and a few others"
            );
            response
        }
    }
}
