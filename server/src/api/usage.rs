//! The use of a workspace by operation, worker, member, API key and time (P11, P16), what changed
//! in it, and its burn rate (P12).
//!
//! What is shown is made in `reports`, for the API, the command line and the pages alike.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::Scope;

use crate::access::Rule::Workspace;
use crate::http::call::{Call, json};
use crate::http::csv::wants_csv;
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::reports::burn_rate::{self, BurnRateJson, BurnRateQuery};
use crate::reports::changes::{self, ChangesJson, ChangesQuery};
use crate::reports::usage::{self, UsageJson, UsageQuery, UsageSource};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/usage",
        Workspace(&[Scope::Read]),
        "Read the use of a range",
        |call| Box::pin(use_of_range(call)),
    )
    .description(
        "Adds up what a workspace used, by the keys in `group_by`; without any, everything is one row. The sums are those \
         of the journal. A refund counts when it happens, so `net` may be below zero. Use is counted by whole hours in \
         UTC, which are divided where a day of the workspace begins: a range that begins or ends elsewhere is widened, \
         and the response names the one that was counted. Days and months are those of `timezone`, the workspace's \
         unless another is given. Without `from` the range begins with the day 30 days before its end, without `to` it \
         ends now. It may have ten years, and the response 50,000 rows. With `Accept: text/csv` the same rows are \
         comma-separated values.",
    )
    .parameters(usage::PARAMETERS)
    .response(200, of::<UsageJson>, USAGE)
    .problems(&[Code::TimezoneNotCounted, Code::UsageTooLarge]),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/usage/changes",
        Workspace(&[Scope::Read]),
        "Read what changed in the use",
        |call| Box::pin(changes_of_use(call)),
    )
    .description(
        "Compares the use of a range with that of an earlier one, by the keys in `group_by`. The later range, the time \
         zone and the filters are those of `GET …/usage`. The earlier one ends where the later one begins, or begins \
         with the day `before_from`. It has as many days if the later one begins and ends with a day, else it is as \
         long. Each row says how much of the change comes from the quantity, from the price and from refunds; the three \
         parts add up exactly, and so do the rows. With `Accept: text/csv` the same rows are comma-separated values.",
    )
    .parameters(changes::PARAMETERS)
    .response(200, of::<ChangesJson>, CHANGES)
    .problems(&[Code::TimezoneNotCounted, Code::UsageTooLarge]),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/burn-rate",
        Workspace(&[Scope::Read]),
        "Read the burn rate",
        |call| Box::pin(burn_rate_now(call)),
    )
    .description(
        "Says how much a workspace uses on average, and how long its available credit lasts. The average counts complete \
         days of the workspace's time zone. The forecast takes the mean of each weekday over the last 28 complete days, \
         or the average while there are less than 14, and walks forward from today. Use is rounded up. Credit that \
         comes in meanwhile is not forecast; `next_grant_on` names the next grant of the subscription. With `group_by` \
         the response shows which operations, workers, members or API keys use it.",
    )
    .parameters(burn_rate::PARAMETERS)
    .response(200, of::<BurnRateJson>, BURN_RATE)
    .problems(&[Code::UsageTooLarge]),
];

const USAGE: &str = r#"{"timezone": "Europe/Berlin", "from": "2026-11-22T23:00:00.000Z", "to": "2026-11-24T23:00:00.000Z",
    "rebuilding": false,
    "rows": [{"day": "2026-11-23", "operation": "virtual_try_on", "runs": 2, "quantity": 2, "charged": 40000,
              "charged_usd": "0.40", "refunded": 20000, "refunded_usd": "0.20", "net": 20000, "net_usd": "0.20"}],
    "total": {"runs": 2, "quantity": 2, "charged": 40000, "charged_usd": "0.40", "refunded": 20000,
              "refunded_usd": "0.20", "net": 20000, "net_usd": "0.20"}}"#;

