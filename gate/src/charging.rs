//! What the gate needs of the API: open a charge as the caller, and report its outcome as the
//! platform.
//!
//! A server that runs the gate itself implements it on its own router and engine; [`Remote`]
//! implements it over HTTP.
//!
//! [`Remote`]: crate::Remote

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::outcome::Outcome;

/// A future that can be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Units by meter.
pub type Quantities = BTreeMap<String, i64>;

/// The API of Tollkeeper, as the gate uses it.
pub trait Charging: Send + Sync + 'static {
    /// Sends a request that opens a charge, with the key of the caller in its headers.
    fn charge(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Opened, NotOpened>> {
        Box::pin(async move { Opened::of_answer(self.call(request).await?) })
    }

    /// Sends a request to the API, with the key of the caller in its headers.
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Unavailable>>;

    /// Reports the outcome of a charge. The same report again changes nothing.
    fn report<'a>(&'a self, charge: &'a Opened, outcome: Outcome) -> BoxFuture<'a, Result<(), ReportError>>;

    /// Reports that a metered operation ran and what it used. The same report again changes
    /// nothing.
    fn settle<'a>(
        &'a self,
        charge: &'a Opened,
        used: &'a Quantities,
    ) -> BoxFuture<'a, Result<(), ReportError>>;

    /// Moves the deadline of a charge to at least this many seconds from now.
    fn extend<'a>(&'a self, charge: &'a Opened, seconds: u32) -> BoxFuture<'a, Result<(), ReportError>>;
}

/// The body of the report of what was used.
pub fn settlement_json(used: &Quantities) -> Value {
    json!({ "result": "succeeded", "quantities": used })
}

/// Whether the API took a report.
///
/// # Errors
/// It refused the report, or its answer says nothing about it.
pub fn report_taken(response: &Response<Bytes>) -> Result<(), ReportError> {
    let status = response.status();
    let why = || format!("{status}: {}", String::from_utf8_lossy(response.body()));
    match status {
        StatusCode::OK => Ok(()),
        // A key of the gate that is wrong can be put right while the charge is open.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            Err(ReportError::Later(why()))
        }
        StatusCode::UNPROCESSABLE_ENTITY if is_problem(response.body()) => {
            Err(ReportError::Quantities(why()))
        }
        _ if !status.is_server_error() && is_problem(response.body()) => Err(ReportError::Refused(why())),
        // A load balancer, and not the API, or a failure of the API.
        _ => Err(ReportError::Later(why())),
    }
}

/// Whether a body is a problem of the API, which has a code.
fn is_problem(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body)
        .is_ok_and(|problem| problem.get("code").is_some_and(Value::is_string))
}

/// The API did not answer, so nothing is known.
#[derive(Debug)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a charge was not opened.
#[derive(Debug)]
pub enum NotOpened {
    /// The API refused it.
    Refused(Box<Response<Bytes>>),
    /// The API did not answer, so nothing is known.
    Unavailable(Unavailable),
    /// The answer is not one of the API.
    Unreadable,
}

impl From<Unavailable> for NotOpened {
    fn from(why: Unavailable) -> NotOpened {
        NotOpened::Unavailable(why)
    }
}

/// Why a report was not taken.
#[derive(Debug)]
pub enum ReportError {
    /// The same report may be taken later.
    Later(String),
    /// The charge has another outcome already, such as a refund by its deadline.
    Refused(String),
    /// The ledger does not take the quantities of the report: they cost more than was held.
    Quantities(String),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::Later(why) | ReportError::Refused(why) | ReportError::Quantities(why) => {
                f.write_str(why)
            }
        }
    }
}

/// The fields of a charge that the gate reads.
#[derive(Deserialize)]
struct Charge {
    workspace: String,
    id: String,
    amount: i64,
    balance: Available,
    #[serde(default)]
    meters: Vec<ChargedMeter>,
}

#[derive(Deserialize)]
struct Available {
    available: i64,
}

/// A meter of the operation, with what its units cost.
#[derive(Clone, Debug, Deserialize)]
pub struct ChargedMeter {
    /// The id of the meter.
    pub id: String,
    /// What its units cost, in micro-units; 0 if nothing.
    pub unit_price: i64,
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
    /// The meters of its operation; none if it has one price.
    pub meters: Vec<ChargedMeter>,
    /// The charge as the API shows it, if it was there already, so that the operation may have run.
    pub replayed: Option<Bytes>,
}

