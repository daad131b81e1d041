//! A cache for each worker: without locks, since a worker is one thread.
//!
//! ```text
//! cargo run --release --example worker_cache -- 127.0.0.1:8080
//! curl localhost:8080/factors/9223372036854775783    # a large prime: takes a while
//! curl localhost:8080/factors/9223372036854775783    # at once, if the same worker has it
//! curl localhost:8080/cache
//! ```

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use ajayserver::{BlockingError, IntoResponse, ParamError, PerWorker, Request, Response};
use ajayserver::{Router, Server, blocking};

fn main() -> ajayserver::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let router = Router::new()
        .get("/factors/{number}", factors)
        .get("/cache", show)
        .state(PerWorker::new(Cache::default));
    Server::bind(&address)?.run(router.build()?)
}

/// The factors of numbers that somebody has asked for.
#[derive(Default)]
struct Cache {
    factors: RefCell<HashMap<u64, String>>,
    hits: Cell<u64>,
}

/// When there are so many, it is emptied.
const ENTRIES_MAX: usize = 10_000;

async fn factors(request: Request) -> Result<String, Failure> {
    let number: u64 = request.parse_param("number").map_err(Failure::Param)?;
    let cache = request.state::<PerWorker<Cache>>().get();
    if let Some(known) = cache.factors.borrow().get(&number) {
        cache.hits.set(cache.hits.get() + 1);
        return Ok(known.clone());
    }
    // Others are answered meanwhile: nothing is borrowed while this waits.
    let found = blocking(move || factorise(number));
    let found = found.await.map_err(Failure::Blocking)?;
    let mut factors = cache.factors.borrow_mut();
    if factors.len() >= ENTRIES_MAX {
        factors.clear();
    }
    factors.insert(number, found.clone());
    Ok(found)
}

async fn show(request: Request) -> String {
    let cache = request.state::<PerWorker<Cache>>().get();
    let entries = cache.factors.borrow().len();
    format!("{entries} numbers, {} hits\n", cache.hits.get())
}

fn factorise(number: u64) -> String {
    let (mut rest, mut factors, mut divisor) = (number, Vec::new(), 2);
    while divisor <= rest / divisor {
        while rest % divisor == 0 {
            factors.push(divisor.to_string());
            rest /= divisor;
        }
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    if rest > 1 || factors.is_empty() {
        factors.push(rest.to_string());
    }
    format!("{number} = {}\n", factors.join(" * "))
}

enum Failure {
    Param(ParamError),
    Blocking(BlockingError),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Param(error) => error.into_response(),
            Failure::Blocking(error) => error.into_response(),
        }
    }
}
