//! The part of the audit about texts of persons: that each entry's digests stand for what is
//! stored, and that a text is gone exactly if a later entry erased it.

use std::collections::HashMap;

use tokio_postgres::Row;
use tollkeeper_ledger::{EntryBody, Hash, MemberId};

use crate::Error;
use crate::personal::TextsInEntry;
use crate::postgres::batch::texts::{digest_of, stored_text};
use crate::postgres::database::session::column;

/// A row of the table `personal`.
struct StoredText {
    /// The number of the entry that named it first.
    n: u64,
    state: State,
    is_named: bool,
    /// True if a later entry erased it.
    is_to_be_gone: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Kept,
    Erased,
    Damaged,
}

/// The stored texts of one workspace.
#[derive(Default)]
pub(super) struct AuditedTexts(HashMap<String, HashMap<Hash, StoredText>>);

impl AuditedTexts {
    /// Takes a row: workspace, member, digest, number, salt, text.
    pub(super) fn add(&mut self, row: &Row) -> Result<(), Error> {
        let digest = digest_of(column(row, 2)?)?;
        let (salt, text): (Option<&[u8]>, Option<&[u8]>) = (column(row, 4)?, column(row, 5)?);
        let state = match stored_text(salt, text, &digest) {
            Some(_) => State::Kept,
            None if salt.is_none() && text.is_none() => State::Erased,
            None => State::Damaged,
        };
        let stored =
            StoredText { n: column::<i64>(row, 3)? as u64, state, is_named: false, is_to_be_gone: false };
        self.0.entry(column::<&str>(row, 1)?.to_owned()).or_default().insert(digest, stored);
        Ok(())
    }

    /// Checks an entry; says what is wrong.
    pub(super) fn check_entry(&mut self, n: u64, body: &EntryBody) -> Option<String> {
        match TextsInEntry::of(body)? {
            TextsInEntry::Named(member, digests) => {
                digests.iter().find_map(|digest| self.check_named(n, &member, digest))
            }
            TextsInEntry::Erased(member) => {
                let of_member = self.0.get_mut(member.as_str()).into_iter().flat_map(HashMap::values_mut);
                let mut is_there = false;
                for text in of_member.filter(|text| text.n < n) {
                    text.is_to_be_gone = true;
                    is_there |= text.state != State::Erased;
                }
                is_there.then(|| format!("a text of member {member} was erased and is there"))
            }
        }
    }

    fn check_named(&mut self, n: u64, member: &MemberId, digest: &Hash) -> Option<String> {
        let found = self.0.get_mut(member.as_str()).and_then(|texts| texts.get_mut(digest));
        let Some(text) = found else { return Some(format!("a text of member {member} is missing")) };
        let is_first = !std::mem::replace(&mut text.is_named, true);
        if text.state == State::Damaged || (is_first && text.n != n) {
            return Some(format!("a text of member {member} is not the one that the entry names"));
        }
        None
    }

    /// The number of texts and of erased ones; says what is wrong.
    pub(super) fn finish(&self) -> ((u64, u64), Option<String>) {
        let all = || self.0.values().flat_map(HashMap::values);
        let count = |state| all().filter(|text| text.state == state).count() as u64;
        let is_gone = |text: &StoredText| text.state == State::Erased && !text.is_to_be_gone;
        let gone = self.0.iter().find(|(_, texts)| texts.values().any(is_gone));
        let what = match gone {
            _ if all().any(|text| !text.is_named) => {
                Some("there are texts of members that no entry names".to_owned())
            }
            Some((member, _)) => Some(format!("a text of member {member} is gone, and no entry erased it")),
            None => None,
        };
        ((count(State::Kept), count(State::Erased)), what)
    }
}
