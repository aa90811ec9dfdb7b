//! Payments that the payment provider reported and that fit nothing. A person looks after them.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::NotedPayment;

use super::frame::{ConsoleFrame, ConsoleTab, ConsoleVisit};
use super::workspaces::path_of;
use crate::access::Rule;
use crate::dashboard::links::{PageLinks, page_of};
use crate::dashboard::page::page;
use crate::dashboard::words::ConsoleWords;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::Route;

/// The path of the page.
const PATH: &str = "/console/payments";

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, PATH, Rule::Operator, "Payments that fit nothing", |call| {
        Box::pin(show(call))
    })
    .page()
    .parameters(&["page"])];

#[derive(Template)]
#[template(path = "dashboard/console/payments.html")]
struct Unmatched<'a> {
    frame: ConsoleFrame<'a>,
    words: &'static ConsoleWords,
    rows: Vec<Row>,
    links: PageLinks,
}

struct Row {
    when: String,
    payment: String,
    why: String,
    /// The workspace that may have paid: its id and the path of its page.
    workspace: Option<(String, String)>,
    amount: String,
}

/// `GET /console/payments`.
async fn show(call: Call) -> Result<Response, Problem> {
    let visit = ConsoleVisit::begin(&call)?;
    let platform = call.app.engine().platform();
    let newest: Vec<&NotedPayment> = platform.unmatched.iter().rev().collect();
    let (rows, links) = page_of(newest, &call, PATH);
    let shown = Unmatched {
        frame: visit.frame(ConsoleTab::Payments),
        words: visit.console(),
        rows: rows.into_iter().map(|noted| row(&visit, noted)).collect(),
        links,
    };
    Ok(page(StatusCode::OK, &shown))
}

fn row(visit: &ConsoleVisit<'_>, NotedPayment { at, payment }: &NotedPayment) -> Row {
    // The currency may have no hundredths, so the sum is shown as the provider gives it.
    let currency = payment.currency.to_uppercase();
    let amount = match &*payment.currency {
        "usd" => visit.format.cents(payment.cents),
        _ => format!("{} {currency}", visit.format.number(payment.cents)),
    };
    Row {
        when: visit.format.time(*at),
        payment: payment.payment.to_string(),
        why: payment.why.to_string(),
        workspace: payment.workspace.as_ref().map(|id| (id.to_string(), path_of(id))),
        amount,
    }
}
