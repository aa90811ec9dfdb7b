//! What a server counts of itself, for metrics and readiness. What all servers together have written is counted in the
//! database now and then; in between each adds what it does itself.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use super::batch::write::Rows;
use super::database::failure::Failure;
use super::database::session::{Session, column};
use super::database::sql::Sql;
use crate::EngineStats;

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub commands: AtomicU64,
    pub accounts: AtomicI64,
    pub writable: AtomicBool,
    entries: AtomicU64,
    pending: AtomicI64,
    commits: AtomicU64,
    bytes: AtomicU64,
}

impl Counted {
    /// Counts in the database.
    pub(super) async fn count(&self, session: &Session) -> Result<(), Failure> {
        let rows = session.ask(Sql::Counts, &[]).await?;
        if let Some(row) = rows.first() {
            self.entries.store(column::<i64>(row, 0)? as u64, Relaxed);
            self.pending.store(column(row, 1)?, Relaxed);
        }
        Ok(())
    }

    /// Adds what was just committed.
    pub(super) fn committed(&self, rows: &Rows) {
        if rows.entries.is_empty() {
            return;
        }
        self.entries.fetch_add(rows.entries.len() as u64, Relaxed);
        self.bytes.fetch_add(rows.bytes.len() as u64, Relaxed);
        self.commits.fetch_add(1, Relaxed);
        self.pending.fetch_add(rows.pending_change, Relaxed);
    }

    /// All of it, with how many requests wait.
    pub(super) fn stats(&self, queued: u64) -> EngineStats {
        EngineStats {
            entries: self.entries.load(Relaxed),
            journal_bytes: self.bytes.load(Relaxed),
            commits: self.commits.load(Relaxed),
            commands: self.commands.load(Relaxed),
            queued,
            accounts_in_memory: self.accounts.load(Relaxed).max(0) as u64,
            pending_charges: self.pending.load(Relaxed).max(0) as u64,
            // What is committed is in the tables; there is nothing to replay.
            tail_entries: 0,
            writable: self.writable.load(Relaxed),
        }
    }
}
