//! Backup and restore of a data directory.
//!
//! A backup is a data directory: a consistent copy of the journal, safe beside a running server.
//! The state file is left out, because the first start builds it from the journal. The places of
//! webhook endpoints are copied, so that a restored ledger sends what was not sent yet. A restore
//! audits a backup before it puts it in place, and begins a new epoch there ([`crate::restored`]).

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use tollkeeper_ledger::Timestamp;

use super::audit::audit;
use crate::embedded::core::mending::open_whole_journal;
use crate::embedded::core::{Core, CoreOptions};
use crate::embedded::delivery::store::{self, DeliveryStore};
use crate::embedded::storage::files;
use crate::embedded::storage::journal::{self, Journal};
use crate::embedded::storage::sqlite::{self, Access, classify};
use crate::{Error, JournalHead, restored};

/// Copies the journal of a data directory into a new directory, beside a running server or without
/// one. Returns the number of copied entries.
///
/// # Errors
/// When the source cannot be read, or the target is not an empty or absent directory, or cannot be
/// written.
pub fn backup(path: &Path, to: &Path) -> Result<u64, Error> {
    let source = open_whole_journal(path)?;
    // One state of the source, although the server writes to it meanwhile.
    source.begin_snapshot()?;
    empty_directory(to)?;
    let copied = copy_places(path, to).and_then(|()| copy(&source, to));
    if copied.is_err() {
        // A part of a copy must not be taken for a backup.
        let _ = std::fs::remove_file(to.join(journal::FILE));
        let _ = std::fs::remove_file(to.join(store::FILE));
    }
    copied
}

/// Copies a backup into a new data directory, after an audit of it, and begins the next epoch
/// there: the journal that was backed up may have gone on. Returns the number of copied
/// entries.
///
/// # Errors
/// When the backup does not pass its audit, or the target is not an empty or absent directory.
pub fn restore(backup_at: &Path, to: &Path, now: Timestamp) -> Result<u64, Error> {
    let report = audit(backup_at)?;
    if let Some(disagreement) = report.disagreement {
        return Err(Error::damaged(format!("{}: {}", backup_at.display(), disagreement.what))
            .with_hint("take an older backup; `tollkeeper audit` reports more"));
    }
    let entries = backup(backup_at, to)?;
    mark_restored(to, now)?;
    Ok(entries)
}

/// Begins the next epoch of a data directory that other tools have restored. Returns the end of its
/// journal afterwards.
///
/// # Errors
/// When there is no ledger in the directory, a server uses it, or it cannot be written.
pub fn mark_restored(path: &Path, now: Timestamp) -> Result<JournalHead, Error> {
    journal::must_hold(path)?;
    let mut core = Core::open(path, CoreOptions::default())?;
    core.refuse_unfinished_import()?;
    let results = core.run_batch(vec![restored::submission()], now)?;
    assert!(results.iter().all(Result::is_ok), "the ledger refuses no epoch: {results:?}");
    let head = core.journal_head()?;
    core.checkpoint_all()?;
    Ok(head)
}

fn empty_directory(to: &Path) -> Result<(), Error> {
    let unusable = |error: std::io::Error| Error::unusable(format!("{}: {error}", to.display()));
    files::create_directory(to).map_err(unusable)?;
    if std::fs::read_dir(to).map_err(unusable)?.next().is_some() {
        return Err(Error::unusable(format!("{} is not empty", to.display()))
            .with_hint("name a new directory; nothing is overwritten"));
    }
    Ok(())
}

/// Copies the places of subscribers, if there are some. Each is in the journal that was copied, or
/// the subscriber goes back.
fn copy_places(from: &Path, to: &Path) -> Result<(), Error> {
    let Some(source) = DeliveryStore::open_to_read(from)? else { return Ok(()) };
    let path = to.join(store::FILE);
    let mut target = sqlite::open(&path, None, Access::Create)?;
    let failed = |error| classify(&path, error);
    let backup = Backup::new(source.connection(), &mut target).map_err(failed)?;
    match backup.step(-1).map_err(failed)? {
        StepResult::Done => Ok(()),
        step => Err(Error::unavailable(format!("{}: the file is busy ({step:?})", path.display()))),
    }
}

fn copy(source: &Journal, to: &Path) -> Result<u64, Error> {
    let path = to.join(journal::FILE);
    let mut target = sqlite::open(&path, None, Access::Create)?;
    let failed = |error| classify(&path, error);
    {
        let backup = Backup::new(source.connection(), &mut target).map_err(failed)?;
        // All pages in one step: SQLite then copies one state of the source, although the server
        // writes to it meanwhile.
        let step = backup.step(-1).map_err(failed)?;
        if step != StepResult::Done {
            return Err(Error::unavailable(format!("{}: the journal is busy ({step:?})", path.display())));
        }
    }
    drop(target);
    let copied = Journal::open(to, None, Access::Write)?;
    let last = source.last()?;
    let hash = |journal: &Journal| journal.read(last, |stored| Ok(stored.hash()));
    if copied.last()? != last || hash(&copied)? != hash(source)? {
        return Err(Error::unavailable("the copy does not end as the journal does").with_hint("try again"));
    }
    copied.empty_wal()?;
    Ok(last)
}
