//! Decides who gets the e-mails of a workspace, and notes what became of mails.
//!
//! The state, what an entry does to it, and who gets a mail of a topic are in `team::recipient`.
//! Who may ask for a change is in `authority`.

use super::view::View;
use crate::{
    Account, Hash, MailFault, MailTopic, Recipient, RecipientChange, RecipientCommand, RecipientId,
    RecipientRequest, RecipientSubject, Refusal, Team, bounds,
};

/// Decides a command about recipients; `None` if it would change nothing.
///
/// # Errors
/// `WorkspaceNotFound`, `MemberNotFound`, `RecipientNotFound`, `InvalidField`.
pub(super) fn decide(view: &View, command: RecipientCommand) -> Result<Option<RecipientChange>, Refusal> {
    let account = view.account()?;
    let team = &*account.team;
    assert!(team.is_within_bounds(), "a team must be within its bounds");
    match command {
        RecipientCommand::Choose(request) => choose(team, RecipientId(view.fresh_id), request),
        RecipientCommand::Remove(subject) => remove(team, subject),
        RecipientCommand::Confirm(id) => confirm(team, id),
        RecipientCommand::Mute { subject, topic, muted } => mute(team, subject, topic, muted),
        RecipientCommand::NoteFault { subject, address, fault } => note_fault(team, subject, &address, fault),
        RecipientCommand::NoteMail { about, topic, subject } => {
            note_mail(account, about, topic, subject).map(Some)
        }
    }
}

/// A member who is chosen, or an address that is there, changes nothing. The engine has given the
/// same address the same digest.
///
/// # Errors
/// `MemberNotFound`, `InvalidField` if there are too many.
fn choose(
    team: &Team,
    id: RecipientId,
    request: RecipientRequest,
) -> Result<Option<RecipientChange>, Refusal> {
    let change = match request {
        RecipientRequest::Member(member) => {
            team.member(&member).ok_or(Refusal::MemberNotFound)?;
            let row = team.recipient(&RecipientSubject::Member(member.clone()));
            if row.is_some_and(|row| row.is_chosen) {
                return Ok(None);
            }
            RecipientChange::MemberAdded(member)
        }
        RecipientRequest::Address(text) => {
            if team.recipients.iter().any(|row| row.address == Some(text.digest)) {
                return Ok(None);
            }
            let is_new = team.recipient(&RecipientSubject::Address(id)).is_none();
            assert!(is_new, "a new recipient must have a new id");
            RecipientChange::AddressAdded { id, address: text.digest }
        }
    };
    if team.chosen_count() >= bounds::RECIPIENTS_MAX {
        return Err(Refusal::InvalidField { field: "emails", why: "are 20 already, the most there can be" });
    }
    Ok(Some(change))
}

/// # Errors
/// `MemberNotFound`, `RecipientNotFound`.
fn remove(team: &Team, subject: RecipientSubject) -> Result<Option<RecipientChange>, Refusal> {
    let is_chosen = existing(team, &subject)?.is_some_and(|row| row.is_chosen);
    Ok(is_chosen.then_some(RecipientChange::Removed(subject)))
}

/// # Errors
/// `RecipientNotFound`.
fn confirm(team: &Team, id: RecipientId) -> Result<Option<RecipientChange>, Refusal> {
    let row = existing(team, &RecipientSubject::Address(id))?.ok_or(Refusal::RecipientNotFound)?;
    Ok(row.confirmed_at.is_none().then_some(RecipientChange::Confirmed(id)))
}

/// # Errors
/// `MemberNotFound`, `RecipientNotFound`.
fn mute(
    team: &Team,
    subject: RecipientSubject,
    topic: MailTopic,
    muted: bool,
) -> Result<Option<RecipientChange>, Refusal> {
    let before = existing(team, &subject)?.map(|row| row.muted).unwrap_or_default();
    let after = before.with(topic, muted);
    Ok((before != after).then_some(RecipientChange::Muted { subject, muted: after }))
}

/// The fault of an address that the recipient no longer has changes nothing, nor does a second one.
///
/// # Errors
/// `MemberNotFound`, `RecipientNotFound`.
fn note_fault(
    team: &Team,
    subject: RecipientSubject,
    address: &Hash,
    fault: MailFault,
) -> Result<Option<RecipientChange>, Refusal> {
    let is_at_fault = existing(team, &subject)?.is_some_and(|row| row.fault.is_some());
    let is_current = team.address_of(&subject) == Some(*address);
    Ok((is_current && !is_at_fault).then_some(RecipientChange::Failed { subject, fault }))
}

/// The recipient may have been removed since the mail was sent.
///
/// # Errors
/// `InvalidField` if there is no entry with this number.
fn note_mail(
    account: &Account,
    about: u64,
    topic: Option<MailTopic>,
    subject: RecipientSubject,
) -> Result<RecipientChange, Refusal> {
    if about > account.chain.n {
        return Err(Refusal::InvalidField { field: "about", why: "is no entry of the workspace" });
    }
    Ok(RecipientChange::MailSent { about, topic, subject })
}

/// The row of a recipient, which a member may lack.
///
/// # Errors
/// `MemberNotFound`, `RecipientNotFound`.
fn existing<'a>(team: &'a Team, subject: &RecipientSubject) -> Result<Option<&'a Recipient>, Refusal> {
    let row = team.recipient(subject);
    match subject {
        RecipientSubject::Member(member) => {
            team.member(member).ok_or(Refusal::MemberNotFound)?;
        }
        RecipientSubject::Address(_) => {
            row.ok_or(Refusal::RecipientNotFound)?;
        }
    }
    Ok(row)
}
