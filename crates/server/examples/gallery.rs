//! A page with 200 images over HTTP/2, and HTTP/3 for browsers that trust the certificate: `cargo run --release --example gallery`, then open
//! <https://localhost:8443>, past the browser's warning of a certificate that nobody has signed.
//!
//! The page says how many images it has and by which protocol they came.

use std::fmt::Write as _;

use ajayserver::tls::Versions;
use ajayserver::{Request, Response, Server, StatusCode, Tls};

const IMAGES: u32 = 200;

fn page() -> String {
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><title>Gallery</title>\
         <style>body{font:14px sans-serif;margin:8px}img{width:46px;height:46px;margin:1px}</style>\
         <p id=seen>loading</p>\n",
    );
    for number in 0..IMAGES {
        let _ = write!(page, "<img src=/image/{number} alt={number}>");
    }
    page.push_str(
        "<script>addEventListener('load', () => {
            const count = {};
            for (const entry of performance.getEntriesByType('resource'))
                if (entry.name.includes('/image/'))
                    count[entry.nextHopProtocol] = (count[entry.nextHopProtocol] || 0) + 1;
            const good = [...document.images].filter(image => image.naturalWidth > 0).length;
            document.getElementById('seen').textContent =
                good + ' images; nextHopProtocol ' + JSON.stringify(count);
        })</script>\n",
    );
    page
}

/// A square of a colour of its own.
fn image(number: u32) -> String {
    let hue = number * 360 / IMAGES;
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='46' height='46'>\
         <rect width='46' height='46' fill='hsl({hue},70%,60%)'/>\
         <text x='23' y='28' font-size='14' text-anchor='middle'>{number}</text></svg>"
    )
}

async fn answer(request: Request) -> Response {
    let (kind, body) = match request.path() {
        "/" => ("text/html; charset=utf-8", page()),
        path => {
            let number = path
                .strip_prefix("/image/")
                .and_then(|rest| rest.parse().ok());
            match number {
                Some(number) if number < IMAGES => ("image/svg+xml", image(number)),
                _ => return Response::new(StatusCode::NOT_FOUND),
            }
        }
    };
    Response::ok(body)
        .with_field("Content-Type", kind)
        .unwrap_or_else(|_| Response::new(StatusCode::INTERNAL_SERVER_ERROR))
}

fn main() -> ajayserver::Result<()> {
    let address = std::env::args().nth(1);
    let certificate = std::env::args().nth(2);
    let certificate = certificate
        .as_deref()
        .unwrap_or("ajayserver-development-certificate");
    Server::builder()
        .listen(address.as_deref().unwrap_or("127.0.0.1:8443"))?
        .tls(Tls::self_signed(certificate, ["localhost"]).versions(Versions::ALL))
        .bind()?
        .run(answer)
}
