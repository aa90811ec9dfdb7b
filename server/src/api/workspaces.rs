//! Workspaces: opening, reading and changing them, and their balance (P10).

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollkeeper_engine::{Answer, NameQuery, Output, Reads, WorkspaceFilter, WorkspaceRecord};
use tollkeeper_ledger::Scope::{Manage, Read};
use tollkeeper_ledger::{Balance, Command, Id, Profile, Timestamp, WorkspaceChanges, WorkspaceId};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::access::Rule::{Platform, Workspace};
use crate::http::call::{Call, existing, json, wrong_output};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::{Route, list_of, of};
use crate::wire::metadata::Metadata;
use crate::wire::page::ListJson;
use crate::wire::read::{DisplayName, Timezone, given, given_word, maybe_word, word};
use crate::wire::write::{Time, Usd, metadata};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/v1/workspaces", Platform, "Create a workspace", |call| {
        Box::pin(create(call))
    })
    .description("Creates a workspace with no credit. The id may be chosen, such as the customer's id in your product.")
    .keeps_no_key()
    .request(
        of::<WorkspaceIn>,
        r#"{"id": "acme", "name": "Acme Shop", "timezone": "Europe/Berlin", "metadata": {"plan": "gold"}}"#,
    )
    .response(201, of::<WorkspaceJson>, EXAMPLE)
    .problems(&[Code::WorkspaceExists]),
    Route::new(Method::GET, "/v1/workspaces", Platform, "List workspaces", |call| Box::pin(list(call)))
        .description(
            "Lists workspaces, newest first. All filters hold at once. A page may have fewer rows than `limit`, or none, \
             although `next_cursor` is set. A cursor is valid only with the filters that it was given for.",
        )
        .parameters(&["name", "suspended", "debt", "unused_since", "limit", "cursor"])
        .response(200, list_of::<WorkspaceJson>, LISTED),
    Route::new(Method::GET, "/v1/workspaces/{workspace}", Workspace(&[Read]), "Get a workspace", |call| {
        Box::pin(get(call))
    })
    .description("Returns the name, time zone, metadata and state of a workspace.")
    .response(200, of::<WorkspaceJson>, EXAMPLE),
    Route::new(
        Method::PATCH,
        "/v1/workspaces/{workspace}",
        Workspace(&[Manage]),
        "Change a workspace",
        |call| Box::pin(change(call)),
    )
    .description("Changes the given fields; absent fields keep their values. Only the platform may set `suspended`.")
    .request(of::<WorkspaceChangesIn>, r#"{"name": "Acme Fashion"}"#)
    .response(200, of::<WorkspaceJson>, EXAMPLE),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/balance",
        Workspace(&[Read]),
        "Get the balance",
        |call| Box::pin(balance(call)),
    )
    .description("Returns the balance of a workspace: now, or at a past time.")
    .parameters(&["at"])
    .response(
        200,
        of::<BalanceJson>,
        r#"{"workspace": "acme", "available": 1230000, "available_usd": "12.30", "pending": 20000,
            "pending_usd": "0.20", "debt": 0, "debt_usd": "0.00", "as_of": "2026-11-23T15:04:05.678Z"}"#,
    ),
];

const EXAMPLE: &str = r#"{"id": "acme", "name": "Acme Shop", "timezone": "Europe/Berlin",
    "metadata": {"plan": "gold"}, "suspended": false, "created_at": "2026-11-23T15:04:05.678Z"}"#;

/// A row of the list.
const LISTED: &str = r#"{"id": "acme", "name": "Acme Shop", "timezone": "Europe/Berlin",
    "metadata": {"plan": "gold"}, "suspended": false, "created_at": "2026-11-23T15:04:05.678Z",
    "debt": 0, "debt_usd": "0.00", "last_used_at": "2026-11-24T09:30:00.000Z"}"#;

/// About the size of one workspace in JSON.
const WORKSPACE_BYTES: usize = 256;

