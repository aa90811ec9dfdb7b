//! The checkpointer: writes what is derived from the journal into the state file, and moves the
//! journal's WAL into `journal.db`; both off the path of a commit.
//!
//! It performs the tasks that it is given ([`Task`]) and reports each [`TaskResult`]. It decides
//! nothing and knows no account in memory. Each task is one database transaction, a merge is a
//! series of small ones. After a failure the core loads everything again from disk. Which thread it
//! runs on is not known here.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use tollkeeper_ledger::{Spender, Timestamp, UsageKey, UsageSums};

use super::bloom::Bloom;
use super::checkpoint_task::{AccountChunk, LotWrite, Task, TaskResult, UsageOfAccount};
use super::journal;
use super::key_index::{PAGE_PAIRS, Pair, Run, RunHead, SeqRange, page_of, pairs_of};
use super::sqlite::{self, Access, OpenFile, damaged_row};
use super::state_days::{self, ClosedSlice};
use super::state_db::{self, LOT_COLUMNS, StateFile, read_lot};
use super::state_meta::{KnownEntry, Meta};
use super::state_rows::{self, AccountRow, Awaits, HourRow, LastHour, Linked, LotRow, USAGE_MODULUS};
use super::state_runs::{PAGE, checked_page, damaged_page, put_filter};
use super::state_search;
use crate::Error;

/// Pages of a merged run that are written in one transaction.
const MERGE_STEP_PAGES: usize = 512;

/// Pages that the state file's WAL may hold before SQLite moves it into the file.
const STATE_WAL_PAGES: u32 = 4_000;

/// The only writer of the state file.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    state: StateFile,
    /// The row that describes the file, as it was last committed.
    meta: Meta,
    journal: OpenFile,
    /// The merge under way.
    merge: Option<Merge>,
    /// Memory of the page being written.
    page: Vec<u8>,
    /// The greatest instant until which days of an account are closed, so that nearly all usage is
    /// added without a look at closed days.
    closed_until: i64,
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        // So that the file alone proves what it derives from. If a reader is in the way, the WAL
        // stays and is read at the next start.
        let _ = self.state.empty_wal();
    }
}

impl Checkpointer {
    /// Opens the state file of the data directory with this id, or makes it, and deletes runs that
    /// were never finished or were merged into others.
    pub(crate) fn open(
        directory: &Path,
        vfs: Option<&str>,
        directory_id: [u8; 16],
    ) -> Result<Checkpointer, Error> {
        let state = state_db::open_or_create(directory, vfs, directory_id)?;
        let meta = state.meta()?;
        let runs: Vec<String> = state.run_heads(&meta)?.iter().map(|head| head.id.to_string()).collect();
        let tidy = format!(
            "PRAGMA wal_autocheckpoint = {STATE_WAL_PAGES};
             DELETE FROM run_page WHERE run NOT IN ({0}); DELETE FROM run_filter WHERE run NOT IN ({0});
             DELETE FROM run WHERE id NOT IN ({0});",
            runs.join(", ")
        );
        state.connection.execute_batch(&tidy).map_err(|error| state.failed(error))?;
        let path = directory.join(journal::FILE);
        let journal = sqlite::open(&path, vfs, Access::Write)?;
        journal.execute_batch("PRAGMA synchronous = FULL").map_err(|error| sqlite::classify(&path, error))?;
        let closed_until = state.greatest_closed_until()?;
        Ok(Checkpointer { state, meta, journal, merge: None, page: Vec::new(), closed_until })
    }

    /// Performs a task. `None` if there is nothing to report: a deletion, or a merge that
    /// [`Checkpointer::continue_merge`] continues.
    pub(crate) fn perform(&mut self, task: Task) -> Option<TaskResult> {
        let is_of_journal = matches!(task, Task::WalCheckpoint | Task::EmptyWal);
        let done = match task {
            Task::Chunk(chunk) => self.write_chunk(chunk).map(Some),
            Task::Run { pairs, covers, known } => {
                self.write_run(pairs, covers, known).map(|run| Some(TaskResult::Run(run)))
            }
            Task::Merge(heads) => self.begin_merge(&heads).map(|()| None),
            Task::DeleteRuns(ids) => self.delete_runs(&ids).map(|()| None),
            Task::CloseDays(accounts) => {
                let closed = self.close_days(&accounts);
                return Some(closed.map_or_else(TaskResult::Failed, TaskResult::DaysClosed));
            }
            Task::WalCheckpoint => {
                journal::wal_checkpoint(&self.journal).map(|left| Some(TaskResult::WalCheckpoint { left }))
            }
            Task::EmptyWal => self.empty_wal().map(|emptied| Some(TaskResult::WalEmptied(emptied))),
        };
        done.unwrap_or_else(|error| {
            // A damaged journal is not mended by a new state file, and the old one is a proof.
            Some(TaskResult::Failed(match is_of_journal {
                true => sqlite::classify(self.journal.path(), error),
                false => self.state.failed(error),
            }))
        })
    }

