//! The deadlines of pending charges, in order: which are to be timed out next. Rebuilt at the start from the state file
//! and the tail of the journal. Whether a charge is really timed out is the ledger's decision.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use tollkeeper_ledger::Timestamp;

/// The deadlines, by the place of the entry that opened the charge.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    order: BTreeSet<(Timestamp, u64)>,
    deadlines: HashMap<u64, Timestamp>,
}

impl Timers {
    /// Sets, moves or (with `None`) ends the deadline of a charge.
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
    }

    /// The charges whose deadline has passed, the longest overdue first.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = u64> {
        self.order.iter().take_while(move |(deadline, _)| *deadline <= now).map(|(_, opened)| *opened)
    }

    /// How many charges are pending.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}