const CHANGES: &str = r#"{"timezone": "Europe/Berlin",
    "before": {"from": "2026-11-08T23:00:00.000Z", "to": "2026-11-15T23:00:00.000Z"},
    "after": {"from": "2026-11-15T23:00:00.000Z", "to": "2026-11-22T23:00:00.000Z"}, "rebuilding": false,
    "rows": [{"operation": "virtual_try_on",
              "before": {"runs": 2, "quantity": 2, "charged": 40000, "charged_usd": "0.40", "refunded": 0,
                         "refunded_usd": "0.00", "net": 40000, "net_usd": "0.40"},
              "after": {"runs": 3, "quantity": 3, "charged": 63000, "charged_usd": "0.63", "refunded": 21000,
                        "refunded_usd": "0.21", "net": 42000, "net_usd": "0.42"},
              "change": 2000, "change_usd": "0.02", "by_quantity": 20000, "by_quantity_usd": "0.20",
              "by_price": 3000, "by_price_usd": "0.03", "by_refunds": -21000, "by_refunds_usd": "-0.21"}],
    "total": {"before": {"runs": 2, "quantity": 2, "charged": 40000, "charged_usd": "0.40", "refunded": 0,
                         "refunded_usd": "0.00", "net": 40000, "net_usd": "0.40"},
              "after": {"runs": 3, "quantity": 3, "charged": 63000, "charged_usd": "0.63", "refunded": 21000,
                        "refunded_usd": "0.21", "net": 42000, "net_usd": "0.42"},
              "change": 2000, "change_usd": "0.02", "by_quantity": 20000, "by_quantity_usd": "0.20",
              "by_price": 3000, "by_price_usd": "0.03", "by_refunds": -21000, "by_refunds_usd": "-0.21"}}"#;

const BURN_RATE: &str = r#"{"timezone": "Europe/Berlin", "days": 30, "available": 1230000, "available_usd": "12.30",
    "daily_average": 20000, "daily_average_usd": "0.20", "monthly_average": 600000, "monthly_average_usd": "6.00",
    "next_30_days": 600000, "next_30_days_usd": "6.00", "runway_days": 62, "depletes_on": "2027-01-24", "next_grant_on": "2026-12-23", "lasts_until_next_grant": true,
    "basis": "weekday", "reason": null,
    "rows": [{"operation": "virtual_try_on", "net": 600000, "net_usd": "6.00", "daily_average": 20000,
              "daily_average_usd": "0.20", "share_percent": "100.00"}]}"#;

/// About the size of a burn rate in JSON.
const BURN_RATE_BYTES: usize = 1_024;

/// `GET /v1/workspaces/{workspace}/usage`.
async fn use_of_range(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let question = UsageQuery::read(call.query())?;
    let is_guarded = is_guarded(&call)?;
    let is_csv = wants_csv(call.headers());
    let table = question.run(&UsageSource::new(call.app.engine(), &workspace), call.now).await?;
    let bytes = table.bytes();
    let respond = move || match is_csv {
        true => table.csv(is_guarded).into_response(),
        false => json(StatusCode::OK, bytes, &table.json()),
    };
    Ok(call.work(bytes, respond).await)
}

/// Whether texts in comma-separated values are made safe for spreadsheets.
fn is_guarded(call: &Call) -> Result<bool, Problem> {
    let is_raw = call.query().value("raw", |text| text.parse::<bool>().ok(), "must be true or false")?;
    Ok(is_raw != Some(true))
}

/// `GET /v1/workspaces/{workspace}/usage/changes`.
async fn changes_of_use(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let question = ChangesQuery::read(call.query())?;
    let is_guarded = is_guarded(&call)?;
    let is_csv = wants_csv(call.headers());
    let table = question.run(&UsageSource::new(call.app.engine(), &workspace), call.now).await?;
    let bytes = table.bytes();
    let respond = move || match is_csv {
        true => table.csv(is_guarded).into_response(),
        false => json(StatusCode::OK, bytes, &table.json()),
    };
    Ok(call.work(bytes, respond).await)
}

/// `GET /v1/workspaces/{workspace}/burn-rate`.
async fn burn_rate_now(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let question = BurnRateQuery::read(call.query())?;
    let rate = question.run(&UsageSource::new(call.app.engine(), &workspace), call.now).await?;
    Ok(json(StatusCode::OK, BURN_RATE_BYTES, &rate.json()))
}
