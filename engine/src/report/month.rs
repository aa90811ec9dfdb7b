//! A calendar month in UTC, such as `2026-11`: what a report is about.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, date};
use jiff::tz::Offset;
use tollkeeper_ledger::Timestamp;

/// The years in which a month can be named.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=9998;

/// A calendar month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

impl Month {
    /// The month that an instant is in; an instant that no month can be named for is in the first
    /// or the last month.
    #[must_use]
    pub fn containing(at: Timestamp) -> Month {
        let (first, last) = (Month::of(*YEARS.start(), 1), Month::of(*YEARS.end(), 12));
        match jiff::Timestamp::from_millisecond(at.millis()) {
            Ok(instant) => Month(Offset::UTC.to_datetime(instant).date().first_of_month()).clamp(first, last),
            Err(_) if at < Timestamp::ZERO => first,
            Err(_) => last,
        }
    }

    fn of(year: i16, month: i8) -> Month {
        Month(date(year, month, 1))
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> Timestamp {
        start_of(self.0)
    }

    /// The first instant of the month after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        let next = self.0.checked_add(1.month()).expect("the year after the last one exists");
        assert!(next > self.0, "a month ends after it begins");
        start_of(next)
    }
}

fn start_of(day: Date) -> Timestamp {
    let instant = Offset::UTC.to_timestamp(day.at(0, 0, 0, 0));
    Timestamp::from_millis(instant.expect("every named month is in the calendar").as_millisecond())
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = ();

    fn from_str(text: &str) -> Result<Month, ()> {
        let (year, month) = text.split_once('-').filter(|_| text.len() == 7).ok_or(())?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if year.len() != 4 || !digits(year) || !digits(month) {
            return Err(());
        }
        let year = year.parse().map_err(|_| ())?;
        let first = Date::new(year, month.parse().map_err(|_| ())?, 1).map_err(|_| ())?;
        if YEARS.contains(&year) { Ok(Month(first)) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_where_the_one_before_ends() {
        let month: Month = "2026-02".parse().expect("it is a month");
        assert_eq!(month.to_string(), "2026-02");
        // 2026-02-01 and 2026-03-01 in UTC.
        assert_eq!((month.start().millis(), month.end().millis()), (1_769_904_000_000, 1_772_323_200_000));
        let last = Timestamp::from_millis(month.end().millis() - 1);
        assert_eq!([month.start(), last].map(Month::containing), [month; 2]);
        assert_eq!(Month::containing(month.end()).to_string(), "2026-03");
        let december: Month = "9998-12".parse().expect("it is a month");
        assert!(december.end() > december.start());
        let edges = [i64::MIN, i64::MAX].map(|millis| Month::containing(Timestamp::from_millis(millis)));
        assert_eq!(edges.map(|edge| edge.to_string()), ["1970-01", "9998-12"]);
    }

    #[test]
    fn only_a_year_and_a_month_name_a_month() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "2026-1",
            "26-01",
            "2026-01-01",
            "+202-01",
            "1969-12",
            "9999-01",
        ] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
