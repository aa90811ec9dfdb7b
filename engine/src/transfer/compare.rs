//! Compares a stream with what is there already, so that an import can be repeated and goes on where it ended, and so
//! that two ledgers are never mixed.
//!
//! A hash stands for all entries before it. So of a journal that is there up to some entry, the stream's entries are
//! followed by their own links, and only the hash at that entry is compared: if it is the same, all before it are. The
//! platform's journal is short and compared line by line, because it tells two ledgers apart before anything is written.

use std::collections::HashMap;

use tollkeeper_ledger::{Chain, Hash, WorkspaceId};

use super::Line;
use crate::Error;

/// What is being compared.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The hashes of the platform's entries that are there.
    platform: Vec<Hash>,
    /// Of the journals that are there further than the stream has come: the stream's last number and hash.
    behind: HashMap<WorkspaceId, (u64, Hash)>,
}

impl Comparison {
    /// Beside a ledger whose platform's journal has these hashes.
    pub(crate) fn new(platform: Vec<Hash>) -> Comparison {
        Comparison { platform, behind: HashMap::new() }
    }

    /// Whether a line is new to a journal that ends with `there`.
    ///
    /// # Errors
    /// [`Error::is_conflict`] when it is not the line that is there.
    pub(crate) fn is_new(&mut self, line: &Line, there: &Chain) -> Result<bool, Error> {
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

    /// At the end of the stream: whether everything that is there was in it. `journals`: how many of them are there.
    ///
    /// # Errors
    /// [`Error::is_conflict`] when the ledger has gone on since, or holds what the stream does not.
    pub(crate) fn finish(&self, stream: super::Counts, there: super::Counts) -> Result<(), Error> {
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
