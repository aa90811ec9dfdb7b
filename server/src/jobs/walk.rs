//! A walk over all workspaces, for jobs that look at each of them.

use std::collections::VecDeque;

use tollkeeper_engine::{Error, Page, Reads, WorkspaceFilter};
use tollkeeper_ledger::WorkspaceId;

use crate::app::App;

/// How many workspaces are read at a time.
const ROWS: usize = 100;

/// Where a walk is.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The workspaces of the page that was read last.
    waiting: VecDeque<WorkspaceId>,
    /// Where the next page begins; `None` before the first page.
    cursor: Option<String>,
    is_last_page: bool,
}

impl Walk {
    /// The next workspace; `None` after the last.
    ///
    /// # Errors
    /// The engine cannot read. The walk can go on later.
    pub(crate) async fn next(&mut self, app: &App) -> Result<Option<WorkspaceId>, Error> {
        while self.waiting.is_empty() && !self.is_last_page {
            let page = Page { limit: ROWS, cursor: self.cursor.clone() };
            let listing = app.engine().workspaces(WorkspaceFilter::default(), page).await?;
            self.waiting = listing.data.into_iter().map(|found| found.profile.id).collect();
            (self.is_last_page, self.cursor) = (listing.next.is_none(), listing.next);
        }
        Ok(self.waiting.pop_front())
    }
}
