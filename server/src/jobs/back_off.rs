//! What could not be done, and when it is tried again.
//!
//! An item that fails stops no other. It is tried again after a pause that doubles each time, while
//! the others go on. The pauses are in memory only: after a restart every item is tried at once.

use std::collections::BTreeMap;

use tollkeeper_ledger::Timestamp;

/// The pause after the first failure of an item, and the longest.
const FIRST_PAUSE_SECONDS: i64 = 1;
const LONGEST_PAUSE_SECONDS: i64 = 300;

/// The most items whose failures are remembered. Beyond it an item is tried at every poll.
const REMEMBERED_MAX: usize = 10_000;

/// The items that could not be done.
#[derive(Debug)]
pub(crate) struct BackOff<T> {
    failing: BTreeMap<T, Failing>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    pause_seconds: i64,
    /// The time from which it is tried again.
    again_at: Timestamp,
}

impl<T> Default for BackOff<T> {
    fn default() -> BackOff<T> {
        BackOff { failing: BTreeMap::new() }
    }
}

impl<T: Ord> BackOff<T> {
    /// The number of items that fail.
    pub(crate) fn len(&self) -> usize {
        self.failing.len()
    }

    /// Forgets the items that are due no more: they were not tried again for long.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        let forgotten = |failing: &Failing| failing.again_at.plus_seconds(2 * LONGEST_PAUSE_SECONDS) < now;
        self.failing.retain(|_, failing| !forgotten(failing));
    }

    /// True while an item is not tried again.
    pub(crate) fn waits(&self, item: &T, now: Timestamp) -> bool {
        self.failing.get(item).is_some_and(|failing| failing.again_at > now)
    }

    /// Notes that an item was done.
    pub(crate) fn note_done(&mut self, item: &T) {
        self.failing.remove(item);
    }

    /// Notes that an item failed; returns true if it did not fail before.
    pub(crate) fn note_failure(&mut self, item: T, now: Timestamp) -> bool {
        let before = self.failing.get(&item).map(|failing| failing.pause_seconds);
        let pause_seconds =
            before.map_or(FIRST_PAUSE_SECONDS, |pause_seconds| LONGEST_PAUSE_SECONDS.min(2 * pause_seconds));
        if before.is_some() || self.failing.len() < REMEMBERED_MAX {
            let again_at = now.plus_seconds(pause_seconds);
            self.failing.insert(item, Failing { pause_seconds, again_at });
        }
        before.is_none()
    }
}
