//! What most responses begin with, kept so that it is copied instead of written.

use ajay_http::{FieldSection, KnownField, StatusCode};

use crate::{ResponseHead, response};

/// The lines that the 200 responses of one server begin with: status-line, `Server`, `Date`,
/// the `Content-Type` of the response before, and the name of `Content-Length`.
///
/// One for all connections of a thread; see [`Connection::send_whole`](crate::Connection::send_whole).
#[derive(Clone, Debug, Default)]
pub struct Opening {
    bytes: Vec<u8>,
    /// Where `Date` ends: what stands before it is the same for all these responses.
    common_len: usize,
    /// The content type that stands in `bytes`.
    content_type: Option<&'static str>,
}

impl Opening {
    /// Begins with these fields from now on: once a second, with a new date.
    pub fn restart(&mut self, server: Option<&str>, date: Option<&[u8; 29]>) {
        let head = ResponseHead {
            status: StatusCode::OK,
            fields: &FieldSection::new(),
            content_type: None,
            server,
            date,
        };
        self.bytes.clear();
        response::write_common(&head, &mut self.bytes);
        self.common_len = self.bytes.len();
        self.end_with(None);
    }

    /// Writes the head of a 200 response with so many bytes of content.
    #[inline]
    pub(crate) fn write_head(
        &mut self,
        content_type: Option<&'static str>,
        length: u64,
        fields: &FieldSection,
        out: &mut Vec<u8>,
    ) {
        // The place, not the text: it lives for ever, so nothing else can come to stand there.
        let place = |text: Option<&'static str>| text.map(|text| (text.as_ptr(), text.len()));
        if place(self.content_type) != place(content_type) {
            self.end_with(content_type);
        }
        out.extend_from_slice(&self.bytes);
        if fields.is_empty() {
            response::decimal(length, b"\r\n\r\n", out);
            return;
        }
        response::decimal(length, b"\r\n", out);
        response::field_lines(fields, out);
        out.extend_from_slice(b"\r\n");
    }

    #[cold]
    fn end_with(&mut self, content_type: Option<&'static str>) {
        self.bytes.truncate(self.common_len);
        if let Some(content_type) = content_type {
            response::field_line(
                Some(KnownField::ContentType),
                "",
                content_type.as_bytes(),
                &mut self.bytes,
            );
        }
        self.bytes.extend_from_slice(response::CONTENT_LENGTH);
        self.content_type = content_type;
    }

    /// Whether no field of the application takes the place of a line that stands here, or has a say
    /// in the connection or the message's framing.
    #[inline]
    pub(crate) fn suits(&self, fields: &FieldSection) -> bool {
        !self.bytes.is_empty()
            && !fields.contains_any(&[
                KnownField::Server,
                KnownField::Date,
                KnownField::ContentType,
                KnownField::ContentLength,
                KnownField::TransferEncoding,
                KnownField::Connection,
                KnownField::Upgrade,
            ])
    }
}

#[cfg(test)]
mod tests;
