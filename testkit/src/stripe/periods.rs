//! Billing periods: k intervals from the anchor, never from the last date.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use super::world::{int, text};

/// The end of the `number`th period after the anchor, in seconds since 1970.
pub(super) fn period_bound(anchor: i64, recurring: &Value, number: i64) -> i64 {
    let count = int(recurring, "interval_count") * number;
    let span = match text(recurring, "interval") {
        "day" => count.days(),
        "week" => count.weeks(),
        "month" => count.months(),
        "year" => count.years(),
        other => panic!("a price recurs by a known interval, not {other}"),
    };
    let anchor = Timestamp::from_second(anchor).expect("the anchor is a time").to_zoned(TimeZone::UTC);
    anchor.checked_add(span).expect("the period ends within the calendar").timestamp().as_second()
}

/// The part of an amount for the seconds that are left, half a cent rounded up.
pub(super) fn prorated(cents: i64, left: i64, whole: i64) -> i64 {
    assert!(0 <= left && left <= whole && whole > 0, "{left} of {whole} seconds are left");
    (2 * cents * left + whole).div_euclid(2 * whole)
}

#[cfg(test)]
mod tests {
    use super::{period_bound, prorated};
    use jiff::Timestamp;
    use serde_json::json;

    #[test]
    fn months_count_from_the_anchor() {
        let anchor: Timestamp = "2026-01-31T10:00:00Z".parse().expect("a time");
        let monthly = json!({"interval": "month", "interval_count": 1});
        let end = |number| {
            let end = period_bound(anchor.as_second(), &monthly, number);
            Timestamp::from_second(end).expect("a time").to_string()
        };
        assert_eq!(end(1), "2026-02-28T10:00:00Z");
        assert_eq!(end(2), "2026-03-31T10:00:00Z");
        assert_eq!(end(25), "2028-02-29T10:00:00Z");
    }

    #[test]
    fn half_a_cent_rounds_up() {
        assert_eq!(prorated(1000, 1, 3), 333);
        assert_eq!(prorated(1, 1, 2), 1);
        assert_eq!(prorated(2000, 0, 5), 0);
    }
}
