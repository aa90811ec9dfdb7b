//! The first page of the dashboard: the balance, how long it lasts, and what used it.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::Role;

use super::frame::{Frame, Tab, Visit};
use super::page::{ROOT, page};
use super::words::OverviewWords;
use crate::access::Rule;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::Route;

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, ROOT, Rule::SignedIn(Role::Member), "The first page", |call| {
        Box::pin(overview(call))
    })
    .page()];

#[derive(Template)]
#[template(path = "dashboard/overview.html")]
struct Overview<'a> {
    frame: Frame<'a>,
    words: &'static OverviewWords,
    /// The available credit in dollars.
    usd: String,
    /// The same in micro-units.
    credits: String,
}

/// `GET /portal`.
async fn overview(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let available = visit.balance.available;
    let overview = Overview {
        frame: visit.frame(Tab::Overview),
        words: &visit.words().overview,
        usd: visit.format.usd(available),
        credits: visit.format.number(available.get()),
    };
    Ok(page(StatusCode::OK, &overview))
}
