//! Low-balance thresholds (P13): an alert fires if one decision moves `available` from at or above
//! a threshold to below it.
//!
//! Within the cooldown of a threshold it does not fire again (i09). An alert is an entry of the
//! journal. The e-mail or webhook that it causes is not here.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::Violation;
use crate::{Micros, Timestamp, bounds};

/// A balance below which an alert fires, set by an admin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// The balance.
    pub amount: Micros,
    /// The time by which its alert last fired; [`Timestamp::ZERO`] if never.
    pub fired_at: Timestamp,
}

/// The thresholds of a workspace and their cooldown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// At most [`bounds::THRESHOLDS_MAX`], ascending.
    pub thresholds: Vec<Threshold>,
    /// Seconds after an alert in which its threshold does not fire again.
    pub cooldown_seconds: i64,
}

impl Default for Alerts {
    fn default() -> Alerts {
        Alerts { thresholds: Vec::new(), cooldown_seconds: bounds::ALERT_COOLDOWN_DEFAULT_SECONDS }
    }
}

impl Alerts {
    /// The thresholds whose alerts fire when the balance moves from `before` to `after`: those that
    /// are crossed downwards and whose cooldown is over.
    pub(crate) fn crossed(
        &self,
        before: Micros,
        after: Micros,
        now: Timestamp,
    ) -> impl Iterator<Item = Micros> {
        assert!(
            self.thresholds.len() <= bounds::THRESHOLDS_MAX,
            "a workspace must have at most ten thresholds"
        );
        assert!(self.cooldown_seconds >= 0, "i09: a cooldown must not be negative");
        self.thresholds
            .iter()
            .filter(move |threshold| before >= threshold.amount && after < threshold.amount)
            .filter(move |threshold| self.may_fire(threshold, now))
            .map(|threshold| threshold.amount)
    }

    fn may_fire(&self, threshold: &Threshold, now: Timestamp) -> bool {
        // An alert that fired while a clock was ahead silences nothing until that time comes.
        threshold.fired_at == Timestamp::ZERO
            || threshold.fired_at.is_ahead_of(now)
            || threshold.fired_at.plus_seconds(self.cooldown_seconds) <= now
    }

    /// Notes that the alert of a threshold fired.
    ///
    /// # Errors
    /// [`Violation`] of i09 if there is no such threshold or its cooldown is not over.
    pub(crate) fn fire(&mut self, amount: Micros, now: Timestamp) -> Result<(), Violation> {
        let index = self.thresholds.iter().position(|threshold| threshold.amount == amount);
        let index = index.ok_or(Violation("i09: an alert fires for a threshold that is not set"))?;
        if !self.may_fire(&self.thresholds[index], now) {
            return Err(Violation("i09: an alert fired twice"));
        }
        self.thresholds[index].fired_at = now;
        Ok(())
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.list(&self.thresholds, |w, threshold| {
            w.micros(threshold.amount);
            w.time(threshold.fired_at);
        });
        w.signed(self.cooldown_seconds);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Alerts, Malformed> {
        let thresholds = r.list("the thresholds", |r| {
            Ok(Threshold { amount: r.micros("a threshold")?, fired_at: r.time("a threshold")? })
        })?;
        Ok(Alerts { thresholds, cooldown_seconds: r.signed("the cooldown")? })
    }
}
