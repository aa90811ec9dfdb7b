//! Quotes: the price of a charge, and whether a charge by the caller would pass. Nothing moves.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::Scope::{Charge, Read};
use tollkeeper_ledger::{OperationId, Quantity, Quote, QuoteBasis, Spender};
use utoipa::ToSchema;

use crate::access::Rule::Workspace;
use crate::http::call::{Call, existing, json};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::wire::quantity::{self, QuantitiesIn, QuantitiesJson};
use crate::wire::read::{given, word};
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
    "Returns the price of a charge now and whether a charge with the same key would pass: suspension, debt, spending \
     limits and the balance. Nothing is deducted or reserved.",
)
.request(of::<QuoteIn>, r#"{"operation": "smart_pricing", "quantity": 3}"#)
.response(
    200,
    of::<QuoteJson>,
    r#"{"amount": 3000, "amount_usd": "0.03", "affordable": true, "refusal": null, "affordable_quantity": 1250,
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
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$", example = "smart_pricing")]
    operation: OperationId,
    /// The number of units, of an operation without meters; 1 if it is absent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 1_000_000_000, default = 1)]
    quantity: Option<i64>,
    /// The units of each meter, of an operation with meters: an object of meters and numbers.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = std::collections::BTreeMap<String, i64>, required = false)]
    quantities: Option<QuantitiesIn>,
}

/// What the operation would cost now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quote)]
pub struct QuoteJson<'a> {
    /// The price of all units, in micro-units.
    amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.03")]
    amount_usd: Usd,
    /// Whether a charge would pass.
    affordable: bool,
    /// The code with which a charge would be refused, such as `limit_exceeded`; null if it would
    /// pass.
    #[schema(required)]
    refusal: Option<&'static str>,
    /// The number of units that the available credit and the limits cover; absent if the operation
    /// has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    affordable_quantity: Option<i64>,
    /// The units of each meter that they cover if the other meters stay as they were asked for; of
    /// an operation with meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, i64>>)]
    affordable_quantities: Option<QuantitiesJson<'a>>,
    /// The credit that can be spent, in micro-units.
    available: i64,
    /// `available` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.50")]
    available_usd: Usd,
}

/// `POST /v1/workspaces/{workspace}/quote`.
async fn quote(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let QuoteIn { operation, quantity, quantities } = call.json().await?;
    let quantity = quantity::quantity(quantity, quantities)?.unwrap_or(Quantity::Units(1));
    let engine = call.app.engine();
    let profile = existing(&workspace, engine.workspace(&workspace).await?)?;
    let (limits, windows) = existing(&workspace, engine.limits(&workspace, call.now).await?)?;
    let balance = existing(&workspace, engine.balance(&workspace, None).await?)?.balance;
    let key = call.caller.api_key();
    let spender = Spender {
        operation,
        worker: key.and_then(|key| key.worker.clone()),
        member: key.and_then(|key| key.member.clone()),
        api_key: key.map(|key| key.id),
    };
    let basis = QuoteBasis {
        balance,
        suspended: profile.suspended,
        limits: &limits,
        windows: &windows,
        spender: &spender,
    };
    let quote = tollkeeper_ledger::quote(&engine.platform().price_book, &quantity, basis, call.now);
    let Quote { amount, affordable, affordable_quantity, refusal } =
        quote.map_err(|refused| call.refused(&workspace, refused))?;
    let available = balance.available;
    let quote = QuoteJson {
        amount: amount.get(),
        amount_usd: Usd(amount),
        affordable,
        refusal,
        affordable_quantity: affordable_quantity.meters().is_none().then(|| affordable_quantity.total()),
        affordable_quantities: affordable_quantity.meters().map(QuantitiesJson),
        available: available.get(),
        available_usd: Usd(available),
    };
    Ok(json(StatusCode::OK, 256, &quote))
}
