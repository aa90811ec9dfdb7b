//! The deadlines of pending charges, in order: which charges are to be timed out next.
//!
//! It is also where the deadline of a pending charge is looked up. A heartbeat changes nothing
//! else, so its entry is not in the key index. A charge costs the same after any number of them.
//!
//! Rebuilt at the start from the state file and the entries after it. Whether a charge is timed out
//! is the ledger's decision; this is only the list of candidates.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use tollkeeper_ledger::Timestamp;

/// The deadlines, keyed by the sequence number of the entry that opened the charge.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// Deadline and key, earliest first.
    by_time: BTreeSet<(Timestamp, u64)>,
    by_charge: HashMap<u64, Timestamp>,
}

impl Deadlines {
    /// Sets or moves the deadline of a charge; `None` removes it, because the charge has left
    /// `pending`.
    pub(crate) fn set(&mut self, opening_seq: u64, deadline: Option<Timestamp>) {
        let before = match deadline {
            Some(deadline) => self.by_charge.insert(opening_seq, deadline),
            None => self.by_charge.remove(&opening_seq),
        };
        if let Some(before) = before {
            self.by_time.remove(&(before, opening_seq));
        }
        if let Some(deadline) = deadline {
            self.by_time.insert((deadline, opening_seq));
        }
        assert_eq!(self.by_time.len(), self.by_charge.len(), "a pending charge has one deadline");
    }

    /// The deadline of a charge; `None` if it is not pending.
    pub(crate) fn get(&self, opening_seq: u64) -> Option<Timestamp> {
        self.by_charge.get(&opening_seq).copied()
    }

    /// The charges whose deadline has passed at `now`, the longest overdue first.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = u64> {
        self.by_time
            .iter()
            .take_while(move |(deadline, _)| *deadline <= now)
            .map(|(_, opening_seq)| *opening_seq)
    }

    /// The number of pending charges.
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
        deadlines.set(2, None);
        deadlines.set(3, None);
        assert_eq!((deadlines.due(at(30)).collect::<Vec<_>>(), deadlines.len()), (vec![1], 1));
    }
}
