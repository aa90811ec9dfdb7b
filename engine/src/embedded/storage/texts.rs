//! The table `personal` of the journal file: texts about a person, beside the blocks of entries.
//!
//! A row is written in the transaction of the entry that names its digest first. Its key is made of
//! that entry's sequence number, so rows are appended and never move to another page. A row is
//! erased in place: salt and text become zeros of the same length. So the bytes are in no page of
//! the file afterwards; the WAL is emptied next (see `maintenance`). The row itself stays and says
//! that the text was erased. It is read by account, member and digest; the digest is checked.

use rusqlite::Connection;
use tollkeeper_ledger::{Hash, MemberId, PersonalText};

use crate::personal::verified;

/// The SQL that creates the table. `kept` is 0 once the text was erased.
pub(super) const TABLE: &str = "CREATE TABLE personal (id INTEGER PRIMARY KEY, account INTEGER NOT NULL,
         member TEXT NOT NULL, digest BLOB NOT NULL, kept INTEGER NOT NULL, data BLOB NOT NULL);
     CREATE UNIQUE INDEX personal_digest ON personal (account, member, digest);
     CREATE INDEX personal_kept ON personal (account, member) WHERE kept;";

/// The length of a salt, with which the data of a row begins.
const SALT_BYTES: usize = 32;

/// What an entry changes in the table.
#[derive(Clone, Debug)]
pub(crate) struct TextWrite {
    /// The sequence number of the entry.
    pub seq: u64,
    pub account_index: u32,
    pub member: MemberId,
    pub change: TextChange,
}

/// How the table is changed.
#[derive(Clone, Debug)]
pub(crate) enum TextChange {
    /// A text is added, unless its digest is there. An imported one may be erased: `None`.
    Add { digest: Hash, text: Option<PersonalText> },
    /// All texts of the member are erased.
    Erase,
}

/// A row that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredText {
    Kept(PersonalText),
    Erased,
    /// It is not the text that the digest stands for.
    Damaged,
}

/// Writes changes; the caller has begun the transaction. An erasure leaves a mark until the WAL was
/// emptied.
pub(super) fn write(connection: &Connection, writes: &[TextWrite]) -> rusqlite::Result<()> {
    let (mut seq, mut place) = (0, 0);
    for TextWrite { seq: of_entry, account_index, member, change } in writes {
        place = if *of_entry == seq { place + 1 } else { 0 };
        seq = *of_entry;
        match change {
            TextChange::Add { digest, text } => {
                assert!(place < 2, "an entry names two texts");
                let id = 2 * seq as i64 + place;
                let data = text.as_ref().map(|text| [&text.salt[..], text.text.as_bytes()].concat());
                let sql = "INSERT OR IGNORE INTO personal (id, account, member, digest, kept, data)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let (kept, data) = (data.is_some(), data.unwrap_or_default());
                let row = (id, account_index, member.as_str(), &digest[..], kept, data);
                connection.prepare_cached(sql)?.execute(row)?;
            }
            TextChange::Erase => {
                // What SQLite frees on the way must not keep the bytes either.
                connection.execute_batch("PRAGMA secure_delete = ON")?;
                let sql = "UPDATE personal SET kept = 0, data = zeroblob(length(data))
                           WHERE account = ?1 AND member = ?2 AND kept";
                connection.prepare_cached(sql)?.execute((account_index, member.as_str()))?;
                let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES ('erasing', x'01')";
                connection.prepare_cached(sql)?.execute([])?;
            }
        }
    }
    Ok(())
}

/// A row by its columns `digest`, `kept` and `data`.
pub(super) fn stored(row: &rusqlite::Row) -> rusqlite::Result<StoredText> {
    let (digest, kept, data): (Hash, bool, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
    if !kept {
        let is_erased = data.iter().all(|byte| *byte == 0);
        return Ok(if is_erased { StoredText::Erased } else { StoredText::Damaged });
    }
    let parts = data.split_first_chunk::<SALT_BYTES>();
    let text = parts.and_then(|(salt, text)| verified(std::str::from_utf8(text).ok()?, *salt, &digest));
    Ok(text.map_or(StoredText::Damaged, StoredText::Kept))
}
