//! The journal file: all entries of all workspaces in the order in which they were written.
//!
//! It is the only source of truth of the embedded engine; everything else is derived from it. The
//! table `block` holds the entries in blocks, keyed by the sequence number of their first entry.
//! Its rows are appended and never changed. The table `meta` holds the directory's id and the marks
//! of an import and of an erasure. The table `personal` holds texts about a person (see `texts`).
//!
//! Guarantee: the file is in WAL mode with `synchronous = FULL`, so when [`Journal::append`]
//! returns, the entries are on disk. No commit moves the WAL into the file. The checkpointer moves
//! most of it ([`wal_checkpoint`]); between commits the connection that appends moves the last
//! pages.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::block::{BLOCK_BYTES, BLOCK_ENTRIES, Block, Stored, finish_block};
use super::sqlite::{self, Access, OpenFile, classify};
use super::texts::{self, TextWrite};
use crate::Error;

/// The name of the file in the data directory.
pub(crate) const FILE: &str = "journal.db";

/// "TKJ1", SQLite's `application_id` of this file.
const APPLICATION: i32 = 0x544b_4a31;
const VERSION: i32 = 9;

/// The version of the first release. No program reads those of builds before it.
const FIRST: i32 = 4;

const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE block (first INTEGER PRIMARY KEY, data BLOB NOT NULL);";

/// The block that holds an entry.
const BLOCK_OF: &str = "SELECT first, data FROM block WHERE first <= ?1 ORDER BY first DESC LIMIT 1";

/// The bytes of memory that a batch which was appended keeps for the next one.
const KEPT_BYTES: usize = 8 << 20;

/// Blocks that are read together by a read of many: at most about 1 MiB.
const BLOCKS_AT_ONCE: i64 = 64;

/// True if a directory holds a ledger's journal.
#[must_use]
pub fn holds_ledger(directory: &Path) -> bool {
    directory.join(FILE).exists()
}

/// [`Error::is_unusable`] for a directory without a journal.
pub(crate) fn must_hold(directory: &Path) -> Result<(), Error> {
    if holds_ledger(directory) {
        return Ok(());
    }
    Err(Error::unusable(format!("{} holds no ledger", directory.display())).with_hint(
        "point --data at a data directory; `tollkeeper serve` or `tollkeeper workspace create` makes one",
    ))
}

/// Consecutive entries that are to be appended.
#[derive(Debug, Default)]
pub(crate) struct EncodedEntries {
    /// The stored bytes of the entries, one after the other.
    pub bytes: Vec<u8>,
    /// Where each entry begins in `bytes`.
    pub offsets: Vec<usize>,
    /// What the entries change in the texts about persons.
    pub texts: Vec<TextWrite>,
}

impl EncodedEntries {
    /// Removes the entries and keeps the memory that a usual batch needs.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.offsets.clear();
        self.texts.clear();
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// The stored bytes of the entry with this index, from 0.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let from = *self.offsets.get(index)?;
        let to = self.offsets.get(index + 1).copied().unwrap_or(self.bytes.len());
        self.bytes.get(from..to)
    }
}

/// A connection to the journal file.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    connection: OpenFile,
    /// Memory of the block being written.
    block: Vec<u8>,
    /// Where its entries begin.
    offsets: Vec<u32>,
}

impl Journal {
    /// Opens the journal of a directory; makes it unless `access` is [`Access::Read`].
    pub(crate) fn open(directory: &Path, vfs: Option<&str>, access: Access) -> Result<Journal, Error> {
        let path = directory.join(FILE);
        let connection = sqlite::open(&path, vfs, access)?;
        let version = sqlite::version(&path, &connection, (APPLICATION, VERSION))?;
        if access == Access::Read && version == 0 {
            let what = format!("{} has not been set up yet", path.display());
            return Err(Error::unusable(what).with_hint("start the server on it once"));
        }
        if version == 0 {
            make_tables(&connection).map_err(|error| classify(&path, error))?;
        } else if version < FIRST {
            let what = format!("{} was written by a build before the first release", path.display());
            return Err(Error::unusable(what)
                .with_hint("give an empty directory: no program reads the data of such a build"));
        } else if version < VERSION && access != Access::Read {
            // The tables are the same. An older program cannot read the new kinds of entries.
            let raised = connection.execute_batch(&format!("PRAGMA user_version = {VERSION}"));
            raised.map_err(|error| classify(&path, error))?;
        }
        connection.execute_batch("PRAGMA synchronous = FULL").map_err(|error| classify(&path, error))?;
        Ok(Journal { path, connection, block: Vec::new(), offsets: Vec::new() })
    }

