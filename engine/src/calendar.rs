//! Time zones: where a day and a month begin. The ledger has no calendar, so the engines compute
//! the periods for it.
//!
//! The time zone database is part of the program. So servers of one version agree on the days,
//! independent of the database on their machines.
//!
//! A day begins with its first instant that exists: a later hour where summer time skips midnight.

use jiff::{ToSpan, Zoned, tz::TimeZone};
use tollkeeper_ledger::{Account, Limits, PeriodWindow, PeriodWindows, Recount, Timestamp};

/// True for the exact name of a time zone in the IANA database, that is, of a place or an offset.
#[must_use]
pub fn is_known_timezone(name: &str) -> bool {
    let is_nowhere = matches!(name, "Etc/Unknown" | "Factory");
    !is_nowhere && TimeZone::get(name).is_ok_and(|zone| zone.iana_name() == Some(name))
}

/// The day and the month around an instant in a time zone; in UTC if the time zone is not known.
///
/// Both contain the instant: `start <= now < end`. The last day and month that the calendar can
/// represent, in the year 9999, do not end; the first ones do not begin.
#[must_use]
pub fn period_windows(timezone: &str, now: Timestamp) -> PeriodWindows {
    let zone = TimeZone::get(timezone).unwrap_or(TimeZone::UTC);
    let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    let within = now.millis().clamp(first.as_millisecond(), last.as_millisecond());
    let instant = jiff::Timestamp::from_millisecond(within).unwrap_or(last);
    let day = start_of_day(&instant.to_zoned(zone));
    let month = day.first_of_month().map_or_else(|_| day.clone(), |first| start_of_day(&first));
    let next_day = start_of_day(&day.saturating_add(1.day()));
    let next_month = start_of_day(&month.saturating_add(1.month()));
    let windows =
        PeriodWindows { day: window(&day, &next_day, now), month: window(&month, &next_month, now) };
    assert!(windows.day.contains(now), "a day contains its instant");
    assert!(windows.month.contains(now), "a month contains its instant");
    assert!(windows.month.start <= windows.day.start, "a day begins in its month");
    windows
}

/// The earliest UTC hour at which the current day or month can begin, in any time zone; those of
/// later instants do not begin earlier. No time zone is a whole day ahead of UTC or behind it.
pub(crate) fn earliest_hour(now: Timestamp) -> i64 {
    const DAY_SECONDS: i64 = 24 * 60 * 60;
    period_windows("UTC", now.plus_seconds(-DAY_SECONDS)).month.start.plus_seconds(-DAY_SECONDS).hour()
}

/// The periods for a decision: in the time zone of a recount if there is one, else in the
/// account's. Empty periods if the account needs none, because nothing counts by them.
pub(crate) fn windows_for(account: &Account, recount: Option<&Recount>, now: Timestamp) -> PeriodWindows {
    match recount {
        Some(recount) => period_windows(&recount.timezone, now),
        None if !account.needs_windows() => {
            let never = PeriodWindow { start: Timestamp::ZERO, end: Timestamp::ZERO };
            PeriodWindows { day: never, month: never }
        }
        None => period_windows(&account.profile.timezone, now),
    }
}

/// The limits of an account, and the day and month around an instant in its time zone.
pub(crate) fn limits(account: &Account, now: Timestamp) -> (Limits, PeriodWindows) {
    (account.limits.clone(), period_windows(&account.profile.timezone, account.present(now)))
}

fn start_of_day(at: &Zoned) -> Zoned {
    at.start_of_day().unwrap_or_else(|_| at.clone())
}

/// The window around `now`. It is open where the calendar ends.
fn window(start: &Zoned, end: &Zoned, now: Timestamp) -> PeriodWindow {
    let (start, end) = (millis(start), millis(end));
    PeriodWindow {
        start: if start <= now { start } else { Timestamp::from_millis(i64::MIN) },
        end: if now < end { end } else { Timestamp::from_millis(i64::MAX) },
    }
}

fn millis(at: &Zoned) -> Timestamp {
    Timestamp::from_millis(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_periods_of_every_instant_contain_it() {
        // 9999-12-31T23:59:59.999 in UTC, the end of what the calendar can represent, and beyond.
        let last = jiff::Timestamp::MAX.as_millisecond();
        let instants =
            [253_402_300_799_999, last - 86_400_000, last - 1, last, last + 1, 1 << 60, -(1 << 60)];
        for zone in ["UTC", "Pacific/Kiritimati", "America/New_York", "Etc/GMT+12"] {
            for now in instants.map(Timestamp::from_millis) {
                let PeriodWindows { day, month } = period_windows(zone, now);
                assert!(day.contains(now) && month.contains(now), "{zone} at {now:?}");
                let _ = earliest_hour(now);
            }
        }
    }

    #[test]
    fn no_period_begins_before_the_earliest_hour() {
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
