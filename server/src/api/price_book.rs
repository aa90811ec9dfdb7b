//! The price book (P2): the prices in force, a new version of them, and all versions there were.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::{Listing, Output};
use tollkeeper_ledger::{Command, Operation, OperationId, OperationPrice, PriceVersion, WorkspaceId};
use utoipa::ToSchema;

use super::ListJson;
use crate::http::call::{Call, answer};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::wire::read::{Dollars, Instant, Object, amount, given, given_word, maybe_word, word};
use crate::wire::write::{Time, Usd};

/// About the size of one priced operation in JSON.
const OPERATION_BYTES: usize = 128;

/// A new version of the prices: the whole list, since what is not in it is retired.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceBookRequest)]
pub struct PricesIn {
    #[schema(value_type = Vec<OperationIn>, min_items = 1, max_items = 1_000)]
    operations: Vec<Object<OperationIn>>,
    /// From when on; now when absent, never in the past.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Instant>,
}

/// An operation and its price.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OperationRequest)]
pub struct OperationIn {
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")]
    id: OperationId,
    /// What one unit costs, in micro-units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 9_000_000_000_i64)]
    unit_price: Option<i64>,
    /// The same in dollars; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$")]
    unit_price_usd: Option<Dollars>,
    /// If set, every charge awaits an outcome for so long.
    #[schema(minimum = 1, maximum = 604_800)]
    timeout_seconds: Option<u32>,
}

/// A version of the prices.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceBook)]
pub struct PricesJson<'a> {
    /// 1, 2, 3 …
    version: u32,
    #[schema(value_type = String, format = DateTime)]
    effective_at: Time,
    operations: Vec<OperationJson<'a>>,
}

/// An operation and its price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operation)]
pub struct OperationJson<'a> {
    id: &'a str,
    /// What one unit costs, in micro-units.
    unit_price: i64,
    #[schema(value_type = String)]
    unit_price_usd: Usd,
    #[schema(required)]
    timeout_seconds: Option<u32>,
}

impl<'a> PricesJson<'a> {
    fn of(prices: &'a PriceVersion) -> PricesJson<'a> {
        let PriceVersion { version, effective_at, operations } = prices;
        let operation = |operation: &'a Operation| {
            let Operation { id, unit_price, timeout_seconds } = operation;
            OperationJson {
                id: id.as_str(),
                unit_price: unit_price.get(),
                unit_price_usd: Usd(*unit_price),
                timeout_seconds: *timeout_seconds,
            }
        };
        PricesJson {
            version: *version,
            effective_at: Time(*effective_at),
            operations: operations.iter().map(operation).collect(),
        }
    }
}

/// `GET /v1/price-book`.
pub async fn get(call: Call) -> Result<Response, Problem> {
    let platform = call.app.engine().platform();
    let prices = platform.price_book.in_force(call.now);
    let prices = prices.ok_or_else(|| Problem::new(Code::NotFound, "No prices are in force."))?;
    Ok(shown(prices))
}

/// `PUT /v1/price-book`.
pub async fn put(mut call: Call) -> Result<Response, Problem> {
    let PricesIn { operations, effective_at } = call.json().await?;
    let operations = operations.into_iter().enumerate().map(price).collect::<Result<Vec<_>, _>>()?;
    let effective_at = effective_at.map(|Instant(at)| at);
    let command = Command::SetPrices { operations, effective_at };
    let answered = call.run(&WorkspaceId::platform(), None, command).await?;
    match &answered.output {
        Output::Prices(prices) => Ok(shown(prices)),
        _ => Err(refusal::internal(&"the engine did not answer with prices")),
    }
}

fn price((place, Object(operation)): (usize, Object<OperationIn>)) -> Result<OperationPrice, Problem> {
    let OperationIn { id, unit_price, unit_price_usd, timeout_seconds } = operation;
    let name = |field| format!("operations[{place}].{field}");
    let names = [name("unit_price"), name("unit_price_usd")];
    let unit_price = amount([&names[0], &names[1]], unit_price, unit_price_usd)?;
    Ok(OperationPrice { id, unit_price, timeout_seconds })
}

fn shown(prices: &PriceVersion) -> Response {
    answer(StatusCode::OK, OPERATION_BYTES * (prices.operations.len() + 1), &PricesJson::of(prices))
}

/// `GET /v1/price-book/versions`. A cursor is the number of the oldest version that was shown.
pub async fn versions(call: Call) -> Result<Response, Problem> {
    let page = call.query.page()?;
    let platform = call.app.engine().platform();
    let all = platform.price_book.versions();
    let end = match page.cursor {
        None => all.len(),
        Some(cursor) => all
            .iter()
            .position(|prices| prices.version.to_string() == cursor)
            .ok_or_else(|| Problem::parameter("cursor", "is not one that this list gave out"))?,
    };
    let begin = end.saturating_sub(page.limit);
    let data: Vec<&PriceVersion> = all[begin..end].iter().rev().collect();
    let next = if begin > 0 { data.last().map(|prices| prices.version.to_string()) } else { None };
    let listing = Listing { data, next };
    let json = ListJson::of(&listing, |prices| PricesJson::of(prices));
    Ok(answer(StatusCode::OK, 4_096, &json))
}
