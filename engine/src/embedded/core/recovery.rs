//! How the core starts: it opens the journal and the state file, loads what is persisted, and
//! replays the rest of the journal on top. The same replay verifies the entries of an import.
//!
//! A start after a clean end, after a crash, after a failed commit, and after the loss of the whole
//! state file is the same; only the number of entries to replay differs. An entry that does not
//! follow from those before it is [`Error::is_damaged`].

use std::path::Path;
use std::sync::Arc;

use tollkeeper_ledger::{
    ChainEnd, Charge, ChargeId, ChargeState, Entry, EntryBody, Hash, PersonalText, Platform, WorkspaceId,
};

use super::accounts::Accounts;
use super::mending::{find_loss, refuse_loss, refuse_lost_entries, refuse_missing};
use super::state_machine::{Parts, StateMachine};
use super::{Core, CoreOptions};
use crate::Error;
use crate::audit::life_disagrees;
use crate::embedded::storage::block::{EntryHeader, Stored};
use crate::embedded::storage::checkpointer::Checkpointer;
use crate::embedded::storage::checkpointer_handle::{StartCheckpointer, StartInline};
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::key_index::{Fingerprints, KeyIndex};
use crate::embedded::storage::lock::DirectoryLock;
use crate::embedded::storage::maintenance_state::MaintenanceState;
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::state_db::{self, StateFile};
use crate::embedded::storage::state_rows::Awaits;
use crate::embedded::storage::{files, missing_note, opened_files};

/// Entries after which a long replay does a step of maintenance, so that memory does not gather all
/// of history.
const REPLAY_STEP: u64 = 4_096;

/// How often two connections are opened until both have the same snapshot of the state file.
const SNAPSHOT_ATTEMPTS: u32 = 100;

/// Connections for a reader. The state file shows the same accounts as the core's. The journal's
/// snapshot is later and may hold more entries.
#[derive(Debug)]
pub(crate) struct SnapshotFiles {
    pub journal: Journal,
    pub state: StateFile,
}

impl Core {
    /// Opens (or makes) a data directory, holds it alone, and loads what is there. The checkpointer
    /// runs in the caller's thread.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when another process holds it or it cannot be written,
    /// [`Error::is_damaged`] when the journal is not what was written.
    pub fn open(directory: &Path, options: CoreOptions) -> Result<Core, Error> {
        Core::open_with(directory, options, Box::new(StartInline))
    }

    /// The same with a checkpointer that is started by `start_checkpointer`.
    pub(in crate::embedded) fn open_with(
        directory: &Path,
        options: CoreOptions,
        start_checkpointer: Box<dyn StartCheckpointer>,
    ) -> Result<Core, Error> {
        refuse_missing(directory)?;
        files::create_directory(directory).map_err(|error| {
            Error::unusable(format!("{}: {error}", directory.display()))
                .with_hint("the directory must exist and be writable by this user")
        })?;
        let lock = DirectoryLock::take(directory)?;
        refuse_loss(directory, &options)?;
        let mut core = Core::unloaded(directory, options, start_checkpointer);
        core.lock = Some(lock);
        core.ensure_loaded()?;
        missing_note::remove(directory);
        opened_files::warn_of_wide_rights(directory);
        core.log_head("opened");
        Ok(core)
    }

    /// Opens a data directory for reading, beside the process that holds it or without one.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when there is nothing to read, [`Error::is_damaged`] when it is not
    /// what was written.
    pub fn open_read_only(directory: &Path, options: CoreOptions) -> Result<Core, Error> {
        Core::open_read_only_with_files(directory, options).map(|(core, _)| core)
    }

    /// The same, and connections for a reader on the same snapshot of the files.
    pub(in crate::embedded) fn open_read_only_with_files(
        directory: &Path,
        options: CoreOptions,
    ) -> Result<(Core, SnapshotFiles), Error> {
        if let Some(loss) = find_loss(directory)? {
            return Err(loss);
        }
        journal::must_hold(directory)?;
        let mut core = Core::unloaded(directory, options, Box::new(StartInline));
        let (machine, files) = StateMachine::read_only(directory, &core.options)?;
        core.machine = Some(machine);
        Ok((core, files))
    }

    fn unloaded(
        directory: &Path,
        options: CoreOptions,
        start_checkpointer: Box<dyn StartCheckpointer>,
    ) -> Core {
        Core {
            directory: directory.to_path_buf(),
            options,
            start_checkpointer,
            machine: None,
            last_error: None,
            in_flight: false,
            postponed: None,
            state_damage: None,
            files: None,
            state_files_made: 0,
            journal_bytes: 0,
            commits: 0,
            commands: 0,
            accounts_rebuilt: 0,
            lock: None,
        }
    }

