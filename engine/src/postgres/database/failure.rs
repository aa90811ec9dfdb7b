//! What a failure of the database means for whoever waits for an answer: is it to be decided again, tried again, or told.
//!
//! A transaction that the database refused with an error left nothing. One whose end was not heard may have been
//! committed: that is *doubt*, and only a look at the journal ends it.

use tokio_postgres::error::{Severity, SqlState};

use crate::Error;

/// Why something did not happen, or is not known to have happened.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Somebody else was faster, or a key stands already. Nothing happened; it is to be decided again.
    Conflict,
    /// The connection is of no more use. What was sent may have happened or not.
    Lost(Error),
    /// The database cannot do it at present. Nothing happened.
    NotNow(Error),
    /// Trying again is of no use.
    Never(Error),
}

/// What to look at when there is no connection.
pub(crate) const REACH: &str = "is the database running, and does its address lead there from here?";

impl Failure {
    /// What whoever waits is told.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Failure::Conflict => Error::unavailable("other servers were faster too often"),
            Failure::Lost(error) | Failure::NotNow(error) | Failure::Never(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Never(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        let Some(told) = error.as_db_error() else {
            let what = format!("the database cannot be reached: {}", chain(&error));
            return Failure::Lost(Error::unavailable(what).with_hint(REACH));
        };
        let what =
            || Error::unavailable(format!("the database says: {} ({})", told.message(), told.code().code()));
        if matches!(told.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
            return Failure::Lost(what());
        }
        let code = told.code();
        if CONFLICTS.contains(code) {
            return Failure::Conflict;
        }
        // Whole classes: connection exceptions, insufficient resources, intervention of an operator, the system itself.
        match &code.code()[..2] {
            "08" => Failure::Lost(what()),
            "53" | "55" | "57" | "58" | "25" => Failure::NotNow(what()),
            "28" | "3D" | "42" => {
                Failure::Never(Error::unusable(format!("the database says: {}", told.message())))
            }
            _ => Failure::Never(what()),
        }
    }
}

/// Errors that mean that others were at work on the same rows: the guard (a division by zero), a number or a key that
/// stands already, and what the database does about servers that wait for each other.
const CONFLICTS: [SqlState; 4] = [
    SqlState::DIVISION_BY_ZERO,
    SqlState::UNIQUE_VIOLATION,
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
];

/// An error and what is behind it, without a word of how the database is reached.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        text.push_str(": ");
        text.push_str(&behind.to_string());
        source = behind.source();
    }
    text
}
