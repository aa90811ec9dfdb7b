//! Usage: what was charged and refunded, by the parts of hours in which it is stored.
//!
//! A part ends where a day begins in the time zone that the workspace had then. The calendar of the
//! engine says where that is; which parts follow from it is computed here.

use std::collections::BTreeMap;

use tollkeeper_engine::period_windows;
use tollkeeper_ledger::{ChargeDetails, HourPart, MeterId, Micros, Quantity, Timestamp, UsageKey, UsageSums};

use super::facts::{Fact, Pool};

const MINUTE_MILLIS: i64 = 60_000;
const HOUR_MILLIS: i64 = 60 * MINUTE_MILLIS;

/// A charge, or a refund with a negative amount, as limits and usage count it.
#[derive(Clone, Copy)]
pub(super) struct Spending<'a> {
    /// The number of its fact.
    pub n: u64,
    /// The number of the fact that opened the charge.
    pub opening: u64,
    pub is_refund: bool,
    /// The time by which it was decided.
    pub at: Timestamp,
    /// The time zone of the workspace at that fact.
    pub zone: &'a str,
    pub details: &'a ChargeDetails,
    pub amount: Micros,
}

impl Spending<'_> {
    /// The hour and the part of it that its usage is stored in.
    fn stored_in(&self) -> (i64, HourPart) {
        let hour = self.at.millis().div_euclid(HOUR_MILLIS);
        let begin = hour * HOUR_MILLIS;
        let day_end = period_windows(self.zone, Timestamp::from_millis(begin)).day.end.millis();
        let into_the_hour = day_end.saturating_sub(begin);
        if into_the_hour >= HOUR_MILLIS || into_the_hour % MINUTE_MILLIS != 0 {
            return (hour, HourPart { begin: 0, end: 60 });
        }
        let minute = (into_the_hour / MINUTE_MILLIS) as u8;
        let is_before = self.at.millis() < day_end;
        (
            hour,
            if is_before { HourPart { begin: 0, end: minute } } else { HourPart { begin: minute, end: 60 } },
        )
    }

    /// The first instant of that part, and the instant at which it ends.
    pub(super) fn stored_from_and_until(&self) -> (Timestamp, Timestamp) {
        let (hour, part) = self.stored_in();
        let at = |minute: u8| Timestamp::from_millis(hour * HOUR_MILLIS + i64::from(minute) * MINUTE_MILLIS);
        (at(part.begin), at(part.end))
    }
}

impl Pool {
    /// Every charge, and every refund with a negative amount.
    pub(super) fn spendings(&self) -> Vec<Spending<'_>> {
        let mut zone = "UTC";
        let mut openings = Vec::new();
        let mut spendings = Vec::new();
        for (n, line) in self.numbered() {
            let at = line.decided_at;
            match &line.fact {
                Fact::Created(profile) | Fact::Updated(profile) => zone = &profile.timezone,
                Fact::Charged(details) => {
                    openings.push((n, details.as_ref()));
                    let amount = details.amount;
                    spendings.push(Spending { n, opening: n, is_refund: false, at, zone, details, amount });
                }
                Fact::Refunded { charge, amount, .. } => {
                    let (opening, details) = openings[*charge];
                    let amount = Micros::ZERO - *amount;
                    spendings.push(Spending { n, opening, is_refund: true, at, zone, details, amount });
                }
                _ => {}
            }
        }
        spendings
    }

    /// The units of each meter that were used: at the charge if it was settled at once, else when
    /// it was settled.
    pub(super) fn metered(&self) -> Vec<(Spending<'_>, &MeterId, i64)> {
        let mut metered = Vec::new();
        let mut zone = "UTC";
        let mut opened = Vec::new();
        for (n, line) in self.numbered() {
            let (details, quantity) = match &line.fact {
                Fact::Created(profile) | Fact::Updated(profile) => {
                    zone = &profile.timezone;
                    continue;
                }
                Fact::Charged(details) => {
                    opened.push((n, details.as_ref(), details.deadline.is_some()));
                    if details.deadline.is_some() {
                        continue;
                    }
                    (details.as_ref(), &details.quantity)
                }
                // An outcome that is reported after the settlement counts nothing.
                Fact::Settled { charge, quantity, .. } if opened[*charge].2 => {
                    opened[*charge].2 = false;
                    (opened[*charge].1, quantity)
                }
                _ => continue,
            };
            let Quantity::Meters(quantities) = quantity else { continue };
            let (at, amount) = (line.decided_at, Micros::ZERO);
            let spending = Spending { n, opening: n, is_refund: false, at, zone, details, amount };
            metered.extend(quantities.iter().map(|(meter, units)| (spending, meter, *units)));
        }
        metered
    }

    /// Usage by part of an hour, operation, worker, member and API key.
    #[must_use]
    pub fn usage(&self) -> BTreeMap<UsageKey, UsageSums> {
        let mut usage: BTreeMap<UsageKey, UsageSums> = BTreeMap::new();
        for spending in self.spendings() {
            let (hour, part) = spending.stored_in();
            let key = UsageKey { hour, part, spender: spending.details.spender.clone(), meter: None };
            let used = usage.entry(key).or_default();
            if spending.is_refund {
                used.refunded -= spending.amount;
            } else {
                used.runs += 1;
                if let Quantity::Units(units) = spending.details.quantity {
                    used.quantity += units;
                }
                used.charged += spending.amount;
            }
        }
        for (spending, meter, units) in self.metered() {
            let (hour, part) = spending.stored_in();
            let (spender, meter) = (spending.details.spender.clone(), Some(meter.clone()));
            usage.entry(UsageKey { hour, part, spender, meter }).or_default().quantity += units;
        }
        usage
    }
}
