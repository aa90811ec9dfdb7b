//! A quote: the price of a charge, and whether the charge would pass. No credit moves.
//!
//! The same rules are asked in the same order as for a charge: suspension, debt, limits, balance. A
//! quote promises nothing: all of them and the price version may change before the charge.

use super::charge;
use crate::{
    Balance, Limits, MeterQuantities, Micros, PeriodWindows, PriceBook, Quantity, Refusal, Spender, Timestamp,
};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The amount it would deduct.
    pub amount: Micros,
    /// True if a charge of the amount would pass.
    pub affordable: bool,
    /// What a charge could pay for: a number of units, or of each meter if the others stay.
    pub affordable_quantity: Quantity,
    /// The code of the refusal of such a charge; `None` if it would pass.
    pub refusal: Option<&'static str>,
}

/// Prices a quantity of the spender's operation at `now`.
///
/// # Errors
/// [`Refusal::OperationNotFound`], [`Refusal::InvalidField`] or [`Refusal::QuantityOutOfRange`], as
/// a charge would be refused.
pub fn quote(
    price_book: &PriceBook,
    quantity: &Quantity,
    basis: QuoteBasis<'_>,
    now: Timestamp,
) -> Result<Quote, Refusal> {
    let QuoteBasis { balance, suspended, limits, windows, spender } = basis;
    assert!(balance.available >= Micros::ZERO, "i04: the available balance must not be negative");
    let prices = price_book.in_force(now).ok_or(Refusal::OperationNotFound)?;
    let operation = prices.find(&spender.operation).ok_or(Refusal::OperationNotFound)?;
    let amount = charge::price(&operation.price, quantity)?;
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
    let affordable_quantity = match (is_blocked, quantity) {
        (false, _) => operation.price.affordable(quantity, spendable),
        (true, Quantity::Units(_)) => Quantity::Units(0),
        (true, Quantity::Meters(_)) => Quantity::Meters(MeterQuantities::default()),
    };
    assert!(affordable == (!is_blocked && amount <= spendable), "a quote must not promise a refused charge");
    let is_within = match (quantity, &affordable_quantity) {
        (Quantity::Units(asked), Quantity::Units(most)) => asked <= most,
        (Quantity::Meters(asked), Quantity::Meters(most)) => {
            asked.iter().all(|(meter, units)| *units <= most.get(meter))
        }
        _ => false,
    };
    assert!(
        is_blocked || affordable == is_within,
        "a quantity must be affordable if and only if its amount is"
    );
    Ok(Quote { amount, affordable, affordable_quantity, refusal })
}
