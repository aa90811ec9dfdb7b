//! The price book (P2): the prices in force, a new version of them, and the list of versions.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::{Listing, Output};
use tollkeeper_ledger::Scope::{Charge, Manage, Read};
use tollkeeper_ledger::{
    Command, Meter, MeterId, Micros, Operation, OperationId, OperationPrice, Price, PriceVersion, Rate,
    WorkspaceId, bounds,
};
use utoipa::ToSchema;

use super::PAGE;
use crate::access::Rule::{AnyWorkspace, Platform};
use crate::http::call::{Call, json, wrong_output};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, list_of, of};
use crate::wire::ReadError;
use crate::wire::page::ListJson;
use crate::wire::quantity::{MeterJson, PriceFields};
use crate::wire::read::{
    AmountFields, Bounded, Dollars, Instant, Object, amount, given, given_word, maybe_word, word,
};
use crate::wire::write::{Time, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/price-book",
        AnyWorkspace(&[Charge, Read, Manage]),
        "Get the prices in force",
        |call| Box::pin(get(call)),
    )
    .description("Returns the version of the price book that prices charges now.")
    .response(200, of::<PricesJson>, EXAMPLE)
    .problems(&[Code::NotFound]),
    Route::new(Method::PUT, "/v1/price-book", Platform, "Publish prices", |call| Box::pin(put(call)))
        .description(
            "Publishes a new version of the whole price book, now or at a later time. Operations that are not in the \
             list are retired. Charges keep the price of the version that priced them. In force is the version whose \
             time came last, the later number of two with one time: a planned version comes at its time, also if \
             another is published meanwhile. `replaces` and `superseded_by` say how the new version stands to the \
             planned ones. The same prices again change nothing.",
        )
        .request(
            of::<PricesIn>,
            r#"{"operations": [{"id": "virtual_try_on", "unit_price_usd": "0.20", "timeout_seconds": 900},
                {"id": "support_message", "unit_price": 500}]}"#,
        )
        .response(200, of::<PricesJson>, PUBLISHED),
    Route::new(
        Method::GET,
        "/v1/price-book/versions",
        AnyWorkspace(&[Charge, Read, Manage]),
        "List price versions",
        |call| Box::pin(versions(call)),
    )
    .description("Lists all versions of the price book, newest first, also those that are not in force yet. A \
         page ends early if it holds about a megabyte.")
    .parameters(PAGE)
    .response(200, list_of::<PricesJson>, EXAMPLE),
];

const EXAMPLE: &str = r#"{"version": 2, "effective_at": "2026-11-23T15:04:05.678Z", "operations": [
    {"id": "support_message", "unit_price": 500, "unit_price_usd": "0.005", "timeout_seconds": null},
    {"id": "virtual_try_on", "unit_price": 20000, "unit_price_usd": "0.20", "timeout_seconds": 900}]}"#;

const PUBLISHED: &str = r#"{"version": 2, "effective_at": "2026-11-23T15:04:05.678Z", "operations": [
    {"id": "support_message", "unit_price": 500, "unit_price_usd": "0.005", "timeout_seconds": null}],
    "replaces": [], "superseded_by": {"version": 1, "effective_at": "2026-12-01T00:00:00.000Z"}}"#;

/// About the size of one priced operation in JSON.
const OPERATION_BYTES: usize = 128;

/// About the largest page of versions. A version with 1,000 operations has an eighth of it.
const PAGE_MAX_BYTES: usize = 1 << 20;

/// A new version of the price book. It replaces the whole list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceBookRequest)]
pub struct PricesIn {
    /// Every operation that can be charged.
    #[schema(value_type = Vec<OperationIn>, min_items = 1, max_items = 1_000)]
    operations: Bounded<Object<OperationIn>, { bounds::OPERATIONS_MAX }>,
    /// When the version comes into force; now if it is absent. Up to a minute in the past is now.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_at: Option<Instant>,
}

