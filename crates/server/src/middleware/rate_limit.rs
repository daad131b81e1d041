//! How many requests a client may make.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ajay_engine::{Response, StatusCode};
use tokio::time::Instant;

use crate::{Middleware, Next, Request};

/// Lets each client make so many requests: those over it get 429 with `Retry-After` (RFC 6585 §4).
///
/// A client is an address, of IPv6 its first 64 bits, or what [`key`](RateLimit::key) says. Each
/// has a bucket of `burst` tokens, that fills again at a steady rate; a request takes one. All
/// workers of a process share the buckets; several processes each have their own. 65,536 buckets
/// are kept: when there are more, those that have not been used for longest go first, roughly.
/// Clients of Unix sockets share one.
///
/// ```
/// # use std::time::Duration;
/// # use ajayserver::{Request, Router, middleware::RateLimit};
/// let router = Router::new()
///     .get("/", async |_: Request| "Hello, world!\n")
///     // 20 at once, and then ten a second.
///     .wrap(RateLimit::new(Duration::from_millis(100), 20));
/// ```
#[derive(Clone)]
pub struct RateLimit {
    interval: Duration,
    burst: u32,
    key: Option<KeyOf>,
    clients_max: usize,
    pub(super) table: Arc<Table>,
}

type KeyOf = Arc<dyn Fn(&Request) -> Option<String> + Send + Sync>;

impl RateLimit {
    /// A request for each interval, and up to `burst`, at least one, at once.
    ///
    /// # Panics
    /// When the interval is zero.
    pub fn new(interval: Duration, burst: u32) -> RateLimit {
        assert!(!interval.is_zero(), "no interval between requests");
        RateLimit {
            interval,
            burst: burst.max(1),
            key: None,
            clients_max: 65_536,
            table: Arc::default(),
        }
    }

    /// Who the client is, such as by its API key, in place of its address. Requests for which the
    /// function says None are not limited.
    #[must_use]
    pub fn key<F>(mut self, key: F) -> RateLimit
    where
        F: Fn(&Request) -> Option<String> + Send + Sync + 'static,
    {
        self.key = Some(Arc::new(key));
        self
    }

    /// So many clients are remembered, rounded up to a multiple of 16; 65,536 if nothing is said.
    #[must_use]
    pub fn clients_max(mut self, clients: usize) -> RateLimit {
        self.clients_max = clients;
        self
    }

    fn client(&self, request: &Request) -> Option<Client> {
        if let Some(key) = &self.key {
            return key(request).map(|key| Client::Key(key.into()));
        }
        let address = request
            .peer_addr()
            .ip()
            .map(|address| address.ip().to_canonical());
        Some(match address {
            Some(IpAddr::V4(address)) => Client::V4(address.to_bits()),
            Some(IpAddr::V6(address)) => Client::V6((address.to_bits() >> 64) as u64),
            None => Client::Unix,
        })
    }

    /// Takes a token, or says how long it is until there is one.
    fn take(&self, client: Client) -> Result<(), Duration> {
        let now = Instant::now();
        let shard = self.table.hasher.hash_one(&client) as usize % SHARDS;
        let shard = self.table.shards[shard].lock();
        // Nothing of the application's runs while it is locked.
        let mut full_at = shard.unwrap_or_else(PoisonError::into_inner);
        if !full_at.contains_key(&client) {
            let clients_max = self.clients_max.div_ceil(SHARDS).max(1);
            while full_at.len() >= clients_max {
                evict(&mut full_at);
            }
        }
        // A bucket is the time at which it is full again.
        let full = full_at.get(&client).map_or(now, |full| (*full).max(now));
        let missing = full + self.interval - now;
        let most = self.interval * self.burst;
        match missing.checked_sub(most).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(wait),
            None => {
                full_at.insert(client, full + self.interval);
                Ok(())
            }
        }
    }
}

/// So many workers hardly ever want the same lock.
const SHARDS: usize = 16;

/// So many buckets are compared to find one that has to go.
const COMPARED: usize = 8;

#[derive(Default)]
pub(super) struct Table {
    hasher: RandomState,
    pub(super) shards: [Mutex<HashMap<Client, Instant>>; SHARDS],
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Client {
    V4(u32),
    V6(u64),
    Unix,
    Key(Box<str>),
}

/// Removes the fullest bucket of a few.
fn evict(full_at: &mut HashMap<Client, Instant>) {
    let few = full_at.iter().take(COMPARED);
    let first = few.min_by_key(|(_, full)| **full);
    if let Some(client) = first.map(|(client, _)| client.clone()) {
        full_at.remove(&client);
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("interval", &self.interval)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}

impl Middleware for RateLimit {
    fn handle(
        self: &Rc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Response> + use<> {
        let this = Rc::clone(self);
        async move {
            let taken = this
                .client(&request)
                .map_or(Ok(()), |client| this.take(client));
            let Err(wait) = taken else {
                return next.run(request).await;
            };
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let mut response = Response::new(StatusCode::TOO_MANY_REQUESTS);
            let added = response.append("Retry-After", seconds.to_string());
            debug_assert!(added.is_ok(), "a number");
            response
        }
    }
}
