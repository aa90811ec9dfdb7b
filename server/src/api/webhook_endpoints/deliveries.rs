//! What is kept of the messages to a webhook endpoint: what failed, and the newest attempts.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tollkeeper_engine::{
    DeliveryAttempt, DeliveryException, DeliveryNotes, JournalPlace, Subscriber, SubscriberState,
};
use tollkeeper_ledger::WebhookEndpoint;
use utoipa::ToSchema;

use super::known;
use crate::access::Rule::Platform;
use crate::http::call::{Call, json};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::{Route, of};
use crate::notify::envelope::{Message, nowhere};
use crate::notify::schedule::{Schedule, WEBHOOKS};
use crate::wire::write::Time;

/// About the size of one row in JSON.
const ROW_BYTES: usize = 320;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/v1/webhook-endpoints/{endpoint}/ping",
        Platform,
        "Ping a webhook endpoint",
        |call| Box::pin(ping(call)),
    )
    .description("Sends a message of the type `ping` at once, also to a disabled endpoint, and says what became of it.")
    .response(200, of::<AttemptJson>, ATTEMPT_EXAMPLE),
    Route::new(
        Method::GET,
        "/v1/webhook-endpoints/{endpoint}/deliveries",
        Platform,
        "List deliveries",
        |call| Box::pin(list(call)),
    )
    .description(
        "Lists the messages that were not accepted, and the newest attempts. Nothing is kept of a message that was \
         accepted, besides its place among the 100 newest attempts: the journal is the list of what happened.",
    )
    .response(200, of::<DeliveriesJson>, EXAMPLE),
    Route::new(
        Method::POST,
        "/v1/webhook-endpoints/{endpoint}/deliveries/{delivery}/resend",
        Platform,
        "Send a message again",
        |call| Box::pin(resend(call)),
    )
    .description("Sends a message that is listed among the deliveries again, under the same id, in a moment, also \
                  to an endpoint that is down.")
    .response(200, of::<ExceptionJson>, EXCEPTION_EXAMPLE)
    .problems(&[Code::DeliveryNotFound]),
];

const ATTEMPT_EXAMPLE: &str = r#"{"message": "msg_3b0c44298fc1c149afbf4c8996fb9242", "type": "ping", "workspace": null,
    "entry": null, "at": "2026-11-23T15:04:05.678Z", "took_ms": 41, "accepted": true, "http_status": 204,
    "outcome": "accepted"}"#;

const EXCEPTION_EXAMPLE: &str = r#"{"message": "msg_3b0c44298fc1c149afbf4c8996fb9242", "workspace": "acme", "entry": 12,
    "status": "waiting", "attempts": 2, "first_at": "2026-11-23T15:04:05.678Z",
    "next_at": "2026-11-23T15:09:10.678Z", "outcome": "the receiver answered 500"}"#;

/// An example of what is kept of a subscriber.
pub const EXAMPLE: &str = r#"{"down": false, "failing_since": "2026-11-23T15:04:05.678Z", "exceptions": [
    {"message": "msg_3b0c44298fc1c149afbf4c8996fb9242", "workspace": "acme", "entry": 12, "status": "waiting",
     "attempts": 2, "first_at": "2026-11-23T15:04:05.678Z", "next_at": "2026-11-23T15:09:10.678Z",
     "outcome": "the receiver answered 500"}], "attempts": [
    {"message": "msg_3b0c44298fc1c149afbf4c8996fb9242", "type": "charge.settled", "workspace": "acme", "entry": 12,
     "at": "2026-11-23T15:04:05.678Z", "took_ms": 41, "accepted": false, "http_status": 500,
     "outcome": "the receiver answered 500"}]}"#;

/// What is kept of the messages to a subscriber: a webhook endpoint, or the sender of mails.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deliveries)]
pub struct DeliveriesJson<'a> {
    /// True if so much has failed that nothing new is sent. One message is sent by the schedule;
    /// once it is accepted, the others follow.
    down: bool,
    /// Since when nothing was accepted; null if the last message was.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    failing_since: Option<Time>,
    /// The messages that were not accepted, oldest first.
    exceptions: Vec<ExceptionJson<'a>>,
    /// The newest attempts, newest first.
    attempts: Vec<AttemptJson<'a>>,
}

/// A message that was not accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryException)]
pub struct ExceptionJson<'a> {
    /// The id of the message.
    message: &'a str,
    /// The workspace that it is about; null for the platform.
    #[schema(required)]
    workspace: Option<&'a str>,
    /// The number of the entry that it is about; null for a ping.
    #[schema(required)]
    entry: Option<u64>,
    /// `waiting` if it is sent again, `given_up` if it is not.
    status: &'static str,
    /// How often it was sent.
    attempts: u32,
    /// When it was sent first.
    #[schema(value_type = String, format = DateTime)]
    first_at: Time,
    /// When it is sent again; null if it was given up.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    next_at: Option<Time>,
    /// What became of the last attempt, for people.
    outcome: &'a str,
}

/// One attempt to send a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct AttemptJson<'a> {
    /// The id of the message.
    message: &'a str,
    /// The type of the message.
    r#type: &'a str,
    /// The workspace that it is about; null for the platform.
    #[schema(required)]
    workspace: Option<&'a str>,
    /// The number of the entry that it is about; null for a ping.
    #[schema(required)]
    entry: Option<u64>,
    /// When it was sent.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// How long it took, in milliseconds.
    took_ms: u32,
    /// Whether the message was accepted.
    accepted: bool,
    /// The status of the answer; null if there was none.
    #[schema(required)]
    http_status: Option<u16>,
    /// What became of it, for people.
    outcome: &'a str,
}

