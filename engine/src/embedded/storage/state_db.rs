//! The state file: what is derived from the journal, so that a start need not read all of it.
//!
//! Its loss loses nothing: it is rebuilt from the journal. So nothing in it is believed unchecked.
//! Every row carries a checksum, and a row that is missing is noticed (see `state_rows`). Damage is
//! [`Error::is_damaged_state`], at a start as well as later; the core then renames the file and
//! builds it again. A file of another version, older or newer, is treated alike.
//!
//! The file names the last entry that it derives from. A journal that does not hold this entry has
//! lost acknowledged entries ([`refuse_lost_journal`]).
//! Only the checkpointer writes the file, in small transactions. Accounts are persisted at
//! different times: each account's row holds the number of the last entry that it includes. Here
//! are the tables and look-ups; lists are in `state_lists`, `state_search`, the key index in
//! `state_runs`; `checkpointer` writes.
//!
//! Columns: `no` is the account index, `seq` and `head` are sequence numbers of the journal, `n` is
//! the number of an entry in its workspace, `lot` is a grant. A row of `pending` is a deadline, by
//! the entry that opened the charge; a negative `seq` is of the payments of the workspace. A row of
//! `usage` covers its hour from `minute` until `until`. The tables `closed` and `day` have closed
//! days, by the instants in milliseconds at which they begin.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row};
use tollkeeper_ledger::{Account, Grant, Malformed, Payments, Team};

use super::journal::{self, Journal};
use super::sqlite::{self, Access, OpenFile, classify};
use super::state_meta::{self, KnownEntry, Meta};
use super::state_rows::{self, LastHour, Linked, LotRow, Part};
use crate::Error;

/// The name of the file in the data directory.
pub(crate) const FILE: &str = "state.db";

/// "TKS1", SQLite's `application_id` of this file.
const APPLICATION: i32 = 0x544b_5331;
const VERSION: i32 = 15;

const TABLES: &str = "
    CREATE TABLE account (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, head INTEGER NOT NULL,
        n INTEGER NOT NULL, data BLOB NOT NULL, team INTEGER, lot INTEGER NOT NULL, hour INTEGER,
        hour_before INTEGER, hour_usage INTEGER, usage INTEGER NOT NULL, displaced INTEGER NOT NULL,
        crc INTEGER NOT NULL, payments INTEGER);
    CREATE TABLE team (no INTEGER PRIMARY KEY, data BLOB NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE payments (no INTEGER PRIMARY KEY, data BLOB NOT NULL, crc INTEGER NOT NULL);
    CREATE TABLE lot (no INTEGER NOT NULL, n INTEGER NOT NULL, seq INTEGER NOT NULL, before INTEGER NOT NULL,
        data BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (no, n)) WITHOUT ROWID;
    CREATE TABLE usage (no INTEGER NOT NULL, hour INTEGER NOT NULL, minute INTEGER NOT NULL,
        until INTEGER NOT NULL, operation TEXT NOT NULL, worker TEXT NOT NULL, member TEXT NOT NULL,
        api_key TEXT NOT NULL, runs INTEGER NOT NULL, quantity INTEGER NOT NULL, charged INTEGER NOT NULL,
        refunded INTEGER NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (no, hour, minute, until, operation, worker, member, api_key)) WITHOUT ROWID;
    CREATE TABLE closed (no INTEGER PRIMARY KEY, timezone TEXT NOT NULL, since INTEGER NOT NULL,
        until INTEGER NOT NULL, last INTEGER, crc INTEGER NOT NULL);
    CREATE TABLE day (no INTEGER NOT NULL, day INTEGER NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL,
        crc INTEGER NOT NULL, PRIMARY KEY (no, day, part));
    CREATE TABLE hour (no INTEGER NOT NULL, hour INTEGER NOT NULL, seq INTEGER NOT NULL, before INTEGER,
        usage INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (no, hour)) WITHOUT ROWID;
    CREATE TABLE pending (seq INTEGER PRIMARY KEY, no INTEGER NOT NULL, deadline INTEGER NOT NULL,
        crc INTEGER NOT NULL);
    CREATE TABLE run (id INTEGER PRIMARY KEY, tier INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        pairs INTEGER NOT NULL, pages INTEGER NOT NULL, whole INTEGER NOT NULL, fences BLOB,
        crc INTEGER NOT NULL);
    CREATE TABLE run_filter (run INTEGER NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (run, part)) WITHOUT ROWID;
    CREATE TABLE run_page (run INTEGER NOT NULL, page INTEGER NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (run, page)) WITHOUT ROWID;
    CREATE TABLE search (no INTEGER PRIMARY KEY, name TEXT NOT NULL, suspended INTEGER NOT NULL,
        debt INTEGER NOT NULL, used INTEGER NOT NULL, crc INTEGER NOT NULL);
    CREATE INDEX search_suspended ON search (no) WHERE suspended = 1;
    CREATE INDEX search_debt ON search (no) WHERE debt = 1;
    CREATE INDEX search_used ON search (used);
    CREATE TABLE search_word (word TEXT NOT NULL, no INTEGER NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (word, no)) WITHOUT ROWID;
";

/// The columns of an account that its checksum is over, and the checksum.
const ACCOUNT_COLUMNS: &str = "a.no, a.id, a.head, a.n, a.data, a.team, a.lot, a.hour, a.hour_before, a.hour_usage, a.displaced, a.usage, a.crc, a.payments";

/// An account as the state file holds it.
#[derive(Debug)]
pub(crate) struct PersistedAccount {
    pub account_index: u32,
    /// The sequence number of its last entry.
    pub head: u64,
    pub account: Account,
    /// What names its other rows.
    pub linked: Linked,
}

/// What the row of an account says besides the account itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AccountHead {
    /// The number of the last entry that the row includes.
    pub n: u64,
    pub linked: Linked,
}

