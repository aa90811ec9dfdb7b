//! What the entries about members, API keys, sessions and recipients of mails set, as the journal
//! shows it. It is for callers who manage the workspace.

use serde_json::{Value, json};
use tollkeeper_ledger::{MailTopic, MemberId, RecipientChange, RecipientSubject, TeamChange};

use super::api_keys::ApiKeyJson;
use super::members::MemberJson;
use crate::http::call::PersonalTexts;
use crate::wire::write::Time;

/// The details of a change of the team. Hashes of secrets are left out.
pub(super) fn of(change: &TeamChange, texts: &PersonalTexts) -> Option<Value> {
    let value = |value: Result<Value, serde_json::Error>| value.expect("these structs have string keys");
    match change {
        TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => {
            Some(value(serde_json::to_value(MemberJson::of(member, texts))))
        }
        TeamChange::KeyCreated(key) => Some(value(serde_json::to_value(ApiKeyJson::of(key)))),
        TeamChange::LinkCreated(session) | TeamChange::SignedIn(session) => Some(json!({
            "session": session.id.to_string(), "expires_at": Time(session.expires_at).to_string(),
        })),
        TeamChange::SignedOut(session) => Some(json!({ "session": session.to_string() })),
        TeamChange::Recipient(change) => Some(recipient(change, texts)),
        TeamChange::MemberRemoved(_)
        | TeamChange::MemberErased(_)
        | TeamChange::KeyRevoked(_)
        | TeamChange::KeyUsed(_)
        | TeamChange::AllSignedOut(_) => None,
    }
}

fn recipient(change: &RecipientChange, texts: &PersonalTexts) -> Value {
    let recipient = change.subject().to_string();
    match change {
        RecipientChange::AddressAdded { address, .. } => {
            json!({ "recipient": recipient, "email": texts.get(address) })
        }
        RecipientChange::MemberAdded(_) | RecipientChange::Removed(_) | RecipientChange::Confirmed(_) => {
            json!({ "recipient": recipient })
        }
        RecipientChange::Muted { muted, .. } => {
            let muted: Vec<&str> = muted.iter().map(MailTopic::as_str).collect();
            json!({ "recipient": recipient, "muted": muted })
        }
        RecipientChange::Failed { fault, .. } => {
            json!({ "recipient": recipient, "status": fault.as_str() })
        }
        RecipientChange::MailSent { about, topic, .. } => json!({
            "recipient": recipient,
            "topic": topic.map(MailTopic::as_str),
            "entry": Some(*about).filter(|about| *about > 0),
        }),
    }
}

/// The member that a change of recipients is about.
pub(super) fn member_of(change: &RecipientChange) -> Option<&MemberId> {
    match change {
        RecipientChange::MemberAdded(member)
        | RecipientChange::Removed(RecipientSubject::Member(member))
        | RecipientChange::Muted { subject: RecipientSubject::Member(member), .. }
        | RecipientChange::Failed { subject: RecipientSubject::Member(member), .. }
        | RecipientChange::MailSent { subject: RecipientSubject::Member(member), .. } => Some(member),
        RecipientChange::AddressAdded { .. }
        | RecipientChange::Confirmed(_)
        | RecipientChange::Removed(_)
        | RecipientChange::Muted { .. }
        | RecipientChange::Failed { .. }
        | RecipientChange::MailSent { .. } => None,
    }
}