/// The workspace to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkspaceRequest)]
pub struct WorkspaceIn {
    /// The id in every path: 1–64 of `A-Z a-z 0-9 . _ : @ -`. If it is absent, the server makes
    /// one.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    id: Option<WorkspaceId>,
    /// The display name, 1–255 characters. It stays in the journal for ever, so it is not for
    /// personal data.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+$", example = "Acme Shop")]
    name: DisplayName,
    /// The IANA time zone in which the days and months of limits begin. UTC if it is absent.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Option<Timezone>,
    /// A JSON object that the platform chooses, at most 4,096 bytes. It stays in the journal for
    /// ever, so it is not for personal data.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

/// The fields to be changed; absent fields keep their values.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkspaceChanges)]
pub struct WorkspaceChangesIn {
    /// The new display name, 1–255 characters.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+$")]
    name: Option<DisplayName>,
    /// The new IANA time zone. All limits are counted again by its days and months.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false)]
    timezone: Option<Timezone>,
    /// The new metadata; it replaces the whole object. Null removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Option<Metadata>>,
    /// Whether charges are refused. Only the platform may set it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false)]
    suspended: Option<bool>,
}

/// A workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workspace)]
pub struct WorkspaceJson<'a> {
    /// The id in every path.
    id: &'a str,
    /// The display name.
    name: &'a str,
    /// The IANA time zone in which the days and months of limits begin.
    timezone: &'a str,
    /// The platform's JSON object; null if none was set.
    #[schema(value_type = Option<Object>, required)]
    metadata: Option<&'a RawValue>,
    /// Whether charges are refused, because the platform suspended the workspace.
    suspended: bool,
    /// When the workspace was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// The credit owed after a lost payment, in micro-units; only present in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    debt: Option<i64>,
    /// `debt` in dollars, as an exact decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "0.00")]
    debt_usd: Option<Usd>,
    /// When the workspace was last charged, null if it never was; only present in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Option<Time>>,
}

impl<'a> WorkspaceJson<'a> {
    fn of(profile: &'a Profile) -> WorkspaceJson<'a> {
        let Profile { id, name, timezone, metadata: stored, suspended, created_at } = profile;
        WorkspaceJson {
            id: id.as_str(),
            name,
            timezone,
            metadata: metadata(stored.as_deref()),
            suspended: *suspended,
            created_at: Time(*created_at),
            debt: None,
            debt_usd: None,
            last_used_at: None,
        }
    }

    fn listed(record: &'a WorkspaceRecord) -> WorkspaceJson<'a> {
        let WorkspaceRecord { profile, debt, last_used_at } = record;
        WorkspaceJson {
            debt: Some(debt.get()),
            debt_usd: Some(Usd(*debt)),
            last_used_at: Some(last_used_at.map(Time)),
            ..WorkspaceJson::of(profile)
        }
    }
}

/// The balance of a workspace at one time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Balance)]
pub struct BalanceJson<'a> {
    /// The id of the workspace.
    workspace: &'a str,
    /// The credit that can be spent, in micro-units; never negative.
    #[schema(minimum = 0)]
    available: i64,
    /// `available` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.30")]
    available_usd: Usd,
    /// The credit deducted by charges that await an outcome, in micro-units.
    pending: i64,
    /// `pending` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    pending_usd: Usd,
    /// The credit owed after a lost payment, in micro-units.
    debt: i64,
    /// `debt` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.00")]
    debt_usd: Usd,
    /// The time of the balance.
    #[schema(value_type = String, format = DateTime)]
    as_of: Time,
}

/// `POST /v1/workspaces`.
async fn create(mut call: Call) -> Result<Response, Problem> {
    let WorkspaceIn { id, name: DisplayName(name), timezone, metadata } = call.json().await?;
    let id = match id {
        Some(id) => id,
        None => fresh_id(call.now)?,
    };
    let changes = WorkspaceChanges {
        name: Some(name),
        timezone: timezone.map(|Timezone(text)| text),
        metadata: metadata.map(|Metadata(text)| Some(text)),
        suspended: None,
    };
    let answer = call.run(&id, None, Command::CreateWorkspace(changes)).await?;
    respond(StatusCode::CREATED, &answer)
}

/// An id that the server makes: `ws_` and a UUID of version 7.
fn fresh_id(now: Timestamp) -> Result<WorkspaceId, Problem> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| refusal::internal(&error))?;
    let random = u128::from_be_bytes(random);
    let id = Id::v7(now.millis(), (random >> 64) as u16, random as u64);
    let hex = format!("{:032x}", u128::from_be_bytes(id.to_bytes()));
    let text = format!("ws_{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    WorkspaceId::new(text).map_err(|error| refusal::internal(&error))
}

