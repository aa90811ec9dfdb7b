//! The record of every request, so that a test can say what was sent and what was not.
//!
//! If the environment names a file in `TOLLKEEPER_STRIPE_REQUESTS`, the parameters of the requests
//! that were carried out are appended to it, with the user agents of their clients.
//! `stripe_parameters.mjs` checks them against the official types.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;

use serde_json::json;

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

/// Appends what was carried out to the file that the environment names.
pub(super) fn append(requests: &[RecordedRequest]) {
    let Some(path) = std::env::var_os("TOLLKEEPER_STRIPE_REQUESTS") else { return };
    let carried_out = requests.iter().filter(|request| matches!(request.status, Some(200 | 402)));
    let line = |request: &RecordedRequest| {
        let pairs = if request.method == "POST" { &request.form } else { &request.query };
        let agent = request.header("user-agent");
        let line =
            json!({"method": request.method, "path": request.path, "parameters": pairs, "agent": agent});
        format!("{line}\n")
    };
    let lines: BTreeSet<String> = carried_out.map(line).collect();
    let text: String = lines.into_iter().collect();
    // One write, because tests append at the same time.
    let file = OpenOptions::new().create(true).append(true).open(path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        eprintln!("the requests to the stand-in were not written: {error}");
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}