/// A connection to the state file.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    pub(crate) connection: OpenFile,
}

/// Opens the state file for the checkpointer. Makes it if it is missing; renames it and makes it
/// again if it is of another version.
pub(crate) fn open_or_create(
    directory: &Path,
    vfs: Option<&str>,
    directory_id: [u8; 16],
) -> Result<StateFile, Error> {
    match StateFile::open_with(directory, vfs, Access::Create, Some(directory_id)) {
        Err(error) if error.is_unusable() => {
            // If it cannot be renamed, the error of opening it is the one to report.
            let aside = set_aside(directory, "old").map_err(|_| error.clone())?;
            tracing::info!("{error}; it was renamed to {} and is built again", aside.display());
            StateFile::open_with(directory, vfs, Access::Create, Some(directory_id))
        }
        other => other,
    }
}

/// Renames the state file with its WAL, so that the next open makes a new one; returns the new
/// name. Nothing that could prove a loss is deleted. `ending`: the new ending of the name.
pub(crate) fn set_aside(directory: &Path, ending: &str) -> Result<PathBuf, Error> {
    sqlite::set_aside(directory, FILE, ending)
}

/// An ending for [`set_aside`] that no file of the directory has yet.
pub(crate) fn unused_ending(directory: &Path, ending: &str) -> String {
    let endings = (1u32..).map(|number| format!("{ending}-{number}"));
    let mut unused = endings.filter(|ending| !directory.join(format!("{FILE}.{ending}")).exists());
    unused.next().expect("a directory does not hold every number")
}

/// Compares the journal with what the state file knows of it. [`Error::is_damaged`] if the journal
/// does not hold the last entry that the file derives from: then acknowledged entries are missing.
/// A state file that is missing, damaged or of another version proves nothing.
pub(crate) fn refuse_lost_journal(
    directory: &Path,
    vfs: Option<&str>,
    journal: &Journal,
) -> Result<(), Error> {
    if !directory.join(FILE).exists() {
        return Ok(());
    }
    let meta = match StateFile::open(directory, vfs, Access::Read).and_then(|state| state.meta()) {
        Ok(meta) => meta,
        Err(error) if error.is_damaged() || error.is_unusable() => return Ok(()),
        Err(error) => return Err(error),
    };
    match missing_entries(&meta, journal)? {
        None => Ok(()),
        Some(what) => Err(lost_journal(directory, &what)),
    }
}

/// What the journal has lost of what a state file derives from, for people; `None` if nothing.
pub(crate) fn missing_entries(meta: &Meta, journal: &Journal) -> Result<Option<String>, Error> {
    let KnownEntry { seq, hash } = meta.known;
    if seq == 0 {
        return Ok(None);
    }
    let last = journal.last()?;
    if last < seq {
        let missing = seq - last;
        return Ok(Some(format!(
            "it ends with entry {last}, but {FILE} derives from entries up to {seq}: {missing} acknowledged \
             entries are missing"
        )));
    }
    if journal.stored_directory_id()? != Some(meta.directory_id) {
        return Ok(Some(format!("{FILE} derives from {seq} entries of another journal, which is missing")));
    }
    if journal.read(seq, |stored| Ok(stored.hash()))? != Some(hash) {
        return Ok(Some(format!(
            "its entry {seq} is not the one that {FILE} derives from: an older copy of the journal went on, and \
             at least one acknowledged entry is missing"
        )));
    }
    Ok(None)
}

