//! Spending limits: a cap per day or month for the workspace, a member, a worker, an operation or
//! an API key.
//!
//! They are set and read here. The ledger refuses a charge that would exceed one.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_ledger::Scope::{Manage, Read};
use tollkeeper_ledger::{
    ApiKeyId, Limit, MemberId, Micros, OperationId, Period, PeriodWindows, Subject, WorkerId, WorkspaceId,
    bounds,
};
use utoipa::ToSchema;

use crate::access::Rule::Workspace;
use crate::actions::limits;
use crate::http::call::{Call, json};
use crate::http::problem::Problem;
use crate::http::route::{Route, of};
use crate::wire::ReadError;
use crate::wire::read::{
    AmountFields, Bounded, Dollars, ID_RULE, Object, Word, amount, given, given_word, one_of, word,
};
use crate::wire::subject::SubjectFields;
use crate::wire::write::{Time, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/limits",
        Workspace(&[Read, Manage]),
        "Get the limits",
        |call| Box::pin(get(call)),
    )
    .description("Returns the spending limits of a workspace and what was used of each in the current day or month.")
    .response(200, of::<LimitsJson>, EXAMPLE),
    Route::new(
        Method::PUT,
        "/v1/workspaces/{workspace}/limits",
        Workspace(&[Manage]),
        "Replace the limits",
        |call| Box::pin(put(call)),
    )
    .description(
        "Replaces all spending limits of a workspace; an empty list removes them. A new limit counts what was spent in \
         the current period before it was set.",
    )
    .request(
        of::<LimitsIn>,
        r#"{"limits": [{"subject": "workspace", "period": "month", "amount_usd": "500.00"},
            {"subject": "member", "id": "ada", "period": "day", "amount_usd": "25.00"}]}"#,
    )
    .response(200, of::<LimitsJson>, EXAMPLE),
];

const EXAMPLE: &str = r#"{"limits": [{"subject": "workspace", "id": null, "period": "month", "amount": 50000000,
    "amount_usd": "500.00", "used": 20000, "used_usd": "0.20", "remaining": 49980000,
    "remaining_usd": "499.80", "resets_at": "2026-12-01T00:00:00.000Z"},
    {"subject": "member", "id": "ada", "period": "day", "amount": 2500000, "amount_usd": "25.00",
    "used": 20000, "used_usd": "0.20", "remaining": 2480000, "remaining_usd": "24.80",
    "resets_at": "2026-11-24T00:00:00.000Z"}]}"#;

/// About the size of one limit in JSON.
const LIMIT_BYTES: usize = 320;

/// All limits of a workspace. They replace the current ones.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LimitsRequest)]
pub struct LimitsIn {
    /// The limits, at most one per subject and period.
    #[schema(value_type = Vec<LimitIn>, max_items = 200)]
    limits: Bounded<Object<LimitIn>, { bounds::LIMITS_MAX }>,
}

/// A spending limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LimitRequest)]
pub struct LimitIn {
    /// Whose spending: `workspace`, `member`, `worker`, `operation` or `api_key`.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(workspace|member|worker|operation|api_key)$", example = "member")]
    subject: SubjectKind,
    /// The id of the member, worker, operation or API key; absent for the workspace.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$", example = "ada")]
    id: Option<String>,
    /// `day` or `month`, in the workspace's time zone.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(day|month)$", example = "month")]
    period: Period,
    /// The most that may be spent in a period, in micro-units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: Option<i64>,
    /// The amount in dollars, as a decimal text; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$", example = "25.00")]
    amount_usd: Option<Dollars>,
}

/// The kind of a limit's subject.
#[derive(Clone, Copy, Debug)]
enum SubjectKind {
    Workspace,
    Member,
    Worker,
    Operation,
    ApiKey,
}

impl Word for SubjectKind {
    const EXPECTED: &'static str = "\"workspace\", \"member\", \"worker\", \"operation\" or \"api_key\"";
    fn read(text: &str) -> Result<Self, String> {
        Ok(match text {
            "workspace" => SubjectKind::Workspace,
            "member" => SubjectKind::Member,
            "worker" => SubjectKind::Worker,
            "operation" => SubjectKind::Operation,
            "api_key" => SubjectKind::ApiKey,
            _ => return Err(format!("this is not {}", Self::EXPECTED)),
        })
    }
}

impl Word for Period {
    const EXPECTED: &'static str = "\"day\" or \"month\"";
    fn read(text: &str) -> Result<Self, String> {
        one_of(&[Period::Day, Period::Month], Period::as_str, text)
    }
}