/// An operation and its new price.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OperationRequest)]
pub struct OperationIn {
    /// The id by which charges name the operation.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    id: OperationId,
    /// The price of one unit, or of `per` units, in micro-units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 9_000_000_000_i64)]
    unit_price: Option<i64>,
    /// The price of one unit in dollars, as a decimal text; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$")]
    unit_price_usd: Option<Dollars>,
    /// The number of units for which the price is: a power of ten, 1 if it is absent.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    per: Option<u32>,
    /// 1 to 8 meters with prices of their own, in place of one price.
    #[schema(value_type = Option<Vec<MeterIn>>)]
    meters: Option<Bounded<Object<MeterIn>, { bounds::METERS_MAX }>>,
    /// If it is set, every charge awaits an outcome for this many seconds.
    #[schema(minimum = 1, maximum = 604_800)]
    timeout_seconds: Option<u32>,
}

/// A meter of an operation and its new price.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MeterRequest)]
pub struct MeterIn {
    /// The id by which quantities name the meter.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    id: MeterId,
    /// The price of `per` units, in micro-units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 0, maximum = 9_000_000_000_i64)]
    unit_price: Option<i64>,
    /// The price of `per` units in dollars, as a decimal text; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$")]
    unit_price_usd: Option<Dollars>,
    /// The number of units for which the price is: a power of ten, 1 if it is absent.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    per: Option<u32>,
}

/// A version of the price book.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceBook)]
pub struct PricesJson<'a> {
    /// The number of the version, which counts from 1.
    version: u32,
    /// When the version comes or came into force.
    #[schema(value_type = String, format = DateTime)]
    effective_at: Time,
    /// Every operation that can be charged.
    operations: Vec<OperationJson<'a>>,
    /// The planned versions that never come into force, because this one has their time and a
    /// later number. Only in the answer to a publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<Vec<PlannedJson>>,
    /// The next version that comes into force and ends this one; null if none is planned. Only in
    /// the answer to a publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable)]
    superseded_by: Option<Option<PlannedJson>>,
}

/// A version of the price book, by its number and time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlannedPrices)]
pub struct PlannedJson {
    /// The number of the version.
    version: u32,
    /// When the version comes into force.
    #[schema(value_type = String, format = DateTime)]
    effective_at: Time,
}

impl PlannedJson {
    fn of(prices: &PriceVersion) -> PlannedJson {
        PlannedJson { version: prices.version, effective_at: Time(prices.effective_at) }
    }
}

/// An operation and its price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operation)]
pub struct OperationJson<'a> {
    /// The id by which charges name the operation.
    id: &'a str,
    /// The price of one unit, or of `per` units, in micro-units; null if the operation has meters.
    #[schema(required)]
    unit_price: Option<i64>,
    /// `unit_price` in dollars, as an exact decimal text.
    #[schema(value_type = Option<String>, required, example = "0.20")]
    unit_price_usd: Option<Usd>,
    /// The number of units for which `unit_price` is, if it is not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    per: Option<u32>,
    /// The meters and their prices, if the operation has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    meters: Option<Vec<MeterJson<'a>>>,
    /// The seconds that every charge awaits an outcome; null if it awaits none.
    #[schema(required)]
    timeout_seconds: Option<u32>,
}

impl<'a> PricesJson<'a> {
    fn of(prices: &'a PriceVersion) -> PricesJson<'a> {
        let PriceVersion { version, effective_at, operations } = prices;
        let operation = |operation: &'a Operation| {
            let Operation { id, price, timeout_seconds } = operation;
            let PriceFields { unit_price, per, meters } = PriceFields::of(price);
            OperationJson {
                id: id.as_str(),
                unit_price: unit_price.map(Micros::get),
                unit_price_usd: unit_price.map(Usd),
                per,
                meters,
                timeout_seconds: *timeout_seconds,
            }
        };
        PricesJson {
            version: *version,
            effective_at: Time(*effective_at),
            operations: operations.iter().map(operation).collect(),
            replaces: None,
            superseded_by: None,
        }
    }
}

/// `GET /v1/price-book`.
async fn get(call: Call) -> Result<Response, Problem> {
    let platform = call.app.engine().platform();
    let prices = platform.price_book.in_force(call.now);
    let prices = prices.ok_or_else(|| Problem::new(Code::NotFound, "No price book is in force."))?;
    Ok(respond(prices))
}

