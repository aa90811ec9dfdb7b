//! What an operation costs: a rate for its units, or a rate for each of its meters.
//!
//! A rate is a price for a number of units, so that prices below a micro-unit are exact: $0.15 for
//! a million tokens is 15,000 micro-units for 1,000,000 units. All products are summed exactly in
//! 128 bits over a common denominator, and the sum is rounded up once, to a whole micro-unit.
//!
//! Guarantees: an amount never exceeds what a balance can hold, and what is affordable costs no
//! more than what can be spent. Which prices are allowed is decided in `decide::prices`.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{MeterId, Micros, bounds};

/// `unit_price` for `per` units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What `per` units cost.
    pub unit_price: Micros,
    /// A power of ten, 1 to [`bounds::PER_MAX`].
    pub per: u32,
}

/// A part of an operation's use that has its own rate, such as its input or its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// The id of the meter, chosen by the platform, unique in its operation.
    pub id: MeterId,
    /// What its units cost.
    pub rate: Rate,
}

/// What an operation costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// A rate for all units.
    Units(Rate),
    /// A rate for each meter: 1 to [`bounds::METERS_MAX`], sorted by id.
    Meters(Box<[Meter]>),
}

/// How much of an operation is paid for or was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Units of an operation with one rate.
    Units(i64),
    /// Units of each meter.
    Meters(MeterQuantities),
}

/// Units of meters, sorted by id. What is asked for or used has no meter that is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeterQuantities(Box<[(MeterId, i64)]>);

impl Rate {
    /// A price for one unit.
    #[must_use]
    pub const fn of_unit(unit_price: Micros) -> Rate {
        Rate { unit_price, per: 1 }
    }

    /// The largest quantity that one charge may name: more if units cost less than a micro-unit.
    #[must_use]
    pub const fn quantity_max(self) -> i64 {
        if self.per > 1 { bounds::METERED_QUANTITY_MAX } else { bounds::QUANTITY_MAX }
    }

    /// What one unit costs, as a number of micro-units divided by [`bounds::PER_MAX`].
    fn scaled(self) -> i128 {
        assert!(
            self.per > 0 && bounds::PER_MAX.is_multiple_of(self.per),
            "a rate must be for a power of ten"
        );
        i128::from(self.unit_price.get()) * i128::from(bounds::PER_MAX / self.per)
    }

    /// The units that `room`, scaled likewise, pays for.
    fn units_within(self, room: i128) -> i64 {
        let scaled = self.scaled();
        if room < 0 {
            return 0;
        }
        let units = if scaled == 0 { i128::MAX } else { room / scaled };
        // A plain price has no other bound than what can be spent.
        let most = if self.per == 1 && scaled > 0 { i64::MAX } else { self.quantity_max() };
        let units = i64::try_from(units.min(i128::from(most))).expect("it is below the bound");
        assert!(scaled * i128::from(units) <= room, "what is affordable must not cost more than the room");
        units
    }
}

impl From<Micros> for Price {
    /// A price for one unit.
    fn from(unit_price: Micros) -> Price {
        Price::Units(Rate::of_unit(unit_price))
    }
}

impl From<i64> for Quantity {
    fn from(units: i64) -> Quantity {
        Quantity::Units(units)
    }
}

impl Price {
    /// The price of one unit, if the operation has one and it is whole.
    #[must_use]
    pub const fn unit_price(&self) -> Option<Micros> {
        match self {
            Price::Units(Rate { unit_price, per: 1 }) => Some(*unit_price),
            Price::Units(_) | Price::Meters(_) => None,
        }
    }

    /// The meters; none if the operation has one rate.
    #[must_use]
    pub fn meters(&self) -> &[Meter] {
        match self {
            Price::Units(_) => &[],
            Price::Meters(meters) => meters,
        }
    }

    /// The rate of a meter.
    #[must_use]
    pub fn meter(&self, id: &MeterId) -> Option<Rate> {
        self.meters().iter().find(|meter| meter.id == *id).map(|meter| meter.rate)
    }

    /// What a quantity costs, rounded up once to a whole micro-unit; `None` if it is of the other
    /// shape, names an unknown meter, or is out of range.
    #[must_use]
    pub fn amount(&self, quantity: &Quantity) -> Option<Micros> {
        // The most frequent case needs no 128 bits.
        if let (Price::Units(Rate { unit_price, per: 1 }), Quantity::Units(units)) = (self, quantity) {
            let is_in_range = (1..=bounds::QUANTITY_MAX).contains(units);
            return if is_in_range { unit_price.checked_times(*units) } else { None };
        }
        let is_in_range = match (self, quantity) {
            (Price::Units(rate), Quantity::Units(units)) => (1..=rate.quantity_max()).contains(units),
            (Price::Meters(_), Quantity::Meters(quantities)) => {
                quantities.total() > 0
                    && quantities.iter().all(|(id, units)| {
                        self.meter(id).is_some_and(|rate| (0..=rate.quantity_max()).contains(units))
                    })
            }
            _ => false,
        };
        if !is_in_range {
            return None;
        }
        let whole = i128::from(bounds::PER_MAX);
        let amount = (self.scaled(quantity) + whole - 1) / whole;
        let amount = i64::try_from(amount).ok().map(Micros::new).filter(|amount| *amount <= Micros::MAX)?;
        assert!(amount >= Micros::ZERO, "a price must not be negative, or a charge would add credit");
        Some(amount)
    }

