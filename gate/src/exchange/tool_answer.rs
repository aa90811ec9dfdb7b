//! What the answer to a call of a tool says beyond its status (Model Context Protocol).
//!
//! A server answers 200 also if it failed: the body is then an error of JSON-RPC. A stream of
//! events that was not complete in time can be fetched later, by its last event.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;

use crate::outcome::{Failure, Outcome};
use crate::quantity::media_type;

/// The longest answer in which an error is looked for.
const ANSWER_MAX_BYTES: usize = 64 << 10;

/// The errors of JSON-RPC that are those of the server: an internal one, and its own.
const INTERNAL_ERROR: i64 = -32_603;
const SERVER_ERRORS: std::ops::RangeInclusive<i64> = -32_099..=-32_000;

/// Reads the answer to a call while it passes.
pub struct ToolAnswer {
    /// The JSON until now; `None` if it is not read.
    json: Option<Vec<u8>>,
    is_stream: bool,
}

impl ToolAnswer {
    /// A reader for an answer with these headers.
    pub fn new(headers: &HeaderMap) -> ToolAnswer {
        let name = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let name = name.split(';').next().unwrap_or_default().trim();
        let is_read = media_type::is_json(name) && !headers.contains_key(CONTENT_ENCODING);
        let is_stream = name.eq_ignore_ascii_case("text/event-stream");
        ToolAnswer { json: is_read.then(Vec::new), is_stream }
    }

    /// Reads a part of the answer.
    pub fn read(&mut self, part: &[u8]) {
        match &mut self.json {
            Some(json) if json.len() + part.len() <= ANSWER_MAX_BYTES => json.extend_from_slice(part),
            _ => self.json = None,
        }
    }

    /// The outcome of the call, whose status and end say `outcome`.
    pub fn outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Succeeded if self.is_error_of_server() => Outcome::SystemFailed(Failure::Answer),
            Outcome::SystemFailed(Failure::TimeOut) if self.is_stream => Outcome::Succeeded,
            other => other,
        }
    }

    fn is_error_of_server(&self) -> bool {
        let answer = self.json.as_ref().and_then(|json| serde_json::from_slice::<Value>(json).ok());
        let code = answer.and_then(|answer| answer["error"]["code"].as_i64());
        code.is_some_and(|code| code == INTERNAL_ERROR || SERVER_ERRORS.contains(&code))
    }
}
