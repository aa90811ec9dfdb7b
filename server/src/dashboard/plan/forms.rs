//! The forms of the page about the plan: choosing one, cancelling, and the way to the page to pay
//! on.
//!
//! Each asks once more before it acts, with a button that names act and amount. A choice acts only
//! for the amount that was shown, or less.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::{Payments, Plan, PlanId, Preview, Subscription};

use super::{ADMIN, PATH, return_url, running, show};
use crate::actions::{subscriptions, top_ups};
use crate::dashboard::confirm::Confirm;
use crate::dashboard::frame::{Tab, Visit};
use crate::dashboard::page::see_other;
use crate::dashboard::provider::{away, leave};
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/portal/plan/change", ADMIN, "Choose a plan", |call| Box::pin(change(call)))
        .page()
        .redirects()
        .problems(&[Code::InvalidField, Code::PaymentProviderUnavailable]),
    Route::new(Method::POST, "/portal/plan/cancel", ADMIN, "Cancel the plan", |call| Box::pin(cancel(call)))
        .page()
        .redirects()
        .problems(&[Code::PaymentProviderUnavailable]),
    Route::new(Method::GET, "/portal/plan/pay", ADMIN, "Go to the page to pay on", |call| {
        Box::pin(pay(call))
    })
    .page(),
];

/// `POST /portal/plan/change`. Without `confirmed` it asks once more.
async fn change(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let workspace = visit.workspace();
    let words = &visit.words().plan;
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let Some(plan) = call.form().get("plan").and_then(|id| PlanId::new(id).ok()) else {
        return show(&call, unprocessable, words.retired).await;
    };
    let preview = match subscriptions::preview(&call, workspace, &plan).await {
        Ok(preview) => preview,
        Err(problem) => return refused(&call, &visit, problem).await,
    };
    let payments = top_ups::payments(&call, workspace).await?;
    let seen: Option<i64> = call.form().get("due").and_then(|due| due.parse().ok());
    let is_confirmed = call.form().get("confirmed") == Some("yes");
    if !is_confirmed || seen.is_none_or(|seen| preview.due_cents > seen) {
        let error = if is_confirmed { words.price_changed } else { "" };
        return ask(&call, &visit, &payments, (&plan, preview), error).await;
    }
    match subscriptions::start_or_change(&call, workspace, plan, &return_url(&call)).await {
        Ok(Some(_)) => Ok(see_other("/portal/plan/pay")),
        Ok(None) => Ok(see_other("/portal/plan?notice=changed")),
        Err(problem) if problem.code == Code::PaymentProviderUnavailable => away(&visit, problem, PATH),
        Err(problem) => refused(&call, &visit, problem).await,
    }
}

/// The page with the reason why the plan was not changed.
async fn refused(call: &Call, visit: &Visit<'_>, problem: Problem) -> Result<Response, Problem> {
    let words = &visit.words().plan;
    let error = match problem.code {
        Code::PlanNotFound => words.retired,
        Code::PlanIntervalDiffers => words.other_interval,
        Code::SubscriptionExists => words.in_a_moment,
        Code::InvalidField => words.not_changed,
        _ => return Err(problem),
    };
    show(call, StatusCode::UNPROCESSABLE_ENTITY, error).await
}

