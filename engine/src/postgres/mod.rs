//! The PostgreSQL engine: any number of servers share one database.
//!
//! ```text
//! batch/      the path of a command: lane, prefetch, state machine, write
//! query/      reads: balances, single charges, lists, and the connections for them
//! database/   connections, statements, failures, decoding, schema
//! delivery/   what subscribers are sent of the journal
//! admin/      audit, export and import of a whole database
//! runtime     starts and stops the threads of lanes and readers
//! shared      what lanes and readers share
//! repairs     the damaged accounts that must be rebuilt
//! repair      rebuilds a damaged account from its journal
//! teams_seen  teams that need not be read again
//! long_reads  turns of lists, so that no workspace keeps others waiting
//! clock       the clock of the database, with which this server's is compared
//! platform    the state of the platform as this server knows it
//! counters    metrics of this server
//! ids         ids that contain the number of their entry
//! ```
//!
//! The table `entry` is the truth. The other tables (accounts, teams, usage, grants, pending
//! charges) are written in the same transaction and can be recomputed from it. Servers share
//! nothing but the database. A server decides in memory on what it last read, and its transaction
//! commits only if that is still current (optimistic concurrency control).

mod admin;
mod batch;
mod clock;
mod closing;
mod counters;
mod database;
mod delivery;
mod ids;
mod long_reads;
mod platform;
mod query;
mod repair;
mod repairs;
mod runtime;
mod shared;
mod teams_seen;

pub use admin::audit::{audit, audit_with};
pub use admin::export::export;
pub use admin::import::import;
pub use database::distribute::distribute;
pub use repair::repair;

use std::sync::Arc;
use std::time::Duration;

use tollkeeper_ledger::{ChargeId, Platform, Submission, Timestamp, WorkspaceId};

use self::clock::DatabaseClock;
use self::closing::Closing;
use self::counters::Counters;
use self::database::blocking::block_on;
use self::database::failure::Failure;
use self::database::session::DbSession;
use self::database::{config, schema};
use self::delivery::connection::DeliveryShared;
use self::long_reads::LongReads;
use self::platform::PlatformCell;
use self::query::point;
use self::query::readers::Readers;
use self::query::report::Reports;
use self::repairs::Repairs;
use self::runtime::{Lanes, ReaderThread};
use self::shared::SharedState;
use self::teams_seen::TeamsSeen;
use crate::{
    BoxFuture, ClosedDays, CommandResult, Deliveries, DuePlace, Engine, EngineStats, Error, JournalHead,
    Query, QueryResult, Ran, TrustedClock, Watch, restored,
};

/// Commands of a workspace that may wait in the queue of a lane by default: about a second of work.
const QUEUE_DEFAULT: usize = 8_192;

/// Lanes by default: while one lane waits for the disk, the other decides. On a database that Citus
/// distributes, each shard has a lane.
const LANES_DEFAULT: usize = 2;

/// The most lanes by default. With more shards, a lane has several.
const LANES_MAX: usize = 64;

/// Connections for queries by default.
const READERS_DEFAULT: usize = 4;

/// Accounts in memory by default, about one kilobyte each.
const ACCOUNTS_DEFAULT: usize = 65_536;

/// How long a batch is retried by default: as long as an orderly failover takes, and no longer than
/// callers wait.
const RETRY_FOR_DEFAULT_MILLIS: u64 = 5_000;

/// Checks that `url` is the address of a PostgreSQL database. Does not connect.
///
/// # Errors
/// [`Error::is_unusable`] if it is not. The message does not repeat the address.
pub fn check_url(url: &str) -> Result<(), Error> {
    config::parse(url).map(|_| ())
}

/// Creates or upgrades the tables of a database. Returns the schema version, which is that of this
/// program.
///
/// # Errors
/// As [`Postgres::open`].
pub fn migrate(url: &str) -> Result<usize, Error> {
    let config = config::parse(url)?;
    block_on(async { schema::migrate(&config, &[]).await.map_err(Failure::into_error) })?;
    Ok(schema::VERSION)
}

