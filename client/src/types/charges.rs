//! Charges: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Object;
use crate::error::Problem;

/// The credit that can be spent after a charge or grant.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Available {
    /// The credit that can be spent, in micro-units.
    pub available: i64,
    /// `available` in dollars, as an exact decimal text.
    pub available_usd: String,
}

/// The results of a batch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Batch {
    /// One result per item, in the order of the items.
    pub results: Vec<BatchResult>,
}

/// A charge with its workspace and its idempotency key.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BatchItem {
    /// Whether the charge is pending until its outcome is reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub await_outcome: Option<bool>,
    /// The idempotency key of the item, 1–255 printable characters without a blank at either end.
    pub idempotency_key: String,
    /// The id of the member for whom the operation runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// A JSON object that your product chooses, at most 4,096 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
    /// The id of the operation in the price book.
    pub operation: String,
    /// True: only the platform, or a key with the scope `settle`, reports the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome_by_platform: Option<bool>,
    /// The units of each meter, of an operation with meters: an object of meters and numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantities: Option<BTreeMap<String, i64>>,
    /// The number of units, of an operation without meters; 1 if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Your product's name for the run, 1–255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The seconds until the deadline. If no outcome is reported by then, the charge is refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The id of the AI worker that runs the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The id of the workspace that is charged.
    pub workspace: String,
}

impl BatchItem {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(
        workspace: impl Into<String>,
        idempotency_key: impl Into<String>,
        operation: impl Into<String>,
    ) -> BatchItem {
        BatchItem {
            workspace: workspace.into(),
            idempotency_key: idempotency_key.into(),
            operation: operation.into(),
            ..BatchItem::default()
        }
    }
}

/// The charges of a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BatchRequest {
    /// The charges, which are decided in this order.
    pub charges: Vec<BatchItem>,
}

impl BatchRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(charges: Vec<BatchItem>) -> BatchRequest {
        BatchRequest { charges }
    }
}

/// The result of an item: what a single request would have been answered.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct BatchResult {
    /// The charge, if the status is 201.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    /// The problem, if the status is not 201.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// True if this is the first result again; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<bool>,
    /// The status a single request would have had.
    pub status: u32,
}

/// A charge: the deduction for one run of an operation.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Charge {
    /// The amount that was deducted: the price of the quantity, rounded up, in micro-units.
    pub amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    pub amount_usd: String,
    /// The balance after the request; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<Available>,
    /// When the charge was made.
    pub created_at: String,
    /// When a pending charge is refunded if no outcome is reported; null if it is not pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The grants that the charge drew from, less its refunds; only present if one charge is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draws: Option<Vec<Draw>>,
    /// The id of the charge.
    pub id: String,
    /// The id of the member for whom the operation runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Your product's JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
    /// The meters and their prices, if the operation has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meters: Option<Vec<Meter>>,
    /// The id of the operation.
    pub operation: String,
    /// `succeeded`, `failed_system`, `failed_user`, `timed_out` or `reversed`; null if none was
    /// reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The number of units for which `unit_price` is, if it is not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<u32>,
    /// The version of the price book that priced the charge.
    pub price_version: u32,
    /// The units of each meter that were charged, if the operation has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantities: Option<BTreeMap<String, i64>>,
    /// The number of units that were charged; of all meters together.
    pub quantity: i64,
    /// Your product's name for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The amount that was refunded so far, in micro-units.
    pub refunded_amount: i64,
    /// `refunded_amount` in dollars, as an exact decimal text.
    pub refunded_amount_usd: String,
    /// The refunds, oldest first; only present if one charge is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunds: Option<Vec<Refund>>,
    /// `pending`, `settled`, or `refunded` (in full).
    pub status: String,
    /// The price of one unit, or of `per` units, in micro-units; null if the operation has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<i64>,
    /// The units of each meter that were used, if the charge was settled; only present if one
    /// charge is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_quantities: Option<BTreeMap<String, i64>>,
    /// The id of the worker that runs the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The id of the workspace that was charged.
    pub workspace: String,
}

/// One run of an operation, which is charged before it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChargeRequest {
    /// Whether the charge is pending until its outcome is reported. If it is absent: true if
    /// `timeout_seconds` is given or the operation has a timeout in the price book.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub await_outcome: Option<bool>,
    /// The id of the member for whom the operation runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// A JSON object that your product chooses, at most 4,096 bytes. It stays in the journal for
    /// ever, so it is not for personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
    /// The id of the operation in the price book.
    pub operation: String,
    /// True: only the platform, or a key with the scope `settle`, reports the outcome of this
    /// charge, and the charge awaits one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome_by_platform: Option<bool>,
    /// The units of each meter, of an operation with meters: an object of meters and numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantities: Option<BTreeMap<String, i64>>,
    /// The number of units, of an operation without meters; 1 if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Your product's name for the run, 1–255 characters. The list can be filtered by it. It stays
    /// in the journal for ever, so it is not for personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The seconds until the deadline. If no outcome is reported by then, the charge is refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The id of the AI worker that runs the operation; your product chooses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