/// The limits of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub struct LimitsJson {
    /// The limits, in the order in which they were set.
    limits: Vec<LimitJson>,
}

/// A spending limit and what was used of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limit)]
pub struct LimitJson {
    /// Whose spending: `workspace`, `member`, `worker`, `operation` or `api_key`.
    subject: &'static str,
    /// The id of the member, worker, operation or API key; null for the workspace.
    #[schema(required)]
    id: Option<String>,
    /// `day` or `month`, in the workspace's time zone.
    period: &'static str,
    /// The most that may be spent in a period, in micro-units.
    amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "25.00")]
    amount_usd: Usd,
    /// What was charged in the current period less what was refunded in it, in micro-units. It is
    /// negative if more was refunded than charged.
    used: i64,
    /// `used` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    used_usd: Usd,
    /// What may still be spent in the current period, in micro-units.
    remaining: i64,
    /// `remaining` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "24.80")]
    remaining_usd: Usd,
    /// When the next period begins.
    #[schema(value_type = String, format = DateTime)]
    resets_at: Time,
}

impl LimitJson {
    /// A limit in the current day or month, whose `windows` are given.
    fn of(limit: &Limit, windows: &PeriodWindows) -> LimitJson {
        let SubjectFields { kind, id } = SubjectFields::from(&limit.subject);
        let used = limit.used_in(windows);
        let remaining = (limit.amount - used).max(Micros::ZERO);
        LimitJson {
            subject: kind,
            id,
            period: limit.period.as_str(),
            amount: limit.amount.get(),
            amount_usd: Usd(limit.amount),
            used: used.get(),
            used_usd: Usd(used),
            remaining: remaining.get(),
            remaining_usd: Usd(remaining),
            resets_at: Time(windows.of(limit.period).end),
        }
    }
}

/// `GET /v1/workspaces/{workspace}/limits`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    respond(&call, &workspace).await
}

/// `PUT /v1/workspaces/{workspace}/limits`.
async fn put(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let LimitsIn { limits: Bounded(lines) } = call.json().await?;
    let lines = lines.into_iter().enumerate().map(|(index, Object(line))| limit(index, line));
    let lines = lines.collect::<Result<Vec<_>, ReadError>>()?;
    limits::replace(&call, &workspace, lines).await?;
    respond(&call, &workspace).await
}

/// The response with the current limits.
async fn respond(call: &Call, workspace: &WorkspaceId) -> Result<Response, Problem> {
    let (limits, windows) = limits::read(call, workspace).await?;
    let limits: Vec<LimitJson> = limits.0.iter().map(|limit| LimitJson::of(limit, &windows)).collect();
    Ok(json(StatusCode::OK, LIMIT_BYTES * limits.len() + 64, &LimitsJson { limits }))
}

/// A limit of the request. `index` is its index in the list, for error messages.
fn limit(index: usize, line: LimitIn) -> Result<(Subject, Period, Micros), ReadError> {
    let LimitIn { subject, id, period, amount: micros, amount_usd } = line;
    let field = |name: &str| format!("limits[{index}].{name}");
    let wrong = |why: &str| ReadError::field(field("id"), why);
    let id = match (subject, id) {
        (SubjectKind::Workspace, None) => String::new(),
        (SubjectKind::Workspace, Some(_)) => return Err(wrong("cannot be given for the workspace")),
        (_, Some(id)) => id,
        (_, None) => return Err(wrong("is required")),
    };
    let subject = match subject {
        SubjectKind::Workspace => Subject::Workspace,
        SubjectKind::Member => Subject::Member(MemberId::new(&id).map_err(|_| wrong(ID_RULE))?),
        SubjectKind::Worker => Subject::Worker(WorkerId::new(&id).map_err(|_| wrong(ID_RULE))?),
        SubjectKind::Operation => Subject::Operation(OperationId::new(&id).map_err(|_| wrong(ID_RULE))?),
        SubjectKind::ApiKey => {
            let key = id.parse::<ApiKeyId>();
            Subject::ApiKey(key.map_err(|()| wrong("must be the id of an API key, ak_…"))?)
        }
    };
    let (in_micros, in_usd) = (field("amount"), field("amount_usd"));
    let amount = amount(AmountFields { micros: &in_micros, usd: &in_usd }, micros, amount_usd)?;
    // The ledger checks this too, but it cannot say which item of the list is wrong.
    if !(Micros::ZERO..=Micros::MAX).contains(&amount) {
        let given = if micros.is_some() { in_micros } else { in_usd };
        return Err(ReadError::field(given, "must be 0 to 2^53 − 1 micro-units"));
    }
    Ok((subject, period, amount))
}
