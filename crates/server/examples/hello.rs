//! The smallest server: `cargo run --release --example hello`, then `curl localhost:8080`.

use ajayserver::Server;

fn main() -> ajayserver::Result<()> {
    Server::bind("127.0.0.1:8080")?.run(async |_| "Hello, world!\n")
}
