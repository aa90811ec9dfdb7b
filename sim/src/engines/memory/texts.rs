//! The texts about persons of the engine in memory, in a list of their own beside the journal.

use tollkeeper_ledger::{
    Command, EntryBody, Hash, MemberId, PersonalText, RecipientCommand, RecipientRequest, RecipientSubject,
    TeamCommand, TextsOfMember,
};

use super::StoredWorkspace;

impl StoredWorkspace {
    /// The text of a member with this digest, unless it was erased.
    pub(super) fn text(&self, member: &MemberId, digest: &Hash) -> Option<&PersonalText> {
        let found = self.texts.iter().find(|(of, known, _)| of == member && known == digest);
        found.and_then(|(_, _, text)| text.as_ref())
    }

    pub(super) fn texts_of(&self, member: Option<&MemberId>) -> TextsOfMember {
        let mut known = self.texts.iter().filter(|(of, ..)| Some(of) == member).peekable();
        if known.peek().is_none() {
            return TextsOfMember::Unknown;
        }
        if known.any(|(_, _, text)| text.is_some()) { TextsOfMember::Kept } else { TextsOfMember::Erased }
    }

    /// Replaces each text of a command that is the member's already by the stored one, and an
    /// address that a recipient has already; not the address of a member that refused a mail.
    pub(super) fn reuse_texts(&self, command: &mut Command) {
        if let Command::Team(TeamCommand::Recipient(RecipientCommand::Choose(RecipientRequest::Address(
            given,
        )))) = command
        {
            let mut typed = self.account.team.recipients.iter().filter_map(|row| {
                let address = row.address?;
                self.text(&row.subject.owner(), &address)
            });
            if let Some(stored) = typed.find(|stored| stored.text == given.text) {
                *given = stored.clone();
            }
        }
        let Command::Team(TeamCommand::ChangeMember(id, changes)) = command else { return };
        let Some(member) = self.account.team.member(id) else { return };
        let row = self.account.team.recipient(&RecipientSubject::Member(id.clone()));
        let is_at_fault = row.is_some_and(|row| row.fault.is_some());
        let email = (!is_at_fault).then_some((&mut changes.email, member.email));
        for (given, digest) in email.into_iter().chain([(&mut changes.name, member.name)]) {
            if let (Some(given), Some(stored)) = (given, self.text(id, &digest))
                && given.text == stored.text
            {
                *given = stored.clone();
            }
        }
    }

    /// Keeps the texts that entry `n` names, or erases those of its member.
    pub(super) fn store_texts(&mut self, n: u64, given: &[PersonalText]) {
        let index = usize::try_from(n - 1).expect("an index of a vector");
        let EntryBody::Team(change) = &self.journal[index].entry.body else { return };
        if let Some(member) = change.erased_texts() {
            let own = self.texts.iter_mut().filter(|(of, ..)| *of == *member);
            own.for_each(|(_, _, text)| *text = None);
        }
        let Some((member, digests)) = change.texts() else { return };
        for text in given.iter().filter(|text| digests.contains(&text.digest)) {
            if !self.texts.iter().any(|(of, digest, _)| *of == *member && *digest == text.digest) {
                self.texts.push((member.clone().into_owned(), text.digest, Some(text.clone())));
            }
        }
    }
}
