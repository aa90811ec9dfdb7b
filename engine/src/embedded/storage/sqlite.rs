//! How the engine opens SQLite files and what its errors mean to a caller.
//!
//! One place for pragmas, versions and error kinds. The tables are in `journal` and `state_db`.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::files::{self, FileId};
use crate::Error;

/// How long a connection waits for a lock of another one.
pub(crate) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// The size of a page of a new file, and of the frames in its WAL.
pub(crate) const PAGE_BYTES: usize = 8192;

/// The first SQLite that does not lose commits when several connections checkpoint one WAL, as a
/// number: 3.51.3. A build could use the older one of its system.
const SQLITE_MIN_VERSION: i32 = 3_051_003;

/// A WAL that has grown beyond this size, because a read held it back, is cut to it when it starts
/// again. Above what it needs under full load, so that commits do not make the file longer anew.
pub(crate) const WAL_KEPT_BYTES: u64 = 128 << 20;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads and writes; makes the file if it is missing.
    Create,
    /// Reads and writes; the file must exist.
    Write,
    /// Reads only; SQLite refuses writes.
    Read,
}

/// A connection to a file. If another file has the name when it is closed, the name is left alone:
/// SQLite would remove the WAL of that other file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    connection: Connection,
    path: PathBuf,
    /// `None` on a disk that is simulated.
    id: Option<FileId>,
}

impl OpenFile {
    /// The path under which the file was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for OpenFile {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for OpenFile {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if self.id.is_some_and(|id| !id.is_at(&self.path)) {
            // If it cannot be set, SQLite has closed the connection already.
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// Opens a database file in WAL mode. No commit checkpoints the WAL of itself; the
/// checkpointer turns that on for the state file.
pub(crate) fn open(path: &Path, vfs: Option<&str>, access: Access) -> Result<OpenFile, Error> {
    check_sqlite(rusqlite::version_number())?;
    if access == Access::Create && vfs.is_none() {
        let made = files::create_file(path);
        made.map_err(|error| not_writable(format!("{}: {error}", path.display())))?;
    }
    let flags = match access {
        Access::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match vfs {
        None => Connection::open_with_flags(path, flags),
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
    };
    let connection = connection.map_err(|error| classify(path, error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| classify(path, error))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Plans must not depend on the values of parameters. Without this, SQLite compiles a join again
    // for every new value, which takes longer than the look-up itself.
    let stable = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    stable.map_err(|error| classify(path, error))?;
    let pragmas = match access {
        // The page size takes effect only before the first table is made.
        Access::Create | Access::Write => {
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;"
        }
        Access::Read => "PRAGMA query_only = 1; PRAGMA cache_size = -4096;",
    };
    connection.execute_batch(pragmas).map_err(|error| classify(path, error))?;
    if access != Access::Read {
        let limit = format!("PRAGMA journal_size_limit = {WAL_KEPT_BYTES}");
        connection.execute_batch(&limit).map_err(|error| classify(path, error))?;
    }
    let id = if vfs.is_none() { FileId::at(path).ok() } else { None };
    Ok(OpenFile { connection, path: path.to_path_buf(), id })
}

/// [`Error::is_unusable`] for a SQLite that may lose commits.
fn check_sqlite(version: i32) -> Result<(), Error> {
    if version >= SQLITE_MIN_VERSION {
        return Ok(());
    }
    let what = format!("the SQLite of this build has version number {version}, and may lose commits");
    Err(Error::unusable(what).with_hint("build with the bundled SQLite, or with 3.51.3 or newer"))
}

/// Renames a database with its WAL, so that the next open makes a new one; returns the new name.
/// Nothing is deleted that could be read again. `ending`: the new ending of the name.
pub(crate) fn set_aside(directory: &Path, file: &str, ending: &str) -> Result<PathBuf, Error> {
    let aside = directory.join(format!("{file}.{ending}"));
    for suffix in ["", "-wal"] {
        let path = directory.join(format!("{file}{suffix}"));
        let mut to = aside.clone().into_os_string();
        to.push(suffix);
        let moved = std::fs::rename(&path, &to);
        files::ignore_missing(moved)
            .map_err(|error| Error::unusable(format!("{}: {error}", path.display())))?;
    }
    let shared_memory = directory.join(format!("{file}-shm"));
    let removed = files::ignore_missing(std::fs::remove_file(&shared_memory));
    removed.map_err(|error| Error::unusable(format!("{}: {error}", shared_memory.display())))?;
    Ok(aside)
}

/// Moves the whole WAL into its file and empties it. True if a reader or writer was in the way: a
/// program that ends does not wait for it.
pub(crate) fn empty_wal(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    is_busy
}

/// The version of a file, 0 if it is new; [`Error::is_unusable`] if it belongs to another program
/// or is newer than `newest`.
pub(crate) fn version(
    path: &Path,
    connection: &Connection,
    (application, newest): (i32, i32),
) -> Result<i32, Error> {
    let pragma = |name: &str| {
        let read = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0));
        read.map_err(|error| classify(path, error))
    };
    let version = pragma("user_version")?;
    let found = pragma("application_id")?;
    if version > 0 && found != application {
        let what = format!("{} is a database of another program", path.display());
        return Err(Error::unusable(what).with_hint("point --data at a directory of Tollkeeper's own"));
    }
    if version > newest {
        let what =
            format!("{} has schema version {version}; this program knows up to {newest}", path.display());
        return Err(Error::unusable(what).with_hint("run the newer program that wrote it"));
    }
    Ok(version)
}

/// The engine's error for a failure of SQLite: its kind says what a caller can do.
pub(crate) fn classify(path: &Path, error: rusqlite::Error) -> Error {
    let what = format!("{}: {error}", path.display());
    let cut = error.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ);
    match error.sqlite_error_code() {
        // A file that ends within a page was cut; a retry does not help.
        Some(ErrorCode::SystemIoFailure) if cut => damaged(what),
        Some(ErrorCode::DiskFull) => Error::unavailable(what)
            .with_hint("make room on the disk; the engine then continues without a restart"),
        // A statement of this program that SQLite cannot compile: the file has other tables than
        // those that were made, or a header that SQLite does not know.
        Some(ErrorCode::Unknown) if is_sql_error(&error) => damaged(what),
        // SQLite did not fail, but gave a value of a type that is never written.
        None | Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(what),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => not_writable(what),
        _ => Error::unavailable(what),
    }
}

/// True for SQLite's plain `SQLITE_ERROR`, which is neither of the disk nor of a lock.
fn is_sql_error(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_ERROR)
}

fn not_writable(what: String) -> Error {
    Error::unusable(what).with_hint("the directory must exist and be writable by this user")
}

fn damaged(what: String) -> Error {
    Error::damaged(what)
        .with_hint("restore the last backup; `tollkeeper audit` says how far the journal can be trusted")
}

/// The error of a row that is not what was written.
pub(super) fn damaged_row(what: impl Into<String>) -> rusqlite::Error {
    let error = Box::new(Error::damaged(what));
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, error)
}

#[cfg(test)]
mod tests {
    use super::check_sqlite;

    #[test]
    fn a_sqlite_that_may_lose_commits_is_refused() {
        check_sqlite(rusqlite::version_number()).expect("the bundled one is new enough");
        assert!(check_sqlite(3_051_002).expect_err("it has the fault").is_unusable());
    }
}
