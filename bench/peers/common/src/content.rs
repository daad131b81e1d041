//! What peers answer from memory, by path: the same that the file servers have in files.

static LONG: [u8; 1024 * 1024] = [b'x'; 1024 * 1024];

/// The content of the response for `path`.
#[must_use]
pub fn content(path: &str) -> &'static [u8] {
    match path {
        "/10k.txt" => &LONG[..10 * 1024],
        "/1m.txt" => &LONG,
        _ => b"OK",
    }
}
