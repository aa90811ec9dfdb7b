//! Time zones: where a day and a month begin. The ledger has no calendar, so the engines compute
//! the periods for it.
//!
//! The time zone database is part of the program. So servers of one version agree on the days,
//! independent of the database on their machines.
//!
//! A day begins with its first instant that exists: a later hour where summer time skips midnight.
//!
//! Usage is counted by hours in UTC. Where a day begins within an hour, the hour is counted in two
//! parts ([`hour_part`]), so that the usage of each day is exact.

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::HashMap;
use jiff::{ToSpan, Zoned, tz::TimeZone};
use tollkeeper_ledger::{Account, HourPart, Limits, PeriodWindow, PeriodWindows, Recount, Timestamp};

const SECONDS_PER_HOUR: i64 = 3_600;
const MILLIS_PER_MINUTE: i64 = 60_000;

/// Until this year, all changes of the clock are looked at to see whether days can begin within
/// hours. Later ones repeat those of the years before.
const CHANGES_UNTIL_YEAR: i16 = 2100;

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

/// The part of its hour in UTC that usage at an instant counts in: split where a day of the time
/// zone begins within the hour, else whole. The day is the one that begins after the hour did.
///
/// Depends on nothing but its arguments. In nearly all zones days begin with an hour, and then it
/// is a comparison with the zone of the last call of the thread.
#[must_use]
pub fn hour_part(timezone: &str, at: Timestamp) -> HourPart {
    thread_local! {
        static ZONES: RefCell<Zones> = RefCell::default();
    }
    if at < Timestamp::ZERO {
        return part_at(day_begins_within(timezone, at.hour()), at);
    }
    ZONES.with_borrow_mut(|zones| zones.hour_part(timezone, at))
}

/// The part of an hour that an instant lies in, if a day begins at a minute of the hour.
fn part_at(day_begins: Option<u8>, at: Timestamp) -> HourPart {
    match day_begins {
        None => HourPart::WHOLE,
        Some(minute) if at.minute() < minute => HourPart { end: minute, ..HourPart::WHOLE },
        Some(minute) => HourPart { begin: minute, ..HourPart::WHOLE },
    }
}

/// The minute of an hour after its first at which a day begins; `None` if none does. An offset with
/// seconds, as Liberia had until 1972, splits no hour.
fn day_begins_within(timezone: &str, hour: i64) -> Option<u8> {
    let hour_begins = Timestamp::of_minute(hour, 0);
    let day_begins = period_windows(timezone, hour_begins).day.end;
    let is_within = hour_begins < day_begins && day_begins.hour() == hour;
    (is_within && day_begins.millis() % MILLIS_PER_MINUTE == 0).then(|| day_begins.minute())
}

/// The time zones that a thread has met, so that each is looked at once.
#[derive(Default)]
struct Zones {
    /// The last zone whose days begin with an hour.
    last_whole: Option<Rc<str>>,
    by_name: HashMap<Rc<str>, ZoneDays>,
}

/// Where the days of a zone begin since 1970.
enum ZoneDays {
    WithAnHour,
    /// Some within an hour. The last hour that was asked for, and the minute at which a day begins.
    WithinHours {
        hour: i64,
        day_begins: Option<u8>,
    },
}

impl Zones {
    fn hour_part(&mut self, timezone: &str, at: Timestamp) -> HourPart {
        if self.last_whole.as_deref() == Some(timezone) {
            return HourPart::WHOLE;
        }
        if !self.by_name.contains_key(timezone) {
            // A name that is not known counts in UTC. It is not kept, so that memory is bounded.
            let Ok(zone) = TimeZone::get(timezone) else { return HourPart::WHOLE };
            let days = match begins_days_with_hours(&zone) {
                true => ZoneDays::WithAnHour,
                false => ZoneDays::WithinHours { hour: i64::MIN, day_begins: None },
            };
            self.by_name.insert(timezone.into(), days);
        }
        match self.by_name.get_key_value_mut(timezone) {
            Some((_, ZoneDays::WithinHours { hour, day_begins })) => {
                if *hour != at.hour() {
                    (*hour, *day_begins) = (at.hour(), day_begins_within(timezone, at.hour()));
                }
                part_at(*day_begins, at)
            }
            Some((name, ZoneDays::WithAnHour)) => {
                self.last_whole = Some(Rc::clone(name));
                HourPart::WHOLE
            }
            None => HourPart::WHOLE,
        }
    }
}