impl DeliveriesJson<'_> {
    /// What is kept of a subscriber, as a response.
    pub fn response(state: &SubscriberState, schedule: &Schedule) -> Response {
        let rows = state.exceptions.len() + state.attempts.len();
        let shown = DeliveriesJson {
            down: schedule.is_down(state),
            failing_since: state.failing_since.map(Time),
            exceptions: state.exceptions.iter().map(ExceptionJson::of).collect(),
            attempts: state.attempts.iter().rev().map(AttemptJson::of).collect(),
        };
        json(StatusCode::OK, ROW_BYTES * (rows + 1), &shown)
    }
}

fn workspace(place: &JournalPlace) -> Option<&str> {
    Some(&place.workspace).filter(|workspace| !workspace.is_platform()).map(|workspace| workspace.as_str())
}

fn entry(place: &JournalPlace) -> Option<u64> {
    Some(place.n).filter(|n| *n > 0)
}

impl<'a> ExceptionJson<'a> {
    fn of(exception: &'a DeliveryException) -> ExceptionJson<'a> {
        let DeliveryException { message, place, attempts, first_at, next_at, outcome } = exception;
        ExceptionJson {
            message,
            workspace: workspace(place),
            entry: entry(place),
            status: if next_at.is_some() { "waiting" } else { "given_up" },
            attempts: *attempts,
            first_at: Time(*first_at),
            next_at: next_at.map(Time),
            outcome,
        }
    }
}

impl<'a> AttemptJson<'a> {
    fn of(attempt: &'a DeliveryAttempt) -> AttemptJson<'a> {
        let DeliveryAttempt { message, kind, place, at, millis, status, accepted, outcome } = attempt;
        AttemptJson {
            message,
            r#type: kind,
            workspace: workspace(place),
            entry: entry(place),
            at: Time(*at),
            took_ms: *millis,
            accepted: *accepted,
            http_status: *status,
            outcome,
        }
    }
}

async fn state(call: &Call, endpoint: &Arc<WebhookEndpoint>) -> Result<SubscriberState, Problem> {
    let subscriber = Subscriber::Endpoint(Arc::clone(endpoint));
    Ok(call.app.engine().deliveries().state(subscriber).await?)
}

/// Notes something without ending or taking the turn of a server.
async fn note(
    call: &Call,
    endpoint: &Arc<WebhookEndpoint>,
    notes: DeliveryNotes,
) -> Result<SubscriberState, Problem> {
    let subscriber = Subscriber::Endpoint(Arc::clone(endpoint));
    let noted = call.app.engine().deliveries().note(subscriber, notes, call.now).await?;
    call.app.webhooks.wake.notify_one();
    Ok(noted)
}

/// Sends everything that waits again, for an endpoint that is enabled again.
pub(super) async fn retry_all(call: &Call, endpoint: &Arc<WebhookEndpoint>) -> Result<(), Problem> {
    let notes = DeliveryNotes { retry_all_at: Some(call.now), ..DeliveryNotes::default() };
    note(call, endpoint, notes).await.map(drop)
}

/// `POST /v1/webhook-endpoints/{endpoint}/ping`.
async fn ping(call: Call) -> Result<Response, Problem> {
    let endpoint = known(&call)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| refusal::internal(&error))?;
    let message = Message::ping(endpoint.id, &random, call.now);
    let sent = call.app.webhooks.send(&endpoint, &message.id, message.body.clone(), call.now).await;
    let sent = sent.map_err(|error| refusal::internal(&error))?;
    let attempt = message.attempt(nowhere(), call.now, &sent);
    Ok(json(StatusCode::OK, ROW_BYTES, &AttemptJson::of(&attempt)))
}

/// `GET /v1/webhook-endpoints/{endpoint}/deliveries`.
async fn list(call: Call) -> Result<Response, Problem> {
    let state = state(&call, &known(&call)?).await?;
    Ok(DeliveriesJson::response(&state, &WEBHOOKS))
}

/// `POST /v1/webhook-endpoints/{endpoint}/deliveries/{delivery}/resend`.
async fn resend(call: Call) -> Result<Response, Problem> {
    let endpoint = known(&call)?;
    let state = state(&call, &endpoint).await?;
    let wanted = call.param("delivery");
    let known = state.exceptions.iter().find(|exception| &*exception.message == wanted).cloned();
    let sent_before = || {
        let mut attempts = state.attempts.iter().filter(|attempt| &*attempt.message == wanted);
        attempts.next_back().map(|attempt| DeliveryException {
            message: attempt.message.clone(),
            place: attempt.place.clone(),
            attempts: 0,
            first_at: attempt.at,
            next_at: None,
            outcome: attempt.outcome.clone(),
        })
    };
    let exception = known.or_else(sent_before).filter(|exception| exception.place.n > 0);
    let exception = exception.ok_or_else(|| {
        Problem::new(Code::DeliveryNotFound, "The message is not among those that are kept of this endpoint.")
    })?;
    let exception = exception.asked_for();
    let notes = DeliveryNotes { exceptions: vec![exception.clone()], ..DeliveryNotes::default() };
    note(&call, &endpoint, notes).await?;
    let shown = ExceptionJson { next_at: Some(Time(call.now)), ..ExceptionJson::of(&exception) };
    Ok(json(StatusCode::OK, ROW_BYTES, &shown))
}
