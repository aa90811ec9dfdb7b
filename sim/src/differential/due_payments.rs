//! Compares the list of workspaces with due work of payments, page by page, with the model.

use tollkeeper_engine::{DuePlace, Engine};
use tollkeeper_ledger::{Timestamp, WorkspaceId};

use super::{Difference, Differential};

/// How many workspaces are read at once: few, so that most lists have pages.
const PAGE: usize = 2;

impl Differential {
    /// Compares which workspaces are due, and that the longest overdue come first.
    pub(super) fn compare_due_payments(&self, engine: &dyn Engine, now: Timestamp) -> Result<(), Difference> {
        let mut places: Vec<DuePlace> = Vec::new();
        loop {
            let page = engine.due_payments(now, places.last().cloned(), PAGE);
            let page = self.read("the due payments", page)?;
            if page.is_empty() {
                break;
            }
            places.extend(page);
        }
        let is_in_order = places.is_sorted_by_key(|place| place.due_at);
        self.expect_equal("the order of the due payments", is_in_order, true)?;
        let mut due: Vec<WorkspaceId> = places.into_iter().map(|place| place.workspace).collect();
        due.sort();
        self.expect_equal("the due payments", due, self.model.due_payments(now))
    }
}
