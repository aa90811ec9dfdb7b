//! Mails: one to see whether they arrive, and what could not be sent.
//!
//! What was sent of a workspace is in its journal, as entries `mail.sent`. Who gets mails is in
//! `alerts`.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tollkeeper_engine::Subscriber;
use tollkeeper_ledger::Scope::Manage;
use utoipa::ToSchema;

use super::webhook_endpoints::{DELIVERIES_EXAMPLE, DeliveriesJson};
use crate::access::Rule::{Platform, Workspace};
use crate::actions::test_mail;
use crate::http::call::{Call, json};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::notify::mailer::trial::TrialOutcome;
use crate::notify::schedule::MAILS;

/// About the size of one recipient in JSON.
const RECIPIENT_BYTES: usize = 200;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/alerts/test",
        Workspace(&[Manage]),
        "Send a test mail",
        |call| Box::pin(test(call)),
    )
    .description(
        "Sends a mail at once to everybody who gets the warnings of the workspace now, and says what the mail relay \
         answered. Once a minute for a workspace.",
    )
    .response(200, of::<TrialJson>, EXAMPLE)
    .problems(&[Code::MailNotSetUp]),
    Route::new(Method::GET, "/v1/mail-deliveries", Platform, "List mails that failed", |call| {
        Box::pin(list(call))
    })
    .description(
        "Lists the mails that the relay did not take, of all workspaces, and the newest attempts. A mail is sent again \
         for about a day. Mails that were sent are entries `mail.sent` of the journals of workspaces.",
    )
    .response(200, of::<DeliveriesJson>, DELIVERIES_EXAMPLE),
];

const EXAMPLE: &str = r#"{"recipients": 2, "accepted": 1, "data": [
    {"email": "ada@example.com", "accepted": true, "outcome": "accepted"},
    {"email": "bob@example.com", "accepted": false, "outcome": "the recipient was refused: 550 5.1.1 No such user"}]}"#;

/// What became of a test mail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailTest)]
pub struct TrialJson {
    /// How many recipients there are.
    recipients: usize,
    /// For how many of them the relay took the mail.
    accepted: usize,
    /// Each recipient.
    data: Vec<TrialRecipientJson>,
}

/// What became of a test mail to one recipient.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailTestRecipient)]
pub struct TrialRecipientJson {
    /// The address.
    #[schema(example = "ada@example.com")]
    email: String,
    /// Whether the relay took the mail.
    accepted: bool,
    /// What the relay answered, for people.
    outcome: String,
}

impl From<TrialOutcome> for TrialRecipientJson {
    fn from(outcome: TrialOutcome) -> TrialRecipientJson {
        let TrialOutcome { address, is_accepted, outcome } = outcome;
        TrialRecipientJson { email: address, accepted: is_accepted, outcome }
    }
}

/// `POST /v1/workspaces/{workspace}/alerts/test`.
async fn test(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let outcomes = test_mail::send(&call, &workspace).await?;
    let data: Vec<TrialRecipientJson> = outcomes.into_iter().map(TrialRecipientJson::from).collect();
    let accepted = data.iter().filter(|recipient| recipient.accepted).count();
    let capacity = RECIPIENT_BYTES * (data.len() + 1);
    Ok(json(StatusCode::OK, capacity, &TrialJson { recipients: data.len(), accepted, data }))
}

/// `GET /v1/mail-deliveries`.
async fn list(call: Call) -> Result<Response, Problem> {
    let state = call.app.engine().deliveries().state(Subscriber::Mail).await?;
    Ok(DeliveriesJson::response(&state, &MAILS))
}
