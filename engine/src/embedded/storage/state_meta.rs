//! The one row of the table `meta` of the state file: which journal the file derives from, and how
//! much of it.
//!
//! It names the data directory and the last entry that the file knows, with the entry's hash. So a
//! start notices that the journal is another one, an older copy, or has lost its end. Here too is
//! what would be missed if a row disappeared: the highest account index, and the sums over the
//! deadlines and over the rows by which workspaces are found.

use rusqlite::{Connection, Row};
use tollkeeper_ledger::Hash;

use super::state_rows::RowCrc;

/// The table, to be made with the others.
pub(crate) const TABLE: &str = "
    CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), directory BLOB NOT NULL, seq INTEGER NOT NULL,
        hash BLOB NOT NULL, accounts_kept_to INTEGER NOT NULL, keys_kept_to INTEGER NOT NULL, changes INTEGER NOT NULL, highest INTEGER,
        platform INTEGER NOT NULL, pending INTEGER NOT NULL, pending_sum INTEGER NOT NULL,
        searched INTEGER NOT NULL, search_sum INTEGER NOT NULL, crc INTEGER NOT NULL);
";

/// A place in the journal and the hash of the entry there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownEntry {
    /// The sequence number; 0 if no entry is known.
    pub seq: u64,
    pub hash: Hash,
}

/// The row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The id of the data directory.
    pub directory_id: [u8; 16],
    /// The last entry that the file derives from.
    pub known: KnownEntry,
    /// The sequence number up to which every account is persisted.
    pub accounts_persisted_to: u64,
    /// The sequence number up to which the names of entries are in runs of the key index.
    pub keys_persisted_to: u64,
    /// How often accounts were written.
    pub changes: u64,
    /// The highest account index in the file; `None` if it holds no account.
    pub highest_index: Option<u32>,
    /// True if the file holds the platform's own chain.
    pub has_platform: bool,
    /// The number of deadlines: of pending charges, and of payments with work to come.
    pub pending: u64,
    /// The sum of the checksums of their rows.
    pub pending_sum: i64,
    /// The number of rows by which workspaces are found.
    pub searched: u64,
    /// The sum of the checksums of these rows.
    pub search_sum: i64,
}

impl Meta {
    /// The row of a file that holds nothing yet.
    pub(crate) fn empty(directory_id: [u8; 16]) -> Meta {
        Meta {
            directory_id,
            known: KnownEntry::default(),
            accounts_persisted_to: 0,
            keys_persisted_to: 0,
            changes: 0,
            highest_index: None,
            has_platform: false,
            pending: 0,
            pending_sum: 0,
            searched: 0,
            search_sum: 0,
        }
    }

    /// Notes that the file derives from this entry.
    pub(crate) fn note_known(&mut self, known: KnownEntry) {
        if known.seq > self.known.seq {
            self.known = known;
        }
    }

    /// Notes that the row of an account was written.
    pub(crate) fn note_account(&mut self, account_index: u32) {
        self.highest_index = Some(self.highest_index.map_or(account_index, |high| high.max(account_index)));
        self.has_platform |= account_index == 0;
    }

    /// Adds the row of a deadline with this checksum.
    pub(crate) fn add_pending(&mut self, crc: i64) {
        self.pending += 1;
        self.pending_sum = self.pending_sum.wrapping_add(crc);
    }

    /// Removes the row of a deadline with this checksum; `None` if there is none to remove.
    pub(crate) fn remove_pending(&mut self, crc: i64) -> Option<()> {
        self.pending = self.pending.checked_sub(1)?;
        self.pending_sum = self.pending_sum.wrapping_sub(crc);
        Some(())
    }

    /// Replaces the row by which a workspace is found; `before`: the checksum of the one before.
    /// `None` if there was none to replace.
    pub(crate) fn replace_search(&mut self, before: Option<i64>, crc: i64) -> Option<()> {
        if before.is_some() {
            self.searched = self.searched.checked_sub(1)?;
        }
        self.searched += 1;
        self.search_sum = self.search_sum.wrapping_sub(before.unwrap_or(0)).wrapping_add(crc);
        Some(())
    }

    fn crc(&self) -> i64 {
        RowCrc::of("meta")
            .bytes(&self.directory_id)
            .number(self.known.seq as i64)
            .bytes(&self.known.hash)
            .number(self.accounts_persisted_to as i64)
            .number(self.keys_persisted_to as i64)
            .number(self.changes as i64)
            .optional(self.highest_index.map(i64::from))
            .number(i64::from(self.has_platform))
            .number(self.pending as i64)
            .number(self.pending_sum)
            .number(self.searched as i64)
            .number(self.search_sum)
            .finish()
    }

    /// Writes the row.
    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql =
            "INSERT OR REPLACE INTO meta (one, directory, seq, hash, accounts_kept_to, keys_kept_to, changes,
                   highest, platform, pending, pending_sum, searched, search_sum, crc)
                   VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        let Meta { directory_id, known, accounts_persisted_to, keys_persisted_to, changes, .. } = self;
        connection
            .prepare_cached(sql)?
            .execute((
                &directory_id[..],
                known.seq as i64,
                &known.hash[..],
                *accounts_persisted_to as i64,
                *keys_persisted_to as i64,
                *changes as i64,
                self.highest_index,
                self.has_platform,
                self.pending as i64,
                self.pending_sum,
                self.searched as i64,
                self.search_sum,
                self.crc(),
            ))
            .map(|_| ())
    }

    /// The statement that [`Meta::read`] reads a row of.
    pub(crate) const SELECT: &str =
        "SELECT directory, seq, hash, accounts_kept_to, keys_kept_to, changes, highest,
                                     platform, pending, pending_sum, searched, search_sum, crc FROM meta WHERE one = 1";

    /// Reads the row; `None` if it is not what was written.
    pub(crate) fn read(row: &Row) -> rusqlite::Result<Option<Meta>> {
        let meta = Meta {
            directory_id: row.get(0)?,
            known: KnownEntry { seq: row.get::<_, i64>(1)? as u64, hash: row.get(2)? },
            accounts_persisted_to: row.get::<_, i64>(3)? as u64,
            keys_persisted_to: row.get::<_, i64>(4)? as u64,
            changes: row.get::<_, i64>(5)? as u64,
            highest_index: row.get(6)?,
            has_platform: row.get(7)?,
            pending: row.get::<_, i64>(8)? as u64,
            pending_sum: row.get(9)?,
            searched: row.get::<_, i64>(10)? as u64,
            search_sum: row.get(11)?,
        };
        Ok((row.get::<_, i64>(12)? == meta.crc()).then_some(meta))
    }
}
