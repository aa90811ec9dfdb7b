//! Lists of the state file: grants, hours and usage of a workspace, and all pending charges.
//!
//! A list proves that it is complete. Each grant names the grant before it, each hour the hour
//! before it, and the account names the last of each. Each hour holds the checksum of its usage. A
//! row that is missing or damaged makes the list [`Error::is_damaged_state`].

use std::collections::BTreeMap;
use std::ops::Range;

use tollkeeper_ledger::{
    ApiKeyId, Grant, HourPart, MemberId, Micros, Spender, Timestamp, UsageKey, UsageSums, WorkerId,
};

use super::state_db::{LOT_COLUMNS, StateFile, read_lot};
use super::state_meta::Meta;
use super::state_rows::{self, Awaits, HourRow, LastHour};
use crate::Error;

const HOUR_COLUMNS: &str = "no, hour, seq, before, usage, crc";

impl StateFile {
    /// At most `most` grants of a workspace with numbers below `before`, newest first, each with
    /// the sequence number of its entry.
    pub(crate) fn lots(
        &self,
        account_index: u32,
        before: u64,
        most: usize,
    ) -> Result<Vec<(u64, Grant)>, Error> {
        let end = i64::try_from(before).unwrap_or(i64::MAX);
        let sql = format!("SELECT {LOT_COLUMNS} FROM lot WHERE no = ?1 AND n >= ?2 ORDER BY n LIMIT 1");
        let mut expected = match self.one(&sql, (account_index, end), read_lot)? {
            Some(row) => self.lot_of(row)?.0.before,
            None => self.account_head(account_index)?.linked.newest_lot,
        };
        let sql = format!("SELECT {LOT_COLUMNS} FROM lot WHERE no = ?1 AND n < ?2 ORDER BY n DESC LIMIT ?3");
        let rows = self.all(&sql, (account_index, end, most as i64), read_lot)?;
        let ended = rows.len() < most;
        let mut lots = Vec::with_capacity(rows.len());
        for row in rows {
            let (row, grant) = self.lot_of(row)?;
            if row.n != expected {
                return Err(self.damaged(format!("the row of grant {expected} is missing")));
            }
            expected = row.before;
            lots.push((row.seq, grant));
        }
        if ended && expected != 0 {
            return Err(self.damaged(format!("the row of grant {expected} is missing")));
        }
        Ok(lots)
    }

    /// All that waits for a time: the charge or the payments, the account index, the deadline.
    pub(crate) fn pending(&self, meta: &Meta) -> Result<Vec<(Awaits, u32, Timestamp)>, Error> {
        let mut pending = Vec::new();
        self.each_pending(meta, |awaits, index, deadline| pending.push((awaits, index, deadline)))?;
        Ok(pending)
    }

    /// Calls `visit` with each of them. They may be too many to be held.
    pub(crate) fn each_pending(
        &self,
        meta: &Meta,
        mut visit: impl FnMut(Awaits, u32, Timestamp),
    ) -> Result<(), Error> {
        let failed = |error| self.failed(error);
        let sql = "SELECT seq, no, deadline, crc FROM pending";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let (mut count, mut sum) = (0, 0i64);
        while let Some(row) = rows.next().map_err(failed)? {
            let (key, index, deadline, crc) = read_pending(row).map_err(failed)?;
            let awaits = Awaits::of_key(key);
            if crc != state_rows::pending_crc(key, index, deadline) || key != awaits.key(index) {
                return Err(self.damaged("a deadline is damaged or missing"));
            }
            count += 1;
            sum = sum.wrapping_add(crc);
            visit(awaits, index, deadline);
        }
        if (count, sum) == (meta.pending, meta.pending_sum) {
            return Ok(());
        }
        Err(self.damaged("a deadline is damaged or missing"))
    }

