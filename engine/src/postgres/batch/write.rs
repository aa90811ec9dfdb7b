//! What a batch writes, row by row, and what to look for if the result of its COMMIT is unknown.
//!
//! The state machine fills [`BatchWrites`] while it decides. `columns` turns them into one array
//! per column, `commit` sends them.

use std::collections::{BTreeMap, BTreeSet};

use tollkeeper_ledger::{ChargeId, Grant, Timestamp, UsageKey, UsageSums, WorkspaceId};

use super::accounts::Accounts;
use super::texts::TextWrites;
use crate::CommandResult;
use crate::postgres::counters::CommittedBatch;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::seal::sealed;
use crate::postgres::database::session::{DbSession, Uuid, column, with_timeout};
use crate::postgres::database::sql::Sql;
use crate::postgres::shared::SharedState;

/// An entry of an account, identified within the current batch. Ordered by account, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryRef {
    pub account_index: usize,
    pub n: u64,
}

/// The digest of an idempotency key in an account, identified within the current batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyRef {
    pub account_index: usize,
    pub key_digest: Uuid,
}

/// A row of the table `entry`.
#[derive(Debug)]
pub(crate) struct EntryRow {
    pub account_index: usize,
    pub n: u64,
    pub key: Option<Uuid>,
    /// For an entry about a charge opened earlier: the number of the entry that opened it.
    pub opening_entry: Option<u64>,
    /// The end of the entry's bytes in [`BatchWrites::bytes`]. They start at the end of the entry
    /// before.
    pub end: usize,
}

/// The pending state of a charge after the batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingWrite {
    pub charge: ChargeId,
    /// The deadline while the charge is pending. `None` removes the row.
    pub deadline: Option<Timestamp>,
}

/// Usage to add to the table `usage`.
#[derive(Debug)]
pub(crate) struct UsageWrite {
    pub account_index: usize,
    pub key: UsageKey,
    pub used: UsageSums,
}

/// The number of the platform's last entry before and after a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlatformNumbers {
    pub before: u64,
    pub after: u64,
}

impl PlatformNumbers {
    /// The numbers before anything was decided.
    pub(crate) fn unchanged(n: u64) -> PlatformNumbers {
        PlatformNumbers { before: n, after: n }
    }
}

/// Everything that a batch writes, and what its decisions relied on without writing it.
#[derive(Debug, Default)]
pub(crate) struct BatchWrites {
    /// The canonical bytes of all entries, one after another.
    pub bytes: Vec<u8>,
    pub entries: Vec<EntryRow>,
    /// Charges whose deadline was set or removed, by the entry that opened them.
    pub pending: BTreeMap<EntryRef, PendingWrite>,
    /// Pending charges after the batch, less those before it.
    pub pending_change: i64,
    /// Entries that were decided while their account was ahead of the clock, with the last such
    /// account and the time of its entry.
    pub decided_ahead: Option<(u64, WorkspaceId, Timestamp)>,
    /// The bytes of grants that were created or spent, by the entry that created them.
    pub grant_rows: BTreeMap<EntryRef, Vec<u8>>,
    pub usage: Vec<UsageWrite>,
    /// Accounts whose profile changed.
    pub updated_profiles: BTreeSet<usize>,
    pub texts: TextWrites,
    /// The accounts with entries of kinds that somebody follows.
    pub followed: BTreeSet<usize>,
    /// Keys of commands that were refused or changed nothing. Such an answer is right only if the
    /// key is still free.
    pub unused_keys: Vec<KeyRef>,
    pub platform: PlatformNumbers,
    /// True if an answer says that a command was accepted, also if the batch writes nothing for it.
    pub accepts: bool,
}

