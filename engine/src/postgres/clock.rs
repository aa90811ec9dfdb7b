//! The clock of the database, which is the one that all servers trust.
//!
//! The readers ask for it with every refresh. In between it is carried on by the monotonic clock of
//! the machine. A command comes with the time of its server. If that deviates by more than
//! [`CLOCK_DEVIATION_MAX_MILLIS`], the server decides nothing and times nothing out, until the
//! deviation is gone. So a server whose clock is wrong can neither refund charges early nor price
//! them by a list that is not in force.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use tollkeeper_ledger::Timestamp;
use tollkeeper_ledger::bounds::CLOCK_DEVIATION_MAX_MILLIS;

use super::database::failure::Failure;
use super::database::session::{DbSession, column};
use super::database::sql::Sql;
use crate::Error;

/// A slower answer says too little about the time at which the database read its clock.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(1);

/// The clock of the database as this server knows it.
#[derive(Debug)]
pub(super) struct DatabaseClock {
    /// False if the times of callers are believed.
    is_compared: bool,
    last: RwLock<Option<Reading>>,
    /// The deviation of the last time that was compared, in milliseconds.
    deviation: AtomicI64,
}

/// One reading of the clock.
#[derive(Clone, Copy, Debug)]
struct Reading {
    shown: Timestamp,
    read_at: Instant,
}

impl DatabaseClock {
    pub(super) fn new(is_compared: bool) -> DatabaseClock {
        DatabaseClock { is_compared, last: RwLock::default(), deviation: AtomicI64::new(0) }
    }

    /// Asks the database for its time.
    pub(super) async fn read(&self, session: &DbSession) -> Result<(), Failure> {
        if !self.is_compared {
            return Ok(());
        }
        let sent = Instant::now();
        let rows = session.query_with_timeout(Sql::Clock, &[]).await?;
        let round_trip = sent.elapsed();
        let Some(row) = rows.first().filter(|_| round_trip <= ROUND_TRIP_MAX) else { return Ok(()) };
        // The database read its clock between the two ends: half the round trip is the best guess.
        let reading =
            Reading { shown: Timestamp::from_millis(column(row, 0)?), read_at: sent + round_trip / 2 };
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        Ok(())
    }

    /// Refuses a time that deviates too much from the database's.
    ///
    /// # Errors
    /// [`Error::is_unavailable`]. It says by how much, and what to do.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), Error> {
        let last = *self.last.read().unwrap_or_else(PoisonError::into_inner);
        let Some(Reading { shown, read_at }) = last else { return Ok(()) };
        let since = i64::try_from(read_at.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.compare(now, Timestamp::from_millis(shown.millis().saturating_add(since)))
    }

    fn compare(&self, now: Timestamp, database: Timestamp) -> Result<(), Error> {
        let deviation = now.millis().saturating_sub(database.millis());
        self.deviation.store(deviation, Relaxed);
        if deviation.saturating_abs() <= CLOCK_DEVIATION_MAX_MILLIS {
            return Ok(());
        }
        let (seconds, side) =
            (deviation.saturating_abs() / 1_000, if deviation > 0 { "ahead of" } else { "behind" });
        let what = format!("the clock of this server is {seconds} s {side} the clock of the database");
        Err(Error::clock_is_wrong(what)
            .with_hint("set the clock of the server; it serves again within seconds of that"))
    }

    /// How far the last compared time is ahead of the database's, in milliseconds; negative if it
    /// is behind.
    pub(super) fn deviation_millis(&self) -> i64 {
        self.deviation.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_deviate_by_five_seconds() {
        let clock = DatabaseClock::new(true);
        let database = Timestamp::from_millis(1_767_225_600_000);
        let compare =
            |millis: i64| clock.compare(Timestamp::from_millis(database.millis() + millis), database);
        for millis in [0, 1_500, 5_000, -5_000] {
            assert!(compare(millis).is_ok(), "{millis}");
            assert_eq!(clock.deviation_millis(), millis);
        }
        let ahead = compare(90_000_000).expect_err("25 hours ahead");
        assert!(ahead.is_unavailable());
        assert_eq!(
            ahead.to_string(),
            "the clock of this server is 90000 s ahead of the clock of the database"
        );
        let behind = compare(-5_001).expect_err("behind");
        assert_eq!(behind.to_string(), "the clock of this server is 5 s behind the clock of the database");
        assert!(compare(1).is_ok(), "the deviation is gone");
    }
}
