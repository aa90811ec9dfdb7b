//! Quantities and prices in JSON: a number of units with the price of one, or units and prices of
//! meters.
//!
//! An operation with one price has `quantity`, an operation with meters has `quantities`. Which of
//! them an operation takes is decided in the ledger.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use tollkeeper_ledger::{Meter, MeterId, MeterQuantities, Price, Quantity};
use utoipa::ToSchema;

use super::ReadError;
use super::write::Usd;

/// Units of meters, as a request names them.
#[derive(Clone, Debug)]
pub struct QuantitiesIn(MeterQuantities);

impl<'de> Deserialize<'de> for QuantitiesIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<QuantitiesIn, D::Error> {
        struct Units;
        impl<'de> Visitor<'de> for Units {
            type Value = QuantitiesIn;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of meters and their units")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<QuantitiesIn, A::Error> {
                let mut quantities = Vec::new();
                while let Some((name, units)) = map.next_entry::<String, i64>()? {
                    let meter =
                        MeterId::new(&name).map_err(|why| A::Error::custom(format!("a meter {why}")))?;
                    quantities.push((meter, units));
                }
                let quantities = MeterQuantities::new(quantities);
                quantities.map(QuantitiesIn).ok_or_else(|| A::Error::custom("a meter is there twice"))
            }
        }
        deserializer.deserialize_map(Units)
    }
}

/// The quantity of a request, if it names one.
///
/// # Errors
/// It has both fields.
pub fn quantity(
    quantity: Option<i64>,
    quantities: Option<QuantitiesIn>,
) -> Result<Option<Quantity>, ReadError> {
    match (quantity, quantities) {
        (Some(_), Some(_)) => Err(ReadError::field("quantities", "cannot be given with `quantity`")),
        (None, Some(QuantitiesIn(quantities))) => Ok(Some(Quantity::Meters(quantities))),
        (units, None) => Ok(units.map(Quantity::Units)),
    }
}

/// Units of meters, as an answer names them: an object of meters and numbers.
#[derive(Clone, Debug)]
pub struct QuantitiesJson<'a>(pub &'a MeterQuantities);

impl Serialize for QuantitiesJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.iter().try_for_each(|(meter, units)| map.serialize_entry(meter.as_str(), units))?;
        map.end()
    }
}

/// The same as a value of a document.
pub fn quantities_json(quantities: &MeterQuantities) -> serde_json::Value {
    quantities.iter().map(|(meter, units)| (meter.to_string(), serde_json::Value::from(*units))).collect()
}

/// A meter and its price.
#[derive(Debug, serde::Serialize, ToSchema)]
#[schema(as = Meter)]
pub struct MeterJson<'a> {
    /// The id by which quantities name the meter.
    id: &'a str,
    /// The price of `per` units, in micro-units.
    unit_price: i64,
    /// `unit_price` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.15")]
    unit_price_usd: Usd,
    /// The number of units for which the price is: a power of ten.
    per: u32,
}

impl<'a> MeterJson<'a> {
    fn of(meter: &'a Meter) -> MeterJson<'a> {
        let Meter { id, rate } = meter;
        MeterJson {
            id: id.as_str(),
            unit_price: rate.unit_price.get(),
            unit_price_usd: Usd(rate.unit_price),
            per: rate.per,
        }
    }
}

/// The fields of a price in an answer.
#[derive(Default)]
pub struct PriceFields<'a> {
    /// The price of a unit, or of `per` units; `None` if the operation has meters.
    pub unit_price: Option<tollkeeper_ledger::Micros>,
    /// The number of units for which it is, if that is not one.
    pub per: Option<u32>,
    /// The meters and their prices.
    pub meters: Option<Vec<MeterJson<'a>>>,
}

impl<'a> PriceFields<'a> {
    /// The fields of a price.
    pub fn of(price: &'a Price) -> PriceFields<'a> {
        match price {
            Price::Units(rate) => PriceFields {
                unit_price: Some(rate.unit_price),
                per: (rate.per > 1).then_some(rate.per),
                meters: None,
            },
            Price::Meters(meters) => PriceFields {
                unit_price: None,
                per: None,
                meters: Some(meters.iter().map(MeterJson::of).collect()),
            },
        }
    }
}
