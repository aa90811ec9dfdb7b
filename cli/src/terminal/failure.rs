//! How a command ends badly: the exit code, what is wrong, why, and what to do about it. Messages go to stderr, so that
//! stdout holds data only.
//!
//! The exit codes are a contract: scripts branch on them. They are listed in `--help` (see `args`).

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use tollkeeper_engine::Error;

/// What kind of failure it is, as the exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The answer is no: a refusal of the API, an audit that disagrees.
    No = 1,
    /// The command as it was given can never work.
    Usage = 2,
    /// Not now: the store cannot be used, the server cannot be reached.
    NotNow = 3,
}

/// A command that could not do what was asked.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: String,
    cause: Option<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure of this kind; `error` says what was not done, without a full stop.
    pub fn new(exit: Exit, error: impl Into<String>) -> Failure {
        Failure { exit, error: error.into(), cause: None, hint: None }
    }

    /// The same with another exit code.
    pub fn ending(mut self, exit: Exit) -> Failure {
        self.exit = exit;
        self
    }

    /// Says why.
    pub fn because(mut self, cause: impl fmt::Display) -> Failure {
        self.cause = Some(cause.to_string());
        self
    }

    /// Says what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do about it, if nothing is said yet.
    pub fn or_hint(mut self, hint: &str) -> Failure {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// An engine's "not now" in the words of what was being done.
    pub fn of_engine(doing: impl Into<String>, why: &Error) -> Failure {
        let failure = Failure::new(Exit::NotNow, doing).because(why);
        match why.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Prints the failure on stderr and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let mut text = format!("error: {}\n", self.error);
        if let Some(cause) = &self.cause {
            text += &format!("cause: {cause}\n");
        }
        if let Some(hint) = &self.hint {
            text += &format!("hint: {hint}\n");
        }
        // Nobody is left to be told when stderr is closed; the exit code still says it.
        let _ = std::io::stderr().write_all(text.as_bytes());
        ExitCode::from(self.exit as u8)
    }
}
