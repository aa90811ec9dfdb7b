//! The rules of spending limits: which charges count, in which day or month, and from which fact
//! on.
//!
//! A charge counts by its exact time if it comes after the limit was set and after the last change
//! of the time zone. Earlier charges are known as usage is stored: by the part of an hour that ends
//! where a day began in the zone of that time. A part in which the day or month begins, because the
//! zone was another one, counts with all its charges and none of its refunds.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    ChargeDetails, Limit, Micros, Period, PeriodWindow, PeriodWindows, Refusal, Subject, Timestamp,
};

use super::charges::invalid;
use super::facts::{Fact, Pool};
use super::settings::AMOUNT_MAX;
use super::spendings::Spending;

impl Pool {
    pub(super) fn set_limits(
        &mut self,
        limits: &[(Subject, Period, Micros)],
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        if limits.len() > 200 {
            return Err(invalid("limits"));
        }
        if limits.iter().any(|(_, _, cap)| *cap < Micros::ZERO || *cap > AMOUNT_MAX) {
            return Err(invalid("amount"));
        }
        let named_twice = |(index, (subject, period, _)): (usize, &(Subject, Period, Micros))| {
            limits[..index].iter().any(|(s, p, _)| s == subject && p == period)
        };
        if limits.iter().enumerate().any(named_twice) {
            return Err(invalid("limits"));
        }
        if self.limits() != limits {
            self.add(now, Fact::Limits(limits.to_vec()));
        }
        Ok(Output::Limits(self.limits_at(now)))
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &[(Subject, Period, Micros)] {
        let mut set = self.lines.iter().rev().filter_map(|line| match &line.fact {
            Fact::Limits(limits) => Some(limits.as_slice()),
            _ => None,
        });
        set.next().unwrap_or(&[])
    }

    /// The limits in force, each with what it has counted in its current period.
    #[must_use]
    pub fn limits_at(&self, now: Timestamp) -> Vec<Limit> {
        let counted = |(subject, period, amount): &(Subject, Period, Micros)| Limit {
            subject: subject.clone(),
            period: *period,
            amount: *amount,
            since: self.period(*period, now).start,
            used: self.used(subject, *period, now),
        };
        self.limits().iter().map(counted).collect()
    }

    /// What was counted since the count last began anew, if that was in the current period. It
    /// begins anew when a charge, a refund or new limits come in another period, also in an earlier
    /// one: then a clock was ahead before.
    fn used(&self, subject: &Subject, period: Period, now: Timestamp) -> Micros {
        let began = self.counts_from(subject, period);
        let first = self.lines[began as usize - 1].decided_at;
        let mut counted: Vec<(u64, Timestamp, Micros)> = Vec::new();
        for spending in self.spendings() {
            let opened_at = self.lines[spending.opening as usize - 1].decided_at;
            let PeriodWindow { start, end } = self.period(period, spending.at);
            let same_period = !spending.is_refund || (start <= opened_at && opened_at < end);
            if spending.n > began && same_period && covers(subject, spending.details) {
                counted.push((spending.n, spending.at, spending.amount));
            }
        }
        for (n, line) in self.numbered().filter(|(n, _)| *n > began) {
            if matches!(line.fact, Fact::Limits(_)) {
                counted.push((n, line.decided_at, Micros::ZERO));
            }
        }
        counted.sort_unstable();
        let start = |at: Timestamp| self.period(period, at).start;
        let (mut current, mut used) = (start(first), self.used_before(subject, period, began));
        for (_, at, amount) in counted {
            if start(at) != current {
                (current, used) = (start(at), Micros::ZERO);
            }
            used = (used + amount).max(Micros::ZERO);
        }
        if current == start(now) { used } else { Micros::ZERO }
    }

    /// What the stored usage shows for the period in which a limit was set by fact `began`.
    fn used_before(&self, subject: &Subject, period: Period, began: u64) -> Micros {
        let PeriodWindow { start, end } = self.period(period, self.lines[began as usize - 1].decided_at);
        let counts = |spending: &Spending| {
            if spending.n >= began || !covers(subject, spending.details) {
                return false;
            }
            let (from, until) = spending.stored_from_and_until();
            let covers_start = from < start;
            start < until && from < end && !(covers_start && spending.is_refund)
        };
        let spent: Micros = self.spendings().into_iter().filter(counts).map(|spending| spending.amount).sum();
        spent.max(Micros::ZERO)
    }

    /// The number of the fact from which on a limit counts by exact time.
    ///
    /// It is the fact that introduced the limit, or a later one that changed the time zone.
    fn counts_from(&self, subject: &Subject, period: Period) -> u64 {
        let (mut from, mut is_set, mut zone) = (0, false, "");
        for (n, line) in self.numbered() {
            match &line.fact {
                Fact::Limits(limits) => {
                    let was_set = is_set;
                    is_set = limits.iter().any(|(s, p, _)| s == subject && *p == period);
                    if is_set && !was_set {
                        from = n;
                    }
                }
                Fact::Created(profile) | Fact::Updated(profile) => {
                    if *profile.timezone != *zone {
                        from = n;
                    }
                    zone = &profile.timezone;
                }
                _ => {}
            }
        }
        from
    }

    pub(super) fn check_limits(&self, details: &ChargeDetails, now: Timestamp) -> Result<(), Refusal> {
        let mut tightest: Option<(Micros, Refusal)> = None;
        for limit in self.limits_at(now) {
            let left = limit.amount - limit.used;
            let costs = details.amount > Micros::ZERO;
            let passed = covers(&limit.subject, details) && costs && left < details.amount;
            if passed && tightest.as_ref().is_none_or(|(least, _)| left < *least) {
                let refusal = Refusal::LimitExceeded {
                    subject: limit.subject,
                    period: limit.period,
                    required: details.amount,
                    limit: limit.amount,
                    remaining: left.max(Micros::ZERO),
                    resets_at: self.period(limit.period, now).end,
                };
                tightest = Some((left, refusal));
            }
        }
        tightest.map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    /// The day or the month around an instant.
    fn period(&self, period: Period, now: Timestamp) -> PeriodWindow {
        let windows = self.windows(now);
        match period {
            Period::Day => windows.day,
            Period::Month => windows.month,
        }
    }

    /// The day and month around an instant.
    #[must_use]
    pub fn windows(&self, now: Timestamp) -> PeriodWindows {
        tollkeeper_engine::period_windows(&self.profile().timezone, now)
    }
}

fn covers(subject: &Subject, details: &ChargeDetails) -> bool {
    match subject {
        Subject::Workspace => true,
        Subject::Member(member) => details.spender.member.as_ref() == Some(member),
        Subject::Worker(worker) => details.spender.worker.as_ref() == Some(worker),
        Subject::Operation(operation) => details.spender.operation == *operation,
        Subject::ApiKey(key) => details.spender.api_key == Some(*key),
    }
}
