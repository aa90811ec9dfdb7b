//! The rules of who gets mails, read from the facts.
//!
//! A recipient has no state here. What is chosen, confirmed, muted or at fault is found by reading
//! the facts since the member joined or the address was added. Not here: the removal of a member,
//! which is in `team`.

use std::collections::BTreeSet;

use tollkeeper_ledger::{
    Hash, MailTopic, MailTopics, Member, MemberId, PersonalText, Recipient, RecipientChange,
    RecipientCommand, RecipientId, RecipientRequest, RecipientSubject, Refusal, Role, TeamChange, Timestamp,
};

use super::charges::invalid;
use super::facts::Pool;
use super::step::nth;

const CHOSEN_MAX: usize = 20;

impl Pool {
    /// The number of typed addresses that were ever added.
    #[must_use]
    pub fn address_count(&self) -> usize {
        let added = |change: &TeamChange| {
            matches!(change, TeamChange::Recipient(RecipientChange::AddressAdded { .. }))
        };
        self.team_after(0).filter(|(_, _, change)| added(change)).count()
    }

    /// The recipients in the order in which their rows came to be.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        let mut rows: Vec<(u64, Recipient)> = Vec::new();
        for (n, at, change) in self.team_after(0) {
            match change {
                TeamChange::Recipient(RecipientChange::AddressAdded { id, address }) => {
                    rows.extend(self.typed_row((n, at), *id, *address).map(|row| (n, row)));
                }
                TeamChange::MemberAdded(member) => rows.extend(self.row_of_member(n, &member.id)),
                _ => {}
            }
        }
        rows.sort_by_key(|(n, _)| *n);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// The changes of one recipient after a fact.
    fn changes_of<'a>(
        &'a self,
        subject: &'a RecipientSubject,
        after: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, Timestamp, &'a RecipientChange)> {
        self.team_after(after).filter_map(move |(n, at, change)| match change {
            TeamChange::Recipient(change) if change.subject() == *subject => Some((n, at, change)),
            _ => None,
        })
    }

    /// The row of an address that was added by fact `n`; `None` if it was removed.
    fn typed_row(&self, (n, at): (u64, Timestamp), id: RecipientId, address: Hash) -> Option<Recipient> {
        let subject = RecipientSubject::Address(id);
        let since = || self.changes_of(&subject, n);
        if since().any(|(_, _, change)| matches!(change, RecipientChange::Removed(_))) {
            return None;
        }
        let confirmed = since().find(|(_, _, change)| matches!(change, RecipientChange::Confirmed(_)));
        let muted = since().rev().find_map(|(_, _, change)| muted_by(change));
        let fault = since().find_map(|(_, at, change)| match change {
            RecipientChange::Failed { fault, .. } => Some((*fault, at)),
            _ => None,
        });
        Some(Recipient {
            address: Some(address),
            is_chosen: true,
            confirmed_at: confirmed.map(|(_, at, _)| at),
            muted: muted.unwrap_or_default(),
            fault,
            created_at: at,
            subject: subject.clone(),
        })
    }

    /// The row of a member who joined by fact `joined`, with the fact that began it; `None` if the
    /// member left, or if the row says nothing.
    fn row_of_member(&self, joined: u64, id: &MemberId) -> Option<(u64, Recipient)> {
        let subject = RecipientSubject::Member(id.clone());
        let mut email = None;
        let mut row: Option<(u64, Recipient)> = None;
        for (n, at, change) in self.team_after(joined - 1) {
            let blank = || {
                let (muted, subject) = (MailTopics::default(), subject.clone());
                let (address, confirmed_at, fault) = (None, None, None);
                let is_chosen = false;
                (n, Recipient { subject, address, is_chosen, confirmed_at, muted, fault, created_at: at })
            };
            match change {
                TeamChange::MemberRemoved(one) if one == id => return None,
                TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) if member.id == *id => {
                    if email.replace(member.email).is_some_and(|before| before != member.email)
                        && let Some((_, row)) = &mut row
                    {
                        row.fault = None;
                    }
                }
                TeamChange::Recipient(change) if change.subject() == subject => {
                    let (_, row) = row.get_or_insert_with(blank);
                    match change {
                        RecipientChange::MemberAdded(_) => row.is_chosen = true,
                        RecipientChange::Removed(_) => row.is_chosen = false,
                        RecipientChange::Muted { muted, .. } => row.muted = *muted,
                        RecipientChange::Failed { fault, .. } => row.fault = Some((*fault, at)),
                        _ => {}
                    }
                }
                _ => {}
            }
            row = row.filter(|(_, row)| row.is_chosen || !row.muted.is_empty() || row.fault.is_some());
        }
        row
    }

    pub(super) fn recipient(&self, subject: &RecipientSubject) -> Option<Recipient> {
        self.recipients().into_iter().find(|row| row.subject == *subject)
    }

    /// The digest of the address of a recipient.
    #[must_use]
    pub fn address_of(&self, subject: &RecipientSubject) -> Option<Hash> {
        match subject {
            RecipientSubject::Member(id) => {
                let members = self.members();
                members.iter().find(|member| member.id == *id).map(|member| member.email)
            }
            RecipientSubject::Address(_) => self.recipient(subject)?.address,
        }
    }

    /// The text of a typed address that was not removed.
    #[must_use]
    pub fn typed_text(&self, digest: &Hash) -> Option<Box<str>> {
        let is_there = self.recipients().iter().any(|row| row.address == Some(*digest));
        if is_there { self.texts.get(digest).cloned() } else { None }
    }

    /// Who gets a mail of a topic: the first group in which somebody is left.
    #[must_use]
    pub fn mail_recipients(&self, topic: MailTopic) -> Vec<(RecipientSubject, Hash)> {
        let rows = self.recipients();
        let row = |subject: &RecipientSubject| rows.iter().find(|row| row.subject == *subject);
        let is_confirmed = |row: &&Recipient| {
            row.confirmed_at.is_some() || matches!(row.subject, RecipientSubject::Member(_))
        };
        let chosen = rows.iter().filter(|row| row.is_chosen).filter(is_confirmed);
        let chosen: Vec<RecipientSubject> = chosen.map(|row| row.subject.clone()).collect();
        let admins = self.members().into_iter().filter(|member| member.role == Role::Admin);
        let admins: Vec<RecipientSubject> =
            admins.map(|Member { id, .. }| RecipientSubject::Member(id)).collect();
        let groups = [(&chosen, false), (&admins, false), (&chosen, true), (&admins, true)];
        for (group, also_muted) in groups {
            if also_muted && !matches!(topic, MailTopic::Refused | MailTopic::AutoTopUp | MailTopic::Debt) {
                break;
            }
            let gets = |subject: &&RecipientSubject| {
                row(subject).is_none_or(|row| {
                    row.fault.is_none() && (also_muted || !row.muted.iter().any(|muted| muted == topic))
                })
            };
            let found = group.iter().filter(gets);
            let found: Vec<_> = found
                .map(|subject| (subject.clone(), self.address_of(subject).expect("it is a recipient")))
                .collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    pub(super) fn change_recipients(
        &self,
        command: &RecipientCommand,
    ) -> Result<Option<RecipientChange>, Refusal> {
        match command.clone() {
            RecipientCommand::Choose(request) => self.choose(&request),
            RecipientCommand::Remove(subject) => {
                let is_chosen = self.known_recipient(&subject)?.is_some_and(|row| row.is_chosen);
                Ok(is_chosen.then_some(RecipientChange::Removed(subject)))
            }
            RecipientCommand::Confirm(id) => {
                let row = self.known_recipient(&RecipientSubject::Address(id))?;
                let is_open = row.is_some_and(|row| row.confirmed_at.is_none());
                Ok(is_open.then_some(RecipientChange::Confirmed(id)))
            }
            RecipientCommand::Mute { subject, topic, muted } => {
                let before = self.known_recipient(&subject)?.map(|row| row.muted).unwrap_or_default();
                let mut topics: BTreeSet<MailTopic> = before.iter().collect();
                let is_changed = if muted { topics.insert(topic) } else { topics.remove(&topic) };
                let muted = topics.into_iter().collect();
                Ok(is_changed.then_some(RecipientChange::Muted { subject, muted }))
            }
            RecipientCommand::NoteFault { subject, address, fault } => {
                let row = self.known_recipient(&subject)?;
                let is_new = row.is_none_or(|row| row.fault.is_none());
                let is_its = self.address_of(&subject) == Some(address);
                Ok((is_new && is_its).then_some(RecipientChange::Failed { subject, fault }))
            }
            RecipientCommand::NoteMail { about, topic, subject } => {
                if about > self.lines.len() as u64 {
                    return Err(invalid("about"));
                }
                Ok(Some(RecipientChange::MailSent { about, topic, subject }))
            }
        }
    }

    fn choose(&self, request: &RecipientRequest) -> Result<Option<RecipientChange>, Refusal> {
        let rows = self.recipients();
        let change = match request {
            RecipientRequest::Member(id) => {
                let row = self.known_recipient(&RecipientSubject::Member(id.clone()))?;
                if row.is_some_and(|row| row.is_chosen) {
                    return Ok(None);
                }
                RecipientChange::MemberAdded(id.clone())
            }
            RecipientRequest::Address(PersonalText { text, digest, .. }) => {
                let mut digests = rows.iter().filter_map(|row| row.address);
                if digests.any(|known| self.texts.get(&known) == Some(text)) {
                    return Ok(None);
                }
                RecipientChange::AddressAdded { id: RecipientId(nth(self.address_count())), address: *digest }
            }
        };
        if rows.iter().filter(|row| row.is_chosen).count() >= CHOSEN_MAX {
            return Err(invalid("emails"));
        }
        Ok(Some(change))
    }

    /// The row of a member or of a typed address; a member may lack one.
    fn known_recipient(&self, subject: &RecipientSubject) -> Result<Option<Recipient>, Refusal> {
        match (subject, self.address_of(subject)) {
            (RecipientSubject::Member(_), None) => Err(Refusal::MemberNotFound),
            (RecipientSubject::Address(_), None) => Err(Refusal::RecipientNotFound),
            (_, Some(_)) => Ok(self.recipient(subject)),
        }
    }
}

/// The topics that a change mutes.
fn muted_by(change: &RecipientChange) -> Option<MailTopics> {
    match change {
        RecipientChange::Muted { muted, .. } => Some(*muted),
        _ => None,
    }
}
