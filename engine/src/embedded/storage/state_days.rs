//! Closed days in the state file: reads them for reports, closes them, and takes them back.
//!
//! The table `closed` says how far the days of a workspace are closed, the table `day` holds them.
//! Rows of days exist only before that instant. They are made from rows of usage that are in the
//! file, by the checkpointer. So what is not in the file yet is in no closed day. What a closed day
//! is, and why one can be taken back, is in `closed_days`.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension};
use tollkeeper_ledger::Timestamp;

use super::checkpoint_task::UsageOfAccount;
use super::sqlite::damaged_row;
use super::state_db::StateFile;
use super::state_rows::RowCrc;
use crate::Error;
use crate::closed_days::{self, ClosedUntil, DayChain, DayPart, DaySums};

/// A slice of closing days reads about this number of rows of usage, so that it takes milliseconds.
const SLICE_ROWS: usize = 8_192;

const CLOSED: &str = "SELECT timezone, since, until, last, crc FROM closed WHERE no = ?1";

/// What a slice has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClosedSlice {
    /// The number of days that were closed.
    pub days: u64,
    /// The account at which it has to go on, if it was not finished.
    pub stopped_at: Option<u32>,
}

impl StateFile {
    /// How far the days of an account are closed; `None` if none is.
    pub(crate) fn closed_until(&self, account_index: u32) -> Result<Option<ClosedUntil>, Error> {
        let found = self.one(CLOSED, [account_index], |row| read_closed(row, account_index))?;
        let damaged = || self.damaged("what says how far days are closed is damaged");
        found.map(|closed| closed.ok_or_else(damaged)).transpose()
    }

