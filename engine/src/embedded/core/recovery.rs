//! How a heart starts: opens the journal and the state file, loads what is kept, and replays the tail of the journal on
//! top. The same after a clean end, a crash, a failed commit, and the loss of the whole state file; only the length of
//! the tail differs.

use std::path::Path;
use std::sync::Arc;

use tollkeeper_ledger::{Entry, EntryBody, Platform};

use super::accounts::Accounts;
use super::state_machine::StateMachine;
use super::{Core, CoreOptions};
use crate::Error;
use crate::embedded::queue::WakeMaker;
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::checkpointer::{Checkpointer, CheckpointerLink};
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::key_index::{Fingerprints, KeyIndex};
use crate::embedded::storage::lock::DirectoryLock;
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::state_db::{self, State};
use crate::embedded::threads::checkpoint::CheckpointThread;

/// What a mind is made of before the replay.
pub(crate) struct Parts {
    pub journal: Journal,
    pub state: State,
    pub checkpointer: CheckpointerLink,
    pub accounts: Accounts,
    pub index: KeyIndex,
    pub fingerprints: Fingerprints,
    pub next: u64,
    pub accounts_persisted_to: u64,
}

impl Core {
    /// Opens (or makes) a data directory, holds it alone, and reads what is there.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when another process holds it or it cannot be written, [`Error::is_damaged`] when the
    /// journal is not what was written.
    pub fn open(directory: &Path, options: CoreOptions) -> Result<Core, Error> {
        Core::open_with(directory, options, WakeMaker::none())
    }

    /// Like [`Heart::open`]; with a nudge the keeper gets a thread of its own.
    pub(in crate::embedded) fn open_with(
        directory: &Path,
        options: CoreOptions,
        wake: WakeMaker,
    ) -> Result<Core, Error> {
        std::fs::create_dir_all(directory).map_err(|error| {
            Error::unusable(format!("{}: {error}", directory.display()))
                .with_hint("the directory must exist and be writable by this user")
        })?;
        let lock = DirectoryLock::take(directory)?;
        let mut core = Core::unloaded(directory, options, wake);
        core.lock = Some(lock);
        core.ensure_loaded()?;
        Ok(core)
    }

    /// Opens a data directory for reading, beside the process that holds it or without one.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when there is nothing to read, [`Error::is_damaged`] when it is not what was written.
    pub fn open_read_only(directory: &Path, options: CoreOptions) -> Result<Core, Error> {
        Core::open_read_only_with(directory, options).map(|(core, _)| core)
    }

    /// The same, and connections for a reader that hold the same state of the files as the heart.
    pub(crate) fn open_read_only_with(
        directory: &Path,
        options: CoreOptions,
    ) -> Result<(Core, (Journal, State)), Error> {
        journal::must_hold(directory)?;
        let mut core = Core::unloaded(directory, options, WakeMaker::none());
        let (machine, reading) = StateMachine::read_only(directory, &core.options)?;
        core.machine = Some(machine);
        Ok((core, reading))
    }

    fn unloaded(directory: &Path, options: CoreOptions, wake: WakeMaker) -> Core {
        let directory = directory.to_path_buf();
        Core {
            directory,
            options,
            lock: None,
            wake,
            machine: None,
            last_error: None,
            journal_bytes: 0,
            commits: 0,
            commands: 0,
        }
    }

    /// Reads everything anew if a failure made that necessary.
    pub(crate) fn ensure_loaded(&mut self) -> Result<&mut StateMachine, Error> {
        if self.machine.is_none() {
            self.machine = Some(StateMachine::open(&self.directory, &self.options, &self.wake)?);
        }
        Ok(self.machine.as_mut().expect("just read"))
    }

    /// The same, and makes sure that the disk takes writes again.
    pub(crate) fn ensure_loaded_for_write(&mut self) -> Result<&mut StateMachine, Error> {
        if self.lock.is_none() {
            return Err(Error::unavailable("the data directory is open for reading only"));
        }
        let troubled = self.last_error.is_some();
        let machine = self.ensure_loaded()?;
        if troubled {
            machine.journal.probe()?;
            self.last_error = None;
        }
        Ok(self.machine.as_mut().expect("just read"))
    }
}

impl StateMachine {
    fn open(directory: &Path, options: &CoreOptions, wake: &WakeMaker) -> Result<StateMachine, Error> {
        let vfs = options.vfs.as_deref();
        let journal = Journal::open(directory, vfs, Access::Create)?;
        let mut checkpointer = Checkpointer::open(directory, vfs)?;
        let mut state = State::open(directory, vfs, Access::Read)?;
        let last = journal.last()?;
        if is_ahead(&state, last)? {
            // A journal put back from a backup beside a younger state file: only the journal counts.
            drop((checkpointer, state));
            state_db::remove(directory)?;
            checkpointer = Checkpointer::open(directory, vfs)?;
            state = State::open(directory, vfs, Access::Read)?;
        }
        let checkpointer = match wake.make() {
            None => CheckpointerLink::Inline(Box::new(checkpointer), std::collections::VecDeque::new()),
            Some(wake) => {
                let thread = CheckpointThread::start(checkpointer, wake);
                CheckpointerLink::Thread(
                    thread.map_err(|error| Error::unavailable(format!("no thread: {error}")))?,
                )
            }
        };
        let reading = Journal::open(directory, vfs, Access::Read)?;
        StateMachine::assemble(journal, state, checkpointer, reading, options)
    }

