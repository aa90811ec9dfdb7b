//! Batches: up to 1,000 charges in one request, each decided alone and in order, each with its
//! result.
//!
//! A batch can be sent again whole: charges that were made get their first answer again, and
//! refused ones are decided again.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollkeeper_engine::{Output, Ran};
use tollkeeper_ledger::{
    Command, IdempotencyKey, MemberId, OperationId, Refusal, Scope, Submission, WorkerId, WorkspaceId, bounds,
};
use utoipa::ToSchema;

use super::charges::{CHARGE_BYTES, ChargeIn, ChargeJson};
use crate::access::Rule::AnyWorkspace;
use crate::access::large::Tenant;
use crate::http::call::{Call, json, wrong_output};
use crate::http::notices::{self, Refused};
use crate::http::problem::{Problem, ProblemJson};
use crate::http::refusal;
use crate::http::route::{Route, of};
use crate::observe::refusals::Cause;
use crate::wire::ReadError;
use crate::wire::metadata::Metadata;
use crate::wire::quantity::QuantitiesIn;
use crate::wire::read::{Bounded, Object, ShortText, given, maybe_word, read, word};

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::POST,
    "/v1/charges/batch",
    AnyWorkspace(&[Scope::Charge]),
    "Charge in a batch",
    |call| Box::pin(open(call)),
)
.description(
    "Makes up to 1,000 charges. Each item is decided alone and in order, and has its own idempotency key and its own \
     result. The status is 200 even if items are refused. The batch can be sent again whole.",
)
.rechecked_at_decision()
.request(
    of::<BatchIn>,
    r#"{"charges": [
        {"workspace": "acme", "idempotency_key": "order-4711", "operation": "support_message"},
        {"workspace": "acme", "idempotency_key": "order-4712", "operation": "smart_pricing", "quantity": 3}]}"#,
)
.response(
    200,
    of::<BatchJson>,
    r#"{"results": [{"status": 201, "charge": {"id": "ch_01991234-5678-7abc-bfff-0123456789ab",
        "workspace": "acme", "operation": "support_message", "quantity": 1, "unit_price": 500, "amount": 500,
        "amount_usd": "0.005", "status": "settled", "outcome": null, "refunded_amount": 0,
        "refunded_amount_usd": "0.00", "price_version": 1, "worker": null, "member": null, "reference": null,
        "metadata": null, "deadline": null, "created_at": "2026-11-23T15:04:05.678Z",
        "balance": {"available": 700, "available_usd": "0.007"}}},
        {"status": 402, "problem": {"type": "urn:tollkeeper:problem:insufficient_credits",
        "title": "Not enough credits", "status": 402,
        "detail": "This costs 0.03 USD and 0.007 USD are available; 0.023 USD are missing. Nothing was deducted.",
        "code": "insufficient_credits", "retryable": false, "required": 3000, "required_usd": "0.03",
        "available": 700, "available_usd": "0.007", "shortfall": 2300, "shortfall_usd": "0.023",
        "affordable_quantity": 0, "add_credits_url": "https://app.example.com/acme/billing"}}]}"#,
)];

/// The charges of a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchRequest)]
pub struct BatchIn {
    /// The charges, which are decided in this order.
    #[schema(value_type = Vec<BatchItemIn>, min_items = 1, max_items = 1_000)]
    charges: Bounded<Object<BatchItemIn>, { bounds::BATCH_MAX }>,
}

/// The same with unparsed items, for a batch with an item that cannot be read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBatchIn {
    charges: Bounded<Box<RawValue>, { bounds::BATCH_MAX }>,
}

