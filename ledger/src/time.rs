//! An instant as the ledger keeps it: milliseconds since 1970 in UTC.
//!
//! Nothing here reads a clock: every time is an argument. The months of a subscription are counted
//! in UTC by the Gregorian calendar. Time zones are not here: the start and end of the day or month
//! of a workspace are handed in (see `account::limit`).

use crate::bounds;

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use tollkeeper_ledger::Timestamp;
///
/// let at = Timestamp::from_millis(1_767_225_600_000);
/// assert_eq!(at.plus_seconds(60).millis(), 1_767_225_660_000);
/// assert_eq!(at.plus_seconds(3_600).hour(), at.hour() + 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first instant of 1970; stands for "never" where a time is not optional.
    pub const ZERO: Timestamp = Timestamp(0);

    /// The instant `millis` milliseconds after 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The instant `seconds` later. Stops at the end of the range instead of wrapping.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Timestamp {
        let later = Timestamp(self.0.saturating_add(seconds.saturating_mul(1_000)));
        assert!((later.0 >= self.0) == (seconds >= 0) || later.0 == self.0, "adding seconds must not wrap");
        later
    }

    /// True if the instant is ahead of `now` by more than the clocks of servers may differ
    /// ([`bounds::CLOCK_TOLERANCE_SECONDS`]): a clock was wrong when it was taken, or is wrong now.
    #[must_use]
    pub const fn is_ahead_of(self, now: Timestamp) -> bool {
        self.0 > now.plus_seconds(bounds::CLOCK_TOLERANCE_SECONDS).0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole hours since 1970, rounded down: the hour in which a usage rollup counts.
    #[must_use]
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(MILLIS_PER_HOUR)
    }

    /// The minute within its hour: 0 to 59.
    #[must_use]
    pub const fn minute(self) -> u8 {
        (self.0.rem_euclid(MILLIS_PER_HOUR) / MILLIS_PER_MINUTE) as u8
    }

    /// The beginning of a minute of an hour ([`Timestamp::hour`]). Stops at the end of the range
    /// instead of wrapping.
    ///
    /// ```
    /// use tollkeeper_ledger::Timestamp;
    ///
    /// let at = Timestamp::of_minute(490_000, 15);
    /// assert_eq!((at.hour(), at.minute(), at.seconds()), (490_000, 15, 490_000 * 3_600 + 15 * 60));
    /// ```
    #[must_use]
    pub const fn of_minute(hour: i64, minute: u8) -> Timestamp {
        let hour = hour.saturating_mul(MILLIS_PER_HOUR);
        Timestamp(hour.saturating_add(minute as i64 * MILLIS_PER_MINUTE))
    }

    /// The instant `months` calendar months later in UTC, at the same time of the day. A month that
    /// has no such day gives its last one, so 31 January and one month are the end of February.
    /// Stops at the end of the range instead of wrapping.
    ///
    /// ```
    /// use tollkeeper_ledger::Timestamp;
    ///
    /// let day = |day: i64| Timestamp::from_millis(day * 86_400_000);
    /// // 31 January, 28 February and 31 March 1970.
    /// assert_eq!(day(30).plus_months(1), day(58));
    /// assert_eq!(day(30).plus_months(2), day(89));
    /// ```
    #[must_use]
    pub const fn plus_months(self, months: u32) -> Timestamp {
        let (day, time) = (self.0.div_euclid(MILLIS_PER_DAY), self.0.rem_euclid(MILLIS_PER_DAY));
        let Date { year, month, day } = Date::of(day);
        let months = year * 12 + month - 1 + months as i64;
        let first = Date { year: months.div_euclid(12), month: months.rem_euclid(12) + 1, day: 1 };
        let length = first.next_month().days() - first.days();
        assert!(28 <= length && length <= 31, "a month must have 28 to 31 days");
        let day = if day < length { day } else { length };
        let later = (first.days() + day - 1).saturating_mul(MILLIS_PER_DAY).saturating_add(time);
        assert!(later >= self.0 || later == i64::MAX, "adding months must not wrap");
        Timestamp(later)
    }

    /// The most months after which, counted from here, the instant `later` is not passed; `None` if
    /// it is earlier.
    #[must_use]
    pub fn whole_months_until(self, later: Timestamp) -> Option<u32> {
        if later < self {
            return None;
        }
        let [from, to] = [self, later].map(|at| Date::of(at.0.div_euclid(MILLIS_PER_DAY)));
        let months = (to.year - from.year) * 12 + to.month - from.month;
        let months = u32::try_from(months).expect("the months between two times are few");
        let passes = self.plus_months(months) > later;
        let months = months.saturating_sub(u32::from(passes));
        assert!(self.plus_months(months) <= later, "whole months must not pass the time");
        assert!(later < self.plus_months(months + 1), "no further month may fit before the time");
        Some(months)
    }

    /// The instant of a text that [`Timestamp::rfc3339`] gave.
    pub(crate) fn of_rfc3339(text: &str) -> Option<Timestamp> {
        let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
        let date = Date { year: part(0, 4)?, month: part(5, 7)?, day: part(8, 10)? };
        if !(1..=12).contains(&date.month) {
            return None;
        }
        let seconds = part(11, 13)? * 3_600 + part(14, 16)? * 60 + part(17, 19)?;
        let at = Timestamp(date.days() * MILLIS_PER_DAY + seconds * 1_000 + part(20, 23)?);
        (at.rfc3339() == text).then_some(at)
    }

    /// The instant in the format of RFC 3339, in UTC with milliseconds.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let Date { year, month, day } = Date::of(self.0.div_euclid(MILLIS_PER_DAY));
        let millis = self.0.rem_euclid(MILLIS_PER_DAY);
        let (hour, minute) = (millis / MILLIS_PER_HOUR, millis / 60_000 % 60);
        let (second, millis) = (millis / 1_000 % 60, millis % 1_000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

const MILLIS_PER_MINUTE: i64 = 60_000;
const MILLIS_PER_HOUR: i64 = 3_600_000;
const MILLIS_PER_DAY: i64 = 24 * MILLIS_PER_HOUR;

/// A day of the Gregorian calendar, which is extended to all years before and after.
#[derive(Clone, Copy)]
struct Date {
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
}

/// The days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;

/// The days from 1 March of the year 0 to 1 January 1970. A year that begins in March has its leap
/// day at its end, so the days before a month do not depend on the year.
const DAYS_TO_1970: i64 = 719_468;

impl Date {
    /// The date of a day, counted from 1 January 1970.
    const fn of(days: i64) -> Date {
        let days = days + DAYS_TO_1970;
        let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
        let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / (DAYS_PER_ERA - 1);
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // From March on, the months have 31, 30, 31, 30, 31 days, again and again.
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
        let date = Date { year: era * 400 + year_of_era + year, month, day };
        assert!(date.days() + DAYS_TO_1970 == days, "a date must be the day that it was made from");
        date
    }

    /// The days from 1 January 1970.
    const fn days(self) -> i64 {
        let Date { year, month, day } = self;
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * month + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970
    }

    /// The first day of the next month.
    const fn next_month(self) -> Date {
        let Date { year, month, day: _ } = self;
        if month == 12 {
            Date { year: year + 1, month: 1, day: 1 }
        } else {
            Date { year, month: month + 1, day: 1 }
        }
    }
}

#[cfg(test)]
impl Timestamp {
    /// Midnight in UTC of a date like `2026-01-31`.
    pub(crate) fn midnight(date: &str) -> Timestamp {
        let part = |part: &str| part.parse().expect("a date is made of numbers");
        let (year, month, day) = (part(&date[..4]), part(&date[5..7]), part(&date[8..]));
        Timestamp(Date { year, month, day }.days() * MILLIS_PER_DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn midnight(date: &str) -> Timestamp {
        Timestamp::midnight(date)
    }

    #[test]
    fn a_time_is_printed_in_utc() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
            (1_767_225_599_005, "2025-12-31T23:59:59.005Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(millis).rfc3339(), text);
        }
    }

    #[test]
    fn months_are_counted_from_the_anchor_and_end_with_the_month() {
        for (from, months, to) in [
            ("2026-01-31", 1, "2026-02-28"),
            ("2026-01-31", 2, "2026-03-31"),
            ("2026-01-31", 3, "2026-04-30"),
            ("2026-01-31", 25, "2028-02-29"),
            ("2028-02-29", 12, "2029-02-28"),
            ("2028-02-29", 48, "2032-02-29"),
            ("2096-02-29", 48, "2100-02-28"),
            ("2026-12-15", 1, "2027-01-15"),
            ("2026-12-15", 0, "2026-12-15"),
        ] {
            assert_eq!(midnight(from).plus_months(months), midnight(to), "{from} and {months} months");
            assert_eq!(midnight(from).whole_months_until(midnight(to)), Some(months), "{from} to {to}");
            let before = Timestamp(midnight(to).0 - 1);
            assert_eq!(
                midnight(from).whole_months_until(before),
                months.checked_sub(1),
                "{from} to before {to}"
            );
        }
        assert_eq!(Timestamp(i64::MAX).plus_months(1), Timestamp(i64::MAX));
    }

    #[test]
    fn every_day_of_five_hundred_years_is_one_more_than_the_day_before() {
        let mut before = Date::of(-30_000);
        for days in -29_999..150_000 {
            let date = Date::of(days);
            assert_eq!(date.days(), days);
            let follows =
                if date.day == 1 { before.next_month().days() == days } else { date.day == before.day + 1 };
            assert!(follows, "day {days}");
            before = date;
        }
    }
}
