//! The little HTTP/1.1 that the runner itself speaks.

use crate::{
    error::{Context as _, Result, fail},
    place::Dirs,
    spec::Content,
};
use std::{
    fmt, fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tls_client::{Client, Group, Sessions};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The content of the POST loads: the floors know no other length.
const CONTENT_BYTES: usize = 1024;
const READ_BYTES: usize = 16 * 1024;
/// What a message shows of an answer that is not right.
const SHOWN_BYTES: usize = 1024;

/// GET and POST must be answered with 200 and `OK`, or GET with the content of the load.
pub fn check(dirs: &Dirs, address: SocketAddr, tls: bool, content: Option<&Content>) -> Result<()> {
    let (requests, wanted) = match content {
        None => (vec![get(address), post(address)], Wanted::Ok),
        Some(content) => {
            let request = match &content.post {
                None => get_path(address, &content.path),
                Some(file) => post_file(dirs, address, content, file)?,
            };
            (vec![request], Wanted::Length(content.bytes))
        }
    };
    for request in requests {
        let method = String::from_utf8_lossy(&request[..4]).trim().to_string();
        let answer = exchange(address, tls, &request).context(|| method.clone())?;
        check_answer(&answer, wanted).map_err(|why| {
            let text = String::from_utf8_lossy(&answer[..answer.len().min(SHOWN_BYTES)]);
            fail!("{method} was not answered with 200 and {wanted}: {why}\n{text}")
        })?;
    }
    Ok(())
}

/// A plain request for `/`.
pub fn get(address: SocketAddr) -> Vec<u8> {
    get_path(address, "/")
}

fn get_path(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

fn post_file(dirs: &Dirs, address: SocketAddr, content: &Content, file: &str) -> Result<Vec<u8>> {
    let file = dirs.files().join("www").join(file);
    let data = fs::read(&file).context(|| format!("read {}", file.display()))?;
    let (path, length) = (&content.path, data.len());
    let media_type = content
        .media_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    Ok([head.as_bytes(), &data].concat())
}

fn post(address: SocketAddr) -> Vec<u8> {
    let content = "x".repeat(CONTENT_BYTES);
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: {CONTENT_BYTES}\r\n\r\n{content}"
    )
    .into_bytes()
}

fn exchange(address: SocketAddr, tls: bool, request: &[u8]) -> io::Result<Vec<u8>> {
    if tls {
        let client = Client::new(Group::default(), Sessions::New);
        return ask(&mut client.connect(address)?, request);
    }
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    ask(&mut stream, request)
}

fn ask(stream: &mut (impl Read + Write), request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    read_answer(stream)
}

/// Reads one response, which must be a kept-alive 200 with the content `OK`.
pub fn receive_ok(stream: &mut TcpStream) -> Result<()> {
    let answer = read_answer(stream).context(|| "read a response".into())?;
    check_answer(&answer, Wanted::Ok).map_err(|why| fail!("{why}"))
}

/// Reads one response with `Content-Length`, or as much as comes.
fn read_answer(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = [0; READ_BYTES];
    loop {
        let count = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..count]);
        if count == 0 || is_whole(&answer) {
            return Ok(answer);
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    split(answer).is_some_and(|(head, content)| {
        content_length(&head).is_some_and(|length| content.len() as u64 >= length)
    })
}

/// The head and what there is of the content, once the head is whole.
fn split(answer: &[u8]) -> Option<(String, &[u8])> {
    const END: &[u8] = b"\r\n\r\n";
    let head_bytes = answer.windows(END.len()).position(|bytes| bytes == END)?;
    let head = String::from_utf8_lossy(&answer[..head_bytes]).into_owned();
    Some((head, &answer[head_bytes + END.len()..]))
}

fn content_length(head: &str) -> Option<u64> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}

/// The content that a response must have.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Ok,
    Length(u64),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => write!(f, "OK"),
            Self::Length(bytes) => write!(f, "{bytes} bytes"),
        }
    }
}

/// Whether the response is a kept-alive 200 with the content that it must have.
fn check_answer(answer: &[u8], wanted: Wanted) -> std::result::Result<(), &'static str> {
    let (head, content) = split(answer).ok_or("the head has no end")?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err("the status is not 200");
    }
    if content_length(&head) != Some(content.len() as u64) {
        return Err("the content is not as long as its head says");
    }
    let is_right = match wanted {
        Wanted::Ok => content == b"OK",
        Wanted::Length(bytes) => content.len() as u64 == bytes,
    };
    if !is_right {
        return Err("the content is another");
    }
    if head.to_ascii_lowercase().contains("connection: close") {
        return Err("the connection is not kept");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Wanted, check_answer, is_whole, read_answer};

    #[test]
    fn only_a_kept_alive_ok_passes() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n";
        let good = format!("{head}\r\nOK");
        assert_eq!(check_answer(good.as_bytes(), Wanted::Ok), Ok(()));
        for broken in [
            String::new(),
            format!("{head}Connection: close\r\n\r\nOK"),
            format!("{head}\r\nNO"),
            format!("{head}\r\nOK more"),
            "HTTP/1.1 200 OK\r\n\r\nOK".into(),
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nOK".into(),
        ] {
            assert!(
                check_answer(broken.as_bytes(), Wanted::Ok).is_err(),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn a_response_is_whole_with_its_content() {
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO"));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"));
    }

    #[test]
    fn a_long_content_has_its_length() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
        let wire = format!("{head}{}", "x".repeat(100_000)).into_bytes();
        let answer = read_answer(&mut wire.as_slice()).unwrap();
        assert_eq!(check_answer(&answer, Wanted::Length(100_000)), Ok(()));
        assert!(check_answer(&answer, Wanted::Length(100_001)).is_err());
        let cut = &wire[..wire.len() - 1];
        let answer = read_answer(&mut &cut[..]).unwrap();
        assert!(check_answer(&answer, Wanted::Length(100_000)).is_err());
        assert!(check_answer(&answer, Wanted::Length(99_999)).is_err());
    }
}
