//! Texts about a person: their digests, and what a batch knows of the stored ones.
//!
//! An entry names such a text by a digest (see `PersonalText` in the ledger). The text and its salt
//! are stored beside the journal, in the transaction of the entry that names them first. They can
//! be erased; the row then says so, and the chain stays whole. Where the rows are is in each
//! engine.

use std::borrow::Cow;

use tollkeeper_ledger::{
    Command, EntryBody, Hash, MemberId, PersonalText, RecipientCommand, RecipientRequest, RecipientSubject,
    Salt, Team, TeamCommand, TextsOfMember,
};

use crate::hash::digest;

/// A text about a person with its digest. The salt must be random and of this text alone.
#[must_use]
pub fn personal_text(text: &str, salt: Salt) -> PersonalText {
    let digest = digest(&[&salt[..], text.as_bytes()].concat());
    PersonalText { text: text.into(), salt, digest }
}

/// The text if it is the one that the digest stands for.
pub(crate) fn verified(text: &str, salt: Salt, digest: &Hash) -> Option<PersonalText> {
    Some(personal_text(text, salt)).filter(|found| found.digest == *digest)
}

/// What is stored of the texts of the member that a command names.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredTexts {
    pub state: TextsOfMember,
    /// Those that the member's entry in the team names, and those that the batch has added.
    pub current: Vec<PersonalText>,
}

impl StoredTexts {
    /// A text was stored.
    pub(crate) fn keep(&mut self, text: PersonalText) {
        self.state = TextsOfMember::Kept;
        self.current.push(text);
    }

    /// All texts were erased.
    pub(crate) fn erase(&mut self) {
        *self = StoredTexts { state: TextsOfMember::Erased, current: Vec::new() };
    }

    /// Replaces each text of a command that is the member's already by the stored one. It then has
    /// the same digest, and the ledger sees that nothing changes. An address that refused a mail is
    /// not replaced: who enters it again says that it works.
    pub(crate) fn reuse_in(&self, command: &mut Command, team: &Team) {
        let Command::Team(TeamCommand::ChangeMember(id, changes)) = command else { return };
        let Some(member) = team.member(id) else { return };
        let row = team.recipient(&RecipientSubject::Member(id.clone()));
        let is_at_fault = row.is_some_and(|row| row.fault.is_some());
        let email = (!is_at_fault).then_some((&mut changes.email, member.email));
        for (given, digest) in email.into_iter().chain([(&mut changes.name, member.name)]) {
            let stored = self.current.iter().find(|text| text.digest == digest);
            if let (Some(given), Some(stored)) = (given, stored)
                && given.text == stored.text
            {
                *given = stored.clone();
            }
        }
    }
}

/// What an entry says about the texts of a member.
#[derive(Debug)]
pub(crate) enum TextsInEntry<'a> {
    /// Their digests: of the e-mail address and of the name, or of a typed address.
    Named(Cow<'a, MemberId>, Vec<Hash>),
    /// All before it were erased.
    Erased(Cow<'a, MemberId>),
}

impl<'a> TextsInEntry<'a> {
    /// `None` for an entry that says nothing about texts.
    pub(crate) fn of(body: &'a EntryBody) -> Option<TextsInEntry<'a>> {
        let EntryBody::Team(change) = body else { return None };
        match change.erased_texts() {
            Some(member) => Some(TextsInEntry::Erased(member)),
            None => change.texts().map(|(member, digests)| TextsInEntry::Named(member, digests)),
        }
    }
}

/// The address of a command that adds a recipient.
fn typed_address(command: &mut Command) -> Option<&mut PersonalText> {
    match command {
        Command::Team(TeamCommand::Recipient(RecipientCommand::Choose(RecipientRequest::Address(
            address,
        )))) => Some(address),
        _ => None,
    }
}

/// The typed addresses of a team with their owners, if the command adds one: the stored texts are
/// compared with it.
pub(crate) fn typed_addresses(command: &Command, team: &Team) -> Vec<(MemberId, Hash)> {
    let adds_address = !command.texts().is_empty() && command.member_with_texts().is_none();
    let typed = team.recipients.iter().filter(|_| adds_address);
    typed.filter_map(|recipient| Some((recipient.subject.owner(), recipient.address?))).collect()
}

/// Replaces the address of a command that adds a recipient by the stored one of a recipient, if it
/// is the same text. It then has the same digest, and the ledger sees that nothing changes.
pub(crate) fn reuse_address(command: &mut Command, stored: &[PersonalText]) {
    if let Some(given) = typed_address(command)
        && let Some(same) = stored.iter().find(|text| text.text == given.text)
    {
        *given = same.clone();
    }
}

/// Asserts that the texts of a command have the digests that they claim: a wrong one could never be
/// compared again.
pub(crate) fn assert_digests(texts: &[PersonalText]) {
    for text in texts {
        let is_right = verified(&text.text, text.salt, &text.digest).is_some();
        assert!(is_right, "the digest of a text about a person is that of its salt and text");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_the_salt_and_the_text() {
        let ada = personal_text("Ada", [7; 32]);
        assert_eq!(ada.digest, digest(b"\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07Ada"));
        assert!(personal_text("Ada", [8; 32]).digest != ada.digest);
        assert!(personal_text("Adb", [7; 32]).digest != ada.digest);
        assert!(verified("Ada", [7; 32], &ada.digest).is_some());
        assert!(verified("Eve", [7; 32], &ada.digest).is_none());
    }
}
