//! The rules of thresholds, alerts, recoveries and notices, read from the facts.
//!
//! No threshold has a state here: whether it is low, and when it last fired, is found by reading
//! the facts since it was set.

use std::collections::BTreeMap;

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    Alert, AlertLine, Crossing, Micros, Period, ReachedLimit, Refusal, RefusedCharge, Subject, Threshold,
    Timestamp,
};

use super::charges::invalid;
use super::facts::{Fact, Pool, is_ahead};
use super::settings::AMOUNT_MAX;

const YEAR_SECONDS: i64 = 366 * 86_400;
const HOUR_SECONDS: i64 = 3_600;

impl Pool {
    pub(super) fn set_alerts(
        &mut self,
        thresholds: &[AlertLine],
        cooldown_seconds: i64,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        if thresholds.len() > 10 {
            return Err(invalid("thresholds"));
        }
        for line in thresholds {
            match *line {
                AlertLine::Amount(amount) if amount <= Micros::ZERO || amount > AMOUNT_MAX => {
                    return Err(invalid("amount"));
                }
                AlertLine::RunwayDays(days) if days == 0 || days > 365 => {
                    return Err(invalid("runway_days"));
                }
                _ => {}
            }
        }
        if !(0..=YEAR_SECONDS).contains(&cooldown_seconds) {
            return Err(invalid("cooldown_hours"));
        }
        let mut thresholds = thresholds.to_vec();
        thresholds.sort();
        thresholds.dedup();
        if self.alerts().unwrap_or((Vec::new(), 86_400)) != (thresholds.clone(), cooldown_seconds) {
            self.add(now, Fact::Alerts { thresholds, cooldown_seconds });
        }
        Ok(Output::Done)
    }

    /// Adds what follows from the facts after the first `known` ones. The balance was `before`.
    pub(super) fn follow_with_alerts(&mut self, known: usize, before: Micros, now: Timestamp) {
        let is_decided = match self.lines.get(known).map(|line| &line.fact) {
            None | Some(Fact::Alerts { .. } | Fact::Alert(Alert::Low(_) | Alert::Recovered(_))) => true,
            Some(_) => false,
        };
        if is_decided {
            return;
        }
        let is_granted = self.lines[known..].iter().any(|line| matches!(line.fact, Fact::Granted(_)));
        let after = self.balance().available;
        for threshold in self.thresholds() {
            let Threshold { line, amount, is_low, .. } = threshold;
            let follows = match line {
                AlertLine::RunwayDays(_) if is_low && is_granted && after >= amount => {
                    Some(Alert::Recovered(crossing(line, amount)))
                }
                AlertLine::RunwayDays(_) => None,
                AlertLine::Amount(_) => self.of_amount(threshold, (before, after), is_granted, now),
            };
            if let Some(alert) = follows {
                self.add(now, Fact::Alert(alert));
            }
        }
    }

    /// Fires what is due while the balance stands still.
    pub(super) fn check_alerts(
        &mut self,
        lines: &[(u16, Micros)],
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        if lines.iter().any(|(_, amount)| *amount < Micros::ZERO || *amount > AMOUNT_MAX) {
            return Err(invalid("lines"));
        }
        let available = self.balance().available;
        for threshold in self.thresholds() {
            let Threshold { line, is_low, fired_at, .. } = threshold;
            let alert = match line {
                AlertLine::Amount(_) => self.of_amount(threshold, (available, available), false, now),
                AlertLine::RunwayDays(days) => {
                    let needed = lines.iter().find(|(of, _)| *of == days).map(|(_, amount)| *amount);
                    needed.and_then(|amount| match is_low {
                        true if available >= recovered_at(amount) => {
                            Some(Alert::Recovered(crossing(line, amount)))
                        }
                        false if available < amount && !self.is_quiet(fired_at, 0, now) => {
                            Some(Alert::Low(crossing(line, amount)))
                        }
                        _ => None,
                    })
                }
            };
            if let Some(alert) = alert {
                self.add(now, Fact::Alert(alert));
            }
        }
        Ok(Output::Done)
    }

    /// What follows for a threshold of an amount when the balance goes from one value to another.
    fn of_amount(
        &self,
        threshold: Threshold,
        (before, after): (Micros, Micros),
        is_granted: bool,
        now: Timestamp,
    ) -> Option<Alert> {
        let Threshold { line, amount, fired_at, is_low } = threshold;
        if is_low {
            let enough = if is_granted { amount } else { recovered_at(amount) };
            return (after >= enough).then(|| Alert::Recovered(crossing(line, amount)));
        }
        let fell = before >= amount || fired_at != Timestamp::ZERO;
        let fires = fell && after < amount && !self.is_quiet(fired_at, 0, now);
        fires.then(|| Alert::Low(crossing(line, amount)))
    }

