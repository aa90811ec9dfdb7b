//! Webhook messages and mails that were not accepted: those that are sent again, and those that
//! were given up.

use std::sync::Arc;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::{DeliveryException, Subscriber, SubscriberState};

use super::frame::{ConsoleFrame, ConsoleTab, ConsoleVisit};
use super::workspaces::path_of;
use crate::access::Rule;
use crate::dashboard::page::page;
use crate::dashboard::words::ConsoleWords;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::Route;
use crate::notify::schedule::{MAILS, Schedule, WEBHOOKS};

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/console/deliveries", Rule::Operator, "What was not accepted", |call| {
        Box::pin(show(call))
    })
    .page()];

/// The rows that are shown of a receiver.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "dashboard/console/deliveries.html")]
struct Deliveries<'a> {
    frame: ConsoleFrame<'a>,
    words: &'static ConsoleWords,
    receivers: Vec<Receiver>,
}

/// Who is sent messages, and what was not accepted.
struct Receiver {
    /// The id in the page.
    id: String,
    name: String,
    status: String,
    /// The class of the status.
    tone: &'static str,
    /// How many messages were not accepted.
    count: String,
    rows: Vec<Row>,
    /// A command that sends a message again; empty for mails, which are sent by the schedule.
    resend: String,
}

struct Row {
    since: String,
    message: String,
    /// The workspace that it is about: its id and the path of its page.
    workspace: Option<(String, String)>,
    attempts: String,
    outcome: String,
    /// When it is sent again, or that it was given up.
    next: String,
}

/// `GET /console/deliveries`.
async fn show(call: Call) -> Result<Response, Problem> {
    let visit = ConsoleVisit::begin(&call)?;
    let words = visit.console();
    let platform = call.app.engine().platform();
    let deliveries = call.app.engine().deliveries();
    let mut receivers = Vec::new();
    if call.app.mailer.is_some() {
        let state = deliveries.state(Subscriber::Mail).await?;
        receivers.push(receiver(&visit, "mail", words.mails.to_owned(), (&state, &MAILS), true));
    }
    for endpoint in &platform.webhook_endpoints {
        let state = deliveries.state(Subscriber::Endpoint(Arc::clone(endpoint))).await?;
        let id = endpoint.id.to_string();
        let mut shown =
            receiver(&visit, &id, endpoint.url.to_string(), (&state, &WEBHOOKS), endpoint.enabled);
        if !state.exceptions.is_empty() {
            shown.resend = format!("tollkeeper webhooks resend {id} MESSAGE");
        }
        receivers.push(shown);
    }
    let shown = Deliveries { frame: visit.frame(ConsoleTab::Deliveries), words, receivers };
    Ok(page(StatusCode::OK, &shown))
}

fn receiver(
    visit: &ConsoleVisit<'_>,
    id: &str,
    name: String,
    (state, schedule): (&SubscriberState, &Schedule),
    is_enabled: bool,
) -> Receiver {
    let words = visit.console();
    let (status, tone) = match state.failing_since {
        _ if !is_enabled => (words.disabled.to_owned(), "bad"),
        Some(since) if schedule.is_down(state) => ((words.down_since)(&visit.format.time(since)), "bad"),
        Some(since) => ((words.failing_since)(&visit.format.time(since)), "warn"),
        None => (words.accepting.to_owned(), "good"),
    };
    let count = state.exceptions.len();
    Receiver {
        id: id.to_owned(),
        name,
        status,
        tone,
        count: visit.format.number(i64::try_from(count).unwrap_or(i64::MAX)),
        rows: state.exceptions.iter().take(ROWS).map(|exception| row(visit, exception)).collect(),
        resend: String::new(),
    }
}

fn row(visit: &ConsoleVisit<'_>, exception: &DeliveryException) -> Row {
    let words = visit.console();
    let place = Some(&exception.place.workspace).filter(|workspace| !workspace.is_platform());
    Row {
        since: visit.format.time(exception.first_at),
        message: exception.message.to_string(),
        workspace: place.map(|id| (id.to_string(), path_of(id))),
        attempts: visit.format.number(i64::from(exception.attempts)),
        outcome: exception.outcome.to_string(),
        next: exception.next_at.map_or_else(|| words.given_up.to_owned(), |at| visit.format.time(at)),
    }
}
