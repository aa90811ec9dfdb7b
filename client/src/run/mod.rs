//! Runs an operation under a charge: charge first, run, then settle or refund.
//!
//! [`Client::run`] does it for a closure, and [`layer`] for every request of a service.

pub mod charged;
pub mod fault;
pub mod layer;

use std::fmt;
use std::future::Future;

use crate::client::Client;
use crate::error::Error;
use crate::types::{Available, Charge};
use charged::{ChargeError, Ended, Outcome, RunCharge, Running, run_charged};
use fault::OperationError;

/// An operation that succeeded, and its charge.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished<T> {
    /// What the operation returned.
    pub value: T,
    /// The charge after its outcome; as it was made, if the outcome could not be reported.
    pub charge: Charge,
    /// What was kept of the charge, in micro-units.
    pub amount: i64,
    /// What the workspace has left.
    pub balance: Option<Available>,
    /// Why the success could not be reported. The deadline of the charge refunds it then, unless it
    /// is reported later.
    pub outcome_error: Option<Error>,
}

/// Why an operation has no value.
#[derive(Debug)]
pub enum RunError<E> {
    /// It did not run, or was ended, because of its charge.
    Charge(ChargeError),
    /// It ran and failed.
    Failed {
        /// The error of the operation.
        error: E,
        /// The charge after its outcome; as it was made, if the outcome could not be reported.
        charge: Box<Charge>,
        /// Why the failure could not be reported. The deadline of the charge refunds it then. That
        /// is so if the key may not refund: a failure of the system needs the scope `settle`.
        outcome_error: Option<Error>,
    },
}

impl<E> RunError<E> {
    /// The error of the server, if the operation was not charged.
    #[must_use]
    pub fn not_charged(&self) -> Option<&Error> {
        match self {
            RunError::Charge(ChargeError::NotCharged(error)) => Some(error),
            _ => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Charge(error) => error.fmt(f),
            RunError::Failed { error, .. } => write!(f, "the operation failed: {error}"),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> std::error::Error for RunError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RunError::Charge(error) => Some(error),
            RunError::Failed { .. } => None,
        }
    }
}

impl Client {
    /// Charges, runs an operation, and settles or refunds by its result.
    ///
    /// The operation begins after the charge was deducted, and heartbeats are sent while it runs.
    /// If it succeeds, the charge is settled. If it fails, its error says whose fault that is: the
    /// system's is refunded, the user's is kept. If this future is dropped, nothing is reported,
    /// and the deadline of the charge refunds it.
    ///
    /// The key needs the scope `charge`, and `settle` to refund at once when the system fails.
    ///
    /// ```no_run
    /// # use tollkeeper_client::{Client, Failure, RunError, types::ChargeRequest};
    /// # async fn render(picture: &str) -> Result<Vec<u8>, std::io::Error> { Ok(picture.into()) }
    /// # async fn example(client: &Client) -> Result<(), RunError<Failure<std::io::Error>>> {
    /// let charge = ("acme", ChargeRequest::new("virtual_try_on"));
    /// let finished = client.run(charge, async |_running| Ok(render("jacket.png").await?)).await?;
    /// println!("{} micro-units for {} bytes", finished.amount, finished.value.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The operation was not charged, its charge was lost, or it failed.
    pub async fn run<T, E, F>(
        &self,
        charge: impl Into<RunCharge>,
        operation: impl FnOnce(Running) -> F,
    ) -> Result<Finished<T>, RunError<E>>
    where
        E: OperationError,
        F: Future<Output = Result<T, E>>,
    {
        let judge = |result: &Result<T, E>| match result {
            Ok(_) => Outcome::Succeeded,
            Err(error) => Outcome::Failed { fault: error.fault(), detail: error.detail() },
        };
        let ended = run_charged(self, charge.into(), operation, judge).await.map_err(RunError::Charge)?;
        let Ended { output, charge, outcome_error } = ended;
        match output {
            Ok(value) => Ok(Finished {
                value,
                amount: charge.amount - charge.refunded_amount,
                balance: charge.balance.clone(),
                charge,
                outcome_error,
            }),
            Err(error) => Err(RunError::Failed { error, charge: Box::new(charge), outcome_error }),
        }
    }
}
