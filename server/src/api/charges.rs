//! Charges: the deduction before an operation runs (P3), the list of charges, and one with its
//! history.
//!
//! What becomes of a charge is in `outcomes`; many charges in one request are in `batch`.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollkeeper_engine::{Answer, ChargeFilter, ChargeRecord, Output, Reads, RefundRecord};
use tollkeeper_ledger::{
    Balance, Charge, ChargeDetails, ChargeId, ChargeRequest, ChargeState, Command, GrantId, MemberId, Micros,
    OperationId, Quantity, Scope, Spender, Status, WorkerId, WorkspaceId,
};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::access::Rule::Workspace;
use crate::http::call::{Call, existing, json, mark_replayed, wrong_output};
use crate::http::notices::Refused;
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::{Route, list_of, of};
use crate::http::router::Router;
use crate::reports::draws::{GrantIds, drawn_parts};
use crate::wire::ReadError;
use crate::wire::metadata::Metadata;
use crate::wire::page::ListJson;
use crate::wire::quantity::{self, MeterJson, PriceFields, QuantitiesIn, QuantitiesJson};
use crate::wire::read::{ID_RULE, ShortText, Word, given, maybe_word, word};
use crate::wire::write::{AvailableJson, Text, Time, Usd, metadata};

const PATH: &str = "/v1/workspaces/{workspace}/charges";

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        PATH,
        Workspace(&[Scope::Charge]),
        "Charge for an operation",
        |call| Box::pin(open(call)),
    )
    .description(
        "Deducts the price of the quantity before the operation runs: the whole amount or nothing. An operation with \
         meters takes `quantities` in place of `quantity`. Run the operation only after a 201. With `await_outcome` or `timeout_seconds` the charge is pending until its outcome is reported; if \
         the deadline passes first, it is refunded. If the request is repeated, look at `Tollkeeper-Charge-Status`: do \
         not run the operation for a charge that was refunded meanwhile.",
    )
    .rechecked_at_decision()
    .charge_status()
    .request(
        of::<ChargeIn>,
        r#"{"operation": "virtual_try_on", "worker": "w-7", "member": "ada", "timeout_seconds": 900,
            "reference": "run 17", "metadata": {"order": 4711}}"#,
    )
    .response(201, of::<ChargeJson>, OPENED)
    .problems(&[
        Code::WorkspaceSuspended,
        Code::DebtOutstanding,
        Code::OperationNotFound,
        Code::LimitExceeded,
        Code::InsufficientCredits,
    ]),
    Route::new(
        Method::GET,
        PATH,
        Workspace(&[Scope::Read]),
        "List charges",
        |call| Box::pin(list(call)),
    )
    .description(
        "Lists the charges of a workspace, newest first. All filters hold at once. A page may have fewer rows than \
         `limit` although `next_cursor` is set.",
    )
    .parameters(&["operation", "worker", "member", "status", "reference", "from", "to", "limit", "cursor"])
    .response(200, list_of::<ChargeJson>, LISTED),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/charges/{charge}",
        Workspace(&[Scope::Read]),
        "Get a charge",
        |call| Box::pin(get(call)),
    )
    .description("Returns a charge with its draws from grants and its refunds.")
    .response(200, of::<ChargeJson>, IN_FULL),
];

/// A pending charge, as the responses to requests about one charge have it.
const OPENED: &str = r#"{"id": "ch_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "operation": "virtual_try_on", "quantity": 1, "unit_price": 20000, "amount": 20000, "amount_usd": "0.20",
    "status": "pending", "outcome": null, "refunded_amount": 0, "refunded_amount_usd": "0.00",
    "price_version": 1, "worker": "w-7", "member": "ada", "reference": "run 17", "metadata": {"order": 4711},
    "deadline": "2026-11-23T15:19:05.678Z", "created_at": "2026-11-23T15:04:05.678Z",
    "balance": {"available": 1230000, "available_usd": "12.30"}}"#;

/// A charge whose operation succeeded.
pub const SETTLED: &str = r#"{"id": "ch_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "operation": "virtual_try_on", "quantity": 1, "unit_price": 20000, "amount": 20000, "amount_usd": "0.20",
    "status": "settled", "outcome": "succeeded", "refunded_amount": 0, "refunded_amount_usd": "0.00",
    "price_version": 1, "worker": "w-7", "member": "ada", "reference": "run 17", "metadata": {"order": 4711},
    "deadline": null, "created_at": "2026-11-23T15:04:05.678Z",
    "balance": {"available": 1230000, "available_usd": "12.30"}}"#;

