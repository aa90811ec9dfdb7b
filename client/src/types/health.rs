//! Health: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// The server is healthy.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Always `ok`; otherwise the response is a problem.
    pub status: String,
    /// `held` if no charge is timed out until the clock is confirmed; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timers: Option<String>,
}
