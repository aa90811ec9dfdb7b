//! The texts about a person in the path of a command: what is stored of the member that it names,
//! and what its entry adds or erases.
//!
//! What is not on disk yet is found in the uncommitted batches. How rows are stored is in
//! `storage::texts`.

use tollkeeper_ledger::{Command, EntryBody, Hash, MemberId, PersonalText, TextsOfMember, WorkspaceId};

use super::Core;
use super::state_machine::StateMachine;
use crate::Error;
use crate::embedded::storage::block::EntryHeader;
use crate::embedded::storage::journal::Journal;
use crate::embedded::storage::texts::{StoredText, TextChange, TextWrite};
use crate::personal::{StoredTexts, TextsInEntry, assert_digests, reuse_address, typed_addresses};

impl Core {
    /// Answers [`Query::PersonalTexts`](crate::Query::PersonalTexts) with what is on disk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn personal_texts(
        &mut self,
        id: &WorkspaceId,
        wanted: &[(MemberId, Hash)],
    ) -> Result<Vec<Option<Box<str>>>, Error> {
        let Some(index) = self.account_index(id)? else { return Ok(vec![None; wanted.len()]) };
        texts_on_disk(&self.ensure_loaded()?.journal, index, wanted)
    }
}

/// The error for a text that is not what was stored. It is never taken for an erased one.
fn damaged_text(member: &MemberId) -> Error {
    Error::damaged(format!("a stored name or e-mail address of member {member} is missing or damaged"))
        .with_hint("set name and e-mail address of the member again, or erase the member")
}

/// The texts with these digests, as far as they are on disk and were not erased.
pub(in crate::embedded) fn texts_on_disk(
    journal: &Journal,
    account_index: u32,
    wanted: &[(MemberId, Hash)],
) -> Result<Vec<Option<Box<str>>>, Error> {
    let text = |(member, digest): &(MemberId, Hash)| {
        Ok(match journal.text(account_index, member, digest)? {
            Some(StoredText::Kept(found)) => Some(found.text),
            Some(StoredText::Erased) => None,
            None | Some(StoredText::Damaged) => return Err(damaged_text(member)),
        })
    };
    wanted.iter().map(text).collect()
}

impl StateMachine {
    /// Loads what is stored of the member that a command names. A text of the command that is the
    /// member's already is replaced by the stored one.
    pub(super) fn load_texts(&self, index: u32, command: &mut Command) -> Result<TextsOfMember, Error> {
        if let Command::Team(team) = command {
            assert_digests(&team.texts());
        }
        let Some(named) = command.member_with_texts().cloned() else {
            self.reuse_typed_address(index, command)?;
            return Ok(TextsOfMember::Unknown);
        };
        let member = self.accounts.get(index).account.team.member(&named);
        let mut stored = StoredTexts { state: self.journal.texts_of(index, &named)?, ..Default::default() };
        for digest in member.map(|member| [member.email, member.name]).into_iter().flatten() {
            if let Some(StoredText::Kept(text)) = self.journal.text(index, &named, &digest)? {
                stored.current.push(text);
            }
        }
        let own = |write: &&TextWrite| write.account_index == index && write.member == named;
        for write in self.uncommitted.texts().filter(own) {
            match &write.change {
                TextChange::Add { text: Some(text), .. } => stored.keep(text.clone()),
                TextChange::Add { text: None, .. } => {}
                TextChange::Erase => stored.erase(),
            }
        }
        stored.reuse_in(command, &self.accounts.get(index).account.team);
        Ok(stored.state)
    }

    /// A typed address that a recipient has already is replaced by the stored one.
    fn reuse_typed_address(&self, index: u32, command: &mut Command) -> Result<(), Error> {
        let typed = typed_addresses(command, &self.accounts.get(index).account.team);
        let mut stored = Vec::new();
        for (owner, digest) in &typed {
            if let Some(StoredText::Kept(text)) = self.journal.text(index, owner, digest)? {
                stored.push(text);
            }
        }
        for write in self.uncommitted.texts().filter(|write| write.account_index == index) {
            if let TextChange::Add { digest, text: Some(text) } = &write.change
                && typed.iter().any(|(owner, address)| *owner == write.member && address == digest)
            {
                stored.push(text.clone());
            }
        }
        reuse_address(command, &stored);
        Ok(())
    }

    /// Adds to the next batch what its last entry changes in the texts. `given`: those that came
    /// with the command. A digest without one names a text that is stored already.
    pub(super) fn write_texts(&mut self, body: &EntryBody, header: EntryHeader, given: Vec<PersonalText>) {
        match TextsInEntry::of(body) {
            None => {}
            Some(TextsInEntry::Named(member, digests)) => {
                for text in given.into_iter().filter(|text| digests.contains(&text.digest)) {
                    let change = TextChange::Add { digest: text.digest, text: Some(text) };
                    self.push_text(header, &member, change);
                }
            }
            Some(TextsInEntry::Erased(member)) => self.erase_texts(header, &member),
        }
    }

    /// The same for an imported entry: a text that did not come with it was erased.
    pub(super) fn import_texts(&mut self, body: &EntryBody, header: EntryHeader, given: &[PersonalText]) {
        match TextsInEntry::of(body) {
            None => {}
            Some(TextsInEntry::Named(member, digests)) => {
                for digest in digests {
                    let text = given.iter().find(|text| text.digest == digest).cloned();
                    self.push_text(header, &member, TextChange::Add { digest, text });
                }
            }
            Some(TextsInEntry::Erased(member)) => self.erase_texts(header, &member),
        }
    }

    fn erase_texts(&mut self, header: EntryHeader, member: &MemberId) {
        self.push_text(header, member, TextChange::Erase);
        self.maintenance.note_erasure();
    }

    fn push_text(&mut self, header: EntryHeader, member: &MemberId, change: TextChange) {
        let EntryHeader { seq, account_index, .. } = header;
        self.uncommitted.push_text(TextWrite { seq, account_index, member: member.clone(), change });
    }
}