    /// Empties the journal's WAL. Most of it is moved first, while commits go on.
    fn empty_wal(&self) -> rusqlite::Result<bool> {
        journal::wal_checkpoint(&self.journal)?;
        Ok(!sqlite::empty_wal(&self.journal)?)
    }

    /// The file that it writes.
    #[cfg(test)]
    pub(super) fn state(&self) -> &StateFile {
        &self.state
    }

    /// True while a merge is under way.
    pub(crate) fn is_merging(&self) -> bool {
        self.merge.is_some()
    }

    /// Continues the merge under way by one small transaction; reports its end.
    pub(crate) fn continue_merge(&mut self) -> Option<TaskResult> {
        let done = self.merge_step();
        if !matches!(done, Ok(None)) {
            self.merge = None;
        }
        done.unwrap_or_else(|error| Some(TaskResult::Failed(self.state.failed(error))))
    }

    fn write_chunk(&mut self, chunk: AccountChunk) -> rusqlite::Result<TaskResult> {
        let connection = &self.state.connection;
        let transaction = connection.unchecked_transaction()?;
        let mut meta = self.meta;
        put_accounts(connection, &chunk.accounts)?;
        chunk.accounts.iter().for_each(|row| meta.note_account(row.account_index));
        for (part, account_index, data) in &chunk.parts {
            let sql = format!("INSERT OR REPLACE INTO {} (no, data, crc) VALUES (?1, ?2, ?3)", part.table());
            let crc = part.crc(*account_index, data);
            connection.prepare_cached(&sql)?.execute((account_index, data, crc))?;
        }
        put_lots(connection, &chunk.lots)?;
        state_days::reopen(connection, self.closed_until, &chunk.usage)?;
        put_usage(connection, &chunk.usage)?;
        for (account_index, timezone) in &chunk.timezones {
            state_days::forget_other_zone(connection, *account_index, timezone)?;
        }
        let sql =
            "INSERT OR REPLACE INTO hour (no, hour, seq, before, usage, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut put = connection.prepare_cached(sql)?;
        for row in &chunk.hours {
            let HourRow { account_index, last: LastHour { hour, before, usage }, seq } = row;
            put.execute((account_index, hour, *seq as i64, before, usage, row.crc()))?;
        }
        for (account_index, row) in &chunk.search {
            state_search::put(connection, &mut meta, *account_index, row)?;
        }
        for (awaits, account_index, deadline) in &chunk.pending {
            put_pending(connection, &mut meta, (*awaits, *account_index), *deadline)?;
        }
        meta.changes += 1;
        meta.accounts_persisted_to = chunk.persists_to.unwrap_or(meta.accounts_persisted_to);
        meta.note_known(chunk.known);
        meta.write(connection)?;
        transaction.commit()?;
        self.meta = meta;
        let accounts = chunk.accounts.iter().map(|row| row.account_index).collect();
        Ok(TaskResult::Chunk { accounts, persists_to: chunk.persists_to })
    }