/// The error of a journal that does not hold what was acknowledged.
pub(crate) fn lost_journal(directory: &Path, what: &str) -> Error {
    Error::damaged(format!("{}: {what}", directory.join(journal::FILE).display())).with_hint(
        "keep a copy of the directory and look for the newer journal or a newer backup; to go on without the \
         missing entries, start the server with --accept-loss",
    )
}

impl StateFile {
    /// Opens the file, which must have this program's version.
    pub(crate) fn open(directory: &Path, vfs: Option<&str>, access: Access) -> Result<StateFile, Error> {
        StateFile::open_with(directory, vfs, access, None)
    }

    /// The same; with the id of the data directory, the tables of a new file are made.
    fn open_with(
        directory: &Path,
        vfs: Option<&str>,
        access: Access,
        directory_id: Option<[u8; 16]>,
    ) -> Result<StateFile, Error> {
        let path = directory.join(FILE);
        if access == Access::Read && !path.exists() {
            let what = format!("{} does not exist yet, as after a restore", path.display());
            return Err(Error::unusable(what)
                .with_hint("start a server on the directory once; it builds the file from the journal"));
        }
        let connection = sqlite::open(&path, vfs, access).map_err(Error::of_state)?;
        let version = sqlite::version(&path, &connection, (APPLICATION, VERSION)).map_err(Error::of_state)?;
        let state = StateFile { path, connection };
        match directory_id {
            _ if version == VERSION => {}
            Some(id) if version == 0 => state.make_tables(id).map_err(|error| state.failed(error))?,
            _ => {
                let what = format!("{} is of another version or not set up yet", state.path.display());
                let hint = "start a server on the directory once; it rebuilds the file from the journal";
                return Err(Error::unusable(what).with_hint(hint));
            }
        }
        // A power cut may lose the last transactions but not their order, and the journal has all
        // that they derive from.
        let normal = state.connection.execute_batch("PRAGMA synchronous = NORMAL");
        normal.map_err(|error| state.failed(error))?;
        Ok(state)
    }

