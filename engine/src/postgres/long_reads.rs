//! Turns of long reads: lists, usage and balances of the past.
//!
//! A list with a filter reads thousands of entries. A workspace runs few of them at a time, and few
//! more may wait, so that its lists do not keep those of others waiting. A caller that goes away
//! gives its place back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollkeeper_ledger::WorkspaceId;

use crate::Error;

/// How many long reads of a workspace run at a time.
const RUNNING_MAX: usize = 2;

/// How many of them may run or wait. Further ones are refused.
const OPEN_MAX: usize = 64;

/// Above this number of workspaces, those without a long read are forgotten.
const WORKSPACES_KEPT: usize = 1_024;

/// The long reads of one workspace.
#[derive(Clone, Debug)]
struct Line {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// The right to run a long read, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

/// The long reads of all workspaces.
#[derive(Debug, Default)]
pub(crate) struct LongReads(Mutex<HashMap<WorkspaceId, Line>>);

impl LongReads {
    fn line(&self, workspace: &WorkspaceId) -> Line {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() > WORKSPACES_KEPT {
            // Each place that is taken holds its semaphore.
            lines.retain(|_, line| Arc::strong_count(&line.places) > 1);
        }
        let line = lines.entry(workspace.clone()).or_insert_with(|| Line {
            places: Arc::new(Semaphore::new(OPEN_MAX)),
            turns: Arc::new(Semaphore::new(RUNNING_MAX)),
        });
        line.clone()
    }

    /// Waits for the turn of a long read.
    ///
    /// # Errors
    /// [`Error::is_overloaded`] if too many of the workspace wait.
    pub(crate) async fn turn(&self, workspace: &WorkspaceId) -> Result<Turn, Error> {
        let Line { places, turns } = self.line(workspace);
        let place = places.try_acquire_owned().map_err(|_| Error::overloaded())?;
        // No semaphore is ever closed.
        let turn = turns.acquire_owned().await.map_err(|_| Error::engine_closed())?;
        Ok(Turn { _place: place, _turn: turn })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn workspace(name: &str) -> WorkspaceId {
        WorkspaceId::new(name).expect("the id is valid")
    }

    #[test]
    fn a_workspace_with_many_long_reads_delays_and_refuses_its_own_only() {
        let reads = LongReads::default();
        let (loud, quiet) = (workspace("loud"), workspace("quiet"));
        let now = |workspace: &WorkspaceId| reads.turn(workspace).now_or_never();
        let running: Vec<_> = (0..RUNNING_MAX).map(|_| now(&loud).expect("it runs at once")).collect();
        let mut waiting: Vec<_> = (RUNNING_MAX..OPEN_MAX).map(|_| Box::pin(reads.turn(&loud))).collect();
        assert!(waiting.iter_mut().all(|read| read.as_mut().now_or_never().is_none()), "they wait");
        let refused = now(&loud).expect("it is answered at once");
        assert!(refused.expect_err("too many wait").is_overloaded());
        assert!(now(&quiet).expect("it runs at once").is_ok());
        // Callers that go away give their places back, and a read that ends its turn.
        drop(waiting);
        drop(running);
        assert!(now(&loud).expect("it runs at once").is_ok());
    }
}