    /// Loads everything from disk, if a failure has discarded what was in memory.
    pub(super) fn ensure_loaded(&mut self) -> Result<&mut StateMachine, Error> {
        if self.machine.is_none() {
            assert!(!self.in_flight, "what is loaded includes the batch in flight");
            self.machine = Some(self.load()?);
        }
        Ok(self.machine.as_mut().expect("it was just loaded"))
    }

    /// The same, and makes sure that the disk takes writes again after a failure.
    pub(super) fn ensure_loaded_for_write(&mut self) -> Result<&mut StateMachine, Error> {
        if self.lock.is_none() {
            return Err(Error::unavailable("the data directory is open for reading only"));
        }
        let failed = self.last_error.is_some();
        if failed {
            self.check_files()?;
        }
        let machine = self.ensure_loaded()?;
        if failed {
            machine.journal.check_writable()?;
            self.last_error = None;
            missing_note::remove(&self.directory);
        }
        Ok(self.machine.as_mut().expect("it was just loaded"))
    }
}

impl StateMachine {
    pub(super) fn open(
        directory: &Path,
        options: &CoreOptions,
        start_checkpointer: &dyn StartCheckpointer,
    ) -> Result<StateMachine, Error> {
        let vfs = options.vfs.as_deref();
        let journal = Journal::open(directory, vfs, Access::Create)?;
        let directory_id = journal.directory_id(|| new_directory_id(options))?;
        refuse_lost_entries(directory, &journal, options)?;
        let checkpointer = Checkpointer::open(directory, vfs, directory_id)?;
        let state = StateFile::open(directory, vfs, Access::Read)?;
        let mut maintenance = MaintenanceState::new(Some(start_checkpointer.start(checkpointer)?));
        if journal.is_erasing()? {
            maintenance.note_erasure();
        }
        let replayed = Journal::open(directory, vfs, Access::Read)?;
        StateMachine::load_and_replay((journal, state), maintenance, &replayed, options)
    }

    fn read_only(directory: &Path, options: &CoreOptions) -> Result<(StateMachine, SnapshotFiles), Error> {
        let vfs = options.vfs.as_deref();
        // The state file first: a journal that is read later holds all entries that it derives
        // from.
        let (state, reader_state) = same_snapshot_twice(directory, vfs)?;
        let open_snapshot = || {
            let journal = Journal::open(directory, vfs, Access::Read)?;
            journal.begin_snapshot()?;
            Ok::<Journal, Error>(journal)
        };
        let (journal, replayed) = (open_snapshot()?, open_snapshot()?);
        if let Some(what) = state_db::missing_entries(&state.meta()?, &journal)? {
            return Err(state_db::lost_journal(directory, &what));
        }
        let files = SnapshotFiles { journal: open_snapshot()?, state: reader_state };
        let maintenance = MaintenanceState::new(None);
        let machine = StateMachine::load_and_replay((journal, state), maintenance, &replayed, options)?;
        Ok((machine, files))
    }

    fn load_and_replay(
        (journal, state): (Journal, StateFile),
        maintenance: MaintenanceState,
        replayed: &Journal,
        options: &CoreOptions,
    ) -> Result<StateMachine, Error> {
        let fingerprints = Fingerprints::new(journal.directory_id(|| new_directory_id(options))?);
        let meta = state.meta()?;
        state.check_highest_index(&meta)?;
        let index = KeyIndex::new(state.runs(&meta)?, options.run_pairs);
        let accounts = Accounts::new(meta.highest_index.map_or(0, |index| index + 1));
        let accounts_persisted_to = meta.accounts_persisted_to;
        let from = index.persisted_to().min(accounts_persisted_to) + 1;
        let pending = state.pending(&meta)?;
        let mut machine = StateMachine::new(Parts {
            journal,
            state,
            accounts,
            index,
            fingerprints,
            maintenance,
            next_seq: from,
            accounts_persisted_to,
            recent_bytes: options.recent_bytes,
        });
        for (awaits, account_index, deadline) in pending {
            match awaits {
                Awaits::Charge(opening_seq) => machine.deadlines.set(opening_seq, Some(deadline)),
                Awaits::Payments => machine.due_payments.set(u64::from(account_index), Some(deadline)),
            }
        }
        machine.accounts.add_platform(&machine.state)?;
        machine.replay(replayed, from, options)?;
        machine.load_platform()?;
        Ok(machine)
    }

    fn replay(&mut self, journal: &Journal, from: u64, options: &CoreOptions) -> Result<(), Error> {
        let index_persisted_to = self.index.persisted_to();
        journal.read_from(from, |stored| {
            let seq = stored.header.seq;
            if seq != self.next_seq {
                return Err(Error::damaged(format!(
                    "journal entry {} is missing; {seq} follows",
                    self.next_seq
                )));
            }
            let entry = stored.entry()?;
            if seq > index_persisted_to {
                self.index_entry(&entry, stored.header, None);
            }
            self.replay_account(&entry, stored)?;
            self.next_seq = seq + 1;
            if seq.is_multiple_of(REPLAY_STEP) {
                self.maintain(options)?;
            }
            Ok(())
        })?;
        self.uncommitted.start_at(self.next_seq);
        Ok(())
    }