    fn make_tables(&self, directory_id: [u8; 16]) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute_batch(&[TABLES, state_meta::TABLE].concat())?;
        Meta::empty(directory_id).write(&transaction)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}"
        ))?;
        transaction.commit()
    }

    /// The engine's error for a failure of SQLite; damage is damage of this file.
    pub(crate) fn failed(&self, error: rusqlite::Error) -> Error {
        Error::of_state(classify(&self.path, error))
    }

    /// The error of content that is not what was written.
    pub(crate) fn damaged(&self, what: impl std::fmt::Display) -> Error {
        Error::of_state(Error::damaged(format!("{}: {what}", self.path.display())))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&Row) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        statement.query_row(params, read).optional().map_err(|error| self.failed(error))
    }

    pub(super) fn all<T>(
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
        self.meta().map(|_| ()).inspect_err(|_| self.end_snapshot())
    }

    /// Ends the read transaction.
    pub(crate) fn end_snapshot(&self) {
        // Nothing was written, so nothing is lost if this fails.
        let _ = self.connection.execute_batch("COMMIT");
    }

    /// Moves the whole WAL into the file and empties it, unless a reader is in the way.
    pub(crate) fn empty_wal(&self) -> Result<(), Error> {
        sqlite::empty_wal(&self.connection).map(|_| ()).map_err(|error| self.failed(error))
    }

    /// The first error that SQLite's own integrity check finds, if any.
    pub(crate) fn integrity_error(&self) -> Result<Option<String>, Error> {
        let found = self.one("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?;
        Ok(found.filter(|found| found != "ok"))
    }

    /// What the file knows of the journal and of itself.
    pub(crate) fn meta(&self) -> Result<Meta, Error> {
        let found = self.one(Meta::SELECT, [], Meta::read)?.flatten();
        found.ok_or_else(|| self.damaged("the row that describes the file is damaged or missing"))
    }

    /// Checks that no account at the end of the table is missing.
    pub(crate) fn check_highest_index(&self, meta: &Meta) -> Result<(), Error> {
        let found = self.one("SELECT max(no) FROM account", [], |row| row.get::<_, Option<u32>>(0))?;
        if found.flatten() == meta.highest_index {
            return Ok(());
        }
        Err(self.damaged("the newest workspaces are missing"))
    }

    /// The account with this workspace id.
    pub(crate) fn account(&self, id: &str) -> Result<Option<PersistedAccount>, Error> {
        self.one_account("a.id = ?1", [id])
    }

    /// The account with this index.
    pub(crate) fn account_at(&self, account_index: u32) -> Result<Option<PersistedAccount>, Error> {
        self.one_account("a.no = ?1", [account_index])
    }

    fn one_account(
        &self,
        which: &str,
        params: impl rusqlite::Params,
    ) -> Result<Option<PersistedAccount>, Error> {
        let sql = account_sql(which);
        self.one(&sql, params, |row| self.persisted_account(row))?.transpose()
    }

    /// What an account's row says of the account; the default if there is no row.
    pub(crate) fn account_head(&self, account_index: u32) -> Result<AccountHead, Error> {
        let sql = format!("SELECT {ACCOUNT_COLUMNS} FROM account AS a WHERE a.no = ?1");
        let found = self.one(&sql, [account_index], |row| {
            Ok(read_account(row)?.map(|(account, _)| AccountHead { n: account.n, linked: account.linked }))
        })?;
        match found {
            None => Ok(AccountHead::default()),
            Some(head) => head.ok_or_else(|| self.damaged_account(account_index)),
        }
    }

    /// The number of the last entry that an account's row includes; 0 if there is no row.
    pub(crate) fn account_n(&self, account_index: u32) -> Result<u64, Error> {
        self.account_head(account_index).map(|head| head.n)
    }

    fn damaged_account(&self, account_index: u32) -> Error {
        self.damaged(format!("the row of the workspace with account index {account_index} is damaged"))
    }

    fn persisted_account(&self, row: &Row) -> rusqlite::Result<Result<PersistedAccount, Error>> {
        let Some((AccountRead { account_index, head, n, linked }, (id, data))) = read_account(row)? else {
            return Ok(Err(self.damaged_account(row.get(0)?)));
        };
        let (team, payments) = (row.get_ref(14)?.as_blob_or_null()?, row.get_ref(16)?.as_blob_or_null()?);
        let parts = [
            (Part::Team, linked.team, team, row.get::<_, Option<i64>>(15)?),
            (Part::Payments, linked.payments, payments, row.get(17)?),
        ];
        for (part, linked, data, crc) in parts {
            let is_right = crc == linked && crc == data.map(|data| part.crc(account_index, data));
            if !is_right {
                let table = part.table();
                return Ok(Err(self.damaged(format!(
                    "the row of the workspace with account index {account_index} in table `{table}` is damaged or missing"
                ))));
            }
        }
        let team = Team::decode(team);
        let account = team.and_then(|team| Account::decode(data, team, Payments::decode(payments)?));
        let account = account.and_then(|account| match account.profile.id.as_bytes() == id {
            true if account.chain.n == n => Ok(account),
            true => Err(Malformed("the number of the last entry")),
            false => Err(Malformed("the account of another workspace")),
        });
        Ok(account.map(|account| PersistedAccount { account_index, head, account, linked }).map_err(
            |error| {
                self.damaged(format!(
                    "the state of the workspace with account index {account_index}: {error}"
                ))
            },
        ))
    }

    /// The grant that entry `n` of a workspace brought.
    pub(crate) fn lot(&self, account_index: u32, n: u64) -> Result<Option<Grant>, Error> {
        let sql = format!("SELECT {LOT_COLUMNS} FROM lot WHERE no = ?1 AND n = ?2");
        let row = self.one(&sql, (account_index, n as i64), read_lot)?;
        row.map(|row| self.lot_of(row).map(|(_, grant)| grant)).transpose()
    }

    /// Decodes the row of a grant, whose checksum must be right.
    pub(super) fn lot_of(&self, row: Option<LotRow>) -> Result<(LotRow, Grant), Error> {
        let row = row.ok_or_else(|| self.damaged("the row of a grant is damaged"))?;
        let grant = Grant::decode(&row.data);
        let grant = grant.map_err(|error| self.damaged(format!("the state of a grant: {error}")))?;
        Ok((row, grant))
    }
}

/// The statement that reads accounts with their teams and payments.
fn account_sql(which: &str) -> String {
    format!(
        "SELECT {ACCOUNT_COLUMNS}, t.data, t.crc, p.data, p.crc FROM account AS a
         LEFT JOIN team AS t ON t.no = a.no LEFT JOIN payments AS p ON p.no = a.no WHERE {which}"
    )
}

/// The numbers in the row of an account.
struct AccountRead {
    account_index: u32,
    head: u64,
    n: u64,
    linked: Linked,
}

/// The workspace id and the encoded account in a row.
type AccountBytes<'a> = (&'a [u8], &'a [u8]);

