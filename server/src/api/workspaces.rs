//! Workspaces: opening, describing and changing them, and what they have (P10).

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollkeeper_engine::{Answer, Output, Reads};
use tollkeeper_ledger::{Balance, Command, Id, Profile, Timestamp, WorkspaceChanges, WorkspaceId};
use utoipa::ToSchema;

use super::ListJson;
use crate::access::Caller;
use crate::http::call::{Call, answer};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::wire::metadata::Metadata;
use crate::wire::read::{DisplayName, Timezone, maybe_word, word};
use crate::wire::write::{Time, Usd, metadata};

/// About the size of one workspace in JSON.
const WORKSPACE_BYTES: usize = 256;

/// A workspace to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkspaceRequest)]
pub struct WorkspaceIn {
    /// Its name in every URL: 1–64 of `A-Z a-z 0-9 . _ : @ -`. Made by the server when absent.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    id: Option<WorkspaceId>,
    /// Its display name.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]+$", example = "Acme Shop")]
    name: DisplayName,
    /// An IANA time zone; UTC when absent.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Option<Timezone>,
    /// A JSON object of the platform's own, at most 4,096 bytes.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

/// What is to change of a workspace; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkspaceChanges)]
pub struct WorkspaceChangesIn {
    /// Its display name.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]+$")]
    name: Option<DisplayName>,
    /// An IANA time zone.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>)]
    timezone: Option<Timezone>,
    /// Replaces the whole object.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    /// Whether charges are refused; only for the platform to say.
    suspended: Option<bool>,
}

/// A workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workspace)]
pub struct WorkspaceJson<'a> {
    id: &'a str,
    name: &'a str,
    timezone: &'a str,
    #[schema(value_type = Option<Object>, required)]
    metadata: Option<&'a RawValue>,
    /// Whether charges are refused.
    suspended: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl<'a> WorkspaceJson<'a> {
    fn of(profile: &'a Profile) -> WorkspaceJson<'a> {
        let Profile { id, name, timezone, metadata: kept, suspended, created_at } = profile;
        WorkspaceJson {
            id: id.as_str(),
            name,
            timezone,
            metadata: metadata(kept.as_deref()),
            suspended: *suspended,
            created_at: Time(*created_at),
        }
    }
}

/// What a workspace has, or had.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Balance)]
pub struct BalanceJson<'a> {
    workspace: &'a str,
    /// Can be spent, in micro-units; never negative.
    #[schema(minimum = 0)]
    available: i64,
    #[schema(value_type = String, example = "12.50")]
    available_usd: Usd,
    /// Deducted for charges that await an outcome, in micro-units.
    pending: i64,
    #[schema(value_type = String)]
    pending_usd: Usd,
    /// Owed after a lost payment, in micro-units.
    debt: i64,
    #[schema(value_type = String)]
    debt_usd: Usd,
    /// The instant it is true of.
    #[schema(value_type = String, format = DateTime)]
    as_of: Time,
}

/// `POST /v1/workspaces`.
pub async fn create(mut call: Call) -> Result<Response, Problem> {
    let WorkspaceIn { id, name: DisplayName(name), timezone, metadata } = call.json().await?;
    let id = match id {
        Some(id) => id,
        None => fresh_id(call.now)?,
    };
    let changes = WorkspaceChanges {
        name: Some(name),
        timezone: timezone.map(|Timezone(text)| text),
        metadata: metadata.map(|Metadata(text)| text),
        suspended: None,
    };
    let answered = call.run(&id, None, Command::CreateWorkspace(changes)).await?;
    told(StatusCode::CREATED, &answered)
}

/// `ws_` and a UUID of version 7.
fn fresh_id(now: Timestamp) -> Result<WorkspaceId, Problem> {
    let mut chance = [0_u8; 16];
    getrandom::fill(&mut chance).map_err(|error| refusal::internal(&error))?;
    let chance = u128::from_be_bytes(chance);
    let id = Id::v7(now.millis(), (chance >> 64) as u16, chance as u64);
    let hex = format!("{:032x}", u128::from_be_bytes(id.to_bytes()));
    let text = format!("ws_{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    WorkspaceId::new(text).map_err(|error| refusal::internal(&error))
}

/// `GET /v1/workspaces`.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let listing = call.app.engine().workspaces(call.query.page()?).await;
    let listing = listing.map_err(|error| refusal::failed(&error))?;
    let json = ListJson::of(&listing, WorkspaceJson::of);
    Ok(answer(StatusCode::OK, WORKSPACE_BYTES * listing.data.len() + 64, &json))
}

/// `GET /v1/workspaces/{workspace}`.
pub async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let profile = call.app.engine().workspace(&workspace).await.map_err(|error| refusal::failed(&error))?;
    let profile = profile.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))?;
    Ok(answer(StatusCode::OK, WORKSPACE_BYTES, &WorkspaceJson::of(&profile)))
}

/// `PATCH /v1/workspaces/{workspace}`.
pub async fn change(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let WorkspaceChangesIn { name, timezone, metadata, suspended } = call.json().await?;
    if suspended.is_some() && !matches!(call.caller, Caller::Platform) {
        let detail = "Only the platform suspends a workspace, or ends that.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let changes = WorkspaceChanges {
        name: name.map(|DisplayName(text)| text),
        timezone: timezone.map(|Timezone(text)| text),
        metadata: metadata.map(|Metadata(text)| text),
        suspended,
    };
    let answered = call.run(&workspace, None, Command::UpdateWorkspace(changes)).await?;
    told(StatusCode::OK, &answered)
}

fn told(status: StatusCode, answered: &Answer) -> Result<Response, Problem> {
    match &answered.output {
        Output::Workspace(profile) => Ok(answer(status, WORKSPACE_BYTES, &WorkspaceJson::of(profile))),
        _ => Err(refusal::internal(&"the engine did not answer with a workspace")),
    }
}

/// `GET /v1/workspaces/{workspace}/balance`.
pub async fn balance(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    // What a later instant will be true of, nobody knows: it is answered as of now.
    let at = call.query.time("at")?.filter(|at| *at < call.now);
    let balance = call.app.engine().balance(&workspace, at).await;
    let balance = balance.map_err(|error| refusal::failed(&error))?;
    let balance = balance.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))?;
    let Balance { available, pending, debt } = balance.balance;
    let json = BalanceJson {
        workspace: workspace.as_str(),
        available: available.get(),
        available_usd: Usd(available),
        pending: pending.get(),
        pending_usd: Usd(pending),
        debt: debt.get(),
        debt_usd: Usd(debt),
        as_of: Time(at.unwrap_or(call.now)),
    };
    Ok(answer(StatusCode::OK, 320, &json))
}
