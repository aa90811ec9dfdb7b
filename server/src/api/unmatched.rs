//! Payments that fit nothing that was asked for. They grant nothing by themselves; a person looks
//! after them.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tollkeeper_ledger::{NotedPayment, UnmatchedPayment, WorkspaceId};
use utoipa::ToSchema;

use super::PAGE;
use crate::access::Rule::Platform;
use crate::http::call::{Call, json};
use crate::http::problem::Problem;
use crate::http::route::{Route, list_of};
use crate::wire::page::{ListJson, newest_first};
use crate::wire::write::Time;

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::GET,
    "/v1/payments/unmatched",
    Platform,
    "List payments that fit nothing",
    |call| Box::pin(list(call)),
)
.description(
    "Lists the payments that the payment provider reported and that fit nothing, newest first, such as one in another \
     currency. Such a payment grants no credit. The list has the newest 1,000; the journal has all.",
)
.parameters(PAGE)
.response(
    200,
    list_of::<UnmatchedPaymentJson>,
    r#"{"payment": "pi_3Q1", "cents": 2500, "currency": "eur", "workspace": "acme",
        "reason": "The currency is not usd.", "created_at": "2026-11-23T15:04:05.678Z"}"#,
)];

/// About the size of one row in JSON.
const ROW_BYTES: usize = 256;

/// A payment that fits nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnmatchedPayment)]
pub struct UnmatchedPaymentJson<'a> {
    /// The name of the payment at the provider.
    payment: &'a str,
    /// What came in, in hundredths of the currency.
    cents: i64,
    /// The currency, in three lower-case letters.
    currency: &'a str,
    /// The id of the workspace that may have paid; null if the provider names none.
    #[schema(required)]
    workspace: Option<&'a str>,
    /// Why it fits nothing, for people.
    reason: &'a str,
    /// When it was noted.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl<'a> UnmatchedPaymentJson<'a> {
    fn of(noted: &'a NotedPayment) -> UnmatchedPaymentJson<'a> {
        let UnmatchedPayment { payment, cents, currency, workspace, why } = &noted.payment;
        UnmatchedPaymentJson {
            payment,
            cents: *cents,
            currency,
            workspace: workspace.as_ref().map(WorkspaceId::as_str),
            reason: why,
            created_at: Time(noted.at),
        }
    }
}

/// `GET /v1/payments/unmatched`.
async fn list(call: Call) -> Result<Response, Problem> {
    let page = call.query().page()?;
    let platform = call.app.engine().platform();
    let listing = newest_first(&platform.unmatched, |noted| noted.at, &page)?;
    let rows = ListJson::of(&listing, |noted| UnmatchedPaymentJson::of(noted));
    Ok(json(StatusCode::OK, ROW_BYTES * listing.data.len() + 64, &rows))
}
