//! The file `delivery.db`: the place of each subscriber in the journal, and what failed.
//!
//! It is a file of its own, so that deliveries never share a sync with charges. It is synced late:
//! a power cut takes a subscriber back to an earlier place, and messages are then sent again. A
//! place and the exceptions before it are one row, so none is lost. Only that the file is made is
//! synced at once.
//!
//! Guarantee: a subscriber that was set before the file was made begins at the end of the journal
//! as it was then. So a ledger that was imported does not send its history again. A file that is
//! damaged is renamed and made anew; what it had not sent is then not sent.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use tollkeeper_ledger::Hash;

use crate::embedded::storage::sqlite::{self, Access, OpenFile, classify};
use crate::{Error, SubscriberState};

/// The name of the file in the data directory.
pub(crate) const FILE: &str = "delivery.db";

/// "TKD1", SQLite's `application_id` of this file.
const APPLICATION: i32 = 0x544b_4431;
const VERSION: i32 = 1;

const TABLES: &str = "
    CREATE TABLE origin (seq INTEGER NOT NULL, hash BLOB NOT NULL);
    CREATE TABLE subscriber (
        name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL, state BLOB NOT NULL
    ) WITHOUT ROWID;";

/// A place in the journal of all workspaces: the entry that was handled last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The sequence number; 0 before the first entry.
    pub seq: u64,
    /// The hash of the entry there.
    pub hash: Hash,
}

/// A connection to the file.
#[derive(Debug)]
pub(crate) struct DeliveryStore {
    path: PathBuf,
    connection: OpenFile,
    origin: Cursor,
}

impl DeliveryStore {
    /// Opens the file of a directory, or makes it: then `end` is where subscribers begin that are
    /// set already.
    pub(crate) fn open(
        directory: &Path,
        vfs: Option<&str>,
        end: impl FnOnce() -> Result<Cursor, Error>,
    ) -> Result<DeliveryStore, Error> {
        let path = directory.join(FILE);
        let connection = sqlite::open(&path, vfs, Access::Create)?;
        let failed = |error| classify(&path, error);
        let version = sqlite::version(&path, &connection, (APPLICATION, VERSION))?;
        if version == 0 {
            // Synced at once: a file that was lost would begin at a later end of the journal.
            make_tables(&connection, end()?).map_err(failed)?;
        }
        connection
            .execute_batch("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 1000")
            .map_err(failed)?;
        let origin = connection.query_row("SELECT seq, hash FROM origin", [], cursor).map_err(failed)?;
        Ok(DeliveryStore { path, connection, origin })
    }

    /// The same; a file that is damaged is set aside, and made anew. It is checked before anything
    /// is written, because SQLite may lose rows later if its list of free pages is damaged.
    pub(crate) fn open_or_begin_anew(
        directory: &Path,
        vfs: Option<&str>,
        end: impl FnOnce() -> Result<Cursor, Error>,
    ) -> Result<DeliveryStore, Error> {
        if directory.join(FILE).exists() {
            DeliveryStore::set_aside_if_damaged(directory, vfs)?;
        }
        DeliveryStore::open(directory, vfs, end)
    }

    /// Renames the file of a directory if it is damaged, so that the next open makes a new one. It
    /// must not be open. Returns false if it is sound.
    pub(crate) fn set_aside_if_damaged(directory: &Path, vfs: Option<&str>) -> Result<bool, Error> {
        match is_sound(&directory.join(FILE), vfs) {
            Err(error) if error.is_damaged() => {
                let aside = sqlite::set_aside(directory, FILE, "damaged")?;
                tracing::error!(
                    "{error}; the file was renamed to {}, and deliveries begin at the end of the journal: \
                     what was not sent before is not sent",
                    aside.display()
                );
                Ok(true)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(false),
        }
    }

    /// Opens the file for reading; `None` if it is not there.
    pub(crate) fn open_to_read(directory: &Path) -> Result<Option<DeliveryStore>, Error> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let connection = sqlite::open(&path, None, Access::Read)?;
        let version = sqlite::version(&path, &connection, (APPLICATION, VERSION))?;
        let origin = Cursor::default();
        Ok((version == VERSION).then_some(DeliveryStore { path, connection, origin }))
    }

    /// Where the journal ended when the file was made.
    pub(crate) fn origin(&self) -> Cursor {
        self.origin
    }

    /// The place of a subscriber; `None` before its first note.
    pub(crate) fn cursor(&self, name: &str) -> Result<Option<Cursor>, Error> {
        let sql = "SELECT seq, hash FROM subscriber WHERE name = ?1";
        self.connection.query_row(sql, [name], cursor).optional().map_err(|error| self.failed(error))
    }

