//! The PostgreSQL engine: any number of servers over one database, for those who outgrow one machine.
//!
//! ```text
//! lane       a queue, a batch, its answers             load       what a batch needs from the database
//! mind       decide, record, absorb                    rows       what a batch writes, sent in one go
//! accounts   the working set of a lane                 open_hour  rollups that ride in the account's row
//! platform   prices and keys, as of some entry         ids        from an id to the entry that made it
//! session    a connection and its statements           sql        the statements
//! failure    what a failure means                      config     the address of the database
//! audit      recompute everything and compare
//! schema     tables and migrations                     readers    connections for reading
//! reads      balances, single charges, what is due     lists      long reads
//! figures    what a server counts of itself            distribute  over the nodes of a Citus cluster
//! tls        the way to the database, encrypted
//! export     all entries as a stream                   import     take in a stream, verified
//! ```
//!
//! The table of entries is the truth. What is beside it (accounts, usage, lots, pending charges) is written in the same
//! transaction and can be recomputed from it. Servers share nothing but the database: a decision is made in memory on what
//! was last seen, and written only if that is still so.

mod admin;
mod batch;
pub(crate) mod counters;
mod database;
mod ids;
mod platform;
mod query;

pub use admin::audit::audit;
pub use admin::export::export;
pub use admin::import::import;
pub use database::distribute::distribute;

use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use siphasher::sip::SipHasher13;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tollkeeper_ledger::{ChargeId, Platform, Submission, Timestamp, WorkspaceId, bounds};

use self::batch::lane::{Common, Job, Lane};
use self::counters::Counted;
use self::database::failure::Failure;
use self::database::session::Session;
use self::database::{config, schema};
use self::platform::Shared;
use self::query::point;
use self::query::readers::{ReaderThread, Readers};
use crate::reply::engine_closed;
use crate::{BoxFuture, CommandResult, Engine, EngineStats, Error, Query, QueryResult};

/// Requests that may wait in a lane unless said otherwise: some tens of milliseconds of work.
const QUEUE_DEFAULT: usize = 8_192;

/// Lanes unless said otherwise: while one waits for the disk, the other decides.
const LANES_DEFAULT: usize = 2;

/// Connections for reading unless said otherwise.
const READERS_DEFAULT: usize = 4;

/// Accounts in memory unless said otherwise, about a kilobyte each.
const ACCOUNTS_DEFAULT: usize = 65_536;

/// For how long a batch is tried again unless said otherwise: as long as an orderly failover takes, and no longer than
/// callers wait.
const PATIENCE_DEFAULT_MILLIS: u64 = 5_000;

/// Whether this is the address of a PostgreSQL database; nothing is connected.
///
/// # Errors
/// [`Error::is_unusable`] when it is none, in words that do not repeat it.
pub fn check_url(url: &str) -> Result<(), Error> {
    config::parse(url).map(|_| ())
}

/// Brings the tables of a database to the form that this program knows; gives its version.
///
/// # Errors
/// As [`Postgres::open`].
pub fn migrate(url: &str) -> Result<usize, Error> {
    let config = config::parse(url)?;
    block_on(async { schema::migrate(&config).await.map_err(Failure::into_error) })?;
    Ok(schema::VERSION)
}

/// Waits on this thread, which must not be one of a runtime: for work that is done once and by itself.
fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::unavailable(format!("no runtime: {error}")))?.block_on(work)
}

/// How to open a [`Postgres`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// For how long after its birth a settled charge may be refunded by a late system failure; 30 days when `None`.
    pub refund_window_seconds: Option<i64>,
    /// Requests that may wait in each lane; 8,192 when `None`.
    pub queue: Option<usize>,
    /// How many batches are on their way to the database at once, each on a connection of its own; 2 when `None`.
    pub lanes: Option<usize>,
    /// Connections for reading; 4 when `None`.
    pub readers: Option<usize>,
    /// Accounts kept in memory; 65,536 when `None`.
    pub accounts_in_memory: Option<usize>,
    /// For how long a batch is tried again before its requests are told that the store is unavailable; 5 seconds when
    /// `None`.
    pub patience_millis: Option<u64>,
}

/// The PostgreSQL engine.
#[derive(Debug)]
pub struct Postgres {
    common: Arc<Common>,
    /// Empty once it is closed.
    lanes: Vec<mpsc::Sender<Job>>,
    queue: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
    readers: ReaderThread,
}

impl Postgres {
    /// Connects to the database at `postgres://…`, makes or upgrades its tables, and is ready. Needs no runtime: the
    /// engine has threads of its own.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when the address or the database cannot be used as it is, [`Error::is_unavailable`] when
    /// the database cannot be reached.
    pub async fn open(url: &str, options: Options) -> Result<Postgres, Error> {
        let lanes = options.lanes.unwrap_or(LANES_DEFAULT).max(1);
        let common = Arc::new(Common {
            address: config::parse(url)?,
            platform: Shared::default(),
            counted: Counted::default(),
            refund_window_seconds: options
                .refund_window_seconds
                .unwrap_or(bounds::REFUND_WINDOW_DEFAULT_SECONDS),
            patience: Duration::from_millis(options.patience_millis.unwrap_or(PATIENCE_DEFAULT_MILLIS)),
            accounts_in_memory: options.accounts_in_memory.unwrap_or(ACCOUNTS_DEFAULT) / lanes,
        });
        let connections = options.readers.unwrap_or(READERS_DEFAULT);
        let readers = ReaderThread::start(Readers::new(Arc::clone(&common), connections))?;
        readers.begin().await?;
        let queue = options.queue.unwrap_or(QUEUE_DEFAULT).max(1);
        let mut engine = Postgres { common, lanes: Vec::new(), queue, threads: Mutex::default(), readers };
        for number in 0..lanes {
            engine.start_lane(number)?;
        }
        Ok(engine)
    }

