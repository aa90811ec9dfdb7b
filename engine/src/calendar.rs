//! Where a day and a month begin in a time zone: the calendar the ledger does not have.
//!
//! A day begins with its first instant that exists: where summer time skips midnight, that is a later hour.

use jiff::{ToSpan, Zoned, tz::TimeZone};
use tollkeeper_ledger::{Timestamp, Windows};

/// Whether this is a time zone of the IANA database.
#[must_use]
pub fn known_timezone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// The day and the month around an instant in a time zone; in UTC if the zone is not known (any more).
#[must_use]
pub fn windows(timezone: &str, now: Timestamp) -> Windows {
    let zone = TimeZone::get(timezone).unwrap_or(TimeZone::UTC);
    let instant = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let day = begin(&instant.to_zoned(zone));
    let month = day.first_of_month().map_or_else(|_| day.clone(), |first| begin(&first));
    let next_day = begin(&day.saturating_add(1.day()));
    let next_month = begin(&month.saturating_add(1.month()));
    Windows { day: (millis(&day), millis(&next_day)), month: (millis(&month), millis(&next_month)) }
}

fn begin(at: &Zoned) -> Zoned {
    at.start_of_day().unwrap_or_else(|_| at.clone())
}

fn millis(at: &Zoned) -> Timestamp {
    Timestamp::from_millis(at.timestamp().as_millisecond())
}
