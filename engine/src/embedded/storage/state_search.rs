//! The tables of the state file by which workspaces are found: a small row for each workspace, and
//! the words of its name.
//!
//! A list of workspaces walks over these rows instead of the accounts, which are ten times as
//! large. Partial indexes hold those that are suspended or owe credit. A row is written only if it
//! differs from what is stored: at most once a day for a workspace that is charged.
//!
//! Each row carries a checksum. An index only nominates rows; what is listed is read from the
//! account. A row that is missing would hide its workspace, and no other row names it. So before
//! the first search the tables are checked as a whole, once ([`StateFile::check_search`]): each
//! row, the sum over all, the words that follow from the names, and that the indexes hold the rows.

use rusqlite::{Connection, OptionalExtension, Row};

use super::sqlite::damaged_row;
use super::state_db::StateFile;
use super::state_meta::Meta;
use super::state_rows::RowCrc;
use crate::Error;
use crate::workspace_search::{NOMINATED_MAX, NameQuery, SearchRow, Walk, words};

const COLUMNS: &str = "no, name, suspended, debt, used, crc";

const ONE: &str = "SELECT no, name, suspended, debt, used, crc FROM search WHERE no = ?1";

/// The account index and the row; `None` if they are not what was written.
type Found = Option<(u32, SearchRow)>;

fn row_crc(account_index: u32, row: &SearchRow) -> i64 {
    let SearchRow { name, suspended, has_debt, used_day } = row;
    RowCrc::of("search")
        .number(i64::from(account_index))
        .bytes(name.as_bytes())
        .number(i64::from(*suspended))
        .number(i64::from(*has_debt))
        .number(*used_day)
        .finish()
}

fn word_crc(account_index: u32, word: &str) -> i64 {
    RowCrc::of("search_word").number(i64::from(account_index)).bytes(word.as_bytes()).finish()
}

fn read_row(row: &Row) -> rusqlite::Result<Found> {
    let index = row.get(0)?;
    let found =
        SearchRow { name: row.get(1)?, suspended: row.get(2)?, has_debt: row.get(3)?, used_day: row.get(4)? };
    let whole = row.get::<_, i64>(5)? == row_crc(index, &found);
    Ok(whole.then_some((index, found)))
}

/// Writes the row of a workspace and the words of its name, as far as they differ from what is
/// stored.
pub(super) fn put(
    connection: &Connection,
    meta: &mut Meta,
    account_index: u32,
    row: &SearchRow,
) -> rusqlite::Result<()> {
    let stored = connection.prepare_cached(ONE)?.query_row([account_index], read_row).optional()?;
    let stored = match stored {
        None => None,
        Some(Some((_, stored))) => Some(stored),
        Some(None) => return Err(damaged_row("the row by which a workspace is found is damaged")),
    };
    if stored.as_ref() == Some(row) {
        return Ok(());
    }
    let sql = "INSERT OR REPLACE INTO search (no, name, suspended, debt, used, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let SearchRow { name, suspended, has_debt, used_day } = row;
    let crc = row_crc(account_index, row);
    let before = stored.as_ref().map(|stored| row_crc(account_index, stored));
    let replaced = meta.replace_search(before, crc);
    replaced
        .ok_or_else(|| damaged_row("there are more rows by which workspaces are found than were written"))?;
    connection.prepare_cached(sql)?.execute((account_index, name, suspended, has_debt, used_day, crc))?;
    if stored.as_ref().is_some_and(|stored| stored.name == *name) {
        return Ok(());
    }
    let mut remove = connection.prepare_cached("DELETE FROM search_word WHERE word = ?1 AND no = ?2")?;
    for word in stored.iter().flat_map(|stored| words(&stored.name)) {
        remove.execute((word, account_index))?;
    }
    let sql = "INSERT OR REPLACE INTO search_word (word, no, crc) VALUES (?1, ?2, ?3)";
    let mut add = connection.prepare_cached(sql)?;
    for word in words(name) {
        let crc = word_crc(account_index, &word);
        add.execute((word, account_index, crc))?;
    }
    Ok(())
}

impl StateFile {
    /// At most `most` rows with account indices from `from` to below `before`, the highest first.
    pub(crate) fn search_rows(
        &self,
        walk: Walk,
        (from, before): (u32, u32),
        most: usize,
    ) -> Result<Vec<(u32, SearchRow)>, Error> {
        let (index, condition) = match walk {
            Walk::All => ("", "1"),
            Walk::Suspended => ("INDEXED BY search_suspended", "suspended = 1"),
            Walk::Debt => ("INDEXED BY search_debt", "debt = 1"),
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM search {index} WHERE {condition} AND no >= ?1 AND no < ?2 ORDER BY no DESC LIMIT ?3"
        );
        let rows = self.all(&sql, (from, before, most as i64), read_row)?;
        rows.into_iter().map(|row| self.whole(row)).collect()
    }

