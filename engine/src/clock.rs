//! Which clock an engine trusts, and the accounts that are ahead of it.

use tollkeeper_ledger::{Timestamp, WorkspaceId};

/// The clock by which commands are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedClock {
    /// The caller's own. Nothing here can tell whether it is right.
    Caller {
        /// The time by which the newest entry was decided when the store was opened; `None` in a
        /// new store.
        last_entry_at: Option<Timestamp>,
    },
    /// The database's. The engine compares the caller's clock with it.
    Database,
}

/// Logs that `added` entries were decided although their workspace's last entry is ahead of the
/// clock. `before` is the number of such entries since the start: the log grows with its logarithm.
pub(crate) fn warn_of_account_ahead(
    before: u64,
    added: u64,
    workspace: &WorkspaceId,
    last_entry_at: Timestamp,
) {
    let entries = before + added;
    if before.checked_ilog2() != entries.checked_ilog2() {
        tracing::warn!(
            %workspace,
            last_entry_at_millis = last_entry_at.millis(),
            entries,
            "the last entry of a workspace is ahead of the clock; decisions go by the clock"
        );
    }
}