/// True if every day of a zone since 1970 begins with an hour in UTC: all offsets are whole hours,
/// and all changes of the clock happen at the beginning of one.
fn begins_days_with_hours(zone: &TimeZone) -> bool {
    let begin = jiff::Timestamp::UNIX_EPOCH;
    let is_whole = |seconds: i64| seconds % SECONDS_PER_HOUR == 0;
    let mut changes = zone
        .following(begin)
        .take_while(|change| change.timestamp().to_zoned(TimeZone::UTC).year() <= CHANGES_UNTIL_YEAR);
    is_whole(zone.to_offset(begin).seconds().into())
        && changes.all(|change| {
            is_whole(change.offset().seconds().into()) && is_whole(change.timestamp().as_second())
        })
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

    /// All names of zones, so that no zone of the database is forgotten.
    fn zone_names() -> Vec<String> {
        jiff::tz::db()
            .available()
            .map(|name| name.to_string())
            .filter(|name| is_known_timezone(name))
            .collect()
    }

    #[test]
    fn every_zone_is_split_where_its_days_begin() {
        let names = zone_names();
        assert!(names.len() > 400, "{} zones", names.len());
        let mut split = 0;
        for name in &names {
            let zone = TimeZone::get(name).expect("a name of the database");
            // The instants of all days of more than a year, with all changes of the clock.
            for day in 20_400..20_800 {
                let start = period_windows(name, Timestamp::of_minute(day * 24, 0)).day.start;
                let part = hour_part(name, start);
                assert_eq!(part.begin, start.minute(), "{name} at {start:?}");
                assert_eq!(part.end, 60, "{name} at {start:?}");
                let before = hour_part(name, start.plus_seconds(-1));
                assert_eq!((before.begin, before.end % 60), (0, start.minute()), "{name} before {start:?}");
                assert_eq!(hour_part(name, start.plus_seconds(5 * 3_600)), HourPart::WHOLE, "{name}");
            }
            split += usize::from(!begins_days_with_hours(&zone));
        }
        assert!((10..100).contains(&split), "{split} zones have days that begin within hours");
    }

    #[test]
    fn the_remembered_zone_and_hour_change_no_answer() {
        // 2010-04-01 and the half years around it: Lord Howe and New York change the clock.
        let zones = ["Asia/Kathmandu", "UTC", "Australia/Lord_Howe", "America/New_York", "America/St_Johns"];
        for hour in (352_000..362_000).step_by(3) {
            for (turn, zone) in zones.iter().enumerate() {
                let at = Timestamp::of_minute(hour, (turn * 14) as u8);
                assert_eq!(hour_part(zone, at), part_at(day_begins_within(zone, hour), at), "{zone} {hour}");
            }
        }
        let before_1970 = Timestamp::of_minute(-1, 20);
        assert_eq!(hour_part("Asia/Kathmandu", before_1970), HourPart::WHOLE);
        assert_eq!(hour_part("Nowhere/Atlantis", Timestamp::ZERO), HourPart::WHOLE);
    }

    #[test]
    fn a_day_without_a_midnight_begins_with_its_first_instant() {
        // 2017-10-15 01:00 in Sao Paulo is 03:00 in UTC; the clock went from 24:00 to 01:00.
        let start = period_windows("America/Sao_Paulo", Timestamp::from_millis(1_508_050_000_000)).day.start;
        assert_eq!(start.millis(), 1_508_036_400_000);
        // 2026-03-29 in Beirut begins at 01:00 as well, which is 22:00 of the day before in UTC.
        let start = period_windows("Asia/Beirut", Timestamp::from_millis(1_774_785_600_000)).day.start;
        assert_eq!(start.millis(), 1_774_735_200_000);
    }
}
