//! The teams that were read last, so that a team that has not changed is neither sent nor decoded
//! again. Nearly every read of a tenant asks for the team, and a large team takes milliseconds.
//!
//! A team is used only if the database confirms its version in the same read. The version is the
//! transaction that wrote the row, with the checksum of the row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tollkeeper_ledger::{Team, WorkspaceId};

/// The most teams that are kept. One more removes all; they are read again when needed.
const SEEN_MAX: usize = 4_096;

/// A team as it was read last, and its version.
#[derive(Clone, Debug)]
pub(crate) struct SeenTeam {
    pub version: Box<str>,
    pub team: Arc<Team>,
}

/// The teams that this server has read.
#[derive(Debug, Default)]
pub(crate) struct TeamsSeen(Mutex<HashMap<WorkspaceId, SeenTeam>>);

impl TeamsSeen {
    fn teams(&self) -> MutexGuard<'_, HashMap<WorkspaceId, SeenTeam>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, workspace: &WorkspaceId) -> Option<SeenTeam> {
        self.teams().get(workspace).cloned()
    }

    pub(crate) fn put(&self, workspace: &WorkspaceId, seen: SeenTeam) {
        let mut teams = self.teams();
        if teams.len() >= SEEN_MAX {
            teams.clear();
        }
        teams.insert(workspace.clone(), seen);
    }
}
