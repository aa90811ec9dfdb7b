//! What the gate needs of the API: open a charge as the caller, and report its outcome as the
//! platform.
//!
//! A server that runs the gate itself implements it on its own router and engine; [`Remote`]
//! implements it over HTTP.
//!
//! [`Remote`]: crate::Remote

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use serde_json::Value;

use crate::outcome::Outcome;

/// A future that can be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The API of Tollkeeper, as the gate uses it.
pub trait Charging: Send + Sync + 'static {
    /// Sends a request to the API, with the key of the caller in its headers.
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Unavailable>>;

    /// Reports the outcome of a charge. The same report again changes nothing.
    fn report<'a>(&'a self, charge: &'a Opened, outcome: Outcome) -> BoxFuture<'a, Result<(), ReportError>>;
}

/// The API did not answer, so nothing is known.
#[derive(Debug)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a report was not taken.
#[derive(Debug)]
pub enum ReportError {
    /// The same report may be taken later.
    Later(String),
    /// The charge has another outcome already, such as a refund by its deadline.
    Refused(String),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::Later(why) | ReportError::Refused(why) => f.write_str(why),
        }
    }
}

/// A charge that was opened, or found under its idempotency key.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The workspace.
    pub workspace: String,
    /// The id of the charge.
    pub id: String,
    /// What was deducted, in micro-units.
    pub amount: i64,
    /// What is left, in micro-units.
    pub balance: i64,
    /// Whether the charge was there already, so that the operation may have run.
    pub is_replay: bool,
    /// The charge as the API shows it.
    pub json: Bytes,
}

impl Opened {
    /// The id as the value of a header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.id).unwrap_or(HeaderValue::from_static("unknown"))
    }

    /// Reads the answer of the API to a charge; `None` if it is not one.
    #[must_use]
    pub fn read(headers: &HeaderMap, body: Bytes) -> Option<Opened> {
        let charge: Value = serde_json::from_slice(&body).ok()?;
        let text = |name: &str| charge.get(name).and_then(Value::as_str).map(str::to_owned);
        let balance = charge.get("balance").and_then(|balance| balance.get("available"));
        Some(Opened {
            workspace: text("workspace")?,
            id: text("id")?,
            amount: charge.get("amount").and_then(Value::as_i64)?,
            balance: balance.and_then(Value::as_i64)?,
            is_replay: headers.get("idempotent-replayed") == Some(&HeaderValue::from_static("true")),
            json: body,
        })
    }
}
