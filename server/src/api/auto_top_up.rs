//! The rule of automatic top-ups: below which balance the saved card buys credit, how much, and at
//! most how much in a month.
//!
//! A charge that ends below the threshold opens the top-up in its own change. So the rule that was
//! just set is asked at once only for a balance that is low already.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_ledger::Scope::Manage;
use tollkeeper_ledger::{Micros, WorkspaceId};
use utoipa::ToSchema;

use crate::access::Rule::Workspace;
use crate::actions::auto_top_up::{self, Buys, Known, Rule};
use crate::http::call::{Call, json, no_content};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::wire::ReadError;
use crate::wire::read::{AmountFields, Dollars, amount, given, given_word, word};
use crate::wire::write::{Time, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/auto-top-up",
        Workspace(&[Manage]),
        "Get the automatic top-up",
        |call| Box::pin(get(call)),
    )
    .description("Returns the rule of automatic top-ups, whether it is active, and what it bought this month.")
    .response(200, of::<AutoTopUpJson>, EXAMPLE)
    .problems(&[Code::AutoTopUpNotFound]),
    Route::new(
        Method::PUT,
        "/v1/workspaces/{workspace}/auto-top-up",
        Workspace(&[Manage]),
        "Set the automatic top-up",
        |call| Box::pin(put(call)),
    )
    .description(
        "Buys credit with the saved card when less than the threshold is available. A top-up buys at least the \
         threshold, and those of a month of the workspace's time zone stay within the cap. A rule that was stopped is \
         active again. A pause after a declined payment stays, also if the rule is deleted and set again. A charge that ends \
         below the threshold opens the top-up; the card is charged a moment later.",
    )
    .request(
        of::<AutoTopUpIn>,
        r#"{"threshold_usd": "5.00", "amount_usd": "25.00", "monthly_cap_usd": "100.00"}"#,
    )
    .response(200, of::<AutoTopUpJson>, EXAMPLE)
    .problems(&[Code::PaymentMethodRequired]),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/auto-top-up",
        Workspace(&[Manage]),
        "Stop the automatic top-up",
        |call| Box::pin(stop(call)),
    )
    .description("Stops automatic top-ups. One that waits for its payment stays. If none are set, nothing changes.")
    .no_content(),
];

const EXAMPLE: &str = r#"{"threshold": 500000, "threshold_usd": "5.00", "amount_usd": "25.00",
    "monthly_cap_usd": "100.00", "bought_this_month_usd": "0.00", "state": "active", "paused_until": null,
    "stopped_reason": null}"#;

/// About the size of a rule in JSON.
const RULE_BYTES: usize = 256;

/// The threshold in the request.
const THRESHOLD: AmountFields<'static> = AmountFields { micros: "threshold", usd: "threshold_usd" };

/// When to buy credit, and how much.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AutoTopUpRequest)]
pub struct AutoTopUpIn {
    /// Credit is bought when less than this is available, in micro-units, more than 0.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    threshold: Option<i64>,
    /// The threshold in dollars, as a decimal text; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$", example = "5.00")]
    threshold_usd: Option<Dollars>,
    /// What is bought at once, in whole cents, as a decimal text in dollars, without tax. It buys
    /// at least the threshold.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = r"^[0-9]+(\.[0-9]{1,2}0{0,3})?$", example = "25.00")]
    amount_usd: Dollars,
    /// The most that is bought in a month of the workspace's time zone, in whole cents, as a
    /// decimal text in dollars.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = r"^[0-9]+(\.[0-9]{1,2}0{0,3})?$", example = "100.00")]
    monthly_cap_usd: Dollars,
}

/// When credit is bought, how much, and whether it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AutoTopUp)]
pub struct AutoTopUpJson {
    /// Credit is bought when less than this is available, in micro-units.
    threshold: i64,
    /// `threshold` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "5.00")]
    threshold_usd: Usd,
    /// What is bought at once, in dollars, as an exact decimal text, without tax.
    #[schema(value_type = String, example = "25.00")]
    amount_usd: Usd,
    /// The most that is bought in a month of the workspace's time zone, in dollars.
    #[schema(value_type = String, example = "100.00")]
    monthly_cap_usd: Usd,
    /// What was bought this month, or waits for its payment, in dollars.
    #[schema(value_type = String, example = "0.00")]
    bought_this_month_usd: Usd,
    /// `active`, `paused` after a declined payment, or `stopped`.
    state: &'static str,
    /// When the pause ends; null unless it is paused.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    paused_until: Option<Time>,
    /// Why it was stopped: `requested`, `payment_method_removed`, `declined`,
    /// `authentication_needed`, `disputed` or `fraud_warning`; null unless it is stopped.
    #[schema(required)]
    stopped_reason: Option<&'static str>,
}

/// `GET /v1/workspaces/{workspace}/auto-top-up`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    respond(&call, &workspace).await
}

/// `PUT /v1/workspaces/{workspace}/auto-top-up`.
async fn put(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let AutoTopUpIn { threshold, threshold_usd, amount_usd, monthly_cap_usd } = call.json().await?;
    let threshold = amount(THRESHOLD, threshold, threshold_usd)?;
    let cents = whole_cents("amount_usd", amount_usd)?;
    let monthly_cap_cents = whole_cents("monthly_cap_usd", monthly_cap_usd)?;
    auto_top_up::set(&call, &workspace, Rule { threshold, cents, monthly_cap_cents }).await?;
    respond(&call, &workspace).await
}

/// `DELETE /v1/workspaces/{workspace}/auto-top-up`.
async fn stop(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    auto_top_up::stop(&call, &workspace).await?;
    Ok(no_content())
}

/// The response with the current rule.
async fn respond(call: &Call, workspace: &WorkspaceId) -> Result<Response, Problem> {
    let known = auto_top_up::find(call, workspace).await?.ok_or_else(|| {
        Problem::new(Code::AutoTopUpNotFound, "Automatic top-ups were never set for this workspace.")
    })?;
    let Known { rule, buys, bought_this_month_cents } = known;
    let Rule { threshold, cents, monthly_cap_cents } = rule;
    let (state, paused_until, stopped_reason) = match buys {
        Buys::Active => ("active", None, None),
        Buys::Paused(until) => ("paused", Some(Time(until)), None),
        Buys::Stopped(why) => ("stopped", None, Some(why.as_str())),
    };
    let usd = |cents| Usd(Micros::from_cents(cents));
    let shown = AutoTopUpJson {
        threshold: threshold.get(),
        threshold_usd: Usd(threshold),
        amount_usd: usd(cents),
        monthly_cap_usd: usd(monthly_cap_cents),
        bought_this_month_usd: usd(bought_this_month_cents),
        state,
        paused_until,
        stopped_reason,
    };
    Ok(json(StatusCode::OK, RULE_BYTES, &shown))
}

fn whole_cents(field: &str, Dollars(amount): Dollars) -> Result<i64, ReadError> {
    amount.whole_cents().ok_or_else(|| ReadError::field(field, "must be a number of whole cents"))
}
