//! The same application four times: `app-peer SERVER --files DIR --listen ADDRESS:PORT --threads N`, where
//! `SERVER` is `ajayserver`, `ajayserver-axum`, `axum` or `actix`.
//!
//! | request | answer |
//! |---|---|
//! | GET `/hello` | 13 bytes of text |
//! | POST `/json` | about 1 KiB of JSON, decoded, with a sum added, encoded again |
//! | POST `/form` | text made of the fields |
//! | POST `/multipart` | the number of bytes in all parts |
//! | POST `/upload` | the number of bytes |
//! | GET `/file/…` | a file |
//! | GET `/sse` | an event each second |

mod actix;
mod ajay;
mod axum_app;
mod model;

use std::error::Error;
use std::path::PathBuf;

use peer_common::Args;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: SERVER --files DIR and those of all peers";
    if words.len() < 3 || words[1] != "--files" {
        return Err(usage.into());
    }
    let server = words.remove(0);
    words.remove(0);
    let files = PathBuf::from(words.remove(0));
    let args = Args::from_words(words);
    peer_common::raise_descriptor_limit()?;
    match server.as_str() {
        "ajayserver" => ajay::native(&args, files)?,
        "ajayserver-axum" => ajay::of_axum(&args, files)?,
        "axum" => axum_app::serve(&args, &files),
        "actix" => actix::serve(&args, files)?,
        _ => return Err(usage.into()),
    }
    Ok(())
}
