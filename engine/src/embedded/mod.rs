//! The embedded engine: one directory, one process that writes it, SQLite underneath.
//!
//! ```text
//! shell      the queue in front of it                  writer    the thread: batches, commits, answers
//! heart      decide, append, answer                    mind      load, decide, write, absorb
//! flight     a batch under way to the disk             committer the thread that brings it there
//! timers     deadlines in order
//! journal    the truth: blocks of entries              block     how entries lie in a row
//! accounts   the working set in memory                 index     from keys to places in the journal
//! tend       keeping what is derived, in small steps   keeper    the thread that writes it to the state file
//! recover    start, crash or not: replay the tail      state     the tables of what is derived
//! reads      answers from memory                       lists     long reads, on threads of their own
//! audit      recompute everything and compare          backup    copy while serving, restore
//! export     all entries as a stream                   import    take in a stream, verified
//! ids        from an id to the entry that made it
//! ```
//!
//! The journal is the truth; the state file can be thrown away at any time.

mod admin;
pub(crate) mod core;
pub(crate) mod queue;
mod scan;
mod storage;
mod threads;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tollkeeper_ledger::{ChargeId, Platform, Submission, Timestamp, WorkspaceId, bounds};

pub use admin::audit::audit;
pub use admin::backup::{backup, restore};
pub use admin::export::export;
pub use admin::import::{import, import_tuned};
pub use core::in_flight::{Appender, Flight};
pub use core::{Heart, HeartOptions};
pub use storage::journal::holds_ledger;

pub use crate::audit::{AuditDisagreement, AuditReport};

use self::queue::{Shown, ToHeart};
use self::scan::lists::Reader;
use self::scan::readers::Readers;
use self::threads::writer;
use crate::{BoxFuture, CommandResult, Engine, EngineStats, Error, Query, QueryResult};

/// Requests that may wait unless said otherwise: some tens of milliseconds of work.
const QUEUE_DEFAULT: usize = 8_192;

/// How to open an [`Embedded`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// For how long after its birth a settled charge may be refunded by a late system failure; 30 days when `None`.
    pub refund_window_seconds: Option<i64>,
    /// Requests that may wait; 8,192 when `None`.
    pub queue: Option<usize>,
}

/// The embedded engine.
#[derive(Debug)]
pub struct Embedded {
    heart: ToHeart,
    readers: Readers,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens (or makes) the data directory and holds it alone.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when another process holds it or it cannot be written, [`Error::is_damaged`] when its
    /// journal is not what was written.
    pub fn open(path: &Path, options: Options) -> Result<Embedded, Error> {
        let queue = options.queue.unwrap_or(QUEUE_DEFAULT);
        Embedded::open_tuned(path, heart_options(&options), queue)
    }

    /// The same with every option of the heart, for simulations that want everything to happen often.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_tuned(path: &Path, options: HeartOptions, queue: usize) -> Result<Embedded, Error> {
        let (to_heart, jobs) = ToHeart::queue(queue);
        let mut heart = Heart::open_with(path, options, to_heart.nudge_maker())?;
        heart.refuse_half()?;
        let readers = Readers::start(path, &to_heart)?;
        Embedded::start(heart, readers, to_heart, jobs)
    }

    /// Opens for reading only, beside the process that holds the directory or without one. It shows what was committed
    /// when it was opened; commands are refused as unavailable.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when there is nothing to read, [`Error::is_damaged`] when it is not what was written.
    pub fn open_read_only(path: &Path) -> Result<Embedded, Error> {
        let (to_heart, jobs) = ToHeart::queue(QUEUE_DEFAULT);
        let (heart, reading) = Heart::open_read_only_with(path, HeartOptions::default())?;
        let readers = Readers::start_held(path, &to_heart, Reader::held(reading, to_heart.clone()))?;
        Embedded::start(heart, readers, to_heart, jobs)
    }

    fn start(
        heart: Heart,
        readers: Readers,
        to_heart: ToHeart,
        jobs: tokio::sync::mpsc::Receiver<queue::Job>,
    ) -> Result<Embedded, Error> {
        let published = to_heart.published();
        published.publish(Shown::of(&heart));
        let writer = std::thread::Builder::new()
            .name("tollkeeper-writer".into())
            .spawn(move || writer::work(heart, published, jobs))
            .map_err(|error| Error::unavailable(format!("no thread: {error}")))?;
        Ok(Embedded { heart: to_heart, readers, writer: Mutex::new(Some(writer)) })
    }
}

