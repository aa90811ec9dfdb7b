//! The heart of the embedded engine: synchronous, single-threaded, driven step by step. It has commands decided
//! ([`Heart::run_batch`]), appends what was decided to the journal in one database transaction, and only then answers.
//!
//! Memory holds the working set; the journal is the truth. When an append fails, or an invariant does not hold, all of
//! memory (the `mind`) is thrown away and read anew from disk, as after a crash: there is no other way back. Keeping
//! derived state ([`Heart::tend`]) goes on between batches in small steps and never makes one wait.
//!
//! How a command is decided is in `mind`; the queue and the thread around the heart are in `shell` and `writer`; how it
//! starts is in `recover`; what it reads for others in `reads`.

pub(crate) mod accounts;
pub(crate) mod ids;
pub(crate) mod in_flight;
pub(crate) mod maintenance;
pub(crate) mod queries;
pub(crate) mod recovery;
pub(crate) mod state_machine;
pub(crate) mod timers;

use std::path::PathBuf;

use tollkeeper_ledger::{Submission, Timestamp};

use self::in_flight::{Appender, InFlightBatch};
use self::state_machine::StateMachine;
use super::storage::lock::DirectoryLock;
use crate::{CommandResult, Error};

/// How a heart is opened. The defaults are for a server; a simulation sets the rest.
#[derive(Clone, Debug)]
pub struct CoreOptions {
    /// For how long after its birth a settled charge may be refunded by a late system failure.
    pub refund_window_seconds: i64,
    /// A registered SQLite VFS instead of the system's.
    pub vfs: Option<String>,
    /// The number a new data directory is given, instead of a random one: with it, same commands, same bytes.
    pub directory_id: Option<[u8; 16]>,
    /// Entries since the last round of keeping that begin the next one.
    pub round_entries: u64,
    /// Accounts that are kept in one step.
    pub slice_accounts: usize,
    /// Pairs of the key index that make a run.
    pub run_pairs: usize,
    /// Accounts in memory beyond which idle ones are let go.
    pub accounts_in_memory: usize,
    /// Bytes appended to the journal after which its WAL is moved into the file.
    pub wal_bytes: u64,
}

impl Default for CoreOptions {
    fn default() -> CoreOptions {
        CoreOptions {
            refund_window_seconds: tollkeeper_ledger::bounds::REFUND_WINDOW_DEFAULT_SECONDS,
            vfs: None,
            directory_id: None,
            round_entries: 1_000_000,
            slice_accounts: 256,
            run_pairs: super::storage::key_index::TABLE_PAIRS,
            accounts_in_memory: 131_072,
            wal_bytes: 32 << 20,
        }
    }
}

/// The heart.
#[derive(Debug)]
pub struct Core {
    pub(super) directory: PathBuf,
    pub(super) options: CoreOptions,
    pub(super) lock: Option<DirectoryLock>,
    pub(super) wake: super::queue::WakeMaker,
    /// What was read from disk; `None` after a failure, until it is read anew.
    pub(super) machine: Option<StateMachine>,
    /// What made the last reading anew necessary, until it succeeds.
    pub(super) last_error: Option<Error>,
    pub(super) journal_bytes: u64,
    pub(super) commits: u64,
    pub(super) commands: u64,
}

/// A failure of a batch, and the command at fault if one is.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: Error,
    pub culprit: Option<usize>,
}

impl Core {
    /// Runs commands in order, each decided alone, all in one commit. One answer each, in order.
    ///
    /// # Errors
    /// When nothing could be committed ([`Error::is_unavailable`]) or an invariant did not hold ([`Error::is_bug`]); no
    /// command of the batch may then be taken as run, and all may be asked again under the same keys.
    pub fn run_batch(&mut self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<CommandResult>, Error> {
        let answers = self.decide_batch(batch, now)?;
        self.commit()?;
        Ok(answers)
    }

    /// Decides commands in order, on top of what was decided before. Nobody may be answered before it is on disk.
    ///
    /// # Errors
    /// As [`Heart::run_batch`]; everything that was decided and is not on disk is forgotten then.
    pub fn decide_batch(
        &mut self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> Result<Vec<CommandResult>, Error> {
        let batch = batch.into_iter().map(|submission| (submission, now)).collect();
        self.decide(batch).map_err(|failure| failure.error)
    }

    /// Decides commands in order, each with its own now, on top of what was decided and not yet committed.
    pub(super) fn decide(
        &mut self,
        batch: Vec<(Submission, Timestamp)>,
    ) -> Result<Vec<CommandResult>, Failure> {
        self.ensure_loaded_for_write().map_err(|error| Failure { error, culprit: None })?;
        let commands = batch.len() as u64;
        let mut at = 0;
        let machine = self.machine.as_mut().expect("wake has read it");
        let run =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| machine.decide_all(batch, &mut at)));
        let failure = match run {
            Ok(Ok(answers)) => {
                self.commands += commands;
                return Ok(answers);
            }
            Ok(Err(error)) => Failure { error, culprit: None },
            Err(panic) => {
                let what = panic.downcast_ref::<String>().cloned();
                let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let what = what.unwrap_or_else(|| "an invariant did not hold".to_owned());
                Failure { error: Error::bug(what), culprit: Some(at) }
            }
        };
        self.discard_memory(&failure.error);
        Err(failure)
    }

    /// Someone who brings to the disk what [`Heart::take_off`] hands over, on any thread.
    ///
    /// # Errors
    /// When the journal cannot be opened once more.
    pub fn appender(&self) -> Result<Appender, Error> {
        Appender::open(&self.directory, self.options.vfs.as_deref())
    }

    /// Hands over what was decided, so that more can be decided while it is appended; `None` if nothing was written. What
    /// becomes of it must be told to [`Heart::landed`] before anything else is appended.
    pub fn begin_append(&mut self) -> Option<InFlightBatch> {
        self.machine.as_mut()?.begin_append()
    }

    /// Takes note of what became of a flight. After a failure everything that is not on disk is forgotten, also what was
    /// decided on top of it.
    pub fn append_finished(&mut self, result: &Result<(), Error>) {
        let Some(machine) = &mut self.machine else { return };
        match result {
            Ok(()) => {
                self.journal_bytes += machine.append_finished();
                self.commits += 1;
            }
            Err(error) => self.discard_memory(error),
        }
    }

    /// Appends what was decided in one database transaction: when this returns, it is on disk.
    ///
    /// # Errors
    /// When it may not be on disk; it is forgotten, and the disk is read anew before anything else.
    pub fn commit(&mut self) -> Result<(), Error> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        match machine.commit() {
            Ok(bytes) => {
                self.journal_bytes += bytes;
                self.commits += u64::from(bytes > 0);
                Ok(())
            }
            Err(error) => {
                self.discard_memory(&error);
                Err(error)
            }
        }
    }

    /// What is in memory is ahead of the disk, or wrong: only the disk counts.
    fn discard_memory(&mut self, why: &Error) {
        self.machine = None;
        self.last_error = Some(why.clone());
    }
}