/// A pending charge after a heartbeat.
pub const EXTENDED: &str = OPENED;

/// A charge of which a part was refunded.
pub const REFUNDED: &str = r#"{"id": "ch_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "operation": "virtual_try_on", "quantity": 1, "unit_price": 20000, "amount": 20000, "amount_usd": "0.20",
    "status": "settled", "outcome": "succeeded", "refunded_amount": 5000, "refunded_amount_usd": "0.05",
    "price_version": 1, "worker": "w-7", "member": "ada", "reference": "run 17", "metadata": {"order": 4711},
    "deadline": null, "created_at": "2026-11-23T15:04:05.678Z",
    "balance": {"available": 1235000, "available_usd": "12.35"}}"#;

/// A row of the list.
const LISTED: &str = r#"{"id": "ch_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "operation": "virtual_try_on", "quantity": 1, "unit_price": 20000, "amount": 20000, "amount_usd": "0.20",
    "status": "settled", "outcome": "succeeded", "refunded_amount": 0, "refunded_amount_usd": "0.00",
    "price_version": 1, "worker": "w-7", "member": "ada", "reference": "run 17", "metadata": {"order": 4711},
    "deadline": null, "created_at": "2026-11-23T15:04:05.678Z"}"#;

/// A charge with its draws and refunds.
const IN_FULL: &str = r#"{"id": "ch_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "operation": "virtual_try_on", "quantity": 1, "unit_price": 20000, "amount": 20000, "amount_usd": "0.20",
    "status": "settled", "outcome": "succeeded", "refunded_amount": 5000, "refunded_amount_usd": "0.05",
    "price_version": 1, "worker": "w-7", "member": "ada", "reference": "run 17", "metadata": {"order": 4711},
    "deadline": null, "created_at": "2026-11-23T15:04:05.678Z",
    "balance": {"available": 1235000, "available_usd": "12.35"},
    "draws": [{"grant": "gr_01991234-5678-7abc-bfff-0123456789ab", "amount": 15000, "amount_usd": "0.15"}],
    "refunds": [{"amount": 5000, "amount_usd": "0.05", "reason": "requested", "detail": "The picture was blurred.",
        "gives": [{"grant": "gr_01991234-5678-7abc-bfff-0123456789ab", "amount": 5000, "amount_usd": "0.05"}],
        "created_at": "2026-11-24T09:30:00.000Z"}]}"#;

/// About the size of one charge in JSON.
pub const CHARGE_BYTES: usize = 768;

/// One run of an operation, which is charged before it runs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChargeRequest)]
pub struct ChargeIn {
    /// The id of the operation in the price book.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$", example = "virtual_try_on")]
    pub(super) operation: OperationId,
    /// The number of units, of an operation without meters; 1 if it is absent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 1_000_000_000, default = 1)]
    pub(super) quantity: Option<i64>,
    /// The units of each meter, of an operation with meters: an object of meters and numbers.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = std::collections::BTreeMap<String, i64>, required = false)]
    pub(super) quantities: Option<QuantitiesIn>,
    /// The id of the AI worker that runs the operation; your product chooses it.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    pub(super) worker: Option<WorkerId>,
    /// The id of the member for whom the operation runs.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    pub(super) member: Option<MemberId>,
    /// Whether the charge is pending until its outcome is reported. If it is absent: true if
    /// `timeout_seconds` is given or the operation has a timeout in the price book.
    #[schema(default = false)]
    pub(super) await_outcome: Option<bool>,
    /// True: only the platform, or a key with the scope `settle`, reports the outcome of this
    /// charge, and the charge awaits one.
    #[serde(default)]
    #[schema(default = false)]
    pub(super) outcome_by_platform: bool,
    /// The seconds until the deadline. If no outcome is reported by then, the charge is refunded.
    #[schema(minimum = 1, maximum = 604_800)]
    pub(super) timeout_seconds: Option<u32>,
    /// Your product's name for the run, 1–255 characters. The list can be filtered by it. It stays
    /// in the journal for ever, so it is not for personal data.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"\S")]
    pub(super) reference: Option<ShortText>,
    /// A JSON object that your product chooses, at most 4,096 bytes. It stays in the journal for
    /// ever, so it is not for personal data.
    #[schema(value_type = Option<Object>)]
    pub(super) metadata: Option<Metadata>,
}