impl BatchWrites {
    /// The bytes of an entry, by its index in `entries`.
    pub(crate) fn entry_bytes(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].end);
        &self.bytes[start..self.entries[index].end]
    }

    /// Stores a grant as a row of the table `lot`.
    pub(crate) fn put_grant_row(&mut self, account_index: usize, grant: &Grant) {
        let bytes = sealed(48, |bytes| grant.encode(bytes));
        self.grant_rows.insert(EntryRef { account_index, n: grant.n }, bytes);
    }

    /// Brings each account into the form in which it is stored. Spent grants and the rollups of
    /// past hours leave it for tables of their own. Called once, after the last command of the
    /// batch.
    pub(crate) fn finish(&mut self, accounts: &mut Accounts) {
        let mut recorded = 0;
        for account_index in accounts.touched().to_vec() {
            let slot = accounts.get_mut(account_index);
            recorded += slot.account.chain.n - slot.stored_n;
            let changed = slot.is_changed();
            if changed && slot.account.profile.id.is_platform() {
                let last = slot.account.chain.n;
                assert_eq!(
                    self.platform.after, last,
                    "the number of the platform's last entry is the one that is written"
                );
            }
            for grant in slot.account.grants.release_spent().into_iter().filter(|_| changed) {
                self.put_grant_row(account_index, &grant);
            }
            slot.assert_usage();
            let past = slot.hour.add(slot.batch_usage.take());
            self.usage.extend(past.into_iter().map(|(key, used)| UsageWrite { account_index, key, used }));
        }
        assert_eq!(recorded, self.entries.len() as u64, "i02: every number of every account has its entry");
        let end = self.entries.last().map_or(0, |entry| entry.end);
        assert_eq!(end, self.bytes.len(), "all encoded bytes belong to an entry");
    }

    /// Wakes those who watch the workspaces of the batch, and the deliveries if they follow its
    /// entries. To be called after the commit.
    pub(crate) fn wake(&self, accounts: &Accounts, shared: &SharedState) {
        if !shared.watchers.is_empty() {
            let workspace = |entry: &EntryRow| &accounts.get(entry.account_index).account.profile.id;
            shared.watchers.wake(self.entries.iter().map(workspace));
        }
        if !self.followed.is_empty() {
            shared.deliveries.committed.notify_one();
        }
    }

    /// What to look for in the database if the result of COMMIT does not arrive, with the answers
    /// of the batch.
    pub(crate) fn unknown_commit(&self, accounts: &Accounts, answers: Vec<CommandResult>) -> UnknownCommit {
        let mut unknown = UnknownCommit { answers, ..UnknownCommit::default() };
        for (index, entry) in self.entries.iter().enumerate() {
            let account = &accounts.get(entry.account_index).account;
            if entry.n == account.chain.n {
                unknown.workspaces.push(account.profile.id.as_str().to_owned());
                unknown.numbers.push(entry.n as i64);
                unknown.data.push(self.entry_bytes(index).to_vec());
            }
        }
        assert!(!unknown.data.is_empty(), "an attempt that wrote entries has a last entry to look for");
        unknown
    }

    /// What the counters add after the commit.
    pub(crate) fn committed(&self) -> CommittedBatch {
        CommittedBatch {
            entries: self.entries.len() as u64,
            bytes: self.bytes.len() as u64,
            pending_change: self.pending_change,
            decided_ahead: self.decided_ahead.clone(),
        }
    }
}

/// An attempt to commit a batch whose COMMIT result is unknown (an *in-doubt* transaction), as the
/// last entry of each of its accounts. If all of them are in the database byte for byte, the
/// attempt was committed.
#[derive(Debug, Default)]
pub(crate) struct UnknownCommit {
    workspaces: Vec<String>,
    numbers: Vec<i64>,
    data: Vec<Vec<u8>>,
    /// The answers of the batch, valid if the attempt was committed.
    pub answers: Vec<CommandResult>,
}

impl UnknownCommit {
    /// True if the attempt was committed. The accounts must be locked: otherwise the attempt's
    /// transaction may still be running, and the answer may change. A new workspace has no row to
    /// lock. The INSERT of its account then waits for the attempt, and fails with a conflict.
    pub(crate) async fn was_committed(&self, session: &DbSession) -> Result<bool, Failure> {
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&self.workspaces, &self.numbers, &self.data];
        let rows = session.query_with_timeout(Sql::CountStoredEntries, &params).await?;
        let stored: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
        Ok(!self.data.is_empty() && stored == self.data.len() as i64)
    }

    /// Locks an account of the attempt, which was committed.
    pub(crate) async fn lock_account(&self, session: &DbSession) -> Result<(), Failure> {
        let workspace = self.workspaces.first().expect("an attempt wrote at least one entry");
        with_timeout(session.execute(Sql::LockAccount, &[workspace])).await?
    }
}
