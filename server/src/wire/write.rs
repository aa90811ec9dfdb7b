//! How single values are written in JSON: dollars, times, ids, metadata.
//!
//! Each value writes itself into the response buffer, without a `String` in between. How values are
//! read is in `read`, except for times, which are read and written here.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tollkeeper_ledger::{Balance, Micros, Timestamp};
use utoipa::ToSchema;

/// An amount in dollars, written as an exact decimal text such as `"0.005"`.
#[derive(Clone, Copy, Debug)]
pub struct Usd(pub Micros);

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.usd().fmt(f)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.usd())
    }
}

/// A value that JSON writes as the text of its `Display`, such as an id.
#[derive(Clone, Copy, Debug)]
pub struct Text<T>(pub T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The times that RFC 3339 can write in UTC, in milliseconds: the years 0000 to 9999.
const TIMES: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

const EPOCH: jiff::civil::DateTime = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// A time, written as RFC 3339 in UTC with milliseconds: `2026-11-23T15:04:05.678Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Time {
    /// The text as ASCII. A time outside the years 0 to 9999 is written as the nearest one in them.
    fn text(self) -> [u8; 24] {
        let millis = self.0.millis().clamp(*TIMES.start(), *TIMES.end());
        let civil = match jiff::Timestamp::from_millisecond(millis) {
            Ok(instant) => jiff::tz::Offset::UTC.to_datetime(instant),
            // The last hours of 9999: a timestamp of the library leaves room there for every
            // offset.
            Err(_) => EPOCH.saturating_add(jiff::SignedDuration::from_millis(millis)),
        };
        let mut text = *b"0000-00-00T00:00:00.000Z";
        digits(&mut text[0..4], civil.year().unsigned_abs());
        digits(&mut text[5..7], civil.month().unsigned_abs().into());
        digits(&mut text[8..10], civil.day().unsigned_abs().into());
        digits(&mut text[11..13], civil.hour().unsigned_abs().into());
        digits(&mut text[14..16], civil.minute().unsigned_abs().into());
        digits(&mut text[17..19], civil.second().unsigned_abs().into());
        digits(&mut text[20..23], civil.millisecond().unsigned_abs());
        text
    }
}

fn digits(target: &mut [u8], mut number: u16) {
    for digit in target.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).map_err(serde::ser::Error::custom)?)
    }
}

/// Reads a time in RFC 3339 with any offset, of the years 0000 to 9999 in UTC; parts below a
/// millisecond are cut off. A year with a sign is no RFC 3339.
#[must_use]
pub fn read_time(text: &str) -> Option<Timestamp> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let millis = match text.parse::<jiff::Timestamp>() {
        Ok(instant) => instant.as_millisecond(),
        Err(_) => read_late(text)?,
    };
    TIMES.contains(&millis).then(|| Timestamp::from_millis(millis))
}

/// Reads a time of the last hours of 9999, which a timestamp of the library cannot hold.
fn read_late(text: &str) -> Option<i64> {
    let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let offset = pieces.to_numeric_offset()?;
    let civil = pieces.date().to_datetime(pieces.time()?);
    let local = i64::try_from(civil.duration_since(EPOCH).as_millis()).ok()?;
    Some(local - i64::from(offset.seconds()) * 1_000)
}

/// Stored metadata, which is the text of a JSON object, as that object.
#[must_use]
pub fn metadata(stored: Option<&str>) -> Option<&RawValue> {
    stored.and_then(|text| serde_json::from_str(text).ok())
}

/// The credit that can be spent after a charge or grant.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Available)]
pub struct AvailableJson {
    /// The credit that can be spent, in micro-units.
    #[schema(value_type = i64, minimum = 0, example = 1_230_000)]
    available: i64,
    /// `available` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.30")]
    available_usd: Usd,
}

impl From<Balance> for AvailableJson {
    fn from(balance: Balance) -> AvailableJson {
        AvailableJson { available: balance.available.get(), available_usd: Usd(balance.available) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_and_read_back() {
        let check = |millis: i64, expected: &str| {
            let at = Timestamp::from_millis(millis);
            assert_eq!(Time(at).to_string(), expected);
            assert_eq!(read_time(expected), Some(at));
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(1, "1970-01-01T00:00:00.001Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_795_446_245_678, "2026-11-23T15:04:05.678Z");
        check(-62_167_219_200_000, "0000-01-01T00:00:00.000Z");
        check(253_402_207_200_999, "9999-12-30T22:00:00.999Z");
        check(253_402_300_799_999, "9999-12-31T23:59:59.999Z");
        assert_eq!(Time(Timestamp::from_millis(i64::MAX)).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Time(Timestamp::from_millis(i64::MIN)).to_string(), "0000-01-01T00:00:00.000Z");
        assert_eq!(read_time("9999-12-31T23:59:59Z"), Some(Timestamp::from_millis(253_402_300_799_000)));
        let offset = read_time("9999-12-31T12:00:00-05:00");
        assert_eq!(offset, Some(Timestamp::from_millis(253_402_275_600_000)));
        for beyond in [
            "9999-12-31T23:59:59-01:00",
            "10000-01-01T00:00:00Z",
            "+009999-01-01T00:00:00Z",
            "-009999-01-02T01:59:59Z",
            "-0001-01-01T00:00:00Z",
            "0000-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59",
            "9999-12-31T23:59:59[UTC]",
            "9999-12-31",
        ] {
            assert_eq!(read_time(beyond), None, "{beyond}");
        }
        assert_eq!(read_time("2026-11-23T16:04:05+01:00"), Some(Timestamp::from_millis(1_795_446_245_000)));
        assert_eq!(read_time("2026-11-23"), None);
    }
}
