//! Who is charged, and the charge that is opened in their name.
//!
//! The API checks the key. The gate reads only the workspace that stands in it, for the address.

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::Gate;
use crate::charging::{NotOpened, Opened, Quantities};
use crate::headers::{self, MEMBER, WORKER, WORKSPACE_KEY};
use crate::refusal::{Refusal, unavailable, unknown};
use crate::settings::Route;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The digits of an API key of a workspace; the workspace follows them.
const KEY_DIGITS: usize = 64;

/// How often a charge is asked for, if the API does not answer.
const CALLS_MAX: u32 = 3;

impl Gate {
    /// Charges for the request, as its caller.
    pub(super) async fn charge(&self, caller: &Caller, charge: Bytes) -> Result<Opened, Refusal> {
        let mut calls = 1;
        let opened = loop {
            match self.charging.charge(caller.request(charge.clone())?).await {
                Ok(opened) => break opened,
                Err(NotOpened::Refused(answer)) => {
                    return Err(Refusal::of_api(answer.status(), answer.headers(), answer.body()));
                }
                // Only the gate knows a key that it made, so the same call again is safe.
                Err(NotOpened::Unavailable(why)) if caller.is_key_fresh && calls < CALLS_MAX => {
                    tracing::warn!(%why, "the API did not answer; the same call is made again");
                    calls += 1;
                }
                Err(NotOpened::Unavailable(why)) => {
                    tracing::warn!(%why, "the API did not answer");
                    return Err(unknown());
                }
                Err(NotOpened::Unreadable) => return Err(unavailable()),
            }
        };
        match &opened.replayed {
            Some(charge) if calls == 1 => Err(already_paid(charge)),
            _ => Ok(opened),
        }
    }

    /// What the API says about a charge that is not made yet, as its caller.
    ///
    /// # Errors
    /// The API refuses the caller or the question, or does not answer.
    pub(super) async fn quote(&self, caller: &Caller, question: &Question<'_>) -> Result<Value, Refusal> {
        let answered = self.charging.call(caller.request_to_quote(question)?).await;
        let (head, body) = answered.map_err(|_| unavailable())?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Refusal::of_api(head.status, &head.headers, &body));
        }
        serde_json::from_slice(&body).map_err(|_| unavailable())
    }
}

/// Who is charged, and under which idempotency key.
pub(super) struct Caller {
    workspace: String,
    bearer: HeaderValue,
    key: HeaderValue,
    /// Whether the gate made the idempotency key.
    is_key_fresh: bool,
}

impl Caller {
    /// The caller that the headers of a request name.
    ///
    /// # Errors
    /// There is no API key of a workspace.
    pub(super) fn of(headers: &HeaderMap) -> Result<Caller, Refusal> {
        let key = headers::key(headers)
            .ok_or_else(|| unauthenticated("Send an API key in the header `Tollkeeper-Key`."))?;
        let workspace =
            workspace_of(key).ok_or_else(|| unauthenticated("The key is not an API key of a workspace."))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| unauthenticated("The key is not valid."))?;
        bearer.set_sensitive(true);
        let workspace = workspace.to_owned();
        let (key, is_key_fresh) = match headers.get(IDEMPOTENCY_KEY) {
            Some(key) => (key.clone(), false),
            None => (fresh_key()?, true),
        };
        Ok(Caller { workspace, bearer, key, is_key_fresh })
    }

    /// The request that opens a charge.
    fn request(&self, charge: Bytes) -> Result<Request<Bytes>, Refusal> {
        Request::post(format!("/v1/workspaces/{}/charges", self.workspace))
            .header(AUTHORIZATION, self.bearer.clone())
            .header(IDEMPOTENCY_KEY, self.key.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(charge)
            .map_err(|_| unauthenticated("The key is not valid."))
    }

    /// The request that asks for a quote.
    fn request_to_quote(&self, question: &Question<'_>) -> Result<Request<Bytes>, Refusal> {
        let body = serde_json::to_vec(question).map_err(|_| unavailable())?;
        Request::post(format!("/v1/workspaces/{}/quote", self.workspace))
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body))
            .map_err(|_| unauthenticated("The key is not valid."))
    }
}

