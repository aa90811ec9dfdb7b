//! The range of a report in effect, and the pieces of time that rows fall into.
//!
//! Usage is stored by whole hours in UTC, which are divided where a day of the workspace begins. So
//! a range can begin and end only with an hour or with a day, and one that does not is widened. A
//! *period* is an hour, a day or a month that gets rows of its own. A *slot* is a period or a piece
//! of one. Where a period, or the range, begins or ends within an hour, the pieces of that hour are
//! slots of their own, also those outside of the range. So slots together are whole hours.

use std::ops::Range;

use tollkeeper_ledger::Timestamp;

use super::request::{TimeStep, USAGE_DAYS_MAX, UsageRequest};
use super::{UsageRefusal, UsageReport};
use crate::calendar::{is_known_timezone, period_windows};

const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// The pieces of time of a report.
#[derive(Debug)]
pub(crate) struct Slots {
    /// The time zone of days and months.
    pub timezone: Box<str>,
    /// The first instant in effect.
    pub from: Timestamp,
    /// The first instant after the range in effect.
    pub to: Timestamp,
    /// Where each slot begins, in order.
    starts: Vec<Timestamp>,
    /// For each slot, where its period begins; `None` if it is outside of the range.
    periods: Vec<Option<Timestamp>>,
}

impl Slots {
    /// The slots of a request about a workspace with this time zone.
    pub(crate) fn of(request: &UsageRequest, workspace: &str) -> Result<Slots, UsageRefusal> {
        let UsageRequest { from, to, timezone, group_by, filter: _ } = request;
        let timezone = match timezone.as_deref() {
            Some(timezone) if !is_known_timezone(timezone) => return Err(UsageRefusal::UnknownTimezone),
            Some(timezone) => timezone,
            None => workspace,
        };
        if from >= to {
            return Err(UsageRefusal::EmptyRange);
        }
        let length = to.millis().checked_sub(from.millis());
        if length.is_none_or(|length| length > USAGE_DAYS_MAX * DAY_MILLIS) {
            return Err(UsageRefusal::RangeTooLong);
        }
        let range = row_start(timezone, *from)..row_end(timezone, *to);
        let periods = period_starts(timezone, group_by.time, &range);
        Ok(Slots::divided(timezone, range, &periods))
    }

    /// Divides a range at the beginnings of its periods, and around each hour within which it or a
    /// period begins or ends. The first period contains the beginning of the range.
    fn divided(timezone: &str, range: Range<Timestamp>, periods: &[Timestamp]) -> Slots {
        let Range { start: from, end: to } = range;
        let inside = periods.iter().copied().filter(|start| *start > from);
        let mut starts: Vec<Timestamp> = inside.chain([from, to]).collect();
        let within_hours = starts.iter().filter(|start| start.millis().rem_euclid(HOUR_MILLIS) != 0);
        let hours = within_hours.flat_map(|start| [start.hour(), start.hour() + 1]);
        let hours: Vec<Timestamp> = hours.map(start_of_hour).collect();
        starts.extend(hours);
        starts.sort_unstable();
        starts.dedup();
        // The last one is the end of the last slot.
        starts.pop();
        let period_of = |start: &Timestamp| {
            let place = periods.partition_point(|period| period <= start);
            let is_inside = (from..to).contains(start);
            is_inside.then(|| periods[place - 1])
        };
        let periods = starts.iter().map(period_of).collect();
        let slots = Slots { timezone: timezone.into(), from, to, starts, periods };
        assert!(slots.starts[0] <= from, "the slots contain the range");
        slots
    }

    /// The whole hours of all slots, since 1970 in UTC.
    pub(crate) fn hours(&self) -> Range<i64> {
        let last = Timestamp::from_millis(self.to.millis() - 1);
        self.from.hour()..last.hour() + 1
    }

    /// Where each slot begins.
    pub(crate) fn starts(&self) -> &[Timestamp] {
        &self.starts
    }

    /// The slot of an instant; `None` if it is in no hour of the range.
    pub(crate) fn slot_of(&self, at: Timestamp) -> Option<usize> {
        if !self.hours().contains(&at.hour()) {
            return None;
        }
        let slot = self.starts.partition_point(|start| *start <= at) - 1;
        assert!(self.starts[slot] <= at, "an instant is in its slot");
        Some(slot)
    }

    /// The hour in which a slot begins.
    pub(crate) fn hour(&self, slot: usize) -> i64 {
        self.starts[slot].hour()
    }

    /// Where the period of a slot begins, which may be before the range; `None` if the slot is
    /// outside of the range.
    pub(crate) fn period(&self, slot: usize) -> Option<Timestamp> {
        self.periods[slot]
    }

    /// A report of the range without rows.
    pub(crate) fn empty_report(&self) -> UsageReport {
        UsageReport {
            timezone: self.timezone.clone(),
            from: self.from,
            to: self.to,
            rebuilding: false,
            rows: Vec::new(),
            total: Default::default(),
        }
    }
}

fn start_of_hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour.saturating_mul(HOUR_MILLIS))
}

/// The beginning of the hour that contains `at`, or of the day if that begins later.
fn row_start(timezone: &str, at: Timestamp) -> Timestamp {
    start_of_hour(at.hour()).max(period_windows(timezone, at).day.start)
}

/// The end of the hour that contains the instant before `at`, or of the day if that ends earlier.
fn row_end(timezone: &str, at: Timestamp) -> Timestamp {
    let last = Timestamp::from_millis(at.millis().saturating_sub(1));
    start_of_hour(last.hour() + 1).min(period_windows(timezone, last).day.end)
}

