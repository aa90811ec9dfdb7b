//! Lists and searches of workspaces, newest first: by account index, from the highest.
//!
//! Which workspaces are looked at comes from the small rows of the state file, and from the core
//! for those whose row may be out of date ([`Unlisted`]). What is listed is the account: from the
//! core if it is in memory, else from the state file.
//!
//! The order of these questions makes it exact without a lock. The core is asked first and the file
//! is read then: what has been persisted meanwhile is in the file. One request looks at a bounded
//! number of rows, and asks the core for a bounded number at a time.
//!
//! A cursor is the account index at which the page before ended.

use std::iter::Peekable;

use crate::embedded::core::queries::Unlisted;
use crate::embedded::core_handle::state_file_replaced;
use crate::workspace_search::{Looks, Walk};
use crate::{Error, Listing, Page, WorkspaceFilter, WorkspaceRecord};

use super::lists::Reader;

/// Workspaces that are asked of the core at once.
const ASKED_AT_ONCE: usize = 64;

/// Account indices that the core tells at once.
const UNLISTED_AT_ONCE: usize = 1_024;

/// Where the rows come from.
enum Source {
    /// Every account index is of a workspace.
    Every,
    /// All of a walk.
    Walk(Walk),
    /// These account indices, the highest first.
    Nominated(Vec<u32>),
}

impl Reader {
    /// Answers [`Query::Workspaces`](crate::Query::Workspaces).
    pub(crate) fn workspaces(
        &self,
        filter: &WorkspaceFilter,
        page: &Page,
    ) -> Result<Listing<WorkspaceRecord>, Error> {
        let position = filter.position(page)?;
        let mut before: Option<u32> =
            position.map(|position| position.parse().map_err(|_| Error::bad_cursor())).transpose()?;
        if *filter != WorkspaceFilter::default() {
            self.check_search_once()?;
        }
        let mut looks = Looks::for_page(page.limit);
        let mut data = Vec::new();
        while let Some(read) = looks.next() {
            let asked = before;
            let unlisted = self.core.blocking_read(move |core| core.unlisted(asked, UNLISTED_AT_ONCE))?;
            let (candidates, from) = self.candidates(filter, &unlisted, read)?;
            looks.count_accounts(candidates.len());
            for some in candidates.chunks(ASKED_AT_ONCE.min(page.limit.max(1))) {
                for (index, record) in some.iter().zip(self.records(some)?) {
                    data.extend(Some(record).filter(|record| filter.admits(record)));
                    if data.len() == page.limit {
                        let next = (*index > 1).then(|| filter.cursor(index));
                        return Ok(Listing { data, next });
                    }
                }
            }
            if self.is_outdated() {
                return Err(state_file_replaced());
            }
            if from <= 1 {
                return Ok(Listing { data, next: None });
            }
            before = Some(from);
        }
        let next = before.map(|before| filter.cursor(before));
        Ok(Listing { data, next })
    }

    fn source(&self, filter: &WorkspaceFilter) -> Result<Source, Error> {
        if *filter == WorkspaceFilter::default() {
            return Ok(Source::Every);
        }
        let mut nominated = None;
        if let Some(name) = &filter.name {
            nominated = self.state.nominated_by_name(name)?;
        }
        let walk = filter.walk();
        if let (None, Walk::All, Some(day)) = (&nominated, walk, filter.unused_up_to_day()) {
            nominated = self.state.nominated_by_use(day)?;
        }
        Ok(nominated.map_or(Source::Walk(walk), Source::Nominated))
    }

    /// The workspaces that may meet the conditions, the highest account index first, and the index
    /// down to which they are all of them.
    fn candidates(
        &self,
        filter: &WorkspaceFilter,
        unlisted: &Unlisted,
        read: usize,
    ) -> Result<(Vec<u32>, u32), Error> {
        let Unlisted { before, from, indices } = unlisted;
        let (before, mut from) = (*before, *from);
        let mut found = Vec::new();
        match self.source(filter)? {
            Source::Every => {
                from = from.max(before.saturating_sub(read.try_into().unwrap_or(u32::MAX)));
                found.extend((from..before).rev());
            }
            Source::Walk(walk) => {
                let rows = self.state.search_rows(walk, (from, before), read)?;
                if rows.len() == read {
                    from = rows.last().map_or(from, |(index, _)| *index);
                }
                let admitted = rows.iter().filter(|(_, row)| filter.may_admit(row));
                found.extend(admitted.map(|(index, _)| *index));
            }
            Source::Nominated(mut nominated) => {
                nominated.retain(|index| (from..before).contains(index));
                nominated.truncate(read);
                if nominated.len() == read {
                    from = nominated.last().copied().unwrap_or(from);
                }
                for index in nominated {
                    let row = self.state.search_row(index)?;
                    let row = row.ok_or_else(|| self.missing(index))?;
                    found.extend(filter.may_admit(&row).then_some(index));
                }
            }
        }
        let unlisted = indices.iter().copied().filter(|index| *index >= from);
        Ok((merged(found.into_iter().peekable(), unlisted.peekable()), from))
    }

    /// The workspaces with these account indices as they are now.
    fn records(&self, indices: &[u32]) -> Result<Vec<WorkspaceRecord>, Error> {
        let asked = indices.to_vec();
        let in_memory = self.core.blocking_read(move |core| core.records_in_memory(&asked))?;
        let mut records = Vec::with_capacity(indices.len());
        for (index, record) in indices.iter().zip(in_memory) {
            records.push(match record {
                Some(record) => record,
                None => {
                    let persisted = self.state.account_at(*index)?.ok_or_else(|| self.missing(*index))?;
                    WorkspaceRecord::of(&persisted.account)
                }
            });
        }
        Ok(records)
    }

    fn missing(&self, account_index: u32) -> Error {
        self.state.damaged(format!("a row of the workspace with account index {account_index} is missing"))
    }
}

/// Two descending lists as one, each index once.
fn merged(
    mut one: Peekable<impl Iterator<Item = u32>>,
    mut other: Peekable<impl Iterator<Item = u32>>,
) -> Vec<u32> {
    let mut all = Vec::new();
    while let Some(next) = one.peek().max(other.peek()).copied() {
        one.next_if_eq(&next);
        other.next_if_eq(&next);
        all.push(next);
    }
    assert!(all.is_sorted_by(|a, b| a > b), "a list has each workspace once, the newest first");
    all
}
