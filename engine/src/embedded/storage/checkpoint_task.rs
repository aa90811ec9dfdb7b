//! The tasks of the checkpointer and their results: data only.
//!
//! The core decides what a task holds, and the checkpointer writes it. How a task gets there is in
//! `checkpointer_handle`; which tasks are not finished, in `maintenance_state`.

use std::sync::Arc;

use tollkeeper_ledger::{Timestamp, UsageKey, UsageSums};

use super::key_index::{Pair, Run, RunHead, SeqRange};
use super::state_days::ClosedSlice;
use super::state_meta::KnownEntry;
use super::state_rows::{AccountRow, Awaits, HourRow, LotRow, Part};
use crate::Error;
use crate::workspace_search::SearchRow;

/// Account index, and rows of its usage.
pub(crate) type UsageOfAccount = (u32, Arc<Vec<(UsageKey, UsageSums)>>);

/// The unpersisted changes of some accounts, to be written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct AccountChunk {
    pub accounts: Vec<AccountRow>,
    /// The team or the payments of an account, encoded, if they changed.
    pub parts: Vec<(Part, u32, Vec<u8>)>,
    /// Grants that are new or that left memory.
    pub lots: Vec<LotWrite>,
    /// Account index, and what is added to the rows of these keys.
    pub usage: Vec<UsageOfAccount>,
    pub hours: Vec<HourRow>,
    /// The time zones of accounts whose profile has changed. Closed days of other zones are taken
    /// back.
    pub timezones: Vec<(u32, Box<str>)>,
    /// Account index, and what it is found by; written if it differs from what is stored.
    pub search: Vec<(u32, SearchRow)>,
    /// A charge or the payments of an account, account index, deadline; without a deadline the row
    /// is deleted.
    pub pending: Vec<(Awaits, u32, Option<Timestamp>)>,
    /// The number of rows of usage, pending charges and grants.
    pub rows: usize,
    /// In the last chunk of a round: the sequence number up to which every account is persisted by
    /// it.
    pub persists_to: Option<u64>,
    /// The last entry of the journal that the changes may derive from.
    pub known: KnownEntry,
}

/// A row of the table of grants that is to be written.
#[derive(Debug)]
pub(crate) enum LotWrite {
    /// A new grant.
    New(LotRow),
    /// A grant that left memory, encoded; its row must exist.
    Spent { account_index: u32, n: u64, data: Vec<u8> },
}

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Task {
    /// Write the changes of some accounts.
    Chunk(AccountChunk),
    /// Write a frozen table as a run (a flush).
    Run { pairs: Vec<Pair>, covers: SeqRange, known: KnownEntry },
    /// Merge these runs, oldest first.
    Merge(Vec<RunHead>),
    /// Close days of these accounts, each up to an instant.
    CloseDays(Vec<(u32, Timestamp)>),
    /// Delete the pages of these runs. Nothing waits for it, so it has no [`TaskResult`].
    DeleteRuns(Vec<i64>),
    /// Move the journal's WAL into its file.
    WalCheckpoint,
    /// The same, and empty it, so that the file alone is the journal.
    EmptyWal,
}

/// What was written.
#[derive(Debug)]
pub(crate) enum TaskResult {
    /// The indices of the accounts, and [`AccountChunk::persists_to`].
    Chunk {
        accounts: Vec<u32>,
        persists_to: Option<u64>,
    },
    Run(Run),
    Merged(Run),
    DaysClosed(ClosedSlice),
    /// The number of pages that are still in the journal's WAL.
    WalCheckpoint {
        left: u64,
    },
    /// True if the journal's WAL is empty; false if a reader or writer was in the way.
    WalEmptied(bool),
    Failed(Error),
}
