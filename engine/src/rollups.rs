//! Rows of hourly usage, as all engines handle them: fold them, and count what limits have used
//! (i08).

use std::collections::HashMap;

use tollkeeper_ledger::{
    ApiKeyId, MemberId, Micros, OperationId, PeriodWindow, PeriodWindows, Recount, Spender, Subject,
    UsageKey, UsageSums, WorkerId,
};

/// Rows of usage that a recount of limits may read at any time.
const RECOUNT_FREE_ROWS: usize = 4_096;

/// After a recount of more, a workspace waits a second for this number of rows. Reading them takes
/// about a twentieth of that time.
const RECOUNT_ROWS_PER_SECOND: i64 = 25_000;

/// The longest time for which a workspace waits for its next recount.
pub(crate) const RECOUNT_PAUSE_MAX_SECONDS: i64 = 60;

/// How long a workspace waits after a recount that read `rows` rows, so that it cannot keep an
/// engine busy for everyone; `None` after one of few rows.
pub(crate) fn recount_pause_seconds(rows: usize) -> Option<i64> {
    let seconds = i64::try_from(rows).unwrap_or(i64::MAX) / RECOUNT_ROWS_PER_SECOND;
    (rows > RECOUNT_FREE_ROWS).then(|| seconds.clamp(1, RECOUNT_PAUSE_MAX_SECONDS))
}

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

/// What each limit of a recount has used of its current period, net of refunds, never below zero.
///
/// A row ends where a day begins in the time zone that the workspace had then, so the sums of a
/// period are exact. If the time zone was changed since, a row may cover the beginning of the
/// period. Then all its charges count and none of its refunds do: too much rather than too little,
/// so that a limit is never exceeded. Each row is looked at once and finds its limits by their
/// subjects, so the time does not grow with rows × limits. Rows after the period were counted while
/// a clock was ahead and do not belong to it.
pub(crate) fn used_by_limit(
    recount: &Recount,
    windows: &PeriodWindows,
    rows: &[(UsageKey, UsageSums)],
) -> Vec<Micros> {
    let subjects = Subjects::of(recount);
    let periods: Vec<PeriodWindow> = recount.limits.iter().map(|(_, period)| windows.of(*period)).collect();
    let mut used = vec![Micros::ZERO; periods.len()];
    for (key, sums) in rows {
        for index in subjects.covering(&key.spender) {
            let PeriodWindow { start, end } = periods[index];
            if key.end() <= start || end <= key.begin() {
                continue;
            }
            let covers_start = key.begin() < start;
            used[index] += if covers_start { sums.charged } else { sums.charged - sums.refunded };
        }
    }
    used.into_iter().map(|used| used.max(Micros::ZERO)).collect()
}

/// The limits of a recount by their subject, each as its index in the recount.
#[derive(Default)]
struct Subjects<'a> {
    workspace: Vec<usize>,
    members: HashMap<&'a MemberId, Vec<usize>>,
    workers: HashMap<&'a WorkerId, Vec<usize>>,
    operations: HashMap<&'a OperationId, Vec<usize>>,
    api_keys: HashMap<ApiKeyId, Vec<usize>>,
}

impl<'a> Subjects<'a> {
    fn of(recount: &'a Recount) -> Subjects<'a> {
        let mut subjects = Subjects::default();
        for (index, (subject, _)) in recount.limits.iter().enumerate() {
            match subject {
                Subject::Workspace => subjects.workspace.push(index),
                Subject::Member(member) => subjects.members.entry(member).or_default().push(index),
                Subject::Worker(worker) => subjects.workers.entry(worker).or_default().push(index),
                Subject::Operation(operation) => {
                    subjects.operations.entry(operation).or_default().push(index);
                }
                Subject::ApiKey(key) => subjects.api_keys.entry(*key).or_default().push(index),
            }
        }
        subjects
    }

    /// The limits under which a charge of this spender counts.
    fn covering(&self, spender: &Spender) -> impl Iterator<Item = usize> {
        let Spender { operation, worker, member, api_key } = spender;
        let found = [
            Some(&self.workspace),
            member.as_ref().and_then(|member| self.members.get(member)),
            worker.as_ref().and_then(|worker| self.workers.get(worker)),
            self.operations.get(operation),
            api_key.as_ref().and_then(|key| self.api_keys.get(key)),
        ];
        found.into_iter().flatten().flatten().copied()
    }
}
