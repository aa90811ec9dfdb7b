//! Alerts: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// The low-balance thresholds of a workspace.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Alerts {
    /// The hours after an alert in which its threshold does not fire again, rounded up.
    pub cooldown_hours: i64,
    /// The chosen recipients, or else the admins; and all who have muted a topic or whose address
    /// refuses e-mails. Null for a caller who does not manage the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emails: Option<Vec<EmailRecipient>>,
    /// Who gets e-mails: `chosen`, or `admins` while nobody is chosen.
    pub recipients: String,
    /// The thresholds: amounts first, then days of runway, each ascending.
    pub thresholds: Vec<Threshold>,
}

/// The thresholds of a workspace, the recipients of its e-mails, or both. They replace the current
/// ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AlertsRequest {
    /// The hours after an alert in which its threshold does not fire again; only together with
    /// `thresholds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown_hours: Option<i64>,
    /// The addresses that get e-mails; they stay if it is null or left out. An empty list: the
    /// admins get them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emails: Option<Vec<String>>,
    /// The thresholds; they stay if it is left out. Equal ones count once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Vec<ThresholdRequest>>,
}

/// What is kept of the messages to a subscriber: a webhook endpoint, or the sender of mails.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Deliveries {
    /// The newest attempts, newest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// True if so much has failed that nothing new is sent. One message is sent by the schedule;
    /// once it is accepted, the others follow.
    pub down: bool,
    /// The messages that were not accepted, oldest first.
    pub exceptions: Vec<DeliveryException>,
    /// Since when nothing was accepted; null if the last message was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<String>,
}

/// One attempt to send a message.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// Whether the message was accepted.
    pub accepted: bool,
    /// When it was sent.
    pub at: String,
    /// The number of the entry that it is about; null for a ping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<i64>,
    /// The status of the answer; null if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u32>,
    /// The id of the message.
    pub message: String,
    /// What became of it, for people.
    pub outcome: String,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// The type of the message.
    pub r#type: String,
    /// The workspace that it is about; null for the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// A message that was not accepted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct DeliveryException {
    /// How often it was sent.
    pub attempts: u32,
    /// The number of the entry that it is about; null for a ping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<i64>,
    /// When it was sent first.
    pub first_at: String,
    /// The id of the message.
    pub message: String,
    /// When it is sent again; null if it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
    /// What became of the last attempt, for people.
    pub outcome: String,
    /// `waiting` if it is sent again, `given_up` if it is not.
    pub status: String,
    /// The workspace that it is about; null for the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// Somebody who gets e-mails, has muted some, or refuses them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct EmailRecipient {
    /// Whether the recipient was chosen. If nobody is, the admins get the e-mails.
    pub chosen: bool,
    /// When the owner of a typed address confirmed it; null before that, and for a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<String>,
    /// The address; null if it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The id: `member:` and the id of a member, or that of a typed address.
    pub id: String,
    /// The id of the member; null for a typed address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The topics of which the recipient gets no e-mail.
    pub muted: Vec<String>,
    /// `confirmed`, or why no e-mail is sent: `unconfirmed`, `bounced` or `complained`. Of the last
    /// two, an admin can enter the address again: with the member, or once a typed one was removed.
    pub status: String,
}

/// What became of an e-mail.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MailEvent {
    /// The address that the e-mail was sent to.
    pub email: String,
    /// False for a bounce after which the address may work again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permanent: Option<bool>,
    /// `bounce` or `complaint`.
    pub r#type: String,
    /// The id of the workspace that the e-mail was about.
    pub workspace: String,
}

impl MailEvent {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(
        r#type: impl Into<String>,
        workspace: impl Into<String>,
        email: impl Into<String>,
    ) -> MailEvent {
        MailEvent {
            r#type: r#type.into(),
            workspace: workspace.into(),
            email: email.into(),
            ..MailEvent::default()
        }
    }
}

/// What a relay reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MailEvents {
    /// The events.
    pub events: Vec<MailEvent>,
}

impl MailEvents {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(events: Vec<MailEvent>) -> MailEvents {
        MailEvents { events }
    }
}

/// What was found of the events.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct MailEventsResult {
    /// The events whose address a recipient or member of the workspace has.
    pub matched: i64,
    /// The other events. Nothing follows from them.
    pub unmatched: i64,
}

/// What became of a test mail.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct MailTest {
    /// For how many of them the relay took the mail.
    pub accepted: i64,
    /// Each recipient.
    pub data: Vec<MailTestRecipient>,
    /// How many recipients there are.
    pub recipients: i64,
}

/// What became of a test mail to one recipient.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct MailTestRecipient {
    /// Whether the relay took the mail.
    pub accepted: bool,
    /// The address.
    pub email: String,
    /// What the relay answered, for people.
    pub outcome: String,
}

/// The topics that a recipient mutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MutedTopics {
    /// All topics that are muted from now on; an empty list mutes none.
    pub muted: Vec<String>,
}

impl MutedTopics {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(muted: Vec<String>) -> MutedTopics {
        MutedTopics { muted }
    }
}

/// A low-balance threshold and its last alert.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Threshold {
    /// The balance below which an alert fires, in micro-units. For days of runway it is what they
    /// needed at the last alert or recovery; null before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// `amount` in dollars, as an exact decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// When the last alert fired; null before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<String>,
    /// The days that the balance is to last; null for an amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runway_days: Option<u32>,
    /// `low` from an alert until the balance has recovered, else `armed`.
    pub state: String,
}

/// A low-balance threshold: an amount in one of two units, or days of runway.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ThresholdRequest {
    /// The balance below which an alert fires, in micro-units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The balance in dollars, as a decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// The days that the balance is to last by the forecast. An alert fires if it lasts for fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runway_days: Option<i64>,
}
