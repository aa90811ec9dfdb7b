//! Workspaces that have to wait before their limits are counted anew.
//!
//! A recount reads each row of usage of a month, while the commands of other workspaces wait. So
//! after one that read many rows, or took too long, its workspace waits for the next.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tollkeeper_ledger::WorkspaceId;

use crate::rollups;

/// Workspaces that have to wait before their limits are counted anew, each until when.
#[derive(Debug, Default)]
pub(crate) struct RecountPauses(HashMap<WorkspaceId, Instant>);

impl RecountPauses {
    /// True if the workspace has to wait.
    pub(crate) fn contains(&self, workspace: &WorkspaceId) -> bool {
        self.0.get(workspace).is_some_and(|until| Instant::now() < *until)
    }

    /// Notes how many rows a recount has read.
    pub(super) fn note_rows(&mut self, workspace: WorkspaceId, rows: usize) {
        if let Some(seconds) = rollups::recount_pause_seconds(rows) {
            self.pause(workspace, seconds);
        }
    }

    pub(super) fn pause(&mut self, workspace: WorkspaceId, seconds: i64) {
        let now = Instant::now();
        self.0.retain(|_, until| now < *until);
        self.0.insert(workspace, now + Duration::from_secs(seconds.unsigned_abs()));
    }
}
