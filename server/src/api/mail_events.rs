//! What a mail relay reports of e-mails that it had taken: that they bounced, or that their reader
//! complained. The platform passes it on; relays have no common form for it.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Command, Hash, MailFault, RecipientCommand, RecipientSubject, TeamCommand, WorkspaceId,
};
use utoipa::ToSchema;

use crate::access::Rule::Platform;
use crate::actions::recipients::{KnownAddresses, addresses};
use crate::http::call::{Call, json};
use crate::http::problem::Problem;
use crate::http::route::{Route, of};
use crate::wire::read::{Bounded, Email, Object, Word, given, one_of, word};

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::POST,
    "/v1/mail-events",
    Platform,
    "Report bounces and complaints",
    |call| Box::pin(report(call)),
)
.description(
    "Takes what a mail relay says of e-mails of this server after it had accepted them. A permanent bounce or a \
     complaint marks the recipient, who then gets no more e-mails; the other recipients are informed. A temporary bounce \
     changes nothing. The same event again changes nothing.",
)
.request(
    of::<MailEventsIn>,
    r#"{"events": [{"type": "bounce", "workspace": "acme", "email": "ada@example.com", "permanent": true}]}"#,
)
.response(200, of::<MailEventsJson>, r#"{"matched": 1, "unmatched": 0}"#)];

/// The most events of one request.
const EVENTS_MAX: usize = 200;

/// What a relay reports.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailEvents)]
pub struct MailEventsIn {
    /// The events.
    #[schema(value_type = Vec<MailEventIn>, max_items = 200)]
    events: Bounded<Object<MailEventIn>, EVENTS_MAX>,
}

/// What became of an e-mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailEvent)]
pub struct MailEventIn {
    /// `bounce` or `complaint`.
    #[serde(rename = "type", deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(bounce|complaint)$", example = "bounce")]
    fault: EventType,
    /// The id of the workspace that the e-mail was about.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, example = "acme")]
    workspace: WorkspaceId,
    /// The address that the e-mail was sent to.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, format = "email", max_length = 254, example = "ada@example.com")]
    email: Email,
    /// False for a bounce after which the address may work again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false, default = true)]
    permanent: Option<bool>,
}

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventType {
    Bounce,
    Complaint,
}

impl Word for EventType {
    const EXPECTED: &'static str = "\"bounce\" or \"complaint\"";
    fn read(text: &str) -> Result<Self, String> {
        let name = |event| if event == EventType::Bounce { "bounce" } else { "complaint" };
        one_of(&[EventType::Bounce, EventType::Complaint], name, text)
    }
}

/// What was found of the events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailEventsResult)]
pub struct MailEventsJson {
    /// The events whose address a recipient or member of the workspace has.
    matched: usize,
    /// The other events. Nothing follows from them.
    unmatched: usize,
}

/// `POST /v1/mail-events`.
async fn report(mut call: Call) -> Result<Response, Problem> {
    let MailEventsIn { events: Bounded(events) } = call.json().await?;
    let (mut matched, mut unmatched) = (0, 0);
    for Object(event) in events {
        match note(&call, event).await? {
            true => matched += 1,
            false => unmatched += 1,
        }
    }
    Ok(json(StatusCode::OK, 64, &MailEventsJson { matched, unmatched }))
}

/// Marks the recipients that an event is about; false if there are none.
async fn note(call: &Call, event: MailEventIn) -> Result<bool, Problem> {
    let MailEventIn { fault, workspace, email: Email(email), permanent } = event;
    let Some(team) = call.app.engine().team(&workspace).await? else { return Ok(false) };
    let texts = addresses(call, &workspace, &team).await?;
    let known = KnownAddresses::of(&team, &texts);
    let fault = match fault {
        EventType::Bounce if permanent == Some(false) => None,
        EventType::Bounce => Some(MailFault::Bounced),
        EventType::Complaint => Some(MailFault::Complained),
    };
    let found = known.all(&email);
    let commands = fault.into_iter().flat_map(|fault| {
        let note = move |(subject, address): &(RecipientSubject, Hash)| RecipientCommand::NoteFault {
            subject: subject.clone(),
            address: *address,
            fault,
        };
        found.iter().map(note)
    });
    for command in commands {
        let command = Command::Team(TeamCommand::Recipient(command));
        let submission = call.submission(workspace.clone(), None, command)?;
        // A recipient who has been removed meanwhile gets no mail either.
        let _ = call.app.engine().run(submission, call.now).await?;
    }
    Ok(!found.is_empty())
}
