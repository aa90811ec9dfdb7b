//! Batches: up to 1,000 charges in one request, each decided alone and in order, each with its own answer. Safe to send
//! again whole: what was charged is replayed, what was refused is decided anew.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollkeeper_engine::{CommandResult, Output};
use tollkeeper_ledger::{
    Command, IdempotencyKey, MemberId, OperationId, Refusal, Submission, WorkerId, WorkspaceId, bounds,
};
use utoipa::ToSchema;

use super::charges::{CHARGE_BYTES, ChargeIn, ChargeJson};
use crate::access;
use crate::app::App;
use crate::http::call::{Call, answer, key_required};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::metadata::Metadata;
use crate::wire::read::{Line, Object, maybe_word, read, word};

/// Charges to be made together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchRequest)]
pub struct BatchIn {
    /// Decided in this order.
    #[schema(value_type = Vec<BatchItemIn>, min_items = 1, max_items = 1_000)]
    charges: Vec<Object<BatchItemIn>>,
}

/// The same with the items left as they came, for when one of them cannot be read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBatchIn {
    charges: Vec<Box<RawValue>>,
}

/// A charge and what the path and the header say of a single one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchItem)]
pub struct BatchItemIn {
    /// Whose credit pays.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    workspace: WorkspaceId,
    /// Makes the item safe to repeat.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = String, required, min_length = 1, max_length = 255, pattern = r"^[ -~]+$")]
    idempotency_key: Option<IdempotencyKey>,
    /// See the single charge for all that follows.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    operation: OperationId,
    #[serde(default = "one")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000, default = 1)]
    quantity: i64,
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    worker: Option<WorkerId>,
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    member: Option<MemberId>,
    #[schema(default = false)]
    await_outcome: Option<bool>,
    #[schema(minimum = 1, maximum = 604_800)]
    timeout_seconds: Option<u32>,
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"\S")]
    reference: Option<Line>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

fn one() -> i64 {
    1
}

/// One result per item, in their order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Batch)]
pub struct BatchJson<'a> {
    results: Vec<ResultJson<'a>>,
}

/// What became of an item: what a single request would have been answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchResult)]
pub struct ResultJson<'a> {
    /// The status a single request would have had.
    status: u16,
    /// With 201.
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<ChargeJson<'a>>,
    /// True when this is the first answer again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    /// With any other status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::openapi::ProblemJson>)]
    problem: Option<Problem>,
}

/// `POST /v1/charges/batch`.
pub async fn open(mut call: Call) -> Result<Response, Problem> {
    let items = read_items(&call.body().await?)?;
    let mut places = Vec::with_capacity(items.len());
    let mut submissions = Vec::with_capacity(items.len());
    for item in items {
        match item.and_then(|item| submission(&call, item)) {
            Ok(submission) => {
                places.push(Ok(submission.workspace.clone()));
                submissions.push(submission);
            }
            Err(problem) => places.push(Err(problem)),
        }
    }
    let ran = if submissions.is_empty() {
        // No decision looks whether the key still holds.
        access::confirm(&call.app, &call.caller, call.now).await?;
        Vec::new()
    } else {
        let ran = call.app.engine().run_batch(submissions, call.now).await;
        ran.map_err(|error| refusal::failed(&error))?
    };
    // A key that ended before anything was paid opens nothing; one that ends in the middle is told of each charge.
    if ran.iter().all(Result::is_err)
        && let Some(Err(refusal)) = ran.iter().find(|ran| matches!(ran, Err(Refusal::ActorUnknown)))
        && let Some(Ok(workspace)) = places.iter().find(|place| place.is_ok())
    {
        return Err(refusal::refused(&call.app, workspace, refusal.clone()));
    }
    let mut ran = ran.iter();
    let mut results = Vec::with_capacity(places.len());
    for place in &places {
        results.push(match place {
            Ok(workspace) => {
                let ran = ran.next().ok_or_else(|| refusal::internal(&"a batch with an answer missing"))?;
                result(&call.app, workspace, ran)
            }
            Err(problem) => refused(&call.app, problem.clone()),
        });
    }
    let about_bytes = results.len() * CHARGE_BYTES + 64;
    Ok(answer(StatusCode::OK, about_bytes, &BatchJson { results }))
}

/// The items; each that cannot be read is a problem of its own, as long as the batch around it can.
fn read_items(bytes: &[u8]) -> Result<Vec<Result<BatchItemIn, Problem>>, Problem> {
    let whole = serde_json::from_slice::<Object<BatchIn>>(bytes);
    let items = match whole {
        Ok(Object(BatchIn { charges })) => charges.into_iter().map(|Object(item)| Ok(item)).collect(),
        Err(_) => {
            let RawBatchIn { charges } = read(bytes)?;
            charges.iter().map(|item| read(item.get().as_bytes())).collect::<Vec<_>>()
        }
    };
    if items.is_empty() || items.len() > bounds::BATCH_MAX {
        let must = format!("must be 1 to {} items", bounds::BATCH_MAX);
        return Err(Problem::field("charges", &must));
    }
    Ok(items)
}

fn submission(call: &Call, item: BatchItemIn) -> Result<Submission, Problem> {
    let BatchItemIn {
        workspace,
        idempotency_key,
        operation,
        quantity,
        worker,
        member,
        await_outcome,
        timeout_seconds,
        reference,
        metadata,
    } = item;
    let key = idempotency_key.ok_or_else(key_required)?;
    if !call.caller.may_name(&workspace) {
        return Err(refusal::workspace_not_found(workspace.as_str()));
    }
    let charge =
        ChargeIn { operation, quantity, worker, member, await_outcome, timeout_seconds, reference, metadata };
    Ok(call.submission(workspace, Some(key), Command::Charge(charge.request(&call.caller)?)))
}

fn result<'a>(app: &App, workspace: &'a WorkspaceId, ran: &'a CommandResult) -> ResultJson<'a> {
    match ran {
        Ok(answer) => match &answer.output {
            Output::Charge(charge, balance) => ResultJson {
                status: 201,
                charge: Some(ChargeJson::of(workspace.as_str(), charge, Some(*balance))),
                replayed: answer.replayed,
                problem: None,
            },
            _ => refused(app, refusal::internal(&"the engine did not answer with a charge")),
        },
        Err(refusal) => refused(app, refusal::refused(app, workspace, refusal.clone())),
    }
}

fn refused(app: &App, problem: Problem) -> ResultJson<'static> {
    app.metrics.refused(problem.code);
    let status = problem.code.status();
    ResultJson { status, charge: None, replayed: false, problem: Some(problem) }
}
