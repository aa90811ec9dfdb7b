//! Days and months of a time zone, computed independently of the program; and time zones in which
//! no day ends during a test.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Returns a time zone in which it is this hour now. At noon, no day or month ends during a test.
pub fn zone_at(hour: i8) -> String {
    // Offsets from -11 to 12. In the names of these zones, east of Greenwich is negative.
    let east = (hour - Timestamp::now().to_zoned(TimeZone::UTC).hour() + 11).rem_euclid(24) - 11;
    if east > 0 { format!("Etc/GMT-{east}") } else { format!("Etc/GMT+{}", -east) }
}

/// The start of the next day in a time zone, in the format of the API.
pub fn next_midnight(zone: &str) -> String {
    begin(zone, today(zone).tomorrow().expect("the calendar has a next day"))
}

/// The start of the next month in a time zone, in the format of the API.
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