    fn read_only(directory: &Path, options: &CoreOptions) -> Result<(StateMachine, (Journal, State)), Error> {
        let vfs = options.vfs.as_deref();
        // The state first: a journal read later holds everything that the state was derived from.
        let (state, twin) = held_twice(directory, vfs)?;
        let journal = || {
            let journal = Journal::open(directory, vfs, Access::Read)?;
            journal.hold()?;
            Ok::<Journal, Error>(journal)
        };
        let (own, walk, readers) = (journal()?, journal()?, journal()?);
        let machine = StateMachine::assemble(own, state, CheckpointerLink::None, walk, options)?;
        Ok((machine, (readers, twin)))
    }

    fn assemble(
        journal: Journal,
        state: State,
        checkpointer: CheckpointerLink,
        reading: Journal,
        options: &CoreOptions,
    ) -> Result<StateMachine, Error> {
        let fresh = || {
            options.directory_id.unwrap_or_else(|| {
                let mut id = [0; 16];
                getrandom::fill(&mut id).expect("the system gives random numbers");
                id
            })
        };
        let fingerprints = Fingerprints::new(journal.directory_id(fresh)?);
        let index = KeyIndex::new(state.runs()?, options.run_pairs);
        let accounts = Accounts::new(state.highest_index()?.map_or(0, |account_index| account_index + 1));
        let accounts_persisted_to = state.accounts_persisted_to()?;
        let from = index.persisted_to().min(accounts_persisted_to) + 1;
        let pending = state.pending()?;
        let parts = Parts {
            journal,
            state,
            checkpointer,
            accounts,
            index,
            fingerprints,
            next: from,
            accounts_persisted_to,
        };
        let mut machine = StateMachine::new(parts, options.refund_window_seconds);
        for (opened, _, deadline) in pending {
            machine.timers.set(opened, Some(deadline));
        }
        machine.accounts.admit_platform(&machine.state)?;
        machine.replay(&reading, from, options)?;
        machine.read_platform()?;
        Ok(machine)
    }

    fn replay(&mut self, journal: &Journal, from: u64, options: &CoreOptions) -> Result<(), Error> {
        let index_persisted_to = self.index.persisted_to();
        // Everything that is read meanwhile is on disk.
        self.tail_from = u64::MAX;
        journal.read_from(from, |stored| {
            let entry = stored.entry()?;
            if stored.envelope.seq > index_persisted_to {
                self.index_entry(&entry, stored.envelope, None);
            }
            self.replay_account(&entry, stored)?;
            self.next = stored.envelope.seq + 1;
            // A long replay must not gather all of history in memory.
            if stored.envelope.seq.is_multiple_of(4_096) {
                self.maintain(options)?;
            }
            Ok(())
        })?;
        self.tail_from = self.next;
        Ok(())
    }

    pub(crate) fn replay_account(&mut self, entry: &Entry, stored: Stored) -> Result<(), Error> {
        let account_index = stored.envelope.account_index;
        let damaged = |what: String| Error::damaged(format!("journal line {}: {what}", stored.envelope.seq));
        if self.accounts.load(account_index, &self.state)?.is_none() {
            let id = match &entry.body {
                EntryBody::WorkspaceCreated(profile) => profile.id.clone(),
                _ => return Err(damaged(format!("workspace {account_index} was never created"))),
            };
            if self.accounts.admit_new(id) != account_index {
                return Err(damaged(format!("workspace {account_index} is out of order")));
            }
        }
        let slot = self.accounts.get_mut(account_index);
        if entry.n <= slot.account.chain.n {
            // The account was kept after this entry.
            return Ok(());
        }
        for draw in entry.body.draws() {
            // A new grant that repays debt draws on itself, and is there by then.
            slot.load_grant(draw.grant, &self.state)?;
        }
        let replayed = slot.account.replay(entry, stored.hash());
        replayed.map_err(|disagreement| damaged(disagreement.to_string()))?;
        self.apply_derived(entry, stored.envelope);
        Ok(())
    }

    /// The price book and the platform keys, from the platform's own short journal.
    fn read_platform(&mut self) -> Result<(), Error> {
        let mut platform = Platform::default();
        let mut entries = Vec::new();
        let mut seq = self.accounts.load(0, &self.state)?.map_or(0, |slot| slot.head);
        while seq != 0 {
            let read = |stored: Stored| Ok((stored.entry()?, stored.envelope.previous));
            let Some((entry, previous)) = self.read(seq, read)? else {
                return Err(Error::damaged(format!("journal line {seq} is missing")));
            };
            entries.push(entry);
            seq = previous;
        }
        entries.iter().rev().for_each(|entry| platform.apply(entry));
        self.platform = Arc::new(platform);
        Ok(())
    }
}

fn is_ahead(state: &State, last: u64) -> Result<bool, Error> {
    let index_persisted_to = state.runs()?.last().map_or(0, |run| run.head.covers.1);
    Ok(state.accounts_persisted_to()? > last || index_persisted_to > last)
}

/// Two connections that hold the same state of the state file, while another process may be writing it.
fn held_twice(directory: &Path, vfs: Option<&str>) -> Result<(State, State), Error> {
    for _ in 0..100 {
        let (one, two) =
            (State::open(directory, vfs, Access::Read)?, State::open(directory, vfs, Access::Read)?);
        one.hold()?;
        two.hold()?;
        if one.changes()? == two.changes()? {
            return Ok((one, two));
        }
    }
    Err(Error::unavailable("the state file changes faster than it can be read"))
}
