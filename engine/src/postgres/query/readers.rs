//! The connections for queries. They are apart from the connections of the lanes, so that no report
//! delays a charge.
//!
//! The readers also refresh the platform snapshot once a second. A server without commands would
//! otherwise not learn that another server has changed prices or platform keys. After a conflict, a
//! lane refreshes the snapshot at once.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::Error;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema;
use crate::postgres::database::session::{ANSWER_TIMEOUT, DbSession, with_timeout};
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
    shared: Arc<SharedState>,
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
        let index = self.next.fetch_add(1, Relaxed) % self.sessions.len();
        let mut session = self.sessions[index].lock().await;
        if let Some(session) = session.as_ref().filter(|session| !session.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let opened = Arc::new(DbSession::open(&self.shared.address).await?);
        *session = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Migrates the database and loads what the server needs before it serves: platform snapshot
    /// and counters.
    ///
    /// # Errors
    /// [`Error::is_unusable`] if the database holds an unfinished import.
    pub(crate) async fn begin(&self) -> Result<(), Failure> {
        let SharedState { address, platform, counters, .. } = &*self.shared;
        schema::migrate(address).await?;
        let session = self.session().await?;
        schema::refuse_unfinished_import(&session).await?;
        platform.refresh(&session).await?;
        counters.reload(&session).await?;
        counters.writable.store(true, Relaxed);
        Ok(())
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
            if matches!(failure, Failure::Permanent(_)) || Instant::now() >= retry_until {
                return Err(failure.into_error());
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn refresh(&self, session: &DbSession, reload_counters: bool) -> Result<(), Failure> {
        if reload_counters {
            self.shared.counters.reload(session).await?;
        }
        self.shared.platform.refresh(session).await
    }

    /// Refreshes the platform snapshot and the counters until the future is dropped.
    pub(crate) async fn refresh_periodically(&self) {
        let mut refreshes = 0_u32;
        loop {
            tokio::time::sleep(REFRESH_INTERVAL).await;
            refreshes = refreshes.wrapping_add(1);
            let refreshed = match self.session().await {
                Ok(session) => {
                    let reload_counters = refreshes.is_multiple_of(REFRESHES_PER_RELOAD);
                    let refreshed = self.refresh(&session, reload_counters).await;
                    refreshed.map_err(|failure| abandon_if_lost(&session, failure))
                }
                Err(failure) => Err(failure),
            };
            self.shared.counters.writable.store(refreshed.is_ok(), Relaxed);
        }
    }
}

/// Marks the connection as closed if the failure means that it is lost. Returns the failure.
fn abandon_if_lost(session: &DbSession, failure: Failure) -> Failure {
    if matches!(failure, Failure::ResultUnknown(_)) {
        session.abandon();
    }
    failure
}