    /// Calls `visit` with each part of the closed days in a range, which is closed. They are
    /// complete if no error follows.
    pub(crate) fn each_closed_day(
        &self,
        account_index: u32,
        closed: &ClosedUntil,
        range: Range<Timestamp>,
        mut visit: impl FnMut(Timestamp, &DayPart) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let failed = |error| self.failed(error);
        let (from, to) = (range.start.millis(), range.end.millis());
        let mut chain = DayChain::new(range);
        let sql = "SELECT day, part, data, crc FROM day WHERE no = ?1 AND day >= ?2 AND day < ?3
                   ORDER BY day, part";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query((account_index, from, to)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.with_day(row, account_index, |day, part| {
                chain.note(day, part).map_err(Error::of_state)?;
                visit(day, part)
            })?;
        }
        let sql =
            "SELECT day, part, data, crc FROM day WHERE no = ?1 AND day >= ?2 ORDER BY day, part LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query((account_index, to)).map_err(failed)?;
        let checked = match rows.next().map_err(failed)? {
            None => chain.finish(closed, None),
            Some(row) => self.with_day(row, account_index, |_, next| chain.finish(closed, Some(next))),
        };
        checked.map_err(Error::of_state)
    }

    /// Reads a row of the table `day`, whose checksum must be right.
    fn with_day<T>(
        &self,
        row: &rusqlite::Row,
        account_index: u32,
        read: impl FnOnce(Timestamp, &DayPart) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let failed = |error| self.failed(error);
        let (day, part): (i64, i64) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        let data = row.get_ref(2).map_err(failed)?.as_blob();
        let data = data.map_err(|_| self.damaged("a closed day holds no bytes"))?;
        if row.get::<_, i64>(3).map_err(failed)? != day_crc(account_index, day, part, data) {
            return Err(self.damaged("a closed day is damaged"));
        }
        let decoded = DayPart::decode(data).map_err(Error::of_state)?;
        if i64::try_from(decoded.part) != Ok(part) {
            return Err(self.damaged("a closed day is stored in another place"));
        }
        read(Timestamp::from_millis(day), &decoded)
    }

    /// Where the first row of usage at an instant or later begins.
    fn first_use_from(&self, account_index: u32, from: Timestamp) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT hour, minute FROM usage WHERE no = ?1 AND (hour, minute) >= (?2, ?3)
                   ORDER BY hour, minute LIMIT 1";
        let at = (account_index, from.hour(), from.minute());
        self.one(sql, at, |row| Ok(Timestamp::of_minute(row.get(0)?, row.get(1)?)))
    }

    /// The greatest instant until which the days of an account are closed.
    pub(super) fn greatest_closed_until(&self) -> Result<i64, Error> {
        let found = self.one("SELECT max(until) FROM closed", [], |row| row.get::<_, Option<i64>>(0))?;
        Ok(found.flatten().unwrap_or(i64::MIN))
    }

    /// Closes days of some accounts, each up to an instant, in the transaction under way.
    pub(super) fn close_days(&self, accounts: &[(u32, Timestamp)]) -> Result<ClosedSlice, Error> {
        let (mut slice, mut rows) = (ClosedSlice::default(), 0);
        for (account_index, limit) in accounts {
            if rows >= SLICE_ROWS {
                slice.stopped_at = Some(*account_index);
                break;
            }
            let (days, has_more) = self.close_days_of(*account_index, *limit, &mut rows)?;
            slice.days += days;
            if has_more {
                slice.stopped_at = Some(*account_index);
                break;
            }
        }
        Ok(slice)
    }

    /// Closes the days of an account. Returns how many, and whether there are more.
    fn close_days_of(
        &self,
        account_index: u32,
        limit: Timestamp,
        rows_read: &mut usize,
    ) -> Result<(u64, bool), Error> {
        let mut closed = match self.closed_until(account_index)? {
            Some(closed) => closed,
            None => {
                let earliest = Timestamp::from_millis(i64::MIN);
                let Some(first) = self.first_use_from(account_index, earliest)? else {
                    return Ok((0, false));
                };
                let Some(persisted) = self.account_at(account_index)? else { return Ok((0, false)) };
                ClosedUntil::nothing(&persisted.account.profile.timezone, first)
            }
        };
        let mut days = 0;
        let mut has_more = false;
        while let Some(first) = self.first_use_from(account_index, closed.until)? {
            let mut day = closed_days::day_of(&closed.timezone, first);
            // A clock that was set back over midnight shows a day twice.
            day.start = day.start.max(closed.until);
            if day.end > limit {
                break;
            }
            if *rows_read >= SLICE_ROWS {
                has_more = true;
                break;
            }
            let mut sums = DaySums::new(day);
            let mut added = Ok(());
            self.each_usage_of_day(
                account_index,
                closed_days::hours_of(&(day.start..day.end)),
                |key, used| {
                    *rows_read += 1;
                    if added.is_ok() {
                        added = sums.add(key, used);
                    }
                },
            )?;
            added.map_err(Error::of_state)?;
            let put = match sums.encode(closed.last) {
                Some(parts) => {
                    closed.close(day);
                    self.put_day(account_index, day.start, &parts)
                }
                None => {
                    closed.begin_after(day);
                    forget(&self.connection, account_index)
                }
            };
            put.map_err(|error| self.failed(error))?;
            days += 1;
        }
        if days > 0 {
            put_closed(&self.connection, account_index, &closed).map_err(|error| self.failed(error))?;
        }
        Ok((days, has_more))
    }

    fn put_day(&self, account_index: u32, day: Timestamp, parts: &[Vec<u8>]) -> rusqlite::Result<()> {
        assert!(!parts.is_empty(), "a day with rows has sums");
        let sql = "INSERT INTO day (no, day, part, data, crc) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut put = self.connection.prepare_cached(sql)?;
        for (part, data) in (0..).zip(parts) {
            let crc = day_crc(account_index, day.millis(), part, data);
            put.execute((account_index, day.millis(), part, data, crc))?;
        }
        Ok(())
    }
}

/// Takes back closed days into which rows fall that are about to be added. `greatest`: the greatest
/// instant until which days of an account are closed; rows at it or later take nothing back.
pub(super) fn reopen(
    connection: &Connection,
    greatest: i64,
    usage: &[UsageOfAccount],
) -> rusqlite::Result<()> {
    for (account_index, rows) in usage {
        let earliest = rows.iter().map(|(key, _)| key.begin().millis()).min();
        if let Some(begin) = earliest.filter(|begin| *begin < greatest) {
            reopen_from(connection, *account_index, begin)?;
        }
    }
    Ok(())
}