    /// What a quantity costs before it is rounded, in micro-units divided by [`bounds::PER_MAX`].
    /// It stays far within 128 bits: eight meters of at most 10^9 units of at most 9 × 10^18.
    fn scaled(&self, quantity: &Quantity) -> i128 {
        match (self, quantity) {
            (Price::Units(rate), Quantity::Units(units)) => rate.scaled() * i128::from(*units),
            (Price::Meters(meters), Quantity::Meters(quantities)) => {
                meters.iter().map(|meter| meter.rate.scaled() * i128::from(quantities.get(&meter.id))).sum()
            }
            _ => 0,
        }
    }

    /// What any quantity would cost, rounded down, also one that no single charge may name. Units
    /// of meters that the price does not have cost nothing. More than 128 bits hold is their end.
    #[must_use]
    pub fn gross_micros(&self, quantity: &Quantity) -> i128 {
        let (mut whole, mut rest) = (0_i128, 0_i128);
        let mut add = |rate: Rate, units: i64| {
            let product = i128::from(rate.unit_price.get()) * i128::from(units);
            whole = whole.saturating_add(product / i128::from(rate.per));
            rest += product % i128::from(rate.per) * i128::from(bounds::PER_MAX / rate.per);
        };
        match (self, quantity) {
            (Price::Units(rate), _) => add(*rate, quantity.total()),
            (Price::Meters(_), Quantity::Units(_)) => {}
            (Price::Meters(meters), Quantity::Meters(quantities)) => {
                meters.iter().for_each(|meter| add(meter.rate, quantities.get(&meter.id)));
            }
        }
        whole.saturating_add(rest / i128::from(bounds::PER_MAX))
    }

    /// How much `spendable` pays for: units, or of each meter if the others stay as they were asked
    /// for. Nothing costs nothing, so of what is free it is the largest quantity.
    #[must_use]
    pub fn affordable(&self, asked: &Quantity, spendable: Micros) -> Quantity {
        let room = i128::from(spendable.get()) * i128::from(bounds::PER_MAX);
        match (self, asked) {
            (Price::Units(rate), _) => Quantity::Units(rate.units_within(room)),
            (Price::Meters(meters), Quantity::Meters(quantities)) => {
                let all = self.scaled(asked);
                let of_meter = |Meter { id, rate }: &Meter| {
                    let own = rate.scaled() * i128::from(quantities.get(id));
                    let units = rate.units_within(room - (all - own)).min(rate.quantity_max());
                    (id.clone(), units)
                };
                Quantity::Meters(MeterQuantities::of_each(meters.iter().map(of_meter)))
            }
            (Price::Meters(_), Quantity::Units(_)) => Quantity::Meters(MeterQuantities::default()),
        }
    }

    /// True if entries have always been able to hold such a price: whole micro-units for one unit.
    pub(crate) const fn is_plain(&self) -> bool {
        self.unit_price().is_some()
    }

    /// Writes a price that is not plain.
    pub(crate) fn write_metered(&self, w: &mut Writer) {
        let write_rate = |w: &mut Writer, rate: Rate| {
            w.byte(rate.per.ilog10() as u8);
            w.micros(rate.unit_price);
        };
        match self {
            Price::Units(rate) => {
                assert!(rate.per > 1, "a plain price has its own encoding");
                w.unsigned(0);
                write_rate(w, *rate);
            }
            Price::Meters(meters) => {
                assert!(!meters.is_empty(), "a price must have a rate");
                w.list(meters, |w, meter| {
                    w.text(meter.id.as_str());
                    write_rate(w, meter.rate);
                });
            }
        }
    }

    pub(crate) fn read_metered(r: &mut Reader) -> Result<Price, Malformed> {
        let meters = r.list("the meters", |r| {
            Ok(Meter { id: MeterId::known(r.text("a meter")?), rate: read_rate(r)? })
        })?;
        if meters.is_empty() {
            let rate = read_rate(r)?;
            return if rate.per > 1 { Ok(Price::Units(rate)) } else { Err(Malformed("a rate")) };
        }
        if !meters.is_sorted_by(|a, b| a.id < b.id) {
            return Err(Malformed("the meters"));
        }
        Ok(Price::Meters(meters.into()))
    }
}

