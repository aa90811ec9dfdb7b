//! What engines do alike with rows of usage: fold them, and count what limits have used of them.

use tollkeeper_ledger::{Micros, Period, PeriodWindows, Recount, Subject, Timestamp, UsageKey, Used};

const HOUR_MILLIS: i64 = 3_600_000;

/// One row for each key, in order.
pub(crate) fn folded(mut rows: Vec<(UsageKey, Used)>) -> Vec<(UsageKey, Used)> {
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let mut sums: Vec<(UsageKey, Used)> = Vec::with_capacity(rows.len());
    for (key, used) in rows {
        match sums.last_mut() {
            Some(last) if last.0 == key => last.1.add(used),
            _ => sums.push((key, used)),
        }
    }
    sums
}

/// What each line has used (net) of the present period. Where a day does not begin with an hour, all that was charged in that
/// hour counts and nothing that went back in it: rather too much than more than the cap.
pub(crate) fn used_by_limit(
    recount: &Recount,
    windows: &PeriodWindows,
    rows: &[(UsageKey, Used)],
) -> Vec<Micros> {
    let used = |(subject, period): &(Subject, Period)| {
        let begin = windows.of(*period).start;
        let since = begin.hour();
        let is_parted = begin != Timestamp::from_millis(since * HOUR_MILLIS);
        let rows = rows.iter().filter(|(key, _)| key.hour >= since && subject.covers(&key.spender));
        let net = |(key, used): &(UsageKey, Used)| {
            let gone_back = if is_parted && key.hour == since { Micros::ZERO } else { used.refunded };
            used.charged - gone_back
        };
        rows.map(net).sum()
    };
    recount.lines.iter().map(used).collect()
}