    fn write_run(
        &mut self,
        mut pairs: Vec<Pair>,
        covers: SeqRange,
        known: KnownEntry,
    ) -> rusqlite::Result<Run> {
        pairs.sort_unstable();
        let transaction = self.state.connection.unchecked_transaction()?;
        let id = new_run(&transaction, 0, covers)?;
        let mut bloom = Bloom::for_keys(pairs.len());
        let mut fences = Vec::with_capacity(pairs.len() / PAGE_PAIRS + 1);
        for (page, pairs) in pairs.chunks(PAGE_PAIRS).enumerate() {
            pairs.iter().for_each(|pair| bloom.insert(pair.0));
            fences.push(pairs[0].0);
            page_of(pairs, &mut self.page);
            put_page(&transaction, id, page, &self.page)?;
        }
        assert!(fences.is_sorted(), "the pages of a run are in the order of their fingerprints");
        let head = RunHead { id, tier: 0, covers, pairs: pairs.len() as u64, pages: fences.len() };
        let run = Run { head, bloom, fences };
        finish_run(&transaction, &run)?;
        let mut meta = self.meta;
        meta.note_known(known);
        meta.keys_persisted_to = covers.last;
        meta.write(&transaction)?;
        transaction.commit()?;
        self.meta = meta;
        Ok(run)
    }

    fn close_days(&mut self, accounts: &[(u32, Timestamp)]) -> Result<ClosedSlice, Error> {
        let failed = |error| self.state.failed(error);
        let transaction = self.state.connection.unchecked_transaction().map_err(failed)?;
        let closed = self.state.close_days(accounts)?;
        transaction.commit().map_err(failed)?;
        if closed.days > 0 {
            self.closed_until = self.state.greatest_closed_until()?;
        }
        Ok(closed)
    }

    fn delete_runs(&mut self, ids: &[i64]) -> rusqlite::Result<()> {
        let transaction = self.state.connection.unchecked_transaction()?;
        for id in ids {
            transaction.execute("DELETE FROM run_page WHERE run = ?1", [id])?;
            transaction.execute("DELETE FROM run_filter WHERE run = ?1", [id])?;
            transaction.execute("DELETE FROM run WHERE id = ?1", [id])?;
        }
        transaction.commit()
    }

    fn begin_merge(&mut self, heads: &[RunHead]) -> rusqlite::Result<()> {
        assert!(self.merge.is_none(), "one merge is under way at a time");
        let (first, last) = heads.first().zip(heads.last()).expect("a merge has sources");
        let follows = |pair: &[RunHead]| pair[0].covers.last + 1 == pair[1].covers.first;
        assert!(heads.windows(2).all(follows), "the sources of a merge follow each other without gaps");
        let covers = SeqRange { first: first.covers.first, last: last.covers.last };
        let id = new_run(&self.state.connection, first.tier + 1, covers)?;
        let pairs = heads.iter().map(|head| head.pairs).sum::<u64>();
        self.merge = Some(Merge {
            head: RunHead { id, tier: first.tier + 1, covers, pairs, pages: 0 },
            sources: heads
                .iter()
                .map(|head| Source { head: *head, page: 0, pairs: Vec::new(), at: 0 })
                .collect(),
            bloom: Bloom::for_keys(pairs as usize),
            fences: Vec::new(),
        });
        Ok(())
    }

    fn merge_step(&mut self) -> rusqlite::Result<Option<TaskResult>> {
        let Some(merge) = &mut self.merge else { return Ok(None) };
        let transaction = self.state.connection.unchecked_transaction()?;
        let mut pairs = Vec::with_capacity(PAGE_PAIRS);
        for _ in 0..MERGE_STEP_PAGES {
            pairs.clear();
            while pairs.len() < PAGE_PAIRS
                && let Some(pair) = merge.next(&transaction)?
            {
                pairs.push(pair);
            }
            let Some(first) = pairs.first() else {
                let run = Run {
                    head: RunHead { pages: merge.fences.len(), ..merge.head },
                    bloom: std::mem::replace(&mut merge.bloom, Bloom::for_keys(0)),
                    fences: std::mem::take(&mut merge.fences),
                };
                finish_run(&transaction, &run)?;
                transaction.commit()?;
                return Ok(Some(TaskResult::Merged(run)));
            };
            merge.fences.push(first.0);
            pairs.iter().for_each(|pair| merge.bloom.insert(pair.0));
            page_of(&pairs, &mut self.page);
            put_page(&transaction, merge.head.id, merge.fences.len() - 1, &self.page)?;
        }
        transaction.commit()?;
        Ok(None)
    }
}

/// A merge under way.
#[derive(Debug)]
struct Merge {
    head: RunHead,
    sources: Vec<Source>,
    bloom: Bloom,
    fences: Vec<u64>,
}

/// A run that is read in order.
#[derive(Debug)]
struct Source {
    head: RunHead,
    page: usize,
    pairs: Vec<Pair>,
    at: usize,
}

