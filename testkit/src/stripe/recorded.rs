//! The record of every request, so that a test can say what was sent and what was not.

use super::faults::Fault;

/// One request as it arrived, and how it was answered.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The parameters of the query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case, `authorization` included.
    pub headers: Vec<(String, String)>,
    /// The parameters of the body, decoded.
    pub form: Vec<(String, String)>,
    /// The status that was sent; `None` if none was.
    pub status: Option<u16>,
    /// True if the answer was a replay for its idempotency key.
    pub replayed: bool,
    /// The fault that was played.
    pub fault: Option<Fault>,
    /// The clock when it arrived.
    pub at: i64,
}

impl RecordedRequest {
    /// The value of a header; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The value of a parameter of the body, by its bracketed name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.form, name)
    }

    /// The idempotency key.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header("idempotency-key")
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}
