//! Counters of one server, for metrics and readiness.
//!
//! The number of entries and of pending charges covers all servers of the database. It is read from
//! the database now and then ([`Counters::reload`]); in between, each server adds only its own
//! commits. Reading it takes a bounded time: in a large ledger both numbers are estimates.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use tollkeeper_ledger::{Timestamp, WorkspaceId};

use super::database::failure::Failure;
use super::database::session::{DbSession, column};
use super::database::sql::Sql;
use crate::EngineStats;
use crate::clock::warn_of_account_ahead;

/// The counters, updated by lanes and readers.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Commands run since the start.
    pub commands: AtomicU64,
    /// Accounts in the memory of all lanes.
    pub accounts: AtomicI64,
    /// Whether the database took writes when it was last asked or written to.
    pub writable: AtomicBool,
    /// Entries since the start whose workspace's last entry was ahead of the clock.
    decided_ahead: AtomicU64,
    entries: AtomicU64,
    pending: AtomicI64,
    commits: AtomicU64,
    bytes: AtomicU64,
}

/// What one committed batch wrote.
#[derive(Clone, Debug)]
pub(super) struct CommittedBatch {
    pub entries: u64,
    /// The length of all encoded entries.
    pub bytes: u64,
    /// Pending charges after the batch, less those before it.
    pub pending_change: i64,
    /// Entries that were decided while their account was ahead of the clock, with the last such
    /// account and the time of its entry.
    pub decided_ahead: Option<(u64, WorkspaceId, Timestamp)>,
}

impl Counters {
    /// Reads the number of entries and of pending charges from the database. If that fails, the
    /// numbers stay as they are.
    pub(super) async fn reload(&self, session: &DbSession) {
        if let Err(failure) = self.try_reload(session).await {
            let error = failure.into_error();
            tracing::warn!(%error, "could not count entries and pending charges; the metrics are old");
        }
    }

    async fn try_reload(&self, session: &DbSession) -> Result<(), Failure> {
        let rows = session.query_with_timeout(Sql::CountAll, &[]).await?;
        if let Some(row) = rows.first() {
            self.entries.store(column::<i64>(row, 0)?.max(0) as u64, Relaxed);
            self.pending.store(column(row, 1)?, Relaxed);
        }
        Ok(())
    }

    /// Adds a committed batch. A batch without entries is no commit and counts nothing.
    pub(super) fn add(&self, batch: CommittedBatch) {
        if batch.entries == 0 {
            assert_eq!(batch.pending_change, 0, "only an entry changes the number of pending charges");
            return;
        }
        self.entries.fetch_add(batch.entries, Relaxed);
        self.bytes.fetch_add(batch.bytes, Relaxed);
        self.commits.fetch_add(1, Relaxed);
        self.pending.fetch_add(batch.pending_change, Relaxed);
        if let Some((added, workspace, last_entry_at)) = &batch.decided_ahead {
            let before = self.decided_ahead.fetch_add(*added, Relaxed);
            warn_of_account_ahead(before, *added, workspace, *last_entry_at);
        }
    }

    /// All counters at this moment; `queued` is the number of requests waiting in the lanes.
    pub(super) fn stats(&self, queued: u64) -> EngineStats {
        EngineStats {
            entries: self.entries.load(Relaxed),
            journal_bytes: self.bytes.load(Relaxed),
            commits: self.commits.load(Relaxed),
            commands: self.commands.load(Relaxed),
            queued,
            accounts_in_memory: self.accounts.load(Relaxed).max(0) as u64,
            pending_charges: self.pending.load(Relaxed).max(0) as u64,
            // A commit updates the derived tables too, so a restart replays nothing.
            entries_to_replay: 0,
            // Those of the repairs are added by the engine.
            accounts_refused: 0,
            accounts_rebuilt: 0,
            writable: self.writable.load(Relaxed),
            clock_deviation_millis: 0,
            entries_decided_ahead: self.decided_ahead.load(Relaxed),
        }
    }
}
