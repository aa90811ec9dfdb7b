//! What engines do alike with rows of usage: fold them, and count what limits have used of them.

use tollkeeper_ledger::{Micros, Period, Subject, UsageKey, Used, Windows};

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

/// What each line of new limits has used (net) of the present period.
pub(crate) fn spent(
    limits: &[(Subject, Period, Micros)],
    windows: &Windows,
    rows: &[(UsageKey, Used)],
) -> Vec<Micros> {
    let used = |(subject, period, _): &(Subject, Period, Micros)| {
        let since = match period {
            Period::Day => windows.day.0.hour(),
            Period::Month => windows.month.0.hour(),
        };
        let rows = rows.iter().filter(|(key, _)| key.hour >= since && covers(subject, key));
        rows.map(|(_, used)| used.charged - used.refunded).sum()
    };
    limits.iter().map(used).collect()
}

/// Whether a row of usage is counted under a subject. Usage is not kept by API key: a new limit on one starts at nothing.
fn covers(subject: &Subject, key: &UsageKey) -> bool {
    match subject {
        Subject::Workspace => true,
        Subject::Member(member) => key.member.as_ref() == Some(member),
        Subject::Worker(worker) => key.worker.as_ref() == Some(worker),
        Subject::Operation(operation) => key.operation == *operation,
        Subject::ApiKey(_) => false,
    }
}
