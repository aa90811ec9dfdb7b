//! Whose fault it is that an operation failed: it decides whether the charge is refunded.

use std::fmt;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The system's: the charge is refunded in full.
    System,
    /// The user's, such as an input that cannot be used: the charge is kept.
    User,
}

/// An error of an operation that says whose fault it is.
///
/// Implement it for the error of your operation, or wrap errors in [`Failure`].
pub trait OperationError {
    /// Whose fault it is.
    fn fault(&self) -> Fault;

    /// A sentence that the refund carries, for people. It stays in the journal for ever, so it is
    /// not for personal data.
    fn detail(&self) -> Option<String> {
        None
    }
}

/// Any error, with whose fault it is.
///
/// With `?`, an error becomes the system's fault. The user's fault has to be stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<E> {
    /// Whose fault it is.
    pub fault: Fault,
    /// The error.
    pub error: E,
}

impl<E> Failure<E> {
    /// A failure by the system's fault.
    pub fn system(error: E) -> Failure<E> {
        Failure { fault: Fault::System, error }
    }

    /// A failure by the user's fault.
    pub fn user(error: E) -> Failure<E> {
        Failure { fault: Fault::User, error }
    }
}

impl<E> OperationError for Failure<E> {
    fn fault(&self) -> Fault {
        self.fault
    }
}

impl<E: std::error::Error> From<E> for Failure<E> {
    fn from(error: E) -> Failure<E> {
        Failure::system(error)
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}
