//! The part of the audit about texts of persons: that each entry's digests stand for what is
//! stored, and that a text is gone exactly if a later entry erased it.

use crate::Error;
use crate::audit::Scratch;
use crate::embedded::storage::block::EntryHeader;
use crate::embedded::storage::journal::Journal;
use crate::embedded::storage::texts::StoredText;
use crate::personal::TextsInEntry;
use tollkeeper_ledger::EntryBody;

/// The texts that were found so far.
#[derive(Debug, Default)]
pub(super) struct AuditedTexts {
    /// The number of rows that entries named.
    named: u64,
}

impl AuditedTexts {
    /// Checks an entry; says what is wrong.
    pub(super) fn check_entry(
        &mut self,
        (journal, scratch): (&Journal, &Scratch),
        header: &EntryHeader,
        body: &EntryBody,
    ) -> Result<Option<String>, Error> {
        let account_index = header.account_index;
        match TextsInEntry::of(body) {
            None => Ok(None),
            Some(TextsInEntry::Named(member, digests)) => {
                self.named += journal.count_texts_of_entry(header.seq)?;
                for digest in digests {
                    let what = match journal.text(account_index, &member, &digest)? {
                        Some(StoredText::Kept(_) | StoredText::Erased) => continue,
                        Some(StoredText::Damaged) => "is not the one that the entry names",
                        None => "is missing",
                    };
                    return Ok(Some(format!("a text of member {member} {what}")));
                }
                Ok(None)
            }
            Some(TextsInEntry::Erased(member)) => {
                scratch.put_erasure(account_index, member.as_str(), header.seq)?;
                let is_there = journal.has_text_before(account_index, &member, header.seq)?;
                Ok(is_there.then(|| format!("a text of member {member} was erased and is there")))
            }
        }
    }

    /// The number of texts and of erased ones; says what is wrong.
    pub(super) fn finish(
        &self,
        journal: &Journal,
        scratch: &Scratch,
    ) -> Result<((u64, u64), Option<String>), Error> {
        let (all, erased) = journal.count_texts()?;
        let mut what =
            (all != self.named).then(|| "there are texts of members that no entry names".to_owned());
        journal.each_gone_text(|account_index, member, named_by| {
            if scratch.last_erasure(account_index, member)?.is_none_or(|seq| seq <= named_by) {
                what.get_or_insert_with(|| {
                    format!("a text of member {member} is gone, and no entry erased it")
                });
            }
            Ok(())
        })?;
        Ok(((all - erased, erased), what))
    }
}
