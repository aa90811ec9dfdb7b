//! Watches the clock of the server: holds the timers when it may be wrong, and logs how far it
//! deviates from a database's.
//!
//! A store in a directory has no clock of its own. A clock that jumps ahead there would refund
//! every pending charge at once. So the timers are held when the clock jumps by more than a day
//! against the monotonic one, or when at a start it stands far from the newest entry. An operator
//! looks at the clock and confirms it. Requests are served meanwhile: each is decided by the time
//! that the clock shows. On a database the engine compares the clocks, and nothing is held here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tollkeeper_engine::TrustedClock;
use tollkeeper_ledger::{Timestamp, bounds};

const SECOND_MILLIS: i64 = 1_000;
const HOUR_MILLIS: i64 = 3_600 * SECOND_MILLIS;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// The largest jump against the monotonic clock: less than any wrong date, more than leap seconds
/// and corrections.
const JUMP_MAX_MILLIS: i64 = DAY_MILLIS;

/// How long after the newest entry a server may start: months of sleep are normal.
const SLEEP_MAX_MILLIS: i64 = 400 * DAY_MILLIS;

/// How long before the newest entry a server may start.
const BEHIND_MAX_MILLIS: i64 = HOUR_MILLIS;

/// A deviation from the clock of the database that is worth a line in the log.
const DEVIATION_NOTED_MILLIS: i64 = SECOND_MILLIS;

/// Both clocks of the machine at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The time of day.
    pub now: Timestamp,
    /// Nanoseconds since any fixed start.
    pub monotonic_nanos: u64,
}

/// See the head of the file.
#[derive(Debug)]
pub struct ClockWatch {
    trusted: TrustedClock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the clocks showed at the start, or when an operator confirmed them.
    confirmed: Reading,
    is_held: bool,
    deviation: Deviation,
}

/// How far the clock is from that of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deviation {
    None,
    Noted,
    TooLarge,
}

impl ClockWatch {
    /// Compares the clock at the start with the newest entry of the store.
    pub fn new(trusted: TrustedClock, reading: Reading) -> ClockWatch {
        let is_held = match trusted {
            TrustedClock::Caller { last_entry_at: Some(last) } => {
                let after = reading.now.millis().saturating_sub(last.millis());
                !(-BEHIND_MAX_MILLIS..=SLEEP_MAX_MILLIS).contains(&after)
            }
            TrustedClock::Caller { last_entry_at: None } | TrustedClock::Database => false,
        };
        if is_held {
            log_held("the server starts at a time that is far from the newest entry", reading.now);
        }
        let state = State { confirmed: reading, is_held, deviation: Deviation::None };
        ClockWatch { trusted, state: Mutex::new(state) }
    }

    /// True if charges may be timed out by what the clocks show now.
    pub fn lets_timers_run(&self, reading: Reading) -> bool {
        let mut state = self.state();
        if self.trusted == TrustedClock::Database || state.is_held {
            return !state.is_held;
        }
        let before = state.confirmed;
        let by_day = reading.now.millis().saturating_sub(before.now.millis());
        let passed = reading.monotonic_nanos.saturating_sub(before.monotonic_nanos) / 1_000_000;
        let jump = by_day.saturating_sub(i64::try_from(passed).unwrap_or(i64::MAX));
        if jump.saturating_abs() > JUMP_MAX_MILLIS {
            state.is_held = true;
            log_held("the clock jumped by more than a day", reading.now);
        }
        !state.is_held
    }

    /// True if the timers wait for an operator.
    pub fn holds_timers(&self) -> bool {
        self.state().is_held
    }

    /// Lets the timers go on by what the clocks show now. Returns whether they were held.
    pub fn confirm(&self, reading: Reading) -> bool {
        let mut state = self.state();
        state.confirmed = reading;
        let was_held = std::mem::replace(&mut state.is_held, false);
        if was_held {
            tracing::warn!(now_millis = reading.now.millis(), "the clock was confirmed; timers go on");
        }
        was_held
    }

