//! The keeper: writes what is derived from the journal into the state file, off the path of a commit.
//!
//! It is told what to write by the heart ([`Task`]) and says when it is done ([`Done`]); it decides nothing and looks at
//! no account. Each task is one database transaction or a series of small ones. A failure is told once, and the heart
//! then reads everything anew from disk. It runs on a thread of its own, or in the caller's for a simulation.

use std::path::Path;

use rusqlite::Connection;
use tollkeeper_ledger::{Spender, Timestamp, UsageKey, Used};

use super::bloom::Bloom;
use super::journal;
use super::key_index::{PAGE_PAIRS, Pair, Run, RunHead, page_of, pairs_of};
use super::sqlite::{self, Access};
use super::state_db::{self, State};
use crate::Error;
use crate::embedded::threads::checkpoint::CheckpointThread;

/// Pages of a merged run that are written in one transaction.
const MERGE_STEP_PAGES: usize = 512;

/// Pages the state file's WAL may hold before it is moved into the file.
const STATE_WAL_PAGES: u32 = 4_000;

/// What of some accounts is to be kept.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub accounts: Vec<AccountRow>,
    /// Workspace, bytes of its team.
    pub teams: Vec<(u32, Vec<u8>)>,
    /// Workspace, number of the grant, place of its entry if it is new, bytes.
    pub lots: Vec<(u32, u64, Option<u64>, Vec<u8>)>,
    /// Added to what is there.
    pub usage: Vec<(u32, UsageKey, Used)>,
    /// Workspace, hour, place of its last entry in it.
    pub hours: Vec<(u32, i64, u64)>,
    /// Place of the opening, workspace, deadline; `None` takes it out.
    pub pending: Vec<(u64, u32, Option<Timestamp>)>,
    /// If this is the last slice of a round: the place up to which every account is then kept.
    pub persists_to: Option<u64>,
}

/// A row of the account table.
#[derive(Debug)]
pub(crate) struct AccountRow {
    pub account_index: u32,
    pub id: Box<str>,
    pub head: u64,
    pub n: u64,
    pub data: Vec<u8>,
}

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Task {
    Slice(Slice),
    Run {
        pairs: Vec<Pair>,
        covers: (u64, u64),
    },
    Merge(Vec<RunHead>),
    Drop(Vec<i64>),
    /// Move the journal's WAL into its file.
    JournalCheckpoint,
}

/// What was written.
#[derive(Debug)]
pub(crate) enum Done {
    /// These accounts, and the end of the round if it was one.
    Slice {
        accounts: Vec<u32>,
        persists_to: Option<u64>,
    },
    Run(Run),
    Merged(Run),
    /// So many pages are still in the journal's WAL.
    JournalCheckpoint {
        left: u64,
    },
    Failed(Error),
}

/// Writes the state file.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    state: State,
    journal: Connection,
    merge: Option<Merge>,
    page: Vec<u8>,
}

impl Checkpointer {
    /// Opens the state file, or makes it (anew), and drops what an earlier end left unfinished.
    pub(crate) fn open(directory: &Path, vfs: Option<&str>) -> Result<Checkpointer, Error> {
        let state = state_db::open_or_rebuild(directory, vfs)?;
        let tidy = format!(
            "PRAGMA wal_autocheckpoint = {STATE_WAL_PAGES};
             DELETE FROM run_page WHERE run NOT IN (SELECT id FROM run WHERE whole);
             DELETE FROM run WHERE NOT whole;"
        );
        state.connection.execute_batch(&tidy).map_err(|error| state.failed(error))?;
        let path = directory.join(journal::FILE);
        let journal = sqlite::open(&path, vfs, Access::Write)?;
        journal.execute_batch("PRAGMA synchronous = FULL").map_err(|error| sqlite::explain(&path, error))?;
        Ok(Checkpointer { state, journal, merge: None, page: Vec::new() })
    }

    /// Does a task. `None`: a merge has begun, [`Keeper::step`] goes on with it.
    pub(crate) fn begin(&mut self, task: Task) -> Option<Done> {
        let done = match task {
            Task::Slice(slice) => self.slice(slice).map(Some),
            Task::Run { pairs, covers } => self.run(pairs, covers).map(|run| Some(Done::Run(run))),
            Task::Merge(heads) => self.begin_merge(&heads).map(|()| None),
            Task::Drop(ids) => self.drop_runs(&ids).map(|()| None),
            Task::JournalCheckpoint => {
                journal::checkpoint(&self.journal).map(|left| Some(Done::JournalCheckpoint { left }))
            }
        };
        done.unwrap_or_else(|error| Some(Done::Failed(self.state.failed(error))))
    }

