//! Low-balance thresholds: the balances, or the days of runway, at which the admins of a workspace
//! want to know (P13).
//!
//! They are set and read here. The ledger fires the alerts; they are entries of the journal.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::Scope::{Manage, Read};
use tollkeeper_ledger::{AlertLine, Alerts, Command, Micros, Threshold, Timestamp, WorkspaceId, bounds};
use utoipa::ToSchema;

use crate::access::Rule::Workspace;
use crate::http::call::{Call, existing, json};
use crate::http::problem::Problem;
use crate::http::route::{Route, of};
use crate::wire::ReadError;
use crate::wire::read::{AmountFields, Bounded, Dollars, Object, amount, given, given_word};
use crate::wire::write::{Time, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/alerts",
        Workspace(&[Read, Manage]),
        "Get the thresholds",
        |call| Box::pin(get(call)),
    )
    .description(
        "Returns the low-balance thresholds of a workspace, and for each whether the balance is low and when its last \
         alert fired.",
    )
    .response(200, of::<AlertsJson>, EXAMPLE),
    Route::new(
        Method::PUT,
        "/v1/workspaces/{workspace}/alerts",
        Workspace(&[Manage]),
        "Replace the thresholds",
        |call| Box::pin(put(call)),
    )
    .description(
        "Replaces all low-balance thresholds of a workspace; an empty list removes them. When the balance falls below \
         a threshold, an entry `balance.low` is written, in the same step as the charge. The threshold fires again \
         after the balance has recovered (`balance.recovered`) and the cooldown has ended. One that stays keeps its \
         last alert.",
    )
    .request(
        of::<AlertsIn>,
        r#"{"thresholds": [{"amount_usd": "20.00"}, {"amount": 500000}, {"runway_days": 7}], "cooldown_hours": 24}"#,
    )
    .response(200, of::<AlertsJson>, EXAMPLE),
];

const EXAMPLE: &str = r#"{"thresholds": [
    {"amount": 500000, "amount_usd": "5.00", "runway_days": null, "state": "armed", "fired_at": null},
    {"amount": 2000000, "amount_usd": "20.00", "runway_days": null, "state": "low",
        "fired_at": "2026-11-23T15:04:05.678Z"},
    {"amount": null, "amount_usd": null, "runway_days": 7, "state": "armed", "fired_at": null}],
    "cooldown_hours": 24}"#;

/// About the size of one threshold in JSON.
const THRESHOLD_BYTES: usize = 160;

const HOUR_SECONDS: i64 = 3_600;

/// The longest cooldown in hours.
const COOLDOWN_MAX_HOURS: i64 = bounds::ALERT_COOLDOWN_MAX_SECONDS / HOUR_SECONDS;

/// All thresholds of a workspace. They replace the current ones.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertsRequest)]
pub struct AlertsIn {
    /// The thresholds. Equal ones count once.
    #[schema(value_type = Vec<ThresholdIn>, max_items = 10)]
    thresholds: Bounded<Object<ThresholdIn>, { bounds::THRESHOLDS_MAX }>,
    /// The hours after an alert in which its threshold does not fire again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 8_784, default = 24)]
    cooldown_hours: Option<i64>,
}

/// A low-balance threshold: an amount in one of two units, or days of runway.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ThresholdRequest)]
pub struct ThresholdIn {
    /// The balance below which an alert fires, in micro-units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    amount: Option<i64>,
    /// The balance in dollars, as a decimal text.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$", example = "20.00")]
    amount_usd: Option<Dollars>,
    /// The days that the balance is to last by the forecast. An alert fires if it lasts for fewer.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 365, example = 7)]
    runway_days: Option<i64>,
}

/// The low-balance thresholds of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alerts)]
pub struct AlertsJson {
    /// The thresholds: amounts first, then days of runway, each ascending.
    thresholds: Vec<ThresholdJson>,
    /// The hours after an alert in which its threshold does not fire again, rounded up.
    cooldown_hours: i64,
}

