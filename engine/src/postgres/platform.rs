//! The platform as one server knows it: its prices, settings, keys and epoch, up to some entry of
//! the platform's journal.
//!
//! Every decision is guarded by that entry's number. A server that does not know new prices yet
//! therefore cannot decide by old ones. Its batch fails, it reads the new entries, and decides
//! again.

use std::sync::{Arc, PoisonError, RwLock};

use tollkeeper_ledger::{Entry, Platform, WorkspaceId};

use super::database::decode::decode_entry;
use super::database::failure::Failure;
use super::database::session::{DbSession, column};
use super::database::sql::Sql;
use crate::Error;

/// The platform after the first `n` entries of its journal.
#[derive(Clone, Debug, Default)]
pub(super) struct PlatformSnapshot {
    /// The number of the last entry included; 0 before the first.
    pub n: u64,
    pub platform: Arc<Platform>,
}

impl PlatformSnapshot {
    /// Applies an entry of the platform's journal. If another server was faster, the entry may not
    /// follow the snapshot; the guard then rejects the batch.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), Error> {
        self.n = entry.n;
        let applied = Arc::make_mut(&mut self.platform).apply(entry);
        applied.map_err(|violation| Error::damaged(format!("the platform's journal: {violation}")))
    }
}

/// The newest snapshot that a server has read or written, shared by its lanes and readers.
#[derive(Debug, Default)]
pub(super) struct PlatformCell(RwLock<PlatformSnapshot>);

impl PlatformCell {
    pub(super) fn snapshot(&self) -> PlatformSnapshot {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the shared snapshot, unless `snapshot` is not newer.
    pub(super) fn publish(&self, snapshot: PlatformSnapshot) {
        let mut shared = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if shared.n < snapshot.n {
            *shared = snapshot;
        }
    }

    /// Reads the entries that other servers have added to the platform's journal.
    pub(super) async fn refresh(&self, session: &DbSession) -> Result<(), Failure> {
        let mut snapshot = self.snapshot();
        let platform = WorkspaceId::platform();
        let rows = session
            .query_with_timeout(Sql::PlatformEntries, &[&platform.as_str(), &(snapshot.n as i64)])
            .await?;
        for row in &rows {
            let entry = decode_entry(column(row, 0)?)?;
            if entry.n != snapshot.n + 1 {
                return Err(Error::damaged("the platform's journal has a gap").into());
            }
            snapshot.apply(&entry)?;
        }
        self.publish(snapshot);
        Ok(())
    }
}