impl Source {
    /// The next pair of the run, which stays in place.
    fn peek(&mut self, connection: &Connection) -> rusqlite::Result<Option<Pair>> {
        if self.at == self.pairs.len() && self.page < self.head.pages {
            let mut statement = connection.prepare_cached(PAGE)?;
            self.pairs.clear();
            let (run, page) = (self.head.id, self.page);
            let whole = statement.query_row((run, page as i64), |row| {
                let data = checked_page(row, run, page)?;
                self.pairs.extend(data.into_iter().flat_map(pairs_of));
                Ok(data.is_some())
            });
            if !whole.optional()?.unwrap_or(false) {
                return Err(damaged_row(damaged_page(run, page)));
            }
            (self.page, self.at) = (self.page + 1, 0);
        }
        Ok(self.pairs.get(self.at).copied())
    }
}

impl Merge {
    /// Takes the smallest pair of all sources.
    fn next(&mut self, connection: &Connection) -> rusqlite::Result<Option<Pair>> {
        let mut least: Option<(Pair, usize)> = None;
        for (index, source) in self.sources.iter_mut().enumerate() {
            if let Some(pair) = source.peek(connection)?
                && least.is_none_or(|(other, _)| pair < other)
            {
                least = Some((pair, index));
            }
        }
        Ok(least.map(|(pair, index)| {
            self.sources[index].at += 1;
            pair
        }))
    }
}

fn put_accounts(connection: &Connection, rows: &[AccountRow]) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO account (no, id, head, n, data, team, lot, hour, hour_before, hour_usage, usage, displaced,
         crc, payments) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT (no)
         DO UPDATE SET head = excluded.head, n = excluded.n, data = excluded.data, team = excluded.team,
         lot = excluded.lot, hour = excluded.hour, hour_before = excluded.hour_before,
         hour_usage = excluded.hour_usage, usage = excluded.usage,
         displaced = excluded.displaced, crc = excluded.crc, payments = excluded.payments",
    )?;
    for row in rows {
        let AccountRow { account_index, id, head, n, data, linked } = row;
        let Linked { team, payments, newest_lot, last_hour, usage, has_displaced_usage } = linked;
        put.execute((
            account_index,
            id,
            *head as i64,
            *n as i64,
            data,
            team,
            *newest_lot as i64,
            last_hour.map(|last| last.hour),
            last_hour.and_then(|last| last.before),
            last_hour.map(|last| last.usage),
            usage,
            has_displaced_usage,
            row.crc(),
            payments,
        ))?;
    }
    Ok(())
}

fn put_lots(connection: &Connection, lots: &[LotWrite]) -> rusqlite::Result<()> {
    let put = |row: &LotRow| {
        let sql =
            "INSERT OR REPLACE INTO lot (no, n, seq, before, data, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let LotRow { account_index, n, seq, before, data } = row;
        let numbers = (*n as i64, *seq as i64, *before as i64);
        let columns = (account_index, numbers.0, numbers.1, numbers.2, data, row.crc());
        connection.prepare_cached(sql)?.execute(columns).map(|_| ())
    };
    for lot in lots {
        match lot {
            LotWrite::New(row) => put(row)?,
            LotWrite::Spent { account_index, n, data } => {
                let sql = format!("SELECT {LOT_COLUMNS} FROM lot WHERE no = ?1 AND n = ?2");
                let mut select = connection.prepare_cached(&sql)?;
                let found = select.query_row((account_index, *n as i64), read_lot).optional()?.flatten();
                let row = found.ok_or_else(|| damaged_row("the row of a grant is damaged or missing"))?;
                put(&LotRow { data: data.clone(), ..row })?;
            }
        }
    }
    Ok(())
}

