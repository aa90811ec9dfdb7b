//! Charges: the deduction before an operation runs (P3), the list of them, and all that is known of one.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollkeeper_engine::{Answer, ChargeFilter, ChargeRecord, Output, Reads, RefundRecord};
use tollkeeper_ledger::{
    Balance, Charge, ChargeDetails, ChargeId, ChargeRequest, ChargeState, Command, Draw, GrantId, MemberId,
    Micros, OperationId, Spender, Status, WorkerId, WorkspaceId,
};
use utoipa::ToSchema;

use super::ListJson;
use crate::access::Caller;
use crate::http::call::{Call, answer, mark_replayed};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::metadata::Metadata;
use crate::wire::read::{Line, Word, maybe_word, word};
use crate::wire::write::{AvailableJson, Text, Time, Usd, metadata};

/// About the size of one charge in JSON.
pub const CHARGE_BYTES: usize = 768;

/// The query parameters of the list.
pub const FILTERS: &[&str] =
    &["operation", "worker", "member", "status", "reference", "from", "to", "limit", "cursor"];

/// One run of an operation, to be paid before it runs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChargeRequest)]
pub struct ChargeIn {
    /// What will run; a name of the price book.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$", example = "virtual_try_on")]
    pub(super) operation: OperationId,
    /// How many units.
    #[serde(default = "one")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000, default = 1)]
    pub(super) quantity: i64,
    /// Which AI worker runs it.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    pub(super) worker: Option<WorkerId>,
    /// For which person.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    pub(super) member: Option<MemberId>,
    /// Whether the charge stays pending until its outcome is reported. Follows from `timeout_seconds` when absent.
    #[schema(default = false)]
    pub(super) await_outcome: Option<bool>,
    /// For how long an outcome is awaited; then the charge is refunded.
    #[schema(minimum = 1, maximum = 604_800)]
    pub(super) timeout_seconds: Option<u32>,
    /// The platform's own name for the run.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"\S")]
    pub(super) reference: Option<Line>,
    /// A JSON object of the platform's own, at most 4,096 bytes.
    #[schema(value_type = Option<Object>)]
    pub(super) metadata: Option<Metadata>,
}

fn one() -> i64 {
    1
}

impl ChargeIn {
    /// What the ledger is asked. What is charged through a tied key bears its names.
    pub fn request(self, caller: &Caller) -> Result<ChargeRequest, Problem> {
        let ChargeIn {
            operation,
            quantity,
            worker,
            member,
            await_outcome,
            timeout_seconds,
            reference,
            metadata,
        } = self;
        let await_outcome = awaits(await_outcome, timeout_seconds)?;
        let key = caller.key();
        let worker = worker.or_else(|| key.and_then(|key| key.worker.clone()));
        let member = member.or_else(|| key.and_then(|key| key.member.clone()));
        Ok(ChargeRequest {
            operation,
            quantity,
            worker,
            member,
            await_outcome,
            timeout_seconds,
            reference: reference.map(|Line(text)| text),
            metadata: metadata.map(|Metadata(text)| text),
        })
    }
}

/// A time to wait says that there is something to wait for, unless the opposite is said.
pub fn awaits(await_outcome: Option<bool>, timeout_seconds: Option<u32>) -> Result<bool, Problem> {
    match (await_outcome, timeout_seconds) {
        (Some(false), Some(_)) => {
            Err(Problem::field("timeout_seconds", "cannot be given with `await_outcome` false"))
        }
        (said, seconds) => Ok(said.unwrap_or(seconds.is_some())),
    }
}