/// Reads [`ACCOUNT_COLUMNS`]: the numbers, the workspace id, and the encoded account. `None` if
/// they are not what was written.
fn read_account<'a>(row: &'a Row) -> rusqlite::Result<Option<(AccountRead, AccountBytes<'a>)>> {
    let account_index = row.get(0)?;
    let id = row.get_ref(1)?.as_bytes()?;
    let (head, n) = (row.get::<_, i64>(2)? as u64, row.get::<_, i64>(3)? as u64);
    let data = row.get_ref(4)?.as_blob()?;
    let last_hour = match (row.get(7)?, row.get(9)?) {
        (Some(hour), Some(usage)) => Some(LastHour { hour, before: row.get(8)?, usage }),
        _ => None,
    };
    let (team, newest_lot, has_displaced_usage) = (row.get(5)?, row.get::<_, i64>(6)? as u64, row.get(10)?);
    let (usage, payments) = (row.get(11)?, row.get(13)?);
    let linked = Linked { team, payments, newest_lot, last_hour, usage, has_displaced_usage };
    let crc = state_rows::account_crc((account_index, id), (head, n), data, &linked);
    let whole = row.get::<_, i64>(12)? == crc;
    Ok(whole.then_some((AccountRead { account_index, head, n, linked }, (id, data))))
}

/// The columns that [`read_lot`] reads.
pub(super) const LOT_COLUMNS: &str = "no, n, seq, before, data, crc";

/// Reads the row of a grant; `None` if it is not what was written.
pub(super) fn read_lot(row: &Row) -> rusqlite::Result<Option<LotRow>> {
    let lot = LotRow {
        account_index: row.get(0)?,
        n: row.get::<_, i64>(1)? as u64,
        seq: row.get::<_, i64>(2)? as u64,
        before: row.get::<_, i64>(3)? as u64,
        data: row.get(4)?,
    };
    Ok((row.get::<_, i64>(5)? == lot.crc()).then_some(lot))
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::WorkspaceId;

    use super::super::state_rows::AccountRow;
    use super::*;

    const ID: [u8; 16] = [7; 16];

    fn created(directory: &tempfile::TempDir) -> StateFile {
        open_or_create(directory.path(), None, ID).expect("an empty directory takes a file")
    }

    #[test]
    fn a_file_of_an_older_version_is_rebuilt_by_a_writer_and_refused_by_a_reader() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let state = created(&directory);
        let older = format!("DROP TABLE team; PRAGMA user_version = {}", VERSION - 1);
        state.connection.execute_batch(&older).expect("it is an open database");
        drop(state);
        let read = StateFile::open(directory.path(), None, Access::Read);
        let read = read.expect_err("a reader does not upgrade");
        assert!(read.is_unusable() && read.to_string().contains("another version"), "{read}");
        let state = open_or_create(directory.path(), None, ID).expect("it is renamed and made again");
        assert!(directory.path().join("state.db.old").exists());
        assert!(state.account_at(1).expect("the tables are there").is_none());
        StateFile::open(directory.path(), None, Access::Read).expect("it has this version now");
    }

    #[test]
    fn a_look_up_is_compiled_once_for_all_values() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let state = created(&directory);
        for id in ["acme", "globex", "initech"] {
            assert!(state.account(id).expect("the table can be read").is_none());
        }
        let statement = state.connection.prepare_cached(&account_sql("a.id = ?1")).expect("it is cached");
        assert_eq!(statement.get_status(rusqlite::StatementStatus::Run), 3);
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    #[test]
    fn a_row_that_holds_the_account_of_another_workspace_is_damaged() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let state = created(&directory);
        let mut data = Vec::new();
        Account::new(WorkspaceId::new("acme").expect("an allowed name")).encode(&mut data);
        let put = |account_index: u32, id: &str| {
            let (data, linked) = (data.clone(), Linked::default());
            let row = AccountRow { account_index, id: id.into(), head: 0, n: 0, data, linked };
            let sql = "INSERT INTO account (no, id, head, n, data, lot, usage, displaced, crc)
                       VALUES (?1, ?2, 0, 0, ?3, 0, 0, 0, ?4)";
            let added = state.connection.execute(sql, (account_index, id, &row.data, row.crc()));
            added.expect("the table takes it");
        };
        put(1, "acme");
        put(2, "acmf");
        assert!(state.account_at(1).expect("it is sound").is_some());
        let error = state.account_at(2).expect_err("its bytes are of acme");
        assert!(error.is_damaged() && error.to_string().contains("another workspace"), "{error}");
    }
}
