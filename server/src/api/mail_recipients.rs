//! The recipients of a workspace's e-mails as JSON, a part of its alerts; and muting topics.
//!
//! What is done about them is in `actions::recipients`.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_ledger::{MailTopic, RecipientSubject, bounds};
use utoipa::ToSchema;

use super::alerts;
use crate::actions::recipients::{self, ShownRecipient};
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::read::{Bounded, Each, Email, Word, one_of};
use crate::wire::write::Time;

/// The addresses of a request.
pub(super) type Emails = Bounded<Each<Email>, { bounds::RECIPIENTS_MAX }>;

/// Somebody who gets e-mails, has muted some, or refuses them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EmailRecipient)]
pub struct RecipientJson {
    /// The id: `member:` and the id of a member, or that of a typed address.
    #[schema(example = "member:ada")]
    id: String,
    /// The address; null if it was erased.
    #[schema(required, example = "ada@example.com")]
    email: Option<Box<str>>,
    /// The id of the member; null for a typed address.
    #[schema(required, example = "ada")]
    member: Option<String>,
    /// Whether the recipient was chosen. If nobody is, the admins get the e-mails.
    chosen: bool,
    /// `confirmed`, or why no e-mail is sent: `unconfirmed`, `bounced` or `complained`. Of the last
    /// two, an admin can enter the address again: with the member, or once a typed one was removed.
    status: &'static str,
    /// When the owner of a typed address confirmed it; null before that, and for a member.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    confirmed_at: Option<Time>,
    /// The topics of which the recipient gets no e-mail.
    #[schema(example = json!(["balance.low"]))]
    muted: Vec<&'static str>,
}

/// The topics that a recipient mutes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MutedTopics)]
pub struct MutedIn {
    /// All topics that are muted from now on; an empty list mutes none.
    #[schema(value_type = Vec<String>, max_items = 16, example = json!(["balance.low"]))]
    muted: Bounded<Each<MailTopic>, 16>,
}

impl Word for MailTopic {
    const EXPECTED: &'static str = "a topic such as \"balance.low\"";
    fn read(text: &str) -> Result<Self, String> {
        one_of(&MailTopic::ALL, MailTopic::as_str, text)
    }
}

impl From<ShownRecipient> for RecipientJson {
    fn from(recipient: ShownRecipient) -> RecipientJson {
        let ShownRecipient { subject, email, is_chosen, state, confirmed_at, muted } = recipient;
        RecipientJson {
            id: subject.to_string(),
            email,
            member: match &subject {
                RecipientSubject::Member(member) => Some(member.to_string()),
                RecipientSubject::Address(_) => None,
            },
            chosen: is_chosen,
            status: state.as_str(),
            confirmed_at: confirmed_at.map(Time),
            muted: muted.iter().map(MailTopic::as_str).collect(),
        }
    }
}

/// `PUT /v1/workspaces/{workspace}/alerts/recipients/{recipient}`.
pub(super) async fn mute(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let subject: RecipientSubject = match call.param("recipient").parse() {
        Ok(subject) => subject,
        Err(()) => return Err(call.missing(&workspace, refusal::recipient_not_found()).await),
    };
    let MutedIn { muted: Bounded(muted) } = call.json().await?;
    let muted = muted.into_iter().map(|Each(topic)| topic).collect();
    recipients::mute(&call, &workspace, &subject, muted).await?;
    alerts::respond(&call, &workspace).await
}
