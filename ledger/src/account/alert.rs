//! Low-balance thresholds (P13): an alert fires once for each time that the balance falls below a
//! threshold (i09).
//!
//! A threshold is an amount of credit, or a number of days that the credit is to last (its
//! *runway*). The credit for these days is computed outside the ledger and handed in. After an
//! alert the threshold is *low*: it fires no other until the balance has recovered, which is an
//! entry too. Within the cooldown of a threshold it does not fire again either. A fall that the
//! cooldown silenced fires after the cooldown, if the balance is still below.
//!
//! The e-mail or webhook that an alert causes is not here. Refused charges and limits that were
//! reached are in `notice`.

use super::notice::{Notices, ReachedLimit, RefusedCharge};
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::journal::kind::Kind;
use crate::{Limits, Micros, Timestamp, bounds};

/// What a threshold watches. Amounts come before days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertLine {
    /// An amount of available credit.
    Amount(Micros),
    /// The days that the available credit lasts by the forecast.
    RunwayDays(u16),
}

/// That the balance fell below a threshold, or recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The credit below which the balance is low. For days of runway it is what the forecast said
    /// that they need.
    pub amount: Micros,
    /// The days of runway, if that is what the threshold watches.
    pub runway_days: Option<u16>,
}

/// A line below which an alert fires, set by an admin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// What it watches.
    pub line: AlertLine,
    /// The credit below which it is low. For days of runway it is the one of its last alert; zero
    /// before the first.
    pub amount: Micros,
    /// The time by which its alert last fired; [`Timestamp::ZERO`] if never.
    pub fired_at: Timestamp,
    /// True from an alert until the balance has recovered.
    pub is_low: bool,
}

/// The thresholds of a workspace with their cooldown, and what else was noted for its admins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// At most [`bounds::THRESHOLDS_MAX`], ascending: amounts first, then days of runway.
    pub thresholds: Vec<Threshold>,
    /// Seconds after an alert in which its threshold does not fire again.
    pub cooldown_seconds: i64,
    /// The refused charges and reached limits that were noted; `None` if there were none.
    pub notices: Option<Box<Notices>>,
}

impl Default for Alerts {
    fn default() -> Alerts {
        let cooldown_seconds = bounds::ALERT_COOLDOWN_DEFAULT_SECONDS;
        Alerts { thresholds: Vec::new(), cooldown_seconds, notices: None }
    }
}

/// How a change moves the available balance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BalanceMove {
    pub before: Micros,
    pub after: Micros,
    /// True if credit was granted in the change. What goes back of charges is none.
    pub is_granted: bool,
}

/// What the admins of a workspace are to know: one entry of the journal each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// The available balance fell below a threshold.
    Low(Crossing),
    /// The balance has recovered since the alert of a threshold.
    Recovered(Crossing),
    /// A charge was refused for lack of credit.
    Refused(Box<RefusedCharge>),
    /// A spending limit refused a charge.
    LimitReached(Box<ReachedLimit>),
}

impl Alert {
    /// The kind of its entry.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Alert::Low(_) => Kind::BalanceLow,
            Alert::Recovered(_) => Kind::BalanceRecovered,
            Alert::Refused(_) => Kind::BalanceRefused,
            Alert::LimitReached(_) => Kind::LimitReached,
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Alert::Low(crossing) | Alert::Recovered(crossing) => crossing.write(w),
            Alert::Refused(refused) => refused.write(w),
            Alert::LimitReached(reached) => reached.write(w),
        }
    }

    /// Reads the body of an entry of one of the kinds.
    pub(crate) fn read(r: &mut Reader, kind: Kind) -> Result<Alert, Malformed> {
        Ok(match kind {
            Kind::BalanceLow => Alert::Low(Crossing::read(r)?),
            Kind::BalanceRecovered => Alert::Recovered(Crossing::read(r)?),
            Kind::BalanceRefused => Alert::Refused(Box::new(RefusedCharge::read(r)?)),
            Kind::LimitReached => Alert::LimitReached(Box::new(ReachedLimit::read(r)?)),
            _ => return Err(Malformed("an alert")),
        })
    }
}

impl Crossing {
    /// The threshold that it is about.
    #[must_use]
    pub const fn line(&self) -> AlertLine {
        match self.runway_days {
            Some(days) => AlertLine::RunwayDays(days),
            None => AlertLine::Amount(self.amount),
        }
    }

