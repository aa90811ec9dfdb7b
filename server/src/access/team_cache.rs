//! A cache of teams, so that not every request of an API key reads the team from the engine.
//!
//! Another server on the same database may have changed a team since it was cached. A cached team
//! is therefore used only if the ledger checks the key again when it decides; see
//! [`Admission::rechecked_at_decision`](super::Admission). All other requests fetch the team.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tollkeeper_engine::{Engine, Error, Reads};
use tollkeeper_ledger::{Team, WorkspaceId};

/// The most teams in the cache. One more empties it, and the teams are fetched again when needed.
const CACHED_MAX: usize = 65_536;

/// At most this many lookups of unknown secrets run at a time, so that guessing cannot fill the
/// engine's queue. Further ones wait.
const COLD_LOOKUPS_MAX: usize = 64;

/// An unknown secret is answered after this time. Shorter times would tell whether the workspace in
/// the secret exists: where it does, there is a team to read.
const UNKNOWN_TIME: Duration = Duration::from_millis(10);

/// The teams that were fetched last.
#[derive(Debug)]
pub struct TeamCache {
    cached: RwLock<HashMap<WorkspaceId, Arc<Team>>>,
    cold_lookups: Semaphore,
}

impl Default for TeamCache {
    fn default() -> TeamCache {
        TeamCache { cached: RwLock::default(), cold_lookups: Semaphore::new(COLD_LOOKUPS_MAX) }
    }
}

impl TeamCache {
    /// The team as it was when it was fetched last; `None` if it is not in the cache.
    pub fn cached(&self, workspace: &WorkspaceId) -> Option<Arc<Team>> {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).get(workspace).cloned()
    }

    /// Removes a team from the cache.
    pub fn discard(&self, workspace: &WorkspaceId) {
        self.cached.write().unwrap_or_else(PoisonError::into_inner).remove(workspace);
    }

    /// Fetches the team for a secret. `is_known` says whether a team has that secret. If the cached
    /// team does not have it, this is a cold lookup and may have to wait. If the current team does
    /// not have it either, the answer takes [`UNKNOWN_TIME`], whether there is a team or not.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn fetch_for(
        &self,
        engine: &dyn Engine,
        workspace: &WorkspaceId,
        is_known: impl Fn(&Team) -> bool,
    ) -> Result<Option<Arc<Team>>, Error> {
        let is_warm = self.cached(workspace).is_some_and(|team| is_known(&team));
        // The semaphore is never closed. If it were, no lookup would wait.
        let permit = if is_warm { None } else { self.cold_lookups.acquire().await.ok() };
        let began = Instant::now();
        let team = self.fetch(engine, workspace).await?;
        drop(permit);
        if !team.as_ref().is_some_and(|team| is_known(team)) {
            tokio::time::sleep_until(began + UNKNOWN_TIME).await;
        }
        Ok(team)
    }

    /// Fetches the current team and caches it; `None` if there is no such workspace.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn fetch(
        &self,
        engine: &dyn Engine,
        workspace: &WorkspaceId,
    ) -> Result<Option<Arc<Team>>, Error> {
        let team = engine.team(workspace).await?;
        match &team {
            Some(team) => self.store(workspace, team),
            None => self.discard(workspace),
        }
        Ok(team)
    }

    /// Puts a team into the cache.
    pub fn store(&self, workspace: &WorkspaceId, team: &Arc<Team>) {
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= CACHED_MAX && !cached.contains_key(workspace) {
            cached.clear();
        }
        cached.insert(workspace.clone(), Arc::clone(team));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tollkeeper_engine::{Embedded, Options};
    use tollkeeper_ledger::{Actor, Command, Submission, Timestamp, WorkspaceChanges};

    use super::*;

    #[tokio::test]
    async fn a_cold_lookup_waits_for_a_permit_and_a_warm_one_does_not() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let engine = Embedded::open(directory.path(), Options::default()).expect("an empty directory opens");
        let acme = WorkspaceId::new("acme").expect("a name");
        let command = Command::CreateWorkspace(WorkspaceChanges::default());
        let opened = Submission { workspace: acme.clone(), key: None, actor: Actor::Platform, command };
        assert!(engine.run(opened, Timestamp::ZERO).await.is_ok_and(|ran| ran.is_ok()));
        let teams = TeamCache::default();
        let fetch_for = |known: bool| teams.fetch_for(&engine, &acme, move |_| known);
        let began = Instant::now();
        assert!(fetch_for(false).await.is_ok_and(|team| team.is_some()), "a permit is free");
        let nobody = WorkspaceId::new("nobody").expect("a name");
        assert!(teams.fetch_for(&engine, &nobody, |_| true).await.is_ok_and(|team| team.is_none()));
        assert!(began.elapsed() >= 2 * UNKNOWN_TIME, "neither answer says by its time that there is a team");
        let all = COLD_LOOKUPS_MAX as u32;
        let permits = teams.cold_lookups.acquire_many(all).await.expect("the semaphore is open");
        let mut cold = Box::pin(fetch_for(false));
        assert!((&mut cold).now_or_never().is_none());
        assert!(fetch_for(true).await.is_ok_and(|team| team.is_some()));
        // The engine answers in order: a cold lookup that had reached it would be answered by now.
        assert!((&mut cold).now_or_never().is_none());
        drop(permits);
        assert!(cold.await.is_ok_and(|team| team.is_some()));
    }
}
