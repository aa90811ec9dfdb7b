//! The damaged accounts that must be rebuilt, and those for which that failed.
//!
//! A lane or a query that meets damage asks for a repair and does not wait for it. `repair` carries
//! it out. A workspace whose repair has failed is refused, and tried again after a minute. Until
//! then no lane reads its account: a lane would meet the same damage with each command.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tollkeeper_ledger::WorkspaceId;

use crate::Error;

/// How long a workspace is refused after a repair that failed.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// The workspaces whose accounts must be rebuilt, and those for which that failed.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Each once; the first may be under way.
    wanted: VecDeque<WorkspaceId>,
    /// When each failed, and the error that refuses its workspace.
    failed: HashMap<WorkspaceId, (Instant, Error)>,
    /// How many accounts were rebuilt since the start.
    rebuilt: u64,
}

impl State {
    /// The error that refuses a workspace. A failure that is too old is forgotten.
    fn refusal(&mut self, workspace: &WorkspaceId) -> Option<Error> {
        let (at, error) = self.failed.get(workspace)?;
        if at.elapsed() < REFUSED_FOR {
            return Some(error.clone());
        }
        self.failed.remove(workspace);
        None
    }
}

impl Repairs {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the repair of a workspace in which `damage` was found.
    ///
    /// # Errors
    /// [`Error::is_account_refused`] if a repair has failed a short time ago: why.
    pub(super) fn ask(&self, workspace: &WorkspaceId, damage: &Error) -> Result<(), Error> {
        let mut state = self.state();
        if let Some(error) = state.refusal(workspace) {
            return Err(error);
        }
        if !state.wanted.contains(workspace) {
            tracing::error!(%workspace, error = %damage, "an account is damaged; it is rebuilt from its journal");
            state.wanted.push_back(workspace.clone());
            self.asked.notify_one();
        }
        Ok(())
    }

    /// Those of some workspaces that are not served, each with the error that refuses it, or `None`
    /// while it waits for its repair. One whose refusal is over is not among them.
    pub(super) fn not_served<'a>(
        &self,
        workspaces: impl Iterator<Item = &'a WorkspaceId>,
    ) -> Vec<(WorkspaceId, Option<Error>)> {
        let mut state = self.state();
        if state.wanted.is_empty() && state.failed.is_empty() {
            return Vec::new();
        }
        let workspaces: BTreeSet<&WorkspaceId> = workspaces.collect();
        let waiting = state.wanted.iter().filter(|wanted| workspaces.contains(wanted));
        let mut not_served: Vec<_> = waiting.map(|wanted| (wanted.clone(), None)).collect();
        for workspace in workspaces {
            if let Some(error) = state.refusal(workspace) {
                not_served.push((workspace.clone(), Some(error)));
            }
        }
        not_served
    }

    /// The error for a command or a query of a workspace whose account waits for its repair.
    pub(super) fn being_rebuilt() -> Error {
        Error::account_refused("the account is being rebuilt from its journal")
    }

    /// How many accounts are refused or wait for their repair, and how many were rebuilt.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        ((state.wanted.len() + state.failed.len()) as u64, state.rebuilt)
    }

    /// The workspace whose turn it is; waits until there is one.
    pub(super) async fn next(&self) -> WorkspaceId {
        loop {
            if let Some(workspace) = self.first() {
                return workspace;
            }
            self.asked.notified().await;
        }
    }

    fn first(&self) -> Option<WorkspaceId> {
        self.state().wanted.front().cloned()
    }

    /// Takes note of what became of a repair.
    pub(super) fn finish(&self, workspace: &WorkspaceId, repaired: Result<(), Error>) {
        let mut state = self.state();
        state.wanted.retain(|wanted| wanted != workspace);
        match repaired {
            Ok(()) => {
                state.rebuilt += 1;
                tracing::warn!(%workspace, "the account is rebuilt from its journal");
            }
            Err(error) => {
                tracing::error!(%workspace, %error, "the account cannot be rebuilt; its workspace is refused");
                // If the database is away, the next command asks again.
                if !error.is_unavailable() {
                    state.failed.insert(workspace.clone(), (Instant::now(), refusal(&error)));
                }
            }
        }
    }
}

/// The error that refuses an account in which damage was found, or that cannot be rebuilt.
pub(super) fn refusal(error: &Error) -> Error {
    let refused = Error::account_refused(format!("the account is not used: {error}"));
    match error.hint() {
        Some(hint) => refused.with_hint(hint),
        None => refused,
    }
}