impl ChargeIn {
    /// The request to the ledger. A charge with a tied key is made for the member and by the worker
    /// of the key.
    ///
    /// # Errors
    /// The fields contradict each other.
    pub fn request(self, caller: &Caller) -> Result<ChargeRequest, ReadError> {
        let ChargeIn {
            operation,
            quantity,
            quantities,
            worker,
            member,
            await_outcome,
            outcome_by_platform,
            timeout_seconds,
            reference,
            metadata,
        } = self;
        let quantity = quantity::quantity(quantity, quantities)?.unwrap_or(Quantity::Units(1));
        let await_outcome = awaits(await_outcome, outcome_by_platform, timeout_seconds)?;
        let key = caller.api_key();
        let worker = worker.or_else(|| key.and_then(|key| key.worker.clone()));
        let member = member.or_else(|| key.and_then(|key| key.member.clone()));
        Ok(ChargeRequest {
            operation,
            quantity,
            worker,
            member,
            await_outcome,
            outcome_by_platform,
            timeout_seconds,
            reference: reference.map(|ShortText(text)| text),
            metadata: metadata.map(|Metadata(text)| text),
        })
    }
}

/// Whether the charge awaits an outcome: as requested, else if a timeout is given or the outcome is
/// left to the platform.
fn awaits(
    await_outcome: Option<bool>,
    by_platform: bool,
    timeout_seconds: Option<u32>,
) -> Result<bool, ReadError> {
    const NOT_AWAITED: &str = "cannot be given if `await_outcome` is false";
    match await_outcome {
        Some(false) if timeout_seconds.is_some() => Err(ReadError::field("timeout_seconds", NOT_AWAITED)),
        Some(false) if by_platform => Err(ReadError::field("outcome_by_platform", NOT_AWAITED)),
        requested => Ok(requested.unwrap_or(by_platform || timeout_seconds.is_some())),
    }
}

/// A charge: the deduction for one run of an operation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Charge)]
pub struct ChargeJson<'a> {
    /// The id of the charge.
    #[schema(value_type = String, example = "ch_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<ChargeId>,
    /// The id of the workspace that was charged.
    workspace: &'a str,
    /// The id of the operation.
    operation: &'a str,
    /// The number of units that were charged; of all meters together.
    quantity: i64,
    /// The units of each meter that were charged, if the operation has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, i64>>)]
    quantities: Option<QuantitiesJson<'a>>,
    /// The price of one unit, or of `per` units, in micro-units; null if the operation has meters.
    #[schema(required)]
    unit_price: Option<i64>,
    /// The number of units for which `unit_price` is, if it is not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    per: Option<u32>,
    /// The meters and their prices, if the operation has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    meters: Option<Vec<MeterJson<'a>>>,
    /// The amount that was deducted: the price of the quantity, rounded up, in micro-units.
    amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    amount_usd: Usd,
    /// `pending`, `settled`, or `refunded` (in full).
    status: &'static str,
    /// `succeeded`, `failed_system`, `failed_user`, `timed_out` or `reversed`; null if none was
    /// reported.
    #[schema(required)]
    outcome: Option<&'static str>,
    /// The amount that was refunded so far, in micro-units.
    refunded_amount: i64,
    /// `refunded_amount` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.00")]
    refunded_amount_usd: Usd,
    /// The version of the price book that priced the charge.
    price_version: u32,
    /// The id of the worker that runs the operation.
    #[schema(required)]
    worker: Option<&'a str>,
    /// The id of the member for whom the operation runs.
    #[schema(required)]
    member: Option<&'a str>,
    /// Your product's name for the run.
    #[schema(required)]
    reference: Option<&'a str>,
    /// Your product's JSON object.
    #[schema(value_type = Option<Object>, required)]
    metadata: Option<&'a RawValue>,
    /// When a pending charge is refunded if no outcome is reported; null if it is not pending.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    deadline: Option<Time>,
    /// When the charge was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// The balance after the request; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<AvailableJson>,
    /// The grants that the charge drew from, less its refunds; only present if one charge is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    draws: Option<Vec<DrawJson>>,
    /// The units of each meter that were used, if the charge was settled; only present if one
    /// charge is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, i64>>)]
    used_quantities: Option<QuantitiesJson<'a>>,
    /// The refunds, oldest first; only present if one charge is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunds: Option<Vec<ChargeRefundJson<'a>>>,
}

