//! A client that sees every byte.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::{Address, PATIENCE, Response};

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    /// Received and not used.
    buffer: Vec<u8>,
    /// The kernel has told of a reset.
    was_reset: bool,
    /// How the connection ended, once it has.
    end: Option<End>,
}

/// How the server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order.
    Fin,
    /// By a reset.
    Reset,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When that fails.
    pub fn connect(address: &Address) -> Client {
        match Client::try_connect(address) {
            Ok(client) => client,
            Err(error) => panic!("cannot connect to {address}: {error}"),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_connect(address: &Address) -> io::Result<Client> {
        let socket = match address {
            Address::Tcp(address) => {
                let socket = TcpStream::connect_timeout(address, PATIENCE)?;
                socket.set_nodelay(true)?;
                socket
            }
            // Only calls that every stream socket has are used on it.
            Address::Unix(path) => TcpStream::from(OwnedFd::from(UnixStream::connect(path)?)),
        };
        Client::over(socket)
    }

    /// A client on a socket that is connected.
    ///
    /// # Errors
    /// When its timeouts cannot be set.
    pub fn over(socket: TcpStream) -> io::Result<Client> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Client {
            socket,
            buffer: Vec::new(),
            was_reset: false,
            end: None,
        })
    }

    /// The socket itself.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Writes all of `data`.
    ///
    /// # Panics
    /// When the server does not take it.
    pub fn send(&mut self, data: impl AsRef<[u8]>) {
        if let Err(error) = self.try_send(data) {
            panic!("cannot send: {error}");
        }
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn try_send(&mut self, data: impl AsRef<[u8]>) -> io::Result<()> {
        let sent = self.socket.write_all(data.as_ref());
        self.note(sent)
    }

    /// Waits until there is something to read, the end included.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has come before this time has passed; whatever the kernel says of
    /// the connection.
    pub fn peek(&mut self, patience: Duration) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(patience))?;
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_read_timeout(Some(PATIENCE))?;
        self.note(peeked)
    }

    /// The kernel tells of a reset once, to whichever call comes first: reads see an end like any
    /// other from then on.
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.was_reset |= result
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        result
    }

    /// Sends `GET target` with a `Host` and these lines (complete, or nothing).
    pub fn get(&mut self, target: &str, lines: &str) {
        self.send(format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
        ));
    }

    /// Sends `POST target` with content of known length.
    pub fn post(&mut self, target: &str, lines: &str, content: &[u8]) {
        let mut message = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{lines}\r\n",
            content.len()
        )
        .into_bytes();
        message.extend_from_slice(content);
        self.send(message);
    }

    /// Asks and reads the answer.
    pub fn fetch(&mut self, target: &str) -> Response {
        self.get(target, "");
        self.response()
    }

    /// Closes the sending side.
    ///
    /// # Panics
    /// When that fails.
    pub fn finish_sending(&self) {
        if let Err(error) = self.socket.shutdown(Shutdown::Write) {
            panic!("cannot close the sending side: {error}");
        }
    }

    /// Closes the connection with a reset.
    ///
    /// # Panics
    /// When that cannot be arranged.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.socket);
        if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
            panic!("cannot arrange a reset: {error}");
        }
    }

    /// Another handle on the same connection, for a thread that only sends.
    ///
    /// # Panics
    /// When there is no descriptor left.
    pub fn sender(&self) -> TcpStream {
        match self.socket.try_clone() {
            Ok(socket) => socket,
            Err(error) => panic!("cannot clone a socket: {error}"),
        }
    }

    /// Reads a final response, and the informational ones before it.
    ///
    /// # Panics
    /// When what comes is not one, or nothing comes.
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads the response to a request with this method.
    ///
    /// # Panics
    /// As [`response`](Client::response).
    pub fn response_to(&mut self, method: &str) -> Response {
        match self.try_response_to(method) {
            Ok(response) => response,
            Err(problem) => panic!("no response: {problem}"),
        }
    }

    /// Reads the response to a request with this method.
    ///
    /// # Errors
    /// What was wrong with it, with what came of it.
    pub fn try_response_to(&mut self, method: &str) -> Result<Response, String> {
        let (mut interim, mut links) = (Vec::new(), Vec::new());
        loop {
            let mut response = self.head()?;
            if (100..200).contains(&response.status) && response.status != 101 {
                interim.push(response.status);
                let fields = response.fields.into_iter();
                links.extend(fields.filter(|(name, _)| name == "Link").map(|(_, it)| it));
                continue;
            }
            (response.interim, response.links) = (interim, links);
            self.content(method, &mut response)?;
            return Ok(response);
        }
    }

    /// Reads the head of a response, informational or final.
    ///
    /// # Errors
    /// What was wrong with it, with what came of it.
    pub fn head(&mut self) -> Result<Response, String> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 128];
            let mut head = httparse::Response::new(&mut fields);
            match head.parse(&self.buffer) {
                Ok(httparse::Status::Complete(len)) => {
                    let response = strict_head(&head, &self.buffer[..len])?;
                    self.buffer.drain(..len);
                    return Ok(response);
                }
                Ok(httparse::Status::Partial) => self.more("a response head")?,
                Err(error) => {
                    return Err(format!(
                        "{error} in {:?}",
                        self.buffer.escape_ascii().to_string()
                    ));
                }
            }
        }
    }

    fn content(&mut self, method: &str, response: &mut Response) -> Result<(), String> {
        let length = response.field("content-length");
        let chunked = match response.field("transfer-encoding") {
            None => false,
            Some("chunked") if length.is_none() => true,
            Some(other) => return Err(format!("Transfer-Encoding: {other} with {length:?}")),
        };
        if matches!(response.status, 204 | 304) || method == "HEAD" || response.status == 101 {
            return Ok(());
        }
        if chunked {
            return self.chunks(response);
        }
        if let Some(length) = length {
            let length = length
                .parse::<usize>()
                .map_err(|_| format!("Content-Length: {length}"))?;
            while self.buffer.len() < length {
                self.more("content of known length")?;
            }
            response.body = self.buffer.drain(..length).collect();
            return Ok(());
        }
        response.until_close = true;
        while self.receive() {}
        if self.end == Some(End::Reset) {
            return Err(format!("reset after {} bytes", self.buffer.len()));
        }
        response.body = std::mem::take(&mut self.buffer);
        Ok(())
    }

    /// Exactly `1*HEXDIG CRLF data CRLF`, without extensions or leading zeros, then the last
    /// chunk and trailers.
    fn chunks(&mut self, response: &mut Response) -> Result<(), String> {
        loop {
            let line = self.line()?;
            let digits = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !digits || (line.len() > 1 && line.starts_with('0')) {
                return Err(format!("chunk size {line:?}"));
            }
            let size = usize::from_str_radix(&line, 16).map_err(|error| error.to_string())?;
            if size == 0 {
                break;
            }
            while self.buffer.len() < size + 2 {
                self.more("a chunk")?;
            }
            response.chunks.push(size);
            response.body.extend(self.buffer.drain(..size));
            let end: Vec<u8> = self.buffer.drain(..2).collect();
            if end != b"\r\n" {
                return Err(format!(
                    "{:?} after a chunk",
                    end.escape_ascii().to_string()
                ));
            }
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(());
            }
            let Some((name, value)) = line.split_once(": ") else {
                return Err(format!("trailer line {line:?}"));
            };
            response.trailers.push((name.to_owned(), value.to_owned()));
        }
    }

    /// A line without its CRLF.
    fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).take(at).collect();
                return String::from_utf8(line).map_err(|error| error.to_string());
            }
            self.more("a line")?;
        }
    }

    fn more(&mut self, what: &str) -> Result<(), String> {
        if self.receive() {
            return Ok(());
        }
        let held = self.buffer.len().min(200);
        Err(format!(
            "the connection ended ({:?}) inside {what}, after {:?}",
            self.end,
            self.buffer[..held].escape_ascii().to_string()
        ))
    }

    /// Receives once. False at the end of the connection.
    ///
    /// # Panics
    /// When nothing comes for [`PATIENCE`].
    pub fn receive(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        let mut piece = [0; 64 * 1024];
        match self.socket.read(&mut piece) {
            Ok(0) if self.was_reset => self.end = Some(End::Reset),
            Ok(0) => self.end = Some(End::Fin),
            Ok(len) => self.buffer.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.end = Some(End::Reset);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!(
                "nothing came: {error}; held {:?}",
                self.buffer[..self.buffer.len().min(200)]
                    .escape_ascii()
                    .to_string()
            ),
        }
        self.end.is_none()
    }

    /// Takes what was received and not used.
    pub fn take_received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Waits for the end of the connection.
    ///
    /// # Panics
    /// When something else comes first.
    pub fn end(&mut self) -> End {
        while self.receive() {}
        assert!(
            self.buffer.is_empty(),
            "unexpected: {:?}",
            self.buffer[..self.buffer.len().min(400)]
                .escape_ascii()
                .to_string()
        );
        match self.end {
            Some(end) => end,
            None => unreachable!("receive ends at the end only"),
        }
    }

    /// Waits for FIN.
    ///
    /// # Panics
    /// When something else comes.
    #[track_caller]
    pub fn expect_fin(&mut self) {
        assert_eq!(self.end(), End::Fin, "the connection was reset");
    }
}

/// What httparse lets through and we do not.
fn strict_head(head: &httparse::Response<'_, '_>, bytes: &[u8]) -> Result<Response, String> {
    let text = bytes.escape_ascii().to_string();
    let lines = bytes.split(|byte| *byte == b'\n');
    let bare_lf = lines
        .clone()
        .take(lines.count() - 1)
        .any(|line| line.last() != Some(&b'\r'));
    if bare_lf || !bytes.ends_with(b"\r\n\r\n") {
        return Err(format!("bare LF in {text:?}"));
    }
    let (Some(minor_version), Some(status), Some(reason)) = (head.version, head.code, head.reason)
    else {
        return Err(format!("incomplete status line in {text:?}"));
    };
    let mut fields = Vec::with_capacity(head.headers.len());
    for field in head.headers.iter() {
        let value = std::str::from_utf8(field.value).map_err(|error| error.to_string())?;
        fields.push((field.name.to_owned(), value.to_owned()));
    }
    Ok(Response {
        minor_version,
        status,
        reason: reason.to_owned(),
        fields,
        body: Vec::new(),
        trailers: Vec::new(),
        chunks: Vec::new(),
        interim: Vec::new(),
        links: Vec::new(),
        until_close: false,
    })
}
