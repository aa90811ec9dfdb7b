//! Spending limits: a cap per day or month for the workspace, a member, a worker, an operation or an API key. What is over
//! a cap is refused with the charge; here they are set and looked at.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    ApiKeyId, Command, Limit, MemberId, Micros, OperationId, Period, PeriodWindows, Subject, WorkerId,
    WorkspaceId,
};
use utoipa::ToSchema;

use crate::http::call::{Call, answer};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::read::{Dollars, Object, Word, amount, given, given_word, one_of, word};
use crate::wire::write::{Time, Usd};

/// About the size of one limit in JSON.
const LIMIT_BYTES: usize = 320;

/// All limits of a workspace, to take the place of those before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LimitsRequest)]
pub struct LimitsIn {
    #[schema(value_type = Vec<LimitIn>, max_items = 200)]
    limits: Vec<Object<LimitIn>>,
}

/// A cap.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LimitRequest)]
pub struct LimitIn {
    /// Whose spending: `workspace`, `member`, `worker`, `operation` or `api_key`.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(workspace|member|worker|operation|api_key)$", example = "member")]
    subject: SubjectKind,
    /// Which one; absent for the workspace.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$", example = "ada")]
    id: Option<String>,
    /// `day` or `month`, in the workspace's time zone.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(day|month)$", example = "month")]
    period: Period,
    /// At most so much, in micro-units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    amount: Option<i64>,
    /// The same in dollars; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$", example = "25.00")]
    amount_usd: Option<Dollars>,
}

/// What can be capped, without a name.
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
    limits: Vec<LimitJson>,
}

/// A cap and where it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limit)]
pub struct LimitJson {
    /// `workspace`, `member`, `worker`, `operation` or `api_key`.
    subject: &'static str,
    /// Which one; null for the workspace.
    #[schema(required)]
    id: Option<String>,
    /// `day` or `month`.
    period: &'static str,
    /// The cap, in micro-units.
    amount: i64,
    #[schema(value_type = String)]
    amount_usd: Usd,
    /// What was spent in the present period less what went back in it, in micro-units; below zero when more went back.
    used: i64,
    #[schema(value_type = String)]
    used_usd: Usd,
    /// What may still be spent in it, in micro-units.
    remaining: i64,
    #[schema(value_type = String)]
    remaining_usd: Usd,
    /// When it begins anew.
    #[schema(value_type = String, format = DateTime)]
    resets_at: Time,
}

impl LimitJson {
    /// A limit in the present day or month.
    pub fn of(limit: &Limit, windows: &PeriodWindows) -> LimitJson {
        let (kind, id) = subject(&limit.subject);
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

/// How a subject is told: its kind, and its name if it has one.
pub fn subject(subject: &Subject) -> (&'static str, Option<String>) {
    match subject {
        Subject::Workspace => ("workspace", None),
        Subject::Member(member) => ("member", Some(member.to_string())),
        Subject::Worker(worker) => ("worker", Some(worker.to_string())),
        Subject::Operation(operation) => ("operation", Some(operation.to_string())),
        Subject::ApiKey(key) => ("api_key", Some(key.to_string())),
    }
}

/// `GET /v1/workspaces/{workspace}/limits`.
pub async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    told(&call, &workspace).await
}

/// `PUT /v1/workspaces/{workspace}/limits`.
pub async fn put(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let LimitsIn { limits } = call.json().await?;
    let limits = limits.into_iter().enumerate().map(|(place, Object(line))| limit(place, line));
    let limits = limits.collect::<Result<Vec<_>, Problem>>()?;
    call.run(&workspace, None, Command::SetLimits(limits)).await?;
    told(&call, &workspace).await
}

/// The limits as they stand now.
async fn told(call: &Call, workspace: &WorkspaceId) -> Result<Response, Problem> {
    let found = call.app.engine().limits(workspace, call.now).await;
    let found = found.map_err(|error| refusal::failed(&error))?;
    let (limits, windows) = found.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))?;
    let limits: Vec<LimitJson> = limits.0.iter().map(|limit| LimitJson::of(limit, &windows)).collect();
    Ok(answer(StatusCode::OK, LIMIT_BYTES * limits.len() + 64, &LimitsJson { limits }))
}

fn limit(place: usize, line: LimitIn) -> Result<(Subject, Period, Micros), Problem> {
    let LimitIn { subject, id, period, amount: micros, amount_usd } = line;
    let field = |name: &str| format!("limits[{place}].{name}");
    let wrong = |why: &str| Problem::field(&field("id"), why);
    const NAME: &str = "must be 1 to 64 of A-Z a-z 0-9 . _ : @ -";
    let id = match (subject, id) {
        (SubjectKind::Workspace, None) => String::new(),
        (SubjectKind::Workspace, Some(_)) => return Err(wrong("is not given for the workspace")),
        (_, Some(id)) => id,
        (_, None) => return Err(wrong("is required")),
    };
    let subject = match subject {
        SubjectKind::Workspace => Subject::Workspace,
        SubjectKind::Member => Subject::Member(MemberId::new(&id).map_err(|_| wrong(NAME))?),
        SubjectKind::Worker => Subject::Worker(WorkerId::new(&id).map_err(|_| wrong(NAME))?),
        SubjectKind::Operation => Subject::Operation(OperationId::new(&id).map_err(|_| wrong(NAME))?),
        SubjectKind::ApiKey => {
            let key = id.parse::<ApiKeyId>();
            Subject::ApiKey(key.map_err(|()| wrong("must be the id of an API key, ak_…"))?)
        }
    };
    let names = [field("amount"), field("amount_usd")];
    let amount = amount([&names[0], &names[1]], micros, amount_usd)?;
    // The ledger looks too, but cannot say which line it is.
    if !(Micros::ZERO..=Micros::MAX).contains(&amount) {
        let given = &names[usize::from(micros.is_none())];
        return Err(Problem::field(given, "must be 0 to 2^53 − 1 micro-units"));
    }
    Ok((subject, period, amount))
}
