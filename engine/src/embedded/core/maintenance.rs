//! Between batches: keeps what is derived, in small steps. Rounds over the changed accounts, runs of the key index and
//! their merges, the journal's WAL, accounts that are no longer needed. All the writing is the keeper's; what is here
//! decides what it is given and takes note of what is done.

use super::state_machine::StateMachine;
use super::{Core, CoreOptions};
use crate::Error;
use crate::embedded::storage::checkpointer::{Done, Task};

/// So few pages left in the journal's WAL are moved by the heart itself, so that the WAL starts again from its beginning.
const WAL_REST_PAGES: u64 = 256;

/// What the keeper has been given and not yet done.
#[derive(Debug)]
pub(crate) struct MaintenanceState {
    /// Bytes appended to the journal since its WAL was moved into the file.
    pub appended: u64,
    /// Pages the last look found left in it.
    wal_pages: u64,
    slice: bool,
    run: bool,
    merge: bool,
    journal: bool,
    /// Few pages of the WAL are left, for whoever writes the journal next to move.
    pub wal_rest: bool,
    /// What speaks of entries that are under way to the disk: it must not be there before them.
    pub held: Vec<Task>,
}

impl Default for MaintenanceState {
    fn default() -> MaintenanceState {
        MaintenanceState {
            appended: 0,
            wal_pages: u64::MAX,
            slice: false,
            run: false,
            merge: false,
            journal: false,
            wal_rest: false,
            held: Vec::new(),
        }
    }
}

impl MaintenanceState {
    /// As much of the WAL is in the file as can be for now.
    fn wal_is_moved(&mut self) {
        (self.journal, self.appended, self.wal_pages) = (false, 0, u64::MAX);
    }

    fn busy(&self) -> bool {
        self.slice || self.run || self.merge || self.journal
    }
}

impl Core {
    /// Does a little of what keeps the next start short and memory small. To be called after every batch, and when the
    /// keeper nudges.
    ///
    /// # Errors
    /// When something could not be written; the next batch reads everything anew.
    pub fn maintain(&mut self) -> Result<(), Error> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let maintained = machine.maintain(&self.options);
        self.note(maintained)
    }

    /// Whether [`Heart::tend`] will have to wait for the keeper, which may itself wait for a flight.
    pub(crate) fn is_crowded(&self) -> bool {
        self.machine.as_ref().is_some_and(StateMachine::is_crowded)
    }

    /// Keeps everything that can be kept: the next start has nothing to replay.
    ///
    /// # Errors
    /// When something could not be written; the next batch reads everything anew.
    pub fn checkpoint_all(&mut self) -> Result<(), Error> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let persisted = machine.checkpoint_all(&self.options);
        self.note(persisted)
    }

    fn note(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        if let Err(error) = &result {
            self.machine = None;
            self.last_error = Some(error.clone());
        }
        result
    }
}

impl StateMachine {
    /// Whether the key index has to wait for the keeper before it takes more.
    pub(crate) fn is_crowded(&self) -> bool {
        self.index.is_crowded() && self.maintenance.run
    }

    /// Gives the keeper what speaks of entries: once all of them are on disk.
    fn give_after_entries(&mut self, task: Task) {
        if self.in_flight.is_some() {
            self.maintenance.held.push(task);
        } else {
            self.checkpointer.give(task);
        }
    }

    /// The place of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }

    pub(crate) fn maintain(&mut self, options: &CoreOptions) -> Result<(), Error> {
        if self.checkpointer.is_none() {
            return Ok(());
        }
        while let Some(done) = self.checkpointer.poll() {
            self.apply_done(done)?;
        }
        if self.in_flight.is_none() && std::mem::take(&mut self.maintenance.wal_rest) {
            self.journal.checkpoint()?;
        }
        // A replay that begins for the key index's sake may still be behind what is kept of the accounts.
        let unpersisted = self.last().saturating_sub(self.accounts_persisted_to);
        if !self.accounts.in_round() && unpersisted >= options.round_entries {
            self.accounts.begin_round(self.last());
        }
        self.give(options, false);
        if self.maintenance.appended >= options.wal_bytes && !self.maintenance.journal {
            self.maintenance.journal = true;
            self.checkpointer.give(Task::JournalCheckpoint);
        }
        while self.in_flight.is_none()
            && self.is_crowded()
            && let Some(done) = self.checkpointer.wait()
        {
            self.apply_done(done)?;
            self.give(options, false);
        }
        self.accounts.evict_idle(options.accounts_in_memory);
        Ok(())
    }

    fn give(&mut self, options: &CoreOptions, force: bool) {
        if !self.maintenance.slice
            && let Some(slice) = self.accounts.next_slice(options.slice_accounts)
        {
            self.maintenance.slice = true;
            self.give_after_entries(Task::Slice(slice));
        }
        if !self.maintenance.run
            && let Some((pairs, covers)) = self.index.freeze(self.next - 1, force)
        {
            self.maintenance.run = true;
            self.give_after_entries(Task::Run { pairs, covers });
        }
        if !self.maintenance.merge
            && let Some(heads) = self.index.to_merge()
        {
            self.maintenance.merge = true;
            self.checkpointer.give(Task::Merge(heads));
        }
    }

    fn apply_done(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Slice { accounts, persists_to } => {
                self.maintenance.slice = false;
                self.accounts.persisted(&accounts);
                if let Some(to) = persists_to {
                    self.accounts_persisted_to = to;
                }
            }
            Done::Run(run) => {
                self.maintenance.run = false;
                self.index.frozen_is_persisted(run);
            }
            Done::Merged(run) => {
                self.maintenance.merge = false;
                let dropped = self.index.merged(run);
                self.checkpointer.give(Task::Drop(dropped));
            }
            Done::JournalCheckpoint { left } if left <= WAL_REST_PAGES => {
                self.maintenance.wal_is_moved();
                self.maintenance.wal_rest = true;
            }
            Done::JournalCheckpoint { left } if left < self.maintenance.wal_pages / 2 => {
                self.maintenance.wal_pages = left;
                self.checkpointer.give(Task::JournalCheckpoint);
            }
            // A long read holds the rest: it is tried again when as much has been appended once more.
            Done::JournalCheckpoint { .. } => self.maintenance.wal_is_moved(),
            Done::Failed(error) => return Err(error),
        }
        Ok(())
    }

    pub(crate) fn checkpoint_all(&mut self, options: &CoreOptions) -> Result<(), Error> {
        if self.checkpointer.is_none() {
            return Ok(());
        }
        while self.accounts_persisted_to < self.last()
            || self.index.persisted_to() < self.last()
            || self.maintenance.busy()
        {
            if !self.accounts.in_round() && self.accounts_persisted_to < self.last() {
                self.accounts.begin_round(self.last());
            }
            self.give(options, true);
            if !self.maintenance.busy() {
                break;
            }
            let Some(done) = self.checkpointer.wait() else { break };
            self.apply_done(done)?;
        }
        self.journal.checkpoint()?;
        self.maintenance.appended = 0;
        Ok(())
    }
}
