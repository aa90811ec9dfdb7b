//! Prices below a micro-unit, and charges of operations with meters.
//!
//! Nothing here draws a number: a draw would shift all that follow, and with them the seeds that
//! are kept.

use tollkeeper_ledger::{
    Meter, MeterId, MeterQuantities, Micros, OperationId, OperationPrice, Price, Quantity, Rate,
};

const MILLION: u32 = 1_000_000;

fn quantities(input: i64, output: i64) -> Quantity {
    let id = |name| MeterId::new(name).expect("a name");
    let quantities = MeterQuantities::new([(id("input"), input), (id("output"), output)]);
    Quantity::Meters(quantities.expect("two meters"))
}

/// Tokens of a language model, and a search that costs a tenth of a micro-unit.
pub(super) fn price_list() -> [OperationPrice; 2] {
    let meter = |name, unit_price, per| Meter {
        id: MeterId::new(name).expect("a name"),
        rate: Rate { unit_price: Micros::new(unit_price), per },
    };
    let operation = |name, price| OperationPrice {
        id: OperationId::new(name).expect("a name"),
        price,
        timeout_seconds: None,
    };
    [
        operation(
            "chat",
            Price::Meters([meter("output", 60_000, MILLION), meter("input", 15, 1_000)].into()),
        ),
        operation("search", Price::Units(Rate { unit_price: Micros::new(100), per: 1_000 })),
    ]
}

/// What a charge asks for, by a roll of 4 to 19; `None` for an operation with a plain price.
pub(super) fn asked(roll: u64, count: i64) -> Option<(OperationId, Quantity)> {
    let operation = |name| OperationId::new(name).expect("a name");
    Some(match roll {
        4..9 => (operation("chat"), quantities(count * 997, count * 331)),
        9 => (operation("chat"), quantities(1, 0)),
        10 => (operation("chat"), count.into()),
        11 => (operation("search"), (count * 77).into()),
        12 => (operation("search"), quantities(count, 1)),
        13 => (operation("chat"), quantities(-count, count)),
        _ => return None,
    })
}

/// What was used of a charge with this price, by a number of 0 to 11.
pub(super) fn used(price: Option<&Price>, count: i64) -> Quantity {
    match price {
        Some(Price::Meters(_)) if count < 11 => quantities(count * 1_500, count * 50),
        Some(Price::Units(rate)) if rate.per > 1 => (count * 60).into(),
        _ => count.into(),
    }
}

/// The same with one unit more.
pub(super) fn one_more(quantity: &Quantity) -> Quantity {
    match quantity {
        Quantity::Units(units) => units.saturating_add(1).into(),
        Quantity::Meters(_) => quantities(quantity.total().saturating_add(1), 0),
    }
}

/// Makes a plain price dearer.
pub(super) fn raise(price: &mut Price, dearer: i64) {
    if let Price::Units(rate) = price {
        rate.unit_price += Micros::new(dearer);
    }
}