/// Where the periods of a range begin, in order. The first one contains the beginning of the range.
fn period_starts(timezone: &str, step: Option<TimeStep>, range: &Range<Timestamp>) -> Vec<Timestamp> {
    let mut starts = Vec::new();
    let mut at = range.start;
    let Some(step) = step else { return vec![at] };
    while at < range.end {
        let windows = period_windows(timezone, at);
        match step {
            TimeStep::Day => starts.push(windows.day.start),
            TimeStep::Month => starts.push(windows.month.start),
            TimeStep::Hour => {
                let day_end = windows.day.end.min(range.end);
                while at < day_end {
                    starts.push(at);
                    at = start_of_hour(at.hour() + 1).min(day_end);
                }
            }
        }
        at = if step == TimeStep::Month { windows.month.end } else { windows.day.end };
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage_report::{GroupBy, UsageFilter};

    /// 2026-03-08T00:00:00Z.
    const MARCH: Timestamp = Timestamp::from_millis(1_772_928_000_000);

    fn request(hours: std::ops::Range<i64>, time: Option<TimeStep>) -> UsageRequest {
        let [from, to] = [hours.start, hours.end].map(|hour| MARCH.plus_seconds(hour * 3_600));
        let group_by = GroupBy { time, ..GroupBy::default() };
        UsageRequest { from, to, timezone: None, group_by, filter: UsageFilter::default() }
    }

    /// Minutes since the beginning of 8 March.
    fn minutes(times: &[Timestamp]) -> Vec<i64> {
        times.iter().map(|at| (at.millis() - MARCH.millis()) / 60_000).collect()
    }

    fn slots(zone: &str, hours: std::ops::Range<i64>, time: Option<TimeStep>) -> Slots {
        Slots::of(&request(hours, time), zone).expect("the workspace's own days are rows")
    }

    /// The beginning of the period of each slot in minutes; `None` for a slot that is outside.
    fn periods(slots: &Slots) -> Vec<Option<i64>> {
        let period = |slot| slots.period(slot).map(|period| minutes(&[period])[0]);
        (0..slots.starts().len()).map(period).collect()
    }

    #[test]
    fn days_of_a_zone_of_whole_hours_are_slots() {
        let days = slots("America/New_York", 0..72, Some(TimeStep::Day));
        assert_eq!(minutes(days.starts()), [0, 300, 300 + 23 * 60, 300 + 47 * 60]);
        let begins = [-19 * 60, 300, 300 + 23 * 60, 300 + 47 * 60];
        assert_eq!(periods(&days), begins.map(Some), "the first day begins before the range");
        assert_eq!((days.hours().end - days.hours().start, days.slot_of(days.to)), (72, None));
        assert_eq!(days.slot_of(MARCH.plus_seconds(300 * 60 - 1)), Some(0));
        assert_eq!(days.slot_of(MARCH.plus_seconds(300 * 60)), Some(1));
        assert_eq!(days.slot_of(MARCH.plus_seconds(-1)), None);
    }

    #[test]
    fn an_hour_in_which_a_day_begins_is_two_slots() {
        // Midnight in Kathmandu is 18:15 in UTC.
        let days = slots("Asia/Kathmandu", 0..30, Some(TimeStep::Day));
        assert_eq!(minutes(days.starts()), [0, 1_080, 1_095, 1_140]);
        assert_eq!(periods(&days), [-345, -345, 1_095, 1_095].map(Some));
        let hours = slots("Asia/Kathmandu", 17..20, Some(TimeStep::Hour));
        assert_eq!(minutes(hours.starts()), [1_020, 1_080, 1_095, 1_140]);
        assert_eq!(periods(&hours), [1_020, 1_080, 1_095, 1_140].map(Some));
        assert_eq!(minutes(slots("Asia/Kathmandu", 0..48, None).starts()), [0]);
    }

    #[test]
    fn a_range_is_widened_to_whole_hours_and_days() {
        let wide = |from: i64, to: i64| {
            let [from, to] = [from, to].map(|minute| MARCH.plus_seconds(minute * 60));
            let slots = Slots::of(&UsageRequest { from, to, ..request(0..1, None) }, "Asia/Kathmandu");
            let slots = slots.expect("it is a range");
            (minutes(&[slots.from, slots.to]), minutes(slots.starts()), periods(&slots))
        };
        assert_eq!(wide(61, 119), (vec![60, 120], vec![60], vec![Some(60)]));
        assert_eq!(wide(60, 120), (vec![60, 120], vec![60], vec![Some(60)]));
        let day_ends = (vec![1_080, 1_095], vec![1_080, 1_095], vec![Some(1_080), None]);
        assert_eq!(wide(1_094, 1_095), day_ends, "the day ends within the hour");
        let day_begins = (vec![1_095, 1_140], vec![1_080, 1_095], vec![None, Some(1_095)]);
        assert_eq!(wide(1_095, 1_096), day_begins, "the day begins within the hour");
        assert_eq!(wide(1_100, 1_140), day_begins);
    }

    #[test]
    fn ten_years_of_hours_are_made_at_once() {
        let hours = slots("Asia/Kathmandu", 0..3_650 * 24, Some(TimeStep::Hour));
        assert_eq!(hours.starts().len(), 3_650 * 25);
        assert!(hours.starts().is_sorted());
    }
}
