//! What an audit keeps of a workspace while it recomputes it from the journal.

use tollkeeper_ledger::{Payments, Timestamp};

use crate::audit::{Recomputed, Sketch, Sketcher};
use crate::embedded::storage::state_rows::Awaits;

/// A workspace of the range that is recomputed.
pub(super) struct Workspace {
    pub recomputed: Recomputed,
    /// The sequence number of its last entry.
    pub head: u64,
    pub hours: Hours,
    /// The deadlines of its pending charges.
    pub pending: Sketch,
    /// The number of the last entry that its row in the state file includes, until that was
    /// compared.
    pub persisted_n: Option<u64>,
    /// True if the state file holds it.
    pub is_persisted: bool,
    /// About how many bytes it takes.
    pub bytes: usize,
}

/// The hours in which a workspace has entries, each with the sequence number of the last of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hours {
    ended: Sketch,
    last: Option<(i64, u64)>,
}

impl Hours {
    /// The sum over all of them.
    pub fn all(&self, sketcher: &Sketcher) -> Sketch {
        let mut all = self.ended;
        if let Some(last) = self.last {
            all.add(hour_row(sketcher, last));
        }
        all
    }

    /// The times of entries do not run backwards, so an hour ends when another begins.
    pub fn note(&mut self, sketcher: &Sketcher, hour: i64, seq: u64) {
        if let Some(last) = self.last.filter(|last| last.0 != hour) {
            self.ended.add(hour_row(sketcher, last));
        }
        self.last = Some((hour, seq));
    }
}

pub(super) fn hour_row(sketcher: &Sketcher, (hour, seq): (i64, u64)) -> u128 {
    sketcher.row(&("hour", hour, seq))
}

impl Workspace {
    /// The sum over all its deadlines: those of its pending charges, and of its payments.
    pub fn deadlines(&self, sketcher: &Sketcher) -> Sketch {
        let mut all = self.pending;
        let payments = self.recomputed.account.payments.as_deref();
        if let Some(due_at) = payments.and_then(Payments::due_at) {
            all.add(pending_row(sketcher, Awaits::Payments, due_at));
        }
        all
    }
}

pub(super) fn pending_row(sketcher: &Sketcher, awaits: Awaits, deadline: Timestamp) -> u128 {
    sketcher.row(&("pending", awaits, deadline))
}