fn read_rate(r: &mut Reader) -> Result<Rate, Malformed> {
    let per = 10_u32.checked_pow(r.byte("a rate")?.into()).filter(|per| *per <= bounds::PER_MAX);
    Ok(Rate { per: per.ok_or(Malformed("a rate"))?, unit_price: r.micros("a rate")? })
}

impl Quantity {
    /// All units together.
    #[must_use]
    pub fn total(&self) -> i64 {
        match self {
            Quantity::Units(units) => *units,
            Quantity::Meters(quantities) => quantities.total(),
        }
    }

    /// The units of meters; `None` if the operation has one rate.
    #[must_use]
    pub const fn meters(&self) -> Option<&MeterQuantities> {
        match self {
            Quantity::Units(_) => None,
            Quantity::Meters(quantities) => Some(quantities),
        }
    }

    /// Writes the quantity of a price that is not plain.
    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Quantity::Units(units) => {
                w.unsigned(0);
                w.signed(*units);
            }
            Quantity::Meters(quantities) => {
                assert!(!quantities.0.is_empty(), "a quantity of meters must name one");
                w.list(&quantities.0, |w, (id, units)| {
                    w.text(id.as_str());
                    w.signed(*units);
                });
            }
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Quantity, Malformed> {
        const WHAT: &str = "a quantity";
        let quantities = r.list(WHAT, |r| Ok((MeterId::known(r.text(WHAT)?), r.signed(WHAT)?)))?;
        if quantities.is_empty() {
            return Ok(Quantity::Units(r.signed(WHAT)?));
        }
        let sorted = quantities.is_sorted_by(|a, b| a.0 < b.0);
        if !sorted || quantities.iter().any(|(_, units)| *units <= 0) {
            return Err(Malformed(WHAT));
        }
        Ok(Quantity::Meters(MeterQuantities(quantities.into())))
    }
}

