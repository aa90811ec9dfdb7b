//! The connections for queries. They are apart from the connections of the lanes, so that no report
//! delays a charge.
//!
//! The readers also refresh the platform snapshot once a second. A server without commands would
//! otherwise not learn that another server has changed prices or platform keys. After a conflict, a
//! lane refreshes the snapshot at once. With it they ask whether the database takes writes of this
//! server: on a read-only database it is not ready, nor if it is too old for the tables. While it
//! is not ready, they ask on a new connection each time. A metric that cannot be read never makes
//! the server unready.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::Error;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema::{self, Admission};
use crate::postgres::database::session::{ANSWER_TIMEOUT, DbSession, with_timeout};
use crate::postgres::database::shards::Shards;
use crate::postgres::repair;
use crate::postgres::shared::SharedState;

/// How often the readers look for new entries of the platform.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// After this many refreshes the counters are reloaded from the database.
const REFRESHES_PER_RELOAD: u32 = 60;

/// The pause before a query is retried.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A fixed number of connections, used in turn.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(super) shared: Arc<SharedState>,
    sessions: Vec<Mutex<Option<Arc<DbSession>>>>,
    next: AtomicUsize,
}

impl Readers {
    pub(crate) fn new(shared: Arc<SharedState>, connections: usize) -> Readers {
        let sessions = (0..connections.max(1)).map(|_| Mutex::new(None)).collect();
        Readers { shared, sessions, next: AtomicUsize::new(0) }
    }

    /// The next connection, opened again if it is closed. Several queries share a connection: their
    /// statements are sent at once and answered in order.
    async fn session(&self) -> Result<Arc<DbSession>, Failure> {
        let mut session = self.next_place().lock().await;
        if let Some(session) = session.as_ref().filter(|session| !session.is_closed()) {
            return Ok(Arc::clone(session));
        }
        self.open_in(&mut session).await
    }

    /// A new connection instead of the next one. Some settings of a database reach new connections
    /// only.
    async fn new_session(&self) -> Result<Arc<DbSession>, Failure> {
        let mut session = self.next_place().lock().await;
        self.open_in(&mut session).await
    }

    fn next_place(&self) -> &Mutex<Option<Arc<DbSession>>> {
        &self.sessions[self.next.fetch_add(1, Relaxed) % self.sessions.len()]
    }

    async fn open_in(&self, place: &mut Option<Arc<DbSession>>) -> Result<Arc<DbSession>, Failure> {
        *place = None;
        let opened = Arc::new(DbSession::open(&self.shared.address).await?);
        *place = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Closes the connections that may have been opened while the database was read-only. Each
    /// would stay so.
    fn abandon_all(&self) {
        for session in self.sessions.iter().filter_map(|place| place.try_lock().ok()) {
            session.iter().for_each(|session| session.abandon());
        }
    }

    /// Migrates the database and loads what the server needs before it serves: platform snapshot
    /// and counters. Returns the shards of the tables.
    ///
    /// # Errors
    /// [`Error::is_unusable`] if the database holds an unfinished import.
    pub(crate) async fn begin(&self) -> Result<Shards, Failure> {
        let SharedState { address, platform, counters, clock, .. } = &*self.shared;
        schema::migrate(address, &[]).await?;
        let session = self.session().await?;
        schema::refuse_unfinished_import(&session).await?;
        platform.refresh(&session).await?;
        clock.read(&session).await?;
        counters.reload(&session).await;
        counters.writable.store(Admission::ask(&session).await?.may_write(), Relaxed);
        Ok(session.shards().clone())
    }

    /// Runs a query, and retries it for [`SharedState::retry_for`] while the database cannot be
    /// reached.
    pub(crate) async fn read<T, F>(&self, read: impl Fn(Arc<DbSession>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        // The lock of a connection may be held by another query that is opening it, so this wait is
        // bounded too.
        let longest = self.shared.retry_for + ANSWER_TIMEOUT;
        let timed_out = |_| Error::unavailable("the database does not answer");
        tokio::time::timeout(longest, self.read_with_retries(read)).await.map_err(timed_out)?
    }

    async fn read_with_retries<T, F>(&self, read: impl Fn(Arc<DbSession>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let retry_until = Instant::now() + self.shared.retry_for;
        loop {
            let failure = match self.session().await {
                Ok(session) => match with_timeout(read(Arc::clone(&session))).await {
                    Ok(Ok(value)) => return Ok(value),
                    Ok(Err(failure)) | Err(failure) => abandon_if_lost(&session, failure),
                },
                Err(failure) => failure,
            };
            if matches!(failure, Failure::Permanent(_) | Failure::Damaged(_)) || Instant::now() >= retry_until
            {
                return Err(failure.into_error());
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Refreshes the platform snapshot. Returns whether the database takes writes.
    async fn refresh(&self) -> Result<bool, Failure> {
        let was_writable = self.shared.counters.writable.load(Relaxed);
        let session = if was_writable { self.session().await? } else { self.new_session().await? };
        let refreshed = async {
            self.shared.platform.refresh(&session).await?;
            self.shared.clock.read(&session).await?;
            Ok(Admission::ask(&session).await?.may_write())
        };
        let is_writable = refreshed.await.map_err(|failure| abandon_if_lost(&session, failure))?;
        if is_writable && !was_writable {
            self.abandon_all();
        }
        Ok(is_writable)
    }

    /// Rebuilds damaged accounts that are asked for, until the future is dropped.
    pub(crate) async fn repair_when_asked(&self) {
        repair::run(&self.shared.repairs, &self.shared.address).await;
    }

    /// Refreshes the platform snapshot, the readiness and the counters until the future is dropped.
    pub(crate) async fn refresh_periodically(&self) {
        let counters = &self.shared.counters;
        let mut refreshes = 0_u32;
        loop {
            tokio::time::sleep(REFRESH_INTERVAL).await;
            refreshes = refreshes.wrapping_add(1);
            let is_writable = self.refresh().await.unwrap_or(false);
            counters.writable.store(is_writable, Relaxed);
            if is_writable
                && refreshes.is_multiple_of(REFRESHES_PER_RELOAD)
                && let Ok(session) = self.session().await
            {
                counters.reload(&session).await;
            }
        }
    }
}

/// Marks the connection as closed if the failure means that it is lost, or that another one may
/// succeed. Returns the failure.
fn abandon_if_lost(session: &DbSession, failure: Failure) -> Failure {
    if matches!(failure, Failure::ResultUnknown(_) | Failure::Unavailable(_)) {
        session.abandon();
    }
    failure
}