/// A charge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Charge)]
pub struct ChargeJson<'a> {
    #[schema(value_type = String, example = "ch_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<ChargeId>,
    workspace: &'a str,
    operation: &'a str,
    /// Units paid for.
    quantity: i64,
    /// What one unit cost, in micro-units.
    unit_price: i64,
    /// What was deducted, in micro-units: unit price × quantity.
    amount: i64,
    #[schema(value_type = String, example = "0.20")]
    amount_usd: Usd,
    /// `pending`, `settled` or `refunded` (in full).
    status: &'static str,
    /// `succeeded`, `failed_system`, `failed_user`, `timed_out` or `reversed`; null while nobody said.
    #[schema(required)]
    outcome: Option<&'static str>,
    /// What went back so far, in micro-units.
    refunded_amount: i64,
    #[schema(value_type = String, example = "0.00")]
    refunded_amount_usd: Usd,
    /// The version of the price book that priced it.
    price_version: u32,
    #[schema(required)]
    worker: Option<&'a str>,
    #[schema(required)]
    member: Option<&'a str>,
    #[schema(required)]
    reference: Option<&'a str>,
    #[schema(value_type = Option<Object>, required)]
    metadata: Option<&'a RawValue>,
    /// Until when an outcome is awaited, while it is pending.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    deadline: Option<Time>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// The balance after what was answered; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<AvailableJson>,
    /// From which grants it drew; only told of one charge alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    draws: Option<Vec<DrawJson>>,
    /// What went back, oldest first; only told of one charge alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunds: Option<Vec<ChargeRefundJson<'a>>>,
}

impl<'a> ChargeJson<'a> {
    /// A charge as a list shows it, or with the balance after it.
    pub fn of(workspace: &'a str, charge: &'a Charge, balance: Option<Balance>) -> ChargeJson<'a> {
        let Charge { details, opening_entry: _, created_at, state } = charge;
        // The standing's quantity is what was used; what was paid for is the opening's.
        let ChargeState { status, outcome, refunded, quantity: _, deadline } = state;
        let ChargeDetails { id, spender, quantity, unit_price, amount, price_version, .. } = &**details;
        let Spender { operation, worker, member, api_key: _ } = spender;
        ChargeJson {
            id: Text(*id),
            workspace,
            operation: operation.as_str(),
            quantity: *quantity,
            unit_price: unit_price.get(),
            amount: amount.get(),
            amount_usd: Usd(*amount),
            status: status.as_str(),
            outcome: outcome.map(|outcome| outcome.as_str()),
            refunded_amount: refunded.get(),
            refunded_amount_usd: Usd(*refunded),
            price_version: *price_version,
            worker: worker.as_ref().map(WorkerId::as_str),
            member: member.as_ref().map(MemberId::as_str),
            reference: details.reference.as_deref(),
            metadata: metadata(details.metadata.as_deref()),
            deadline: deadline.map(Time),
            created_at: Time(*created_at),
            balance: balance.map(AvailableJson::from),
            draws: None,
            refunds: None,
        }
    }
}

/// How much of a charge came from which grant and has not gone back, or how much of a refund went back to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Draw)]
pub struct DrawJson {
    #[schema(value_type = String)]
    grant: Text<GrantId>,
    /// Micro-units.
    amount: i64,
    #[schema(value_type = String)]
    amount_usd: Usd,
}

/// The grants that a charge drew from, by the number under which its draws and refunds name them.
type Names = Vec<(u64, GrantId)>;

impl DrawJson {
    fn of(names: &Names, draw: Draw) -> Option<DrawJson> {
        let (_, grant) = names.iter().find(|(n, _)| *n == draw.grant)?;
        Some(DrawJson { grant: Text(*grant), amount: draw.amount.get(), amount_usd: Usd(draw.amount) })
    }

    /// What is still drawn, so that it sums to the charge less its refunds (i05).
    fn left(names: &Names, details: &ChargeDetails, refunds: &[RefundRecord]) -> Vec<DrawJson> {
        let left = |draw: &Draw| {
            let gives = refunds.iter().flat_map(|record| &record.refund.returns);
            let given: Micros = gives.filter(|give| give.grant == draw.grant).map(|give| give.amount).sum();
            Draw { amount: draw.amount - given, ..*draw }
        };
        let draws = details.draws.iter().map(left).filter(|draw| draw.amount > Micros::ZERO);
        draws.filter_map(|draw| DrawJson::of(names, draw)).collect()
    }
}