    fn start_lane(&mut self, number: usize) -> Result<(), Error> {
        let (jobs, receiver) = mpsc::channel(self.queue);
        let lane = Lane::new(Arc::clone(&self.common))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::unavailable(format!("no runtime: {error}")))?;
        let thread = std::thread::Builder::new()
            .name(format!("tollkeeper-lane-{number}"))
            .spawn(move || runtime.block_on(lane.work(receiver)));
        let thread = thread.map_err(|error| Error::unavailable(format!("no thread: {error}")))?;
        self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        self.lanes.push(jobs);
        Ok(())
    }

    /// The lane of a workspace: always the same in one server.
    fn lane(&self, workspace: &WorkspaceId) -> usize {
        let mut hasher = SipHasher13::new();
        hasher.write(workspace.as_str().as_bytes());
        (hasher.finish() % self.lanes.len() as u64) as usize
    }

    async fn run_one(&self, submission: Submission, now: Timestamp) -> Result<CommandResult, Error> {
        let lane = &self.lanes[self.lane(&submission.workspace)];
        let (answer, answered) = oneshot::channel();
        lane.send(Job::One(submission, now, answer)).await.map_err(|_| engine_closed())?;
        answered.await.map_err(|_| engine_closed())?
    }

    async fn run_one_or_shed(&self, submission: Submission, now: Timestamp) -> Result<CommandResult, Error> {
        let lane = &self.lanes[self.lane(&submission.workspace)];
        let (answer, answered) = oneshot::channel();
        lane.try_send(Job::One(submission, now, answer)).map_err(|error| match error {
            TrySendError::Full(_) => Error::overloaded(),
            TrySendError::Closed(_) => engine_closed(),
        })?;
        answered.await.map_err(|_| engine_closed())?
    }

    /// Parts a batch by lanes and puts the answers back in order. What concerns the platform comes between what was
    /// before it and what is after it.
    async fn run_many(&self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<CommandResult>, Error> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut batch = batch.into_iter().peekable();
        while let Some(first) = batch.peek() {
            let platforms = first.workspace.is_platform();
            let mut part = Vec::new();
            while let Some(next) = batch.next_if(|next| next.workspace.is_platform() == platforms) {
                part.push(next);
            }
            answers.extend(self.run_part(part, now).await?);
        }
        Ok(answers)
    }

    async fn run_part(&self, part: Vec<Submission>, now: Timestamp) -> Result<Vec<CommandResult>, Error> {
        let mut parted: Vec<Vec<Submission>> = self.lanes.iter().map(|_| Vec::new()).collect();
        let places: Vec<usize> = part.iter().map(|submission| self.lane(&submission.workspace)).collect();
        for (submission, lane) in part.into_iter().zip(&places) {
            parted[*lane].push(submission);
        }
        let asked = parted.into_iter().zip(&self.lanes).map(|(part, lane)| async move {
            if part.is_empty() {
                return Ok(Vec::new());
            }
            let (answer, answered) = oneshot::channel();
            lane.send(Job::Batch(part, now, answer)).await.map_err(|_| engine_closed())?;
            answered.await.map_err(|_| engine_closed())?
        });
        let answers = try_join_all(asked).await?;
        let mut answers: Vec<_> = answers.into_iter().map(Vec::into_iter).collect();
        places.into_iter().map(|lane| answers[lane].next().ok_or_else(engine_closed)).collect()
    }

    async fn close_lanes(&self) -> Result<(), Error> {
        let closing = self.lanes.iter().map(|lane| async move {
            let (answer, answered) = oneshot::channel();
            if lane.send(Job::Close(answer)).await.is_ok() {
                // A lane that has ended has answered what it had accepted.
                let _ = answered.await;
            }
        });
        join_all(closing).await;
        Ok(())
    }

    fn read<'a, T, F>(
        &'a self,
        read: impl Fn(Arc<Session>) -> F + Send + Sync + 'static,
    ) -> BoxFuture<'a, Result<T, Error>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        Box::pin(self.readers.read(read))
    }
}

impl Drop for Postgres {
    /// Ends as [`Engine::close`] does.
    fn drop(&mut self) {
        self.lanes.clear();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

impl Engine for Postgres {
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(self.run_one(submission, now))
    }

    fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(self.run_one_or_shed(submission, now))
    }

    fn run_batch(
        &self,
        batch: Vec<Submission>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<CommandResult>, Error>> {
        Box::pin(self.run_many(batch, now))
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        self.read(move |session| {
            let query = query.clone();
            async move { query::answer(&session, &query).await }
        })
    }

    fn platform(&self) -> Arc<Platform> {
        self.common.platform.known().platform
    }

    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        self.read(move |session| async move { point::due(&session, now, most).await })
    }

    fn stats(&self) -> EngineStats {
        let queued = self.lanes.iter().map(|lane| lane.max_capacity() - lane.capacity()).sum::<usize>();
        self.common.counted.stats(queued as u64)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.close_lanes())
    }
}
