//! Low-balance thresholds: the balances, or the days of runway, at which the admins of a workspace
//! want to know, and who gets the e-mails (P13).
//!
//! They are set and read here. The ledger fires the alerts; they are entries of the journal. The
//! recipients of e-mails are in `mail_recipients`.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_ledger::Scope::{Manage, Read};
use tollkeeper_ledger::{AlertLine, Micros, Threshold, Timestamp, WorkspaceId, bounds};
use utoipa::ToSchema;

use super::entries::shows_team;
use super::mail_recipients::{self, Emails, MutedIn, RecipientJson};
use crate::access::Rule::Workspace;
use crate::actions::{alerts, recipients};
use crate::http::call::{Call, json};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::wire::ReadError;
use crate::wire::read::{AmountFields, Bounded, Dollars, Each, Email, Object, amount, given, given_word};
use crate::wire::write::{Time, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/alerts",
        Workspace(&[Read, Manage]),
        "Get thresholds and recipients",
        |call| Box::pin(get(call)),
    )
    .description(
        "Returns the low-balance thresholds of a workspace, and for each whether the balance is low and when its last \
         alert fired; and the recipients of e-mails. A key without the scope `manage` is not shown addresses.",
    )
    .response(200, of::<AlertsJson>, EXAMPLE),
    Route::new(
        Method::PUT,
        "/v1/workspaces/{workspace}/alerts",
        Workspace(&[Manage]),
        "Replace thresholds or recipients",
        |call| Box::pin(put(call)),
    )
    .description(
        "Replaces all low-balance thresholds of a workspace, the recipients of its e-mails, or both; what is left out \
         stays. An empty list of thresholds removes them. When the balance falls below a threshold, an entry \
         `balance.low` is written, in the same step as the charge. The threshold fires again after the balance has \
         recovered (`balance.recovered`) and the cooldown has ended. One that stays keeps its last alert.\n\n\
         Without recipients the admins get the e-mails. An address that a member has stands for the member. Any other \
         address is first sent a request to confirm it, and gets e-mails once it was confirmed.",
    )
    .request(
        of::<AlertsIn>,
        r#"{"thresholds": [{"amount_usd": "20.00"}, {"amount": 500000}, {"runway_days": 7}], "cooldown_hours": 24,
            "emails": ["ada@example.com", "finance@example.com"]}"#,
    )
    .response(200, of::<AlertsJson>, EXAMPLE)
    .problems(&[Code::MemberNotFound, Code::RecipientNotFound]),
    Route::new(
        Method::PUT,
        "/v1/workspaces/{workspace}/alerts/recipients/{recipient}",
        Workspace(&[Manage]),
        "Mute topics for a recipient",
        |call| Box::pin(mail_recipients::mute(call)),
    )
    .description(
        "Replaces the topics of which a recipient gets no e-mail. The link in each e-mail mutes one topic. If everybody \
         has muted a critical topic (`balance.refused`, `auto_top_up`, `debt`), its e-mails are sent all the same.",
    )
    .request(of::<MutedIn>, r#"{"muted": ["balance.recovered"]}"#)
    .response(200, of::<AlertsJson>, EXAMPLE)
    .problems(&[Code::MemberNotFound]),
];

const EXAMPLE: &str = r#"{"thresholds": [
    {"amount": 500000, "amount_usd": "5.00", "runway_days": null, "state": "armed", "fired_at": null},
    {"amount": 2000000, "amount_usd": "20.00", "runway_days": null, "state": "low",
        "fired_at": "2026-11-23T15:04:05.678Z"},
    {"amount": null, "amount_usd": null, "runway_days": 7, "state": "armed", "fired_at": null}],
    "cooldown_hours": 24, "recipients": "chosen",
    "emails": [{"id": "member:ada", "email": "ada@example.com", "member": "ada", "chosen": true,
        "status": "confirmed", "confirmed_at": null, "muted": ["balance.recovered"]},
        {"id": "rcp_01991234-5678-7abc-bfff-0123456789ab", "email": "finance@example.com", "member": null,
        "chosen": true, "status": "unconfirmed", "confirmed_at": null, "muted": []}]}"#;

/// About the size of one threshold in JSON.
const THRESHOLD_BYTES: usize = 160;

/// About the size of one recipient in JSON.
const RECIPIENT_BYTES: usize = 200;

/// The thresholds of a workspace, the recipients of its e-mails, or both. They replace the current
/// ones.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertsRequest)]
pub struct AlertsIn {
    /// The thresholds; they stay if it is left out. Equal ones count once.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Vec<ThresholdIn>, required = false, max_items = 10)]
    thresholds: Option<Bounded<Object<ThresholdIn>, { bounds::THRESHOLDS_MAX }>>,
    /// The addresses that get e-mails; they stay if it is null or left out. An empty list: the
    /// admins get them.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, max_items = 20, example = json!(["ada@example.com"]))]
    emails: Option<Emails>,
    /// The hours after an alert in which its threshold does not fire again; only together with
    /// `thresholds`.
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
    /// Who gets e-mails: `chosen`, or `admins` while nobody is chosen.
    recipients: &'static str,
    /// The chosen recipients, or else the admins; and all who have muted a topic or whose address
    /// refuses e-mails. Null for a caller who does not manage the workspace.
    #[schema(required)]
    emails: Option<Vec<RecipientJson>>,
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
    let AlertsIn { thresholds, emails, cooldown_hours } = call.json().await?;
    if thresholds.is_none() && (emails.is_none() || cooldown_hours.is_some()) {
        return Err(ReadError::field("thresholds", "is required").into());
    }
    if let Some(Bounded(thresholds)) = thresholds {
        let lines = thresholds.into_iter().enumerate().map(|(index, Object(given))| line(index, given));
        let lines = lines.collect::<Result<Vec<_>, ReadError>>()?;
        alerts::set(&call, &workspace, lines, cooldown_hours).await?;
    }
    if let Some(Bounded(emails)) = emails {
        let emails = emails.into_iter().map(|Each(Email(email))| email).collect();
        recipients::replace(&call, &workspace, emails).await?;
    }
    respond(&call, &workspace).await
}

/// The response with the current thresholds and recipients.
pub(super) async fn respond(call: &Call, workspace: &WorkspaceId) -> Result<Response, Problem> {
    let alerts = alerts::read(call, workspace).await?;
    let cooldown_hours = alerts::cooldown_hours(&alerts);
    let thresholds: Vec<ThresholdJson> = alerts.thresholds.iter().map(ThresholdJson::from).collect();
    let team = call.team(workspace).await?;
    let emails: Option<Vec<RecipientJson>> = match shows_team(&call.caller) {
        true => {
            let shown = recipients::shown(call, workspace, &team).await?;
            Some(shown.into_iter().map(RecipientJson::from).collect())
        }
        false => None,
    };
    let rows = emails.as_ref().map_or(0, Vec::len);
    let capacity = THRESHOLD_BYTES * thresholds.len() + RECIPIENT_BYTES * rows + 96;
    let recipients = if recipients::has_chosen(&team) { "chosen" } else { "admins" };
    Ok(json(StatusCode::OK, capacity, &AlertsJson { thresholds, cooldown_hours, recipients, emails }))
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