    /// Whether a merge is under way.
    pub(crate) fn is_merging(&self) -> bool {
        self.merge.is_some()
    }

    /// Goes on with the merge under way by one small transaction.
    pub(crate) fn step(&mut self) -> Option<Done> {
        let done = self.merge_step();
        if !matches!(done, Ok(None)) {
            self.merge = None;
        }
        done.unwrap_or_else(|error| Some(Done::Failed(self.state.failed(error))))
    }

    fn slice(&mut self, slice: Slice) -> rusqlite::Result<Done> {
        let connection = &self.state.connection;
        let transaction = connection.unchecked_transaction()?;
        let mut put = connection.prepare_cached(
            "INSERT INTO account (no, id, head, n, data) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (no)
             DO UPDATE SET head = excluded.head, n = excluded.n, data = excluded.data",
        )?;
        for AccountRow { account_index, id, head, n, data } in &slice.accounts {
            put.execute((account_index, id, *head as i64, *n as i64, data))?;
        }
        let mut put = connection.prepare_cached("INSERT OR REPLACE INTO team (no, data) VALUES (?1, ?2)")?;
        for (account_index, data) in &slice.teams {
            put.execute((account_index, data))?;
        }
        put_lots(connection, &slice.lots)?;
        put_usage(connection, &slice.usage)?;
        let mut put =
            connection.prepare_cached("INSERT OR REPLACE INTO hour (no, hour, seq) VALUES (?1, ?2, ?3)")?;
        for (account_index, hour, seq) in &slice.hours {
            put.execute((account_index, hour, *seq as i64))?;
        }
        for (seq, account_index, deadline) in &slice.pending {
            let sql = match deadline {
                Some(_) => "INSERT OR REPLACE INTO pending (seq, no, deadline) VALUES (?1, ?2, ?3)",
                None => "DELETE FROM pending WHERE seq = ?1 AND no = ?2 AND ?3 IS NULL",
            };
            connection.prepare_cached(sql)?.execute((
                *seq as i64,
                account_index,
                deadline.map(Timestamp::millis),
            ))?;
        }
        let sql = "INSERT INTO meta (name, value) VALUES ('changes', 1) ON CONFLICT DO UPDATE SET value = value + 1";
        connection.prepare_cached(sql)?.execute([])?;
        if let Some(to) = slice.persists_to {
            let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES ('accounts_kept_to', ?1)";
            connection.prepare_cached(sql)?.execute([to as i64])?;
        }
        transaction.commit()?;
        let accounts = slice.accounts.iter().map(|row| row.account_index).collect();
        Ok(Done::Slice { accounts, persists_to: slice.persists_to })
    }

    fn run(&mut self, mut pairs: Vec<Pair>, covers: (u64, u64)) -> rusqlite::Result<Run> {
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
        let head = RunHead { id, tier: 0, covers, pairs: pairs.len() as u64, pages: fences.len() };
        let run = Run { head, bloom, fences };
        finish_run(&transaction, &run)?;
        transaction.commit()?;
        Ok(run)
    }

    fn drop_runs(&mut self, ids: &[i64]) -> rusqlite::Result<()> {
        let transaction = self.state.connection.unchecked_transaction()?;
        for id in ids {
            transaction.execute("DELETE FROM run_page WHERE run = ?1", [id])?;
            transaction.execute("DELETE FROM run WHERE id = ?1", [id])?;
        }
        transaction.commit()
    }

