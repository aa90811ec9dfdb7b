//! Decides what concerns the platform as a whole: a new version of the price book (P2).
//!
//! A version is checked whole before it is written, so that the price of a charge is found without
//! further checks.

use super::view::View;
use crate::{EntryBody, Operation, OperationPrice, Price, PriceVersion, Rate, Refusal, Timestamp, bounds};

/// Creates a new version of the price book; none if these prices are in force at that time anyway.
/// An operation that is not in it is retired, one whose price is zero is free. A planned version
/// stays planned: the version in force is the one whose time came last.
///
/// # Errors
/// `InvalidField`.
pub(super) fn set_prices(
    view: &View,
    operations: Vec<OperationPrice>,
    effective_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    if operations.is_empty() || operations.len() > bounds::OPERATIONS_MAX {
        return refuse("operations", "must be 1 to 1,000");
    }
    let effective_at = effective_at.unwrap_or(now);
    if effective_at.plus_seconds(bounds::PRICE_LATENESS_SECONDS) < now {
        return refuse("effective_at", "must not be in the past: what was charged stays as it was");
    }
    // The time of the caller's clock, which may be a little late.
    let effective_at = effective_at.max(now);
    let mut list = Vec::with_capacity(operations.len());
    for OperationPrice { id, price, timeout_seconds } in operations {
        let price = check_price(price)?;
        let range = bounds::TIMEOUT_MIN_SECONDS..=bounds::TIMEOUT_MAX_SECONDS;
        if timeout_seconds.is_some_and(|seconds| !range.contains(&seconds)) {
            return refuse("timeout_seconds", "must be 1 to 604800, a week");
        }
        list.push(Operation { id, price, timeout_seconds });
    }
    list.sort_by(|a, b| a.id.cmp(&b.id));
    if list.windows(2).any(|pair| pair[0].id == pair[1].id) {
        return refuse("operations", "must name each operation once");
    }
    // The same prices again change nothing.
    let current = view.platform.price_book.in_force(effective_at);
    if current.is_some_and(|current| current.operations == list) {
        return Ok(Vec::new());
    }
    let version = u32::try_from(view.platform.price_book.versions().len() + 1);
    let version = version.expect("four thousand million price versions do not fit in memory");
    let version = PriceVersion { version, effective_at, operations: list };
    version.assert_sorted();
    assert!(version.effective_at >= now, "a price version must not price earlier charges");
    let last = view.platform.price_book.versions().last().map_or(0, |last| last.version);
    assert!(version.version == last + 1, "price versions must be numbered without gaps");
    Ok(vec![EntryBody::PricesSet(version)])
}

/// The price with its meters sorted.
///
/// # Errors
/// `InvalidField`.
fn check_price(price: Price) -> Result<Price, Refusal> {
    let refuse = |field, why| Refusal::InvalidField { field, why };
    let check_rate = |Rate { unit_price, per }: Rate| {
        if !(0..=bounds::UNIT_PRICE_MAX_MICROS).contains(&unit_price.get()) {
            return Err(refuse("unit_price", "must be 0 to 9,000,000,000 micro-units"));
        }
        let is_power_of_ten = per.checked_ilog10().is_some_and(|digits| 10_u32.pow(digits) == per);
        if !is_power_of_ten || per > bounds::PER_MAX {
            return Err(refuse("per", "must be a power of ten, 1 to 1,000,000,000"));
        }
        Ok(())
    };
    match price {
        Price::Units(rate) => check_rate(rate)?,
        Price::Meters(mut meters) => {
            if !(1..=bounds::METERS_MAX).contains(&meters.len()) {
                return Err(refuse("meters", "must be 1 to 8"));
            }
            meters.iter().try_for_each(|meter| check_rate(meter.rate))?;
            meters.sort_by(|a, b| a.id.cmp(&b.id));
            if meters.windows(2).any(|pair| pair[0].id == pair[1].id) {
                return Err(refuse("meters", "must name each meter once"));
            }
            return Ok(Price::Meters(meters));
        }
    }
    Ok(price)
}
