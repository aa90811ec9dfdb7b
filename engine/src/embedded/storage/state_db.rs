//! The state file: what is derived from the journal, so that a start need not read all of it.
//!
//! Its loss loses nothing. A start rebuilds it from the journal if the file is of another version,
//! older or newer, if SQLite cannot open it, or if it includes entries that the journal does not
//! have. Damage that is found later is reported; delete the file to rebuild it.
//!
//! Only the checkpointer writes it, in small transactions. Accounts are persisted at different
//! times: each account's row holds the number of the last entry that it includes.
//! `meta.accounts_kept_to` is the sequence number up to which all of them are complete. Here are
//! the tables and the queries; the writes are in `checkpointer`.
//!
//! Columns: `no` is the account index, `seq` and `head` are sequence numbers of the journal, `n` is
//! the number of an entry in its workspace, `lot` is a grant.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row};
use tollkeeper_ledger::{
    Account, ApiKeyId, Grant, Malformed, MemberId, Micros, OperationId, Spender, Team, Timestamp, UsageKey,
    UsageSums, WorkerId,
};

use super::bloom::Bloom;
use super::key_index::{Run, RunHead, SeqRange};
use super::sqlite::{self, Access, classify};
use crate::Error;

/// The name of the file in the data directory.
pub(crate) const FILE: &str = "state.db";

/// "TKS1", SQLite's `application_id` of this file.
const APPLICATION: i32 = 0x544b_5331;
const VERSION: i32 = 2;

const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE account (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, head INTEGER NOT NULL,
        n INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE TABLE team (no INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE lot (no INTEGER NOT NULL, n INTEGER NOT NULL, seq INTEGER NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (no, n)) WITHOUT ROWID;
    CREATE TABLE usage (no INTEGER NOT NULL, hour INTEGER NOT NULL, operation TEXT NOT NULL, worker TEXT NOT NULL,
        member TEXT NOT NULL, api_key TEXT NOT NULL, runs INTEGER NOT NULL, quantity INTEGER NOT NULL,
        charged INTEGER NOT NULL, refunded INTEGER NOT NULL,
        PRIMARY KEY (no, hour, operation, worker, member, api_key)) WITHOUT ROWID;
    CREATE TABLE hour (no INTEGER NOT NULL, hour INTEGER NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (no, hour)) WITHOUT ROWID;
    CREATE TABLE pending (seq INTEGER PRIMARY KEY, no INTEGER NOT NULL, deadline INTEGER NOT NULL);
    CREATE TABLE run (id INTEGER PRIMARY KEY, tier INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        pairs INTEGER NOT NULL, pages INTEGER NOT NULL, whole INTEGER NOT NULL, bloom BLOB, fences BLOB);
    CREATE TABLE run_page (run INTEGER NOT NULL, page INTEGER NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (run, page)) WITHOUT ROWID;
";

/// The columns that [`persisted_account`] reads.
const ACCOUNTS: &str =
    "SELECT a.no, a.head, a.data, t.data, a.id FROM account AS a LEFT JOIN team AS t ON t.no = a.no";

/// An account as the state file holds it.
#[derive(Debug)]
pub(crate) struct PersistedAccount {
    pub account_index: u32,
    /// The sequence number of its last entry.
    pub head: u64,
    pub account: Account,
}

/// A connection to the state file.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    pub(crate) connection: Connection,
}

/// Opens the state file for the checkpointer. Makes it if it is missing; deletes it and makes it
/// again if SQLite cannot open it, or if it is of another version.
pub(crate) fn open_or_rebuild(directory: &Path, vfs: Option<&str>) -> Result<StateFile, Error> {
    match StateFile::open(directory, vfs, Access::Create) {
        Ok(state) => Ok(state),
        Err(error) if error.is_damaged() || error.is_unusable() => {
            // If it cannot be deleted, the error of opening it is the one to report.
            remove(directory).map_err(|_| error)?;
            StateFile::open(directory, vfs, Access::Create)
        }
        Err(error) => Err(error),
    }
}

/// Deletes the state file; nothing is lost by it.
pub(crate) fn remove(directory: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm"] {
        let path = directory.join(format!("{FILE}{suffix}"));
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::unusable(format!("{}: {error}", path.display()))),
        }
    }
    Ok(())
}

