//! Quotes: the price of a charge, and whether the available balance covers it. Nothing moves.
//! Suspension, debt and limits are not checked.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::Scope::{Charge, Read};
use tollkeeper_ledger::{OperationId, Quote};
use utoipa::ToSchema;

use crate::access::Rule::Workspace;
use crate::http::call::{Call, existing, json};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::wire::read::word;
use crate::wire::write::Usd;

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::POST,
    "/v1/workspaces/{workspace}/quote",
    Workspace(&[Charge, Read]),
    "Quote a charge",
    |call| Box::pin(quote(call)),
)
.description(
    "Returns the price of a charge now and whether the available balance covers it. Nothing is deducted or \
     reserved. Suspension, debt and spending limits are not checked.",
)
.request(of::<QuoteIn>, r#"{"operation": "smart_pricing", "quantity": 3}"#)
.response(
    200,
    of::<QuoteJson>,
    r#"{"amount": 3000, "amount_usd": "0.03", "affordable": true, "affordable_quantity": 1250,
        "available": 1250000, "available_usd": "12.50"}"#,
)
.problems(&[Code::OperationNotFound])];

/// The operation to be quoted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuoteRequest)]
pub struct QuoteIn {
    /// The id of an operation in the price book.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$", example = "smart_pricing")]
    operation: OperationId,
    /// The number of units.
    #[serde(default = "one")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000, default = 1)]
    quantity: i64,
}

fn one() -> i64 {
    1
}

/// What the operation would cost now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quote)]
pub struct QuoteJson {
    /// The price of all units, in micro-units.
    amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.03")]
    amount_usd: Usd,
    /// Whether the available credit covers `amount`.
    affordable: bool,
    /// The number of units that the available credit covers.
    affordable_quantity: i64,
    /// The credit that can be spent, in micro-units.
    available: i64,
    /// `available` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.50")]
    available_usd: Usd,
}

/// `POST /v1/workspaces/{workspace}/quote`.
async fn quote(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let QuoteIn { operation, quantity } = call.json().await?;
    let balance = existing(&workspace, call.app.engine().balance(&workspace, None).await?)?;
    let available = balance.balance.available;
    let platform = call.app.engine().platform();
    let quote = tollkeeper_ledger::quote(&platform.price_book, &operation, quantity, available, call.now);
    let Quote { amount, affordable, affordable_quantity } =
        quote.map_err(|refused| call.refused(&workspace, refused))?;
    let quote = QuoteJson {
        amount: amount.get(),
        amount_usd: Usd(amount),
        affordable,
        affordable_quantity,
        available: available.get(),
        available_usd: Usd(available),
    };
    Ok(json(StatusCode::OK, 256, &quote))
}