impl<'a> ChargeJson<'a> {
    /// A charge as a list shows it, or with the balance after the request.
    pub fn of(workspace: &'a str, charge: &'a Charge, balance: Option<Balance>) -> ChargeJson<'a> {
        let Charge { details, opening_entry: _, created_at, decided_at: _, state } = charge;
        // The state's quantity is what was used; the details have what was charged.
        let ChargeState { status, outcome, refunded, quantity: _, deadline, refunds: _ } = state;
        let ChargeDetails { id, spender, quantity, price, amount, price_version, .. } = &**details;
        let PriceFields { unit_price, per, meters } = PriceFields::of(price);
        let Spender { operation, worker, member, api_key: _ } = spender;
        ChargeJson {
            id: Text(*id),
            workspace,
            operation: operation.as_str(),
            quantity: quantity.total(),
            quantities: quantity.meters().map(QuantitiesJson),
            unit_price: unit_price.map(Micros::get),
            per,
            meters,
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
            used_quantities: None,
            refunds: None,
        }
    }
}

/// An amount and its grant: drawn by a charge and not refunded, or returned by a refund.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Draw)]
pub struct DrawJson {
    /// The id of the grant.
    #[schema(value_type = String, example = "gr_01991234-5678-7abc-bfff-0123456789ab")]
    grant: Text<GrantId>,
    /// The amount in micro-units.
    amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.15")]
    amount_usd: Usd,
}

impl DrawJson {
    fn of(grant: GrantId, amount: Micros) -> DrawJson {
        DrawJson { grant: Text(grant), amount: amount.get(), amount_usd: Usd(amount) }
    }

    /// The draws less the refunds, so that they sum to the charge less its refunds (i05).
    fn remaining(record: &ChargeRecord, grants: &GrantIds) -> Vec<DrawJson> {
        let parts = drawn_parts(record, grants).into_iter();
        let remaining = parts.map(|part| DrawJson::of(part.grant, part.drawn - part.returned));
        remaining.filter(|draw| draw.amount > 0).collect()
    }
}

/// One refund of a charge.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct ChargeRefundJson<'a> {
    /// The amount that was refunded, in micro-units.
    amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.05")]
    amount_usd: Usd,
    /// `failed_system`, `timed_out`, `partly_used` or `requested`.
    reason: &'static str,
    /// Why it was refunded, in words of the platform.
    #[schema(required)]
    detail: Option<&'a str>,
    /// The amounts that returned to grants.
    gives: Vec<DrawJson>,
    /// When it was refunded.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