    /// The number of accounts.
    pub(crate) fn count_accounts(&self) -> Result<u64, Error> {
        let count = self.one("SELECT count(*) FROM account", [], |row| row.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0) as u64)
    }

    /// The hours in which a workspace has entries, each with the sequence number of the last of
    /// them.
    pub(crate) fn hours(&self, account_index: u32) -> Result<BTreeMap<i64, u64>, Error> {
        let rows = self.hour_rows(account_index, i64::MIN..i64::MAX)?;
        Ok(rows.into_iter().map(|row| (row.last.hour, row.seq)).collect())
    }

    /// The last hour up to `hour` in which a workspace has entries, with the sequence number of the
    /// last of them.
    pub(crate) fn hour(&self, account_index: u32, hour: i64) -> Result<Option<(i64, u64)>, Error> {
        let sql = format!(
            "SELECT {HOUR_COLUMNS} FROM hour WHERE no = ?1 AND hour <= ?2 ORDER BY hour DESC LIMIT 1"
        );
        let found = self.one(&sql, (account_index, hour), read_hour)?;
        let found = found.map(|row| self.whole_hour(row)).transpose()?;
        let expected = self.hour_before(account_index, hour.saturating_add(1))?;
        if found.map(|row| row.last.hour) != expected {
            return Err(self.damaged("an hour of a workspace is missing"));
        }
        Ok(found.map(|row| (row.last.hour, row.seq)))
    }

    /// The usage of a workspace, in the order of keys. `hours`: whole hours since 1970-01-01 UTC.
    pub(crate) fn usage(
        &self,
        account_index: u32,
        hours: Range<i64>,
    ) -> Result<Vec<(UsageKey, UsageSums)>, Error> {
        let mut usage = Vec::new();
        self.each_usage(account_index, hours, |key, used| usage.push((key, used)))?;
        Ok(usage)
    }

    /// Calls `visit` with each row of the usage of a workspace, in the order of keys. They may be
    /// too many to be held. `hours`: whole hours since 1970-01-01 UTC. What `visit` saw is complete
    /// if no error follows.
    pub(crate) fn each_usage(
        &self,
        account_index: u32,
        hours: Range<i64>,
        mut visit: impl FnMut(UsageKey, UsageSums),
    ) -> Result<(), Error> {
        let linked = self.account_head(account_index)?.linked;
        let read = if linked.has_displaced_usage { i64::MIN..i64::MAX } else { hours.clone() };
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        let mut total = 0;
        self.each_usage_row(account_index, read, |key, used, crc| {
            total = state_rows::usage_crc_sum(total, crc);
            let sum = sums.entry(key.hour).or_default();
            *sum = state_rows::usage_crc_sum(*sum, crc);
            if hours.contains(&key.hour) {
                visit(key, used);
            }
        })?;
        if linked.has_displaced_usage {
            let is_whole = total == linked.usage;
            return if is_whole { Ok(()) } else { Err(self.damaged("the usage is not complete")) };
        }
        self.check_hour_sums(account_index, hours, sums)
    }

    /// The same for a few hours. If usage was counted in other hours than those of its entries, a
    /// row that is missing is not noticed, because only the sum of all rows is known then.
    pub(crate) fn each_usage_of_day(
        &self,
        account_index: u32,
        hours: Range<i64>,
        mut visit: impl FnMut(UsageKey, UsageSums),
    ) -> Result<(), Error> {
        match self.account_head(account_index)?.linked.has_displaced_usage {
            true => self.each_usage_row(account_index, hours, |key, used, _| visit(key, used)),
            false => self.each_usage(account_index, hours, visit),
        }
    }

    /// Compares the checksum of the usage of each hour with the one in the row of the hour.
    fn check_hour_sums(
        &self,
        account_index: u32,
        hours: Range<i64>,
        mut sums: BTreeMap<i64, i64>,
    ) -> Result<(), Error> {
        for HourRow { last, .. } in self.hour_rows(account_index, hours)? {
            if sums.remove(&last.hour).unwrap_or(0) != last.usage {
                return Err(self.damaged(format!("the usage of hour {} is not complete", last.hour)));
            }
        }
        match sums.first_key_value() {
            Some((hour, _)) => Err(self.damaged(format!("the row of hour {hour} is missing"))),
            None => Ok(()),
        }
    }

    /// Calls `visit` with each row of the usage of a workspace in a range of hours, and its
    /// checksum, which is right.
    fn each_usage_row(
        &self,
        account_index: u32,
        hours: Range<i64>,
        mut visit: impl FnMut(UsageKey, UsageSums, i64),
    ) -> Result<(), Error> {
        let sql = "SELECT hour, operation, worker, member, api_key, runs, quantity, charged, refunded, crc,
                   minute, until FROM usage WHERE no = ?1 AND hour >= ?2 AND hour < ?3
                   ORDER BY hour, minute, until, operation, worker, member, api_key";
        let failed = |error| self.failed(error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query((account_index, hours.start, hours.end)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (names, sums, stored) = read_usage(row).map_err(failed)?;
            let part = HourPart::new(row.get(10).map_err(failed)?, row.get(11).map_err(failed)?);
            let part = part.ok_or_else(|| self.damaged("a row of usage holds no part of an hour"))?;
            let key = self.usage_key(row.get(0).map_err(failed)?, part, names)?;
            let crc = state_rows::usage_crc(account_index, &key, sums);
            if crc != stored {
                return Err(self.damaged("a row of usage is damaged"));
            }
            visit(key, sums, crc);
        }
        Ok(())
    }

    /// The key that the names in a row of usage stand for.
    fn usage_key(
        &self,
        hour: i64,
        part: HourPart,
        (operation, worker, member, api_key): UsageNames,
    ) -> Result<UsageKey, Error> {
        let malformed = |_| self.damaged("a row of usage holds a malformed name");
        let some = |text: Box<str>| Some(text).filter(|text| !text.is_empty());
        let api_key = some(api_key).map(|key| key.parse::<ApiKeyId>());
        let (operation, meter) = UsageKey::split_operation(&operation).map_err(malformed)?;
        let spender = Spender {
            operation,
            worker: some(worker).map(WorkerId::new).transpose().map_err(malformed)?,
            member: some(member).map(MemberId::new).transpose().map_err(malformed)?,
            api_key: api_key
                .transpose()
                .map_err(|()| self.damaged("a row of usage holds a malformed API key id"))?,
        };
        Ok(UsageKey { hour, part, spender, meter })
    }

    /// The rows of the hours of a range in which a workspace has entries, oldest first. None is
    /// missing.
    fn hour_rows(&self, account_index: u32, hours: Range<i64>) -> Result<Vec<HourRow>, Error> {
        let sql = format!(
            "SELECT {HOUR_COLUMNS} FROM hour WHERE no = ?1 AND hour >= ?2 AND hour < ?3 ORDER BY hour DESC"
        );
        let rows = self.all(&sql, (account_index, hours.start, hours.end), read_hour)?;
        let mut expected = self.hour_before(account_index, hours.end)?;
        let mut whole = Vec::with_capacity(rows.len());
        for row in rows {
            let row = self.whole_hour(row)?;
            if Some(row.last.hour) != expected {
                return Err(self.damaged("an hour of a workspace is missing"));
            }
            expected = row.last.before;
            whole.push(row);
        }
        if expected.is_some_and(|hour| hour >= hours.start) {
            return Err(self.damaged("an hour of a workspace is missing"));
        }
        whole.reverse();
        Ok(whole)
    }

    /// The last hour before `end` that a workspace must have a row of: what the row after it names,
    /// or the account if there is no later row.
    fn hour_before(&self, account_index: u32, end: i64) -> Result<Option<i64>, Error> {
        let sql =
            format!("SELECT {HOUR_COLUMNS} FROM hour WHERE no = ?1 AND hour >= ?2 ORDER BY hour LIMIT 1");
        match self.one(&sql, (account_index, end), read_hour)? {
            Some(row) => self.whole_hour(row).map(|row| row.last.before),
            None => Ok(self.account_head(account_index)?.linked.last_hour.map(|last| last.hour)),
        }
    }

    fn whole_hour(&self, row: Option<HourRow>) -> Result<HourRow, Error> {
        row.ok_or_else(|| self.damaged("the row of an hour is damaged"))
    }
}

