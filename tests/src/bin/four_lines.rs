//! The program of the front page: a server in four lines.

use ajayserver::{Request, Server};

fn main() -> ajayserver::Result<()> {
    Server::bind("127.0.0.1:0")?.run(async |_: Request| "Hello, world!\n")
}
