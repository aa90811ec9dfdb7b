//! Between batches: keeps what is derived, in small steps. Rounds over the changed accounts, runs of the key index and
//! their merges, the journal's WAL, accounts that are no longer needed. All the writing is the keeper's; what is here
//! decides what it is given and takes note of what is done.

use super::state_machine::Mind;
use super::{Heart, HeartOptions};
use crate::Error;
use crate::embedded::storage::checkpointer::{Done, Task};

/// So few pages left in the journal's WAL are moved by the heart itself, so that the WAL starts again from its beginning.
const WAL_REST_PAGES: u64 = 256;

/// What the keeper has been given and not yet done.
#[derive(Debug)]
pub(crate) struct Keeping {
    /// Bytes appended to the journal since its WAL was moved into the file.
    pub appended: u64,
    /// Pages the last look found left in it.
    wal_pages: u64,
    slice: bool,
    run: bool,
    merge: bool,
    journal: bool,
    /// Few pages of the WAL are left, for whoever writes the journal next to move.
    pub journal_rest: bool,
    /// What speaks of entries that are under way to the disk: it must not be there before them.
    pub held: Vec<Task>,
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping {
            appended: 0,
            wal_pages: u64::MAX,
            slice: false,
            run: false,
            merge: false,
            journal: false,
            journal_rest: false,
            held: Vec::new(),
        }
    }
}

impl Keeping {
    /// As much of the WAL is in the file as can be for now.
    fn wal_is_moved(&mut self) {
        (self.journal, self.appended, self.wal_pages) = (false, 0, u64::MAX);
    }

    fn busy(&self) -> bool {
        self.slice || self.run || self.merge || self.journal
    }
}

impl Heart {
    /// Does a little of what keeps the next start short and memory small. To be called after every batch, and when the
    /// keeper nudges.
    ///
    /// # Errors
    /// When something could not be written; the next batch reads everything anew.
    pub fn tend(&mut self) -> Result<(), Error> {
        let Some(mind) = &mut self.mind else { return Ok(()) };
        let tended = mind.tend(&self.options);
        self.note(tended)
    }

    /// Whether [`Heart::tend`] will have to wait for the keeper, which may itself wait for a flight.
    pub(crate) fn is_crowded(&self) -> bool {
        self.mind.as_ref().is_some_and(Mind::is_crowded)
    }

    /// Keeps everything that can be kept: the next start has nothing to replay.
    ///
    /// # Errors
    /// When something could not be written; the next batch reads everything anew.
    pub fn keep_all(&mut self) -> Result<(), Error> {
        let Some(mind) = &mut self.mind else { return Ok(()) };
        let kept = mind.keep_all(&self.options);
        self.note(kept)
    }

    fn note(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        if let Err(error) = &result {
            self.mind = None;
            self.trouble = Some(error.clone());
        }
        result
    }
}

impl Mind {
    /// Whether the key index has to wait for the keeper before it takes more.
    pub(crate) fn is_crowded(&self) -> bool {
        self.index.is_crowded() && self.keeping.run
    }

    /// Gives the keeper what speaks of entries: once all of them are on disk.
    fn give_after_entries(&mut self, task: Task) {
        if self.flight.is_some() {
            self.keeping.held.push(task);
        } else {
            self.keeper.give(task);
        }
    }

    /// The place of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }

    pub(crate) fn tend(&mut self, options: &HeartOptions) -> Result<(), Error> {
        if self.keeper.is_none() {
            return Ok(());
        }
        while let Some(done) = self.keeper.poll() {
            self.take_note(done)?;
        }
        if self.flight.is_none() && std::mem::take(&mut self.keeping.journal_rest) {
            self.journal.checkpoint()?;
        }
        // A replay that begins for the key index's sake may still be behind what is kept of the accounts.
        let unkept = self.last().saturating_sub(self.accounts_kept_to);
        if !self.accounts.in_round() && unkept >= options.round_entries {
            self.accounts.begin_round(self.last());
        }
        self.give(options, false);
        if self.keeping.appended >= options.wal_bytes && !self.keeping.journal {
            self.keeping.journal = true;
            self.keeper.give(Task::JournalCheckpoint);
        }
        while self.flight.is_none()
            && self.is_crowded()
            && let Some(done) = self.keeper.wait()
        {
            self.take_note(done)?;
            self.give(options, false);
        }
        self.accounts.let_go(options.accounts_in_memory);
        Ok(())
    }

    fn give(&mut self, options: &HeartOptions, force: bool) {
        if !self.keeping.slice
            && let Some(slice) = self.accounts.next_slice(options.slice_accounts)
        {
            self.keeping.slice = true;
            self.give_after_entries(Task::Slice(slice));
        }
        if !self.keeping.run
            && let Some((pairs, covers)) = self.index.freeze(self.next - 1, force)
        {
            self.keeping.run = true;
            self.give_after_entries(Task::Run { pairs, covers });
        }
        if !self.keeping.merge
            && let Some(heads) = self.index.to_merge()
        {
            self.keeping.merge = true;
            self.keeper.give(Task::Merge(heads));
        }
    }

    fn take_note(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Slice { accounts, keeps_to } => {
                self.keeping.slice = false;
                self.accounts.kept(&accounts);
                if let Some(to) = keeps_to {
                    self.accounts_kept_to = to;
                }
            }
            Done::Run(run) => {
                self.keeping.run = false;
                self.index.frozen_is_kept(run);
            }
            Done::Merged(run) => {
                self.keeping.merge = false;
                let dropped = self.index.merged(run);
                self.keeper.give(Task::Drop(dropped));
            }
            Done::JournalCheckpoint { left } if left <= WAL_REST_PAGES => {
                self.keeping.wal_is_moved();
                self.keeping.journal_rest = true;
            }
            Done::JournalCheckpoint { left } if left < self.keeping.wal_pages / 2 => {
                self.keeping.wal_pages = left;
                self.keeper.give(Task::JournalCheckpoint);
            }
            // A long read holds the rest: it is tried again when as much has been appended once more.
            Done::JournalCheckpoint { .. } => self.keeping.wal_is_moved(),
            Done::Failed(error) => return Err(error),
        }
        Ok(())
    }

    pub(crate) fn keep_all(&mut self, options: &HeartOptions) -> Result<(), Error> {
        if self.keeper.is_none() {
            return Ok(());
        }
        while self.accounts_kept_to < self.last() || self.index.kept_to() < self.last() || self.keeping.busy()
        {
            if !self.accounts.in_round() && self.accounts_kept_to < self.last() {
                self.accounts.begin_round(self.last());
            }
            self.give(options, true);
            if !self.keeping.busy() {
                break;
            }
            let Some(done) = self.keeper.wait() else { break };
            self.take_note(done)?;
        }
        self.journal.checkpoint()?;
        self.keeping.appended = 0;
        Ok(())
    }
}
