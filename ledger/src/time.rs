//! An instant as the ledger keeps it: milliseconds since 1970 in UTC.
//!
//! Nothing here reads a clock: every time is an argument. Calendars and time zones are not here
//! either; the start and end of a day or month are handed in (see `account::limit`).

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

    /// Whole hours since 1970, rounded down: the hour in which a usage rollup counts.
    #[must_use]
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(MILLIS_PER_HOUR)
    }
}

const MILLIS_PER_HOUR: i64 = 3_600_000;
