//! A quote: the price of a charge, and whether the charge would pass. No credit moves.
//!
//! The same rules are asked in the same order as for a charge: suspension, debt, limits, balance. A
//! quote promises nothing: all of them and the price version may change before the charge.

use super::charge;
use crate::{Balance, Limits, Micros, PeriodWindows, PriceBook, Refusal, Spender, Timestamp, bounds};

/// What a quote depends on beside the price book.
#[derive(Clone, Copy, Debug)]
pub struct QuoteBasis<'a> {
    /// The balance of the workspace.
    pub balance: Balance,
    /// True if the platform suspended the workspace.
    pub suspended: bool,
    /// The spending limits of the workspace.
    pub limits: &'a Limits,
    /// The current day and month of the workspace.
    pub windows: &'a PeriodWindows,
    /// For whom the operation would run.
    pub spender: &'a Spender,
}

/// What a charge would cost at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The amount it would deduct.
    pub amount: Micros,
    /// True if a charge of the amount would pass.
    pub affordable: bool,
    /// The number of units that a charge could pay for.
    pub affordable_quantity: i64,
    /// The code of the refusal of such a charge; `None` if it would pass.
    pub refusal: Option<&'static str>,
}

/// Prices `quantity` units of the spender's operation at `now`.
///
/// # Errors
/// [`Refusal::OperationNotFound`] or [`Refusal::QuantityOutOfRange`], as a charge would be refused.
pub fn quote(
    price_book: &PriceBook,
    quantity: i64,
    basis: QuoteBasis<'_>,
    now: Timestamp,
) -> Result<Quote, Refusal> {
    let QuoteBasis { balance, suspended, limits, windows, spender } = basis;
    assert!(balance.available >= Micros::ZERO, "i04: the available balance must not be negative");
    let prices = price_book.in_force(now).ok_or(Refusal::OperationNotFound)?;
    let operation = prices.find(&spender.operation).ok_or(Refusal::OperationNotFound)?;
    let amount = charge::price(operation, quantity)?;
    let left = limits.least_left(spender, windows);
    let is_blocked = suspended || balance.debt > Micros::ZERO;
    let spendable =
        if is_blocked { Micros::ZERO } else { left.unwrap_or(Micros::MAX).min(balance.available) };
    let refusal = if suspended {
        Some("workspace_suspended")
    } else if balance.debt > Micros::ZERO {
        Some("debt_outstanding")
    } else if left.is_some_and(|left| left < amount) {
        Some("limit_exceeded")
    } else if balance.available < amount {
        Some("insufficient_credits")
    } else {
        None
    };
    let affordable = refusal.is_none();
    let affordable_quantity = if is_blocked {
        0
    } else if operation.unit_price == Micros::ZERO {
        bounds::QUANTITY_MAX
    } else {
        spendable.whole_units(operation.unit_price)
    };
    assert!(affordable == (!is_blocked && amount <= spendable), "a quote must not promise a refused charge");
    assert!(
        is_blocked || operation.unit_price == Micros::ZERO || affordable == (affordable_quantity >= quantity),
        "a quantity must be affordable if and only if its amount is"
    );
    Ok(Quote { amount, affordable, affordable_quantity, refusal })
}