/// The page that asks whether the plan is to be changed.
async fn ask(
    call: &Call,
    visit: &Visit<'_>,
    payments: &Payments,
    (id, preview): (&PlanId, Preview),
    error: &str,
) -> Result<Response, Problem> {
    let (words, format) = (&visit.words().plan, &visit.format);
    let platform = call.app.engine().platform();
    let current = running(payments);
    let kept = current.filter(|current| current.plan.id == *id && current.anchor.is_some());
    // The plan that runs may be retired.
    let Some(plan) = kept.map(|kept| &kept.plan).or_else(|| platform.plans.newest().find(id)) else {
        return show(call, StatusCode::UNPROCESSABLE_ENTITY, words.retired).await;
    };
    let is_paid = preview.due_cents > 0;
    let due = format.cents(preview.due_cents);
    let from = match (preview.from > visit.now(), is_paid) {
        (true, _) => format.date(format.date_at(preview.from)),
        (false, true) => words.at_once_once_paid.to_owned(),
        (false, false) => words.at_once.to_owned(),
    };
    let confirm = Confirm {
        frame: visit.frame(Tab::Plan),
        title: if kept.is_some() {
            (words.confirm_keep)(&plan.name)
        } else {
            (words.confirm_change)(&plan.name)
        },
        error,
        lines: way(call, visit, current, kept.is_some(), is_paid).into_iter().map(str::to_owned).collect(),
        facts: vec![
            (words.due_now, due.clone()),
            (words.credits_now, format.micro_units(preview.credits_now)),
            (words.credits_monthly, format.micro_units(preview.credits_per_month)),
            (words.from, from),
        ],
        action: "/portal/plan/change",
        fields: vec![("plan", id.to_string()), ("due", preview.due_cents.to_string())],
        button: button(visit, plan, kept.is_some(), is_paid.then_some(due)),
        is_danger: false,
        back: PATH,
        back_text: words.back,
    };
    Ok(confirm.respond(StatusCode::OK))
}

fn button(visit: &Visit<'_>, plan: &Plan, is_kept: bool, due: Option<String>) -> String {
    let words = &visit.words().plan;
    match due {
        Some(due) => (words.change_button)(&plan.name, &due),
        None if is_kept => (words.keep)(&plan.name),
        None => (words.change_free_button)(&plan.name),
    }
}

/// How what is due is paid.
fn way(
    call: &Call,
    visit: &Visit<'_>,
    current: Option<&Subscription>,
    is_kept: bool,
    is_paid: bool,
) -> Option<&'static str> {
    let words = &visit.words().plan;
    let is_running = current.is_some_and(|current| current.anchor.is_some());
    match (is_kept, is_paid) {
        (true, _) => Some(words.keep_text),
        (false, false) => None,
        (false, true) if call.app.stripe.is_none() => Some(words.by_hand_text),
        (false, true) if is_running => Some(words.by_card_text),
        (false, true) => Some(words.by_page_text),
    }
}

/// `POST /portal/plan/cancel`. Without `confirmed` it asks once more.
async fn cancel(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().plan;
    if call.form().get("confirmed") == Some("yes") {
        return match subscriptions::cancel(&call, visit.workspace()).await {
            Ok(()) => Ok(see_other("/portal/plan?notice=canceled")),
            // It has ended meanwhile: the page says so.
            Err(problem) if problem.code == Code::SubscriptionNotFound => Ok(see_other(PATH)),
            Err(problem) => away(&visit, problem, PATH),
        };
    }
    let (payments, _) = subscriptions::look(&call, visit.workspace(), &return_url(&call)).await?;
    let Some(current) = running(&payments) else { return Ok(see_other(PATH)) };
    let end = current.period().map(|(_, end)| end).filter(|_| !current.is_past_due);
    let confirm = Confirm {
        frame: visit.frame(Tab::Plan),
        title: (words.confirm_cancel)(&current.plan.name),
        error: "",
        lines: vec![match end {
            Some(end) => (words.cancel_text)(&visit.format.date(visit.format.date_at(end))),
            None => words.cancel_now_text.to_owned(),
        }],
        facts: Vec::new(),
        action: "/portal/plan/cancel",
        fields: Vec::new(),
        button: (words.cancel_button)(&current.plan.name),
        is_danger: true,
        back: PATH,
        back_text: words.back,
    };
    Ok(confirm.respond(StatusCode::OK))
}

/// `GET /portal/plan/pay`.
async fn pay(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    if visit.is_viewer() {
        return Ok(see_other(PATH));
    }
    match subscriptions::look(&call, visit.workspace(), &return_url(&call)).await? {
        (_, Some(url)) => leave(&visit, &url),
        (_, None) => Ok(see_other(PATH)),
    }
}