impl<'a> ChargeRefundJson<'a> {
    fn of(grants: &GrantIds, RefundRecord { at, refund }: &'a RefundRecord) -> ChargeRefundJson<'a> {
        ChargeRefundJson {
            amount: refund.amount.get(),
            amount_usd: Usd(refund.amount),
            reason: refund.reason.as_str(),
            detail: refund.detail.as_deref(),
            gives: refund
                .returns
                .iter()
                .filter_map(|back| Some(DrawJson::of(grants.find(back)?, back.amount)))
                .collect(),
            created_at: Time(*at),
        }
    }
}

/// `POST /v1/workspaces/{workspace}/charges`.
async fn open(mut call: Call) -> Result<Response, Problem> {
    let (workspace, answer) = decide(&mut call).await?;
    respond_to_keyed(&call, StatusCode::CREATED, &workspace, &answer).await
}

/// A charge that was opened now.
#[derive(Clone, Debug)]
pub struct NewCharge {
    /// The workspace that was charged.
    pub workspace: WorkspaceId,
    /// The charge.
    pub charge: Charge,
    /// The balance after it.
    pub balance: Balance,
}

/// Opens a charge for a caller in this process, by the request that opens one over HTTP. A new
/// charge is returned as it is, and no JSON is made of it.
///
/// # Errors
/// The response in every other case: a refusal, or a charge that was there already.
pub async fn charge(router: &Router, request: Request) -> Result<NewCharge, Response> {
    router.answer_with(request, (Method::POST, PATH), open_in_process).await
}

async fn open_in_process(mut call: Call) -> Result<Result<NewCharge, Response>, Problem> {
    let (workspace, answer) = decide(&mut call).await?;
    match answer {
        Answer { output: Output::Charge(charge, balance), replayed: false, .. } => {
            Ok(Ok(NewCharge { workspace, charge, balance }))
        }
        answer => respond_to_keyed(&call, StatusCode::CREATED, &workspace, &answer).await.map(Err),
    }
}

/// Charges for the operation that a request names. If the engine's queue is full, the request is
/// shed (503).
async fn decide(call: &mut Call) -> Result<(WorkspaceId, Answer), Problem> {
    let workspace = call.workspace()?;
    let key = call.idempotency_key()?;
    let request = call.json::<ChargeIn>().await?.request(&call.caller)?;
    let operation = request.operation.clone();
    let submission = call.submission(workspace.clone(), Some(key), Command::Charge(request))?;
    let result = call.in_engine(1, call.app.engine().run_or_shed(submission, call.now)).await?;
    match result {
        Ok(answer) => Ok((workspace, answer)),
        Err(refused) => {
            let refused_once =
                Refused { workspace: &workspace, operation: &operation, refusal: &refused, count: 1 };
            call.after_refusal(refused_once).await;
            Err(call.refused(&workspace, refused))
        }
    }
}

/// The response to a request about one charge under an idempotency key. The first answer again
/// keeps the status that the charge had then, so a header says the present one.
pub async fn respond_to_keyed(
    call: &Call,
    status: StatusCode,
    workspace: &WorkspaceId,
    answer: &Answer,
) -> Result<Response, Problem> {
    let mut response = respond(status, workspace, answer)?;
    if answer.replayed
        && let Output::Charge(charge, _) = &answer.output
        && let Some(record) = call.app.engine().charge(workspace, charge.details.id).await?
    {
        let present = HeaderValue::from_static(record.charge.state.status.as_str());
        response.headers_mut().insert("tollkeeper-charge-status", present);
    }
    Ok(response)
}

/// The response to every request about one charge.
pub fn respond(status: StatusCode, workspace: &WorkspaceId, answer: &Answer) -> Result<Response, Problem> {
    let Output::Charge(charge, balance) = &answer.output else {
        return Err(wrong_output("a charge"));
    };
    let charge = ChargeJson::of(workspace.as_str(), charge, Some(*balance));
    let mut response = json(status, CHARGE_BYTES, &charge);
    mark_replayed(&mut response, answer.replayed);
    Ok(response)
}

/// `GET /v1/workspaces/{workspace}/charges`.
async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let (filter, page) = (filter(&call)?, call.query().page()?);
    let listing = call.app.engine().charges(&workspace, filter, page).await?;
    let listing = existing(&workspace, listing)?;
    let rows = ListJson::of(&listing, |charge| ChargeJson::of(workspace.as_str(), charge, None));
    Ok(json(StatusCode::OK, CHARGE_BYTES * listing.data.len() + 64, &rows))
}

fn filter(call: &Call) -> Result<ChargeFilter, Problem> {
    let query = call.query();
    Ok(ChargeFilter {
        operation: query.value("operation", |text| OperationId::new(text).ok(), ID_RULE)?,
        worker: query.value("worker", |text| WorkerId::new(text).ok(), ID_RULE)?,
        member: query.value("member", |text| MemberId::new(text).ok(), ID_RULE)?,
        status: query.value("status", status, "must be pending, settled or refunded")?,
        reference: query.value("reference", line, "must be a text of 1 to 255 characters")?,
        from: query.time("from")?,
        to: query.time("to")?,
    })
}

fn line(text: &str) -> Option<Box<str>> {
    ShortText::read(text).ok().map(|ShortText(text)| text)
}

fn status(text: &str) -> Option<Status> {
    [Status::Pending, Status::Settled, Status::Refunded].into_iter().find(|status| status.as_str() == text)
}

/// `GET /v1/workspaces/{workspace}/charges/{charge}`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = call.charge(&workspace).await?;
    let Some(record) = call.app.engine().charge(&workspace, id).await? else {
        return Err(call.missing(&workspace, refusal::charge_not_found()).await);
    };
    let grants = GrantIds::of(&record);
    let ChargeRecord { charge, draws: _, refunds, used, balance } = &record;
    let charge = ChargeJson {
        draws: Some(DrawJson::remaining(&record, &grants)),
        used_quantities: used.as_ref().map(QuantitiesJson),
        refunds: Some(refunds.iter().map(|record| ChargeRefundJson::of(&grants, record)).collect()),
        ..ChargeJson::of(workspace.as_str(), charge, Some(*balance))
    };
    Ok(json(StatusCode::OK, 2 * CHARGE_BYTES, &charge))
}
