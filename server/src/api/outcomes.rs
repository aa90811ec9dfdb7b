//! What becomes of a charge: its outcome, a later deadline, and refunds by the platform (P9).

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tollkeeper_ledger::{ChargeCommand, Scope};
use utoipa::ToSchema;

use super::charges::{ChargeJson, EXTENDED, REFUNDED, SETTLED, respond, respond_to_keyed};
use crate::access::Rule::{Platform, Workspace};
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::wire::quantity::{self, QuantitiesIn};
use crate::wire::read::{
    AMOUNT, Dollars, ShortText, Word, given, given_word, maybe_word, optional_amount, word,
};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges/{charge}/outcome",
        Workspace(&[Scope::Charge, Scope::Settle]),
        "Report the outcome",
        |call| Box::pin(report(call)),
    )
    .description(
        "Reports what became of the operation. `succeeded` keeps the credit; with a smaller `quantity` the difference is \
         refunded. With `quantities`, what the used units of all meters cost together is kept, and the rest is refunded. `failed` with the fault `system` refunds the charge in full; with the fault `user` the credit is kept. \
         Reporting the same outcome again changes nothing. `failed` by the system gives credit back: a key needs the scope \
         `settle` for it, and only while the charge is pending. `succeeded` and `failed` by the user need the scope \
         `charge`. A late `failed` by the system, from the platform, refunds a settled charge within the refund window. \
         If another party opened the charge, report `succeeded` with the `quantity` that was run, and hand the result over \
         after the answer 200: from then on only the platform gives credit back. A proxy opens its charges with \
         `outcome_by_platform`: then only the platform, or a key that also has the scope `settle`, reports about them.",
    )
    .rechecked_at_decision()
    .request(of::<OutcomeIn>, r#"{"result": "succeeded"}"#)
    .response(200, of::<ChargeJson>, SETTLED)
    .problems(&[Code::ChargeAlreadySettled, Code::ChargeAlreadyRefunded, Code::RefundWindowClosed]),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges/{charge}/heartbeat",
        Workspace(&[Scope::Charge]),
        "Extend the deadline",
        |call| Box::pin(heartbeat(call)),
    )
    .description(
        "Moves the deadline of a pending charge, so that a long operation is not refunded while it runs. A heartbeat \
         that would move the deadline by less than a quarter of the time that is left changes nothing. So send one \
         when half of the time has passed.",
    )
    .rechecked_at_decision()
    .request(of::<HeartbeatIn>, r#"{"extend_seconds": 900}"#)
    .response(200, of::<ChargeJson>, EXTENDED)
    .problems(&[Code::ChargeAlreadySettled, Code::ChargeAlreadyRefunded]),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges/{charge}/refund",
        Platform,
        "Refund a charge",
        |call| Box::pin(refund(call)),
    )
    .description("Refunds a charge by decision of the platform: the given amount, or all that is left of it. \
         A charge takes at most 1,000 refunds; the last one returns all that is left.")
    .charge_status()
    .request(of::<RefundIn>, r#"{"amount_usd": "0.05", "reason": "The picture was blurred."}"#)
    .response(200, of::<ChargeJson>, REFUNDED)
    .problems(&[Code::ChargeAlreadyRefunded, Code::RefundExceedsCharge]),
];

/// What became of an operation. A different outcome later is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OutcomeRequest)]
pub struct OutcomeIn {
    /// `succeeded` or `failed`.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(succeeded|failed)$", example = "succeeded")]
    result: OperationResult,
    /// With `succeeded`: the number of units used, if fewer; the difference is refunded.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    quantity: Option<i64>,
    /// With `succeeded`, of an operation with meters: the units used of each. Together they cost at
    /// most what was charged; the difference is refunded.
    #[schema(value_type = Option<std::collections::BTreeMap<String, i64>>)]
    quantities: Option<QuantitiesIn>,
    /// With `failed`: `system` refunds the charge, `user` keeps the credit.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, pattern = "^(system|user)$")]
    fault: Option<Fault>,
    /// With `failed`: what happened, for people, 1–255 characters. It stays in the journal for
    /// ever, so it is not for personal data.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"\S")]
    detail: Option<ShortText>,
}

