//! Price book: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

use super::Meter;

/// A meter of an operation and its new price.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MeterRequest {
    /// The id by which quantities name the meter.
    pub id: String,
    /// The number of units for which the price is: a power of ten, 1 if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<u32>,
    /// The price of `per` units, in micro-units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<i64>,
    /// The price of `per` units in dollars, as a decimal text; give one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price_usd: Option<String>,
}

impl MeterRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(id: impl Into<String>) -> MeterRequest {
        MeterRequest { id: id.into(), ..MeterRequest::default() }
    }
}

/// An operation and its price.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Operation {
    /// The id by which charges name the operation.
    pub id: String,
    /// The meters and their prices, if the operation has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meters: Option<Vec<Meter>>,
    /// The number of units for which `unit_price` is, if it is not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<u32>,
    /// The seconds that every charge awaits an outcome; null if it awaits none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The price of one unit, or of `per` units, in micro-units; null if the operation has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<i64>,
    /// `unit_price` in dollars, as an exact decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price_usd: Option<String>,
}

/// An operation and its new price.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OperationRequest {
    /// The id by which charges name the operation.
    pub id: String,
    /// 1 to 8 meters with prices of their own, in place of one price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meters: Option<Vec<MeterRequest>>,
    /// The number of units for which the price is: a power of ten, 1 if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<u32>,
    /// If it is set, every charge awaits an outcome for this many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The price of one unit, or of `per` units, in micro-units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<i64>,
    /// The price of one unit in dollars, as a decimal text; give one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price_usd: Option<String>,
}

impl OperationRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(id: impl Into<String>) -> OperationRequest {
        OperationRequest { id: id.into(), ..OperationRequest::default() }
    }
}

/// A version of the price book, by its number and time.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PlannedPrices {
    /// When the version comes into force.
    pub effective_at: String,
    /// The number of the version.
    pub version: u32,
}

/// A version of the price book.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PriceBook {
    /// When the version comes or came into force.
    pub effective_at: String,
    /// Every operation that can be charged.
    pub operations: Vec<Operation>,
    /// The planned versions that never come into force, because this one has their time and a later
    /// number. Only in the answer to a publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Vec<PlannedPrices>>,
    /// The next version that comes into force and ends this one; null if none is planned. Only in
    /// the answer to a publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<PlannedPrices>,
    /// The number of the version, which counts from 1.
    pub version: u32,
}

/// A new version of the price book. It replaces the whole list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PriceBookRequest {
    /// When the version comes into force; now if it is absent. Up to a minute in the past is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<String>,
    /// Every operation that can be charged.
    pub operations: Vec<OperationRequest>,
}

impl PriceBookRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(operations: Vec<OperationRequest>) -> PriceBookRequest {
        PriceBookRequest { operations, ..PriceBookRequest::default() }
    }
}

/// What a draft of the price book would have brought.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PriceSimulation {
    /// The beginning of the time.
    pub from: String,
    /// Each operation of the draft, and each that was used and is not in the draft.
    pub operations: Vec<PriceSimulationRow>,
    /// The end of the time.
    pub to: String,
    /// All workspaces and operations.
    pub total: PriceSimulationRow,
    /// The number of workspaces that were charged or refunded in the time.
    pub used_workspaces: i64,
    /// The workspaces with the largest change, at most 100.
    pub workspaces: Vec<PriceSimulationRow>,
}

/// A draft of the price book, and the time whose use it prices.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PriceSimulationRequest {
    /// The beginning of the first hour, in UTC.
    pub from: String,
    /// Every operation of the draft.
    pub operations: Vec<OperationRequest>,
    /// The end of the last hour, at most 366 days later.
    pub to: String,
}

impl PriceSimulationRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(
        operations: Vec<OperationRequest>,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> PriceSimulationRequest {
        PriceSimulationRequest { operations, from: from.into(), to: to.into() }
    }
}

/// What was used and brought, and what the draft would have brought: in all, of an operation, or of
/// a workspace.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PriceSimulationRow {
    /// `simulated` less `net`.
    pub change: i64,
    /// `change` in dollars, as an exact decimal text.
    pub change_usd: String,
    /// What they deducted, less what was refunded, in micro-units.
    pub net: i64,
    /// `net` in dollars, as an exact decimal text.
    pub net_usd: String,
    /// The id of the operation, in a row of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The units that they paid for.
    pub quantity: i64,
    /// The number of charges.
    pub runs: i64,
    /// What the draft would have brought, in micro-units.
    pub simulated: i64,
    /// `simulated` in dollars, as an exact decimal text.
    pub simulated_usd: String,
    /// The price of the draft in micro-units, in a row of an operation; null if the operation is
    /// not in the draft, or has meters there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<i64>,
    /// `unit_price` in dollars, as an exact decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price_usd: Option<String>,
    /// The id of the workspace, in a row of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}