    /// Verifies an entry against its account and applies it, unless the account was persisted after
    /// it.
    fn replay_account(&mut self, entry: &Entry, stored: Stored) -> Result<(), Error> {
        let index = stored.header.account_index;
        let damaged = |what: String| Error::damaged(format!("journal entry {}: {what}", stored.header.seq));
        if self.accounts.load(index, &self.state)?.is_none() {
            let id = match &entry.body {
                EntryBody::WorkspaceCreated(profile) => profile.id.clone(),
                _ => {
                    return Err(damaged(format!(
                        "the workspace with account index {index} was never created"
                    )));
                }
            };
            if self.accounts.next_index() != index {
                return Err(damaged(format!("the workspace with account index {index} is out of order")));
            }
            self.accounts.admit_new(id);
        }
        let slot = self.accounts.get_mut(index);
        if entry.n <= slot.account.chain.n {
            return Ok(());
        }
        if !slot.is_compared {
            self.compare_chain_end(index)?;
        }
        let slot = self.accounts.get_mut(index);
        for draw in entry.body.draws() {
            // A new grant that repays debt draws on itself; it is not in the state file, but in
            // memory by then.
            slot.load_grant(draw.grant, &self.state)?;
        }
        let replayed = slot.account.replay(entry, stored.hash());
        replayed.map_err(|disagreement| damaged(disagreement.to_string()))?;
        self.apply_derived(entry, stored.header);
        Ok(())
    }

    /// Loads the platform from its own chain, which is short.
    fn load_platform(&mut self) -> Result<(), Error> {
        let mut platform = Platform::default();
        let entries = self.platform_chain(|stored| stored.entry())?;
        for entry in &entries {
            let applied = platform.apply(entry);
            applied.map_err(|violation| Error::damaged(format!("the platform's journal: {violation}")))?;
        }
        self.platform = Arc::new(platform);
        Ok(())
    }

    /// Something of each entry of the platform's own chain, oldest first.
    fn platform_chain<T>(&mut self, read: impl Fn(&Stored) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let mut chain = Vec::new();
        let mut seq = self.accounts.load(0, &self.state)?.map_or(0, |slot| slot.head);
        while seq != 0 {
            let found = self.read(seq, |stored| Ok((read(&stored)?, stored.header.previous)))?;
            let missing = || Error::damaged(format!("journal entry {seq} is missing"));
            let (value, previous) = found.ok_or_else(missing)?;
            chain.push(value);
            seq = previous;
        }
        chain.reverse();
        Ok(chain)
    }

    /// The hashes of the platform's own entries, oldest first.
    pub(in crate::embedded) fn platform_hashes(&mut self) -> Result<Vec<Hash>, Error> {
        self.platform_chain(|stored| Ok(stored.hash()))
    }

    /// The end of a workspace's hash chain; the default for a workspace that does not exist.
    pub(in crate::embedded) fn chain_of(&mut self, workspace: &WorkspaceId) -> Result<ChainEnd, Error> {
        let index = self.resolve(workspace)?;
        Ok(index.map(|index| self.accounts.get(index).account.chain).unwrap_or_default())
    }

    /// Verifies an entry of an imported ledger and makes it the next of the journal, byte for byte
    /// as it was, with the texts that it names. It is on disk after the next commit.
    pub(in crate::embedded) fn import_entry(
        &mut self,
        workspace: &WorkspaceId,
        entry: &Entry,
        (bytes, texts): (&[u8], &[PersonalText]),
    ) -> Result<(), Error> {
        let index = match self.resolve(workspace)? {
            Some(index) => index,
            None => {
                let creates =
                    matches!(&entry.body, EntryBody::WorkspaceCreated(profile) if profile.id == *workspace);
                if !creates {
                    return Err(Error::damaged(format!("workspace {workspace} was never created")));
                }
                self.accounts.next_index()
            }
        };
        let opening_seq = match entry.body.charge() {
            Some((id, Some(n))) => {
                let located =
                    self.find_charge(index, id)?.filter(|located| located.charge.opening_entry == n);
                let located =
                    located.ok_or_else(|| Error::damaged(format!("charge {id} was never opened")))?;
                let Charge { details, state, .. } = &located.charge;
                let state = self.state_within_change(index, id)?.unwrap_or(*state);
                if let Some(what) = life_disagrees(entry, (id, details.amount), state) {
                    return Err(Error::damaged(what));
                }
                located.opening_seq
            }
            _ => 0,
        };
        let previous = self.accounts.load(index, &self.state)?.map_or(0, |slot| slot.head);
        if let Some(grant) = entry.body.lost_grant().filter(|_| previous > 0) {
            // What is lost of it is compared with what it brought, also if it is spent.
            let n = self.grant_number(index, grant)?;
            let n = n.ok_or_else(|| Error::damaged(format!("grant {grant} was never made")))?;
            self.accounts.get_mut(index).load_grant(n, &self.state)?;
        }
        let header = EntryHeader { seq: self.next_seq, account_index: index, previous, opening_seq };
        self.apply_to_platform(entry, header)?;
        self.replay_account(entry, Stored { header, bytes })?;
        self.index_entry(entry, header, None);
        self.uncommitted.begin_entry(&header).extend_from_slice(bytes);
        self.import_texts(&entry.body, header, texts);
        Ok(())
    }
}

