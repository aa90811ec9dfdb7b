//! The use of a workspace, added up from its charges and refunds one by one.
//!
//! Of each it asks in which hour, day and month of the time zone it was decided. No row is read, so
//! it shows what the rows of the engines must add up to.

use std::collections::BTreeMap;

use tollkeeper_engine::{
    Named, TimeStep, USAGE_DAYS_MAX, USAGE_ROWS_MAX, UsageAnswer, UsageFilter, UsageGroup, UsageRefusal,
    UsageReport, UsageRequest, is_known_timezone, period_windows,
};
use tollkeeper_ledger::{
    Entry, EntryBody, MeterId, MeterQuantities, Micros, Quantity, Spender, Timestamp, UsageSums,
};

use super::facts::Pool;
use super::spendings::Spending;

const HOUR_MILLIS: i64 = 3_600_000;

/// The beginning of the row that counts `at`: of the hour, or of the day if that begins later.
fn row_start(timezone: &str, at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.hour() * HOUR_MILLIS).max(period_windows(timezone, at).day.start)
}

/// The end of the row that counts the instant before `at`.
fn row_end(timezone: &str, at: Timestamp) -> Timestamp {
    let last = Timestamp::from_millis(at.millis() - 1);
    Timestamp::from_millis((last.hour() + 1) * HOUR_MILLIS).min(period_windows(timezone, last).day.end)
}

fn fits<T: PartialEq>(named: &Named<T>, name: Option<&T>) -> bool {
    match named {
        Named::Any => true,
        Named::Absent => name.is_none(),
        Named::Is(wanted) => name == Some(wanted),
    }
}

fn admits(filter: &UsageFilter, spender: &Spender) -> bool {
    let UsageFilter { operation, worker, member, api_key } = filter;
    fits(operation, Some(&spender.operation))
        && fits(worker, spender.worker.as_ref())
        && fits(member, spender.member.as_ref())
        && fits(api_key, spender.api_key.as_ref())
}

/// The keys of the row that counts what a spender used at an instant.
fn group(
    request: &UsageRequest,
    timezone: &str,
    at: Timestamp,
    (spender, meter): (&Spender, Option<&MeterId>),
) -> UsageGroup {
    let by = &request.group_by;
    let Spender { operation, worker, member, api_key } = spender.clone();
    let windows = period_windows(timezone, at);
    UsageGroup {
        time: by.time.map(|step| match step {
            TimeStep::Hour => row_start(timezone, at),
            TimeStep::Day => windows.day.start,
            TimeStep::Month => windows.month.start,
        }),
        operation: by.operation.then_some(operation),
        worker: worker.filter(|_| by.worker),
        member: member.filter(|_| by.member),
        api_key: api_key.filter(|_| by.api_key),
        meter: meter.filter(|_| by.meter).cloned(),
    }
}

/// What one entry used: when it was decided, for whom, of which meter, and how much.
pub type Used<'a> = (Timestamp, &'a Spender, Option<&'a MeterId>, UsageSums);

/// What one entry used; nothing for other entries.
#[must_use]
pub fn used_by(entry: &Entry) -> Vec<Used<'_>> {
    let at = entry.decided_at;
    match &entry.body {
        EntryBody::ChargeOpened(details) => {
            let of_charge = (at, &details.spender, None, opened(&details.quantity, details.amount));
            let at_once = details.quantity.meters().filter(|_| details.deadline.is_none());
            let meters =
                at_once.into_iter().flat_map(|quantities| of_meters(at, &details.spender, quantities));
            std::iter::once(of_charge).chain(meters).collect()
        }
        EntryBody::ChargeSettled(settlement) => {
            let used = settlement.used.iter();
            used.flat_map(|used| of_meters(at, &used.spender, &used.quantities)).collect()
        }
        EntryBody::ChargeRefunded(refund) => vec![(at, &refund.spender, None, refunded(refund.amount))],
        _ => Vec::new(),
    }
}

fn of_meters<'a>(
    at: Timestamp,
    spender: &'a Spender,
    quantities: &'a MeterQuantities,
) -> impl Iterator<Item = Used<'a>> {
    quantities.iter().map(move |(meter, units)| {
        (at, spender, Some(meter), UsageSums { quantity: *units, ..UsageSums::default() })
    })
}

fn opened(quantity: &Quantity, charged: Micros) -> UsageSums {
    let quantity = match quantity {
        Quantity::Units(units) => *units,
        Quantity::Meters(_) => 0,
    };
    UsageSums { runs: 1, quantity, charged, ..UsageSums::default() }
}

fn refunded(refunded: Micros) -> UsageSums {
    UsageSums { refunded, ..UsageSums::default() }
}

impl Pool {
    /// The use of the workspace as a request asks for it.
    ///
    /// # Errors
    /// Why the request has no answer.
    pub fn usage_report(&self, request: &UsageRequest) -> UsageAnswer {
        let spendings = self.spendings();
        let used = spendings.iter().map(|Spending { is_refund, at, details, amount, .. }| {
            let used = match is_refund {
                true => refunded(Micros::ZERO - *amount),
                false => opened(&details.quantity, *amount),
            };
            (*at, &details.spender, None, used)
        });
        let metered = self.metered();
        let metered = metered.iter().map(|(spending, meter, units)| {
            let sums = UsageSums { quantity: *units, ..UsageSums::default() };
            (spending.at, &spending.details.spender, Some(*meter), sums)
        });
        usage_report(&self.profile().timezone, request, used.chain(metered))
    }
}

/// The use of a workspace with this time zone as a request asks for it; `used`: what each entry
/// used, see [`used_by`].
///
/// # Errors
/// Why the request has no answer.
pub fn usage_report<'a>(
    workspace: &str,
    request: &UsageRequest,
    used: impl Iterator<Item = Used<'a>>,
) -> UsageAnswer {
    let timezone = request.timezone.as_deref().unwrap_or(workspace);
    if !is_known_timezone(timezone) {
        return Err(UsageRefusal::UnknownTimezone);
    }
    if request.from >= request.to {
        return Err(UsageRefusal::EmptyRange);
    }
    let length = request.to.millis().checked_sub(request.from.millis());
    if length.is_none_or(|length| length > USAGE_DAYS_MAX * 24 * HOUR_MILLIS) {
        return Err(UsageRefusal::RangeTooLong);
    }
    let (from, to) = (row_start(timezone, request.from), row_end(timezone, request.to));
    let mut rows: BTreeMap<UsageGroup, UsageSums> = BTreeMap::new();
    let mut total = UsageSums::default();
    for (at, spender, meter, sums) in used {
        if (from..to).contains(&at) && admits(&request.filter, spender) {
            rows.entry(group(request, timezone, at, (spender, meter))).or_default().add(sums);
            total.add(sums);
        }
    }
    if rows.len() > USAGE_ROWS_MAX {
        return Err(UsageRefusal::TooManyRows);
    }
    let (timezone, rows) = (timezone.into(), rows.into_iter().collect());
    Ok(UsageReport { timezone, from, to, rebuilding: false, rows, total })
}