impl Opened {
    /// The id as the value of a header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.id).unwrap_or(HeaderValue::from_static("unknown"))
    }

    /// A request about this charge.
    ///
    /// # Errors
    /// The id of the charge or of the workspace cannot be in a path.
    pub fn request(
        &self,
        about: &str,
        authorization: &HeaderValue,
        body: &Value,
    ) -> Result<Request<Bytes>, ReportError> {
        Request::post(format!("/v1/workspaces/{}/charges/{}/{about}", self.workspace, self.id))
            .header(AUTHORIZATION, authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|why| ReportError::Refused(why.to_string()))
    }

    /// Whether units cost nothing by the prices of the charge.
    #[must_use]
    pub fn is_free(&self, units: &Quantities) -> bool {
        units
            .iter()
            .all(|(id, units)| *units == 0 || self.meter(id).is_some_and(|meter| meter.unit_price == 0))
    }

    /// Whether a meter has a price in the charge.
    #[must_use]
    pub fn has_meter(&self, id: &str) -> bool {
        self.meter(id).is_some()
    }

    fn meter(&self, id: &str) -> Option<&ChargedMeter> {
        self.meters.iter().find(|meter| meter.id == id)
    }

    /// Reads the answer of the API to a charge.
    ///
    /// # Errors
    /// It is a refusal, or no answer of the API.
    pub fn of_answer(response: Response<Bytes>) -> Result<Opened, NotOpened> {
        if response.status() != StatusCode::CREATED {
            return Err(NotOpened::Refused(Box::new(response)));
        }
        let (head, body) = response.into_parts();
        let charge = serde_json::from_slice(&body).map_err(|_| NotOpened::Unreadable)?;
        let Charge { workspace, id, amount, balance, meters } = charge;
        let is_replay = head.headers.get("idempotent-replayed") == Some(&HeaderValue::from_static("true"));
        let (balance, replayed) = (balance.available, is_replay.then_some(body));
        Ok(Opened { workspace, id, amount, balance, meters, replayed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(charge: &Value) -> Opened {
        let mut response = Response::new(Bytes::from(charge.to_string()));
        *response.status_mut() = StatusCode::CREATED;
        Opened::of_answer(response).expect("it is a charge")
    }

    #[test]
    fn units_are_free_if_no_meter_that_counts_has_a_price() {
        let charge = opened(&json!({
            "id": "ch_1", "workspace": "acme", "amount": 5, "balance": { "available": 1 },
            "meters": [{ "id": "input", "unit_price": 0, "per": 1 }, { "id": "output", "unit_price": 3, "per": 10 }],
        }));
        let is_free = |units: &[(&str, i64)]| {
            charge.is_free(&units.iter().map(|(id, units)| ((*id).to_owned(), *units)).collect())
        };
        assert!(is_free(&[]) && is_free(&[("input", 0), ("output", 0)]) && is_free(&[("input", 900)]));
        assert!(!is_free(&[("output", 1)]) && !is_free(&[("unknown", 1)]));
        assert!(charge.has_meter("output") && !charge.has_meter("unknown"));
    }

    #[test]
    fn an_answer_to_a_report_says_whether_to_repeat_it() {
        let of = |status: u16, body: &'static str| {
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            match report_taken(&response) {
                Ok(()) => "taken",
                Err(ReportError::Later(_)) => "later",
                Err(ReportError::Refused(_)) => "refused",
                Err(ReportError::Quantities(_)) => "quantities",
            }
        };
        let problem = "{\"code\":\"x\"}";
        for (status, expected) in [
            (200, "taken"),
            (401, "later"),
            (403, "later"),
            (429, "later"),
            (409, "refused"),
            (404, "refused"),
            (422, "quantities"),
            (500, "later"),
            (503, "later"),
        ] {
            assert_eq!(of(status, problem), expected, "{status}");
        }
        assert_eq!((of(404, "<html>"), of(422, ""), of(302, "")), ("later", "later", "later"));
    }
}