/// A charge with its workspace and its idempotency key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchItem)]
pub struct BatchItemIn {
    /// The id of the workspace that is charged.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    workspace: WorkspaceId,
    /// The idempotency key of the item, 1–255 printable characters without a blank at either end.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = String, required, min_length = 1, max_length = 255, pattern = r"^[!-~]([ -~]*[!-~])?$")]
    idempotency_key: Option<IdempotencyKey>,
    /// The id of the operation in the price book.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    operation: OperationId,
    /// The number of units, of an operation without meters; 1 if it is absent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 1_000_000_000, default = 1)]
    quantity: Option<i64>,
    /// The units of each meter, of an operation with meters: an object of meters and numbers.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = std::collections::BTreeMap<String, i64>, required = false)]
    quantities: Option<QuantitiesIn>,
    /// The id of the AI worker that runs the operation.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    worker: Option<WorkerId>,
    /// The id of the member for whom the operation runs.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    member: Option<MemberId>,
    /// Whether the charge is pending until its outcome is reported.
    #[schema(default = false)]
    await_outcome: Option<bool>,
    /// True: only the platform, or a key with the scope `settle`, reports the outcome.
    #[serde(default)]
    #[schema(default = false)]
    outcome_by_platform: bool,
    /// The seconds until the deadline. If no outcome is reported by then, the charge is refunded.
    #[schema(minimum = 1, maximum = 604_800)]
    timeout_seconds: Option<u32>,
    /// Your product's name for the run, 1–255 characters.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"\S")]
    reference: Option<ShortText>,
    /// A JSON object that your product chooses, at most 4,096 bytes.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

/// The results of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Batch)]
pub struct BatchJson<'a> {
    /// One result per item, in the order of the items.
    results: Vec<ResultJson<'a>>,
}

/// The result of an item: what a single request would have been answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchResult)]
pub struct ResultJson<'a> {
    /// The status a single request would have had.
    status: u16,
    /// The charge, if the status is 201.
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<ChargeJson<'a>>,
    /// True if this is the first result again; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    /// The problem, if the status is not 201.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProblemJson>)]
    problem: Option<Problem>,
}

/// An item that was read and may be charged, by its workspace and operation; else the problem of
/// the item.
type Item = Result<(WorkspaceId, OperationId), Problem>;

/// `POST /v1/charges/batch`.
async fn open(mut call: Call) -> Result<Response, Problem> {
    let bytes = call.body().await?;
    let requests = call.work(bytes.len(), move || read_items(&bytes)).await?;
    let rate = call.app.access.count_items(&call.caller, requests.len())?;
    let mut items: Vec<Item> = Vec::with_capacity(requests.len());
    let mut submissions = Vec::with_capacity(requests.len());
    for request in requests {
        match request.and_then(|request| submission(&call, request)) {
            Ok((submission, operation)) => {
                items.push(Ok((submission.workspace.clone(), operation)));
                submissions.push(submission);
            }
            Err(problem) => items.push(Err(problem)),
        }
    }
    let decided = if submissions.is_empty() {
        // Without a command, the ledger does not check the caller again.
        call.app.access.recheck(&call.caller, call.now).await?;
        Vec::new()
    } else {
        let count = submissions.len();
        call.in_engine(count, call.app.engine().run_each(submissions, call.now)).await?
    };
    if let Some(error) = none_run(&decided) {
        return Err(error.into());
    }
    if let Some(problem) = ended_before(&call, &items, &decided) {
        return Err(problem);
    }
    after_refusals(&call, &items, &decided).await;
    let (large, tenant) = (Arc::clone(&call.app.large_bodies), Tenant::of(&call.caller));
    let capacity = items.len() * CHARGE_BYTES + 64;
    let mut response = large.work(&tenant, capacity, move || answer(&call, &items, &decided)).await?;
    if let Some(status) = rate {
        response.extensions_mut().insert(status);
    }
    Ok(response)
}

/// Does what follows from the refused charges of a batch, once for each workspace and cause.
async fn after_refusals(call: &Call, items: &[Item], decided: &[Ran]) {
    let mut refused: HashMap<(&WorkspaceId, Cause), Refused<'_>> = HashMap::new();
    for ((workspace, operation), result) in items.iter().flatten().zip(decided) {
        if let Ok(Err(refusal)) = result
            && let Some(cause) = notices::cause(refusal)
        {
            let first = Refused { workspace, operation, refusal, count: 0 };
            refused.entry((workspace, cause)).or_insert(first).add(operation, refusal);
        }
    }
    for refused in refused.into_values() {
        call.after_refusal(refused).await;
    }
}