impl MeterQuantities {
    /// The quantities; a meter that is zero is left out. `None` if a meter is named twice.
    #[must_use]
    pub fn new(quantities: impl IntoIterator<Item = (MeterId, i64)>) -> Option<MeterQuantities> {
        let mut quantities: Vec<_> = quantities.into_iter().collect();
        quantities.sort();
        if quantities.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return None;
        }
        quantities.retain(|(_, units)| *units != 0);
        Some(MeterQuantities(quantities.into()))
    }

    /// What is affordable of each meter, also of those of which nothing is.
    #[must_use]
    pub fn of_each(quantities: impl IntoIterator<Item = (MeterId, i64)>) -> MeterQuantities {
        let mut quantities: Vec<_> = quantities.into_iter().collect();
        quantities.sort();
        MeterQuantities(quantities.into())
    }

    /// The units of a meter; zero if it is not named.
    #[must_use]
    pub fn get(&self, id: &MeterId) -> i64 {
        self.0.iter().find(|(named, _)| named == id).map_or(0, |(_, units)| *units)
    }

    /// The meters that are named, with their units.
    pub fn iter(&self) -> impl Iterator<Item = &(MeterId, i64)> {
        self.0.iter()
    }

    /// All units together; an impossible sum is the largest number.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.iter().fold(0, |sum: i64, (_, units)| sum.saturating_add(*units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> MeterId {
        MeterId::new(name).expect("an allowed name")
    }

    fn rate(unit_price: i64, per: u32) -> Rate {
        Rate { unit_price: Micros::new(unit_price), per }
    }

    /// $0.15 for a million tokens of input, half of it if they are cached, $0.60 for output.
    fn tokens() -> Price {
        let meter = |name, unit_price| Meter { id: id(name), rate: rate(unit_price, 1_000_000) };
        Price::Meters([meter("cached", 7_500), meter("input", 15_000), meter("output", 60_000)].into())
    }

    fn used(quantities: &[(&str, i64)]) -> Quantity {
        let quantities = quantities.iter().map(|(name, units)| (id(name), *units));
        Quantity::Meters(MeterQuantities::new(quantities).expect("each meter is named once"))
    }

    fn amount(price: &Price, quantity: &Quantity) -> Option<i64> {
        price.amount(quantity).map(Micros::get)
    }

    #[test]
    fn a_price_below_a_micro_unit_is_exact_and_rounded_up_once() {
        let price = Price::Units(rate(15_000, 1_000_000));
        let costs = |units: i64| amount(&price, &units.into());
        assert_eq!([1, 66, 67, 1_000_000].map(costs), [Some(1), Some(1), Some(2), Some(15_000)]);
        assert_eq!([0, -1, 1_000_000_000, 1_000_000_001].map(costs), [None, None, Some(15_000_000), None]);
        // 18 + 0.0075 + 48: each meter rounded by itself would make 68.
        assert_eq!(amount(&tokens(), &used(&[("input", 1_200), ("cached", 1), ("output", 800)])), Some(67));
        assert_eq!(amount(&tokens(), &used(&[("input", 1)])), Some(1));
    }

    #[test]
    fn a_quantity_must_fit_its_price() {
        let plain = Price::from(Micros::new(500));
        assert_eq!(amount(&plain, &3.into()), Some(1_500));
        assert_eq!(amount(&plain, &1_000_001.into()), None);
        assert_eq!(amount(&plain, &used(&[("input", 1)])), None, "it has no meters");
        assert_eq!(amount(&tokens(), &1.into()), None, "it has no units but those of its meters");
        for wrong in [&[][..], &[("input", 0)], &[("input", -1), ("output", 5)], &[("other", 1)]] {
            assert_eq!(amount(&tokens(), &used(wrong)), None, "{wrong:?}");
        }
        assert_eq!(amount(&tokens(), &used(&[("input", 1_000_000_001)])), None);
        assert_eq!(amount(&tokens(), &used(&[("input", i64::MAX), ("output", i64::MAX)])), None);
        let twice = MeterQuantities::new([(id("input"), 1), (id("input"), 2)]);
        assert_eq!(twice, None);
    }

    #[test]
    fn no_amount_exceeds_what_a_balance_can_hold() {
        let most = rate(bounds::UNIT_PRICE_MAX_MICROS, 10);
        let price = Price::Meters((0..8).map(|n| Meter { id: id(&format!("m{n}")), rate: most }).collect());
        let all: Vec<_> = (0..8).map(|n| (id(&format!("m{n}")), bounds::METERED_QUANTITY_MAX)).collect();
        let all = Quantity::Meters(MeterQuantities::new(all).expect("each is named once"));
        assert_eq!(price.amount(&all), None);
        let Quantity::Meters(affordable) = price.affordable(&all, Micros::MAX) else {
            panic!("it has meters")
        };
        assert_eq!(affordable.total(), 0, "the others cost more than any balance");
    }

    #[test]
    fn what_is_affordable_can_be_paid_and_one_more_cannot() {
        let price = Price::Units(rate(15_000, 1_000_000));
        for spendable in [0, 1, 2, 17, 1_000] {
            let spendable = Micros::new(spendable);
            let units = price.affordable(&1.into(), spendable).total();
            assert!(units == 0 || price.amount(&units.into()) <= Some(spendable));
            assert!(price.amount(&(units + 1).into()) > Some(spendable));
        }
        let asked = used(&[("input", 1_200), ("output", 800)]);
        let affordable = price_of(&tokens(), &asked, 40);
        assert_eq!(affordable, [("cached", 0), ("input", 0), ("output", 366)]);
        let lowered = used(&[("input", 1_200), ("output", 366)]);
        assert_eq!(amount(&tokens(), &lowered), Some(40));
        assert_eq!(price_of(&tokens(), &asked, 10), [("cached", 0), ("input", 0), ("output", 0)]);
        let free = Price::Units(rate(0, 10));
        assert_eq!(free.affordable(&5.into(), Micros::ZERO), Quantity::Units(bounds::METERED_QUANTITY_MAX));
    }

    fn price_of(price: &Price, asked: &Quantity, spendable: i64) -> Vec<(&'static str, i64)> {
        let affordable = price.affordable(asked, Micros::new(spendable));
        let quantities = affordable.meters().expect("the price has meters");
        ["cached", "input", "output"].map(|name| (name, quantities.get(&id(name)))).to_vec()
    }

    #[test]
    fn prices_and_quantities_read_back_and_have_one_encoding() {
        let prices = [tokens(), Price::Units(rate(15_000, 1_000_000)), Price::Units(rate(0, 10))];
        for price in prices {
            let mut bytes = Vec::new();
            price.write_metered(&mut Writer(&mut bytes));
            assert_eq!(Price::read_metered(&mut Reader(&bytes)), Ok(price));
        }
        for quantity in [Quantity::Units(7), used(&[("input", 1_200), ("output", 800)])] {
            let mut bytes = Vec::new();
            quantity.write(&mut Writer(&mut bytes));
            assert_eq!(Quantity::read(&mut Reader(&bytes)), Ok(quantity));
        }
        let plain = [0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Price::read_metered(&mut Reader(&plain)), Err(Malformed("a rate")), "it is plain");
        let zero = [1, 1, b'a', 0];
        assert_eq!(Quantity::read(&mut Reader(&zero)), Err(Malformed("a quantity")), "a meter that is zero");
        let twice = [2, 1, b'a', 2, 1, b'a', 2];
        assert_eq!(Quantity::read(&mut Reader(&twice)), Err(Malformed("a quantity")));
    }
}
