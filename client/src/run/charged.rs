//! Runs a future under a charge: heartbeats while it runs, and its outcome at its end.
//!
//! - The future begins only after the charge was deducted.
//! - The charge is pending with a deadline. Nothing but a result of the future settles it. If this
//!   future is dropped, or the process ends, the deadline refunds the charge.
//! - If the charge is lost while the future runs, the future is dropped: it would run unpaid.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::fault::Fault;
use crate::api::charges::Charges;
use crate::client::Client;
use crate::error::Error;
use crate::types::{Charge, ChargeRequest, HeartbeatRequest, OutcomeRequest};

/// The seconds until the deadline of a charge whose request names none.
const TIMEOUT_SECONDS: u32 = 60;

/// Heartbeats in the time of one deadline. Two may be lost without harm.
const HEARTBEATS: u32 = 3;

/// The most characters of the detail of an outcome.
const DETAIL_CHARS: usize = 255;

/// What is charged for a run: an operation of a workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCharge {
    /// The workspace that pays.
    pub workspace: String,
    /// The charge. Without `timeout_seconds` its deadline is a minute away; heartbeats move it.
    pub request: ChargeRequest,
    /// The idempotency key; a random one if it is not set. A run whose charge was settled or
    /// refunded before under the same key does not begin.
    pub idempotency_key: Option<String>,
}

impl RunCharge {
    /// The charge of an operation, under a random idempotency key.
    #[must_use]
    pub fn new(workspace: impl Into<String>, request: ChargeRequest) -> RunCharge {
        RunCharge { workspace: workspace.into(), request, idempotency_key: None }
    }

    /// Uses this idempotency key.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> RunCharge {
        self.idempotency_key = Some(key.into());
        self
    }
}

impl From<(&str, ChargeRequest)> for RunCharge {
    fn from((workspace, request): (&str, ChargeRequest)) -> RunCharge {
        RunCharge::new(workspace, request)
    }
}

/// The run of an operation, as the operation sees it.
#[derive(Clone, Debug)]
pub struct Running {
    charge: Arc<Charge>,
    used: Arc<Mutex<Used>>,
}

/// What was used, as far as the operation has said it.
#[derive(Clone, Debug, Default)]
struct Used {
    quantity: Option<i64>,
    quantities: Option<BTreeMap<String, i64>>,
}

impl Running {
    fn new(charge: Charge) -> Running {
        Running { charge: Arc::new(charge), used: Arc::default() }
    }

    /// The charge that pays for the run.
    #[must_use]
    pub fn charge(&self) -> &Charge {
        &self.charge
    }

    /// Says how many units were used. If they are fewer than were charged, the difference is
    /// refunded when the operation succeeds.
    pub fn set_quantity(&self, quantity: i64) {
        *self.lock() = Used { quantity: Some(quantity), quantities: None };
    }

    /// Says how many units of each meter were used, of an operation with meters. If they cost less
    /// than was charged, the difference is refunded when the operation succeeds.
    pub fn set_quantities(&self, quantities: BTreeMap<String, i64>) {
        *self.lock() = Used { quantity: None, quantities: Some(quantities) };
    }

    fn used(&self) -> Used {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        // A value is replaced whole, so one that a panic left is whole too.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It succeeded: the charge is kept.
    Succeeded,
    /// It failed: the charge is kept or refunded by whose fault it is.
    Failed {
        /// Whose fault it is.
        fault: Fault,
        /// A sentence about it, for people.
        detail: Option<String>,
    },
}

impl Outcome {
    /// A failure without a detail.
    #[must_use]
    pub fn failed(fault: Fault) -> Outcome {
        Outcome::Failed { fault, detail: None }
    }

