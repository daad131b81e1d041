//! The client: writes requests, reads responses, and knows what it must get.

use std::rc::Rc;

use super::{Ending, Random, server::Server};

/// What a request asks the server to answer, in the field `x-answer`; the one that ends a connection
/// is rare.
const ANSWERS: &[&str] = &[
    "exact",
    "exact",
    "exact",
    "unknown",
    "unknown",
    "unknown",
    "trailers",
    "trailers",
    "empty",
    "empty",
    "no-content",
    "no-content",
    "early",
    "early",
    "early",
    "close",
];

pub(super) struct Client {
    requests: Vec<Rc<Request>>,
    /// Bytes ready to be sent, as far as nothing has to be waited for.
    output: Vec<u8>,
    /// Requests whose bytes are in `output` or sent; the next may have its content held back.
    written: usize,
    /// The content of the request before `written`, held back until 100 or a final response.
    held_back: Option<Vec<u8>>,
    /// What is left of the bytes that the link lets through.
    allowance: usize,
    pub(super) input: Vec<u8>,
    responses: Vec<Response>,
    /// A response said that it is the last.
    told_to_close: bool,
    pub(super) continued: u64,
    ending: Ending,
}

struct Request {
    method: &'static str,
    target: String,
    answer: &'static str,
    content: Vec<u8>,
    trailer: Option<String>,
    is_http10: bool,
    keep_alive: bool,
    close: bool,
    expects: bool,
    chunk_sizes: Vec<usize>,
}

#[derive(Debug)]
struct Response {
    status: u16,
    fields: Vec<(String, String)>,
    content: Vec<u8>,
    trailers: Vec<(String, String)>,
    complete: bool,
}

impl Client {
    pub(super) fn new(random: &mut Random, ending: Ending) -> Self {
        let count = 1 + random.below(12);
        let requests = (0..count)
            .map(|index| Rc::new(Request::new(random, index)))
            .collect();
        let allowance = match ending {
            Ending::Truncated => random.below(count * 150),
            Ending::Open | Ending::Closed | Ending::Reset => usize::MAX,
        };
        Self {
            requests,
            output: Vec::new(),
            written: 0,
            held_back: None,
            allowance,
            input: Vec::new(),
            responses: Vec::new(),
            told_to_close: false,
            continued: 0,
            ending,
        }
    }

    /// Sends up to `amount` bytes.
    pub(super) fn transmit(&mut self, amount: usize, link: &mut Vec<u8>) -> bool {
        let amount = amount.min(self.output.len()).min(self.allowance);
        link.extend(self.output.drain(..amount));
        self.allowance -= amount;
        amount > 0
    }

    pub(super) fn is_done_sending(&self) -> bool {
        let all = self.output.is_empty()
            && (self.told_to_close
                || (self.written == self.requests.len() && self.held_back.is_none()));
        all || self.allowance == 0
    }

    /// Writes a request and reads what has come.
    pub(super) fn turn(&mut self, random: &mut Random) -> bool {
        let mut progress = self.write(random);
        while self.read() {
            progress = true;
        }
        progress
    }

    fn write(&mut self, random: &mut Random) -> bool {
        if self.told_to_close || self.held_back.is_some() || self.written == self.requests.len() {
            return false;
        }
        let request = &self.requests[self.written];
        self.output.extend_from_slice(request.head().as_bytes());
        if request.expects {
            self.held_back = Some(request.body());
        } else {
            self.output.extend_from_slice(&request.body());
            // Old clients add an empty line after content.
            if request.method == "POST" && random.one_in(4) {
                self.output.extend_from_slice(b"\r\n");
            }
        }
        self.written += 1;
        true
    }

    /// A client waits for 100 (Continue) a limited time only (RFC 9110 §10.1.1).
    pub(super) fn lose_patience(&mut self) -> bool {
        self.release()
    }

    fn release(&mut self) -> bool {
        let Some(body) = self.held_back.take() else {
            return false;
        };
        self.output.extend_from_slice(&body);
        true
    }

    /// Reads one response or a part of one; says whether it got further.
    fn read(&mut self) -> bool {
        if self
            .responses
            .last()
            .is_none_or(|response| response.complete)
            && self.input.is_empty()
        {
            return false;
        }
        let index = match self.responses.last() {
            Some(response) if !response.complete => self.responses.len() - 1,
            _ => self.responses.len(),
        };
        assert!(
            index < self.written,
            "a response without a request: {:?}",
            text(&self.input)
        );
        let request = &*Rc::clone(&self.requests[index]);
        let Some((mut response, used)) = Response::parse(&self.input, request.method) else {
            return false;
        };
        if response.status == 100 {
            assert!(request.expects && self.held_back.is_some() && index + 1 == self.written);
            self.input.drain(..used);
            self.continued += 1;
            return self.release();
        }
        assert!(!self.told_to_close, "a response after the last one");
        self.told_to_close = response.says_close(request);
        if index + 1 == self.written && self.held_back.is_some() && response.complete {
            if self.told_to_close {
                self.held_back = None;
            } else {
                self.release();
            }
        }
        if !response.complete {
            // Ends with the connection: taken again when there is more.
            let more = self
                .responses
                .get(index)
                .is_none_or(|old| old.content != response.content);
            self.responses.truncate(index);
            self.told_to_close = false;
            self.responses.push(response);
            return more;
        }
        self.input.drain(..used);
        response.complete = true;
        request.check(&response);
        self.responses.truncate(index);
        self.responses.push(response);
        true
    }