/// Upgrades a database by migrations that a later release might have, for simulations.
///
/// # Errors
/// As [`migrate`].
#[doc(hidden)]
pub fn migrate_further(url: &str, further: &[&str]) -> Result<(), Error> {
    let config = config::parse(url)?;
    block_on(async { schema::migrate(&config, further).await.map_err(Failure::into_error) })
}

/// Begins the next epoch of a database that its own tools have restored, also while servers use it.
/// Returns the end of its journal afterwards.
///
/// # Errors
/// As [`Postgres::open`], and [`Error::is_unavailable`] if the database takes no writes, or if the
/// mark is committed and the end of the journal cannot be read.
pub fn mark_restored(url: &str, now: Timestamp) -> Result<JournalHead, Error> {
    block_on(async {
        let options = Options { compare_clocks: true, lanes: Some(1), ..Options::default() };
        let engine = Postgres::open(url, options).await?;
        let result = engine.run(restored::submission(), now).await?;
        assert!(result.is_ok(), "the ledger refuses no epoch: {result:?}");
        let epoch = engine.platform().epoch;
        engine.close().await?;
        let head = point::journal_head_without_time_limits(&config::parse(url)?, epoch).await;
        head.map_err(|failure| {
            let error = failure.into_error();
            Error::unavailable(format!(
                "epoch {epoch} has begun, but the end of the journal cannot be read: {error}"
            ))
        })
    })
}

/// How to open a [`Postgres`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Commands of one workspace that may wait in the queue of its lane; 8,192 when `None`. All
    /// workspaces together have eight times as much room in each lane.
    pub queue: Option<usize>,
    /// Lanes: how many batches are decided and committed at a time, each on its own connection.
    /// When `None`: 2, or one for each shard of a database that Citus distributes, up to 64.
    pub lanes: Option<usize>,
    /// Connections for queries; 4 when `None`.
    pub readers: Option<usize>,
    /// Accounts kept in memory by all lanes together; 65,536 when `None`.
    pub accounts_in_memory: Option<usize>,
    /// How long a batch or a query is retried before it fails with [`Error::is_unavailable`]; 5,000
    /// ms when `None`.
    pub retry_for_millis: Option<u64>,
    /// True compares the time of each command with the clock of the database, and refuses it with
    /// [`Error::is_unavailable`] if they differ by more than five seconds. A server does. False
    /// believes the caller, who may simulate time.
    pub compare_clocks: bool,
}

/// The PostgreSQL engine.
#[derive(Debug)]
pub struct Postgres {
    shared: Arc<SharedState>,
    lanes: Lanes,
    readers: ReaderThread,
    reports: Reports,
    closing: Arc<Closing>,
}

impl Postgres {
    /// Connects to the database at `postgres://…`, creates or upgrades its tables, and starts the
    /// engine's threads. Needs no runtime of the caller.
    ///
    /// # Errors
    /// [`Error::is_unusable`] if the address is malformed or the database cannot be used as it is,
    /// [`Error::is_unavailable`] if the database cannot be reached.
    pub async fn open(url: &str, options: Options) -> Result<Postgres, Error> {
        let Options { queue, lanes, readers, accounts_in_memory, retry_for_millis, compare_clocks } = options;
        let shared = Arc::new(SharedState {
            address: config::parse(url)?,
            platform: PlatformCell::default(),
            counters: Counters::default(),
            repairs: Repairs::default(),
            clock: DatabaseClock::new(compare_clocks),
            teams_seen: TeamsSeen::default(),
            long_reads: LongReads::default(),
            watchers: Arc::default(),
            deliveries: DeliveryShared::new()?,
            retry_for: Duration::from_millis(retry_for_millis.unwrap_or(RETRY_FOR_DEFAULT_MILLIS)),
            accounts_in_memory: accounts_in_memory.unwrap_or(ACCOUNTS_DEFAULT),
        });
        let connections = readers.unwrap_or(READERS_DEFAULT);
        let readers = ReaderThread::start(Readers::new(Arc::clone(&shared), connections))?;
        let shards = readers.begin().await?;
        let lanes = lanes.unwrap_or(shards.count().clamp(LANES_DEFAULT, LANES_MAX)).max(1);
        let lanes = Lanes::start(&shared, lanes, queue.unwrap_or(QUEUE_DEFAULT).max(1), shards)?;
        let (reports, closing) = (Reports::default(), Arc::default());
        Ok(Postgres { shared, lanes, readers, reports, closing })
    }

