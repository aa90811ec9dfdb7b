//! Export: all entries of the journal as a stream (see `transfer`), in the order in which they were
//! written, and the texts that they name.
//!
//! Read-only and on one state of the file, so it is safe beside a running server. A stream that is
//! taken slowly holds nothing of the server back.

use std::io::Write;
use std::path::Path;

use tollkeeper_ledger::{EntryBody, WorkspaceId};

use crate::Error;
use crate::embedded::core::mending::open_whole_journal;
use crate::transfer::{Counts, StreamWriter};

/// Writes all entries of a data directory as a stream, beside a running server or not.
///
/// # Errors
/// When the directory cannot be read, is damaged, or the stream cannot be written.
pub fn export(path: &Path, to: impl Write) -> Result<Counts, Error> {
    let journal = open_whole_journal(path)?;
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

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Actor, Command, Submission, Timestamp, WorkspaceChanges};

    use super::*;
    use crate::embedded::storage::journal;
    use crate::embedded::{Core, CoreOptions};

    /// The largest WAL beside a server that nobody reads from, and some more.
    const WAL_MAX_BYTES: u64 = 1 << 20;

    /// A server that goes on.
    struct Busy<'a> {
        core: Core,
        directory: &'a Path,
        renamed: u64,
    }

    impl Busy<'_> {
        fn run(&mut self, command: impl Fn(u64) -> Command) {
            let workspace = WorkspaceId::new("acme").expect("the id is valid");
            let mut submission = || {
                self.renamed += 1;
                let (workspace, command) = (workspace.clone(), command(self.renamed));
                Submission { workspace, key: None, actor: Actor::Platform, command }
            };
            let batch = (0..100).map(|_| submission()).collect();
            let now = Timestamp::from_millis(1_767_225_600_000);
            self.core.run_batch(batch, now).expect("a healthy disk");
            self.core.maintain().expect("a healthy disk");
        }

        /// Each entry gives the workspace another name.
        fn go_on(&mut self, batches: usize) {
            for _ in 0..batches {
                self.run(|n| {
                    let name = Some(format!("Acme {n}").into());
                    Command::UpdateWorkspace(WorkspaceChanges { name, ..WorkspaceChanges::default() })
                });
            }
        }

        fn wal_bytes(&self) -> u64 {
            let wal = self.directory.join(format!("{}-wal", journal::FILE));
            wal.metadata().expect("a journal has a WAL").len()
        }
    }

    /// Takes a stream slowly: the server goes on meanwhile.
    struct Slow<'a, 'b> {
        server: &'b mut Busy<'a>,
        writes: u64,
        largest_wal_bytes: u64,
    }

    impl Write for Slow<'_, '_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.writes += 1;
            if self.writes.is_multiple_of(1_000) {
                self.server.go_on(100);
                self.largest_wal_bytes = self.largest_wal_bytes.max(self.server.wal_bytes());
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_export_that_is_taken_slowly_holds_no_wal_back() {
        let scratch = tempfile::tempdir().expect("a directory");
        let directory = scratch.path();
        let options = CoreOptions { wal_bytes: 64 << 10, ..CoreOptions::default() };
        let core = Core::open(directory, options).expect("an empty directory opens");
        let mut server = Busy { core, directory, renamed: 0 };
        server.run(|_| Command::CreateWorkspace(Default::default()));
        server.go_on(30);
        let mut slow = Slow { server: &mut server, writes: 0, largest_wal_bytes: 0 };
        let counts = export(directory, &mut slow).expect("a healthy disk");
        assert_eq!(counts.entries, 3_001, "the state when it began");
        assert!((1..=WAL_MAX_BYTES).contains(&slow.largest_wal_bytes), "{} bytes", slow.largest_wal_bytes);
        let copied = crate::embedded::backup(directory, &scratch.path().join("copy"));
        // Of the first batch, one command made the workspace.
        assert_eq!(copied.expect("a healthy disk"), server.renamed - 99);
    }
}
