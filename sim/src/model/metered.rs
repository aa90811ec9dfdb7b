//! Prices and quantities, as the rules state them: products over a common denominator, whose sum is
//! rounded up once.

use tollkeeper_ledger::{
    ChargeDetails, Meter, MeterQuantities, Micros, OperationPrice, Price, Quantity, Rate, Refusal,
};

use super::charges::invalid;
use super::facts::{Fact, Pool};

/// The least common denominator of all rates.
const DENOMINATOR: i128 = 1_000_000_000;

/// The largest amount, the largest balance.
const AMOUNT_MAX: i128 = (1 << 53) - 1;

/// The units of each rate of a price, or the refusal of a quantity of the other shape.
fn parts(price: &Price, quantity: &Quantity) -> Result<Vec<(Rate, i64)>, Refusal> {
    match (price, quantity) {
        (Price::Units(rate), Quantity::Units(units)) => Ok(vec![(*rate, *units)]),
        (Price::Units(_), Quantity::Meters(_)) => Err(invalid("quantities")),
        (Price::Meters(_), Quantity::Units(_)) => Err(invalid("quantity")),
        (Price::Meters(meters), Quantity::Meters(quantities)) => quantities
            .iter()
            .map(|(id, units)| {
                let meter = meters.iter().find(|meter| meter.id == *id);
                meter.map(|meter| (meter.rate, *units)).ok_or_else(|| invalid("quantities"))
            })
            .collect(),
    }
}

fn most_of(rate: Rate) -> i64 {
    if rate.per == 1 { 1_000_000 } else { 1_000_000_000 }
}

fn numerator(parts: &[(Rate, i64)]) -> i128 {
    let product = |(rate, units): &(Rate, i64)| {
        i128::from(rate.unit_price.get()) * i128::from(*units) * DENOMINATOR / i128::from(rate.per)
    };
    parts.iter().map(product).sum()
}

/// What a quantity costs.
pub(super) fn price(price: &Price, quantity: &Quantity) -> Result<Micros, Refusal> {
    let parts = parts(price, quantity)?;
    let used = parts.iter().map(|(_, units)| i128::from(*units)).sum::<i128>();
    if used < 1 || parts.iter().any(|(rate, units)| *units < 0 || *units > most_of(*rate)) {
        return Err(Refusal::QuantityOutOfRange);
    }
    let numerator = numerator(&parts);
    let amount = numerator / DENOMINATOR + i128::from(numerator % DENOMINATOR > 0);
    if amount > AMOUNT_MAX { Err(Refusal::QuantityOutOfRange) } else { Ok(Micros::new(amount as i64)) }
}

/// What was used costs, of a charge that exists.
pub(super) fn price_of_used(charge: &ChargeDetails, used: &Quantity) -> Result<Micros, Refusal> {
    let out_of_range = Refusal::UsedQuantityOutOfRange;
    let cost = match price(&charge.price, used) {
        Err(Refusal::QuantityOutOfRange) => return Err(out_of_range),
        other => other?,
    };
    let too_many =
        matches!((used, &charge.quantity), (Quantity::Units(used), Quantity::Units(paid)) if used > paid);
    let for_nothing = cost == Micros::ZERO && charge.amount > Micros::ZERO;
    if too_many || for_nothing || cost > charge.amount { Err(out_of_range) } else { Ok(cost) }
}

/// All units.
pub(super) fn total(quantity: &Quantity) -> i64 {
    match quantity {
        Quantity::Units(units) => *units,
        Quantity::Meters(quantities) => quantities.iter().map(|(_, units)| units).sum(),
    }
}

/// What `available` pays for: units, or of each meter beside the others.
pub(super) fn affordable(price: &Price, asked: &Quantity, available: Micros) -> Box<Quantity> {
    let room = i128::from(available.get()) * DENOMINATOR;
    let within = |rate: Rate, room: i128| {
        let unit = numerator(&[(rate, 1)]);
        let most =
            if matches!(price, Price::Units(Rate { per: 1, .. })) { i128::MAX } else { most_of(rate).into() };
        match (room < 0, unit) {
            (true, _) => 0,
            (false, 0) => most_of(rate),
            (false, unit) => (room / unit).min(most) as i64,
        }
    };
    Box::new(match (price, asked) {
        (Price::Meters(meters), Quantity::Meters(quantities)) => {
            let of = |Meter { id, rate }: &Meter| {
                let others = quantities.iter().filter(|(other, _)| other != id);
                let others: Vec<_> = others
                    .filter_map(|(other, units)| {
                        Some((meters.iter().find(|meter| meter.id == *other)?.rate, *units))
                    })
                    .collect();
                (id.clone(), within(*rate, room - numerator(&others)))
            };
            Quantity::Meters(MeterQuantities::of_each(meters.iter().map(of)))
        }
        (Price::Units(rate), _) => Quantity::Units(within(*rate, room)),
        (Price::Meters(_), Quantity::Units(_)) => unreachable!("such a quantity has no price"),
    })
}

/// Checks a new price.
pub(super) fn check(operation: &OperationPrice) -> Result<(), Refusal> {
    let check_rate = |rate: Rate| {
        if !(0..=9_000_000_000).contains(&rate.unit_price.get()) {
            return Err(invalid("unit_price"));
        }
        let powers = (0..=9).map(|digits| 10_u32.pow(digits));
        if powers.into_iter().any(|power| power == rate.per) { Ok(()) } else { Err(invalid("per")) }
    };
    match &operation.price {
        Price::Units(rate) => check_rate(*rate),
        Price::Meters(meters) => {
            if meters.is_empty() || meters.len() > 8 {
                return Err(invalid("meters"));
            }
            meters.iter().try_for_each(|meter| check_rate(meter.rate))?;
            let is_twice = |(index, meter): (usize, &Meter)| {
                meters[..index].iter().any(|earlier| earlier.id == meter.id)
            };
            if meters.iter().enumerate().any(is_twice) { Err(invalid("meters")) } else { Ok(()) }
        }
    }
}

/// A price with its meters in order.
pub(super) fn sorted(price: &Price) -> Price {
    match price {
        Price::Units(rate) => Price::Units(*rate),
        Price::Meters(meters) => {
            let mut meters = meters.to_vec();
            meters.sort_by(|a, b| a.id.cmp(&b.id));
            Price::Meters(meters.into())
        }
    }
}

impl Pool {
    /// What a charge used of its meters, if it was settled.
    #[must_use]
    pub fn used_of_meters(&self, charge: usize) -> Option<MeterQuantities> {
        let opened = self.charges()[charge].details.clone();
        let reported = self.lines.iter().find_map(|line| match &line.fact {
            Fact::Settled { charge: settled, quantity, .. } if *settled == charge => Some(quantity),
            _ => None,
        });
        // One without a deadline used what it paid for.
        let used = if opened.deadline.is_none() { Some(&opened.quantity) } else { reported };
        used?.meters().cloned()
    }
}
