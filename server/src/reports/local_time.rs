//! Dates and hours of a time zone, read and written.
//!
//! A day begins with its first instant that exists. The zone database is part of the program, the
//! same that the engines use.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};
use serde::{Serialize, Serializer};
use tollkeeper_engine::TimeStep;
use tollkeeper_ledger::Timestamp;

/// The time zone of this name; UTC if it is not known, as the engines do.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

fn instant(at: Timestamp) -> Instant {
    let (first, last) = (Instant::MIN, Instant::MAX);
    let millis = at.millis().clamp(first.as_millisecond(), last.as_millisecond());
    Instant::from_millisecond(millis).unwrap_or(last)
}

/// The date and the time of an instant, by the clocks of a zone.
pub fn time_of(zone: &TimeZone, at: Timestamp) -> DateTime {
    zone.to_datetime(instant(at))
}

/// The date of an instant.
pub fn date_of(zone: &TimeZone, at: Timestamp) -> Date {
    time_of(zone, at).date()
}

/// The first instant of a date. A date that a zone left out begins with the next one.
pub fn start_of(zone: &TimeZone, date: Date) -> Timestamp {
    let midnight = date.to_zoned(zone.clone());
    let start = midnight.and_then(|midnight| midnight.start_of_day());
    let start = start.map_or(Instant::MAX, |start| start.timestamp());
    Timestamp::from_millis(start.as_millisecond())
}

/// The date some days earlier; the first date of the calendar if there is none.
pub fn days_before(date: Date, days: u32) -> Date {
    date.saturating_sub(i64::from(days).days())
}

/// The date some days later; the last date of the calendar if there is none.
pub fn days_after(date: Date, days: u32) -> Date {
    date.saturating_add(i64::from(days).days())
}

/// Reads a date such as `2026-11-23`, of the years 0000 to 9999.
pub fn read_date(text: &str) -> Option<Date> {
    let is_form = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|_| is_form)
}

/// A date, written such as `2026-11-23`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalDate(pub Date);

impl Serialize for LocalDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The beginning of an hour, day or month, as texts show it.
#[derive(Clone, Debug)]
pub struct LocalTime<'a> {
    /// The zone.
    pub zone: &'a TimeZone,
    /// The beginning.
    pub at: Timestamp,
    /// How long it is.
    pub step: TimeStep,
}

impl fmt::Display for LocalTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalTime { zone, at, step } = self;
        let date = date_of(zone, *at);
        match step {
            TimeStep::Hour => {
                let at = instant(*at);
                write!(f, "{}", at.display_with_offset(zone.to_offset(at)))
            }
            TimeStep::Day => write!(f, "{date}"),
            TimeStep::Month => write!(f, "{:04}-{:02}", date.year(), date.month()),
        }
    }
}

impl Serialize for LocalTime<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// 2026-03-08T05:00:00Z, when the day begins in New York whose clocks go forward.
    const IN_MARCH: Timestamp = Timestamp::from_millis(1_772_946_000_000);

    fn text(zone_name: &str, at: Timestamp, step: TimeStep) -> String {
        LocalTime { zone: &zone(zone_name), at, step }.to_string()
    }

    #[test]
    fn times_are_written_in_their_zone() {
        assert_eq!(text("America/New_York", IN_MARCH, TimeStep::Day), "2026-03-08");
        assert_eq!(text("America/New_York", IN_MARCH, TimeStep::Month), "2026-03");
        assert_eq!(text("America/New_York", IN_MARCH, TimeStep::Hour), "2026-03-08T00:00:00-05:00");
        let later = IN_MARCH.plus_seconds(2 * 3_600);
        assert_eq!(text("America/New_York", later, TimeStep::Hour), "2026-03-08T03:00:00-04:00");
        assert_eq!(text("UTC", IN_MARCH, TimeStep::Hour), "2026-03-08T05:00:00+00:00");
        assert_eq!(text("Asia/Kathmandu", IN_MARCH, TimeStep::Hour), "2026-03-08T10:45:00+05:45");
    }

    #[test]
    fn a_date_begins_with_its_first_instant() {
        let new_york = zone("America/New_York");
        assert_eq!(start_of(&new_york, date(2026, 3, 8)), IN_MARCH);
        assert_eq!(date_of(&new_york, Timestamp::from_millis(IN_MARCH.millis() - 1)), date(2026, 3, 7));
        // Midnight is left out: the day begins at 01:00, which is 22:00 in UTC.
        let cairo = start_of(&zone("Africa/Cairo"), date(2026, 4, 24));
        assert_eq!(cairo.rfc3339(), "2026-04-23T22:00:00.000Z");
        // The whole day is left out.
        let apia = zone("Pacific/Apia");
        assert_eq!(start_of(&apia, date(2011, 12, 30)), start_of(&apia, date(2011, 12, 31)));
    }

    #[test]
    fn only_plain_dates_are_read() {
        assert_eq!(read_date("2026-11-23"), Some(date(2026, 11, 23)));
        for wrong in ["2026-11-31", "2026-11", "20261123", "2026-11-23T00:00:00Z", "-02026-1-1", ""] {
            assert_eq!(read_date(wrong), None, "{wrong}");
        }
        assert_eq!(days_before(date(2026, 3, 1), 2), date(2026, 2, 27));
    }
}
