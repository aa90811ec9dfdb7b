//! The embedded engine: one data directory, one process that writes it, SQLite as the file format.
//!
//! ```text
//! callers ──► queue ──► writer thread ── decides ──► core ── small batch ──► journal.db
//!    │                                                 │
//!    │                    committer thread ◄─ large ───┤
//!    │                       └── batch in flight ──────┼──────────────────────► journal.db
//!    │                    checkpoint thread ◄─ tasks ──┘
//!    │                       ├── derived state ───────────────────────────────► state.db
//!    │                       └── WAL of the journal ──────────────────────────► journal.db
//!    └── reads of files ► reader threads ◄── journal.db, state.db
//! ```
//!
//! Readers ask the core through the queue for what the files do not hold yet.
//!
//! The journal is the truth. The state file is derived from it. It can be deleted while no process
//! has the directory open; the next start rebuilds it.
//!
//! An entry is *recorded* when it is in memory, *on disk* when it is synced in the journal, and
//! *persisted* when the state file includes it too.
//!
//! ```text
//! core_handle  how callers reach the core: the bounded queue, and what is published
//! core         decide, append, answer: deterministic, without threads and without a clock
//! threads      writer (group commit), committer, checkpoint
//! storage      the files: journal, blocks, state file, key index, lock
//! scan         reads of the files, on threads of their own
//! delivery     how far subscribers have come, in a file of its own
//! admin        audit, backup, restore, export, import
//! ```
//!
//! Reading order: `core`, `core::state_machine`, `threads::writer`, `core::in_flight`,
//! `storage::journal`, `core::maintenance`, `core::recovery`.

mod admin;
pub(crate) mod core;
pub(crate) mod core_handle;
mod delivery;
mod scan;
mod storage;
#[cfg(test)]
pub(crate) mod test_commands;
mod threads;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tollkeeper_ledger::{ChargeId, Platform, Submission, Timestamp, WorkspaceId};

pub use admin::audit::{ExpectedEntry, audit, audit_with};
pub use admin::backup::{backup, mark_restored, restore};
pub use admin::export::export;
pub use admin::import::{import, import_with_options};
pub use core::in_flight::{Appender, InFlightBatch};
pub use core::{Core, CoreOptions};
pub use storage::journal::holds_ledger;

pub use crate::audit::{AuditDisagreement, AuditOptions, AuditReport, DisagreementKind, RuleFindings};

use self::core_handle::{CoreHandle, StateToPublish};
use self::delivery::DeliveryFiles;
use self::scan::lists::Reader;
use self::scan::readers::{DELIVERIES, FOLLOWERS, LONG_READS, POINT_READS, REPORTS, Readers};
use self::threads::checkpoint::StartOnThread;
use self::threads::writer;
use crate::{
    BoxFuture, ClosedDays, CommandResult, Deliveries, DuePlace, Engine, EngineStats, Error, Query,
    QueryResult, Ran, TrustedClock, Watch, Watchers, vital_thread,
};

/// The default length of the queue: some tens of milliseconds of work.
const QUEUE_DEFAULT: usize = 8_192;

/// How to open an [`Embedded`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Requests that may wait in the queue; 8,192 when `None`.
    pub queue: Option<usize>,
    /// Open a journal that has lost acknowledged entries, and go on without them.
    pub accept_loss: bool,
}

/// The embedded engine: open one per data directory and share it. It has threads of its own and
/// needs no runtime.
#[derive(Debug)]
pub struct Embedded {
    core: CoreHandle,
    readers: Readers,
    /// For reads of a few entries, which never wait for a list.
    point_readers: Readers,
    /// For those who follow a journal.
    follow_readers: Readers,
    /// For reports, which read every entry.
    report_readers: Readers,
    watchers: Arc<Watchers>,
    deliveries: DeliveryFiles,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// See [`TrustedClock::Caller`].
    last_entry_at: Option<Timestamp>,
}

impl Embedded {
    /// Opens (or makes) a data directory and holds it alone.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when another process holds it or it cannot be written,
    /// [`Error::is_damaged`] when its journal is not what was written.
    pub fn open(path: &Path, options: Options) -> Result<Embedded, Error> {
        let queue = options.queue.unwrap_or(QUEUE_DEFAULT);
        Embedded::open_with_options(path, core_options(&options), queue)
    }

