//! The core of the embedded engine: deterministic, synchronous and single-threaded, driven step by
//! step.
//!
//! It decides commands by the rules of the ledger and appends their entries to the journal in one
//! database transaction. [`Core::run_batch`] returns answers only then. A caller of
//! [`Core::decide_batch`] holds the answers back until the append has succeeded. The simulator
//! drives the core directly; a server drives it from the writer thread (`threads`).
//!
//! Memory is a cache of the disk. When an append or a step of maintenance fails, all of memory (the
//! [`StateMachine`](state_machine::StateMachine)) is discarded and loaded again from disk, as after
//! a crash. While a batch is in flight, memory is kept until its result is known: what is loaded
//! must include it. A command whose invariant does not hold is undone alone, and its account is
//! rebuilt from its own entries.
//!
//! ```text
//! state_machine  load, decide, record, apply       lookup       entries by number, key and id
//! in_flight      entries that are not on disk      accounts     the accounts in memory
//! deadlines      when charges are timed out        ids          from an id to its entry
//! recovery       start, replay, import             maintenance  persist what is derived
//! queries        short reads                        delta        what the state file lacks
//! quarantine     accounts that are rebuilt          mending      damage of the files
//! texts          texts about a person         recent       the newest entries, in memory
//! ```
//!
//! Nothing here reads a clock, starts a thread, or knows the queue. The same commands, times and
//! directory id give the same bytes.

pub(crate) mod accounts;
mod closing;
pub(crate) mod deadlines;
pub(crate) mod delta;
pub(crate) mod ids;
pub(crate) mod in_flight;
pub(crate) mod lookup;
pub(crate) mod maintenance;
pub(crate) mod mending;
pub(crate) mod quarantine;
pub(crate) mod queries;
pub(crate) mod recent;
pub(crate) mod recovery;
pub(crate) mod state_machine;
pub(crate) mod texts;

use std::path::PathBuf;
use std::sync::Arc;

use tollkeeper_ledger::{Platform, Submission, Timestamp};

use self::in_flight::{Appender, InFlightBatch};
use self::state_machine::StateMachine;
use super::storage::checkpointer_handle::StartCheckpointer;
use super::storage::lock::DirectoryLock;
use super::storage::opened_files::OpenedFiles;
use crate::{CommandResult, EngineStats, Error, Ran};

/// How a core is opened. The defaults are for a server; a simulation sets small numbers, so that
/// everything happens often.
#[derive(Clone, Debug)]
pub struct CoreOptions {
    /// The name of a registered SQLite VFS; the system's when `None`.
    pub vfs: Option<String>,
    /// The same for the file of deliveries alone, which the core does not open.
    pub delivery_vfs: Option<String>,
    /// The id of a new data directory; random when `None`. It is also the key of the hash from
    /// which fingerprints and ids are made.
    pub directory_id: Option<[u8; 16]>,
    /// Unpersisted entries that begin a checkpoint round.
    pub round_entries: u64,
    /// Accounts in one chunk of a round.
    pub chunk_accounts: usize,
    /// Pairs of the key index that make a run.
    pub run_pairs: usize,
    /// Accounts in memory beyond which idle ones are evicted.
    pub accounts_in_memory: usize,
    /// Bytes of the newest entries that are kept in memory.
    pub recent_bytes: usize,
    /// Bytes appended to the journal after which its WAL is moved into the file.
    pub wal_bytes: u64,
    /// Open a journal that has lost acknowledged entries, and go on without them.
    pub accept_loss: bool,
}

impl Default for CoreOptions {
    fn default() -> CoreOptions {
        CoreOptions {
            vfs: None,
            delivery_vfs: None,
            directory_id: None,
            round_entries: 1_000_000,
            chunk_accounts: 256,
            run_pairs: super::storage::key_index::TABLE_PAIRS,
            accounts_in_memory: 131_072,
            recent_bytes: 1 << 20,
            wal_bytes: 32 << 20,
            accept_loss: false,
        }
    }
}

/// The embedded engine without its threads.
#[derive(Debug)]
pub struct Core {
    directory: PathBuf,
    options: CoreOptions,
    start_checkpointer: Box<dyn StartCheckpointer>,
    /// What was loaded from disk; `None` after a failure, until it is loaded again.
    machine: Option<StateMachine>,
    /// The last failure to write, until the disk takes writes again.
    last_error: Option<Error>,
    /// True between the beginning and the end of an append on another thread.
    in_flight: bool,
    /// A failure because of which memory is discarded as soon as no batch is in flight.
    postponed: Option<Error>,
    /// Damage of the state file, which is built again when everything is loaded next.
    state_damage: Option<Error>,
    /// The files that are open; `None` on a disk that is simulated.
    files: Option<OpenedFiles>,
    state_files_made: u64,
    journal_bytes: u64,
    commits: u64,
    commands: u64,
    /// Accounts that were rebuilt before memory was discarded last.
    accounts_rebuilt: u64,
    /// `None` if the directory is open for reading only. Dropped last: the directory is free when
    /// nothing here uses it any more.
    lock: Option<DirectoryLock>,
}

