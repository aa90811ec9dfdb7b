//! Spending limits: a cap per day or month for the workspace, a member, a worker, an operation or
//! an API key.
//!
//! A limit is checked in the same step as the charge, so it holds at any concurrency. It counts the
//! same numbers as the usage report: what was charged in the period, less what was refunded of it
//! in the same period. So what comes back of an earlier day does not raise today's cap.
//! Where a day or month begins depends on the time zone and is handed in as [`PeriodWindows`].
//! Entries carry the windows, so that a replay needs no calendar.

use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{ApiKeyId, MemberId, Micros, OperationId, Spender, Timestamp, WorkerId};

/// Whose spending is capped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// All that the workspace spends.
    Workspace,
    /// What is spent for one member.
    Member(MemberId),
    /// What one AI worker spends.
    Worker(WorkerId),
    /// What is spent on one operation.
    Operation(OperationId),
    /// What is spent by one API key.
    ApiKey(ApiKeyId),
}

/// The period after which a limit counts from zero again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A calendar day in the workspace's time zone.
    Day,
    /// A calendar month in the workspace's time zone.
    Month,
}

coded!(Period, "a limit's period", { Day = 0 "day", Month = 1 "month" });

/// One day or month in a time zone: `start ≤ t < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodWindow {
    /// The first instant of the period.
    pub start: Timestamp,
    /// The first instant after the period.
    pub end: Timestamp,
}

/// The day and the month around one instant, in one time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodWindows {
    /// The calendar day.
    pub day: PeriodWindow,
    /// The calendar month.
    pub month: PeriodWindow,
}

impl PeriodWindow {
    /// A window without an instant. A refund carries it for a period in which its charge was not
    /// counted.
    pub const EMPTY: PeriodWindow = PeriodWindow { start: Timestamp::ZERO, end: Timestamp::ZERO };

    /// True if no instant is in the window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// True if the instant is in the window: `start ≤ at < end`.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

impl PeriodWindows {
    /// The window of a period.
    #[must_use]
    pub fn of(&self, period: Period) -> PeriodWindow {
        match period {
            Period::Day => self.day,
            Period::Month => self.month,
        }
    }

    /// The windows in which a refund counts whose charge was opened at `opened_at`: a refund gives
    /// back only what was counted in the same period.
    pub(crate) fn for_refund(&self, opened_at: Timestamp) -> PeriodWindows {
        let same =
            |window: PeriodWindow| if window.contains(opened_at) { window } else { PeriodWindow::EMPTY };
        let windows = PeriodWindows { day: same(self.day), month: same(self.month) };
        assert!(
            windows.day.is_empty() || !windows.month.is_empty(),
            "a charge of the same day must be of the same month"
        );
        windows
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        for at in [self.day.start, self.day.end, self.month.start, self.month.end] {
            w.time(at);
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<PeriodWindows, Malformed> {
        let mut window = || Ok(PeriodWindow { start: r.time("a window")?, end: r.time("a window")? });
        Ok(PeriodWindows { day: window()?, month: window()? })
    }
}

/// One spending limit and what was used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Whose spending is capped.
    pub subject: Subject,
    /// The period in which it is capped.
    pub period: Period,
    /// The cap, 0 to [`Micros::MAX`].
    pub amount: Micros,
    /// The start of the period that `used` counts.
    pub since: Timestamp,
    /// Charged in that period, less what was refunded of those charges in it; never below zero.
    pub used: Micros,
}

impl Subject {
    /// True if a charge of this spender counts under the subject.
    #[must_use]
    pub fn covers(&self, spender: &Spender) -> bool {
        match self {
            Subject::Workspace => true,
            Subject::Member(member) => spender.member.as_ref() == Some(member),
            Subject::Worker(worker) => spender.worker.as_ref() == Some(worker),
            Subject::Operation(operation) => spender.operation == *operation,
            Subject::ApiKey(key) => spender.api_key == Some(*key),
        }
    }
}

impl Limit {
    /// What was used in the current period.
    ///
    /// A server with an older time zone database may see the period start earlier than `since`. It
    /// is the same period and must not restart. A period after the current one was counted while a
    /// clock was ahead. It does not use up the current one.
    #[must_use]
    pub fn used_in(&self, windows: &PeriodWindows) -> Micros {
        if windows.of(self.period).contains(self.since) { self.used } else { Micros::ZERO }
    }

    /// The start of the current period, as [`Limit::since`] states it.
    #[must_use]
    pub fn since_in(&self, windows: &PeriodWindows) -> Timestamp {
        let current = windows.of(self.period);
        if current.contains(self.since) { self.since } else { current.start }
    }

