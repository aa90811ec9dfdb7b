//! Export: all entries of the journal as a stream (see `transfer`), in the order in which they were
//! written, and the texts that they name.
//!
//! Read-only and on one state of the file, so it is safe beside a running server.

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
    journal.begin_snapshot()?;
    let mut stream = StreamWriter::begin(to)?;
    // By account index; the platform's own chain is the first.
    let mut workspaces = vec![WorkspaceId::platform()];
    let mut expected = 1;
    let mut next_with_texts = journal.next_with_texts(1)?;
    journal.read_from(1, |stored| {
        let seq = stored.header.seq;
        let index = stored.header.account_index as usize;
        if seq != expected {
            return Err(Error::damaged(format!("journal entry {expected} is missing; {seq} follows")));
        }
        expected += 1;
        let never_created =
            || Error::damaged(format!("journal entry {seq}: its workspace was never created"));
        if index == workspaces.len() {
            match stored.entry()?.body {
                EntryBody::WorkspaceCreated(profile) => workspaces.push(profile.id),
                _ => return Err(never_created()),
            }
        }
        let workspace = workspaces.get(index).ok_or_else(never_created)?;
        if next_with_texts == Some(seq) {
            for text in journal.texts_of_entry(seq)? {
                stream.text(&text)?;
            }
            next_with_texts = journal.next_with_texts(seq + 1)?;
        }
        stream.entry(workspace, stored.bytes)
    })?;
    Ok(stream.end()?.1)
}
