//! A page of a workspace's journal that people turn in both directions, with a filter.
//!
//! Entries are numbered without gaps, so a place is a number. Only some entries are looked at for
//! one page: a filter that admits few of them gives a short page, and says where to look on.

use tollkeeper_engine::{Engine, EntryRecord, Follow, Page, Reads};
use tollkeeper_ledger::{Entry, WorkspaceId};

use crate::http::call::existing;
use crate::http::problem::Problem;

/// The most entries that are looked at for one page.
const LOOKS_MAX: u64 = 4_096;

/// How many entries are read at once, at first; each time twice as many.
const FIRST_READ: u64 = 64;

/// The most entries that are read at once.
const READ_MAX: u64 = 1_024;

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the newest entry.
    Newest,
    /// With the newest entry below this number.
    Before(u64),
    /// It ends with the oldest entry above this number.
    After(u64),
}

/// A page of a journal.
#[derive(Debug)]
pub struct JournalPage {
    /// The entries, newest first.
    pub records: Vec<EntryRecord>,
    /// Before which entry the next older page begins; `None` at the end.
    pub older: Option<u64>,
    /// After which entry the next newer page ends; `None` at the newest entry.
    pub newer: Option<u64>,
}

/// A journal, of which pages are read.
pub struct Journal<'a> {
    /// The engine.
    pub engine: &'a dyn Engine,
    /// The workspace.
    pub workspace: &'a WorkspaceId,
    /// The most entries of a page.
    pub limit: usize,
}

impl Journal<'_> {
    /// A page of the entries that `admits` accepts.
    ///
    /// # Errors
    /// There is no such workspace, or the engine cannot read.
    pub async fn page(&self, place: Place, admits: impl Fn(&Entry) -> bool) -> Result<JournalPage, Problem> {
        let last = self.last().await?;
        match place {
            Place::Newest => self.before(last + 1, last, &admits).await,
            Place::Before(n) => self.before(n.min(last + 1), last, &admits).await,
            Place::After(n) => {
                let page = self.after(n.min(last), last, &admits).await?;
                // A page at the newest entry is a full one.
                if page.newer.is_none() { self.before(last + 1, last, &admits).await } else { Ok(page) }
            }
        }
    }

    /// The number of the newest entry.
    async fn last(&self) -> Result<u64, Problem> {
        let newest = Page { limit: 1, cursor: None };
        let listing = existing(self.workspace, self.engine.entries(self.workspace, newest).await?)?;
        Ok(listing.data.first().map_or(0, |record| record.entry.n))
    }

    /// The newest entries below `end`.
    async fn before(
        &self,
        end: u64,
        last: u64,
        admits: &impl Fn(&Entry) -> bool,
    ) -> Result<JournalPage, Problem> {
        let newer = (end <= last).then_some(end.saturating_sub(1));
        let mut records: Vec<EntryRecord> = Vec::new();
        let (mut end, mut looks, mut read) = (end, 0, FIRST_READ);
        while end > 1 && looks < LOOKS_MAX {
            let begin = end.saturating_sub(read + 1);
            let part = self.between(begin, end).await?;
            for record in part.into_iter().rev().filter(|record| admits(&record.entry)) {
                if records.len() == self.limit {
                    let older = records.last().map(|record| record.entry.n);
                    return Ok(JournalPage { records, older, newer });
                }
                records.push(record);
            }
            looks += read;
            (end, read) = (begin + 1, READ_MAX.min(2 * read));
        }
        Ok(JournalPage { records, older: (end > 1).then_some(end), newer })
    }

    /// The oldest entries above `after`.
    async fn after(
        &self,
        after: u64,
        last: u64,
        admits: &impl Fn(&Entry) -> bool,
    ) -> Result<JournalPage, Problem> {
        let older = Some(after + 1);
        let mut records: Vec<EntryRecord> = Vec::new();
        let (mut after, mut looks, mut read) = (after, 0, FIRST_READ);
        while after < last && looks < LOOKS_MAX {
            let end = last.min(after + read) + 1;
            for record in self.between(after, end).await?.into_iter().filter(|record| admits(&record.entry)) {
                if records.len() == self.limit {
                    let newer = records.last().map(|record| record.entry.n);
                    records.reverse();
                    return Ok(JournalPage { records, older, newer });
                }
                records.push(record);
            }
            looks += read;
            (after, read) = (end - 1, READ_MAX.min(2 * read));
        }
        records.reverse();
        Ok(JournalPage { records, older, newer: (after < last).then_some(after) })
    }

    /// All entries above `begin` and below `end`, oldest first.
    async fn between(&self, begin: u64, end: u64) -> Result<Vec<EntryRecord>, Problem> {
        assert!(begin < end, "a range of entries must have a beginning before its end");
        let (mut after, mut records) = (begin, Vec::new());
        // An answer is bounded in bytes too, so one may not be enough.
        while after + 1 < end {
            let limit = usize::try_from(end - 1 - after).unwrap_or(usize::MAX);
            let follow = Follow { after, kinds: None, limit };
            let followed =
                existing(self.workspace, self.engine.entries_after(self.workspace, follow).await?)?;
            records.extend(followed.data.into_iter().filter(|record| record.entry.n < end));
            if followed.through <= after {
                break;
            }
            after = followed.through;
        }
        Ok(records)
    }
}

impl std::fmt::Debug for Journal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("workspace", self.workspace).finish_non_exhaustive()
    }
}
