//! What becomes of a charge: its outcome, more time for it, and refunds by the platform (P9).

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tollkeeper_ledger::ChargeCommand;
use utoipa::ToSchema;

use super::charges::told;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::wire::read::{Dollars, Line, Word, given, given_word, maybe_word, one_amount, word};

/// What became of an operation. Repeating it is harmless; saying something else later is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OutcomeRequest)]
pub struct OutcomeIn {
    /// `succeeded` or `failed`.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(succeeded|failed)$", example = "succeeded")]
    result: Ending,
    /// With `succeeded`: what was really used, if less; the difference goes back.
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: Option<i64>,
    /// With `failed`: `system` (refunded) or `user` (kept).
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, pattern = "^(system|user)$")]
    fault: Option<Fault>,
    /// With `failed`: what happened, for people.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"\S")]
    detail: Option<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Succeeded,
    Failed,
}

impl Word for Ending {
    const EXPECTED: &'static str = "\"succeeded\" or \"failed\"";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "succeeded" => Ok(Ending::Succeeded),
            "failed" => Ok(Ending::Failed),
            _ => Err(format!("this is not {}", Self::EXPECTED)),
        }
    }
}

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
pub async fn report(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let charge = call.charge(&workspace).await?;
    let OutcomeIn { result, quantity, fault, detail } = call.json().await?;
    let command = match (result, fault) {
        (Ending::Succeeded, Some(_)) => {
            return Err(Problem::field("fault", "cannot be given with `succeeded`"));
        }
        (Ending::Succeeded, None) if detail.is_some() => {
            return Err(Problem::field("detail", "cannot be given with `succeeded`"));
        }
        (Ending::Succeeded, None) => ChargeCommand::Succeed { quantity }.for_charge(charge),
        (Ending::Failed, None) => return Err(Problem::field("fault", "is required with `failed`")),
        (Ending::Failed, Some(_)) if quantity.is_some() => {
            return Err(Problem::field("quantity", "cannot be given with `failed`"));
        }
        (Ending::Failed, Some(fault)) => {
            let detail = detail.map(|Line(text)| text);
            ChargeCommand::Fail { by_system: fault == Fault::System, detail }.for_charge(charge)
        }
    };
    told(StatusCode::OK, &workspace, &call.run(&workspace, None, command).await?)
}

/// More time for a pending charge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HeartbeatRequest)]
pub struct HeartbeatIn {
    /// The deadline becomes so many seconds from now, unless it is later already.
    #[schema(minimum = 1, maximum = 604_800)]
    extend_seconds: u32,
}

/// `POST …/charges/{charge}/heartbeat`.
pub async fn heartbeat(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let charge = call.charge(&workspace).await?;
    let HeartbeatIn { extend_seconds } = call.json().await?;
    let command = ChargeCommand::Heartbeat { extend_seconds }.for_charge(charge);
    told(StatusCode::OK, &workspace, &call.run(&workspace, None, command).await?)
}

/// What is to go back of a charge; all that is left when no amount is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefundRequest)]
pub struct RefundIn {
    /// Micro-units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    amount: Option<i64>,
    /// The same in dollars; give one of the two or none.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$")]
    amount_usd: Option<Dollars>,
    /// Why, for people.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"\S")]
    reason: Line,
}

/// `POST …/charges/{charge}/refund`.
pub async fn refund(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let charge = call.charge(&workspace).await?;
    let key = call.key()?;
    let RefundIn { amount, amount_usd, reason: Line(reason) } = call.json().await?;
    let amount = one_amount(["amount", "amount_usd"], amount, amount_usd)?;
    let command = ChargeCommand::Refund { amount, reason }.for_charge(charge);
    told(StatusCode::OK, &workspace, &call.run(&workspace, Some(key), command).await?)
}
