//! The server: drives the core as an engine would, and answers what `x-answer` asks for.

use ajay_h1::{
    Config, Connection, ContentSize, EofEffect, Event, NextCycle, ResponseHead, SendBody,
};
use ajay_http::{FieldSection, RequestHead, StatusCode};

use super::Random;

pub(super) struct Server {
    connection: Connection,
    config: Config,
    head: RequestHead,
    pub(super) input: Vec<u8>,
    output: Vec<u8>,
    content: Vec<u8>,
    /// Content of the open response that is still to be sent.
    payload: Vec<u8>,
    /// Whether there is an open response.
    sending: bool,
    /// How much of it was sent.
    sent: usize,
    /// The open response gets trailers.
    trailers: bool,
    pub(super) peer_is_done: bool,
    closed: bool,
    pub(super) answered: usize,
}

impl Server {
    pub(super) fn new() -> Self {
        Self {
            connection: Connection::new(),
            config: Config::default(),
            head: RequestHead::new(),
            input: Vec::new(),
            output: Vec::new(),
            content: Vec::new(),
            payload: Vec::new(),
            sending: false,
            sent: 0,
            trailers: false,
            peer_is_done: false,
            closed: false,
            answered: 0,
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sends up to `amount` bytes.
    pub(super) fn transmit(&mut self, amount: usize, link: &mut Vec<u8>) -> bool {
        let amount = amount.min(self.output.len());
        link.extend(self.output.drain(..amount));
        amount > 0
    }

    /// Does one thing; says whether there was one to do.
    pub(super) fn turn(&mut self, random: &mut Random) -> bool {
        if self.closed {
            return false;
        }
        if self.sending && (self.connection.is_request_complete() || random.one_in(2)) {
            self.send(random);
            return true;
        }
        let input = std::mem::take(&mut self.input);
        let step = self
            .connection
            .next_event(&self.config, &input, &mut self.head)
            .expect("the client breaks no rule");
        self.input = input[step.consumed..].to_vec();
        let progress = match step.event {
            Event::Data(data) => {
                self.content.extend_from_slice(data);
                Progress::Some
            }
            Event::Request {
                expect_continue, ..
            } => {
                self.content.clear();
                assert_eq!(expect_continue, self.connection.expects_continue());
                self.request(random)
            }
            Event::End => {
                self.end();
                Progress::Some
            }
            Event::Paused | Event::Closed => self.next_cycle(),
            Event::HandOver => panic!("nobody asked for it"),
            Event::NeedData => Progress::None,
        };
        match progress {
            Progress::Some => true,
            Progress::None if step.consumed > 0 => true,
            Progress::None if self.sending => {
                self.send(random);
                true
            }
            Progress::None => self.ask_or_end(),
        }
    }

    fn request(&mut self, random: &mut Random) -> Progress {
        let answer = self.answer();
        // An early answer may come before the content is read, or after the client was asked.
        if answer == "early" {
            if random.one_in(2) {
                self.connection.send_continue(&mut self.output).unwrap();
            }
            self.respond();
        } else if self.connection.is_request_complete() {
            self.respond();
        }
        Progress::Some
    }

    fn end(&mut self) {
        if let Some(trailers) = self.connection.take_trailers() {
            let value = trailers.get_name("x-trailer").expect("the only trailer");
            self.content.extend_from_slice(value);
        }
        if self.connection.is_response_due() {
            self.respond();
        }
    }

    /// Nothing to read: the client may be waiting for us, or be gone.
    fn ask_or_end(&mut self) -> bool {
        if self.connection.expects_continue() {
            self.connection.send_continue(&mut self.output).unwrap();
            return true;
        }
        if self.connection.is_response_finished() && !self.connection.is_persistent() {
            // The content that the last response did not wait for will not be waited for.
            assert_eq!(self.connection.start_next_cycle(), Ok(NextCycle::Close));
            self.closed = true;
            return true;
        }
        if !self.peer_is_done {
            return false;
        }
        match self.connection.handle_eof(self.input.len()) {
            EofEffect::Waiting => false,
            EofEffect::Idle | EofEffect::InHead | EofEffect::InContent | EofEffect::AfterLast => {
                self.closed = true;
                true
            }
        }
    }

    fn next_cycle(&mut self) -> Progress {
        if !self.connection.is_response_finished() {
            return Progress::None;
        }
        match self
            .connection
            .start_next_cycle()
            .expect("both halves have ended")
        {
            NextCycle::Ready => {}
            NextCycle::Close => self.closed = true,
            NextCycle::HandOver => panic!("nobody asked for it"),
        }
        Progress::Some
    }

    fn answer(&self) -> String {
        let answer = self
            .head
            .fields()
            .get_name("x-answer")
            .expect("each request says");
        String::from_utf8(answer.to_vec()).expect("a word")
    }

    fn respond(&mut self) {
        let answer = self.answer();
        let mut payload = format!("{} {}\n", self.head.method(), self.head.target()).into_bytes();
        payload.append(&mut self.content);
        let size = payload.len() as u64;
        let mut fields = FieldSection::new();
        fields.append("x-target", self.head.target()).unwrap();
        let (status, content) = match answer.as_str() {
            "unknown" | "trailers" => (StatusCode::OK, ContentSize::Unknown),
            "empty" => (StatusCode::OK, ContentSize::Empty),
            "no-content" => (StatusCode::NO_CONTENT, ContentSize::Empty),
            "close" => {
                fields.append("connection", "close").unwrap();
                (StatusCode::OK, ContentSize::Exact(size))
            }
            _ => (StatusCode::OK, ContentSize::Exact(size)),
        };
        let head = ResponseHead {
            status,
            fields: &fields,
            content_type: Some("text/plain"),
            server: Some("sim"),
            date: None,
        };
        self.trailers = answer == "trailers";
        self.answered += 1;
        match self
            .connection
            .send_head(&head, content, &mut self.output)
            .unwrap()
        {
            SendBody::Payload => (self.payload, self.sending) = (payload, true),
            SendBody::None => assert!(self.connection.is_response_finished()),
        }
    }

    /// Sends a piece of the open response's content, or its end.
    fn send(&mut self, random: &mut Random) {
        if self.payload.is_empty() {
            let mut trailers = FieldSection::new();
            trailers.append("x-sum", self.sent.to_string()).unwrap();
            let trailers = self.trailers.then_some(&trailers);
            self.connection.finish(trailers, &mut self.output).unwrap();
            (self.sent, self.sending) = (0, false);
            return;
        }
        let piece = (1 + random.below(2000)).min(self.payload.len());
        self.connection
            .frame_data(piece as u64, &mut self.output)
            .unwrap();
        self.output.extend(self.payload.drain(..piece));
        self.connection.end_data(&mut self.output);
        self.sent += piece;
    }
}

enum Progress {
    Some,
    None,
}