    /// Checks that no row by which workspaces are found is missing or damaged.
    pub(crate) fn check_search(&self) -> Result<(), Error> {
        for table in ["search", "search_word"] {
            let found = self.one(&format!("PRAGMA integrity_check('{table}')"), [], |row| row.get(0))?;
            let found: String = found.unwrap_or_default();
            if found != "ok" {
                return Err(self.damaged(found));
            }
        }
        let meta = self.meta()?;
        let (mut rows, mut sum, mut expected, mut is_whole) = (0, 0i64, 0i64, true);
        let mut names =
            self.connection.prepare(&format!("SELECT {COLUMNS} FROM search")).map_err(|e| self.failed(e))?;
        let mut found = names.query([]).map_err(|error| self.failed(error))?;
        while let Some(row) = found.next().map_err(|error| self.failed(error))? {
            let Some((index, row)) = read_row(row).map_err(|error| self.failed(error))? else {
                is_whole = false;
                break;
            };
            rows += 1;
            sum = sum.wrapping_add(row_crc(index, &row));
            let words = words(&row.name);
            expected = words.iter().fold(expected, |sum, word| sum.wrapping_add(word_crc(index, word)));
        }
        let words = self.sum_of_words()?;
        if is_whole && (rows, sum) == (meta.searched, meta.search_sum) && words == Some(expected) {
            return Ok(());
        }
        Err(self.damaged("a row by which a workspace is found is damaged or missing"))
    }

    /// The sum of the checksums of all words; `None` if one is not what was written.
    fn sum_of_words(&self) -> Result<Option<i64>, Error> {
        let sql = "SELECT word, no, crc FROM search_word";
        let mut words = self.connection.prepare(sql).map_err(|error| self.failed(error))?;
        let mut found = words.query([]).map_err(|error| self.failed(error))?;
        let mut sum = 0i64;
        while let Some(row) = found.next().map_err(|error| self.failed(error))? {
            if read_word(row).map_err(|error| self.failed(error))?.is_none() {
                return Ok(None);
            }
            sum = sum.wrapping_add(row.get(2).map_err(|error| self.failed(error))?);
        }
        Ok(Some(sum))
    }

    /// The row of a workspace; `None` if there is none.
    pub(crate) fn search_row(&self, account_index: u32) -> Result<Option<SearchRow>, Error> {
        let found = self.one(ONE, [account_index], read_row)?;
        found.map(|row| self.whole(row).map(|(_, row)| row)).transpose()
    }

    /// The account indices of the workspaces whose names may match, the highest first; `None` if
    /// there are too many.
    pub(crate) fn nominated_by_name(&self, name: &NameQuery) -> Result<Option<Vec<u32>>, Error> {
        let sql = "SELECT word, no, crc FROM search_word WHERE word >= ?1 AND word < ?2 LIMIT ?3";
        let (first, end) = name.range();
        let found = self.all(sql, (first, end, NOMINATED_MAX as i64 + 1), read_word)?;
        self.nominated(found)
    }

    /// The same for the workspaces that were not used after a day.
    pub(crate) fn nominated_by_use(&self, day: i64) -> Result<Option<Vec<u32>>, Error> {
        let sql = "SELECT no FROM search INDEXED BY search_used WHERE used <= ?1 LIMIT ?2";
        let found = self.all(sql, (day, NOMINATED_MAX as i64 + 1), |row| row.get(0).map(Some))?;
        self.nominated(found)
    }

    fn nominated(&self, found: Vec<Option<u32>>) -> Result<Option<Vec<u32>>, Error> {
        if found.len() > NOMINATED_MAX {
            return Ok(None);
        }
        let indices: Option<Vec<u32>> = found.into_iter().collect();
        let mut indices = indices.ok_or_else(|| self.damaged("a word of a workspace's name is damaged"))?;
        indices.sort_unstable_by(|a, b| b.cmp(a));
        indices.dedup();
        Ok(Some(indices))
    }

    fn whole(&self, row: Found) -> Result<(u32, SearchRow), Error> {
        row.ok_or_else(|| self.damaged("the row by which a workspace is found is damaged"))
    }
}

/// Reads the row of a word: the account index; `None` if it is not what was written.
fn read_word(row: &Row) -> rusqlite::Result<Option<u32>> {
    let index = row.get(1)?;
    let whole = row.get::<_, i64>(2)? == word_crc(index, row.get_ref(0)?.as_str()?);
    Ok(whole.then_some(index))
}