    /// Logs a deviation from the clock of the database when it becomes larger or smaller.
    pub fn note_deviation(&self, millis: i64) {
        let deviation = match millis.saturating_abs() {
            small if small <= DEVIATION_NOTED_MILLIS => Deviation::None,
            medium if medium <= bounds::CLOCK_DEVIATION_MAX_MILLIS => Deviation::Noted,
            _ => Deviation::TooLarge,
        };
        let before = std::mem::replace(&mut self.state().deviation, deviation);
        if before == deviation {
            return;
        }
        match deviation {
            Deviation::None => tracing::info!(millis, "the clock agrees with the database's again"),
            Deviation::Noted => tracing::warn!(millis, "the clock deviates from the database's"),
            Deviation::TooLarge => tracing::error!(
                millis,
                "the clock deviates too much from the database's; this server decides nothing until it is set right"
            ),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_held(why: &str, now: Timestamp) {
    tracing::error!(
        why,
        now_millis = now.millis(),
        "timers are held: no charge is timed out until `tollkeeper clock confirm`"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_446_245_678;
    const MINUTE: i64 = 60 * SECOND_MILLIS;

    fn reading(now: i64, passed: i64) -> Reading {
        let now = Timestamp::from_millis(now);
        Reading { now, monotonic_nanos: u64::try_from(passed).expect("it does not go back") * 1_000_000 }
    }

    fn started(after_last: i64) -> ClockWatch {
        let last_entry_at = Some(Timestamp::from_millis(NOW - after_last));
        ClockWatch::new(TrustedClock::Caller { last_entry_at }, reading(NOW, 0))
    }

    #[test]
    fn a_start_far_from_the_newest_entry_holds_the_timers_until_they_are_confirmed() {
        for near in [0, MINUTE, 400 * DAY_MILLIS, -HOUR_MILLIS] {
            assert!(!started(near).holds_timers(), "{near}");
        }
        for far in [400 * DAY_MILLIS + 1, -HOUR_MILLIS - 1] {
            let watch = started(far);
            assert!(watch.holds_timers() && !watch.lets_timers_run(reading(NOW + MINUTE, MINUTE)), "{far}");
            assert!(watch.confirm(reading(NOW + MINUTE, MINUTE)), "it was held");
            assert!(watch.lets_timers_run(reading(NOW + 2 * MINUTE, 2 * MINUTE)));
            assert!(!watch.confirm(reading(NOW + 2 * MINUTE, 2 * MINUTE)), "it was not held");
        }
        let new = ClockWatch::new(TrustedClock::Caller { last_entry_at: None }, reading(0, 0));
        assert!(!new.holds_timers(), "a new store has no entry to compare with");
    }

    #[test]
    fn a_jump_of_more_than_a_day_against_the_monotonic_clock_holds_the_timers() {
        for jump in [DAY_MILLIS + 1, -DAY_MILLIS - 1] {
            let watch = started(0);
            assert!(watch.lets_timers_run(reading(NOW + 90 * DAY_MILLIS, 90 * DAY_MILLIS)));
            assert!(!watch.lets_timers_run(reading(NOW + 90 * DAY_MILLIS + jump, 90 * DAY_MILLIS)));
            assert!(!watch.lets_timers_run(reading(NOW + 90 * DAY_MILLIS, 90 * DAY_MILLIS)), "still held");
            assert!(watch.confirm(reading(NOW + jump, 91 * DAY_MILLIS)));
            assert!(watch.lets_timers_run(reading(NOW + jump + DAY_MILLIS, 91 * DAY_MILLIS)));
        }
        let watch = started(0);
        assert!(watch.lets_timers_run(reading(NOW + DAY_MILLIS, 0)), "a day is a correction");
    }

    #[test]
    fn nothing_is_held_if_the_database_has_the_clock() {
        let watch = ClockWatch::new(TrustedClock::Database, reading(NOW, 0));
        assert!(watch.lets_timers_run(reading(NOW + 900 * DAY_MILLIS, 0)));
    }
}
