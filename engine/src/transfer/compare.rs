//! Compares a stream with what an engine already holds, so that an import can be repeated, and so
//! that two ledgers are never mixed.
//!
//! A hash stands for all entries before it. So of a journal that is there up to some entry, the
//! stream's entries need only be linked to each other, and only the hash at that entry is compared:
//! if it is equal, so are all before it. The platform's journal is compared entry by entry. It is
//! short, and tells two ledgers apart before anything is written.

use std::collections::HashMap;

use tollkeeper_ledger::{ChainEnd, Hash, WorkspaceId};

use super::format::Counts;
use super::reader::Line;
use crate::Error;

/// A comparison under way.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The hashes of the platform's entries that the engine holds, oldest first.
    platform: Vec<Hash>,
    /// For each journal that the engine holds further than the stream was read: number and hash of
    /// the last entry read.
    behind: HashMap<WorkspaceId, (u64, Hash)>,
}

impl Comparison {
    /// Compares with an engine whose platform's entries have these hashes, oldest first.
    pub(crate) fn new(platform: Vec<Hash>) -> Comparison {
        Comparison { platform, behind: HashMap::new() }
    }

    /// True if a line is new to a journal whose chain ends with `there`.
    ///
    /// # Errors
    /// [`Error::is_conflict`] when it differs from the entry that the engine holds.
    pub(crate) fn is_new(&mut self, line: &Line, there: &ChainEnd) -> Result<bool, Error> {
        let n = line.entry.n;
        if line.workspace.is_platform()
            && let Some(known) = n.checked_sub(1).and_then(|index| self.platform.get(index as usize))
        {
            return if *known == line.hash { Ok(false) } else { Err(another(line)) };
        }
        if n > there.n {
            return match self.behind.contains_key(&line.workspace) {
                true => Err(another(line)),
                false => Ok(true),
            };
        }
        let before = self.behind.remove(&line.workspace).unwrap_or_default();
        let follows = before.0 + 1 == n && before.1 == line.entry.previous;
        if !follows || (n == there.n && line.hash != there.hash) {
            return Err(another(line));
        }
        if n < there.n {
            self.behind.insert(line.workspace.clone(), (n, line.hash));
        }
        Ok(false)
    }

    /// At the end of the stream: checks that it held everything that the engine holds.
    ///
    /// # Errors
    /// [`Error::is_conflict`] when the engine holds entries that the stream does not.
    pub(crate) fn finish(&self, stream: Counts, there: Counts) -> Result<(), Error> {
        if let Some((workspace, (n, _))) = self.behind.iter().min_by_key(|(workspace, _)| workspace.as_str())
        {
            return Err(Error::conflict(format!(
                "workspace {workspace} has gone on here: the export ends with its entry {n}"
            ))
            .with_hint(GONE_ON));
        }
        if there != stream {
            let what = format!(
                "there are {} entries in {} journals here, and {} in {} in the export",
                there.entries, there.journals, stream.entries, stream.journals
            );
            return Err(Error::conflict(what).with_hint(GONE_ON));
        }
        Ok(())
    }
}

const GONE_ON: &str =
    "everything of the export is here; what is here has gone on, so nothing is left to import";

fn another(line: &Line) -> Error {
    let whose = match line.workspace.is_platform() {
        true => "the platform's journal".to_owned(),
        false => format!("workspace {}", line.workspace),
    };
    Error::conflict(format!("another ledger is here: {whose} differs at entry {}", line.entry.n))
        .with_hint("import into an empty directory or database; ledgers are never mixed")
}