impl StateFile {
    /// Opens the file; makes its tables unless `access` is [`Access::Read`].
    pub(crate) fn open(directory: &Path, vfs: Option<&str>, access: Access) -> Result<StateFile, Error> {
        let path = directory.join(FILE);
        if access == Access::Read && !path.exists() {
            let what = format!("{} does not exist yet, as after a restore", path.display());
            return Err(Error::unusable(what)
                .with_hint("start a server on the directory once; it builds the file from the journal"));
        }
        let connection = sqlite::open(&path, vfs, access)?;
        let version = sqlite::version(&path, &connection, (APPLICATION, VERSION))?;
        if version != VERSION {
            if version != 0 {
                let what = format!("{} is of an older version", path.display());
                return Err(
                    Error::unusable(what).with_hint("start a server on it once; it rebuilds the file")
                );
            }
            if access == Access::Read {
                return Err(Error::unusable(format!("{} has not been set up yet", path.display())));
            }
            let make = format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION};
                 PRAGMA user_version = {VERSION}; COMMIT"
            );
            connection.execute_batch(&make).map_err(|error| classify(&path, error))?;
        }
        // A power cut may lose the last transactions but not their order, and the journal has all
        // that they derive from.
        let normal = connection.execute_batch("PRAGMA synchronous = NORMAL");
        normal.map_err(|error| classify(&path, error))?;
        Ok(StateFile { path, connection })
    }

    pub(crate) fn failed(&self, error: rusqlite::Error) -> Error {
        classify(&self.path, error)
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&Row) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        statement.query_row(params, read).optional().map_err(|error| self.failed(error))
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        let rows = statement.query_map(params, |row| read(row)).map_err(|error| self.failed(error))?;
        rows.collect::<rusqlite::Result<Vec<T>>>().map_err(|error| self.failed(error))
    }

    /// Begins a read transaction, a snapshot: all reads see the file as it is now, until
    /// [`StateFile::end_snapshot`].
    pub(crate) fn begin_snapshot(&self) -> Result<(), Error> {
        self.connection.execute_batch("BEGIN").map_err(|error| self.failed(error))?;
        self.accounts_persisted_to().map(|_| ())
    }

    /// Ends the read transaction.
    pub(crate) fn end_snapshot(&self) {
        // Nothing was written, so nothing is lost if this fails.
        let _ = self.connection.execute_batch("COMMIT");
    }

    /// The first error that SQLite's own integrity check finds, if any.
    pub(crate) fn integrity_error(&self) -> Result<Option<String>, Error> {
        let found = self.one("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?;
        Ok(found.filter(|found| found != "ok"))
    }

    /// The sequence number up to which every account is persisted.
    pub(crate) fn accounts_persisted_to(&self) -> Result<u64, Error> {
        let sql = "SELECT value FROM meta WHERE name = 'accounts_kept_to'";
        Ok(self.one(sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
    }

    /// How often accounts were written; two connections with the same number see the same accounts.
    pub(crate) fn changes(&self) -> Result<u64, Error> {
        let sql = "SELECT value FROM meta WHERE name = 'changes'";
        Ok(self.one(sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
    }

    /// The highest account index in the file; `None` if it holds no account.
    pub(crate) fn highest_index(&self) -> Result<Option<u32>, Error> {
        let found = self.one("SELECT max(no) FROM account", [], |row| row.get::<_, Option<u32>>(0))?;
        Ok(found.flatten())
    }

    /// The account with this workspace id.
    pub(crate) fn account(&self, id: &str) -> Result<Option<PersistedAccount>, Error> {
        self.one(&format!("{ACCOUNTS} WHERE id = ?1"), [id], persisted_account)?.transpose()
    }

    /// The account with this index.
    pub(crate) fn account_at(&self, account_index: u32) -> Result<Option<PersistedAccount>, Error> {
        self.one(&format!("{ACCOUNTS} WHERE a.no = ?1"), [account_index], persisted_account)?.transpose()
    }

    /// The number of the last entry that an account's row includes; 0 if there is no row.
    pub(crate) fn account_n(&self, account_index: u32) -> Result<u64, Error> {
        let n =
            self.one("SELECT n FROM account WHERE no = ?1", [account_index], |row| row.get::<_, i64>(0))?;
        Ok(n.unwrap_or(0) as u64)
    }

    /// All accounts, in the order of their indices.
    pub(crate) fn accounts(&self) -> Result<Vec<PersistedAccount>, Error> {
        let rows = self.all(&format!("{ACCOUNTS} ORDER BY a.no"), [], persisted_account)?;
        rows.into_iter().collect()
    }

    /// The grant that entry `n` of a workspace brought.
    pub(crate) fn lot(&self, account_index: u32, n: u64) -> Result<Option<Grant>, Error> {
        let sql = "SELECT data FROM lot WHERE no = ?1 AND n = ?2";
        let found = self.one(sql, (account_index, n as i64), |row| Ok(grant(row.get_ref(0)?.as_blob()?)))?;
        found.transpose()
    }

    /// At most `most` grants of a workspace with numbers below `before`, newest first, each with
    /// the sequence number of its entry.
    pub(crate) fn lots(
        &self,
        account_index: u32,
        before: u64,
        most: usize,
    ) -> Result<Vec<(u64, Grant)>, Error> {
        let sql = "SELECT seq, data FROM lot WHERE no = ?1 AND n < ?2 ORDER BY n DESC LIMIT ?3";
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let rows = self.all(sql, (account_index, before, most as i64), |row| {
            Ok((row.get::<_, i64>(0)? as u64, grant(row.get_ref(1)?.as_blob()?)))
        })?;
        rows.into_iter().map(|(seq, grant)| Ok((seq, grant?))).collect()
    }

    /// The usage of a workspace, in the order of keys. `hours`: whole hours since 1970-01-01 UTC.
    pub(crate) fn usage(
        &self,
        account_index: u32,
        hours: Range<i64>,
    ) -> Result<Vec<(UsageKey, UsageSums)>, Error> {
        let sql =
            "SELECT hour, operation, worker, member, api_key, runs, quantity, charged, refunded FROM usage
                   WHERE no = ?1 AND hour >= ?2 AND hour < ?3
                   ORDER BY hour, operation, worker, member, api_key";
        let rows = self.all(sql, (account_index, hours.start, hours.end), |row| {
            Ok((
                (
                    row.get(0)?,
                    row.get::<_, Box<str>>(1)?,
                    row.get::<_, Box<str>>(2)?,
                    row.get::<_, Box<str>>(3)?,
                    row.get::<_, Box<str>>(4)?,
                ),
                UsageSums {
                    runs: row.get(5)?,
                    quantity: row.get(6)?,
                    charged: Micros::new(row.get(7)?),
                    refunded: Micros::new(row.get(8)?),
                },
            ))
        })?;
        let damaged = |_| Error::damaged("the state file holds a malformed name");
        rows.into_iter()
            .map(|((hour, operation, worker, member, api_key), used)| {
                let some = |text: Box<str>| Some(text).filter(|text| !text.is_empty());
                let spender = Spender {
                    operation: OperationId::new(operation).map_err(damaged)?,
                    worker: some(worker).map(WorkerId::new).transpose().map_err(damaged)?,
                    member: some(member).map(MemberId::new).transpose().map_err(damaged)?,
                    api_key: some(api_key).map(|key| api_key_named(&key)).transpose()?,
                };
                Ok((UsageKey { hour, spender }, used))
            })
            .collect()
    }

    /// The hours in which a workspace has entries, each with the sequence number of the last of
    /// them.
    pub(crate) fn hours(&self, account_index: u32) -> Result<BTreeMap<i64, u64>, Error> {
        let sql = "SELECT hour, seq FROM hour WHERE no = ?1";
        let rows = self.all(sql, [account_index], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
        Ok(rows.into_iter().collect())
    }

    /// The last hour up to `hour` in which a workspace has entries, with the sequence number of the
    /// last of them.
    pub(crate) fn hour(&self, account_index: u32, hour: i64) -> Result<Option<(i64, u64)>, Error> {
        let sql = "SELECT hour, seq FROM hour WHERE no = ?1 AND hour <= ?2 ORDER BY hour DESC LIMIT 1";
        self.one(sql, (account_index, hour), |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))
    }

    /// All pending charges: the sequence number of the opening entry, the account index, the
    /// deadline.
    pub(crate) fn pending(&self) -> Result<Vec<(u64, u32, Timestamp)>, Error> {
        self.all("SELECT seq, no, deadline FROM pending", [], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, Timestamp::from_millis(row.get(2)?)))
        })
    }

    /// The runs of the key index, oldest first, without those that a merge replaced or left
    /// unfinished. [`Error::is_damaged`] if one is missing: a key would not be found, and what it
    /// paid for would be paid again.
    pub(crate) fn runs(&self) -> Result<Vec<Run>, Error> {
        // A run inside the range of another was merged into it, and is not deleted yet.
        let sql = "SELECT id, tier, first, last, pairs, pages, bloom, fences FROM run AS r WHERE whole AND NOT EXISTS
                   (SELECT 1 FROM run AS m WHERE m.whole AND m.id <> r.id AND m.tier > r.tier
                    AND m.first <= r.first AND m.last >= r.last) ORDER BY first";
        let rows = self.all(sql, [], |row| {
            let head = head(row)?;
            let fences = row.get_ref(7)?.as_blob()?.as_chunks::<8>().0;
            let bloom = Bloom::from_bytes(row.get_ref(6)?.as_blob()?);
            let fences: Vec<u64> = fences.iter().map(|fence| u64::from_le_bytes(*fence)).collect();
            let whole =
                fences.len() == head.pages && fences.is_sorted() && head.covers.first <= head.covers.last;
            Ok(bloom.filter(|_| whole).map(|bloom| Run { head, bloom, fences }))
        })?;
        let runs = rows.into_iter().collect::<Option<Vec<Run>>>();
        let runs = runs.ok_or_else(|| Error::damaged("the state file holds a damaged run of keys"))?;
        let mut next = 1;
        for run in &runs {
            if run.head.covers.first != next {
                return Err(Error::damaged(format!(
                    "the state file has lost the keys of journal entries {next} and later"
                )));
            }
            next = run.head.covers.last + 1;
        }
        Ok(runs)
    }

    /// Reads a page of a run.
    pub(crate) fn page<T>(
        &self,
        run: i64,
        page: usize,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Error> {
        let sql = "SELECT data FROM run_page WHERE run = ?1 AND page = ?2";
        self.one(sql, (run, page as i64), |row| Ok(read(row.get_ref(0)?.as_blob()?)))
    }
}

fn api_key_named(text: &str) -> Result<ApiKeyId, Error> {
    text.parse().map_err(|()| Error::damaged("the state file holds a malformed API key id"))
}

fn head(row: &Row) -> rusqlite::Result<RunHead> {
    Ok(RunHead {
        id: row.get(0)?,
        tier: row.get(1)?,
        covers: SeqRange { first: row.get::<_, i64>(2)? as u64, last: row.get::<_, i64>(3)? as u64 },
        pairs: row.get::<_, i64>(4)? as u64,
        pages: row.get::<_, i64>(5)? as usize,
    })
}

fn persisted_account(row: &Row) -> rusqlite::Result<Result<PersistedAccount, Error>> {
    let (account_index, head) = (row.get(0)?, row.get::<_, i64>(1)? as u64);
    let team = Team::decode(row.get_ref(3)?.as_blob_or_null()?);
    let data = row.get_ref(2)?.as_blob()?;
    let id = row.get_ref(4)?.as_str()?;
    Ok(team
        .and_then(|team| Account::decode(data, team))
        .and_then(|account| match account.profile.id.as_str() == id {
            true => Ok(PersistedAccount { account_index, head, account }),
            false => Err(Malformed("the account of another workspace")),
        })
        .map_err(|error| {
            Error::damaged(format!("the state of the workspace with account index {account_index}: {error}"))
        }))
}

fn grant(bytes: &[u8]) -> Result<Grant, Error> {
    Grant::decode(bytes).map_err(|error| Error::damaged(format!("the state of a grant: {error}")))
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::WorkspaceId;

    use super::*;

    #[test]
    fn a_file_of_an_older_version_is_rebuilt_by_a_writer_and_refused_by_a_reader() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let state = open_or_rebuild(directory.path(), None).expect("an empty directory takes a file");
        let older = format!("DROP TABLE team; PRAGMA user_version = {}", VERSION - 1);
        state.connection.execute_batch(&older).expect("it is an open database");
        drop(state);
        let read =
            StateFile::open(directory.path(), None, Access::Read).expect_err("a reader does not upgrade");
        assert!(read.is_unusable() && read.to_string().ends_with("is of an older version"), "{read}");
        let state = open_or_rebuild(directory.path(), None).expect("it is deleted and made again");
        assert!(state.account_at(1).expect("the tables are there").is_none());
        StateFile::open(directory.path(), None, Access::Read).expect("it has this version now");
    }

    #[test]
    fn a_look_up_is_compiled_once_for_all_values() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let state = open_or_rebuild(directory.path(), None).expect("an empty directory takes a file");
        for id in ["acme", "globex", "initech"] {
            assert!(state.account(id).expect("the table can be read").is_none());
        }
        let sql = format!("{ACCOUNTS} WHERE id = ?1");
        let statement = state.connection.prepare_cached(&sql).expect("it is in the cache");
        assert_eq!(statement.get_status(rusqlite::StatementStatus::Run), 3);
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    #[test]
    fn a_row_that_holds_the_account_of_another_workspace_is_damaged() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let state = open_or_rebuild(directory.path(), None).expect("an empty directory takes a file");
        let mut data = Vec::new();
        Account::new(WorkspaceId::new("acme").expect("an allowed name")).encode(&mut data);
        let put = |index: u32, id: &str| {
            let sql = "INSERT INTO account (no, id, head, n, data) VALUES (?1, ?2, 0, 0, ?3)";
            state.connection.execute(sql, (index, id, &data)).expect("the table takes a row");
        };
        put(1, "acme");
        put(2, "acmf");
        assert!(state.account_at(1).expect("it is sound").is_some());
        let error = state.account_at(2).expect_err("its bytes are of acme");
        assert!(error.is_damaged() && error.to_string().contains("another workspace"), "{error}");
    }
}
