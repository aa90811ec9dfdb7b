//! Grants by the platform: promotional credit, adjustments, and voiding them. Credit that is bought
//! or comes with a plan is not granted here.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::{Answer, GrantRecord, Output, Reads};
use tollkeeper_ledger::{Balance, Command, Grant, GrantId, GrantRequest, Scope, Source, WorkspaceId};
use utoipa::ToSchema;

use super::PAGE;
use crate::access::Rule::{Platform, Workspace};
use crate::http::call::{Call, existing, json, mark_replayed, wrong_output};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, list_of, of};
use crate::wire::page::ListJson;
use crate::wire::read::{AMOUNT, Dollars, ShortText, Word, amount, given, given_word, maybe_word, word};
use crate::wire::write::{AvailableJson, Text, Time, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/v1/workspaces/{workspace}/grants", Platform, "Grant credit", |call| {
        Box::pin(create(call))
    })
    .description("Adds promotional credit or an adjustment to a workspace. Granted credit does not expire.")
    .idempotency_key()
    .request(of::<GrantIn>, r#"{"source": "promotional", "amount_usd": "12.50", "reason": "Welcome credit"}"#)
    .response(
        201,
        of::<GrantJson>,
        r#"{"id": "gr_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme", "source": "promotional",
            "amount": 1250000, "amount_usd": "12.50", "remaining": 1250000, "remaining_usd": "12.50",
            "reason": "Welcome credit", "created_at": "2026-11-23T15:04:05.678Z", "voided_at": null,
            "balance": {"available": 1250000, "available_usd": "12.50"}}"#,
    ),
    Route::new(Method::GET, "/v1/workspaces/{workspace}/grants", Workspace(&[Scope::Read]), "List grants", |call| {
        Box::pin(list(call))
    })
    .description("Lists the grants of a workspace, newest first, with what remains of each.")
    .parameters(PAGE)
    .response(
        200,
        list_of::<GrantJson>,
        r#"{"id": "gr_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme", "source": "promotional",
            "amount": 1250000, "amount_usd": "12.50", "remaining": 1230000, "remaining_usd": "12.30",
            "reason": "Welcome credit", "created_at": "2026-11-23T15:04:05.678Z", "voided_at": null}"#,
    ),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/grants/{grant}/void",
        Platform,
        "Void a grant",
        |call| Box::pin(void(call)),
    )
    .description(
        "Takes back what is unspent of a grant. Charges that drew from it stay as they are. Credit of them that goes \
         back to the grant later is taken at once. A grant that is voided already stays as it is.",
    )
    .idempotency_key()
    .problems(&[Code::GrantWasPaid])
    .optional_request(of::<VoidIn>, r#"{"reason": "Granted by mistake"}"#)
    .response(
        200,
        of::<GrantJson>,
        r#"{"id": "gr_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme", "source": "promotional",
            "amount": 1250000, "amount_usd": "12.50", "remaining": 0, "remaining_usd": "0.00",
            "reason": "Welcome credit", "created_at": "2026-11-23T15:04:05.678Z", "voided_at": "2026-11-23T16:04:05.678Z",
            "balance": {"available": 0, "available_usd": "0.00"}}"#,
    ),
];

/// About the size of one grant in JSON.
const GRANT_BYTES: usize = 480;

/// The credit to be granted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GrantRequest)]
pub struct GrantIn {
    /// Why the credit is granted: `promotional` or `adjustment`.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(promotional|adjustment)$", example = "promotional")]
    source: GivenSource,
    /// The amount in micro-units, more than 0.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    amount: Option<i64>,
    /// The amount in dollars, as a decimal text; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$", example = "12.50")]
    amount_usd: Option<Dollars>,
    /// Why the credit is granted, for people, 1–255 characters. It stays in the journal for ever,
    /// so it is not for personal data.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"\S")]
    reason: ShortText,
}

/// A source of credit that needs no payment.
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

/// The reason to void a grant. The body may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VoidRequest)]
pub struct VoidIn {
    /// Why the grant is voided, for people, 1–255 characters. It is not for personal data.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"\S")]
    reason: Option<ShortText>,
}

/// Credit that came in at once, and what remains of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantJson<'a> {
    /// The id of the grant.
    #[schema(value_type = String, example = "gr_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<GrantId>,
    /// The id of the workspace.
    workspace: &'a str,
    /// `promotional`, `adjustment`, `subscription` or `top_up`.
    source: &'static str,
    /// The amount that was granted, in micro-units.
    amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.50")]
    amount_usd: Usd,
    /// The amount that is not spent, in micro-units.
    remaining: i64,
    /// `remaining` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.30")]
    remaining_usd: Usd,
    /// Why the credit was granted, for people.
    #[schema(required)]
    reason: Option<&'a str>,
    /// When the credit was granted.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When the platform voided the grant; null if it did not.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    voided_at: Option<Time>,
    /// The balance after the request; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<AvailableJson>,
}

impl<'a> GrantJson<'a> {
    fn of(workspace: &'a str, record: &'a GrantRecord, balance: Option<Balance>) -> GrantJson<'a> {
        // Origin and price belong to credit that was paid for; the platform's grants have neither.
        let GrantRecord { grant, reason, origin: _, paid_cents: _, created_at } = record;
        let Grant { id, n: _, source, amount, remaining, voided_at } = grant;
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
            voided_at: voided_at.map(Time),
            balance: balance.map(AvailableJson::from),
        }
    }
}

/// `POST /v1/workspaces/{workspace}/grants`.
async fn create(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let key = call.idempotency_key()?;
    let GrantIn { source: GivenSource(source), amount: micros, amount_usd, reason: ShortText(reason) } =
        call.json().await?;
    let amount = amount(AMOUNT, micros, amount_usd)?;
    let request = GrantRequest { source, amount, reason: Some(reason), origin: None, paid_cents: 0 };
    let answer = call.run(&workspace, Some(key), Command::Grant(request)).await?;
    respond(StatusCode::CREATED, &workspace, &answer)
}

/// `POST /v1/workspaces/{workspace}/grants/{grant}/void`. The body may be left out.
async fn void(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let grant = call.grant(&workspace).await?;
    let key = call.idempotency_key()?;
    let VoidIn { reason } = call.optional_json().await?;
    let command = Command::VoidGrant { grant, reason: reason.map(|ShortText(text)| text) };
    let answer = call.run(&workspace, Some(key), command).await?;
    respond(StatusCode::OK, &workspace, &answer)
}

fn respond(status: StatusCode, workspace: &WorkspaceId, answer: &Answer) -> Result<Response, Problem> {
    let Output::Grant(record, balance) = &answer.output else {
        return Err(wrong_output("a grant"));
    };
    let grant = GrantJson::of(workspace.as_str(), record, Some(*balance));
    let mut response = json(status, GRANT_BYTES, &grant);
    mark_replayed(&mut response, answer.replayed);
    Ok(response)
}

/// `GET /v1/workspaces/{workspace}/grants`.
async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let listing = call.app.engine().grants(&workspace, call.query().page()?).await?;
    let listing = existing(&workspace, listing)?;
    let rows = ListJson::of(&listing, |record| GrantJson::of(workspace.as_str(), record, None));
    Ok(json(StatusCode::OK, GRANT_BYTES * listing.data.len() + 64, &rows))
}