    fn begin_merge(&mut self, heads: &[RunHead]) -> rusqlite::Result<()> {
        let (Some(first), Some(last)) = (heads.first(), heads.last()) else {
            return Ok(());
        };
        let covers = (first.covers.0, last.covers.1);
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

    fn merge_step(&mut self) -> rusqlite::Result<Option<Done>> {
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
                return Ok(Some(Done::Merged(run)));
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

/// A run being read in order.
#[derive(Debug)]
struct Source {
    head: RunHead,
    page: usize,
    pairs: Vec<Pair>,
    at: usize,
}

impl Source {
    /// The next pair, without taking it.
    fn peek(&mut self, connection: &Connection) -> rusqlite::Result<Option<Pair>> {
        if self.at == self.pairs.len() && self.page < self.head.pages {
            let sql = "SELECT data FROM run_page WHERE run = ?1 AND page = ?2";
            let mut statement = connection.prepare_cached(sql)?;
            self.pairs.clear();
            statement.query_row((self.head.id, self.page as i64), |row| {
                self.pairs.extend(pairs_of(row.get_ref(0)?.as_blob()?));
                Ok(())
            })?;
            (self.page, self.at) = (self.page + 1, 0);
        }
        Ok(self.pairs.get(self.at).copied())
    }
}

impl Merge {
    /// The smallest pair that is left in any source.
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

fn put_lots(connection: &Connection, lots: &[(u32, u64, Option<u64>, Vec<u8>)]) -> rusqlite::Result<()> {
    for (account_index, n, seq, data) in lots {
        match seq {
            Some(seq) => connection
                .prepare_cached("INSERT OR REPLACE INTO lot (no, n, seq, data) VALUES (?1, ?2, ?3, ?4)")?
                .execute((account_index, *n as i64, *seq as i64, data))?,
            None => connection
                .prepare_cached("UPDATE lot SET data = ?3 WHERE no = ?1 AND n = ?2")?
                .execute((account_index, *n as i64, data))?,
        };
    }
    Ok(())
}

fn put_usage(connection: &Connection, rows: &[(u32, UsageKey, Used)]) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO usage (no, hour, operation, worker, member, api_key, runs, quantity, charged, refunded)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO UPDATE SET runs = runs + excluded.runs,
         quantity = quantity + excluded.quantity, charged = charged + excluded.charged,
         refunded = refunded + excluded.refunded",
    )?;
    for (account_index, key, used) in rows {
        let UsageKey { hour, spender: Spender { operation, worker, member, api_key } } = key;
        let Used { runs, quantity, charged, refunded } = used;
        let worker = worker.as_ref().map_or("", |worker| worker.as_str());
        let member = member.as_ref().map_or("", |member| member.as_str());
        let api_key = api_key.map_or_else(String::new, |key| key.to_string());
        let names = (operation.as_str(), worker, member, api_key);
        let (charged, refunded) = (charged.get(), refunded.get());
        put.execute((
            account_index,
            hour,
            names.0,
            names.1,
            names.2,
            names.3,
            runs,
            quantity,
            charged,
            refunded,
        ))?;
    }
    Ok(())
}

fn new_run(connection: &Connection, tier: u32, covers: (u64, u64)) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO run (tier, first, last, pairs, pages, whole) VALUES (?1, ?2, ?3, 0, 0, 0)",
        (tier, covers.0 as i64, covers.1 as i64),
    )?;
    Ok(connection.last_insert_rowid())
}

fn put_page(connection: &Connection, run: i64, page: usize, data: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO run_page (run, page, data) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute((run, page as i64, data)).map(|_| ())
}

fn finish_run(connection: &Connection, run: &Run) -> rusqlite::Result<()> {
    let fences: Vec<u8> = run.fences.iter().flat_map(|fence| fence.to_le_bytes()).collect();
    let sql = "UPDATE run SET pairs = ?2, pages = ?3, bloom = ?4, fences = ?5, whole = 1 WHERE id = ?1";
    let (pairs, pages) = (run.head.pairs as i64, run.head.pages as i64);
    connection.execute(sql, (run.head.id, pairs, pages, run.bloom.to_bytes(), fences)).map(|_| ())
}

/// How the heart reaches the keeper.
#[derive(Debug)]
pub(crate) enum CheckpointerLink {
    /// Nothing may be written.
    None,
    /// In the caller's thread: a task is done when it is given. What was done waits to be fetched.
    Inline(Box<Checkpointer>, std::collections::VecDeque<Done>),
    /// On a thread of its own.
    Thread(CheckpointThread),
}

impl CheckpointerLink {
    /// Whether there is none, because the directory is open for reading only.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, CheckpointerLink::None)
    }

    /// Gives the keeper something to do.
    pub(crate) fn give(&mut self, task: Task) {
        match self {
            CheckpointerLink::None => {}
            CheckpointerLink::Inline(checkpointer, done) => {
                done.extend(checkpointer.begin(task));
                while checkpointer.is_merging() {
                    done.extend(checkpointer.step());
                }
            }
            CheckpointerLink::Thread(thread) => thread.give(task),
        }
    }

    /// Something that is done, if there is.
    pub(crate) fn poll(&mut self) -> Option<Done> {
        match self {
            CheckpointerLink::None => None,
            CheckpointerLink::Inline(_, done) => done.pop_front(),
            CheckpointerLink::Thread(thread) => thread.poll(),
        }
    }

    /// Waits for something that is done; `None` if nothing can be under way.
    pub(crate) fn wait(&mut self) -> Option<Done> {
        match self {
            CheckpointerLink::None => None,
            CheckpointerLink::Inline(_, done) => done.pop_front(),
            CheckpointerLink::Thread(thread) => Some(thread.wait()),
        }
    }
}
