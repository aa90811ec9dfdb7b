//! A command that fails: its exit code, what was not done, the cause, and a hint what to do.
//!
//! Messages go to stderr, so that stdout holds only data. Scripts branch on the exit codes, so they
//! never change; `tollkeeper --help` lists them (see `args`).

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use tollkeeper_engine::Error;

/// The kind of a failure, with its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The API refused the request, or an audit found a disagreement.
    No = 1,
    /// The command line or a setting is invalid: this command can never succeed as it was given.
    Usage = 2,
    /// The store cannot be used or the server cannot be reached now. A later attempt may succeed.
    Unavailable = 3,
    /// Everything agrees, but an audit has findings of the rules.
    Findings = 4,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: String,
    cause: Option<String>,
    hint: Option<String>,
}

impl Failure {
    /// Makes a failure; `error` says what was not done, without a full stop.
    pub fn new(exit: Exit, error: impl Into<String>) -> Failure {
        Failure { exit, error: error.into(), cause: None, hint: None }
    }

    /// Sets another exit code.
    pub fn with_exit(mut self, exit: Exit) -> Failure {
        self.exit = exit;
        self
    }

    /// Sets the cause.
    pub fn because(mut self, cause: impl fmt::Display) -> Failure {
        self.cause = Some(cause.to_string());
        self
    }

    /// Sets the hint: what the user can do.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the hint if the failure has none.
    pub fn or_hint(mut self, hint: &str) -> Failure {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Makes a failure of kind [`Exit::Unavailable`] from an error of the engine, with the engine's
    /// hint; `error` says what was not done.
    pub fn of_engine(error: impl Into<String>, why: &Error) -> Failure {
        let failure = Failure::new(Exit::Unavailable, error).because(why);
        match why.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Prints the failure to stderr and returns its exit code.
    pub fn report(&self) -> ExitCode {
        let mut text = format!("error: {}\n", self.error);
        if let Some(cause) = &self.cause {
            text += &format!("cause: {cause}\n");
        }
        if let Some(hint) = &self.hint {
            text += &format!("hint: {hint}\n");
        }
        // If stderr is closed, the exit code still reports the failure.
        let _ = std::io::stderr().write_all(text.as_bytes());
        ExitCode::from(self.exit as u8)
    }
}
