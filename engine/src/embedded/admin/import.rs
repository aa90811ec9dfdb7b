//! Import: takes in a stream (see `moving`), entry by entry, each verified as it would be after a crash and appended byte
//! by byte as it was. Holds the directory alone; commits as it goes, so that an import that was interrupted is repeated
//! and goes on where it ended.

use std::io::Read;
use std::path::Path;

use tollkeeper_ledger::{EntryBody, Hash};

use crate::Error;
use crate::embedded::core::state_machine::StateMachine;
use crate::embedded::core::{Core, CoreOptions};
use crate::embedded::storage::block::{Envelope, Stored};
use crate::transfer::{self, Comparison, Counts, Imported, Line, StreamReader};

/// Entries that are appended in one database transaction.
const BATCH_ENTRIES: u64 = 8_192;

/// Takes a stream into a data directory: an empty or absent one, or one that an earlier import of it has begun.
///
/// # Errors
/// [`Error::is_damaged`] with the place when the stream is not what was written or an entry does not follow from those
/// before it, [`Error::is_conflict`] when another ledger is there; what came before is taken in and stays.
pub fn import(path: &Path, from: impl Read) -> Result<Imported, Error> {
    import_tuned(path, from, CoreOptions::default())
}

/// The same with every option of the heart.
///
/// # Errors
/// As [`import`].
pub fn import_tuned(path: &Path, from: impl Read, options: CoreOptions) -> Result<Imported, Error> {
    let mut stream = StreamReader::begin(from)?;
    let mut core = Core::open(path, options)?;
    let mut overlap = Comparison::new(core.ensure_loaded_for_write()?.platform_hashes()?);
    let was_importing = core.ensure_loaded()?.journal.is_importing()?;
    let mut written = 0;
    let received = take_all(&mut core, &mut stream, &mut overlap, &mut written);
    // What was good is kept, whatever came after it. What is in memory then is not: it may hold half an entry.
    let committed = core.commit();
    let whole = received.and(committed).and_then(|()| {
        core.checkpoint_all()?;
        let machine = core.ensure_loaded()?;
        let journals =
            u64::from(machine.accounts.next_index()) - u64::from(!machine.accounts.get(0).account.exists());
        overlap.finish(stream.counts(), Counts { entries: machine.last(), journals })
    });
    match whole {
        Ok(()) => core.ensure_loaded()?.journal.set_importing(false)?,
        // A ledger that was whole before somebody brought another one goes on.
        Err(error) if error.is_conflict() => {
            core.ensure_loaded()?.journal.set_importing(was_importing)?;
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    Ok(Imported { stream: stream.counts(), written })
}

fn take_all<R: Read>(
    core: &mut Core,
    stream: &mut StreamReader<R>,
    overlap: &mut Comparison,
    written: &mut u64,
) -> Result<(), Error> {
    while let Some(line) = stream.next_line()? {
        let machine = core.ensure_loaded_for_write()?;
        if machine.is_new(&line, overlap)? {
            if *written == 0 {
                machine.journal.set_importing(true)?;
            }
            if let Err(wrong) = machine.take_in(&line) {
                return Err(if wrong.is_damaged() {
                    line.position.damaged(&wrong.to_string())
                } else {
                    wrong
                });
            }
            *written += 1;
            if written.is_multiple_of(BATCH_ENTRIES) {
                core.commit()?;
                core.maintain()?;
            }
        }
    }
    Ok(())
}

impl Core {
    /// Refuses to serve a part of a ledger.
    pub(crate) fn refuse_half(&mut self) -> Result<(), Error> {
        if self.ensure_loaded()?.journal.is_importing()? { Err(transfer::unfinished()) } else { Ok(()) }
    }
}

impl StateMachine {
    /// The hashes of the platform's own entries, the first one first.
    fn platform_hashes(&mut self) -> Result<Vec<Hash>, Error> {
        let mut hashes = Vec::new();
        let mut seq = self.accounts.get(0).head;
        while seq != 0 {
            let read = self.read(seq, |stored| Ok((stored.hash(), stored.envelope.previous)))?;
            let missing = || Error::damaged(format!("journal line {seq} is missing"));
            let (hash, previous) = read.ok_or_else(missing)?;
            hashes.push(hash);
            seq = previous;
        }
        hashes.reverse();
        Ok(hashes)
    }

    fn is_new(&mut self, line: &Line, overlap: &mut Comparison) -> Result<bool, Error> {
        let account_index = self.accounts.resolve(&line.workspace, &self.state)?;
        let there = account_index
            .map(|account_index| self.accounts.get(account_index).account.chain)
            .unwrap_or_default();
        overlap.is_new(line, &there)
    }

    /// Verifies an entry and makes it the next of the journal; it is on disk after the next commit.
    fn take_in(&mut self, line: &Line) -> Result<(), Error> {
        let Line { workspace, entry, bytes, .. } = line;
        let account_index = match self.accounts.resolve(workspace, &self.state)? {
            Some(account_index) => account_index,
            None => {
                let creates =
                    matches!(&entry.body, EntryBody::WorkspaceCreated(profile) if profile.id == *workspace);
                if !creates {
                    return Err(Error::damaged(format!("workspace {workspace} was never created")));
                }
                self.accounts.next_index()
            }
        };
        let opened = match entry.body.charge() {
            Some((id, Some(opened))) => {
                let found = self
                    .find_charge(account_index, id)?
                    .filter(|located| located.charge.opening_entry == opened);
                found.ok_or_else(|| Error::damaged(format!("charge {id} was never opened")))?.opened_at
            }
            _ => 0,
        };
        let previous = self.accounts.load(account_index, &self.state)?.map_or(0, |slot| slot.head);
        let envelope = Envelope { seq: self.next, account_index, previous, opened };
        self.replay_account(entry, Stored { envelope, bytes })?;
        self.index_entry(entry, envelope, None);
        let beginning = self.tail.bytes.len();
        self.tail.beginnings.push(beginning);
        envelope.write(&mut self.tail.bytes);
        self.tail.bytes.extend_from_slice(bytes);
        if account_index == 0 {
            std::sync::Arc::make_mut(&mut self.platform).apply(entry);
        }
        Ok(())
    }
}