    /// What may still be spent in the current period; below zero if the limit was passed before it
    /// was lowered.
    #[must_use]
    pub fn left_in(&self, windows: &PeriodWindows) -> Micros {
        self.amount - self.used_in(windows)
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        write_subject(w, &self.subject);
        w.byte(self.period.code());
        w.micros(self.amount);
        w.time(self.since);
        w.micros(self.used);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Limit, Malformed> {
        Ok(Limit {
            subject: read_subject(r)?,
            period: Period::from_code(r.byte("a limit's period")?)?,
            amount: r.micros("a limit's amount")?,
            since: r.time("a limit's period")?,
            used: r.micros("a limit's use")?,
        })
    }
}

pub(crate) fn write_subject(w: &mut Writer, subject: &Subject) {
    let (code, text) = match subject {
        Subject::Workspace => (0, String::new()),
        Subject::Member(member) => (1, member.to_string()),
        Subject::Worker(worker) => (2, worker.to_string()),
        Subject::Operation(operation) => (3, operation.to_string()),
        Subject::ApiKey(key) => (4, key.to_string()),
    };
    w.byte(code);
    w.text(&text);
}

pub(crate) fn read_subject(r: &mut Reader) -> Result<Subject, Malformed> {
    let code = r.byte("a limit's subject")?;
    let text = r.text("a limit's subject")?;
    Ok(match code {
        // The workspace has no name here: one limit has one encoding.
        0 if text.is_empty() => Subject::Workspace,
        1 => Subject::Member(MemberId::known(text)),
        2 => Subject::Worker(WorkerId::known(text)),
        3 => Subject::Operation(OperationId::known(text)),
        4 => Subject::ApiKey(text.parse().map_err(|()| Malformed("a limit's subject"))?),
        _ => return Err(Malformed("a limit's subject")),
    })
}

/// The limits of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits(pub Vec<Limit>);

impl Limits {
    /// True if there are no limits; then no decision needs a calendar.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of the limits that cover the spender and that a charge of `amount` would pass, the one with
    /// the least left.
    #[must_use]
    pub fn tightest_passed(
        &self,
        spender: &Spender,
        amount: Micros,
        windows: &PeriodWindows,
    ) -> Option<&Limit> {
        let covering = self.0.iter().filter(|limit| limit.subject.covers(spender));
        // A free run passes no limit, not even one that was lowered below its use.
        let passed = covering.filter(|limit| amount > Micros::ZERO && limit.left_in(windows) < amount);
        passed.min_by_key(|limit| limit.left_in(windows))
    }

    /// What the limits that cover the spender leave of the current periods, never below zero;
    /// `None` if none covers it.
    #[must_use]
    pub fn least_left(&self, spender: &Spender, windows: &PeriodWindows) -> Option<Micros> {
        let covering = self.0.iter().filter(|limit| limit.subject.covers(spender));
        covering.map(|limit| limit.left_in(windows).max(Micros::ZERO)).min()
    }

    /// The limit on a subject in a period.
    #[must_use]
    pub fn find(&self, subject: &Subject, period: Period) -> Option<&Limit> {
        self.0.iter().find(|limit| limit.subject == *subject && limit.period == period)
    }

    /// The limits with what was used in the current period.
    #[must_use]
    pub fn at(&self, windows: &PeriodWindows) -> Vec<Limit> {
        let current = |limit: &Limit| Limit {
            since: limit.since_in(windows),
            used: limit.used_in(windows),
            ..limit.clone()
        };
        self.0.iter().map(current).collect()
    }

    /// Counts a charge, or below zero a refund, under every limit that covers the spender. A period
    /// whose window is empty does not count it.
    pub(crate) fn count(&mut self, spender: &Spender, amount: Micros, windows: &PeriodWindows) {
        for limit in self.0.iter_mut().filter(|limit| limit.subject.covers(spender)) {
            if windows.of(limit.period).is_empty() {
                continue;
            }
            // What was counted by whole hours may be less than what is refunded of it.
            limit.used = (limit.used_in(windows) + amount).max(Micros::ZERO);
            limit.since = limit.since_in(windows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(day: i64) -> PeriodWindows {
        let at = Timestamp::from_millis;
        let window = |start, end| PeriodWindow { start: at(start), end: at(end) };
        PeriodWindows { day: window(day, day + 10), month: window(0, 1_000) }
    }

    #[test]
    fn the_tightest_limit_is_named_and_a_new_day_counts_from_zero() {
        let operation = OperationId::known("op");
        let member = MemberId::known("ada");
        let spender = &Spender { operation, worker: None, member: Some(member.clone()), api_key: None };
        let limit = |subject, period, amount| Limit {
            subject,
            period,
            amount: Micros::new(amount),
            since: Timestamp::ZERO,
            used: Micros::ZERO,
        };
        let mut limits = Limits(vec![
            limit(Subject::Workspace, Period::Month, 100),
            limit(Subject::Member(member.clone()), Period::Day, 50),
            limit(Subject::Member(MemberId::known("bob")), Period::Day, 1),
        ]);
        limits.count(spender, Micros::new(40), &windows(10));
        assert!(limits.tightest_passed(spender, Micros::new(10), &windows(10)).is_none());
        let passed = limits.tightest_passed(spender, Micros::new(11), &windows(10));
        let passed = passed.expect("eleven more pass the day's fifty");
        assert_eq!((passed.left_in(&windows(10)).get(), passed.period), (10, Period::Day));
        assert!(limits.tightest_passed(spender, Micros::new(50), &windows(20)).is_none());
        assert!(limits.tightest_passed(spender, Micros::new(61), &windows(20)).is_some());
        limits.count(spender, Micros::new(-40), &windows(10));
        assert!(limits.tightest_passed(spender, Micros::new(50), &windows(10)).is_none());
    }

    #[test]
    fn a_day_that_starts_earlier_on_another_server_is_the_same_day() {
        let operation = OperationId::known("op");
        let spender = &Spender { operation, worker: None, member: None, api_key: None };
        let (subject, period, amount) = (Subject::Workspace, Period::Day, Micros::new(50));
        let mut limits =
            Limits(vec![Limit { subject, period, amount, since: Timestamp::ZERO, used: Micros::ZERO }]);
        for begins in [10, 8, 10, 8] {
            limits.count(spender, Micros::new(10), &windows(begins));
        }
        assert!(limits.tightest_passed(spender, Micros::new(11), &windows(8)).is_some());
        assert!(limits.tightest_passed(spender, Micros::new(11), &windows(10)).is_some());
        assert!(limits.tightest_passed(spender, Micros::new(50), &windows(18)).is_none());
    }
}