/// How much of an operation is charged, as a field of a request.
#[derive(Clone, Copy, Serialize)]
pub(super) enum Units<'a> {
    #[serde(rename = "quantity")]
    Quantity(i64),
    #[serde(rename = "quantities")]
    Quantities(&'a Quantities),
}

/// A question about the price of an operation.
#[derive(Serialize)]
pub(super) struct Question<'a> {
    pub operation: &'a str,
    #[serde(flatten)]
    pub units: Units<'a>,
}

/// A request that opens a charge.
#[derive(Serialize)]
struct Charge<'a> {
    #[serde(flatten)]
    question: Question<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    await_outcome: bool,
    outcome_by_platform: bool,
    timeout_seconds: u32,
}

/// The body of the request that opens a charge.
///
/// # Errors
/// A header with a member or a worker is no text.
pub(super) fn charge_json(
    route: &Route,
    operation: &str,
    headers: &HeaderMap,
    units: Units<'_>,
) -> Result<Bytes, Refusal> {
    let (member, worker) = member_and_worker(headers)?;
    let charge = Charge {
        question: Question { operation, units },
        member,
        worker,
        await_outcome: true,
        outcome_by_platform: true,
        timeout_seconds: route.timeout_seconds + route.grace_seconds,
    };
    serde_json::to_vec(&charge).map(Bytes::from).map_err(|_| unavailable())
}

/// For whom the caller says that the operation runs.
///
/// # Errors
/// A header with a member or a worker is no text.
pub(super) fn member_and_worker(headers: &HeaderMap) -> Result<(Option<&str>, Option<&str>), Refusal> {
    let id = |field: &str, header: HeaderName| {
        let Some(id) = headers.get(&header) else { return Ok(None) };
        id.to_str().map(Some).map_err(|_| {
            let detail = format!("The header `{header}` must be an id.");
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", "Invalid field", &detail)
                .with("field", field.into())
        })
    };
    Ok((id("member", MEMBER)?, id("worker", WORKER)?))
}

/// The workspace of an API key.
fn workspace_of(key: &str) -> Option<&str> {
    let (digits, rest) = key.strip_prefix(WORKSPACE_KEY)?.split_at_checked(KEY_DIGITS)?;
    let workspace = rest.strip_prefix('_')?;
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    let is_key = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_key && !workspace.is_empty() && workspace.bytes().all(is_id)).then_some(workspace)
}

/// A key for a request that has none, so that each such request is charged by itself.
fn fresh_key() -> Result<HeaderValue, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| unavailable())?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("gate-{digits}")).map_err(|_| unavailable())
}

fn unauthenticated(detail: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Unauthenticated", detail)
}

fn already_paid(charge: &[u8]) -> Refusal {
    let json = serde_json::from_slice(charge).unwrap_or(Value::Null);
    key_was_used().with("charge", json)
}

/// The refusal of an idempotency key that was used before.
pub(super) fn key_was_used() -> Refusal {
    let detail =
        "This idempotency key was used before. The operation has run or is running, and does not run again.";
    Refusal::new(StatusCode::CONFLICT, "operation_already_paid", "Operation already paid", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_workspace() {
        let digits = "0a".repeat(32);
        assert_eq!(workspace_of(&format!("tk_workspace_{digits}_acme:eu")), Some("acme:eu"));
        for wrong in [
            format!("tk_workspace_{digits}"),
            format!("tk_workspace_{digits}_"),
            format!("tk_workspace_{digits}_a/b"),
            format!("tk_workspace_{digits}_a?b"),
            format!("tk_link_{digits}_acme"),
            format!("tk_workspace_{}_acme", &digits[1..]),
            String::new(),
        ] {
            assert_eq!(workspace_of(&wrong), None, "{wrong}");
        }
    }
}
