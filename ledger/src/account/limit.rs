//! Spending limits: a cap per day or month for the workspace, a member, a worker, an operation or an API key.
//!
//! Decided in the same step as the charge, so they hold at any concurrency, and counted from the same numbers as the
//! usage report: what was charged in the period less what was refunded in it. Where a day or month begins depends on
//! the workspace's time zone and is handed in as [`PeriodWindows`]; entries carry it, so that a replay needs no calendar.

use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{ApiKeyId, MemberId, Micros, OperationId, Refusal, Spender, Timestamp, WorkerId};

/// Whose spending is capped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Everything the workspace spends.
    Workspace,
    /// One person.
    Member(MemberId),
    /// One AI worker.
    Worker(WorkerId),
    /// One operation.
    Operation(OperationId),
    /// One API key, by its id.
    ApiKey(ApiKeyId),
}

/// How long a limit counts before it starts again.
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

impl PeriodWindows {
    /// The window of a period.
    #[must_use]
    pub fn of(&self, period: Period) -> PeriodWindow {
        match period {
            Period::Day => self.day,
            Period::Month => self.month,
        }
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

/// One cap and what has been used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Whose spending.
    pub subject: Subject,
    /// For how long.
    pub period: Period,
    /// The cap.
    pub amount: Micros,
    /// Which period `used` counts, by its beginning.
    pub since: Timestamp,
    /// Net spending in that period; below zero when more was refunded than charged.
    pub used: Micros,
}

impl Subject {
    /// Whether what this spender spends counts under the subject.
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
    /// What it has counted in the present period. One that begins earlier than the period it counts is not another: it is what
    /// a server with other time zones on hand takes for this one, and a cap must not start again for that.
    #[must_use]
    pub fn used_in(&self, windows: &PeriodWindows) -> Micros {
        if self.since >= windows.of(self.period).start { self.used } else { Micros::ZERO }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let (code, text) = match &self.subject {
            Subject::Workspace => (0, String::new()),
            Subject::Member(member) => (1, member.to_string()),
            Subject::Worker(worker) => (2, worker.to_string()),
            Subject::Operation(operation) => (3, operation.to_string()),
            Subject::ApiKey(key) => (4, key.to_string()),
        };
        w.byte(code);
        w.text(&text);
        w.byte(self.period.code());
        w.micros(self.amount);
        w.time(self.since);
        w.micros(self.used);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Limit, Malformed> {
        let code = r.byte("a limit's subject")?;
        let text = r.text("a limit's subject")?;
        let subject = match code {
            0 => Subject::Workspace,
            1 => Subject::Member(MemberId::known(text)),
            2 => Subject::Worker(WorkerId::known(text)),
            3 => Subject::Operation(OperationId::known(text)),
            4 => Subject::ApiKey(text.parse().map_err(|()| Malformed("a limit's subject"))?),
            _ => return Err(Malformed("a limit's subject")),
        };
        Ok(Limit {
            subject,
            period: Period::from_code(r.byte("a limit's period")?)?,
            amount: r.micros("a limit's amount")?,
            since: r.time("a limit's period")?,
            used: r.micros("a limit's use")?,
        })
    }
}

/// The limits of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits(pub Vec<Limit>);

impl Limits {
    /// Whether nothing is capped, so that no calendar need be asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses when a limit that covers the spender would be passed; names the one that leaves the least.
    pub(crate) fn check(
        &self,
        spender: &Spender,
        amount: Micros,
        windows: &PeriodWindows,
    ) -> Result<(), Refusal> {
        let passed = |limit: &&Limit| limit.amount - limit.used_in(windows) < amount;
        let tightest = self
            .0
            .iter()
            .filter(|limit| limit.subject.covers(spender))
            .filter(passed)
            .min_by_key(|limit| limit.amount - limit.used_in(windows));
        match tightest {
            None => Ok(()),
            Some(limit) => Err(Refusal::LimitExceeded {
                subject: limit.subject.clone(),
                period: limit.period,
                required: amount,
                limit: limit.amount,
                remaining: (limit.amount - limit.used_in(windows)).max(Micros::ZERO),
                resets_at: windows.of(limit.period).end,
            }),
        }
    }

    /// Whether there is a limit on a subject.
    pub(crate) fn has(&self, subject: &Subject, period: Period) -> bool {
        self.0.iter().any(|limit| limit.subject == *subject && limit.period == period)
    }

    /// What a limit that is there already has counted in the present period, and since when; `None` if there is none.
    pub(crate) fn counted(
        &self,
        subject: &Subject,
        period: Period,
        windows: &PeriodWindows,
    ) -> Option<(Timestamp, Micros)> {
        let same = |limit: &&Limit| limit.subject == *subject && limit.period == period;
        let limit = self.0.iter().find(same)?;
        Some((limit.since.max(windows.of(period).start), limit.used_in(windows)))
    }

    /// Counts a charge (or, below zero, a refund) under every limit that covers the spender.
    pub(crate) fn count(&mut self, spender: &Spender, amount: Micros, windows: &PeriodWindows) {
        for limit in self.0.iter_mut().filter(|limit| limit.subject.covers(spender)) {
            limit.used = limit.used_in(windows) + amount;
            limit.since = limit.since.max(windows.of(limit.period).start);
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
    fn the_tightest_limit_speaks_and_a_new_day_starts_again() {
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
        assert!(limits.check(spender, Micros::new(10), &windows(10)).is_ok());
        let Err(Refusal::LimitExceeded { remaining, resets_at, .. }) =
            limits.check(spender, Micros::new(11), &windows(10))
        else {
            panic!("eleven more pass the day's fifty");
        };
        assert_eq!((remaining.get(), resets_at.millis()), (10, 20));
        assert!(limits.check(spender, Micros::new(50), &windows(20)).is_ok());
        assert!(limits.check(spender, Micros::new(61), &windows(20)).is_err());
        limits.count(spender, Micros::new(-40), &windows(10));
        assert!(limits.check(spender, Micros::new(50), &windows(10)).is_ok());
    }

    #[test]
    fn a_day_that_begins_earlier_elsewhere_is_not_another_day() {
        let operation = OperationId::known("op");
        let spender = &Spender { operation, worker: None, member: None, api_key: None };
        let (subject, period, amount) = (Subject::Workspace, Period::Day, Micros::new(50));
        let mut limits =
            Limits(vec![Limit { subject, period, amount, since: Timestamp::ZERO, used: Micros::ZERO }]);
        for begins in [10, 8, 10, 8] {
            limits.count(spender, Micros::new(10), &windows(begins));
        }
        assert!(limits.check(spender, Micros::new(11), &windows(8)).is_err());
        assert!(limits.check(spender, Micros::new(11), &windows(10)).is_err());
        assert!(limits.check(spender, Micros::new(50), &windows(18)).is_ok());
    }
}