impl ChargeRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(operation: impl Into<String>) -> ChargeRequest {
        ChargeRequest { operation: operation.into(), ..ChargeRequest::default() }
    }
}

/// An amount and its grant: drawn by a charge and not refunded, or returned by a refund.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Draw {
    /// The amount in micro-units.
    pub amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    pub amount_usd: String,
    /// The id of the grant.
    pub grant: String,
}

/// A later deadline for a pending charge.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HeartbeatRequest {
    /// The seconds from now until the new deadline. If the current deadline is later, or earlier by
    /// less than a quarter of the time that is left, it stays.
    pub extend_seconds: u32,
}

impl HeartbeatRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(extend_seconds: u32) -> HeartbeatRequest {
        HeartbeatRequest { extend_seconds }
    }
}

/// A meter and its price.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Meter {
    /// The id by which quantities name the meter.
    pub id: String,
    /// The number of units for which the price is: a power of ten.
    pub per: u32,
    /// The price of `per` units, in micro-units.
    pub unit_price: i64,
    /// `unit_price` in dollars, as an exact decimal text.
    pub unit_price_usd: String,
}

/// What became of an operation. A different outcome later is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OutcomeRequest {
    /// With `failed`: what happened, for people, 1–255 characters. It stays in the journal for
    /// ever, so it is not for personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// With `failed`: `system` refunds the charge, `user` keeps the credit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// With `succeeded`, of an operation with meters: the units used of each. Together they cost at
    /// most what was charged; the difference is refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantities: Option<BTreeMap<String, i64>>,
    /// With `succeeded`: the number of units used, if fewer; the difference is refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// `succeeded` or `failed`.
    pub result: String,
}

impl OutcomeRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(result: impl Into<String>) -> OutcomeRequest {
        OutcomeRequest { result: result.into(), ..OutcomeRequest::default() }
    }
}

/// What the operation would cost now.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Quote {
    /// Whether a charge would pass.
    pub affordable: bool,
    /// The units of each meter that they cover if the other meters stay as they were asked for; of
    /// an operation with meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affordable_quantities: Option<BTreeMap<String, i64>>,
    /// The number of units that the available credit and the limits cover; absent if the operation
    /// has meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affordable_quantity: Option<i64>,
    /// The price of all units, in micro-units.
    pub amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    pub amount_usd: String,
    /// The credit that can be spent, in micro-units.
    pub available: i64,
    /// `available` in dollars, as an exact decimal text.
    pub available_usd: String,
    /// The code with which a charge would be refused, such as `limit_exceeded`; null if it would
    /// pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// The operation to be quoted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QuoteRequest {
    /// The id of an operation in the price book.
    pub operation: String,
    /// The units of each meter, of an operation with meters: an object of meters and numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantities: Option<BTreeMap<String, i64>>,
    /// The number of units, of an operation without meters; 1 if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
}

impl QuoteRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(operation: impl Into<String>) -> QuoteRequest {
        QuoteRequest { operation: operation.into(), ..QuoteRequest::default() }
    }
}

/// One refund of a charge.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Refund {
    /// The amount that was refunded, in micro-units.
    pub amount: i64,
    /// `amount` in dollars, as an exact decimal text.
    pub amount_usd: String,
    /// When it was refunded.
    pub created_at: String,
    /// Why it was refunded, in words of the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The amounts that returned to grants.
    pub gives: Vec<Draw>,
    /// `failed_system`, `timed_out`, `partly_used` or `requested`.
    pub reason: String,
}

/// The refund of a charge. Without an amount, all that is left of the charge is refunded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RefundRequest {
    /// The amount to refund, in micro-units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The amount in dollars, as a decimal text; give one of the two or neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// Why it is refunded, for people, 1–255 characters. It stays in the journal for ever, so it is
    /// not for personal data.
    pub reason: String,
}

impl RefundRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> RefundRequest {
        RefundRequest { reason: reason.into(), ..RefundRequest::default() }
    }
}

/// The query of `GET /v1/workspaces/{workspace}/charges`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChargesQuery {
    /// Only charges of this operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only charges by this worker. The use of a workspace also takes an empty text: without a
    /// worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Only those of this member. The use of a workspace also takes an empty text: without a
    /// member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Only charges that have this status now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Only charges with this reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Only what happened at this time or later. The use of a workspace also takes a date, the
    /// beginning of its day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only what happened before this time. The use of a workspace also takes a date, the beginning
    /// of its day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}