/// `GET /v1/workspaces`.
async fn list(call: Call) -> Result<Response, Problem> {
    let page = call.query().page()?;
    let listing = call.app.engine().workspaces(filter(&call)?, page).await?;
    let rows = ListJson::of(&listing, WorkspaceJson::listed);
    Ok(json(StatusCode::OK, WORKSPACE_BYTES * listing.data.len() + 64, &rows))
}

fn filter(call: &Call) -> Result<WorkspaceFilter, Problem> {
    const NAME_RULE: &str = "must be a line of 1 to 255 characters with a letter or a digit";
    const FLAG_RULE: &str = "must be true or false";
    let query = call.query();
    let flag = |text: &str| text.parse::<bool>().ok();
    Ok(WorkspaceFilter {
        name: query.value("name", NameQuery::new, NAME_RULE)?,
        suspended: query.value("suspended", flag, FLAG_RULE)?,
        debt: query.value("debt", flag, FLAG_RULE)?,
        unused_since: query.time("unused_since")?,
    })
}

/// `GET /v1/workspaces/{workspace}`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let profile = existing(&workspace, call.app.engine().workspace(&workspace).await?)?;
    Ok(json(StatusCode::OK, WORKSPACE_BYTES, &WorkspaceJson::of(&profile)))
}

/// `PATCH /v1/workspaces/{workspace}`.
async fn change(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let WorkspaceChangesIn { name, timezone, metadata, suspended } = call.json().await?;
    if suspended.is_some() && !matches!(call.caller, Caller::Platform) {
        let detail = "Only the platform may suspend a workspace or end its suspension.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let changes = WorkspaceChanges {
        name: name.map(|DisplayName(text)| text),
        timezone: timezone.map(|Timezone(text)| text),
        metadata: metadata.map(|metadata| metadata.map(|Metadata(text)| text)),
        suspended,
    };
    let answer = call.run(&workspace, None, Command::UpdateWorkspace(changes)).await?;
    respond(StatusCode::OK, &answer)
}

fn respond(status: StatusCode, answer: &Answer) -> Result<Response, Problem> {
    match &answer.output {
        Output::Workspace(profile) => Ok(json(status, WORKSPACE_BYTES, &WorkspaceJson::of(profile))),
        _ => Err(wrong_output("a workspace")),
    }
}

/// `GET /v1/workspaces/{workspace}/balance`.
async fn balance(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    // The balance at a future time is not known: such a request gets the current balance.
    let at = call.query().time("at")?.filter(|at| *at < call.now);
    let balance = existing(&workspace, call.app.engine().balance(&workspace, at).await?)?;
    let Balance { available, pending, debt } = balance.balance;
    let balance = BalanceJson {
        workspace: workspace.as_str(),
        available: available.get(),
        available_usd: Usd(available),
        pending: pending.get(),
        pending_usd: Usd(pending),
        debt: debt.get(),
        debt_usd: Usd(debt),
        as_of: Time(at.unwrap_or(call.now)),
    };
    Ok(json(StatusCode::OK, 320, &balance))
}