    /// An amount has the bytes that it always had.
    pub(crate) fn write(&self, w: &mut Writer) {
        self.line().write(w);
        if self.runway_days.is_some() {
            w.micros(self.amount);
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Crossing, Malformed> {
        Ok(match AlertLine::read(r)? {
            AlertLine::Amount(amount) => Crossing { amount, runway_days: None },
            AlertLine::RunwayDays(days) => {
                Crossing { amount: r.micros("a threshold")?, runway_days: Some(days) }
            }
        })
    }
}

impl AlertLine {
    /// The days of runway, if it watches them.
    #[must_use]
    pub const fn days(self) -> Option<u16> {
        match self {
            AlertLine::Amount(_) => None,
            AlertLine::RunwayDays(days) => Some(days),
        }
    }

    /// An amount as it is, which is never below zero; days as a number below zero.
    pub(crate) fn write(&self, w: &mut Writer) {
        w.micros(match self {
            AlertLine::Amount(amount) => *amount,
            AlertLine::RunwayDays(days) => Micros::new(-i64::from(*days)),
        });
    }

    pub(crate) fn read(r: &mut Reader) -> Result<AlertLine, Malformed> {
        let amount = r.micros("a threshold")?;
        if amount >= Micros::ZERO {
            return Ok(AlertLine::Amount(amount));
        }
        let days = amount.get().checked_neg().and_then(|days| u16::try_from(days).ok());
        days.map(AlertLine::RunwayDays).ok_or(Malformed("days of runway"))
    }
}

/// The balance at which a threshold of `amount` has recovered without new credit: 5 % above it,
/// rounded up. No balance exceeds [`Micros::MAX`], so neither does this.
fn recovered_at(amount: Micros) -> Micros {
    let margin = (amount.get() + bounds::RECOVERY_ONE_OF - 1) / bounds::RECOVERY_ONE_OF;
    assert!(margin >= 0, "i09: a threshold must not be negative");
    amount.checked_add(Micros::new(margin)).unwrap_or(Micros::MAX).min(Micros::MAX)
}

impl Threshold {
    /// A threshold that was just set.
    pub(crate) fn new(line: AlertLine) -> Threshold {
        let amount = match line {
            AlertLine::Amount(amount) => amount,
            AlertLine::RunwayDays(_) => Micros::ZERO,
        };
        Threshold { line, amount, fired_at: Timestamp::ZERO, is_low: false }
    }

    fn crossing(&self, amount: Micros) -> Crossing {
        Crossing { amount, runway_days: self.line.days() }
    }

    /// True if the cooldown is over. An alert that fired while a clock was ahead silences nothing
    /// until that time comes.
    fn may_fire(&self, cooldown_seconds: i64, now: Timestamp) -> bool {
        is_over(self.fired_at, cooldown_seconds, now)
    }

    /// What follows for an amount of credit when the balance moves.
    ///
    /// A threshold that never fired fires only when the balance falls below it. One that has
    /// recovered was at or above its line then. So if the balance is below, it fell since.
    fn after_move(&self, moved: BalanceMove, cooldown_seconds: i64, now: Timestamp) -> Option<Alert> {
        match self.line {
            _ if self.is_low => self.recovery(self.amount, moved),
            AlertLine::RunwayDays(_) => None,
            AlertLine::Amount(amount) => {
                let has_fallen = self.fired_at != Timestamp::ZERO || moved.before >= amount;
                let fires = has_fallen && moved.after < amount && self.may_fire(cooldown_seconds, now);
                fires.then(|| Alert::Low(self.crossing(amount)))
            }
        }
    }

    /// What follows for days of runway that need `amount` of credit now.
    fn after_forecast(
        &self,
        amount: Micros,
        available: Micros,
        (cooldown_seconds, now): (i64, Timestamp),
    ) -> Option<Alert> {
        if self.is_low {
            let has_recovered = available >= recovered_at(amount);
            return has_recovered.then(|| Alert::Recovered(self.crossing(amount)));
        }
        let fires = available < amount && self.may_fire(cooldown_seconds, now);
        fires.then(|| Alert::Low(self.crossing(amount)))
    }

    /// The recovery of a threshold that is low: at 5 % above it, or at the line if credit was
    /// granted. What days of runway need may have changed since their alert, so for them only new
    /// credit counts here; the next forecast sees the rest.
    fn recovery(&self, amount: Micros, moved: BalanceMove) -> Option<Alert> {
        let is_amount = matches!(self.line, AlertLine::Amount(_));
        let is_clear = is_amount && moved.after >= recovered_at(amount);
        let has_recovered = moved.after >= amount && (moved.is_granted || is_clear);
        has_recovered.then(|| Alert::Recovered(self.crossing(amount)))
    }
}

/// True if a cooldown that began at `since` is over.
pub(crate) fn is_over(since: Timestamp, cooldown_seconds: i64, now: Timestamp) -> bool {
    since == Timestamp::ZERO || since.is_ahead_of(now) || since.plus_seconds(cooldown_seconds) <= now
}

impl Alerts {
    /// The alerts and recoveries that follow from a change of the balance.
    pub(crate) fn after_move(&self, moved: BalanceMove, now: Timestamp) -> impl Iterator<Item = Alert> {
        self.assert_bounds();
        let cooldown_seconds = self.cooldown_seconds;
        self.thresholds.iter().filter_map(move |threshold| threshold.after_move(moved, cooldown_seconds, now))
    }

    /// The alerts and recoveries that follow while nothing moves: a cooldown has ended, or the days
    /// of runway need another amount of credit. `lines` says how much they need.
    pub(crate) fn after_forecast(
        &self,
        available: Micros,
        lines: &[(u16, Micros)],
        now: Timestamp,
    ) -> impl Iterator<Item = Alert> {
        self.assert_bounds();
        let still = BalanceMove { before: available, after: available, is_granted: false };
        let cooldown = (self.cooldown_seconds, now);
        self.thresholds.iter().filter_map(move |threshold| match threshold.line {
            AlertLine::Amount(_) => threshold.after_move(still, cooldown.0, now),
            AlertLine::RunwayDays(days) => {
                let (_, amount) = lines.iter().find(|(of, _)| *of == days)?;
                threshold.after_forecast(*amount, available, cooldown)
            }
        })
    }

    fn assert_bounds(&self) {
        assert!(
            self.thresholds.len() <= bounds::THRESHOLDS_MAX,
            "a workspace must have at most ten thresholds"
        );
        assert!(self.cooldown_seconds >= 0, "i09: a cooldown must not be negative");
    }

    /// Replaces the thresholds. One that stays keeps its last alert and whether it is low, so that
    /// saving the settings again does not repeat the alert.
    pub(crate) fn set(&mut self, lines: &[AlertLine], cooldown_seconds: i64) -> Result<(), Violation> {
        ensure(lines.len() <= bounds::THRESHOLDS_MAX, "a workspace has more thresholds than it may have")?;
        ensure(lines.is_sorted_by(|low, high| low < high), "i09: a threshold is set twice or out of order")?;
        ensure(cooldown_seconds >= 0, "i09: a cooldown is negative")?;
        let in_range = |line: &AlertLine| match line {
            AlertLine::Amount(amount) => *amount > Micros::ZERO && *amount <= Micros::MAX,
            AlertLine::RunwayDays(days) => (1..=bounds::RUNWAY_DAYS_MAX).contains(days),
        };
        ensure(lines.iter().all(in_range), "i09: a threshold is out of range")?;
        let kept = |line: &AlertLine| {
            let old = self.thresholds.iter().find(|threshold| threshold.line == *line);
            old.copied().unwrap_or_else(|| Threshold::new(*line))
        };
        self.thresholds = lines.iter().map(kept).collect();
        self.cooldown_seconds = cooldown_seconds;
        Ok(())
    }

    /// True if a threshold has fired and its balance has not recovered.
    pub(crate) fn is_low(&self, line: AlertLine) -> bool {
        self.thresholds.iter().any(|threshold| threshold.line == line && threshold.is_low)
    }

    /// Applies an entry. `available` is the balance after it.
    ///
    /// # Errors
    /// [`Violation`] of i09 if it does not follow from what was noted before.
    pub(crate) fn apply(
        &mut self,
        alert: &Alert,
        available: Micros,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let cooldown_seconds = self.cooldown_seconds;
        match alert {
            Alert::Low(crossing) => self.fire(*crossing, available, now),
            Alert::Recovered(crossing) => self.recover(*crossing, available),
            Alert::Refused(refused) => {
                self.notices.get_or_insert_default().refuse(refused, cooldown_seconds, now)
            }
            Alert::LimitReached(reached) => self.notices.get_or_insert_default().reach(reached, limits, now),
        }
    }

    /// Notes that the alert of a threshold fired. Journals of earlier versions have no recoveries,
    /// so a threshold that is low may fire in them.
    ///
    /// # Errors
    /// [`Violation`] of i09 if there is no such threshold, its cooldown is not over, or the balance
    /// is not below it.
    fn fire(&mut self, crossing: Crossing, available: Micros, now: Timestamp) -> Result<(), Violation> {
        let cooldown_seconds = self.cooldown_seconds;
        let threshold = self.find(crossing)?;
        ensure(threshold.may_fire(cooldown_seconds, now), "i09: an alert fired twice")?;
        ensure(available < crossing.amount, "i09: an alert fires although the balance is not low")?;
        *threshold = Threshold { amount: crossing.amount, fired_at: now, is_low: true, ..*threshold };
        Ok(())
    }

    /// Notes that the balance has recovered.
    ///
    /// # Errors
    /// [`Violation`] of i09 if the threshold is not low, or the balance is below it.
    fn recover(&mut self, crossing: Crossing, available: Micros) -> Result<(), Violation> {
        let threshold = self.find(crossing)?;
        ensure(threshold.is_low, "i09: a balance recovers that was not low")?;
        ensure(available >= crossing.amount, "i09: a balance recovers although it is low")?;
        *threshold = Threshold { amount: crossing.amount, is_low: false, ..*threshold };
        Ok(())
    }

    /// Removes what was noted of limits that are no longer set.
    pub(crate) fn keep_limits(&mut self, limits: &Limits) {
        let Some(notices) = &mut self.notices else { return };
        notices.keep_limits(limits);
        if notices.is_blank() {
            self.notices = None;
        }
    }

    fn find(&mut self, crossing: Crossing) -> Result<&mut Threshold, Violation> {
        let in_range = (Micros::ZERO..=Micros::MAX).contains(&crossing.amount);
        ensure(in_range, "i09: a threshold is out of range")?;
        let line = crossing.line();
        let found = self.thresholds.iter_mut().find(|threshold| threshold.line == line);
        found.ok_or(Violation("i09: an alert fires for a threshold that is not set"))
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.list(&self.thresholds, |w, threshold| {
            let Threshold { line, amount, fired_at, is_low } = threshold;
            Crossing { amount: *amount, runway_days: line.days() }.write(w);
            w.time(*fired_at);
            w.flag(*is_low);
        });
        w.signed(self.cooldown_seconds);
        w.flag(self.notices.is_some());
        if let Some(notices) = &self.notices {
            notices.write(w);
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Alerts, Malformed> {
        let thresholds = r.list("the thresholds", |r| {
            let crossing = Crossing::read(r)?;
            let (line, amount) = (crossing.line(), crossing.amount);
            Ok(Threshold { line, amount, fired_at: r.time("a threshold")?, is_low: r.flag("a threshold")? })
        })?;
        let cooldown_seconds = r.signed("the cooldown")?;
        let notices = if r.flag("notices")? { Some(Box::new(Notices::read(r)?)) } else { None };
        Ok(Alerts { thresholds, cooldown_seconds, notices })
    }

    /// Reads the bytes of an account of an earlier version. It knew no recoveries, so every
    /// threshold that has fired is low.
    pub(crate) fn read_without_recoveries(r: &mut Reader) -> Result<Alerts, Malformed> {
        let thresholds = r.list("the thresholds", |r| {
            let amount = r.micros("a threshold")?;
            let fired_at = r.time("a threshold")?;
            let is_low = fired_at != Timestamp::ZERO;
            Ok(Threshold { line: AlertLine::Amount(amount), amount, fired_at, is_low })
        })?;
        Ok(Alerts { thresholds, cooldown_seconds: r.signed("the cooldown")?, notices: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_recovers_at_five_percent_rounded_up() {
        let at = |amount: i64| recovered_at(Micros::new(amount)).get();
        assert_eq!([at(0), at(1), at(20), at(21), at(1_000)], [0, 2, 21, 23, 1_050]);
        assert_eq!(at(Micros::MAX.get()), Micros::MAX.get());
    }

    #[test]
    fn thresholds_of_an_earlier_version_are_low_if_they_have_fired() {
        let fired_at = Timestamp::from_millis(5);
        let mut bytes = Vec::new();
        let w = &mut Writer(&mut bytes);
        w.list(&[(7, Timestamp::ZERO), (9, fired_at)], |w, (amount, at)| {
            w.micros(Micros::new(*amount));
            w.time(*at);
        });
        w.signed(60);
        let mut r = Reader(&bytes);
        let read = Alerts::read_without_recoveries(&mut r).expect("they read back");
        let line = |amount| AlertLine::Amount(Micros::new(amount));
        let fired = Threshold { fired_at, is_low: true, ..Threshold::new(line(9)) };
        assert_eq!(read.thresholds, [Threshold::new(line(7)), fired]);
        assert_eq!((read.cooldown_seconds, read.notices, r.is_at_end()), (60, None, true));
    }
}
