//! The tasks of the checkpointer and their results: data only.
//!
//! The core decides what a task holds, and the checkpointer writes it. How a task gets there is in
//! `checkpointer_handle`; which tasks are not finished, in `maintenance_state`.

use tollkeeper_ledger::{Timestamp, UsageKey, UsageSums};

use super::key_index::{Pair, Run, RunHead, SeqRange};
use crate::Error;

/// The unpersisted changes of some accounts, to be written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct AccountChunk {
    pub accounts: Vec<AccountRow>,
    /// Account index, encoded team; only of teams that changed.
    pub teams: Vec<(u32, Vec<u8>)>,
    /// Grants that are new or that left memory.
    pub lots: Vec<LotRow>,
    /// Account index, key, and what is added to its row.
    pub usage: Vec<(u32, UsageKey, UsageSums)>,
    /// Account index, hour, sequence number of the account's last entry in it.
    pub hours: Vec<(u32, i64, u64)>,
    /// Sequence number of the opening entry, account index, deadline; without a deadline the row is
    /// deleted.
    pub pending: Vec<(u64, u32, Option<Timestamp>)>,
    /// In the last chunk of a round: the sequence number up to which every account is persisted by
    /// it.
    pub persists_to: Option<u64>,
}

/// A row of the account table.
#[derive(Debug)]
pub(crate) struct AccountRow {
    pub account_index: u32,
    /// The workspace id.
    pub id: Box<str>,
    /// The sequence number of the account's last entry.
    pub head: u64,
    /// The number of that entry in its workspace.
    pub n: u64,
    /// The encoded account, without its team.
    pub data: Vec<u8>,
}

/// A row of the table of grants.
#[derive(Debug)]
pub(crate) struct LotRow {
    pub account_index: u32,
    /// The number of the `Granted` entry in its workspace.
    pub n: u64,
    /// The sequence number of that entry if the row is new, `None` if it is an update.
    pub seq: Option<u64>,
    /// The encoded grant.
    pub data: Vec<u8>,
}

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Task {
    /// Write the changes of some accounts.
    Chunk(AccountChunk),
    /// Write a frozen table as a run (a flush).
    Run { pairs: Vec<Pair>, covers: SeqRange },
    /// Merge these runs, oldest first.
    Merge(Vec<RunHead>),
    /// Delete the pages of these runs. Nothing waits for it, so it has no [`TaskResult`].
    DeleteRuns(Vec<i64>),
    /// Move the journal's WAL into its file.
    WalCheckpoint,
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
    /// The number of pages that are still in the journal's WAL.
    WalCheckpoint {
        left: u64,
    },
    Failed(Error),
}