impl Core {
    /// Runs commands in order, each decided alone, all in one commit. One answer each, in order.
    ///
    /// # Errors
    /// When it is not known that the batch was committed. Then no command of the batch may be taken
    /// as run, and all may be sent again under the same keys. Also the error of the first command
    /// that is at fault; then the others were run.
    pub fn run_batch(&mut self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<CommandResult>, Error> {
        self.run_each(batch, now)?.into_iter().collect()
    }

    /// The same with a result for each command: one that is at fault is undone alone.
    ///
    /// # Errors
    /// When it is not known that the batch was committed.
    pub fn run_each(&mut self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<Ran>, Error> {
        let results = self.decide_each(batch, now)?;
        self.commit()?;
        Ok(results)
    }

    /// Decides commands in order, on top of what was decided before. No answer may be given before
    /// it is on disk.
    ///
    /// # Errors
    /// As [`Core::run_batch`].
    pub fn decide_batch(
        &mut self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> Result<Vec<CommandResult>, Error> {
        self.decide_each(batch, now)?.into_iter().collect()
    }

    /// The same with a result for each command: one that is at fault is undone alone.
    ///
    /// # Errors
    /// When the fault is not of a single command; then everything that was decided and is not on
    /// disk is discarded, or nothing was decided because the files have lost their names.
    pub fn decide_each(&mut self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<Ran>, Error> {
        let mut results = Vec::with_capacity(batch.len());
        self.decide(batch.into_iter().map(|submission| (submission, now)).collect(), &mut results)?;
        Ok(results)
    }

    /// The same, each command with its own `now` and its own result, which is added to `results`.
    ///
    /// # Errors
    /// When the fault is not of a single command; then everything that was decided and is not on
    /// disk is discarded, and `results` is of no use.
    pub(super) fn decide(
        &mut self,
        batch: Vec<(Submission, Timestamp)>,
        results: &mut Vec<Ran>,
    ) -> Result<(), Error> {
        let commands = batch.len() as u64;
        let machine = self.ensure_loaded_for_write()?;
        let decide = std::panic::AssertUnwindSafe(|| machine.decide_all(batch, results));
        let decided = std::panic::catch_unwind(decide);
        match decided.unwrap_or_else(|panic| Err(Error::panicked(&*panic))) {
            Ok(()) => {
                self.commands += commands;
                Ok(())
            }
            Err(error) => {
                let error = self.note_error(error);
                self.discard_memory(&error);
                Err(Error::unavailable(format!("the batch was undone: {error}")))
            }
        }
    }

    /// A second connection to the journal, which brings batches in flight to the disk, on any
    /// thread.
    ///
    /// # Errors
    /// When the journal cannot be opened once more.
    pub fn appender(&self) -> Result<Appender, Error> {
        Appender::open(&self.directory, self.options.vfs.as_deref(), self.files.clone())
    }

    /// Hands over what was decided, so that more can be decided while it is appended; `None` if
    /// nothing was recorded. Its result must be given to [`Core::append_finished`] before anything
    /// else is appended.
    pub fn begin_append(&mut self) -> Option<InFlightBatch> {
        let batch = self.machine.as_mut()?.begin_append();
        self.in_flight = batch.is_some();
        batch
    }

    /// Takes the result of the batch in flight. After a failure everything that is not on disk is
    /// discarded, also what was decided on top of the batch.
    pub fn append_finished(&mut self, result: &Result<(), Error>) {
        self.in_flight = false;
        let postponed = self.postponed.take();
        let Some(machine) = &mut self.machine else { return };
        match result {
            Ok(()) => {
                self.journal_bytes += machine.append_finished();
                self.commits += 1;
                // The callers have this error from the appender. Later commands find what was
                // appended in memory, and must not be acknowledged by it.
                if let Err(error) = self.check_files() {
                    self.note_missing_files(&error);
                }
            }
            Err(error) => self.discard_memory(error),
        }
        if let Some(error) = postponed {
            self.discard_memory(&error);
        }
    }

    /// Appends what was decided in one database transaction: when this returns, it is on disk.
    ///
    /// # Errors
    /// When it is not known to be on disk, also because memory was discarded since it was decided,
    /// or when its file has lost its name. In the first case it is discarded, and everything is
    /// loaded again before the next command.
    pub fn commit(&mut self) -> Result<(), Error> {
        let Some(machine) = &mut self.machine else { return Err(self.discarded()) };
        match machine.commit() {
            Ok(bytes) => {
                self.journal_bytes += bytes;
                self.commits += u64::from(bytes > 0);
                if bytes == 0 {
                    // What the answers rest on may be in a file that has lost its name.
                    return self.last_error.clone().map_or(Ok(()), Err);
                }
                self.check_files().inspect_err(|error| self.note_missing_files(error))
            }
            Err(error) => {
                self.discard_memory(&error);
                Err(error)
            }
        }
    }

    /// The error of what was decided on memory that is gone.
    fn discarded(&self) -> Error {
        let why = self.last_error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
        Error::unavailable(format!("what was decided is discarded{why}"))
    }

    /// Discards what is in memory, because it is ahead of the disk or wrong.
    fn discard_memory(&mut self, why: &Error) {
        self.accounts_rebuilt += self.machine.as_ref().map_or(0, |machine| machine.quarantine.rebuilt);
        tracing::error!(error = %why, hint = why.hint(), "memory is discarded and loaded again from disk");
        if let Some(files) = &mut self.files {
            files.close();
        }
        self.machine = None;
        self.last_error = Some(why.clone());
    }

    /// True if a failure was met and the disk has not taken a write since.
    pub(super) fn is_failed(&self) -> bool {
        self.lock.is_some() && self.last_error.is_some()
    }

    /// Tries to load everything again and to write, after a failure. No batch may be in flight.
    pub(super) fn recover(&mut self) -> Result<(), Error> {
        self.ensure_loaded_for_write().map(|_| ())
    }

    /// True if the directory is open for reading only.
    pub(super) fn is_read_only(&self) -> bool {
        self.lock.is_none()
    }

    /// Everything in memory counted, on disk or not. `queued` is not known here; what a discarded
    /// memory held is 0.
    pub(super) fn stats(&self) -> EngineStats {
        let stats = EngineStats {
            journal_bytes: self.journal_bytes,
            commits: self.commits,
            commands: self.commands,
            writable: self.lock.is_some() && self.last_error.is_none(),
            accounts_rebuilt: self.accounts_rebuilt,
            ..EngineStats::default()
        };
        let Some(machine) = &self.machine else { return stats };
        EngineStats {
            accounts_refused: machine.quarantine.len() as u64,
            accounts_rebuilt: self.accounts_rebuilt + machine.quarantine.rebuilt,
            entries: machine.last_seq(),
            accounts_in_memory: machine.accounts.in_memory() as u64,
            pending_charges: machine.deadlines.len() as u64,
            entries_to_replay: machine.last_seq().saturating_sub(machine.accounts_persisted_to),
            entries_decided_ahead: machine.decided_ahead,
            ..stats
        }
    }

    /// The time by which the newest entry was decided; `None` before the first.
    pub(super) fn last_entry_at(&mut self) -> Result<Option<Timestamp>, Error> {
        let machine = self.ensure_loaded()?;
        match machine.last_seq() {
            0 => Ok(None),
            last => machine.read(last, |stored| Ok(stored.entry()?.decided_at)),
        }
    }

    /// The price book and the platform keys, on disk or not; `None` while memory is discarded.
    pub(super) fn platform(&self) -> Option<Arc<Platform>> {
        self.machine.as_ref().map(|machine| Arc::clone(&machine.platform))
    }

    /// The sequence number of the last entry since the start that a subscriber may follow.
    pub(super) fn last_followed(&self) -> u64 {
        self.machine.as_ref().map_or(0, |machine| machine.last_followed)
    }

    /// How often an entry was read from the journal's file.
    #[cfg(test)]
    pub(crate) fn entries_read(&mut self) -> Result<i32, Error> {
        Ok(self.ensure_loaded()?.journal.reads())
    }

    /// The state machine, for an import.
    pub(super) fn machine_for_import(&mut self) -> Result<&mut StateMachine, Error> {
        self.ensure_loaded_for_write()
    }

    /// The number of entries, and of journals with at least one entry: one a workspace, and the
    /// platform's.
    pub(super) fn counts(&mut self) -> Result<(u64, u64), Error> {
        let machine = self.ensure_loaded()?;
        let platform_is_empty = !machine.accounts.get(0).account.exists();
        let journals = u64::from(machine.accounts.next_index()) - u64::from(platform_is_empty);
        Ok((machine.last_seq(), journals))
    }

    /// True between the beginning and the end of an import.
    pub(super) fn is_importing(&mut self) -> Result<bool, Error> {
        self.ensure_loaded()?.journal.is_importing()
    }

    /// Marks the beginning or the end of an import.
    pub(super) fn set_importing(&mut self, importing: bool) -> Result<(), Error> {
        self.ensure_loaded()?.journal.set_importing(importing)
    }
}