    /// The random id of this data directory, which is also the secret key of its hashes; stores
    /// `fresh()` if it has none yet.
    pub(crate) fn directory_id(&self, fresh: impl FnOnce() -> [u8; 16]) -> Result<[u8; 16], Error> {
        if let Some(id) = self.stored_directory_id()? {
            return Ok(id);
        }
        let id = fresh();
        self.connection
            .execute("INSERT INTO meta (name, value) VALUES ('directory', ?1)", [&id[..]])
            .map_err(|error| classify(&self.path, error))?;
        Ok(id)
    }

    /// The id of this data directory, if it has one yet.
    pub(crate) fn stored_directory_id(&self) -> Result<Option<[u8; 16]>, Error> {
        let sql = "SELECT value FROM meta WHERE name = 'directory'";
        let found = self.connection.query_row(sql, [], |row| row.get(0)).optional();
        found.map_err(|error| classify(&self.path, error))
    }

    /// True between the beginning and the end of an import: the journal holds a part of a ledger.
    pub(crate) fn is_importing(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'importing')";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| classify(&self.path, error))
    }

    /// Marks the beginning or the end of an import.
    pub(crate) fn set_importing(&self, importing: bool) -> Result<(), Error> {
        let sql = match importing {
            true => "INSERT OR REPLACE INTO meta (name, value) VALUES ('importing', x'01')",
            false => "DELETE FROM meta WHERE name = 'importing'",
        };
        self.connection.execute(sql, []).map(|_| ()).map_err(|error| classify(&self.path, error))
    }

    /// The sequence number of the last entry; 0 if there is none.
    pub(crate) fn last(&self) -> Result<u64, Error> {
        self.with_block("SELECT first, data FROM block ORDER BY first DESC LIMIT 1", [], |first, bytes| {
            Ok(first + Block::open(first, bytes)?.count() as u64 - 1)
        })
        .map(Option::unwrap_or_default)
    }

    /// Appends entries, the first with sequence number `first`, in one database transaction. On
    /// success they are on disk. After an error they may be or not, and the caller must read the
    /// file again before it appends more.
    pub(crate) fn append(&mut self, first: u64, entries: &EncodedEntries) -> Result<(), Error> {
        self.write_blocks(first, entries).map_err(|error| {
            if !self.connection.is_autocommit() {
                // If this fails too, the next open rolls the transaction back.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            classify(&self.path, error)
        })
    }

    fn write_blocks(&mut self, first: u64, entries: &EncodedEntries) -> rusqlite::Result<()> {
        assert!(first > 0, "entries are numbered from 1");
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut insert = self.connection.prepare_cached("INSERT INTO block (first, data) VALUES (?1, ?2)")?;
        let mut from = 0;
        while from < entries.len() {
            let start = entries.offsets[from];
            let to = (from + 1..entries.len().min(from + BLOCK_ENTRIES))
                .find(|to| entries.offsets[*to] - start >= BLOCK_BYTES)
                .unwrap_or_else(|| entries.len().min(from + BLOCK_ENTRIES));
            let end = entries.offsets.get(to).copied().unwrap_or(entries.bytes.len());
            self.block.clear();
            self.block.extend_from_slice(&entries.bytes[start..end]);
            self.offsets.clear();
            self.offsets.extend(entries.offsets[from..to].iter().map(|at| (at - start) as u32));
            let row = first + from as u64;
            finish_block(row, &mut self.block, &self.offsets);
            insert.execute((row as i64, &self.block))?;
            from = to;
        }
        assert_eq!(from, entries.len(), "every entry is in a block");
        if !entries.texts.is_empty() {
            texts::write(&self.connection, &entries.texts)?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Reads entry `seq`; `None` beyond the end.
    pub(crate) fn read<T>(
        &self,
        seq: u64,
        mut read: impl FnMut(Stored) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let found = self.with_block(BLOCK_OF, [seq as i64], |first, bytes| {
            Block::open(first, bytes)?.get(seq)?.map(&mut read).transpose()
        })?;
        Ok(found.flatten())
    }

    /// Reads the first entry of an account in the block that holds entry `seq`; `None` if that
    /// block has none of it.
    pub(crate) fn first_of_account<T>(
        &self,
        seq: u64,
        account_index: u32,
        read: impl FnOnce(Stored) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let found = self.with_block(BLOCK_OF, [seq as i64], |first, bytes| {
            let block = Block::open(first, bytes)?;
            for seq in first..first + block.count() as u64 {
                if let Some(stored) = block.get(seq)?
                    && stored.header.account_index == account_index
                {
                    return read(stored).map(Some);
                }
            }
            Ok(None)
        })?;
        Ok(found.flatten())
    }

    /// Reads all entries from `seq` to the one that is the last now, in order. Nothing is open in
    /// the file while `read` runs, so it may take its time: it holds no page of the WAL back.
    pub(crate) fn read_from(
        &self,
        seq: u64,
        mut read: impl FnMut(Stored) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.each_block(seq, |first, bytes| {
            let block = Block::open(first, bytes)?;
            for at in first.max(seq)..first + block.count() as u64 {
                if let Some(stored) = block.get(at)? {
                    read(stored)?;
                }
            }
            Ok(())
        })
    }

    /// Reads the entries from `seq` to `last` in order, until `read` returns false. Some blocks are
    /// read at a time, as by [`Journal::read_from`].
    pub(crate) fn read_range(
        &self,
        seq: u64,
        last: u64,
        mut read: impl FnMut(Stored) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let failed = |error| classify(&self.path, error);
        let sql = "SELECT max(first) FROM block WHERE first <= ?1";
        let begin = self.connection.query_row(sql, [seq as i64], |row| row.get::<_, Option<i64>>(0));
        let mut next = begin.map_err(failed)?.unwrap_or(0);
        while next <= last as i64 {
            let blocks = self.some_blocks(next, last as i64).map_err(failed)?;
            let Some((newest, _)) = blocks.last() else { break };
            next = newest + 1;
            for (first, bytes) in &blocks {
                let (first, block) = (*first as u64, Block::open(*first as u64, bytes)?);
                for at in first.max(seq)..(first + block.count() as u64).min(last + 1) {
                    if let Some(stored) = block.get(at)?
                        && !read(stored)?
                    {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs `read` on each block from the one that holds entry `seq` to the one that is the last
    /// now. Blocks never change, so all of them are of one state, although some are read at a time.
    fn each_block(
        &self,
        seq: u64,
        mut read: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let failed = |error| classify(&self.path, error);
        let sql = "SELECT (SELECT first FROM block WHERE first <= ?1 ORDER BY first DESC LIMIT 1), max(first) FROM block";
        let bounds = |row: &rusqlite::Row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
        let (start, last) = self.connection.query_row(sql, [seq as i64], bounds).map_err(failed)?;
        let Some(last) = last else { return Ok(()) };
        let mut next = start.unwrap_or(0);
        while next <= last {
            let blocks = self.some_blocks(next, last).map_err(failed)?;
            let Some((newest, _)) = blocks.last() else { break };
            assert!((next..=last).contains(newest), "blocks are read in order");
            next = newest + 1;
            for (first, bytes) in &blocks {
                read(*first as u64, bytes)?;
            }
        }
        Ok(())
    }

    /// The next few blocks of a range, each with the number of its first entry.
    fn some_blocks(&self, from: i64, last: i64) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let sql = "SELECT first, data FROM block WHERE first BETWEEN ?1 AND ?2 ORDER BY first LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map((from, last, BLOCKS_AT_ONCE), |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    /// Runs `read` on the first block that a query finds.
    fn with_block<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(u64, &[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let failed = |error| classify(&self.path, error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else {
            return Ok(None);
        };
        let first = row.get::<_, i64>(0).map_err(failed)? as u64;
        let bytes = row.get_ref(1).map_err(failed)?.as_blob().map_err(|error| failed(error.into()))?;
        read(first, bytes).map(Some)
    }

    /// Moves the WAL into the file as far as open reads allow; returns the number of pages that are
    /// left in it.
    pub(crate) fn wal_checkpoint(&self) -> Result<u64, Error> {
        wal_checkpoint(&self.connection).map_err(|error| classify(&self.path, error))
    }

    /// Moves the whole WAL into the file and empties it, so that the file alone is the journal. If
    /// a reader of another process still needs the WAL, as much as possible is moved, and the
    /// answer is false.
    pub(crate) fn empty_wal(&self) -> Result<bool, Error> {
        let is_busy = sqlite::empty_wal(&self.connection).map_err(|error| classify(&self.path, error))?;
        if is_busy {
            self.wal_checkpoint()?;
        }
        Ok(!is_busy)
    }

    /// Checks that the file takes writes: writes as much as a small batch and removes it.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        let sql =
            "BEGIN IMMEDIATE; INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', zeroblob(131072));
                   COMMIT; DELETE FROM meta WHERE name = 'probe'";
        self.connection.execute_batch(sql).map_err(|error| {
            if !self.connection.is_autocommit() {
                // The first failure is the one that is reported.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            classify(&self.path, error)
        })
    }

    /// Begins a read transaction, a snapshot: all reads see the file as it is now, until this is
    /// dropped.
    pub(crate) fn begin_snapshot(&self) -> Result<(), Error> {
        let begin = || {
            self.connection.execute_batch("BEGIN")?;
            // SQLite takes its snapshot at the first read of a transaction.
            self.connection.query_row("SELECT count(*) FROM meta", [], |row| row.get::<_, i64>(0))
        };
        begin().map(|_| ()).map_err(|error| classify(&self.path, error))
    }

    /// How often this connection has read an entry.
    #[cfg(test)]
    pub(crate) fn reads(&self) -> i32 {
        let statement = self.connection.prepare_cached(BLOCK_OF).expect("the table is there");
        statement.get_status(rusqlite::StatementStatus::Run)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The connection, for copying the file.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// A passive checkpoint of the WAL; returns the number of its pages that are not in the file yet.
pub(crate) fn wal_checkpoint(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
    let (in_wal, moved) =
        statement.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
    Ok((in_wal - moved).max(0) as u64)
}

fn make_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute_batch(TABLES)?;
    connection.execute_batch(texts::TABLE)?;
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wal_bytes(directory: &Path) -> u64 {
        std::fs::metadata(directory.join(format!("{FILE}-wal"))).expect("a journal has a WAL").len()
    }

    #[test]
    fn a_writer_raises_the_version_of_an_older_journal_and_a_reader_does_not() {
        let scratch = tempfile::tempdir().expect("a directory");
        let made = Journal::open(scratch.path(), None, Access::Create).expect("it is made");
        made.connection.execute_batch(&format!("PRAGMA user_version = {FIRST}")).expect("it is open");
        drop(made);
        let version = |access| {
            let journal = Journal::open(scratch.path(), None, access).expect("no version is refused");
            let read = |row: &rusqlite::Row| row.get::<_, i32>(0);
            journal.connection.query_row("PRAGMA user_version", [], read).expect("it is open")
        };
        assert_eq!(
            [version(Access::Read), version(Access::Write), version(Access::Read)],
            [FIRST, VERSION, VERSION]
        );
    }

    #[test]
    fn a_wal_that_a_read_held_back_is_cut_when_it_starts_again() {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(scratch.path(), None, Access::Create).expect("it is made");
        let limit = |sql: &str| journal.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let kept = limit("PRAGMA journal_size_limit").expect("it is set");
        assert_eq!(kept, sqlite::WAL_KEPT_BYTES as i64);
        limit("PRAGMA journal_size_limit = 100000").expect("it is set");
        let entries =
            EncodedEntries { bytes: vec![7; 10_000], offsets: vec![0], ..EncodedEntries::default() };
        let held = Journal::open(scratch.path(), None, Access::Read).expect("it is there");
        held.begin_snapshot().expect("it can be read");
        for seq in 1..=100 {
            journal.append(seq, &entries).expect("a healthy disk");
            journal.wal_checkpoint().expect("a healthy disk");
        }
        assert!(wal_bytes(scratch.path()) > 1_000_000, "an open read holds the WAL back");
        drop(held);
        journal.wal_checkpoint().expect("a healthy disk");
        journal.append(101, &entries).expect("a healthy disk");
        assert!(wal_bytes(scratch.path()) <= 100_000, "it has started again");
    }
}
