//! Deadlines in order: which charges are to be timed out next, and which workspaces have work of
//! payments to be done. There is one list for each.
//!
//! It is also where the deadline of a pending charge is looked up. A heartbeat changes nothing
//! else, so its entry is not in the key index. A charge costs the same after any number of them.
//!
//! Rebuilt at the start from the state file and the entries after it. Whether a charge is timed
//! out, and what is to be done, is the ledger's decision; this is only the list of candidates.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use hashbrown::HashMap;
use tollkeeper_ledger::Timestamp;

/// The deadlines, keyed by the sequence number of the entry that opened the charge, or by the index
/// of the account whose payments need attention.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// Deadline and key, earliest first.
    by_time: BTreeSet<(Timestamp, u64)>,
    by_key: HashMap<u64, Timestamp>,
}

impl Deadlines {
    /// Sets or moves a deadline; `None` removes it, because the charge has left `pending` or the
    /// payments wait for no time.
    pub(crate) fn set(&mut self, key: u64, deadline: Option<Timestamp>) {
        let before = match deadline {
            Some(deadline) => self.by_key.insert(key, deadline),
            None => self.by_key.remove(&key),
        };
        if let Some(before) = before {
            self.by_time.remove(&(before, key));
        }
        if let Some(deadline) = deadline {
            self.by_time.insert((deadline, key));
        }
        assert_eq!(self.by_time.len(), self.by_key.len(), "a key has one deadline");
    }

    /// The deadline under a key; `None` if there is none.
    pub(crate) fn get(&self, key: u64) -> Option<Timestamp> {
        self.by_key.get(&key).copied()
    }

    /// The keys whose deadline has passed at `now`, the longest overdue first.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = u64> {
        self.by_time.iter().take_while(move |(deadline, _)| *deadline <= now).map(|(_, key)| *key)
    }

    /// The deadlines that have passed at `now` and come behind a place in the list, in order.
    pub(crate) fn due_behind(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, u64)>,
    ) -> impl Iterator<Item = (Timestamp, u64)> {
        let behind = self.by_time.range((after.map_or(Unbounded, Excluded), Unbounded));
        behind.copied().take_while(move |(deadline, _)| *deadline <= now)
    }

    /// The number of deadlines.
    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_replaces_the_old_one_and_none_removes_it() {
        let at = Timestamp::from_millis;
        let mut deadlines = Deadlines::default();
        deadlines.set(1, Some(at(10)));
        deadlines.set(2, Some(at(20)));
        deadlines.set(1, Some(at(30)));
        assert_eq!(deadlines.due(at(29)).collect::<Vec<_>>(), [2]);
        assert_eq!(deadlines.due(at(30)).collect::<Vec<_>>(), [2, 1]);
        let behind = |after| deadlines.due_behind(at(30), after).collect::<Vec<_>>();
        assert_eq!(behind(None), [(at(20), 2), (at(30), 1)]);
        assert_eq!(behind(Some((at(20), 2))), [(at(30), 1)]);
        assert_eq!(behind(Some((at(20), 3))), [(at(30), 1)], "the place is there no more");
        assert_eq!((behind(Some((at(30), 1))), deadlines.due_behind(at(19), None).next()), (vec![], None));
        deadlines.set(2, None);
        deadlines.set(3, None);
        assert_eq!((deadlines.due(at(30)).collect::<Vec<_>>(), deadlines.len()), (vec![1], 1));
    }
}
