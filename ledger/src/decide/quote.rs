//! A quote: the price of a charge, and whether the available balance covers it. No credit moves.
//!
//! Suspension, debt and limits are not checked. A quote promises nothing: the balance and the price
//! version may change before the charge.

use super::charge;
use crate::{Micros, OperationId, PriceBook, Refusal, Timestamp, bounds};

/// What a charge would cost at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The amount it would deduct.
    pub amount: Micros,
    /// True if the available balance covers the amount.
    pub affordable: bool,
    /// The number of units that the available balance covers.
    pub affordable_quantity: i64,
}

/// Prices `quantity` units of an operation at `now`, for a workspace that has `available`.
///
/// # Errors
/// [`Refusal::OperationNotFound`] or [`Refusal::QuantityOutOfRange`], as a charge would be refused.
pub fn quote(
    price_book: &PriceBook,
    operation: &OperationId,
    quantity: i64,
    available: Micros,
    now: Timestamp,
) -> Result<Quote, Refusal> {
    let prices = price_book.in_force(now).ok_or(Refusal::OperationNotFound)?;
    let operation = prices.find(operation).ok_or(Refusal::OperationNotFound)?;
    let amount = charge::price(operation, quantity)?;
    let affordable = amount <= available;
    let is_free = operation.unit_price == Micros::ZERO;
    let affordable_quantity =
        if is_free { bounds::QUANTITY_MAX } else { available.whole_units(operation.unit_price) };
    assert!(
        affordable == (affordable_quantity >= quantity),
        "a quantity must be affordable if and only if its amount is"
    );
    Ok(Quote { amount, affordable, affordable_quantity })
}