    /// What is kept of a subscriber. Bytes that cannot be read are as good as none.
    pub(crate) fn state(&self, name: &str) -> Result<SubscriberState, Error> {
        let sql = "SELECT state FROM subscriber WHERE name = ?1";
        let read = |row: &rusqlite::Row| row.get::<_, Vec<u8>>(0);
        let found = self.connection.query_row(sql, [name], read).optional();
        let bytes = found.map_err(|error| self.failed(error))?;
        let Some(bytes) = bytes else { return Ok(SubscriberState::default()) };
        Ok(SubscriberState::decode(&bytes).unwrap_or_else(|| {
            tracing::error!(subscriber = name, "what failed of a subscriber cannot be read");
            SubscriberState::default()
        }))
    }

    /// Replaces the place of a subscriber and what is kept of it.
    pub(crate) fn set(&self, name: &str, at: Cursor, state: &SubscriberState) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO subscriber (name, seq, hash, state) VALUES (?1, ?2, ?3, ?4)";
        let set = self.connection.execute(sql, (name, at.seq as i64, &at.hash[..], state.encode()));
        set.map(|_| ()).map_err(|error| self.failed(error))
    }

    /// Removes every subscriber that is not in the list.
    pub(crate) fn retain(&self, names: &[String]) -> Result<(), Error> {
        let removed = || {
            let mut statement = self.connection.prepare_cached("SELECT name FROM subscriber")?;
            let known = statement.query_map([], |row| row.get::<_, String>(0))?;
            let known: Vec<String> = known.collect::<Result<_, _>>()?;
            for name in known.iter().filter(|name| !names.contains(name)) {
                self.connection.execute("DELETE FROM subscriber WHERE name = ?1", [name])?;
            }
            Ok(())
        };
        removed().map_err(|error| self.failed(error))
    }

    /// The connection, for copying the file.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        classify(&self.path, error)
    }
}

/// [`Error::is_damaged`] if the file, or what is read of it, is not what was written.
fn is_sound(path: &Path, vfs: Option<&str>) -> Result<(), Error> {
    let connection = sqlite::open(path, vfs, Access::Write)?;
    let failed = |error| classify(path, error);
    let found: String = connection.query_row("PRAGMA quick_check", [], |row| row.get(0)).map_err(failed)?;
    if found != "ok" {
        return Err(Error::damaged(format!("{}: {found}", path.display())));
    }
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    if number("SELECT count(*) FROM sqlite_schema")? == 0 {
        // It was not made to its end.
        return Ok(());
    }
    if number("PRAGMA user_version")? == 0 {
        return Err(Error::damaged(format!("{} has tables and no version", path.display())));
    }
    connection.query_row("SELECT seq, hash FROM origin", [], cursor).map_err(failed)?;
    let mut statement =
        connection.prepare("SELECT seq, hash, name, state FROM subscriber").map_err(failed)?;
    let read = |row: &rusqlite::Row| {
        cursor(row)?;
        Ok((row.get::<_, String>(2)?, row.get::<_, Vec<u8>>(3)?))
    };
    let rows = statement.query_map([], read).map_err(failed)?;
    rows.collect::<Result<Vec<_>, _>>().map(drop).map_err(failed)
}

fn cursor(row: &rusqlite::Row) -> rusqlite::Result<Cursor> {
    let hash: Vec<u8> = row.get(1)?;
    // A hash that is too short is of no entry, so the subscriber goes back.
    Ok(Cursor { seq: row.get::<_, i64>(0)? as u64, hash: hash.try_into().unwrap_or_default() })
}

fn make_tables(connection: &Connection, origin: Cursor) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    let insert = "INSERT INTO origin (seq, hash) VALUES (?1, ?2)";
    transaction.execute(insert, (origin.seq as i64, &origin.hash[..]))?;
    let versions = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}");
    transaction.execute_batch(&versions)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_and_those_of_nobody_are_removed() {
        let scratch = tempfile::tempdir().expect("a directory");
        let end = Cursor { seq: 7, hash: [7; 32] };
        let store = DeliveryStore::open(scratch.path(), None, || Ok(end)).expect("it is made");
        assert_eq!((store.cursor("a").expect("it reads"), store.origin()), (None, end));
        let at = Cursor { seq: 9, hash: [9; 32] };
        store.set("a", at, &SubscriberState::default()).expect("it writes");
        store.set("b", at, &SubscriberState::default()).expect("it writes");
        drop(store);
        let other = Cursor { seq: 99, hash: [0; 32] };
        let store = DeliveryStore::open(scratch.path(), None, || Ok(other)).expect("it is there");
        assert_eq!((store.cursor("a").expect("it reads"), store.origin()), (Some(at), end));
        store.retain(&["b".to_owned()]).expect("it writes");
        assert_eq!(store.cursor("a").expect("it reads"), None);
        let read = DeliveryStore::open_to_read(scratch.path()).expect("it reads").expect("it is there");
        assert_eq!(read.cursor("b").expect("it reads"), Some(at));
    }
}
