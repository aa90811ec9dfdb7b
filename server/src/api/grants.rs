//! Grants by the platform: presents, corrections, and taking back what is unspent of them. Credit that is bought or
//! allocated by a plan does not come this way.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::{Answer, GrantRecord, Output, Reads};
use tollkeeper_ledger::{Balance, Command, Grant, GrantId, GrantRequest, Source, WorkspaceId};
use utoipa::ToSchema;

use super::ListJson;
use crate::http::call::{Call, answer, mark_replayed};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::read::{Dollars, Line, Word, amount, given, given_word, maybe_word, word};
use crate::wire::write::{AvailableJson, Text, Time, Usd};

/// About the size of one grant in JSON.
const GRANT_BYTES: usize = 448;

/// Credit to bring in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GrantRequest)]
pub struct GrantIn {
    /// `promotional` or `adjustment`.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(promotional|adjustment)$", example = "promotional")]
    source: GivenSource,
    /// Micro-units, more than zero.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    amount: Option<i64>,
    /// The same in dollars; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$", example = "12.50")]
    amount_usd: Option<Dollars>,
    /// Why, for people.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"\S")]
    reason: Line,
}

/// A source that needs no payment.
#[derive(Debug)]
struct GivenSource(Source);

impl Word for GivenSource {
    const EXPECTED: &'static str = "\"promotional\" or \"adjustment\"";
    fn read(text: &str) -> Result<Self, String> {
        [Source::Promotional, Source::Adjustment]
            .into_iter()
            .find(|source| source.as_str() == text)
            .map(GivenSource)
            .ok_or_else(|| format!("this is not {}", Self::EXPECTED))
    }
}

/// Why a grant is taken back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VoidRequest)]
pub struct VoidIn {
    /// For people.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"\S")]
    reason: Option<Line>,
}

/// A lot of credit that came in, and what remains of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantJson<'a> {
    #[schema(value_type = String, example = "gr_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<GrantId>,
    workspace: &'a str,
    /// `promotional`, `adjustment`, `subscription` or `top_up`.
    source: &'static str,
    /// What it brought, in micro-units.
    amount: i64,
    #[schema(value_type = String)]
    amount_usd: Usd,
    /// What is unspent of it, in micro-units.
    remaining: i64,
    #[schema(value_type = String)]
    remaining_usd: Usd,
    #[schema(required)]
    reason: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// The balance after what was answered; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<AvailableJson>,
}

impl<'a> GrantJson<'a> {
    fn of(workspace: &'a str, record: &'a GrantRecord, balance: Option<Balance>) -> GrantJson<'a> {
        // Origin and price belong to credit that was paid for, which has a face of its own.
        let GrantRecord { grant, reason, origin: _, paid_cents: _, created_at } = record;
        let Grant { id, n: _, source, amount, remaining } = grant;
        GrantJson {
            id: Text(*id),
            workspace,
            source: source.as_str(),
            amount: amount.get(),
            amount_usd: Usd(*amount),
            remaining: remaining.get(),
            remaining_usd: Usd(*remaining),
            reason: reason.as_deref(),
            created_at: Time(*created_at),
            balance: balance.map(AvailableJson::from),
        }
    }
}

/// `POST /v1/workspaces/{workspace}/grants`.
pub async fn create(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let key = call.key()?;
    let GrantIn { source: GivenSource(source), amount: micros, amount_usd, reason: Line(reason) } =
        call.json().await?;
    let amount = amount(["amount", "amount_usd"], micros, amount_usd)?;
    let request = GrantRequest { source, amount, reason: Some(reason), origin: None, paid_cents: 0 };
    let answered = call.run(&workspace, Some(key), Command::Grant(request)).await?;
    told(StatusCode::CREATED, &workspace, &answered)
}

/// `POST /v1/workspaces/{workspace}/grants/{grant}/void`. The body may be left out.
pub async fn void(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let grant = call.grant(&workspace).await?;
    let key = call.key()?;
    let VoidIn { reason } = call.json_if_any().await?;
    let command = Command::VoidGrant { grant, reason: reason.map(|Line(text)| text) };
    let answered = call.run(&workspace, Some(key), command).await?;
    told(StatusCode::OK, &workspace, &answered)
}

fn told(status: StatusCode, workspace: &WorkspaceId, answered: &Answer) -> Result<Response, Problem> {
    let Output::Grant(record, balance) = &answered.output else {
        return Err(refusal::internal(&"the engine did not answer with a grant"));
    };
    let json = GrantJson::of(workspace.as_str(), record, Some(*balance));
    let mut response = answer(status, GRANT_BYTES, &json);
    mark_replayed(&mut response, answered.replayed);
    Ok(response)
}

/// `GET /v1/workspaces/{workspace}/grants`.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let listing = call.app.engine().grants(&workspace, call.query.page()?).await;
    let listing = listing.map_err(|error| refusal::failed(&error))?;
    let listing = listing.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))?;
    let json = ListJson::of(&listing, |record| GrantJson::of(workspace.as_str(), record, None));
    Ok(answer(StatusCode::OK, GRANT_BYTES * listing.data.len() + 64, &json))
}
