//! Teams as they were seen last, so that a key is looked up without asking the engine with every request.
//!
//! Another server on the same database may have changed a team since. What was seen last is therefore only good for
//! requests whose decision confirms who asks ([`Route::confirmed`](crate::api::Route)): a key that was revoked meanwhile is
//! refused there. Everybody else asks for the team as it is.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;
use tollkeeper_engine::{Engine, Error};
use tollkeeper_ledger::{Team, WorkspaceId};

/// Teams that are remembered; when there are more, all are forgotten and asked for again.
const REMEMBERED_MAX: usize = 65_536;

/// So many look-ups for secrets that were not seen before are under way at once; the rest wait for their turn. Whoever makes
/// secrets up takes no more than that of the engine's queue from those who have one.
const STRANGERS_MAX: usize = 64;

/// What was seen last.
#[derive(Debug)]
pub struct Teams {
    seen: RwLock<HashMap<WorkspaceId, Arc<Team>>>,
    strangers: Semaphore,
}

impl Default for Teams {
    fn default() -> Teams {
        Teams { seen: RwLock::default(), strangers: Semaphore::new(STRANGERS_MAX) }
    }
}

impl Teams {
    /// The team as it was seen last.
    pub fn seen(&self, workspace: &WorkspaceId) -> Option<Arc<Team>> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).get(workspace).cloned()
    }

    /// The team as it is, for a secret of which nobody knows yet whether it opens anything: waits for a turn.
    ///
    /// # Errors
    /// When the engine cannot read.
    pub async fn look_for_stranger(
        &self,
        engine: &dyn Engine,
        workspace: &WorkspaceId,
    ) -> Result<Option<Arc<Team>>, Error> {
        // Nobody closes the semaphore; if somebody did, everybody would pass.
        let _turn = self.strangers.acquire().await;
        self.look(engine, workspace).await
    }

    /// The team as it is; `None` if there is no such workspace.
    ///
    /// # Errors
    /// When the engine cannot read.
    pub async fn look(
        &self,
        engine: &dyn Engine,
        workspace: &WorkspaceId,
    ) -> Result<Option<Arc<Team>>, Error> {
        let team = engine.team(workspace).await?;
        if let Some(team) = &team {
            let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= REMEMBERED_MAX && !seen.contains_key(workspace) {
                seen.clear();
            }
            seen.insert(workspace.clone(), Arc::clone(team));
        }
        Ok(team)
    }
}
