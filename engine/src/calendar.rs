//! Where a day and a month begin in a time zone: the calendar the ledger does not have.
//!
//! The time zones come with the program, not with the machine: servers of one version count the same days, and what a
//! machine lacks, or calls `localtime`, starts no limit again.
//!
//! A day begins with its first instant that exists: where summer time skips midnight, that is a later hour.

use jiff::{ToSpan, Zoned, tz::TimeZone};
use tollkeeper_ledger::{Account, Limits, PeriodWindow, PeriodWindows, Recount, Timestamp};

/// Whether this is a time zone of the IANA database.
#[must_use]
pub fn is_known_timezone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// The day and the month around an instant in a time zone; in UTC if the zone is not known (any more).
#[must_use]
pub fn period_windows(timezone: &str, now: Timestamp) -> PeriodWindows {
    let zone = TimeZone::get(timezone).unwrap_or(TimeZone::UTC);
    let instant = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let day = begin(&instant.to_zoned(zone));
    let month = day.first_of_month().map_or_else(|_| day.clone(), |first| begin(&first));
    let next_day = begin(&day.saturating_add(1.day()));
    let next_month = begin(&month.saturating_add(1.month()));
    PeriodWindows { day: window(&day, &next_day), month: window(&month, &next_month) }
}

/// The hour before which neither the day nor the month around an instant, or one after it, begins in any time zone: none is
/// a whole day ahead of UTC or behind it.
pub(crate) fn earliest_hour(now: Timestamp) -> i64 {
    const DAY_SECONDS: i64 = 24 * 60 * 60;
    period_windows("UTC", now.plus_seconds(-DAY_SECONDS)).month.start.plus_seconds(-DAY_SECONDS).hour()
}

/// What a decision may need to know of the calendar: the day and month of a recount's time zone, or of the account's; nothing
/// where nothing counts by them.
pub(crate) fn windows_for(account: &Account, recount: Option<&Recount>, now: Timestamp) -> PeriodWindows {
    match recount {
        Some(recount) => period_windows(&recount.timezone, now),
        None if account.limits.is_empty() => {
            let never = PeriodWindow { start: Timestamp::ZERO, end: Timestamp::ZERO };
            PeriodWindows { day: never, month: never }
        }
        None => period_windows(&account.profile.timezone, now),
    }
}

/// The limits of an account, and the day and month they count at an instant.
pub(crate) fn limits(account: &Account, now: Timestamp) -> (Limits, PeriodWindows) {
    (account.limits.clone(), period_windows(&account.profile.timezone, account.clock(now)))
}

fn begin(at: &Zoned) -> Zoned {
    at.start_of_day().unwrap_or_else(|_| at.clone())
}

fn window(start: &Zoned, end: &Zoned) -> PeriodWindow {
    PeriodWindow { start: millis(start), end: millis(end) }
}

fn millis(at: &Zoned) -> Timestamp {
    Timestamp::from_millis(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_month_begins_before_the_earliest_hour() {
        // 2026-02-28 and the days around it, hour by hour.
        for hour in 0..96 {
            let now = Timestamp::from_millis(1_772_236_800_000).plus_seconds(3_600 * hour);
            let earliest = earliest_hour(now);
            for zone in ["Pacific/Kiritimati", "UTC", "America/New_York", "Etc/GMT+12"] {
                for later in [now, now.plus_seconds(3_600 * 24 * 40)] {
                    let PeriodWindows { day, month } = period_windows(zone, later);
                    assert!(
                        earliest <= month.start.hour() && earliest <= day.start.hour(),
                        "{zone} at {now:?}"
                    );
                }
            }
        }
    }
}
