//! The journal file: the truth. Everything else this engine keeps is derived from it.
//!
//! One table of blocks keyed by the place of their first entry, appended to and never changed, in WAL mode with
//! `synchronous = FULL`: when [`Journal::append`] returns, the entries are on disk. Moving the WAL into the file is the
//! keeper's work ([`Journal::checkpoint`] on a connection of its own).

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::block::{BLOCK_BYTES, BLOCK_ENTRIES, Block, Stored, seal};
use super::sqlite::{self, Access, explain};
use crate::Error;

/// The name of the file in the data directory.
pub(crate) const FILE: &str = "journal.db";

/// "TKJ1": marks the file as ours.
const APPLICATION: i32 = 0x544b_4a31;
const VERSION: i32 = 2;

/// The steps from each version to the next. The first makes a new file; with the second come entries about teams, which an
/// older program cannot read and should not call damaged. Whoever only reads leaves an older file as it is: what is in it
/// reads as it did.
const UPGRADES: [&str; VERSION as usize] = [
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
     CREATE TABLE block (first INTEGER PRIMARY KEY, data BLOB NOT NULL);",
    "",
];

/// Whether there is a ledger in a directory.
#[must_use]
pub fn holds_ledger(directory: &Path) -> bool {
    directory.join(FILE).exists()
}

/// Refuses a directory that there is nothing in to read.
pub(crate) fn must_hold(directory: &Path) -> Result<(), Error> {
    if holds_ledger(directory) {
        return Ok(());
    }
    Err(Error::unusable(format!("{} holds no ledger", directory.display())).with_hint(
        "point --data at a data directory; `tollkeeper serve` or `tollkeeper workspace create` makes one",
    ))
}

/// Entries that wait to be appended: the bytes of each after the other, and where each begins.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pub bytes: Vec<u8>,
    pub beginnings: Vec<usize>,
}

impl Tail {
    /// Forgets the entries, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.beginnings.clear();
    }

    /// How many entries wait.
    pub(crate) fn len(&self) -> usize {
        self.beginnings.len()
    }

    /// The bytes of one of them.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let from = *self.beginnings.get(index)?;
        let to = self.beginnings.get(index + 1).copied().unwrap_or(self.bytes.len());
        self.bytes.get(from..to)
    }
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    connection: Connection,
    block: Vec<u8>,
    beginnings: Vec<u32>,
}

impl Journal {
    /// Opens the journal of a directory; makes or upgrades it if it may write.
    pub(crate) fn open(directory: &Path, vfs: Option<&str>, access: Access) -> Result<Journal, Error> {
        let path = directory.join(FILE);
        let connection = sqlite::open(&path, vfs, access)?;
        let version = sqlite::version(&path, &connection, (APPLICATION, VERSION))?;
        if access == Access::Read && version == 0 {
            let what = format!("{} has not been set up yet", path.display());
            return Err(Error::unusable(what).with_hint("start the server on it once"));
        }
        if access != Access::Read && version < VERSION {
            upgrade(&connection, version).map_err(|error| explain(&path, error))?;
        }
        connection.execute_batch("PRAGMA synchronous = FULL").map_err(|error| explain(&path, error))?;
        Ok(Journal { path, connection, block: Vec::new(), beginnings: Vec::new() })
    }

    /// The number this data directory was given at its making, or gives it `fresh`.
    pub(crate) fn directory_id(&self, fresh: impl FnOnce() -> [u8; 16]) -> Result<[u8; 16], Error> {
        let found = self
            .connection
            .query_row("SELECT value FROM meta WHERE name = 'directory'", [], |row| row.get(0))
            .optional()
            .map_err(|error| explain(&self.path, error))?;
        if let Some(id) = found {
            return Ok(id);
        }
        let id = fresh();
        self.connection
            .execute("INSERT INTO meta (name, value) VALUES ('directory', ?1)", [&id[..]])
            .map_err(|error| explain(&self.path, error))?;
        Ok(id)
    }