/// Takes back the closed day of an account in which an instant lies, and all later ones.
fn reopen_from(connection: &Connection, account_index: u32, begin: i64) -> rusqlite::Result<()> {
    let read = |row: &rusqlite::Row| read_closed(row, account_index);
    let Some(closed) = connection.prepare_cached(CLOSED)?.query_row([account_index], read).optional()? else {
        return Ok(());
    };
    let closed = closed.ok_or_else(|| damaged_row("what says how far days are closed is damaged"))?;
    if begin >= closed.until.millis() {
        return Ok(());
    }
    // A day without use has no row; then a day before it is taken back too.
    let last_before = |sql: &str, at: i64| {
        connection.prepare_cached(sql)?.query_row((account_index, at), |row| row.get::<_, Option<i64>>(0))
    };
    let until = last_before("SELECT max(day) FROM day WHERE no = ?1 AND day <= ?2", begin)?;
    let Some(until) = until else { return forget(connection, account_index) };
    let last = last_before("SELECT max(day) FROM day WHERE no = ?1 AND day < ?2", until)?;
    connection
        .prepare_cached("DELETE FROM day WHERE no = ?1 AND day >= ?2")?
        .execute((account_index, until))?;
    let (until, last) = (Timestamp::from_millis(until), last.map(Timestamp::from_millis));
    put_closed(connection, account_index, &ClosedUntil { until, last, ..closed })
}

/// Takes back all closed days of an account that are of another time zone.
pub(super) fn forget_other_zone(
    connection: &Connection,
    account_index: u32,
    timezone: &str,
) -> rusqlite::Result<()> {
    let sql = "SELECT 1 FROM closed WHERE no = ?1 AND timezone <> ?2";
    let is_other = connection.prepare_cached(sql)?.exists((account_index, timezone))?;
    if is_other { forget(connection, account_index) } else { Ok(()) }
}

fn forget(connection: &Connection, account_index: u32) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM day WHERE no = ?1")?.execute([account_index])?;
    connection.prepare_cached("DELETE FROM closed WHERE no = ?1")?.execute([account_index]).map(|_| ())
}

fn put_closed(connection: &Connection, account_index: u32, closed: &ClosedUntil) -> rusqlite::Result<()> {
    let ClosedUntil { timezone, from, until, last } = closed;
    let sql = "INSERT OR REPLACE INTO closed (no, timezone, since, until, last, crc)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (range, last) = ((from.millis(), until.millis()), last.map(Timestamp::millis));
    let crc = closed_crc(account_index, timezone, range, last);
    connection
        .prepare_cached(sql)?
        .execute((account_index, timezone, range.0, range.1, last, crc))
        .map(|_| ())
}

/// Reads a row of the table `closed`; `None` if it is not what was written.
fn read_closed(row: &rusqlite::Row, account_index: u32) -> rusqlite::Result<Option<ClosedUntil>> {
    let timezone: Box<str> = row.get(0)?;
    let (range, last): ((i64, i64), Option<i64>) = ((row.get(1)?, row.get(2)?), row.get(3)?);
    let is_whole = row.get::<_, i64>(4)? == closed_crc(account_index, &timezone, range, last);
    let (from, until) = (Timestamp::from_millis(range.0), Timestamp::from_millis(range.1));
    let last = last.map(Timestamp::from_millis);
    Ok(is_whole.then_some(ClosedUntil { timezone, from, until, last }))
}

fn closed_crc(account_index: u32, timezone: &str, (from, until): (i64, i64), last: Option<i64>) -> i64 {
    let crc = RowCrc::of("closed").number(i64::from(account_index)).bytes(timezone.as_bytes());
    crc.number(from).number(until).optional(last).finish()
}

fn day_crc(account_index: u32, day: i64, part: i64, data: &[u8]) -> i64 {
    RowCrc::of("day").number(i64::from(account_index)).number(day).number(part).bytes(data).finish()
}
