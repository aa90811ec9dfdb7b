//! Days and months of a time zone, reckoned apart from the program; and zones in which nothing ends during a test.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The name of a time zone in which it is this hour now. At noon no day and no month ends during a test.
pub fn zone_at(hour: i8) -> String {
    // From -11 to 12: east of Greenwich is negative in these names.
    let east = (hour - Timestamp::now().to_zoned(TimeZone::UTC).hour() + 11).rem_euclid(24) - 11;
    if east > 0 { format!("Etc/GMT-{east}") } else { format!("Etc/GMT+{}", -east) }
}

/// When the next day begins in a time zone, as the API writes it.
pub fn next_midnight(zone: &str) -> String {
    begin(zone, today(zone).tomorrow().expect("the calendar goes on"))
}

/// When the next month begins in a time zone, as the API writes it.
pub fn next_month(zone: &str) -> String {
    begin(zone, today(zone).first_of_month().saturating_add(1.month()))
}

fn today(zone: &str) -> Date {
    Timestamp::now().in_tz(zone).expect("a known time zone").date()
}

fn begin(zone: &str, day: Date) -> String {
    let begin = day.in_tz(zone).expect("a known time zone").start_of_day().expect("a day has a beginning");
    format!("{:.3}", begin.timestamp())
}