    fn request(self, used: Used) -> OutcomeRequest {
        let Used { quantity, quantities } = used;
        match self {
            Outcome::Succeeded => OutcomeRequest { quantity, quantities, ..OutcomeRequest::new("succeeded") },
            Outcome::Failed { fault, detail } => {
                let fault = match fault {
                    Fault::System => "system",
                    Fault::User => "user",
                };
                let detail = detail.map(|text| text.chars().take(DETAIL_CHARS).collect());
                OutcomeRequest { fault: Some(fault.to_owned()), detail, ..OutcomeRequest::new("failed") }
            }
        }
    }
}

/// Why an operation did not run to its end under a charge.
#[derive(Debug)]
#[non_exhaustive]
pub enum ChargeError {
    /// It was not charged, so it did not run. With a problem of status 402 credit is missing.
    NotCharged(Error),
    /// It did not run, because its idempotency key belongs to a charge that is settled or refunded.
    NotPending {
        /// The charge as it was made.
        charge: Box<Charge>,
        /// The status that it has now.
        status: String,
    },
    /// It was ended while it ran, because its charge was refunded, or the server could not be
    /// reached until the deadline.
    Lost {
        /// The charge as it was made.
        charge: Box<Charge>,
        /// The answer to the last heartbeat.
        error: Error,
    },
}

impl fmt::Display for ChargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChargeError::NotCharged(error) => write!(f, "the operation was not charged: {error}"),
            ChargeError::NotPending { charge, status } => {
                write!(f, "the charge {} of this idempotency key is {status} already", charge.id)
            }
            ChargeError::Lost { charge, error } => write!(f, "the charge {} was lost: {error}", charge.id),
        }
    }
}

impl std::error::Error for ChargeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ChargeError::NotCharged(error) | ChargeError::Lost { error, .. } => Some(error),
            ChargeError::NotPending { .. } => None,
        }
    }
}

/// A future that ran to its end.
pub struct Ended<T> {
    pub output: T,
    /// The charge after its outcome; as it was made, if the outcome could not be reported.
    pub charge: Charge,
    pub outcome_error: Option<Error>,
}

/// Charges, runs what `start` makes, and reports the outcome that `judge` sees in its output.
pub async fn run_charged<F: Future>(
    client: &Client,
    run: RunCharge,
    start: impl FnOnce(Running) -> F,
    judge: impl FnOnce(&F::Output) -> Outcome,
) -> Result<Ended<F::Output>, ChargeError> {
    let RunCharge { workspace, request, idempotency_key } = run;
    let timeout_seconds = request.timeout_seconds.unwrap_or(TIMEOUT_SECONDS).max(1);
    let request =
        ChargeRequest { await_outcome: Some(true), timeout_seconds: Some(timeout_seconds), ..request };
    let charges = client.charges(&workspace);
    let begun = Instant::now();
    let mut call = charges.create(&request);
    if let Some(key) = idempotency_key {
        call = call.idempotency_key(key);
    }
    let answer = call.send().await.map_err(ChargeError::NotCharged)?;
    let status = answer.charge_status.unwrap_or_else(|| answer.value.status.clone());
    if status != "pending" {
        return Err(ChargeError::NotPending { charge: Box::new(answer.value), status });
    }
    let running = Running::new(answer.value);
    let id = running.charge.id.clone();
    let output = tokio::select! {
        biased;
        output = start(running.clone()) => output,
        error = heartbeats(&charges, &id, timeout_seconds, begun) => {
            let charge = Box::new(Charge::clone(&running.charge));
            return Err(ChargeError::Lost { charge, error });
        }
    };
    let outcome = judge(&output).request(running.used());
    Ok(match charges.report_outcome(&id, &outcome).await {
        Ok(charge) => Ended { output, charge, outcome_error: None },
        Err(error) => Ended { output, charge: Charge::clone(&running.charge), outcome_error: Some(error) },
    })
}

/// Extends the deadline of a charge again and again. Returns when the charge is lost: by the answer
/// to a heartbeat, or because none arrived until the deadline.
async fn heartbeats(charges: &Charges, charge: &str, seconds: u32, begun: Instant) -> Error {
    let timeout = Duration::from_secs(seconds.into());
    let interval = timeout / HEARTBEATS;
    let request = HeartbeatRequest::new(seconds);
    let mut extended = begun;
    let mut next = begun + interval;
    loop {
        sleep_until(next).await;
        let sent = Instant::now();
        next = sent + interval;
        match charges.heartbeat(charge, &request).total_timeout(interval).await {
            Ok(_) => extended = sent,
            Err(error) if is_final(&error) || extended.elapsed() >= timeout => return error,
            Err(_) => {}
        }
    }
}

/// Whether no later heartbeat can succeed.
fn is_final(error: &Error) -> bool {
    error.problem().is_some_and(|problem| !problem.retryable)
}
