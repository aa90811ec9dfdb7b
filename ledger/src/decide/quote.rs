//! What a charge would cost, without charging: the same price and the same refusals, nothing moves.

use crate::account::charge;
use crate::{Micros, OperationId, PriceBook, Refusal, Timestamp};

/// What a charge would cost now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What it would deduct.
    pub amount: Micros,
    /// Whether there is enough.
    pub affordable: bool,
    /// How many units there is enough for.
    pub affordable_quantity: i64,
}

/// Prices `quantity` units of an operation for a pool that holds `available`.
///
/// # Errors
/// [`Refusal::OperationNotFound`] or [`Refusal::QuantityOutOfRange`], as a charge would be refused.
pub fn quote(
    book: &PriceBook,
    operation: &OperationId,
    quantity: i64,
    available: Micros,
    now: Timestamp,
) -> Result<Quote, Refusal> {
    let prices = book.in_force(now).ok_or(Refusal::OperationNotFound)?;
    let operation = prices.find(operation).ok_or(Refusal::OperationNotFound)?;
    let amount = charge::price(operation, quantity)?;
    Ok(Quote {
        amount,
        affordable: amount <= available,
        affordable_quantity: available.whole_units(operation.unit_price),
    })
}
