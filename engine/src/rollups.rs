//! Rows of hourly usage, as all engines handle them: fold them, and count what limits have used
//! (i08).

use tollkeeper_ledger::{
    Micros, Period, PeriodWindow, PeriodWindows, Recount, Subject, Timestamp, UsageKey, UsageSums,
};

const HOUR_MILLIS: i64 = 3_600_000;

/// Adds up rows with equal keys; returns one row per key, in the order of keys.
pub(crate) fn folded(mut rows: Vec<(UsageKey, UsageSums)>) -> Vec<(UsageKey, UsageSums)> {
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let mut sums: Vec<(UsageKey, UsageSums)> = Vec::with_capacity(rows.len());
    for (key, used) in rows {
        match sums.last_mut() {
            Some(last) if last.0 == key => last.1.add(used),
            _ => sums.push((key, used)),
        }
    }
    sums
}

/// What each limit of a recount has used of its current period, net of refunds.
///
/// Rows count whole hours. If a day begins within an hour, all charges of that hour count and none
/// of its refunds do: too much rather than too little, so that a limit is never exceeded. Rows
/// after the period were counted while a clock was ahead and do not belong to it.
pub(crate) fn used_by_limit(
    recount: &Recount,
    windows: &PeriodWindows,
    rows: &[(UsageKey, UsageSums)],
) -> Vec<Micros> {
    let used = |(subject, period): &(Subject, Period)| {
        let PeriodWindow { start, end } = windows.of(*period);
        let first_hour = start.hour();
        let is_before_end = |hour: i64| Timestamp::from_millis(hour * HOUR_MILLIS) < end;
        let begins_within_hour = start != Timestamp::from_millis(first_hour * HOUR_MILLIS);
        let rows = rows.iter().filter(|(key, _)| key.hour >= first_hour && is_before_end(key.hour));
        let rows = rows.filter(|(key, _)| subject.covers(&key.spender));
        let net = |(key, used): &(UsageKey, UsageSums)| {
            let refunded =
                if begins_within_hour && key.hour == first_hour { Micros::ZERO } else { used.refunded };
            used.charged - refunded
        };
        rows.map(net).sum()
    };
    recount.limits.iter().map(used).collect()
}
