//! What could not be done, and when it is tried again; and what rests without a fault.
//!
//! An item that fails stops no other. It is tried again after a pause that doubles each time, while
//! the others go on. An item that *rests* was done and is still due: it is done again after its
//! rest, and counts as no failure. Both are in memory only: after a restart every item is tried at
//! once.

use std::collections::BTreeMap;

use tollkeeper_ledger::Timestamp;

/// The pause after the first failure of an item, and the longest.
const FIRST_PAUSE_SECONDS: i64 = 1;
const LONGEST_PAUSE_SECONDS: i64 = 300;

/// The most items whose failures are remembered, and the most that rest. Beyond it an item is tried
/// at every poll.
const REMEMBERED_MAX: usize = 10_000;

/// The items that could not be done, and those that rest.
#[derive(Debug)]
pub(crate) struct BackOff<T> {
    failing: BTreeMap<T, Failing>,
    /// The end of each rest.
    resting: BTreeMap<T, Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    pause_seconds: i64,
    /// The time from which it is tried again.
    again_at: Timestamp,
}

impl<T> Default for BackOff<T> {
    fn default() -> BackOff<T> {
        BackOff { failing: BTreeMap::new(), resting: BTreeMap::new() }
    }
}

impl<T: Ord> BackOff<T> {
    /// The number of items that fail.
    pub(crate) fn len(&self) -> usize {
        self.failing.len()
    }

    /// How many more items may rest.
    pub(crate) fn room_to_rest(&self) -> usize {
        REMEMBERED_MAX.saturating_sub(self.resting.len())
    }

    /// Forgets the items that are due no more, because they were not tried again for long, and the
    /// rests that are over.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        let forgotten = |failing: &Failing| failing.again_at.plus_seconds(2 * LONGEST_PAUSE_SECONDS) < now;
        self.failing.retain(|_, failing| !forgotten(failing));
        self.resting.retain(|_, until| *until > now);
    }

    /// True while an item is not tried again.
    pub(crate) fn waits(&self, item: &T, now: Timestamp) -> bool {
        self.waits_until(item, now).is_some()
    }

    /// The time from which an item is tried again; `None` if it does not wait.
    pub(crate) fn waits_until(&self, item: &T, now: Timestamp) -> Option<Timestamp> {
        let again_at = self.failing.get(item).map(|failing| failing.again_at);
        again_at.or_else(|| self.resting.get(item).copied()).filter(|again_at| *again_at > now)
    }

    /// Notes that an item was done.
    pub(crate) fn note_done(&mut self, item: &T) {
        self.failing.remove(item);
        self.resting.remove(item);
    }

    /// Notes that an item was done as far as it can be, and lets it rest until a time.
    pub(crate) fn rest(&mut self, item: T, until: Timestamp) {
        self.failing.remove(&item);
        if self.room_to_rest() > 0 || self.resting.contains_key(&item) {
            self.resting.insert(item, until);
        }
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

#[cfg(test)]
mod tests {
    use super::{BackOff, FIRST_PAUSE_SECONDS, REMEMBERED_MAX, Timestamp};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn an_item_that_rests_waits_and_does_not_fail() {
        let mut items = BackOff::default();
        assert!(items.note_failure("one", NOW));
        assert_eq!(items.len(), 1);
        items.rest("one", NOW.plus_seconds(60));
        assert_eq!((items.len(), items.waits_until(&"one", NOW)), (0, Some(NOW.plus_seconds(60))));
        items.forget(NOW.plus_seconds(59));
        assert!(items.waits(&"one", NOW.plus_seconds(59)) && !items.waits(&"one", NOW.plus_seconds(60)));
        items.forget(NOW.plus_seconds(60));
        assert_eq!(items.room_to_rest(), REMEMBERED_MAX);
        assert!(items.note_failure("one", NOW), "it did not fail since it rested");
        assert_eq!(items.waits_until(&"one", NOW), Some(NOW.plus_seconds(FIRST_PAUSE_SECONDS)));
    }

    #[test]
    fn few_items_rest() {
        let mut items = BackOff::default();
        (0..=REMEMBERED_MAX).for_each(|item| items.rest(item, NOW));
        assert_eq!((items.resting.len(), items.room_to_rest()), (REMEMBERED_MAX, 0));
        items.rest(0, NOW.plus_seconds(1));
        assert!(items.waits(&0, NOW), "one that rests may rest longer");
        items.note_done(&1);
        assert_eq!(items.room_to_rest(), 1);
    }
}