impl Drop for Embedded {
    /// Ends as [`Engine::close`] does: when this is gone, the directory is free again.
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(writer) = writer {
            self.heart.close_without_waiting();
            // A panic there was printed there.
            let _ = writer.join();
        }
    }
}

fn heart_options(options: &Options) -> HeartOptions {
    let window = bounds::REFUND_WINDOW_DEFAULT_SECONDS;
    HeartOptions {
        refund_window_seconds: options.refund_window_seconds.unwrap_or(window),
        ..HeartOptions::default()
    }
}

impl Embedded {
    /// Short reads are answered from memory by the writer thread; long ones by the readers, from disk.
    async fn answer(&self, query: Query) -> Result<QueryResult, Error> {
        let Embedded { heart, readers, .. } = self;
        match query {
            Query::Workspace { workspace: id } => {
                heart.read(move |heart| heart.workspace(&id)).await.map(QueryResult::Workspace)
            }
            Query::Workspaces { page } => {
                heart.read(move |heart| heart.workspaces(&page)).await.map(QueryResult::Workspaces)
            }
            Query::Balance { workspace: id, at: None } => {
                heart.read(move |heart| heart.balance(&id)).await.map(QueryResult::Balance)
            }
            Query::Balance { workspace: id, at: Some(at) } => {
                readers.read(move |reader| reader.balance_at(&id, at)).await.map(QueryResult::Balance)
            }
            Query::Team { workspace: id } => {
                heart.read(move |heart| heart.team(&id)).await.map(QueryResult::Team)
            }
            Query::Limits { workspace: id, now } => {
                heart.read(move |heart| heart.limits(&id, now)).await.map(QueryResult::Limits)
            }
            Query::Charge { workspace: id, charge } => {
                let found = heart.read(move |heart| heart.charge(&id, charge)).await?;
                Ok(QueryResult::Charge(found.map(Box::new)))
            }
            Query::Charges { workspace: id, filter, page } => {
                let read = move |reader: &Reader| reader.charges(&id, &filter, &page);
                readers.read(read).await.map(QueryResult::Charges)
            }
            Query::Grants { workspace: id, page } => {
                readers.read(move |reader| reader.grants(&id, &page)).await.map(QueryResult::Grants)
            }
            Query::Entries { workspace: id, page } => {
                readers.read(move |reader| reader.entries(&id, &page)).await.map(QueryResult::Entries)
            }
            Query::Usage { workspace: id, hours } => {
                let hours = (hours.start, hours.end);
                readers.read(move |reader| reader.usage(&id, hours)).await.map(QueryResult::Usage)
            }
        }
    }
}

impl Engine for Embedded {
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(self.heart.run(submission, now))
    }

    fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(self.heart.run_or_shed(submission, now))
    }

    fn run_batch(
        &self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<CommandResult>, Error>> {
        Box::pin(self.heart.run_batch(batch, now))
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        Box::pin(self.answer(query))
    }

    fn platform(&self) -> Arc<Platform> {
        self.heart.platform()
    }

    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        Box::pin(self.heart.read(move |heart| heart.due(now, most)))
    }

    fn stats(&self) -> EngineStats {
        self.heart.stats()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            let closed = self.heart.close().await;
            let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            if let Some(writer) = writer {
                // It has answered already; what is left is to end.
                let _ = writer.join();
            }
            closed
        })
    }
}
