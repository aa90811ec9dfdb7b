//! Rounds over all workspaces, for jobs that look at each of them from time to time.
//!
//! A job rests in proportion to its work, so that nobody notices it. Where a round is, is in memory
//! only: each start begins one.

use std::collections::VecDeque;
use std::time::Instant;

use tollkeeper_engine::{Error, Page, Reads, WorkspaceFilter};
use tollkeeper_ledger::{Timestamp, WorkspaceId};

use crate::app::App;

/// How many workspaces are read at a time.
const ROWS: usize = 100;

/// The rounds of a job.
#[derive(Debug)]
pub(crate) struct Rounds {
    /// From the beginning of one round to that of the next.
    interval_seconds: i64,
    /// How many times as long as it works the job rests.
    rest_factor: u32,
    next_at: Timestamp,
    /// The round under way.
    walk: Option<Walk>,
}

impl Rounds {
    pub(crate) const fn new(interval_seconds: i64, rest_factor: u32) -> Rounds {
        Rounds { interval_seconds, rest_factor, next_at: Timestamp::ZERO, walk: None }
    }

    /// The same without rests.
    #[cfg(test)]
    pub(crate) fn without_rests(self) -> Rounds {
        Rounds { rest_factor: 0, ..self }
    }

    /// The next workspace of the round under way, or of the one that is due. `None` if a round has
    /// ended, and until the next is due.
    ///
    /// # Errors
    /// The engine cannot read. The round goes on with the next call.
    pub(crate) async fn next(&mut self, app: &App, now: Timestamp) -> Result<Option<WorkspaceId>, Error> {
        if self.walk.is_none() {
            // A clock that was set back delays no round.
            let latest = now.plus_seconds(self.interval_seconds);
            if now < self.next_at && self.next_at <= latest {
                return Ok(None);
            }
            self.next_at = latest;
        }
        let next = self.walk.get_or_insert_default().next(app).await?;
        if next.is_none() {
            self.walk = None;
        }
        Ok(next)
    }

    /// Rests after work that began at `started`.
    pub(crate) async fn rest_after(&self, started: Instant) {
        tokio::time::sleep(started.elapsed() * self.rest_factor).await;
    }
}

/// Where a round is.
#[derive(Debug, Default)]
struct Walk {
    /// The workspaces of the page that was read last.
    waiting: VecDeque<WorkspaceId>,
    /// Where the next page begins; `None` before the first page.
    cursor: Option<String>,
    is_last_page: bool,
}

impl Walk {
    /// The next workspace; `None` after the last.
    async fn next(&mut self, app: &App) -> Result<Option<WorkspaceId>, Error> {
        while self.waiting.is_empty() && !self.is_last_page {
            let page = Page { limit: ROWS, cursor: self.cursor.clone() };
            let listing = app.engine().workspaces(WorkspaceFilter::default(), page).await?;
            self.waiting = listing.data.into_iter().map(|found| found.profile.id).collect();
            (self.is_last_page, self.cursor) = (listing.next.is_none(), listing.next);
        }
        Ok(self.waiting.pop_front())
    }
}
