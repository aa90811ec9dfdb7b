//! Random commands about thresholds and notices. Their amounts are those of prices and balances, so
//! that most checks are close to a line.

use tollkeeper_ledger::{AlertLine, Command, Micros, Period, RefusedCharge, Subject, Timestamp};

use super::Workload;
use crate::model::Pool;

/// Days of runway: few, so that a threshold is often set again and keeps its last alert.
const DAYS: [u16; 4] = [1, 7, 30, 365];

impl Workload {
    pub(super) fn alerts(&mut self, pool: &Pool) -> Command {
        match self.random.below(100) {
            0..45 => self.set_alerts(),
            45..70 => self.check_alerts(pool),
            70..85 => self.note_refused(pool),
            _ => self.note_limit(pool),
        }
    }

    fn set_alerts(&mut self) -> Command {
        let count = self.random.index(4);
        let mut thresholds = Vec::new();
        for _ in 0..count {
            // From a small set, so that a threshold is often set again and keeps its last alert.
            let amount = *self.random.pick(&[0, 500, 1_000, 5_000, 20_000, 100_000]);
            if amount > 0 {
                thresholds.push(AlertLine::Amount(Micros::new(amount)));
            }
        }
        if self.random.chance(400) {
            let days = if self.random.chance(30) { 366 } else { *self.random.pick(&DAYS) };
            thresholds.push(AlertLine::RunwayDays(days));
        }
        let cooldown_seconds = *self.random.pick(&[-1, 0, 60, 3_600, 86_400, 86_400, 40_000_000]);
        Command::SetAlerts { thresholds, cooldown_seconds }
    }

    /// A check with a need that is close to what is available, below it or above it.
    fn check_alerts(&mut self, pool: &Pool) -> Command {
        let available = pool.balance().available.get();
        let mut lines = Vec::new();
        for days in DAYS {
            if self.random.chance(700) {
                let percent = *self.random.pick(&[0, 90, 95, 96, 100, 101, 110]);
                let extra = self.random.below(3) as i64 - i64::from(self.random.chance(20));
                lines.push((days, Micros::new(available / 100 * percent + extra)));
            }
        }
        Command::CheckAlerts { lines }
    }

    fn note_refused(&mut self, pool: &Pool) -> Command {
        let available = pool.balance().available;
        let missing = self.random.below(2_000) as i64 - i64::from(self.random.chance(30));
        let refusals = if self.random.chance(20) { 0 } else { 1 + self.random.below(9) };
        let required = available + Micros::new(missing);
        Command::NoteRefused(RefusedCharge { operation: self.operation(), required, available, refusals })
    }

    /// Mostly a limit that is set, at the end of its period; at times another one, or another end.
    fn note_limit(&mut self, pool: &Pool) -> Command {
        let limits = pool.limits();
        let (subject, period) = match limits.len() {
            0 => (Subject::Workspace, Period::Day),
            _ if self.random.chance(50) => (Subject::Workspace, Period::Month),
            count => {
                let (subject, period, _) = &limits[self.random.index(count)];
                (subject.clone(), *period)
            }
        };
        let windows = pool.windows(pool.present(self.now));
        let end = if period == Period::Day { windows.day.end } else { windows.month.end };
        let later = i64::from(self.random.chance(50));
        Command::NoteLimit { subject, period, resets_at: Timestamp::from_millis(end.millis() + later) }
    }
}
