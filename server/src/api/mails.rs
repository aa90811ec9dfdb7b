//! Mails: one to see whether they arrive, and what could not be sent.
//!
//! What was sent of a workspace is in its journal, as entries `mail.sent`. Who gets mails is in
//! `alerts`.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tollkeeper_engine::{Reads, Subscriber};
use tollkeeper_ledger::Scope::Manage;
use tollkeeper_ledger::hex;
use utoipa::ToSchema;

use super::webhook_endpoints::{DELIVERIES_EXAMPLE, DeliveriesJson};
use crate::access::Rule::{Platform, Workspace};
use crate::http::call::{Call, existing, json};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
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
    existing(&workspace, call.app.engine().workspace(&workspace).await?)?;
    let mailer = call.app.mailer.clone();
    let mailer = mailer.ok_or_else(|| {
        Problem::new(Code::MailNotSetUp, "This server sends no mails: the setting `smtp_url` is not set.")
    })?;
    if let Some(seconds) = mailer.trial_pause(&workspace, call.now) {
        let detail = format!("A test mail was sent a moment ago. Wait {seconds} s.");
        return Err(Problem::new(Code::RateLimited, detail).with("retry_after_seconds", seconds));
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| refusal::internal(&error))?;
    let outcomes = mailer.try_out(&call.app, &workspace, &hex(&random)).await?;
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
