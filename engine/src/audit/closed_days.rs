//! Compares the closed days of a workspace with its rows of usage. Both are summed up, so that the
//! memory does not grow with them.

use tollkeeper_ledger::{HourPart, PeriodWindow, Timestamp, UsageKey, UsageSums};

use super::{Sketch, Sketcher};
use crate::Error;
use crate::closed_days::{ClosedUntil, DayChain, DayPart, day_of};

/// What the closed days of a workspace hold, and what its rows of usage say that they must hold.
#[derive(Debug)]
pub(crate) struct ClosedDaysAudit {
    /// `None` if no day is closed.
    closed: Option<ClosedUntil>,
    chain: DayChain,
    /// The day of the last row of usage.
    day: PeriodWindow,
    expected: Sketch,
    stored: Sketch,
    is_damaged: bool,
}

impl ClosedDaysAudit {
    pub(crate) fn new(closed: Option<ClosedUntil>) -> ClosedDaysAudit {
        let range =
            closed.as_ref().map_or(Timestamp::ZERO..Timestamp::ZERO, |closed| closed.from..closed.until);
        let day = PeriodWindow { start: Timestamp::ZERO, end: Timestamp::ZERO };
        let (expected, stored) = (Sketch::default(), Sketch::default());
        ClosedDaysAudit { closed, chain: DayChain::new(range), day, expected, stored, is_damaged: false }
    }

    /// Adds a row of usage, in any order.
    pub(crate) fn add_row(&mut self, sketcher: &Sketcher, key: &UsageKey, sums: UsageSums) {
        let Some(closed) = &self.closed else { return };
        let begin = key.begin();
        if closed.from <= begin && begin < closed.until {
            if !self.day.contains(begin) {
                self.day = day_of(&closed.timezone, begin);
            }
            let day = UsageKey { hour: self.day.start.millis(), part: HourPart::WHOLE, ..key.clone() };
            self.expected.add(sketcher.usage(&day, sums));
        }
    }

    /// Adds a part of a closed day, in their order.
    pub(crate) fn add_day(&mut self, sketcher: &Sketcher, day: Timestamp, part: &DayPart) {
        let noted = self.chain.note(day, part);
        let mut has_malformed = false;
        let read = part.each(|names, sums| {
            let key = names.key(day.millis(), HourPart::WHOLE);
            match key {
                Some(key) => self.stored.add(sketcher.usage(&key, sums)),
                None => has_malformed = true,
            }
        });
        self.is_damaged |= noted.is_err() || read.is_err() || has_malformed;
    }

    /// What is wrong, if anything.
    pub(crate) fn finish(self) -> Option<&'static str> {
        let ClosedDaysAudit { closed, chain, expected, stored, is_damaged, .. } = self;
        let is_whole: Result<(), Error> = match &closed {
            Some(closed) => chain.finish(closed, None),
            None => Ok(()),
        };
        let is_right = !is_damaged && is_whole.is_ok() && expected == stored;
        (!is_right).then_some("the closed days of usage differ from the rows that they sum up")
    }
}
