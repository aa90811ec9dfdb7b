//! Quotes: what a charge would cost and whether there is enough for it. Nothing moves.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::{OperationId, Quote};
use utoipa::ToSchema;

use crate::http::call::{Call, answer};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::read::word;
use crate::wire::write::Usd;

/// What might run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuoteRequest)]
pub struct QuoteIn {
    /// A name of the price book.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$", example = "smart_pricing")]
    operation: OperationId,
    /// How many units.
    #[serde(default = "one")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000, default = 1)]
    quantity: i64,
}

fn one() -> i64 {
    1
}

/// What it would cost now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quote)]
pub struct QuoteJson {
    /// Micro-units.
    amount: i64,
    #[schema(value_type = String)]
    amount_usd: Usd,
    /// Whether there is enough.
    affordable: bool,
    /// How many units there is enough for.
    affordable_quantity: i64,
    /// What can be spent, in micro-units.
    available: i64,
    #[schema(value_type = String)]
    available_usd: Usd,
}

/// `POST /v1/workspaces/{workspace}/quote`.
pub async fn quote(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let QuoteIn { operation, quantity } = call.json().await?;
    let balance = call.app.engine().balance(&workspace, None).await;
    let balance = balance.map_err(|error| refusal::failed(&error))?;
    let balance = balance.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))?;
    let available = balance.balance.available;
    let platform = call.app.engine().platform();
    let quote = tollkeeper_ledger::quote(&platform.price_book, &operation, quantity, available, call.now);
    let Quote { amount, affordable, affordable_quantity } =
        quote.map_err(|refused| refusal::refused(&call.app, &workspace, refused))?;
    let json = QuoteJson {
        amount: amount.get(),
        amount_usd: Usd(amount),
        affordable,
        affordable_quantity,
        available: available.get(),
        available_usd: Usd(available),
    };
    Ok(answer(StatusCode::OK, 256, &json))
}