/// Reads a row of the table `pending`: its key, the account index, the deadline, the checksum.
fn read_pending(row: &rusqlite::Row) -> rusqlite::Result<(i64, u32, Timestamp, i64)> {
    Ok((row.get(0)?, row.get(1)?, Timestamp::from_millis(row.get(2)?), row.get(3)?))
}

/// The operation, worker, member and API key of a row of usage; empty if absent.
type UsageNames = (Box<str>, Box<str>, Box<str>, Box<str>);

/// Reads the names, the sums and the checksum of a row of usage.
fn read_usage(row: &rusqlite::Row) -> rusqlite::Result<(UsageNames, UsageSums, i64)> {
    let name = |column| row.get::<_, Box<str>>(column);
    let names = (name(1)?, name(2)?, name(3)?, name(4)?);
    let sums = UsageSums {
        runs: row.get(5)?,
        quantity: row.get(6)?,
        charged: Micros::new(row.get(7)?),
        refunded: Micros::new(row.get(8)?),
    };
    Ok((names, sums, row.get(9)?))
}

/// Reads the row of an hour; `None` if it is not what was written.
fn read_hour(row: &rusqlite::Row) -> rusqlite::Result<Option<HourRow>> {
    let hour = HourRow {
        account_index: row.get(0)?,
        last: LastHour { hour: row.get(1)?, before: row.get(3)?, usage: row.get(4)? },
        seq: row.get::<_, i64>(2)? as u64,
    };
    Ok((row.get::<_, i64>(5)? == hour.crc()).then_some(hour))
}