    pub(super) fn answered(&self) -> u64 {
        self.responses
            .iter()
            .filter(|response| response.complete)
            .count() as u64
    }

    /// Checks what was received when everything stopped in the middle.
    pub(super) fn check_prefix(&mut self) {
        while self.read() {}
    }

    /// Checks what was received when nothing more can happen.
    pub(super) fn finish(&mut self, server: &Server) {
        while self.read() {}
        if let Some(last) = self.responses.last_mut()
            && !last.complete
        {
            assert!(
                server.is_closed(),
                "a response that ends with the connection"
            );
            last.complete = true;
            let request = &self.requests[self.responses.len() - 1];
            request.check(&self.responses[self.responses.len() - 1]);
            self.told_to_close = true;
            self.input.clear();
        }
        assert!(self.input.is_empty(), "left over: {:?}", text(&self.input));
        assert_eq!(
            self.told_to_close,
            self.requests_end_with_close(),
            "who closes is agreed"
        );
        if self.told_to_close {
            assert!(server.is_closed());
        }
        if self.ending == Ending::Truncated {
            assert_eq!(
                self.responses.len(),
                server.answered,
                "whole requests are answered"
            );
        } else if !self.told_to_close {
            assert_eq!(
                self.responses.len(),
                self.requests.len(),
                "all requests are answered"
            );
        }
    }

    /// Whether the last answered request is one after which the connection must end, or may.
    fn requests_end_with_close(&self) -> bool {
        let Some(last) = self.responses.len().checked_sub(1) else {
            return false;
        };
        let before = self.requests.iter().take(last);
        assert!(
            before.clone().all(|request| !request.must_close()),
            "answered after the end"
        );
        let request = &self.requests[last];
        request.must_close() || (request.may_close() && self.told_to_close)
    }
}

impl Request {
    fn new(random: &mut Random, index: usize) -> Self {
        let method = random.pick(&["GET", "GET", "HEAD", "POST", "POST", "PUT"]);
        let has_content = matches!(method, "POST" | "PUT") || random.one_in(10);
        let size = random.pick(&[0, 1, 5, 100, 3000]);
        let content: Vec<u8> = if has_content {
            (0..size).map(|_| random.next() as u8).collect()
        } else {
            Vec::new()
        };
        let is_http10 = random.one_in(20);
        let chunked = has_content && !is_http10 && random.one_in(2);
        let trailer = (chunked && random.one_in(2)).then(|| format!("t{index}"));
        Self {
            method,
            target: format!(
                "/{index}/{}?{}",
                "p".repeat(random.below(30)),
                random.below(1000)
            ),
            answer: random.pick(ANSWERS),
            trailer,
            is_http10,
            keep_alive: is_http10 && random.one_in(2),
            close: random.one_in(40),
            expects: !content.is_empty() && !is_http10 && random.one_in(4),
            chunk_sizes: if chunked {
                (0..4).map(|_| 1 + random.below(900)).collect()
            } else {
                vec![]
            },
            content,
        }
    }

    fn head(&self) -> String {
        let version = if self.is_http10 { "1.0" } else { "1.1" };
        let mut head = format!(
            "{} {} HTTP/{version}\r\nHost: sim\r\n",
            self.method, self.target
        );
        head += &format!("X-Answer: {}\r\n", self.answer);
        match (self.close, self.keep_alive) {
            (true, _) => head += "Connection: close\r\n",
            (false, true) => head += "connection: Keep-Alive\r\n",
            (false, false) => {}
        }
        if !self.chunk_sizes.is_empty() {
            head += "Transfer-Encoding: chunked\r\n";
        } else if !self.content.is_empty() || self.method == "POST" {
            head += &format!("Content-Length: {}\r\n", self.content.len());
        }
        if self.expects {
            head += "Expect: 100-continue\r\n";
        }
        head + "\r\n"
    }