    /// The same with every option of the core and the length of the queue, for simulations.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_with_options(path: &Path, options: CoreOptions, queue: usize) -> Result<Embedded, Error> {
        let (handle, jobs) = CoreHandle::new(queue);
        let delivery_vfs = options.delivery_vfs.clone();
        let start_checkpointer = Box::new(StartOnThread(handle.wake()));
        let mut core = Core::open_with(path, options, start_checkpointer)?;
        core.refuse_unfinished_import()?;
        let readers = Readers::start(path, &handle, LONG_READS)?;
        let point_readers = Readers::start(path, &handle, POINT_READS)?;
        let follow_readers = Readers::start(path, &handle, FOLLOWERS)?;
        let report_readers = Readers::start(path, &handle, REPORTS)?;
        let deliveries = Readers::start(path, &handle, DELIVERIES)?;
        let deliveries = DeliveryFiles::new(path.to_path_buf(), delivery_vfs, deliveries, false);
        let readers = [readers, point_readers, follow_readers, report_readers];
        Embedded::start(core, readers, deliveries, (handle, jobs))
    }

    /// Opens a data directory for reading, beside the process that holds it or without one. It
    /// shows what was committed when it was opened. Commands are refused with
    /// [`Error::is_unavailable`].
    ///
    /// # Errors
    /// [`Error::is_unusable`] when there is nothing to read, [`Error::is_damaged`] when it is not
    /// what was written.
    pub fn open_read_only(path: &Path) -> Result<Embedded, Error> {
        let (handle, jobs) = CoreHandle::new(QUEUE_DEFAULT);
        let (core, files) = Core::open_read_only_with_files(path, CoreOptions::default())?;
        let readers = Readers::start_with_reader(path, &handle, Reader::on_snapshot(files, handle.clone()))?;
        let deliveries = DeliveryFiles::new(path.to_path_buf(), None, readers.clone(), true);
        Embedded::start(core, std::array::from_fn(|_| readers.clone()), deliveries, (handle, jobs))
    }

    fn start(
        mut core: Core,
        [readers, point_readers, follow_readers, report_readers]: [Readers; 4],
        deliveries: DeliveryFiles,
        (handle, jobs): (CoreHandle, tokio::sync::mpsc::Receiver<core_handle::Job>),
    ) -> Result<Embedded, Error> {
        let (published, wake) = (handle.published(), handle.wake());
        let last_entry_at = core.last_entry_at()?;
        published.publish(StateToPublish::of(&core));
        let watchers = Arc::<Watchers>::default();
        let watched = Arc::clone(&watchers);
        let body = move || writer::run(core, (published, watched), jobs, wake);
        let writer = vital_thread::spawn("tollkeeper-writer", body)?;
        let writer = Mutex::new(Some(writer));
        Ok(Embedded {
            core: handle,
            readers,
            point_readers,
            follow_readers,
            report_readers,
            watchers,
            deliveries,
            writer,
            last_entry_at,
        })
    }
}

impl Drop for Embedded {
    /// Closes the engine as [`Engine::close`] does: afterwards the directory is free.
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(writer) = writer {
            self.core.close_without_waiting();
            // A panic was printed by the thread.
            let _ = writer.join();
        }
    }
}

fn core_options(options: &Options) -> CoreOptions {
    CoreOptions { accept_loss: options.accept_loss, ..CoreOptions::default() }
}

