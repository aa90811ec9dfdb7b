//! Low-balance thresholds (P13): an alert fires when one decision moves `available` from at or above a threshold to
//! below it, and not again within the cooldown. Keeps i09. It is an entry of the journal; its way out by e-mail is not
//! here.

use super::invariants::Violation;
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{Micros, Timestamp, bounds};

/// A line an admin set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// The line.
    pub amount: Micros,
    /// When it last fired; [`Timestamp::ZERO`] if never.
    pub fired_at: Timestamp,
}

/// The thresholds of a workspace and how long each stays quiet after it fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// At most [`bounds::THRESHOLDS_MAX`].
    pub thresholds: Vec<Threshold>,
    /// Seconds of quiet after an alert.
    pub cooldown_seconds: i64,
}

impl Default for Alerts {
    fn default() -> Alerts {
        Alerts { thresholds: Vec::new(), cooldown_seconds: bounds::ALERT_COOLDOWN_DEFAULT_SECONDS }
    }
}

impl Alerts {
    /// The thresholds that a move from `before` to `after` crosses downwards and that may speak again.
    pub(crate) fn crossed(
        &self,
        before: Micros,
        after: Micros,
        now: Timestamp,
    ) -> impl Iterator<Item = Micros> {
        self.thresholds
            .iter()
            .filter(move |line| before >= line.amount && after < line.amount)
            .filter(move |line| self.may_fire(line, now))
            .map(|line| line.amount)
    }

    fn may_fire(&self, line: &Threshold, now: Timestamp) -> bool {
        line.fired_at == Timestamp::ZERO || line.fired_at.plus_seconds(self.cooldown_seconds) <= now
    }

    /// Notes that an alert fired (i09).
    pub(crate) fn fire(&mut self, amount: Micros, now: Timestamp) -> Result<(), Violation> {
        let place = self.thresholds.iter().position(|line| line.amount == amount);
        let place = place.ok_or(Violation("i09: an alert fires for a threshold that is not set"))?;
        if !self.may_fire(&self.thresholds[place], now) {
            return Err(Violation("i09: an alert fired twice"));
        }
        self.thresholds[place].fired_at = now;
        Ok(())
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.list(&self.thresholds, |w, line| {
            w.micros(line.amount);
            w.time(line.fired_at);
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