/// Writes or, without a deadline, deletes a row of the table `pending`.
fn put_pending(
    connection: &Connection,
    meta: &mut Meta,
    (awaits, account_index): (Awaits, u32),
    deadline: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let key = awaits.key(account_index);
    let mut select = connection.prepare_cached("SELECT no, deadline, crc FROM pending WHERE seq = ?1")?;
    let before = select.query_row([key], |row| {
        let crc = state_rows::pending_crc(key, row.get(0)?, Timestamp::from_millis(row.get(1)?));
        Ok((row.get::<_, i64>(2)? == crc).then_some(crc))
    });
    if let Some(crc) = before.optional()? {
        let removed = crc.and_then(|crc| meta.remove_pending(crc));
        removed.ok_or_else(|| damaged_row("a deadline is damaged"))?;
    }
    let Some(deadline) = deadline else {
        return connection.prepare_cached("DELETE FROM pending WHERE seq = ?1")?.execute([key]).map(|_| ());
    };
    let crc = state_rows::pending_crc(key, account_index, deadline);
    meta.add_pending(crc);
    let sql = "INSERT OR REPLACE INTO pending (seq, no, deadline, crc) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute((key, account_index, deadline.millis(), crc)).map(|_| ())
}

fn put_usage(connection: &Connection, accounts: &[UsageOfAccount]) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(&format!(
        "INSERT INTO usage (no, hour, operation, worker, member, api_key, runs, quantity, charged, refunded, crc,
         minute, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO UPDATE SET
         runs = runs + excluded.runs, quantity = quantity + excluded.quantity,
         charged = charged + excluded.charged, refunded = refunded + excluded.refunded,
         crc = (crc + excluded.crc) % {USAGE_MODULUS}"
    ))?;
    let rows = accounts.iter().flat_map(|(index, rows)| rows.iter().map(move |row| (index, row)));
    for (account_index, (key, used)) in rows {
        let UsageKey { hour, part, spender: Spender { worker, member, api_key, .. }, .. } = key;
        let UsageSums { runs, quantity, charged, refunded } = used;
        put.execute((
            account_index,
            hour,
            &*key.operation_and_meter(),
            worker.as_ref().map_or("", |worker| worker.as_str()),
            member.as_ref().map_or("", |member| member.as_str()),
            api_key.map_or_else(String::new, |key| key.to_string()),
            runs,
            quantity,
            charged.get(),
            refunded.get(),
            state_rows::usage_crc(*account_index, key, *used),
            part.begin,
            part.end,
        ))?;
    }
    Ok(())
}

fn new_run(connection: &Connection, tier: u32, covers: SeqRange) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO run (tier, first, last, pairs, pages, whole, crc) VALUES (?1, ?2, ?3, 0, 0, 0, 0)",
        (tier, covers.first as i64, covers.last as i64),
    )?;
    Ok(connection.last_insert_rowid())
}

fn put_page(connection: &Connection, run: i64, page: usize, data: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO run_page (run, page, data, crc) VALUES (?1, ?2, ?3, ?4)";
    let crc = state_rows::page_crc(run, page, data);
    connection.prepare_cached(sql)?.execute((run, page as i64, data, crc)).map(|_| ())
}

fn finish_run(connection: &Connection, run: &Run) -> rusqlite::Result<()> {
    let fences: Vec<u8> = run.fences.iter().flat_map(|fence| fence.to_le_bytes()).collect();
    let sql = "UPDATE run SET pairs = ?2, pages = ?3, fences = ?4, crc = ?5, whole = 1 WHERE id = ?1";
    let (pairs, pages) = (run.head.pairs as i64, run.head.pages as i64);
    let crc = state_rows::run_crc(&run.head, &fences);
    put_filter(connection, run.head.id, &run.bloom)?;
    connection.execute(sql, (run.head.id, pairs, pages, fences, crc)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;
    use crate::embedded::storage::journal::{EncodedEntries, Journal};

    #[test]
    fn damage_of_the_journal_is_not_taken_for_damage_of_the_state_file() {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(scratch.path(), None, Access::Create).expect("it is made");
        let mut checkpointer = Checkpointer::open(scratch.path(), None, [7; 16]).expect("it is made");
        let entries =
            EncodedEntries { bytes: vec![7; 10_000], offsets: vec![0], ..EncodedEntries::default() };
        journal.append(1, &entries).expect("a healthy disk");
        let wal = scratch.path().join(format!("{}-wal", journal::FILE));
        let wal = OpenOptions::new().write(true).open(wal).expect("a journal has a WAL");
        wal.set_len(100).expect("a file can be cut");
        for task in [Task::WalCheckpoint, Task::EmptyWal] {
            let Some(TaskResult::Failed(error)) = checkpointer.perform(task) else { panic!("it is cut") };
            assert!(error.to_string().contains(journal::FILE), "{error}");
            assert!(!error.is_damaged_state(), "{error}");
        }
    }
}
