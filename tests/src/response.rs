//! A response as it was on the wire.

/// A parsed response.
#[derive(Clone, Debug)]
pub struct Response {
    /// 0 or 1: the digit after `HTTP/1.`.
    pub minor_version: u8,
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// All field lines in order, names as they were written.
    pub fields: Vec<(String, String)>,
    /// The content, decoded.
    pub body: Vec<u8>,
    /// The trailer section's lines.
    pub trailers: Vec<(String, String)>,
    /// The sizes of the chunks, when the content was chunked.
    pub chunks: Vec<usize>,
    /// The status codes of the informational responses before it.
    pub interim: Vec<u16>,
    /// The values of `Link` in those.
    pub links: Vec<String>,
    /// The content ended with the connection.
    pub until_close: bool,
}

impl Response {
    /// The value of the field line of this name.
    ///
    /// # Panics
    /// When there is more than one.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is repeated: {self:?}");
        value
    }

    /// The options of `Connection`, in lower case.
    pub fn connection(&self) -> Vec<String> {
        let value = self.field("connection").unwrap_or_default();
        let options = value.split(',').map(|option| option.trim().to_lowercase());
        options.filter(|option| !option.is_empty()).collect()
    }

    /// Whether it announces that it is the connection's last.
    pub fn says_close(&self) -> bool {
        self.connection().iter().any(|option| option == "close")
    }

    /// The content as text.
    ///
    /// # Panics
    /// When it is not.
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => panic!("the content is not text: {error}"),
        }
    }
}
