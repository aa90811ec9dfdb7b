//! The embedded engine (being laid).
use std::path::Path;
use std::sync::Arc;

use tollkeeper_ledger::{
    Charge, ChargeId, Platform, Profile, Submission, Timestamp, UsageKey, Used, WorkspaceId,
};

use crate::{
    BalanceAt, BoxFuture, ChargeFilter, ChargeRecord, Engine, EntryRecord, Error, Figures, GrantRecord,
    Listing, Page, Ran,
};

/// How to open it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// For how long after its birth a settled charge may be refunded by a late system failure; 30 days when `None`.
    pub refund_window_seconds: Option<i64>,
    /// Requests that may wait; 8,192 when `None`.
    pub queue: Option<usize>,
}

/// The embedded engine.
pub struct Embedded {}

impl Embedded {
    /// Opens (or makes) the data directory and holds it alone.
    ///
    /// # Errors
    /// When it cannot.
    pub fn open(path: &Path, options: Options) -> Result<Embedded, Error> {
        let _ = (path, options);
        Err(Error::unusable("not yet"))
    }

    /// Opens for reading only, beside a running server or not; commands are refused as unavailable.
    ///
    /// # Errors
    /// When it cannot.
    pub fn open_read_only(path: &Path) -> Result<Embedded, Error> {
        let _ = path;
        Err(Error::unusable("not yet"))
    }
}

/// What an audit found.
#[derive(Clone, Debug)]
pub struct AuditReport {
    /// Entries read.
    pub entries: u64,
    /// Workspaces (the platform's own chain not counted).
    pub workspaces: u64,
    /// The sum of all available balances, in micro-units.
    pub available: tollkeeper_ledger::Micros,
    /// Granted, charged, refunded, clawed back over all workspaces.
    pub totals: tollkeeper_ledger::Totals,
    /// The first line that disagrees; `None` if all is well.
    pub disagreement: Option<AuditDisagreement>,
}

/// The first line that disagrees.
#[derive(Clone, Debug)]
pub struct AuditDisagreement {
    /// In whose journal; `None` for the store as a whole.
    pub workspace: Option<WorkspaceId>,
    /// The number of the entry in that workspace, if one is at fault.
    pub entry: Option<u64>,
    /// What is wrong, for people.
    pub what: String,
}

/// Recomputes everything from the journal; safe beside a running server.
///
/// # Errors
/// When the directory cannot be read at all (a disagreement is not an error).
pub fn audit(path: &Path) -> Result<AuditReport, Error> {
    let _ = path;
    Err(Error::unusable("not yet"))
}

/// Copies the data directory consistently into a new one, while it is being written to or not. Returns the entries copied.
///
/// # Errors
/// When the source cannot be read, or the target exists or cannot be written.
pub fn backup(path: &Path, to: &Path) -> Result<u64, Error> {
    let _ = (path, to);
    Err(Error::unusable("not yet"))
}

/// Puts a backup in place as a new data directory, after an audit of it. Returns the entries restored.
///
/// # Errors
/// When the backup does not pass its audit, or the target is not an empty or absent directory.
pub fn restore(backup: &Path, to: &Path) -> Result<u64, Error> {
    let _ = (backup, to);
    Err(Error::unusable("not yet"))
}

#[rustfmt::skip]
impl Engine for Embedded {
    fn run(&self, _: Submission, _: Timestamp) -> BoxFuture<'_, Result<Ran, Error>> { unreachable!() }
    fn run_or_shed(&self, _: Submission, _: Timestamp) -> BoxFuture<'_, Result<Ran, Error>> { unreachable!() }
    fn run_batch(&self, _: Vec<Submission>, _: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> { unreachable!() }
    fn workspace<'a>(&'a self, _: &'a WorkspaceId) -> BoxFuture<'a, Result<Option<Profile>, Error>> { unreachable!() }
    fn workspaces(&self, _: Page) -> BoxFuture<'_, Result<Listing<Profile>, Error>> { unreachable!() }
    fn balance<'a>(&'a self, _: &'a WorkspaceId, _: Option<Timestamp>) -> BoxFuture<'a, Result<Option<BalanceAt>, Error>> { unreachable!() }
    fn charge<'a>(&'a self, _: &'a WorkspaceId, _: ChargeId) -> BoxFuture<'a, Result<Option<ChargeRecord>, Error>> { unreachable!() }
    fn charges<'a>(&'a self, _: &'a WorkspaceId, _: ChargeFilter, _: Page) -> BoxFuture<'a, Result<Option<Listing<Charge>>, Error>> { unreachable!() }
    fn grants<'a>(&'a self, _: &'a WorkspaceId, _: Page) -> BoxFuture<'a, Result<Option<Listing<GrantRecord>>, Error>> { unreachable!() }
    fn entries<'a>(&'a self, _: &'a WorkspaceId, _: Page) -> BoxFuture<'a, Result<Option<Listing<EntryRecord>>, Error>> { unreachable!() }
    fn usage<'a>(&'a self, _: &'a WorkspaceId, _: (i64, i64)) -> BoxFuture<'a, Result<Vec<(UsageKey, Used)>, Error>> { unreachable!() }
    fn platform(&self) -> Arc<Platform> { unreachable!() }
    fn due(&self, _: Timestamp, _: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> { unreachable!() }
    fn figures(&self) -> Figures { unreachable!() }
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> { unreachable!() }
}
