//! The page about one top-up: what to do while it waits for its payment, then the receipt.
//!
//! The payment provider is asked at once, as by the API, and the page looks again by itself. So a
//! payer who comes back from the provider sees the receipt without doing anything.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::{Payments, TopUp, TopUpStatus, TopUpWay};

use super::{ADMIN, history, path_of};
use crate::actions::top_ups::{self, Known};
use crate::dashboard::frame::{Frame, Tab, Visit};
use crate::dashboard::page::{page, see_other, signed_in};
use crate::dashboard::provider::{LOOKS, LOOKS_MAX, away, leave, look_again, looks, without_looks};
use crate::dashboard::words::TopUpWords;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;
use crate::wire::url::is_url;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/portal/credits/{top_up}", ADMIN, "A top-up", |call| Box::pin(show(call)))
        .page()
        .parameters(&[LOOKS]),
    Route::new(Method::GET, "/portal/credits/{top_up}/pay", ADMIN, "Go to the page to pay on", |call| {
        Box::pin(pay(call))
    })
    .page()
    .problems(&[Code::PaymentProviderUnavailable, Code::IdempotencyKeyReused]),
];

#[derive(Template)]
#[template(path = "dashboard/top_up.html")]
struct TopUpPage<'a> {
    frame: Frame<'a>,
    words: &'static TopUpWords,
    title: &'static str,
    lines: Vec<&'static str>,
    /// What the payer has to do; empty for nothing.
    instructions: &'a str,
    facts: Vec<(&'static str, String)>,
    /// The page of the provider to pay on.
    checkout_url: Option<String>,
    /// The receipt of the provider.
    receipt_url: Option<String>,
    /// What went back, a sentence each.
    money_back: Vec<String>,
    /// The path of the page that does not look again; `None` if it does not.
    stop: Option<String>,
    /// The path of the page that looks again; `None` if there is nothing to wait for.
    again: Option<String>,
    can_add_again: bool,
}

/// `GET /portal/credits/{top_up}`.
async fn show(call: Call) -> Result<Response, Problem> {
    let workspace = &signed_in(&call)?.workspace;
    let id = call.top_up(workspace).await?;
    // First the provider, which may say that it was paid; then the balance.
    let known = top_ups::look(&call, workspace, id).await?;
    let payments = top_ups::payments(&call, workspace).await?;
    let visit = Visit::begin(&call).await?;
    let waits_at_provider =
        known.top_up.status == TopUpStatus::Pending && known.top_up.way != TopUpWay::Manual;
    let (looks, path) = (looks(&call), path_of(id));
    let is_looking = waits_at_provider && looks < LOOKS_MAX;
    let shown = TopUpPage {
        stop: is_looking.then(|| without_looks(&path)),
        again: (waits_at_provider && !is_looking).then(|| path.clone()),
        ..of(&call, &visit, &payments, known)
    };
    let mut response = page(StatusCode::OK, &shown);
    if is_looking {
        look_again(&mut response, &path, looks);
    }
    Ok(response)
}

/// What the page shows of a top-up.
fn of<'a>(call: &'a Call, visit: &'a Visit<'_>, payments: &Payments, known: Known) -> TopUpPage<'a> {
    let Known { top_up, checkout_url, receipt_url } = known;
    let words = &visit.words().top_up;
    let is_safe = |url: &String| is_url(url, &["https", "http"]);
    let checkout_url = checkout_url.filter(is_safe);
    let by_hand = top_up.way == TopUpWay::Manual;
    let (title, mut lines) = match top_up.status {
        TopUpStatus::Pending if by_hand => (words.waiting, vec![words.waiting_text]),
        TopUpStatus::Pending if checkout_url.is_some() => (words.confirming, vec![words.unfinished_text]),
        TopUpStatus::Pending => (words.confirming, vec![words.confirming_text]),
        TopUpStatus::Succeeded => (words.receipt, vec![words.receipt_text]),
        TopUpStatus::Failed => (words.failed, vec![words.failed_text]),
        TopUpStatus::Expired => (words.expired, vec![words.expired_text]),
    };
    lines.extend(top_up.failure.map(visit.words().credits.history.failure));
    let is_paid = top_up.status == TopUpStatus::Succeeded;
    if is_paid && !by_hand && receipt_url.is_none() {
        lines.push(words.no_provider_receipt);
    }
    let back = top_up.payment.as_deref().map(|payment| history::money_back(visit, payments, payment));
    TopUpPage {
        frame: visit.frame(Tab::Credits),
        words,
        title,
        lines,
        instructions: match top_up.status {
            TopUpStatus::Pending if by_hand => call.app.payments.instructions.as_str(),
            _ => "",
        },
        facts: facts(visit, &top_up),
        checkout_url,
        receipt_url: receipt_url.filter(is_safe),
        money_back: back.unwrap_or_default(),
        stop: None,
        again: None,
        can_add_again: matches!(top_up.status, TopUpStatus::Failed | TopUpStatus::Expired),
    }
}

fn facts(visit: &Visit<'_>, top_up: &TopUp) -> Vec<(&'static str, String)> {
    let (words, format) = (&visit.words().top_up, &visit.format);
    let mut facts = vec![(words.amount, format.cents(top_up.cents))];
    // Entries of earlier versions have no tax, so zero may be unknown and is not shown.
    let tax = top_up.at_provider.tax_cents;
    if tax > 0 {
        facts.push((words.tax, format.cents(tax)));
        facts.push((words.with_tax, format.cents(top_up.cents.saturating_add(tax))));
    }
    facts.extend([
        (words.credits, format.micro_units(top_up.credits())),
        (words.way, (visit.words().credits.history.way)(top_up.way).to_owned()),
        (words.opened, format.time(top_up.opened_at)),
    ]);
    if top_up.status == TopUpStatus::Succeeded {
        facts.extend(top_up.ended_at.map(|at| (words.paid, format.time(at))));
    }
    facts.push((words.reference, top_up.id.to_string()));
    facts
}

/// `GET /portal/credits/{top_up}/pay`.
async fn pay(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let workspace = visit.workspace();
    let id = call.top_up(workspace).await?;
    let path = path_of(id);
    let back = format!("{}{path}", call.origin());
    // The saved card pays for an automatic one, and a person confirms one by hand. Neither has a
    // page. An operator who looks does not pay.
    let way = top_ups::find(&call, workspace, id).await?.way;
    if way != TopUpWay::Checkout || visit.is_viewer() {
        return Ok(see_other(&path));
    }
    match top_ups::checkout_page(&call, workspace, id, &back).await {
        Ok(Some(url)) => leave(&visit, &url),
        Ok(None) => Ok(see_other(&path)),
        Err(problem) => away(&visit, problem, &format!("{path}/pay")),
    }
}