/// `PUT /v1/price-book`.
async fn put(mut call: Call) -> Result<Response, Problem> {
    let PricesIn { operations: Bounded(operations), effective_at } = call.json().await?;
    let operations = operations.into_iter().enumerate().map(price).collect::<Result<Vec<_>, _>>()?;
    let effective_at = effective_at.map(|Instant(at)| at);
    let command = Command::SetPrices { operations, effective_at };
    let answer = call.run(&WorkspaceId::platform(), None, command).await?;
    match &answer.output {
        Output::Prices(prices) => {
            // The platform as committed has the new version, and perhaps later ones.
            let platform = call.app.engine().platform();
            let replaced = platform.price_book.replaced_by(prices);
            // A version whose time has come was in force, and is not planned any more.
            let planned = replaced.filter(|_| prices.effective_at > call.now);
            let replaces = planned.map(PlannedJson::of).collect();
            let superseded_by = platform.price_book.successor(prices).map(PlannedJson::of);
            let published = PricesJson {
                replaces: Some(replaces),
                superseded_by: Some(superseded_by),
                ..PricesJson::of(prices)
            };
            Ok(json(StatusCode::OK, bytes_of(prices), &published))
        }
        _ => Err(wrong_output("prices")),
    }
}

/// A price of the request, with its index in the list for error messages.
pub(super) fn price(
    (index, Object(operation)): (usize, Object<OperationIn>),
) -> Result<OperationPrice, ReadError> {
    let OperationIn { id, unit_price, unit_price_usd, per, meters, timeout_seconds } = operation;
    let path = format!("operations[{index}]");
    let Some(Bounded(meters)) = meters else {
        let price = Price::Units(rate(&path, unit_price, unit_price_usd, per)?);
        return Ok(OperationPrice { id, price, timeout_seconds });
    };
    if unit_price.is_some() || unit_price_usd.is_some() || per.is_some() {
        return Err(ReadError::field(format!("{path}.meters"), "cannot be given with a price of its own"));
    }
    let meters = meters.into_iter().enumerate().map(|(index, Object(meter))| {
        let MeterIn { id, unit_price, unit_price_usd, per } = meter;
        let rate = rate(&format!("{path}.meters[{index}]"), unit_price, unit_price_usd, per)?;
        Ok(Meter { id, rate })
    });
    let price = Price::Meters(meters.collect::<Result<_, ReadError>>()?);
    Ok(OperationPrice { id, price, timeout_seconds })
}

/// The rate that the fields below a path give.
fn rate(
    path: &str,
    unit_price: Option<i64>,
    unit_price_usd: Option<Dollars>,
    per: Option<u32>,
) -> Result<Rate, ReadError> {
    let (micros, usd) = (format!("{path}.unit_price"), format!("{path}.unit_price_usd"));
    let unit_price = amount(AmountFields { micros: &micros, usd: &usd }, unit_price, unit_price_usd)?;
    Ok(Rate { unit_price, per: per.unwrap_or(1) })
}

fn respond(prices: &PriceVersion) -> Response {
    json(StatusCode::OK, bytes_of(prices), &PricesJson::of(prices))
}

/// About the size of a version in JSON.
fn bytes_of(prices: &PriceVersion) -> usize {
    OPERATION_BYTES * (prices.operations.len() + 1)
}

/// `GET /v1/price-book/versions`. A cursor is the number of the oldest version on the page before.
async fn versions(call: Call) -> Result<Response, Problem> {
    let page = call.query().page()?;
    let platform = call.app.engine().platform();
    let all = platform.price_book.versions();
    let end = match page.cursor {
        None => all.len(),
        Some(cursor) => all
            .iter()
            .position(|prices| prices.version.to_string() == cursor)
            .ok_or(ReadError::InvalidCursor)?,
    };
    let mut bytes = 0;
    let fits = |prices: &&PriceVersion| {
        bytes += bytes_of(prices);
        bytes <= PAGE_MAX_BYTES
    };
    let data: Vec<&PriceVersion> = all[..end].iter().rev().take(page.limit).take_while(fits).collect();
    let next = data.last().filter(|prices| prices.version != all[0].version);
    let next = next.map(|prices| prices.version.to_string());
    let listing = Listing { data, next };
    let rows = ListJson::of(&listing, |prices| PricesJson::of(prices));
    Ok(json(StatusCode::OK, bytes.min(PAGE_MAX_BYTES), &rows))
}
