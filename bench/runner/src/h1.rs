//! The little HTTP/1.1 that the runner itself speaks.

use crate::error::{Context as _, Result, fail};
use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The content of the POST loads: the floors know no other length.
const CONTENT_BYTES: usize = 1024;

/// GET and POST must be answered with 200 and `OK`.
pub fn check(address: SocketAddr) -> Result<()> {
    for request in [get(address), post(address)] {
        let method = String::from_utf8_lossy(&request[..4]).trim().to_string();
        let answer = exchange(address, &request).context(|| method.clone())?;
        check_answer(&answer).map_err(|why| {
            let text = String::from_utf8_lossy(&answer);
            fail!("{method} was not answered with 200 and OK: {why}\n{text}")
        })?;
    }
    Ok(())
}

/// A plain request for `/`.
pub fn get(address: SocketAddr) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

fn post(address: SocketAddr) -> Vec<u8> {
    let content = "x".repeat(CONTENT_BYTES);
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: {CONTENT_BYTES}\r\n\r\n{content}"
    )
    .into_bytes()
}

fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(request)?;
    read_answer(&mut stream)
}

/// Reads one response, which must be a kept-alive 200 with the content `OK`.
pub fn receive_ok(stream: &mut TcpStream) -> Result<()> {
    let answer = read_answer(stream).context(|| "read a response".into())?;
    check_answer(&answer).map_err(|why| fail!("{why}"))
}

/// Reads one response with `Content-Length`, or as much as comes.
fn read_answer(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..count]);
        if count == 0 || is_whole(&answer) {
            return Ok(answer);
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").is_some_and(|(head, content)| {
        content_length(head).is_some_and(|length| content.len() >= length)
    })
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}

/// Whether the response is a kept-alive 200 with the content `OK`.
fn check_answer(answer: &[u8]) -> std::result::Result<(), &'static str> {
    let text = String::from_utf8_lossy(answer);
    let (head, content) = text.split_once("\r\n\r\n").ok_or("the head has no end")?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err("the status is not 200");
    }
    if content_length(head) != Some(2) || content != "OK" {
        return Err("the content is not OK");
    }
    if head.to_ascii_lowercase().contains("connection: close") {
        return Err("the connection is not kept");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_answer, is_whole};

    #[test]
    fn only_a_kept_alive_ok_passes() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n";
        assert_eq!(check_answer(format!("{head}\r\nOK").as_bytes()), Ok(()));
        for broken in [
            String::new(),
            format!("{head}Connection: close\r\n\r\nOK"),
            format!("{head}\r\nNO"),
            format!("{head}\r\nOK more"),
            "HTTP/1.1 200 OK\r\n\r\nOK".into(),
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nOK".into(),
        ] {
            assert!(check_answer(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_response_is_whole_with_its_content() {
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO"));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"));
    }
}