/// A low-balance threshold and its last alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Threshold)]
pub struct ThresholdJson {
    /// The balance below which an alert fires, in micro-units. For days of runway it is what they
    /// needed at the last alert or recovery; null before the first.
    #[schema(required)]
    amount: Option<i64>,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = Option<String>, required, example = "20.00")]
    amount_usd: Option<Usd>,
    /// The days that the balance is to last; null for an amount.
    #[schema(required)]
    runway_days: Option<u16>,
    /// `low` from an alert until the balance has recovered, else `armed`.
    state: &'static str,
    /// When the last alert fired; null before the first.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    fired_at: Option<Time>,
}

impl From<&Threshold> for ThresholdJson {
    fn from(threshold: &Threshold) -> ThresholdJson {
        let Threshold { line, amount, fired_at, is_low } = *threshold;
        let has_fired = fired_at != Timestamp::ZERO;
        let runway_days = line.days();
        let amount = Some(amount).filter(|_| has_fired || runway_days.is_none());
        ThresholdJson {
            amount: amount.map(Micros::get),
            amount_usd: amount.map(Usd),
            runway_days,
            state: if is_low { "low" } else { "armed" },
            fired_at: has_fired.then_some(Time(fired_at)),
        }
    }
}

/// `GET /v1/workspaces/{workspace}/alerts`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    respond(&call, &workspace).await
}

/// `PUT /v1/workspaces/{workspace}/alerts`.
async fn put(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let AlertsIn { thresholds: Bounded(thresholds), cooldown_hours } = call.json().await?;
    let lines = thresholds.into_iter().enumerate().map(|(index, Object(given))| line(index, given));
    let thresholds = lines.collect::<Result<Vec<_>, ReadError>>()?;
    let cooldown_seconds = match cooldown_hours {
        None => bounds::ALERT_COOLDOWN_DEFAULT_SECONDS,
        Some(hours) if (0..=COOLDOWN_MAX_HOURS).contains(&hours) => hours * HOUR_SECONDS,
        Some(_) => return Err(ReadError::field("cooldown_hours", "must be 0 to 8784, a leap year").into()),
    };
    call.run(&workspace, None, Command::SetAlerts { thresholds, cooldown_seconds }).await?;
    respond(&call, &workspace).await
}

/// The response with the current thresholds.
async fn respond(call: &Call, workspace: &WorkspaceId) -> Result<Response, Problem> {
    let found = call.app.engine().alerts(workspace).await?;
    let Alerts { thresholds, cooldown_seconds, notices: _ } = existing(workspace, found)?;
    let thresholds: Vec<ThresholdJson> = thresholds.iter().map(ThresholdJson::from).collect();
    let cooldown_hours = (cooldown_seconds + HOUR_SECONDS - 1) / HOUR_SECONDS;
    let capacity = THRESHOLD_BYTES * thresholds.len() + 64;
    Ok(json(StatusCode::OK, capacity, &AlertsJson { thresholds, cooldown_hours }))
}

/// A threshold of the request. `index` is its index in the list, for error messages.
fn line(index: usize, given: ThresholdIn) -> Result<AlertLine, ReadError> {
    let ThresholdIn { amount: micros, amount_usd, runway_days } = given;
    let field = |name: &str| format!("thresholds[{index}].{name}");
    let Some(days) = runway_days else {
        let (in_micros, in_usd) = (field("amount"), field("amount_usd"));
        let amount = amount(AmountFields { micros: &in_micros, usd: &in_usd }, micros, amount_usd)?;
        // The ledger checks this too, but it cannot say which item of the list is wrong.
        if amount <= Micros::ZERO || amount > Micros::MAX {
            let given = if micros.is_some() { in_micros } else { in_usd };
            return Err(ReadError::field(given, "must be 1 to 2^53 − 1 micro-units"));
        }
        return Ok(AlertLine::Amount(amount));
    };
    if micros.is_some() || amount_usd.is_some() {
        return Err(ReadError::field(field("runway_days"), "cannot be given beside an amount"));
    }
    let days = u16::try_from(days).ok().filter(|days| (1..=bounds::RUNWAY_DAYS_MAX).contains(days));
    let days = days.ok_or_else(|| ReadError::field(field("runway_days"), "must be 1 to 365"))?;
    Ok(AlertLine::RunwayDays(days))
}