    /// Whether an import has begun and not ended: what is here is a part of a ledger.
    pub(crate) fn is_importing(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'importing')";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| explain(&self.path, error))
    }

    /// Notes it, or that it has ended.
    pub(crate) fn set_importing(&self, importing: bool) -> Result<(), Error> {
        let sql = match importing {
            true => "INSERT OR REPLACE INTO meta (name, value) VALUES ('importing', x'01')",
            false => "DELETE FROM meta WHERE name = 'importing'",
        };
        self.connection.execute(sql, []).map(|_| ()).map_err(|error| explain(&self.path, error))
    }

    /// The place of the last entry; 0 if there is none.
    pub(crate) fn last(&self) -> Result<u64, Error> {
        self.with("SELECT first, data FROM block ORDER BY first DESC LIMIT 1", [], |first, bytes| {
            Ok(first + Block::open(first, bytes)?.count() as u64 - 1)
        })
        .map(Option::unwrap_or_default)
    }

    /// Appends entries, the first at `first`, in one database transaction. When this returns, they are on disk; when it
    /// fails, they may or may not be, and the caller must read again before it goes on.
    pub(crate) fn append(&mut self, first: u64, tail: &Tail) -> Result<(), Error> {
        self.write_blocks(first, tail).map_err(|error| {
            if !self.connection.is_autocommit() {
                // A failure here leaves the transaction to be rolled back by the next open.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            explain(&self.path, error)
        })
    }

    fn write_blocks(&mut self, first: u64, tail: &Tail) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut insert = self.connection.prepare_cached("INSERT INTO block (first, data) VALUES (?1, ?2)")?;
        let mut from = 0;
        while from < tail.len() {
            let start = tail.beginnings[from];
            let to = (from + 1..tail.len().min(from + BLOCK_ENTRIES))
                .find(|to| tail.beginnings[*to] - start >= BLOCK_BYTES)
                .unwrap_or_else(|| tail.len().min(from + BLOCK_ENTRIES));
            let end = tail.beginnings.get(to).copied().unwrap_or(tail.bytes.len());
            self.block.clear();
            self.block.extend_from_slice(&tail.bytes[start..end]);
            self.beginnings.clear();
            self.beginnings.extend(tail.beginnings[from..to].iter().map(|at| (at - start) as u32));
            seal(&mut self.block, &self.beginnings);
            insert.execute((first as i64 + from as i64, &self.block))?;
            from = to;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Reads the entry at a place; `None` beyond the end.
    pub(crate) fn read<T>(
        &self,
        seq: u64,
        mut then: impl FnMut(Stored) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let sql = "SELECT first, data FROM block WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
        let found = self.with(sql, [seq as i64], |first, bytes| {
            Block::open(first, bytes)?.get(seq)?.map(&mut then).transpose()
        })?;
        Ok(found.flatten())
    }

    /// Reads all entries from a place on, in order.
    pub(crate) fn read_from(
        &self,
        seq: u64,
        mut then: impl FnMut(Stored) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let start = "SELECT first FROM block WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
        let failed = |error| explain(&self.path, error);
        let start: Option<i64> =
            self.connection.query_row(start, [seq as i64], |row| row.get(0)).optional().map_err(failed)?;
        let sql = "SELECT first, data FROM block WHERE first >= ?1 ORDER BY first";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query([start.unwrap_or(0)]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let first = row.get::<_, i64>(0).map_err(failed)? as u64;
            let bytes = row.get_ref(1).map_err(failed)?.as_blob().map_err(|error| failed(error.into()))?;
            let block = Block::open(first, bytes)?;
            for at in first.max(seq)..first + block.count() as u64 {
                if let Some(stored) = block.get(at)? {
                    then(stored)?;
                }
            }
        }
        Ok(())
    }

    fn with<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        then: impl FnOnce(u64, &[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let failed = |error| explain(&self.path, error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else {
            return Ok(None);
        };
        let first = row.get::<_, i64>(0).map_err(failed)? as u64;
        let bytes = row.get_ref(1).map_err(failed)?.as_blob().map_err(|error| failed(error.into()))?;
        then(first, bytes).map(Some)
    }

    /// Moves what it can of the WAL into the file without making anyone wait; says how many pages are left in it.
    pub(crate) fn checkpoint(&self) -> Result<u64, Error> {
        checkpoint(&self.connection).map_err(|error| explain(&self.path, error))
    }

    /// Whether the file takes writes again: writes something as large as a small batch, and takes it out.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        let sql =
            "BEGIN IMMEDIATE; INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', zeroblob(131072));
                   COMMIT; DELETE FROM meta WHERE name = 'probe'";
        self.connection.execute_batch(sql).map_err(|error| {
            if !self.connection.is_autocommit() {
                // The failure that matters is the first one.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            explain(&self.path, error)
        })
    }

    /// Holds the present state of the file for all reads until this is dropped.
    pub(crate) fn hold(&self) -> Result<(), Error> {
        let hold = || {
            self.connection.execute_batch("BEGIN")?;
            // A read transaction begins with its first read.
            self.connection.query_row("SELECT count(*) FROM meta", [], |row| row.get::<_, i64>(0))
        };
        hold().map(|_| ()).map_err(|error| explain(&self.path, error))
    }

    /// The connection, for copying the file.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// A passive checkpoint: the number of pages in the WAL that are not yet in the file.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
    let (log, moved) = statement.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
    Ok((log - moved).max(0) as u64)
}

fn upgrade(connection: &Connection, from: i32) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for step in &UPGRADES[from as usize..] {
        connection.execute_batch(step)?;
    }
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
    ))
}