impl Embedded {
    /// What is in memory is answered by the writer thread; what is in the files by the readers.
    async fn answer(&self, query: Query) -> Result<QueryResult, Error> {
        let Embedded { core, readers, point_readers, follow_readers, report_readers, .. } = self;
        match query {
            Query::Workspace { workspace: id } => {
                core.read(move |core| core.workspace(&id)).await.map(QueryResult::Workspace)
            }
            Query::Workspaces { filter, page } => {
                // It is a read of no workspace, and counted as one of the platform.
                let read = move |reader: &Reader, _: &_| reader.workspaces(&filter, &page);
                readers.read(WorkspaceId::platform(), read).await.map(QueryResult::Workspaces)
            }
            Query::Balance { workspace: id, at: None } => {
                core.read(move |core| core.balance(&id)).await.map(QueryResult::Balance)
            }
            Query::Balance { workspace: id, at: Some(at) } => {
                readers.read(id, move |reader, id| reader.balance_at(id, at)).await.map(QueryResult::Balance)
            }
            Query::Payments { workspace: id } => {
                core.read(move |core| core.payments(&id)).await.map(QueryResult::Payments)
            }
            Query::Team { workspace: id } => {
                core.read(move |core| core.team(&id)).await.map(QueryResult::Team)
            }
            Query::PersonalTexts { workspace: id, wanted } => {
                let read = move |reader: &Reader, id: &_| reader.personal_texts(id, &wanted);
                point_readers.read(id, read).await.map(QueryResult::PersonalTexts)
            }
            Query::Limits { workspace: id, now } => {
                core.read(move |core| core.limits(&id, now)).await.map(QueryResult::Limits)
            }
            Query::Alerts { workspace: id } => {
                core.read(move |core| core.alerts(&id)).await.map(QueryResult::Alerts)
            }
            Query::Charge { workspace: id, charge } => {
                let read = move |reader: &Reader, id: &_| reader.charge(id, charge);
                let found = point_readers.read(id, read).await?;
                Ok(QueryResult::Charge(found.map(Box::new)))
            }
            Query::Charges { workspace: id, filter, page } => {
                let read = move |reader: &Reader, id: &_| reader.charges(id, &filter, &page);
                readers.read(id, read).await.map(QueryResult::Charges)
            }
            Query::Grants { workspace: id, page } => {
                readers.read(id, move |reader, id| reader.grants(id, &page)).await.map(QueryResult::Grants)
            }
            Query::Entries { workspace: id, page } => {
                readers.read(id, move |reader, id| reader.entries(id, &page)).await.map(QueryResult::Entries)
            }
            Query::EntriesAfter { workspace: id, follow } => {
                let read = move |reader: &Reader, id: &_| reader.entries_after(id, &follow);
                follow_readers.read(id, read).await.map(QueryResult::EntriesAfter)
            }
            Query::CurrentPlatform {} => Ok(QueryResult::CurrentPlatform(core.platform())),
            Query::JournalHead {} => core.read(Core::journal_head).await.map(QueryResult::JournalHead),
            Query::Report { time } => {
                // It is a read of no workspace, and counted as one of the platform.
                let read = move |reader: &Reader, _: &_| reader.add_up(time);
                let report = report_readers.read(WorkspaceId::platform(), read).await?;
                Ok(QueryResult::Report(Box::new(report)))
            }
            Query::UsageReport { workspace: id, request } => {
                let read = move |reader: &Reader, id: &_| reader.usage_report(id, &request);
                let answer = readers.read(id, read).await?;
                Ok(QueryResult::UsageReport(answer.map(Box::new)))
            }
            Query::Usage { workspace: id, hours } => {
                readers.read(id, move |reader, id| reader.usage(id, hours)).await.map(QueryResult::Usage)
            }
        }
    }
}

impl Engine for Embedded {
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(self.core.run(submission, now))
    }

    fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(self.core.run_or_shed(submission, now))
    }

    fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> {
        Box::pin(self.core.run_each(batch, now))
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        Box::pin(self.answer(query))
    }

    fn watch(&self, workspace: &WorkspaceId) -> Watch {
        self.watchers.watch(workspace)
    }

    fn platform(&self) -> Arc<Platform> {
        self.core.platform()
    }

    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        Box::pin(self.core.read(move |core| core.due(now, most)))
    }

    fn due_payments(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        most: usize,
    ) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>> {
        Box::pin(self.core.read(move |core| core.due_payments(now, after.as_ref(), most)))
    }

    fn deliveries(&self) -> &dyn Deliveries {
        self
    }

    fn close_days(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<ClosedDays, Error>> {
        Box::pin(self.core.read(move |core| core.close_days(now, most)))
    }

    fn stats(&self) -> EngineStats {
        self.core.stats()
    }

    fn trusted_clock(&self) -> TrustedClock {
        TrustedClock::Caller { last_entry_at: self.last_entry_at }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            let closed = self.core.close().await;
            let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            if let Some(writer) = writer {
                // It has answered already and is about to end.
                let _ = writer.join();
            }
            closed
        })
    }
}
