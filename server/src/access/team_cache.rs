//! Teams as they were seen last, so that a key is looked up without asking the engine with every request.
//!
//! Another server on the same database may have changed a team since. What was seen last is therefore only good for
//! requests whose decision confirms who asks ([`Route::confirmed`](crate::api::Route)): a key that was revoked meanwhile is
//! refused there. Everybody else asks for the team as it is.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;
use tollkeeper_engine::{Engine, Error, Reads};
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

    /// Forgets what was seen: it has changed.
    pub fn forget(&self, workspace: &WorkspaceId) {
        self.seen.write().unwrap_or_else(PoisonError::into_inner).remove(workspace);
    }

    /// The team as it is, for a secret that `opens` something of it, or nothing. One that opened nothing of the team as it was
    /// seen last waits for its turn.
    ///
    /// # Errors
    /// When the engine cannot read.
    pub async fn look_for(
        &self,
        engine: &dyn Engine,
        workspace: &WorkspaceId,
        opens: impl Fn(&Team) -> bool,
    ) -> Result<Option<Arc<Team>>, Error> {
        let known = self.seen(workspace).is_some_and(|team| opens(&team));
        // Nobody closes the semaphore; if somebody did, everybody would pass.
        let _turn = if known { None } else { self.strangers.acquire().await.ok() };
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
        match &team {
            Some(team) => self.remember(workspace, team),
            None => self.forget(workspace),
        }
        Ok(team)
    }

    /// Keeps in mind what was seen.
    pub fn remember(&self, workspace: &WorkspaceId, team: &Arc<Team>) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED_MAX && !seen.contains_key(workspace) {
            seen.clear();
        }
        seen.insert(workspace.clone(), Arc::clone(team));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tollkeeper_engine::{Embedded, Options};
    use tollkeeper_ledger::{Actor, Command, Submission, Timestamp, WorkspaceChanges};

    use super::*;

    #[tokio::test]
    async fn a_stranger_waits_while_as_many_others_are_looked_up_and_whoever_is_known_does_not() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let engine = Embedded::open(directory.path(), Options::default()).expect("an empty directory opens");
        let acme = WorkspaceId::new("acme").expect("a name");
        let command = Command::CreateWorkspace(WorkspaceChanges::default());
        let opened = Submission { workspace: acme.clone(), key: None, actor: Actor::Platform, command };
        assert!(engine.run(opened, Timestamp::ZERO).await.is_ok_and(|ran| ran.is_ok()));
        let teams = Teams::default();
        let look_for = |known: bool| teams.look_for(&engine, &acme, move |_| known);
        assert!(look_for(false).await.is_ok_and(|team| team.is_some()), "there is a turn for it");
        let turns = teams.strangers.acquire_many(STRANGERS_MAX as u32).await.expect("nobody closes it");
        let mut stranger = Box::pin(look_for(false));
        assert!((&mut stranger).now_or_never().is_none());
        assert!(look_for(true).await.is_ok_and(|team| team.is_some()));
        // Whoever had asked the engine before would have been answered before.
        assert!((&mut stranger).now_or_never().is_none());
        drop(turns);
        assert!(stranger.await.is_ok_and(|team| team.is_some()));
    }
}