/// The response with one result per item.
fn answer(call: &Call, items: &[Item], decided: &[Ran]) -> Result<Response, Problem> {
    let mut decided = decided.iter();
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        results.push(match item {
            Ok((workspace, _)) => {
                let next = decided.next();
                let result = next.ok_or_else(|| refusal::internal(&"the engine left out a result"))?;
                result_of(call, workspace, result)
            }
            Err(problem) => refused(call, problem.clone()),
        });
    }
    let capacity = results.len() * CHARGE_BYTES + 64;
    Ok(json(StatusCode::OK, capacity, &BatchJson { results }))
}

/// The error if no command of the batch was run: then it is the error of the whole request.
fn none_run(decided: &[Ran]) -> Option<tollkeeper_engine::Error> {
    if decided.iter().any(Result::is_ok) { None } else { decided.first()?.clone().err() }
}

/// The problem if the caller's key ended before anything was charged: then the whole request is
/// unauthenticated. If the key ends in the middle, each item has its own result.
fn ended_before(call: &Call, items: &[Item], decided: &[Ran]) -> Option<Problem> {
    let mut refusals = decided.iter().flatten().map(|result| result.as_ref().err());
    if refusals.clone().any(|refusal| refusal.is_none()) {
        return None;
    }
    let refusal =
        refusals.find_map(|refusal| refusal.filter(|refusal| **refusal == Refusal::Unauthenticated))?;
    let (workspace, _) = items.iter().find_map(|item| item.as_ref().ok())?;
    Some(call.refused(workspace, refusal.clone()))
}

/// The items of a batch. An item that cannot be read has a problem of its own, if the batch around
/// it can be read.
fn read_items(bytes: &[u8]) -> Result<Vec<Result<BatchItemIn, Problem>>, Problem> {
    let whole = serde_json::from_slice::<Object<BatchIn>>(bytes);
    let items = match whole {
        Ok(Object(BatchIn { charges: Bounded(charges) })) => {
            charges.into_iter().map(|Object(item)| Ok(item)).collect()
        }
        Err(_) => {
            let RawBatchIn { charges: Bounded(charges) } = read(bytes)?;
            let item = |item: &RawValue| read(item.get().as_bytes()).map_err(Problem::from);
            charges.iter().map(|charge| item(charge)).collect::<Vec<_>>()
        }
    };
    if items.is_empty() {
        let rule = format!("must be 1 to {} items", bounds::BATCH_MAX);
        return Err(ReadError::field("charges", rule).into());
    }
    Ok(items)
}

/// The submission of an item, and its operation.
fn submission(call: &Call, item: BatchItemIn) -> Result<(Submission, OperationId), Problem> {
    let BatchItemIn {
        workspace,
        idempotency_key,
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
    } = item;
    let key = idempotency_key.ok_or_else(refusal::idempotency_key_required)?;
    if !call.caller.may_name(&workspace) {
        return Err(refusal::workspace_not_found(workspace.as_str()));
    }
    let charge = ChargeIn {
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
    };
    let request = charge.request(&call.caller)?;
    let operation = request.operation.clone();
    Ok((call.submission(workspace, Some(key), Command::Charge(request))?, operation))
}

fn result_of<'a>(call: &Call, workspace: &'a WorkspaceId, result: &'a Ran) -> ResultJson<'a> {
    match result {
        Ok(Ok(answer)) => match &answer.output {
            Output::Charge(charge, balance) => ResultJson {
                status: 201,
                charge: Some(ChargeJson::of(workspace.as_str(), charge, Some(*balance))),
                replayed: answer.replayed,
                problem: None,
            },
            _ => refused(call, wrong_output("a charge")),
        },
        Ok(Err(refusal)) => refused(call, call.refused(workspace, refusal.clone())),
        Err(error) => refused(call, error.clone().into()),
    }
}

fn refused(call: &Call, problem: Problem) -> ResultJson<'static> {
    call.app.metrics.count_problem(problem.code as usize);
    let status = problem.code.status();
    ResultJson { status, charge: None, replayed: false, problem: Some(problem) }
}
