//! The page about the plan: the one that runs, and those that can be chosen.
//!
//! What a choice costs and brings is the preview of the API. Its forms are in `forms`.

mod current;
pub mod forms;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::{Payments, Plan, Preview, Role, Subscription, SubscriptionStatus};

use self::current::Current;
use super::frame::{Frame, Tab, Visit};
use super::page::{page, signed_in};
use super::provider::{LOOKS, LOOKS_MAX, look_again, looks, without_looks};
use super::words::{PlanWords, TopUpWords};
use crate::access::Rule;
use crate::actions::subscriptions;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;

/// The path of the page.
pub const PATH: &str = "/portal/plan";

const ADMIN: Rule = Rule::SignedIn(Role::Admin);

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(Method::GET, PATH, ADMIN, "The plan", |call| Box::pin(plan(call)))
    .page()
    .parameters(&["notice", LOOKS])];

#[derive(Template)]
#[template(path = "dashboard/plan.html")]
struct PlanPage<'a> {
    frame: Frame<'a>,
    words: &'static PlanWords,
    looks: &'static TopUpWords,
    /// The text of the button to the provider's page for cards.
    card_link: &'static str,
    token: &'a str,
    /// What went wrong; empty for nothing.
    error: &'a str,
    /// What was done; empty for nothing.
    notice: &'a str,
    /// The plan that runs, waits for its first payment, or has ended.
    current: Option<Current>,
    /// The path of the page that does not look again by itself; `None` if it does not.
    stop: Option<String>,
    are_samples: bool,
    tiers: Vec<Tier>,
}

/// A plan that can be chosen.
struct Tier {
    id: String,
    name: String,
    price: String,
    credits: String,
    is_current: bool,
    /// What it would cost and bring now, or why it cannot be chosen.
    effect: String,
    /// The text of its button; `None` if it cannot be chosen.
    button: Option<String>,
}

/// `GET /portal/plan`.
async fn plan(call: Call) -> Result<Response, Problem> {
    show(&call, StatusCode::OK, "").await
}

/// The page, with a message about a form that was not accepted.
async fn show(call: &Call, status: StatusCode, error: &str) -> Result<Response, Problem> {
    let workspace = &signed_in(call)?.workspace;
    // First the provider, which may say that a period was paid; then the balance.
    let (payments, url) = subscriptions::look(call, workspace, &return_url(call)).await?;
    let visit = Visit::begin(call).await?;
    let words = &visit.words().plan;
    let (looks, is_unpaid) = (looks(call), url.is_some());
    let last = payments.subscription.as_deref();
    let is_confirming = last.is_some_and(|last| {
        last.status() == SubscriptionStatus::Pending && last.collected.is_some() && !is_unpaid
    });
    let is_looking = is_confirming && looks < LOOKS_MAX;
    let newest = call.app.engine().platform();
    let newest = newest.plans.newest();
    let mut plans: Vec<&Plan> = newest.plans.iter().collect();
    plans.sort_by_key(|plan| plan.price_cents);
    let tiers = plans.into_iter().map(|plan| {
        let preview = subscriptions::preview_of(call, workspace, &payments, &plan.id);
        Tier::of(&visit, last, plan, preview)
    });
    let shown = PlanPage {
        frame: visit.frame(Tab::Plan),
        words,
        looks: &visit.words().top_up,
        card_link: visit.words().credits.automatic.billing_portal,
        token: &visit.signed_in.form_token,
        error,
        notice: match call.query().get("notice") {
            Some("changed") => words.changed,
            Some("canceled") => words.canceled,
            _ => "",
        },
        current: last.map(|last| Current::of(call, &visit, last, is_unpaid)),
        stop: is_looking.then(|| without_looks(PATH)),
        are_samples: newest.is_sample(),
        tiers: tiers.collect(),
    };
    let mut response = page(status, &shown);
    if is_looking && status == StatusCode::OK {
        look_again(&mut response, PATH, looks);
    }
    Ok(response)
}

/// Where a payer comes back from the payment provider.
fn return_url(call: &Call) -> String {
    format!("{}{PATH}", call.origin())
}

/// The subscription, unless it has ended.
fn running(payments: &Payments) -> Option<&Subscription> {
    payments.subscription.as_deref().filter(|last| last.status() != SubscriptionStatus::Ended)
}

/// What an interval of a plan costs.
fn price_of(visit: &Visit<'_>, plan: &Plan) -> String {
    let words = &visit.words().plan;
    if plan.is_free() {
        return words.free.to_owned();
    }
    (words.price)(&visit.format.cents(plan.price_cents), plan.interval)
}

impl Tier {
    fn of(
        visit: &Visit<'_>,
        last: Option<&Subscription>,
        plan: &Plan,
        preview: Result<Preview, Problem>,
    ) -> Tier {
        let (words, format) = (&visit.words().plan, &visit.format);
        let runs = last.filter(|last| last.status() != SubscriptionStatus::Ended);
        let is_current = runs.is_some_and(|last| last.plan.id == plan.id);
        let is_planned = runs.is_some_and(|last| {
            let planned = last.upgrade.as_ref().map(|upgrade| &upgrade.plan).or(last.next_plan.as_ref());
            planned.is_some_and(|planned| planned.id == plan.id)
        });
        let (effect, can_choose) = match preview {
            _ if is_current => (words.yours.to_owned(), false),
            Ok(preview) if preview.from > visit.now() => {
                ((words.costs_later)(&format.date(format.date_at(preview.from))), !is_planned)
            }
            Ok(preview) => {
                let (due, brings) =
                    (format.cents(preview.due_cents), format.micro_units(preview.credits_now));
                ((words.costs_now)(&due, &brings), !is_planned)
            }
            Err(problem) if problem.code == Code::PlanIntervalDiffers => {
                (words.other_interval.to_owned(), false)
            }
            Err(problem) if problem.code == Code::InvalidField => (words.free_differs.to_owned(), false),
            Err(_) => (words.cannot_start.to_owned(), false),
        };
        Tier {
            id: plan.id.to_string(),
            name: plan.name.to_string(),
            price: price_of(visit, plan),
            credits: (words.credits_per_month)(&format.micro_units(plan.credits)),
            is_current,
            effect,
            button: can_choose.then(|| (words.choose)(&plan.name)),
        }
    }
}