    /// True within the cooldown after a time, or within `least` seconds if that is longer.
    fn is_quiet(&self, since: Timestamp, least: i64, now: Timestamp) -> bool {
        let (_, cooldown_seconds) = self.alerts().unwrap_or((Vec::new(), 86_400));
        let over_at = since.plus_seconds(cooldown_seconds.max(least));
        since != Timestamp::ZERO && now < over_at && !is_ahead(since, now)
    }

    pub(super) fn note_refused(
        &mut self,
        refused: &RefusedCharge,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let RefusedCharge { operation: _, required, available, refusals } = refused;
        let is_refusal = *available >= Micros::ZERO && available < required && *required <= AMOUNT_MAX;
        if !is_refusal || *refusals == 0 {
            return Err(invalid("required"));
        }
        if !self.is_quiet(self.refused_at(), HOUR_SECONDS, now) {
            self.add(now, Fact::Alert(Alert::Refused(Box::new(refused.clone()))));
        }
        Ok(Output::Done)
    }

    pub(super) fn note_limit(
        &mut self,
        subject: &Subject,
        period: Period,
        (resets_at, now): (Timestamp, Timestamp),
    ) -> Result<Output, Refusal> {
        let limits = self.limits().iter();
        let amount =
            limits.filter(|(of, per, _)| of == subject && *per == period).map(|(_, _, cap)| *cap).next();
        let windows = self.windows(now);
        let end = if period == Period::Day { windows.day.end } else { windows.month.end };
        let is_noted = self.reached().get(&(subject.clone(), period)) == Some(&resets_at);
        if let Some(amount) = amount
            && end == resets_at
            && !is_noted
        {
            let reached = ReachedLimit { subject: subject.clone(), period, amount, resets_at };
            self.add(now, Fact::Alert(Alert::LimitReached(Box::new(reached))));
        }
        Ok(Output::Done)
    }

    /// The thresholds in force, and the seconds after an alert in which its threshold fires no
    /// other.
    pub(crate) fn alerts(&self) -> Option<(Vec<AlertLine>, i64)> {
        self.lines.iter().rev().find_map(|line| match &line.fact {
            Fact::Alerts { thresholds, cooldown_seconds } => Some((thresholds.clone(), *cooldown_seconds)),
            _ => None,
        })
    }

    /// The thresholds in force with their last alerts.
    #[must_use]
    pub fn thresholds(&self) -> Vec<Threshold> {
        let (lines, _) = self.alerts().unwrap_or_default();
        lines.into_iter().map(|line| self.threshold(line)).collect()
    }

    fn threshold(&self, line: AlertLine) -> Threshold {
        let amount = match line {
            AlertLine::Amount(amount) => amount,
            AlertLine::RunwayDays(_) => Micros::ZERO,
        };
        let new = Threshold { line, amount, fired_at: Timestamp::ZERO, is_low: false };
        let mut threshold = new;
        for fact in &self.lines {
            match &fact.fact {
                Fact::Alert(Alert::Low(at)) if at.line() == line => {
                    let fired_at = fact.decided_at;
                    threshold = Threshold { line, amount: at.amount, fired_at, is_low: true };
                }
                Fact::Alert(Alert::Recovered(at)) if at.line() == line => {
                    threshold = Threshold { amount: at.amount, is_low: false, ..threshold };
                }
                Fact::Alerts { thresholds, .. } if !thresholds.contains(&line) => threshold = new,
                _ => {}
            }
        }
        threshold
    }

    /// The time of the last notice of a refused charge.
    #[must_use]
    pub fn refused_at(&self) -> Timestamp {
        let noted = self.lines.iter().rev().find(|line| matches!(line.fact, Fact::Alert(Alert::Refused(_))));
        noted.map_or(Timestamp::ZERO, |line| line.decided_at)
    }

    /// The limits that were noted as reached, each with the end of the period. The end of a period
    /// is forgotten when it is over and another limit is noted.
    #[must_use]
    pub fn reached(&self) -> BTreeMap<(Subject, Period), Timestamp> {
        let mut reached = BTreeMap::new();
        for line in &self.lines {
            match &line.fact {
                Fact::Limits(limits) => {
                    reached.retain(|(subject, period), _| {
                        limits.iter().any(|(of, per, _)| of == subject && per == period)
                    });
                }
                Fact::Alert(Alert::LimitReached(noted)) => {
                    reached.retain(|_, end| *end > line.decided_at);
                    reached.insert((noted.subject.clone(), noted.period), noted.resets_at);
                }
                _ => {}
            }
        }
        reached
    }
}

fn crossing(line: AlertLine, amount: Micros) -> Crossing {
    let runway_days = match line {
        AlertLine::Amount(_) => None,
        AlertLine::RunwayDays(days) => Some(days),
    };
    Crossing { amount, runway_days }
}

/// 105 % of an amount, rounded up, and at most the largest balance.
fn recovered_at(amount: Micros) -> Micros {
    let hundredths = i128::from(amount.get()) * 105;
    let rounded = (hundredths + 99) / 100;
    Micros::new(i64::try_from(rounded).expect("an amount is far below the bound")).min(AMOUNT_MAX)
}
