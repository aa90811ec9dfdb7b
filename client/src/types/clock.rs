//! Clock: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// The clock that was confirmed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Clock {
    /// The time that the clock of the server shows.
    pub now: String,
    /// True if the timers were held until now.
    pub was_held: bool,
}
