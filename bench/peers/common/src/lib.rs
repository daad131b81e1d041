//! What the Rust peers share, so that each of them shows only what makes it different.

mod args;
mod canned;
mod content;
mod framing;
mod listener;

pub use args::{Args, Tls};
pub use canned::Canned;
pub use content::content;
pub use framing::{Framing, HeadTooLong, Turn};
pub use listener::{listen, raise_descriptor_limit};

/// Runs `serve` on `threads` threads, the calling one among them.
pub fn on_threads(threads: usize, serve: impl Fn() + Send + Sync) {
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(&serve);
        }
        serve();
    });
}