/// What went back of a charge at once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct ChargeRefundJson<'a> {
    /// Micro-units.
    amount: i64,
    #[schema(value_type = String)]
    amount_usd: Usd,
    /// `failed_system`, `timed_out`, `partly_used` or `requested`.
    reason: &'static str,
    /// Why, for people.
    #[schema(required)]
    detail: Option<&'a str>,
    /// To which grants it went back.
    gives: Vec<DrawJson>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl<'a> ChargeRefundJson<'a> {
    fn of(names: &Names, RefundRecord { at, refund }: &'a RefundRecord) -> ChargeRefundJson<'a> {
        ChargeRefundJson {
            amount: refund.amount.get(),
            amount_usd: Usd(refund.amount),
            reason: refund.reason.as_str(),
            detail: refund.detail.as_deref(),
            gives: refund.returns.iter().filter_map(|give| DrawJson::of(names, *give)).collect(),
            created_at: Time(*at),
        }
    }
}

/// `POST /v1/workspaces/{workspace}/charges`. Sheds instead of waiting when the engine has no room.
pub async fn open(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let key = call.key()?;
    let request = call.json::<ChargeIn>().await?.request(&call.caller)?;
    let submission = call.submission(workspace.clone(), Some(key), Command::Charge(request));
    match call.app.engine().run_or_shed(submission, call.now).await {
        Ok(Ok(answer)) => told(StatusCode::CREATED, &workspace, &answer),
        Ok(Err(refused)) => Err(refusal::refused(&call.app, &workspace, refused)),
        Err(error) => Err(refusal::failed(&error)),
    }
}

/// The answer to every request about one charge.
pub fn told(status: StatusCode, workspace: &WorkspaceId, answered: &Answer) -> Result<Response, Problem> {
    let Output::Charge(charge, balance) = &answered.output else {
        return Err(refusal::internal(&"the engine did not answer with a charge"));
    };
    let json = ChargeJson::of(workspace.as_str(), charge, Some(*balance));
    let mut response = answer(status, CHARGE_BYTES, &json);
    mark_replayed(&mut response, answered.replayed);
    Ok(response)
}

/// `GET /v1/workspaces/{workspace}/charges`.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let (filter, page) = (filter(&call)?, call.query.page()?);
    let listing = call.app.engine().charges(&workspace, filter, page).await;
    let listing = listing.map_err(|error| refusal::failed(&error))?;
    let listing = listing.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))?;
    let json = ListJson::of(&listing, |charge| ChargeJson::of(workspace.as_str(), charge, None));
    Ok(answer(StatusCode::OK, CHARGE_BYTES * listing.data.len() + 64, &json))
}

fn filter(call: &Call) -> Result<ChargeFilter, Problem> {
    const NAME: &str = "must be 1 to 64 of A-Z a-z 0-9 . _ : @ -";
    let query = &call.query;
    Ok(ChargeFilter {
        operation: query.value("operation", |text| OperationId::new(text).ok(), NAME)?,
        worker: query.value("worker", |text| WorkerId::new(text).ok(), NAME)?,
        member: query.value("member", |text| MemberId::new(text).ok(), NAME)?,
        status: query.value("status", status, "must be pending, settled or refunded")?,
        reference: query.value("reference", line, "must be a text of 1 to 255 bytes")?,
        from: query.time("from")?,
        to: query.time("to")?,
    })
}

fn line(text: &str) -> Option<Box<str>> {
    Line::read(text).ok().map(|Line(text)| text)
}

fn status(text: &str) -> Option<Status> {
    [Status::Pending, Status::Settled, Status::Refunded].into_iter().find(|status| status.as_str() == text)
}

/// `GET /v1/workspaces/{workspace}/charges/{charge}`.
pub async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = call.charge(&workspace).await?;
    let record = call.app.engine().charge(&workspace, id).await.map_err(|error| refusal::failed(&error))?;
    let Some(record) = record else {
        return Err(call.missing(&workspace, refusal::charge_not_found()).await);
    };
    let ChargeRecord { charge, draws, refunds, balance } = &record;
    let numbers = charge.details.draws.iter().map(|draw| draw.grant);
    let names: Names = numbers.zip(draws.iter().map(|(grant, _)| *grant)).collect();
    let json = ChargeJson {
        draws: Some(DrawJson::left(&names, &charge.details, refunds)),
        refunds: Some(refunds.iter().map(|record| ChargeRefundJson::of(&names, record)).collect()),
        ..ChargeJson::of(workspace.as_str(), charge, Some(*balance))
    };
    Ok(answer(StatusCode::OK, 2 * CHARGE_BYTES, &json))
}
