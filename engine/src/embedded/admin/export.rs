//! Export: the journal's entries as a stream (see `moving`), in the order in which they were written. Read-only, on one
//! state of the file, so it is safe beside a running server and whole in itself.

use std::io::Write;
use std::path::Path;

use tollkeeper_ledger::{EntryBody, WorkspaceId};

use crate::Error;
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::sqlite::Access;
use crate::transfer::{Counts, StreamWriter};

/// Writes all entries of a data directory as a stream, beside a running server or not.
///
/// # Errors
/// When the directory cannot be read, is damaged, or the stream cannot be written.
pub fn export(path: &Path, to: impl Write) -> Result<Counts, Error> {
    journal::must_hold(path)?;
    let journal = Journal::open(path, None, Access::Read)?;
    journal.hold()?;
    let mut stream = StreamWriter::begin(to)?;
    // By number; the platform's own chain is the first.
    let mut workspaces = vec![WorkspaceId::platform()];
    let mut expected = 1;
    journal.read_from(1, |stored| {
        let seq = stored.envelope.seq;
        let account_index = stored.envelope.account_index as usize;
        if seq != expected {
            return Err(Error::damaged(format!("journal line {expected} is missing; {seq} follows")));
        }
        expected += 1;
        if account_index == workspaces.len() {
            match stored.entry()?.body {
                EntryBody::WorkspaceCreated(profile) => workspaces.push(profile.id),
                _ => {
                    return Err(Error::damaged(format!(
                        "journal line {seq}: its workspace was never created"
                    )));
                }
            }
        }
        let workspace = workspaces.get(account_index);
        let workspace = workspace
            .ok_or_else(|| Error::damaged(format!("journal line {seq}: its workspace was never created")))?;
        stream.entry(workspace, stored.bytes)
    })?;
    Ok(stream.end()?.1)
}