    fn body(&self) -> Vec<u8> {
        if self.chunk_sizes.is_empty() {
            return self.content.clone();
        }
        let mut body = Vec::new();
        let (mut rest, mut sizes) = (self.content.as_slice(), self.chunk_sizes.iter().cycle());
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
            rest = after;
        }
        body.extend_from_slice(b"0\r\n");
        if let Some(trailer) = &self.trailer {
            body.extend_from_slice(format!("X-Trailer: {trailer}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body
    }

    fn must_close(&self) -> bool {
        let unknown = matches!(self.answer, "unknown" | "trailers") && self.method != "HEAD";
        self.close || self.answer == "close" || (self.is_http10 && (!self.keep_alive || unknown))
    }

    /// Whether a server that answers before it asked for the content may have closed.
    fn may_close(&self) -> bool {
        self.expects && self.answer == "early"
    }

    fn check(&self, response: &Response) {
        let echo = format!("{} {}\n", self.method, self.target);
        let mut content = echo.into_bytes();
        if self.answer != "early" {
            content.extend_from_slice(&self.content);
            content.extend_from_slice(self.trailer.as_deref().unwrap_or("").as_bytes());
        }
        let size = content.len().to_string();
        match (self.answer, self.method) {
            ("empty", "HEAD") => assert_eq!(response.field("content-length"), None),
            ("empty", _) => assert_eq!(response.field("content-length"), Some("0")),
            ("no-content", _) => {
                assert_eq!(response.status, 204);
                assert_eq!(response.field("content-length"), None);
            }
            ("exact" | "close" | "early", _) => {
                assert_eq!(response.field("content-length"), Some(size.as_str()));
            }
            _ => assert_eq!(response.field("content-length"), None),
        }
        let has_content = self.method != "HEAD" && !matches!(self.answer, "empty" | "no-content");
        assert_eq!(
            response.content,
            if has_content { content } else { Vec::new() }
        );
        let has_trailers = has_content && self.answer == "trailers" && !self.is_http10;
        let trailers = if has_trailers {
            vec![("x-sum".to_owned(), size)]
        } else {
            vec![]
        };
        assert_eq!(response.trailers, trailers);
        assert_eq!(
            response.field("x-target"),
            Some(self.target.as_str()),
            "answers are in order"
        );
        if self.must_close() {
            assert_eq!(response.field("connection"), Some("close"));
        }
    }
}

impl Response {
    /// Reads a response from the start of `input`: `None` if it is not whole, except for one that
    /// ends with the connection, which is never whole.
    fn parse(input: &[u8], method: &str) -> Option<(Self, usize)> {
        let head_len = find(input, b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&input[..head_len]).expect("heads are text");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().expect("a status-line");
        let code = status_line
            .strip_prefix("HTTP/1.1 ")
            .expect("the version is always 1.1");
        assert_eq!(code.as_bytes()[3], b' ');
        let status: u16 = code[..3].parse().expect("three digits");
        let fields = parse_fields(lines);
        let mut response = Self {
            status,
            fields,
            content: vec![],
            trailers: vec![],
            complete: true,
        };
        let length = response
            .field("content-length")
            .map(|length| length.parse::<usize>());
        let chunked = response.field("transfer-encoding") == Some("chunked");
        assert!(length.is_none() || !chunked, "one framing");
        let rest = &input[head_len..];
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            assert!(!chunked);
            return Some((response, head_len));
        }
        if chunked {
            let used = response.parse_chunks(rest)?;
            return Some((response, head_len + used));
        }
        match length {
            Some(length) => {
                let length = length.expect("a number");
                response.content = rest.get(..length)?.to_vec();
                Some((response, head_len + length))
            }
            None => {
                response.content = rest.to_vec();
                response.complete = false;
                Some((response, input.len()))
            }
        }
    }

    fn parse_chunks(&mut self, input: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let line_len = find(&input[at..], b"\r\n")?;
            let line = std::str::from_utf8(&input[at..at + line_len]).expect("a size");
            let size = usize::from_str_radix(line, 16).expect("a hexadecimal size");
            at += line_len + 2;
            if size == 0 {
                break;
            }
            self.content.extend_from_slice(input.get(at..at + size)?);
            assert_eq!(input.get(at + size..at + size + 2)?, b"\r\n");
            at += size + 2;
        }
        if input.get(at..at + 2)? == b"\r\n" {
            return Some(at + 2);
        }
        let len = find(&input[at..], b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&input[at..at + len]).expect("trailers are text");
        self.trailers = parse_fields(text.trim_end().split("\r\n"));
        Some(at + len)
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is repeated");
        value
    }

    fn says_close(&self, request: &Request) -> bool {
        match self.field("connection") {
            Some("close") => true,
            Some("keep-alive") => !request.is_http10,
            Some(other) => panic!("Connection: {other}"),
            None => request.is_http10,
        }
    }
}

fn parse_fields<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    lines
        .map(|line| {
            let (name, value) = line.split_once(": ").expect("a field line");
            (name.to_ascii_lowercase(), value.to_owned())
        })
        .collect()
}

fn find(input: &[u8], pattern: &[u8]) -> Option<usize> {
    input
        .windows(pattern.len())
        .position(|window| window == pattern)
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
