//! Maintenance between batches: persists what is derived, in small steps, so that the next start is
//! short and memory small.
//!
//! Checkpoint rounds over the dirty accounts, runs of the key index and their merges, the journal's
//! WAL, eviction of idle accounts. The checkpointer does the writing; the connections that append
//! move the rest of the journal's WAL. This file decides what it gets, and applies its results.
//!
//! Invariant: nothing that derives from an entry is written before the entry is on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::state_machine::StateMachine;
use super::{Core, CoreOptions};
use crate::Error;
use crate::embedded::storage::checkpoint_task::{AccountChunk, Task, TaskResult};
use crate::embedded::storage::state_meta::KnownEntry;

impl Core {
    /// Does a small step of maintenance. To be called after every batch, and when the checkpointer
    /// has finished a task. Everything that was decided must be on disk or in flight.
    ///
    /// # Errors
    /// When something could not be written; the next batch then loads everything again.
    pub fn maintain(&mut self) -> Result<(), Error> {
        if self.postponed.is_some() {
            return Ok(());
        }
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let damage = self.state_damage.clone();
        let maintain = AssertUnwindSafe(|| match damage {
            Some(damage) => Err(damage),
            None => {
                machine.repair();
                machine.maintain(&self.options)
            }
        });
        let maintained = catch_unwind(maintain).unwrap_or_else(|panic| Err(Error::panicked(&*panic)));
        self.check_maintained(maintained)
    }

    /// True if [`Core::maintain`] has an account to rebuild.
    pub(crate) fn is_repairing(&self) -> bool {
        self.machine.as_ref().is_some_and(StateMachine::is_repairing)
    }

    /// True if [`Core::maintain`] has to wait for the checkpointer, which may itself wait for the
    /// batch in flight.
    pub(crate) fn must_wait(&self) -> bool {
        self.machine.as_ref().is_some_and(StateMachine::must_wait)
    }

    /// Persists everything, so that the next start has nothing to replay. No batch may be in
    /// flight.
    ///
    /// # Errors
    /// When something could not be written; the next batch then loads everything again.
    pub fn checkpoint_all(&mut self) -> Result<(), Error> {
        if let Some(machine) = &mut self.machine
            && self.state_damage.is_none()
        {
            let persist = AssertUnwindSafe(|| machine.checkpoint_all(&self.options));
            let persisted = catch_unwind(persist).unwrap_or_else(|panic| Err(Error::panicked(&*panic)));
            let checked = self.check_maintained(persisted);
            if self.state_damage.is_none() {
                return checked;
            }
        }
        // The next start builds a damaged state file again from the journal, which is whole.
        if self.state_damage.is_some() {
            self.machine = None;
        }
        self.set_damaged_state_aside()
    }

    fn check_maintained(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        let result = result.map_err(|error| self.note_error(error));
        if let Err(error) = &result {
            if self.in_flight {
                // What is loaded again must include the batch in flight.
                self.postponed.get_or_insert_with(|| error.clone());
            } else {
                self.discard_memory(error);
            }
        }
        result
    }
}

impl StateMachine {
    /// True if no more is to be decided before the checkpointer has written something: the frozen
    /// table of the key index, or rows of an account that has too many.
    fn must_wait(&self) -> bool {
        let waits_for_run = self.index.is_overfull() && self.maintenance.is_writing_run();
        waits_for_run || (self.maintenance.is_writing_chunk() && self.accounts.is_overfull())
    }

    pub(super) fn maintain(&mut self, options: &CoreOptions) -> Result<(), Error> {
        if self.maintenance.is_read_only() {
            return Ok(());
        }
        while let Some(done) = self.maintenance.poll() {
            self.apply_result(done)?;
        }
        if !self.uncommitted.is_in_flight() && self.maintenance.take_wal_remainder() {
            self.journal.wal_checkpoint()?;
        }
        // A replay that begins early for the key index may still be behind what is persisted of the
        // accounts.
        let from = self.accounts_persisted_to.max(self.accounts.last_round_began());
        let unpersisted = self.last_seq().saturating_sub(from);
        if !self.accounts.in_round() && unpersisted >= options.round_entries {
            self.accounts.begin_round(self.last_seq());
        }
        self.submit_tasks(options, false)?;
        self.maintenance.request_wal_checkpoint(options.wal_bytes);
        if !self.uncommitted.is_in_flight() {
            self.maintenance.request_empty_wal();
        }
        while !self.uncommitted.is_in_flight()
            && self.must_wait()
            && let Some(done) = self.maintenance.wait()
        {
            self.apply_result(done)?;
            self.submit_tasks(options, false)?;
        }
        self.accounts.evict_idle(options.accounts_in_memory);
        Ok(())
    }

