//! Days that are over, added up: what a workspace used on each day of its time zone, in one piece.
//!
//! A report of a year by day would read a row for each hour and spender. A *closed day* has the
//! sums of a day for each spender, in bytes that both engines store as they are. Days are closed by
//! a job, long after they ended, and never on the way of a charge. A report takes closed days where
//! there are some and rows of hours for the rest, so its sums are the same without any.
//!
//! ```text
//! codec   the bytes of a closed day
//! chain   proves that no closed day of a range is missing
//! ```
//!
//! What is closed is always right: a row that is written for an hour of a closed day takes back
//! that day and all later ones in the same transaction. A change of the time zone takes back all.
//! They are closed again later.
//!
//! Rows from before a change of the zone may cover the beginning of a day. Such days are not
//! closed, and closed days begin after them: a report divides such rows by the journal.

mod chain;
mod codec;

use std::collections::BTreeMap;
use std::ops::Range;

use tollkeeper_ledger::{HourPart, Micros, PeriodWindow, Timestamp, UsageKey, UsageSums};

pub(crate) use chain::DayChain;
pub(crate) use codec::DayPart;

use crate::usage_report::{Fold, GroupBy, Slots, TimeStep};
use crate::{Error, calendar};

/// A day is closed when it ended this long ago, so that a clock that is set back by a day takes
/// nothing back.
const CLOSED_AFTER_SECONDS: i64 = 48 * 3_600;

/// If days that could have been closed this long ago are not, they are being closed.
const LATE_SECONDS: i64 = 3 * 24 * 3_600;

/// Into a day, away from its beginning and end in every time zone.
const NOON_SECONDS: i64 = 12 * 3_600;

/// How far the days of a workspace are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClosedUntil {
    /// The time zone of the days.
    pub timezone: Box<str>,
    /// The beginning of the first closed day.
    pub from: Timestamp,
    /// The beginning of the first day after them.
    pub until: Timestamp,
    /// The beginning of the last closed day with use.
    pub last: Option<Timestamp>,
}

impl ClosedUntil {
    /// No day is closed yet; `first`: where the first row of usage begins.
    pub(crate) fn nothing(timezone: &str, first: Timestamp) -> ClosedUntil {
        let start = day_of(timezone, first).start;
        ClosedUntil { timezone: timezone.into(), from: start, until: start, last: None }
    }

    /// Begins anew after a day that cannot be closed. The days that were closed are to be removed.
    pub(crate) fn begin_after(&mut self, day: PeriodWindow) {
        assert!(self.until <= day.start && day.start < day.end, "days are closed in their order");
        (self.from, self.until, self.last) = (day.end, day.end, None);
    }

    /// Closes a day.
    pub(crate) fn close(&mut self, day: PeriodWindow) {
        assert!(self.until <= day.start && day.start < day.end, "days are closed in their order");
        assert!(self.last.is_none_or(|last| last < day.start), "a day is closed once");
        (self.until, self.last) = (day.end, Some(day.start));
    }
}

/// Days that end at or before this instant can be closed.
pub(crate) fn closable_until(now: Timestamp) -> Timestamp {
    now.plus_seconds(-CLOSED_AFTER_SECONDS)
}

/// The day that contains an instant.
pub(crate) fn day_of(timezone: &str, at: Timestamp) -> PeriodWindow {
    calendar::period_windows(timezone, at).day
}

/// The whole hours that a range touches, since 1970 in UTC.
pub(crate) fn hours_of(range: &Range<Timestamp>) -> Range<i64> {
    let last = Timestamp::from_millis(range.end.millis().saturating_sub(1));
    range.start.hour()..last.hour() + 1
}

/// The sums of a day, by spender and meter.
#[derive(Debug)]
pub(crate) struct DaySums {
    day: PeriodWindow,
    /// Under keys of which the hour is the beginning of the day.
    sums: BTreeMap<UsageKey, UsageSums>,
    /// True if a row covers the beginning or the end of the day.
    is_covered: bool,
}

impl DaySums {
    /// A day without rows.
    pub(crate) fn new(day: PeriodWindow) -> DaySums {
        DaySums { day, sums: BTreeMap::new(), is_covered: false }
    }

    /// Adds a row, if it is of the day.
    ///
    /// # Errors
    /// [`Error::is_damaged`] for a row that no entries sum up to.
    pub(crate) fn add(&mut self, key: UsageKey, used: UsageSums) -> Result<(), Error> {
        let UsageSums { runs, quantity, charged, refunded } = used;
        if runs < 0 || quantity < 0 || charged < Micros::ZERO || refunded < Micros::ZERO {
            return Err(Error::damaged("i08: a row of usage is negative"));
        }
        let (begin, end) = (key.begin(), key.end());
        let covers = |at: Timestamp| begin < at && at < end;
        self.is_covered |= covers(self.day.start) || covers(self.day.end);
        if self.day.contains(begin) {
            let key = UsageKey { hour: self.day.start.millis(), part: HourPart::WHOLE, ..key };
            self.sums.entry(key).or_default().add(used);
        }
        Ok(())
    }

    /// The bytes of the day in parts; none if nothing was used. `before`: the closed day with use
    /// before it. `None` if the day cannot be closed, because a row does not lie within it.
    pub(crate) fn encode(&self, before: Option<Timestamp>) -> Option<Vec<Vec<u8>>> {
        match (self.is_covered, self.sums.is_empty()) {
            (true, _) => None,
            (false, true) => Some(Vec::new()),
            (false, false) => Some(codec::encode_day(before, &self.sums)),
        }
    }
}

/// The whole days of a report, if closed days can be used for it: not if hours are asked for.
pub(crate) fn days_of_report(slots: &Slots, group_by: GroupBy) -> Option<Range<Timestamp>> {
    if group_by.time == Some(TimeStep::Hour) {
        return None;
    }
    let first = day_of(&slots.timezone, slots.from);
    let start = if first.start == slots.from { first.start } else { first.end };
    let end = if first.end > slots.to { start } else { day_of(&slots.timezone, slots.to).start };
    (start < end).then_some(start..end)
}

/// Those of the days of a report that are closed.
pub(crate) fn closed_days_of(
    days: &Range<Timestamp>,
    timezone: &str,
    closed: &ClosedUntil,
) -> Option<Range<Timestamp>> {
    let (start, end) = (days.start.max(closed.from), days.end.min(closed.until));
    (*closed.timezone == *timezone && start < end).then_some(start..end)
}

/// The instant before which the days of a workspace should be closed, if its last entry came at
/// `last_entry_at`.
pub(crate) fn should_be_closed_until(timezone: &str, last_entry_at: Timestamp) -> Timestamp {
    day_of(timezone, closable_until(last_entry_at).plus_seconds(-LATE_SECONDS)).start
}

/// Adds a part of a closed day to a report.
pub(crate) fn add_to_fold(
    fold: &mut Fold,
    slots: &Slots,
    day: Timestamp,
    part: &DayPart,
) -> Result<(), Error> {
    // An hour within which days begin is divided into slots of its own; noon is in none of those.
    let slot = slots.slot_of(day.plus_seconds(NOON_SECONDS));
    let slot = slot.ok_or_else(|| Error::bug("a closed day lies outside of its report"))?;
    part.each(|names, sums| {
        if fold.admits(&names) {
            fold.add(slot..=slot, names, sums);
        }
    })
}
