//! The failures of a running benchmark. All have the exit code of [`Exit::Unavailable`].

use tollkeeper_engine::Error;

use crate::terminal::failure::{Exit, Failure};

/// The failure when a step of the benchmark fails.
pub fn failed(why: impl Into<String>) -> Failure {
    Failure::new(Exit::Unavailable, "the benchmark cannot continue").because(why.into())
}

/// The failure when the engine reports an error.
pub fn engine_failed(error: &Error) -> Failure {
    Failure::of_engine("the benchmark cannot continue", error)
}
