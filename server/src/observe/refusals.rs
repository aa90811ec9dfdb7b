//! How often charges were refused, and when that is to be noted in the journal.
//!
//! A refusal writes nothing. So that the admins learn of it, the server sends a command after it,
//! and the ledger decides whether it writes an entry: it does once a cooldown, or once a period of
//! a limit. A flood of refusals must not become a flood of commands. So a workspace, or a limit,
//! sends at most one command in [`ASK_AGAIN_MILLIS`], and the refusals between are counted here.
//! The count goes with the next command, so the next entry carries it.
//!
//! The memory is bounded and is lost with the server. Each server counts its own refusals.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tollkeeper_ledger::{Period, Subject, Timestamp, WorkspaceId};

/// The least time between two commands about the same.
const ASK_AGAIN_MILLIS: u64 = 60_000;

/// The most things that one half of the memory holds.
const HALF: usize = 5_000;

/// Why charges were refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// The workspace held too little.
    Credit,
    /// A spending limit would have been passed.
    Limit(Subject, Period),
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The time of the last command.
    asked_at: Timestamp,
    /// The refusals that no entry carries yet.
    count: u64,
}

type Seens = HashMap<(WorkspaceId, Cause), Seen>;

/// What was refused lately. If the younger half is full, the older one is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    younger: Seens,
    older: Seens,
}

impl Refusals {
    /// Counts some refusals. Returns how many an entry is to carry, if a command is due now.
    pub(crate) fn count(
        &self,
        workspace: &WorkspaceId,
        cause: Cause,
        refused: u64,
        now: Timestamp,
    ) -> Option<u64> {
        let mut halves = self.lock();
        let about = (workspace.clone(), cause);
        let seen = halves.take(&about);
        let count = seen.map_or(0, |seen| seen.count).saturating_add(refused);
        let is_early = |seen: Seen| now.millis().abs_diff(seen.asked_at.millis()) < ASK_AGAIN_MILLIS;
        let asked_at = seen.filter(|seen| is_early(*seen)).map(|seen| seen.asked_at);
        halves.put(about, Seen { asked_at: asked_at.unwrap_or(now), count });
        asked_at.is_none().then_some(count)
    }

    /// Takes off the refusals that an entry carries now.
    pub(crate) fn noted(&self, workspace: &WorkspaceId, cause: Cause, carried: u64) {
        let mut halves = self.lock();
        let about = (workspace.clone(), cause);
        if let Some(seen) = halves.take(&about) {
            halves.put(about, Seen { count: seen.count.saturating_sub(carried), ..seen });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Halves> {
        // Counts are never half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Halves {
    fn take(&mut self, about: &(WorkspaceId, Cause)) -> Option<Seen> {
        self.younger.remove(about).or_else(|| self.older.remove(about))
    }

    fn put(&mut self, about: (WorkspaceId, Cause), seen: Seen) {
        if self.younger.len() >= HALF {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(about, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> WorkspaceId {
        WorkspaceId::new(name).expect("a name")
    }

    #[test]
    fn a_flood_of_refusals_asks_once_a_minute_and_counts_the_others() {
        let refusals = Refusals::default();
        let acme = named("acme");
        let at = |millis: i64| Timestamp::from_millis(1_000_000 + millis);
        assert_eq!(refusals.count(&acme, Cause::Credit, 1, at(0)), Some(1));
        refusals.noted(&acme, Cause::Credit, 1);
        for millis in 0..10_000_i64 {
            assert_eq!(refusals.count(&acme, Cause::Credit, 1, at(millis)), None);
        }
        assert_eq!(refusals.count(&acme, Cause::Credit, 1, at(60_000)), Some(10_001));
        // The ledger wrote nothing, so the count stays.
        assert_eq!(refusals.count(&acme, Cause::Credit, 2, at(120_000)), Some(10_003));
        refusals.noted(&acme, Cause::Credit, 10_003);
        assert_eq!(refusals.count(&acme, Cause::Credit, 1, at(180_000)), Some(1));
    }

    #[test]
    fn workspaces_and_limits_are_counted_apart() {
        let refusals = Refusals::default();
        let now = Timestamp::from_millis(5);
        let limit = |period| Cause::Limit(Subject::Workspace, period);
        for cause in [Cause::Credit, limit(Period::Day), limit(Period::Month)] {
            for workspace in ["acme", "other"] {
                assert_eq!(refusals.count(&named(workspace), cause.clone(), 1, now), Some(1));
                assert_eq!(refusals.count(&named(workspace), cause.clone(), 1, now), None);
            }
        }
    }

    #[test]
    fn the_memory_is_bounded() {
        let refusals = Refusals::default();
        let now = Timestamp::from_millis(5);
        for n in 0..3 * HALF {
            refusals.count(&named(&format!("w{n}")), Cause::Credit, 1, now);
            let halves = refusals.lock();
            assert!(halves.younger.len() + halves.older.len() <= 2 * HALF);
        }
        assert_eq!(refusals.count(&named("w0"), Cause::Credit, 1, now), Some(1), "it was forgotten");
        let newest = named(&format!("w{}", 3 * HALF - 1));
        assert_eq!(refusals.count(&newest, Cause::Credit, 1, now), None);
    }
}
