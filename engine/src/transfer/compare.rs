//! Compares a stream with what an engine already holds, so that an import can be repeated, and so
//! that two ledgers are never mixed.
//!
//! A hash stands for all entries before it. So of a journal that is stored up to some entry, the
//! stream's entries need only be linked to each other, and only the hash at that entry is compared:
//! if it is equal, so are all before it. The platform's journal is compared entry by entry. It is
//! short, and tells two ledgers apart before anything is written.

use std::collections::HashMap;

use tollkeeper_ledger::{ChainEnd, Hash, WorkspaceId};

use super::format::Counts;
use super::reader::StreamEntry;
use crate::Error;

/// A comparison under way.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The hashes of the platform's entries that the engine holds, oldest first.
    platform: Vec<Hash>,
    /// For each journal that the engine holds further than the stream was read: number and hash of
    /// the last entry that was read and compared.
    partly_compared: HashMap<WorkspaceId, (u64, Hash)>,
}

impl Comparison {
    /// Compares with an engine whose platform's entries have these hashes, oldest first.
    pub(crate) fn new(platform: Vec<Hash>) -> Comparison {
        Comparison { platform, partly_compared: HashMap::new() }
    }

    /// True if an entry is new to a journal whose chain ends with `stored`.
    ///
    /// # Errors
    /// [`Error::is_import_conflict`] when it differs from the entry that the engine holds.
    pub(crate) fn is_new(&mut self, streamed: &StreamEntry, stored: &ChainEnd) -> Result<bool, Error> {
        let n = streamed.entry.n;
        if streamed.workspace.is_platform()
            && let Some(known) = n.checked_sub(1).and_then(|index| self.platform.get(index as usize))
        {
            return if *known == streamed.hash { Ok(false) } else { Err(other_ledger(streamed)) };
        }
        if n > stored.n {
            return match self.partly_compared.contains_key(&streamed.workspace) {
                true => Err(other_ledger(streamed)),
                false => Ok(true),
            };
        }
        let before = self.partly_compared.remove(&streamed.workspace).unwrap_or_default();
        let follows = before.0 + 1 == n && before.1 == streamed.entry.previous;
        if !follows || (n == stored.n && streamed.hash != stored.hash) {
            return Err(other_ledger(streamed));
        }
        if n < stored.n {
            self.partly_compared.insert(streamed.workspace.clone(), (n, streamed.hash));
        }
        Ok(false)
    }

    /// At the end of the stream: checks that it held everything that the engine holds.
    ///
    /// # Errors
    /// [`Error::is_import_conflict`] when the engine holds entries that the stream does not.
    pub(crate) fn finish(&self, stream: Counts, stored: Counts) -> Result<(), Error> {
        if let Some((workspace, (n, _))) =
            self.partly_compared.iter().min_by_key(|(workspace, _)| workspace.as_str())
        {
            return Err(Error::import_conflict(format!(
                "workspace {workspace} has gone on here: the export ends with its entry {n}"
            ))
            .with_hint(GONE_ON));
        }
        if stored != stream {
            let what = format!(
                "there are {} entries in {} journals here, and {} in {} in the export",
                stored.entries, stored.journals, stream.entries, stream.journals
            );
            return Err(Error::import_conflict(what).with_hint(GONE_ON));
        }
        Ok(())
    }
}

const GONE_ON: &str =
    "everything of the export is here; what is here has gone on, so nothing is left to import";

fn other_ledger(streamed: &StreamEntry) -> Error {
    let whose = match streamed.workspace.is_platform() {
        true => "the platform's journal".to_owned(),
        false => format!("workspace {}", streamed.workspace),
    };
    Error::import_conflict(format!("another ledger is here: {whose} differs at entry {}", streamed.entry.n))
        .with_hint("import into an empty directory or database; ledgers are never mixed")
}
