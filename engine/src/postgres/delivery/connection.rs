//! The connection of deliveries. It has transactions of several statements, so no query shares it.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify};

use crate::Error;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, with_timeout};
use crate::postgres::database::sql::BEGIN;
use crate::postgres::shared::SharedState;

/// A commit does not wait for the disk or a standby, so that charges do not wait for its sync. If
/// the database loses it, nothing of it was done: what was taken is taken again, and what was noted
/// is sent again under the same id.
const COMMITS_LATE: &str = "SET LOCAL synchronous_commit = off";

/// What deliveries of one server have of their own.
#[derive(Debug)]
pub(crate) struct DeliveryShared {
    /// Woken when this server has committed an entry that somebody follows.
    pub committed: Notify,
    /// The name of this server among those on the database, for turns.
    pub holder: i64,
    session: Mutex<Option<Arc<DbSession>>>,
    /// The number of the platform's entry for which the subscribers were last looked through.
    pub retained_for: Mutex<Option<u64>>,
}

impl DeliveryShared {
    pub(crate) fn new() -> Result<DeliveryShared, Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::unavailable(format!("no random numbers: {error}")))?;
        Ok(DeliveryShared {
            committed: Notify::new(),
            holder: i64::from_le_bytes(bytes),
            session: Mutex::default(),
            retained_for: Mutex::default(),
        })
    }
}

/// Runs a transaction on the connection of deliveries. After a failure the connection is closed,
/// which ends the transaction; nothing of it was written, or all.
pub(super) async fn transaction<T, F>(
    shared: &SharedState,
    work: impl FnOnce(Arc<DbSession>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut place = shared.deliveries.session.lock().await;
    let session = match place.take().filter(|session| !session.is_closed()) {
        Some(session) => session,
        None => Arc::new(DbSession::open(&shared.address).await?),
    };
    with_timeout(session.batch_execute(&format!("{BEGIN}; {COMMITS_LATE}"))).await??;
    let value = with_timeout(work(Arc::clone(&session))).await??;
    with_timeout(session.batch_execute("COMMIT")).await??;
    *place = Some(session);
    Ok(value)
}