/// Whether the operation succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OperationResult {
    Succeeded,
    Failed,
}

impl Word for OperationResult {
    const EXPECTED: &'static str = "\"succeeded\" or \"failed\"";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "succeeded" => Ok(OperationResult::Succeeded),
            "failed" => Ok(OperationResult::Failed),
            _ => Err(format!("this is not {}", Self::EXPECTED)),
        }
    }
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    System,
    User,
}

impl Word for Fault {
    const EXPECTED: &'static str = "\"system\" or \"user\"";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "system" => Ok(Fault::System),
            "user" => Ok(Fault::User),
            _ => Err(format!("this is not {}", Self::EXPECTED)),
        }
    }
}

/// `POST …/charges/{charge}/outcome`.
async fn report(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let charge = call.charge(&workspace).await?;
    let OutcomeIn { result, quantity, quantities, fault, detail } = call.json().await?;
    let quantity = quantity::quantity(quantity, quantities)?;
    let command = match (result, fault) {
        (OperationResult::Succeeded, Some(_)) => {
            return Err(Problem::field("fault", "cannot be given with `succeeded`"));
        }
        (OperationResult::Succeeded, None) if detail.is_some() => {
            return Err(Problem::field("detail", "cannot be given with `succeeded`"));
        }
        (OperationResult::Succeeded, None) => ChargeCommand::Succeed { quantity }.for_charge(charge),
        (OperationResult::Failed, None) => return Err(Problem::field("fault", "is required with `failed`")),
        (OperationResult::Failed, Some(_)) if quantity.is_some() => {
            return Err(Problem::field("quantity", "cannot be given with `failed`"));
        }
        (OperationResult::Failed, Some(fault)) => {
            let detail = detail.map(|ShortText(text)| text);
            ChargeCommand::Fail { by_system: fault == Fault::System, detail }.for_charge(charge)
        }
    };
    respond(StatusCode::OK, &workspace, &call.run(&workspace, None, command).await?)
}

/// A later deadline for a pending charge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HeartbeatRequest)]
pub struct HeartbeatIn {
    /// The seconds from now until the new deadline. If the current deadline is later, or earlier by
    /// less than a quarter of the time that is left, it stays.
    #[schema(minimum = 1, maximum = 604_800)]
    extend_seconds: u32,
}

/// `POST …/charges/{charge}/heartbeat`.
async fn heartbeat(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let charge = call.charge(&workspace).await?;
    let HeartbeatIn { extend_seconds } = call.json().await?;
    let command = ChargeCommand::Heartbeat { extend_seconds }.for_charge(charge);
    respond(StatusCode::OK, &workspace, &call.run(&workspace, None, command).await?)
}

/// The refund of a charge. Without an amount, all that is left of the charge is refunded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefundRequest)]
pub struct RefundIn {
    /// The amount to refund, in micro-units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    amount: Option<i64>,
    /// The amount in dollars, as a decimal text; give one of the two or neither.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$")]
    amount_usd: Option<Dollars>,
    /// Why it is refunded, for people, 1–255 characters. It stays in the journal for ever, so it is
    /// not for personal data.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"\S")]
    reason: ShortText,
}

/// `POST …/charges/{charge}/refund`.
async fn refund(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let charge = call.charge(&workspace).await?;
    let key = call.idempotency_key()?;
    let RefundIn { amount, amount_usd, reason: ShortText(reason) } = call.json().await?;
    let amount = optional_amount(AMOUNT, amount, amount_usd)?;
    let command = ChargeCommand::Refund { amount, reason }.for_charge(charge);
    let answer = call.run(&workspace, Some(key), command).await?;
    respond_to_keyed(&call, StatusCode::OK, &workspace, &answer).await
}
