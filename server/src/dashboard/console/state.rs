//! What is not as it should be: data that differs from the journal, a clock that deviates, work
//! that is overdue, messages that are not accepted, payments that fit nothing.
//!
//! Every row says what is expected. The figures are those of the metrics, of this server.

use std::sync::Arc;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::{Engine, EngineStats, Subscriber};

use super::frame::{ConsoleFrame, ConsoleTab, ConsoleVisit};
use crate::access::Rule;
use crate::app::App;
use crate::dashboard::page::page;
use crate::dashboard::words::ConsoleWords;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::Route;
use crate::notify::schedule::{MAILS, WEBHOOKS};

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/console/state", Rule::Operator, "What is not as it should be", |call| {
        Box::pin(show(call))
    })
    .page()];

/// Work that is due for longer than this is overdue, in seconds: an hour.
const OVERDUE_SECONDS: i64 = 3_600;

/// How many overdue rows are counted; more are shown as "100 or more".
const COUNTED_MAX: usize = 100;

#[derive(Template)]
#[template(path = "dashboard/console/state.html")]
struct State<'a> {
    frame: ConsoleFrame<'a>,
    words: &'static ConsoleWords,
    rows: Vec<Row>,
    is_good: bool,
    /// A command that compares everything with the journal.
    audit: &'static str,
}

struct Row {
    name: &'static str,
    found: String,
    is_good: bool,
    /// What to do if it is not good.
    advice: &'static str,
}

/// `GET /console/state`.
async fn show(call: Call) -> Result<Response, Problem> {
    let visit = ConsoleVisit::begin(&call)?;
    let words = visit.console();
    let engine = call.app.engine();
    let stats = engine.stats();
    let EngineStats { writable, accounts_refused, accounts_rebuilt, clock_deviation_millis, .. } = stats;
    let overdue = call.now.plus_seconds(-OVERDUE_SECONDS);
    let charges = engine.due(overdue, COUNTED_MAX).await?.len();
    let payments = engine.due_payments(overdue, None, COUNTED_MAX).await?.len();
    let unmatched = engine.platform().unmatched.len();
    let down = receivers_down(&call.app, engine).await?;
    let count = |number: usize| visit.format.number(i64::try_from(number).unwrap_or(i64::MAX));
    let counted = |number| if number < COUNTED_MAX { count(number) } else { (words.or_more)(&count(number)) };
    let wide = |number: u64| visit.format.number(i64::try_from(number).unwrap_or(i64::MAX));
    let row = |name, found, is_good, advice| Row { name, found, is_good, advice };
    let writes = if writable { words.yes } else { words.no }.to_owned();
    let refused = wide(accounts_refused);
    let rows = vec![
        row(words.takes_writes, writes, writable, words.takes_writes_advice),
        row(words.accounts_refused, refused, accounts_refused == 0, words.accounts_refused_advice),
        row(words.accounts_rebuilt, wide(accounts_rebuilt), true, ""),
        row(
            words.clock,
            (words.millis)(&visit.format.number(clock_deviation_millis)),
            !stats.clock_is_wrong(),
            words.clock_advice,
        ),
        row(words.overdue_charges, counted(charges), charges == 0, words.overdue_advice),
        row(words.overdue_payments, counted(payments), payments == 0, words.overdue_advice),
        row(words.receivers_down, count(down), down == 0, words.receivers_advice),
        row(words.unmatched, count(unmatched), unmatched == 0, words.unmatched_advice),
    ];
    let shown = State {
        frame: visit.frame(ConsoleTab::State),
        words,
        is_good: rows.iter().all(|row| row.is_good),
        rows,
        audit: "tollkeeper audit",
    };
    Ok(page(StatusCode::OK, &shown))
}

/// How many receivers of messages are down.
async fn receivers_down(app: &App, engine: &dyn Engine) -> Result<usize, Problem> {
    let mut down = 0;
    if app.mailer.is_some() {
        let state = engine.deliveries().state(Subscriber::Mail).await?;
        down += usize::from(MAILS.is_down(&state));
    }
    for endpoint in &engine.platform().webhook_endpoints {
        let state = engine.deliveries().state(Subscriber::Endpoint(Arc::clone(endpoint))).await?;
        down += usize::from(endpoint.fault.is_some() || WEBHOOKS.is_down(&state));
    }
    Ok(down)
}