    fn read<'a, T, F>(
        &'a self,
        read: impl Fn(Arc<DbSession>) -> F + Send + Sync + 'static,
    ) -> BoxFuture<'a, Result<T, Error>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        Box::pin(self.readers.read(read))
    }

    /// Runs work with transactions of its own on the thread of the readers.
    fn on_reader_thread<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, Error>> {
        Box::pin(self.readers.run(work))
    }
}

impl Engine for Postgres {
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(async move {
            self.shared.clock.check(now)?;
            self.lanes.run(submission, now).await
        })
    }

    fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>> {
        Box::pin(async move {
            self.shared.clock.check(now)?;
            self.lanes.run_or_shed(submission, now).await
        })
    }

    fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> {
        Box::pin(async move {
            self.shared.clock.check(now)?;
            self.lanes.run_each(batch, now).await
        })
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        if let Query::Report { time } = query {
            let report = self.reports.report(&self.shared, time);
            return Box::pin(async move { Ok(QueryResult::Report(Box::new(report.await?))) });
        }
        let workspace = query.workspace().cloned();
        let shared = Arc::clone(&self.shared);
        let is_long = query.is_long();
        let answer = self.read(move |session| {
            let (query, shared) = (query.clone(), Arc::clone(&shared));
            async move { query::answer(&session, &query, &shared).await }
        });
        Box::pin(async move {
            let _turn = match &workspace {
                Some(workspace) if is_long => Some(self.shared.long_reads.turn(workspace).await?),
                _ => None,
            };
            let answered = answer.await;
            match (&answered, workspace) {
                (Err(error), Some(workspace)) if error.is_damaged() => {
                    self.shared.repairs.ask(&workspace, error)?;
                    Err(Repairs::being_rebuilt())
                }
                _ => answered,
            }
        })
    }

    fn watch(&self, workspace: &WorkspaceId) -> Watch {
        self.shared.watchers.watch(workspace)
    }

    fn platform(&self) -> Arc<Platform> {
        self.shared.platform.snapshot().platform
    }

    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        if self.shared.clock.check(now).is_err() {
            // By a wrong clock nothing is due. The deviation is in the stats.
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        self.read(move |session| async move { point::due(&session, now, most).await })
    }

    fn due_payments(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        most: usize,
    ) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>> {
        if self.shared.clock.check(now).is_err() {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        let page = move |session: Arc<DbSession>| {
            let after = after.clone();
            async move { point::due_payments(&session, now, after, most).await }
        };
        self.read(page)
    }

    fn claim_payments(
        &self,
        now: Timestamp,
        workspaces: Vec<WorkspaceId>,
    ) -> BoxFuture<'_, Result<Vec<WorkspaceId>, Error>> {
        if self.shared.clock.check(now).is_err() {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        let claim = move |session: Arc<DbSession>| {
            let workspaces = workspaces.clone();
            async move { point::claim_payments(&session, now, workspaces).await }
        };
        self.read(claim)
    }

    fn deliveries(&self) -> &dyn Deliveries {
        self
    }

    fn close_days(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<ClosedDays, Error>> {
        if self.shared.clock.check(now).is_err() {
            return Box::pin(std::future::ready(Ok(ClosedDays::default())));
        }
        let (shared, closing) = (Arc::clone(&self.shared), Arc::clone(&self.closing));
        self.read(move |session| {
            let (shared, closing) = (Arc::clone(&shared), Arc::clone(&closing));
            async move { closing.step(&session, &shared.address, now, most).await }
        })
    }

    fn stats(&self) -> EngineStats {
        let clock_deviation_millis = self.shared.clock.deviation_millis();
        let (accounts_refused, accounts_rebuilt) = self.shared.repairs.counts();
        EngineStats {
            clock_deviation_millis,
            accounts_refused,
            accounts_rebuilt,
            ..self.shared.counters.stats(self.lanes.queued())
        }
    }

    fn trusted_clock(&self) -> TrustedClock {
        TrustedClock::Database
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            self.lanes.close().await;
            Ok(())
        })
    }
}