    /// Gives the checkpointer the next task of each kind that is due. `force`: write a run even if
    /// the table is not full.
    fn submit_tasks(&mut self, options: &CoreOptions, force: bool) -> Result<(), Error> {
        let in_flight = self.uncommitted.is_in_flight();
        if !self.maintenance.is_writing_chunk()
            && let Some(chunk) = self.accounts.next_chunk(options.chunk_accounts)
        {
            let chunk = AccountChunk { known: self.last_entry()?, ..chunk };
            self.maintenance.submit_derived(Task::Chunk(chunk), in_flight);
        }
        if !self.maintenance.is_writing_run()
            && let Some((pairs, covers)) = self.index.freeze(self.next_seq - 1, force)
        {
            let known = self.last_entry()?;
            self.maintenance.submit_derived(Task::Run { pairs, covers, known }, in_flight);
        }
        if !self.maintenance.is_merging()
            && let Some(heads) = self.index.to_merge()
        {
            self.maintenance.submit(Task::Merge(heads));
        }
        Ok(())
    }

    /// The last entry, which the state file names once it derives from it.
    pub(super) fn last_entry(&self) -> Result<KnownEntry, Error> {
        let seq = self.last_seq();
        match seq {
            0 => Ok(KnownEntry::default()),
            _ => self.read_existing(seq, |stored| Ok(KnownEntry { seq, hash: stored.hash() })),
        }
    }

    fn apply_result(&mut self, done: TaskResult) -> Result<(), Error> {
        match done {
            TaskResult::Chunk { accounts, persists_to } => {
                self.accounts.mark_persisted(&accounts);
                if let Some(to) = persists_to {
                    assert!(to <= self.last_seq(), "a checkpoint is never ahead of the last entry");
                    assert!(to >= self.accounts_persisted_to, "a checkpoint never goes back");
                    self.accounts_persisted_to = to;
                }
            }
            TaskResult::Run(run) => {
                assert!(run.head.covers.last <= self.last_seq(), "a run is never ahead of the last entry");
                self.index.frozen_is_persisted(run);
            }
            TaskResult::Merged(run) => {
                let sources = self.index.merged(run);
                self.maintenance.submit(Task::DeleteRuns(sources));
            }
            TaskResult::DaysClosed(slice) => self.closing.note(slice),
            TaskResult::WalCheckpoint { left } => self.maintenance.wal_checkpointed(left),
            TaskResult::WalEmptied(false) => {}
            TaskResult::WalEmptied(true) => {
                if self.maintenance.wal_emptied() {
                    self.journal.end_erasure()?;
                }
            }
            TaskResult::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn checkpoint_all(&mut self, options: &CoreOptions) -> Result<(), Error> {
        if self.maintenance.is_read_only() {
            return Ok(());
        }
        assert!(
            !self.uncommitted.is_in_flight() && !self.uncommitted.has_decided(),
            "everything is on disk before everything is persisted"
        );
        while self.repair() {}
        let mut begun = false;
        loop {
            if !self.accounts.in_round() && self.accounts_persisted_to < self.last_seq() && !begun {
                self.accounts.begin_round(self.last_seq());
                begun = true;
            }
            if !self.accounts.in_round()
                && self.index.persisted_to() == self.last_seq()
                && !self.maintenance.is_busy()
            {
                break;
            }
            self.submit_tasks(options, true)?;
            if !self.maintenance.is_busy() {
                break;
            }
            let Some(done) = self.maintenance.wait() else { break };
            self.apply_result(done)?;
        }
        // A clean end leaves no WAL: a damaged WAL could be taken for a torn write.
        if self.journal.empty_wal()? && self.maintenance.is_erasing() {
            self.journal.end_erasure()?;
            self.journal.empty_wal()?;
            self.maintenance.end_erasures();
        }
        self.maintenance.wal_was_moved();
        Ok(())
    }
}