impl StateMachine {
    /// The state of a charge that the last entry of its workspace is about. A partly used charge is
    /// refunded and then settled, in one change. Between the two entries it is pending and partly
    /// refunded, which a look-up does not find. What becomes of the credit at once, such as a
    /// repayment of debt, stands between them.
    fn state_within_change(&mut self, index: u32, id: ChargeId) -> Result<Option<ChargeState>, Error> {
        let Some(mut seq) = self.accounts.load(index, &self.state)?.map(|slot| slot.head) else {
            return Ok(None);
        };
        while seq > 0 {
            let found = self.read(seq, |stored| Ok((stored.entry()?, stored.header.previous)))?;
            let Some((entry, previous)) = found else { return Ok(None) };
            if !entry.body.only_follows() {
                let is_about = entry.body.charge().is_some_and(|(charge, _)| charge == id);
                return Ok(entry.body.state().filter(|_| is_about));
            }
            assert!(previous < seq, "a chain leads back");
            seq = previous;
        }
        Ok(None)
    }
}

/// The id of a directory that has none yet.
fn new_directory_id(options: &CoreOptions) -> [u8; 16] {
    options.directory_id.unwrap_or_else(|| {
        let mut id = [0; 16];
        getrandom::fill(&mut id).expect("the system has random numbers");
        id
    })
}

/// Two connections on the same snapshot of the state file, while another process may be writing it.
fn same_snapshot_twice(directory: &Path, vfs: Option<&str>) -> Result<(StateFile, StateFile), Error> {
    for _ in 0..SNAPSHOT_ATTEMPTS {
        let one = StateFile::open(directory, vfs, Access::Read)?;
        let other = StateFile::open(directory, vfs, Access::Read)?;
        one.begin_snapshot()?;
        other.begin_snapshot()?;
        if one.meta()? == other.meta()? {
            return Ok((one, other));
        }
    }
    Err(Error::unavailable("the state file changes faster than it can be read"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use crate::embedded::storage::checkpoint_task::{Task, TaskResult};
    use crate::embedded::storage::checkpointer_handle::CheckpointerHandle;

    use super::*;

    /// A checkpointer that looks at the lock of its directory when it ends.
    #[derive(Debug)]
    struct Looking {
        checkpointer: Box<dyn CheckpointerHandle>,
        directory: PathBuf,
        was_locked: Arc<AtomicBool>,
    }

    impl CheckpointerHandle for Looking {
        fn submit(&mut self, task: Task) {
            self.checkpointer.submit(task);
        }

        fn poll(&mut self) -> Option<TaskResult> {
            self.checkpointer.poll()
        }

        fn wait(&mut self) -> Option<TaskResult> {
            self.checkpointer.wait()
        }
    }

    impl Drop for Looking {
        fn drop(&mut self) {
            self.was_locked.store(DirectoryLock::take(&self.directory).is_err(), Relaxed);
        }
    }

    #[derive(Debug)]
    struct StartLooking(PathBuf, Arc<AtomicBool>);

    impl StartCheckpointer for StartLooking {
        fn start(&self, checkpointer: Checkpointer) -> Result<Box<dyn CheckpointerHandle>, Error> {
            let checkpointer = StartInline.start(checkpointer)?;
            let (directory, was_locked) = (self.0.clone(), Arc::clone(&self.1));
            Ok(Box::new(Looking { checkpointer, directory, was_locked }))
        }
    }

    #[test]
    fn a_directory_is_locked_until_the_checkpointer_has_ended() {
        let scratch = tempfile::tempdir().expect("a directory");
        let was_locked = Arc::new(AtomicBool::new(false));
        let start = Box::new(StartLooking(scratch.path().to_path_buf(), Arc::clone(&was_locked)));
        let core = Core::open_with(scratch.path(), CoreOptions::default(), start).expect("it opens");
        drop(core);
        assert!(was_locked.load(Relaxed), "another process could have opened the files");
        DirectoryLock::take(scratch.path()).expect("the directory is free");
    }
}
