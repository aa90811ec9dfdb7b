//! The deadlines of pending charges, in order: which charges are to be timed out next.
//!
//! Rebuilt at the start from the state file and the entries after it. Whether a charge is timed out
//! is the ledger's decision; this is only the list of candidates.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use tollkeeper_ledger::Timestamp;

/// The deadlines, keyed by the sequence number of the entry that opened the charge.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Deadline and key, earliest first.
    order: BTreeSet<(Timestamp, u64)>,
    deadlines: HashMap<u64, Timestamp>,
}

impl Timers {
    /// Sets or moves the deadline of a charge; `None` removes it, because the charge has left
    /// `pending`.
    pub(crate) fn set(&mut self, opened: u64, deadline: Option<Timestamp>) {
        let before = match deadline {
            Some(deadline) => self.deadlines.insert(opened, deadline),
            None => self.deadlines.remove(&opened),
        };
        if let Some(before) = before {
            self.order.remove(&(before, opened));
        }
        if let Some(deadline) = deadline {
            self.order.insert((deadline, opened));
        }
        assert_eq!(self.order.len(), self.deadlines.len(), "a pending charge has one deadline");
    }

    /// The charges whose deadline has passed at `now`, the longest overdue first.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = u64> {
        self.order.iter().take_while(move |(deadline, _)| *deadline <= now).map(|(_, opened)| *opened)
    }

    /// The number of pending charges.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_replaces_the_old_one_and_none_removes_it() {
        let at = Timestamp::from_millis;
        let mut timers = Timers::default();
        timers.set(1, Some(at(10)));
        timers.set(2, Some(at(20)));
        timers.set(1, Some(at(30)));
        assert_eq!(timers.due(at(29)).collect::<Vec<_>>(), [2]);
        assert_eq!(timers.due(at(30)).collect::<Vec<_>>(), [2, 1]);
        timers.set(2, None);
        timers.set(3, None);
        assert_eq!((timers.due(at(30)).collect::<Vec<_>>(), timers.len()), (vec![1], 1));
    }
}
