//! Looks up texts about persons in a journal, and keeps the mark of an erasure. The table is in
//! `texts`.

use rusqlite::OptionalExtension;
use tollkeeper_ledger::{Hash, MemberId, PersonalText, TextsOfMember};

use super::journal::Journal;
use super::sqlite::classify;
use super::texts::{StoredText, stored};
use crate::Error;

impl Journal {
    /// The text of a member with this digest; `None` if there is no row.
    pub(crate) fn text(
        &self,
        account_index: u32,
        member: &MemberId,
        digest: &Hash,
    ) -> Result<Option<StoredText>, Error> {
        let sql =
            "SELECT digest, kept, data FROM personal WHERE account = ?1 AND member = ?2 AND digest = ?3";
        let read = || {
            let mut statement = self.connection().prepare_cached(sql)?;
            statement.query_row((account_index, member.as_str(), &digest[..]), stored).optional()
        };
        read().map_err(|error| classify(self.path(), error))
    }

    /// What is stored of the texts of a member.
    pub(crate) fn texts_of(&self, account_index: u32, member: &MemberId) -> Result<TextsOfMember, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM personal WHERE account = ?1 AND member = ?2 AND kept),
                          EXISTS (SELECT 1 FROM personal WHERE account = ?1 AND member = ?2)";
        let read = || {
            let mut statement = self.connection().prepare_cached(sql)?;
            statement.query_row((account_index, member.as_str()), |row| Ok((row.get(0)?, row.get(1)?)))
        };
        Ok(match read().map_err(|error| classify(self.path(), error))? {
            (true, _) => TextsOfMember::Kept,
            (false, true) => TextsOfMember::Erased,
            (false, false) => TextsOfMember::Unknown,
        })
    }

    /// The first entry from `seq` on that was the first to name a text.
    pub(crate) fn next_with_texts(&self, seq: u64) -> Result<Option<u64>, Error> {
        let sql = "SELECT id / 2 FROM personal WHERE id >= ?1 ORDER BY id LIMIT 1";
        let read = || {
            let mut statement = self.connection().prepare_cached(sql)?;
            statement.query_row([2 * seq as i64], |row| row.get::<_, i64>(0)).optional()
        };
        let found = read().map_err(|error| classify(self.path(), error))?;
        Ok(found.map(|seq| seq as u64))
    }

    /// The texts that an entry was the first to name, without erased ones, in the order of their
    /// digests.
    pub(crate) fn texts_of_entry(&self, seq: u64) -> Result<Vec<PersonalText>, Error> {
        let sql = "SELECT digest, kept, data FROM personal WHERE id BETWEEN ?1 AND ?1 + 1 ORDER BY id";
        let read = || {
            let mut statement = self.connection().prepare_cached(sql)?;
            let rows = statement.query_map([2 * seq as i64], stored)?;
            rows.collect::<rusqlite::Result<Vec<StoredText>>>()
        };
        let mut texts = Vec::new();
        for stored in read().map_err(|error| classify(self.path(), error))? {
            match stored {
                StoredText::Kept(text) => texts.push(text),
                StoredText::Erased => {}
                StoredText::Damaged => {
                    return Err(Error::damaged(format!(
                        "journal entry {seq}: a text of its member is damaged"
                    )));
                }
            }
        }
        // An export stream has the same order from each engine.
        texts.sort_unstable_by_key(|text| text.digest);
        Ok(texts)
    }

    /// True if a text of the member is there that an entry before `seq` was the first to name.
    pub(crate) fn has_text_before(
        &self,
        account_index: u32,
        member: &MemberId,
        seq: u64,
    ) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM personal
                   WHERE account = ?1 AND member = ?2 AND kept AND id < ?3)";
        let read = || {
            let mut statement = self.connection().prepare_cached(sql)?;
            statement.query_row((account_index, member.as_str(), 2 * seq as i64), |row| row.get(0))
        };
        read().map_err(|error| classify(self.path(), error))
    }

    /// Calls `each` with the account, the member and the sequence number of the entry that named
    /// it first, for each text that is gone.
    pub(crate) fn each_gone_text(
        &self,
        mut each: impl FnMut(u32, &str, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT account, member, id / 2 FROM personal WHERE NOT kept ORDER BY id";
        let classified = |error| classify(self.path(), error);
        let mut statement = self.connection().prepare_cached(sql).map_err(classified)?;
        let mut rows = statement.query([]).map_err(classified)?;
        while let Some(row) = rows.next().map_err(classified)? {
            let read = || Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?));
            let (account_index, member, seq): (u32, String, i64) = read().map_err(classified)?;
            each(account_index, &member, seq as u64)?;
        }
        Ok(())
    }

    /// The number of rows that an entry was the first to name.
    pub(crate) fn count_texts_of_entry(&self, seq: u64) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM personal WHERE id BETWEEN ?1 AND ?1 + 1";
        let read = || {
            let mut statement = self.connection().prepare_cached(sql)?;
            statement.query_row([2 * seq as i64], |row| row.get::<_, i64>(0))
        };
        read().map(|count| count as u64).map_err(|error| classify(self.path(), error))
    }

    /// The number of all rows, and of those whose text was erased.
    pub(crate) fn count_texts(&self) -> Result<(u64, u64), Error> {
        let sql = "SELECT count(*), count(*) FILTER (WHERE NOT kept) FROM personal";
        let read =
            self.connection().query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let (all, erased) = read.map_err(|error| classify(self.path(), error))?;
        Ok((all as u64, erased as u64))
    }

    /// True if texts were erased since the WAL was emptied.
    pub(crate) fn is_erasing(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')";
        let read = self.connection().query_row(sql, [], |row| row.get(0));
        read.map_err(|error| classify(self.path(), error))
    }

    /// The WAL was emptied after the last erasure.
    pub(crate) fn end_erasure(&self) -> Result<(), Error> {
        let removed = self.connection().execute("DELETE FROM meta WHERE name = 'erasing'", []);
        removed.map(|_| ()).map_err(|error| classify(self.path(), error))
    }
}
