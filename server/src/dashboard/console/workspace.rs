//! The page of one workspace: its state, what can be done about it, and the way to its own pages as
//! its admins see them.

use askama::Template;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::{ChargeFilter, GrantRecord, Page, Reads};
use tollkeeper_ledger::{
    Charge, Micros, Payments, Profile, Source, Subscription, Timestamp, TopUp, TopUpStatus, TopUpWay,
    WorkspaceId,
};

use super::act::ActKind;
use super::frame::{ConsoleFrame, ConsoleTab, ConsoleVisit};
use super::workspaces::path_of;
use crate::access::Rule;
use crate::access::cookie::{self, Place};
use crate::actions::{subscriptions, top_ups};
use crate::dashboard::charges::status::in_short;
use crate::dashboard::credits::history::tone;
use crate::dashboard::fields::Notice;
use crate::dashboard::links::address;
use crate::dashboard::page::{ROOT, page, see_other};
use crate::dashboard::words::ConsoleWords;
use crate::http::call::{Call, existing};
use crate::http::problem::Problem;
use crate::http::route::Route;
use crate::reports::local_time::zone;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/console/workspaces/{workspace}", Rule::Operator, "A workspace", |call| {
        Box::pin(show(call))
    })
    .page()
    .parameters(&["done"]),
    Route::new(
        Method::POST,
        "/console/workspaces/{workspace}/view",
        Rule::Operator,
        "See a workspace as its admins do",
        |call| Box::pin(view(call)),
    )
    .page()
    .redirects(),
];

/// The newest rows of each list.
const ROWS: usize = 20;

#[derive(Template)]
#[template(path = "dashboard/console/workspace.html")]
struct WorkspacePage<'a> {
    frame: ConsoleFrame<'a>,
    words: &'static ConsoleWords,
    notice: Option<Notice>,
    path: String,
    name: &'a str,
    id: &'a str,
    is_suspended: bool,
    facts: Vec<(&'static str, String)>,
    /// Acts on the workspace: addresses and texts.
    acts: Vec<Link>,
    zone: String,
    payments: Vec<Row>,
    grants: Vec<Row>,
    charges: Vec<Row>,
}

/// A link to the page of an act.
struct Link {
    path: String,
    text: &'static str,
}

/// A row of a list.
struct Row {
    when: String,
    what: String,
    /// What became of it.
    status: String,
    /// The class of the status.
    tone: &'static str,
    amount: String,
    /// What can be done about it; `None` for nothing.
    act: Option<Link>,
}

/// `GET /console/workspaces/{workspace}`.
async fn show(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let engine = call.app.engine();
    let profile = existing(&workspace, engine.workspace(&workspace).await?)?;
    let balance = existing(&workspace, engine.balance(&workspace, None).await?)?.balance;
    let payments = top_ups::payments(&call, &workspace).await?;
    let newest = || Page { limit: ROWS, cursor: None };
    let grants = existing(&workspace, engine.grants(&workspace, newest()).await?)?;
    let charges = engine.charges(&workspace, ChargeFilter::default(), newest()).await?;
    let charges = existing(&workspace, charges)?;
    let visit = ConsoleVisit::begin(&call)?.in_zone(zone(&profile.timezone));
    let (words, format) = (visit.console(), &visit.format);
    let list = List { visit: &visit, workspace: &workspace };
    let mut facts = vec![
        (words.available, format.both_units(balance.available)),
        (words.pending, format.both_units(balance.pending)),
        (words.debt, format.both_units(balance.debt)),
    ];
    facts.extend(payments.subscription.as_deref().map(|plan| (words.plan, plan_line(&visit, plan))));
    facts.push((words.created, format.time(profile.created_at)));
    facts.push((words.timezone, profile.timezone.to_string()));
    let shown = WorkspacePage {
        frame: visit.frame(ConsoleTab::Workspaces),
        words,
        notice: call
            .query()
            .get("done")
            .and_then(ActKind::named)
            .map(|kind| Notice::done((words.done)(kind))),
        path: path_of(&workspace),
        name: &profile.name,
        id: workspace.as_str(),
        is_suspended: profile.suspended,
        facts,
        acts: list.acts(&profile, &payments),
        zone: format!("{}, {}", profile.timezone, format.offset(call.now)),
        payments: list.payments(&payments),
        grants: grants.data.iter().map(|record| list.grant(record)).collect(),
        charges: charges.data.iter().map(|charge| list.charge(charge, call.now)).collect(),
    };
    Ok(page(StatusCode::OK, &shown))
}

/// The plan, its status and what is due.
fn plan_line(visit: &ConsoleVisit<'_>, subscription: &Subscription) -> String {
    let words = visit.console();
    let due = subscriptions::due(subscription);
    let status = (words.plan_status)(subscription.status());
    let due = (due > Micros::ZERO).then(|| format!(", {} {}", words.due, visit.format.usd(due)));
    format!("{} ({status}{})", subscription.plan.name, due.unwrap_or_default())
}

/// What the rows of the lists need.
struct List<'v> {
    visit: &'v ConsoleVisit<'v>,
    workspace: &'v WorkspaceId,
}

impl List<'_> {
    fn link(&self, kind: ActKind, target: &str, text: &'static str) -> Link {
        let path = format!("{}/acts", path_of(self.workspace));
        Link { path: address(&path, [("act", kind.name()), ("target", target)]), text }
    }

    /// The acts on the workspace as a whole.
    fn acts(&self, profile: &Profile, payments: &Payments) -> Vec<Link> {
        let words = self.visit.console();
        let act = |kind| self.link(kind, "", (words.act)(kind).0);
        let mut acts = vec![act(ActKind::Grant)];
        acts.push(act(if profile.suspended { ActKind::Resume } else { ActKind::Suspend }));
        // A provider says by itself what was paid there.
        let by_hand = payments.subscription.as_deref().filter(|plan| plan.collected.is_none());
        if by_hand.is_some_and(|plan| subscriptions::due(plan) > Micros::ZERO) {
            acts.push(act(ActKind::ConfirmPeriod));
        }
        if by_hand.is_some_and(|plan| plan.upgrade.is_some()) {
            acts.push(act(ActKind::ConfirmChange));
        }
        acts
    }

    fn payments(&self, payments: &Payments) -> Vec<Row> {
        payments.top_ups.iter().rev().take(ROWS).map(|top_up| self.top_up(top_up)).collect()
    }

    fn top_up(&self, top_up: &TopUp) -> Row {
        let (words, format) = (self.visit.console(), &self.visit.format);
        let history = &self.visit.words().credits.history;
        let id = top_up.id.to_string();
        let act = match (top_up.status, top_up.way) {
            (TopUpStatus::Succeeded, _) => Some(self.link(ActKind::RefundPayment, &id, words.refund_link)),
            (_, TopUpWay::Manual) => Some(self.link(ActKind::ConfirmTopUp, &id, words.confirm_link)),
            _ => None,
        };
        Row {
            when: format.time(top_up.opened_at),
            what: (history.way)(top_up.way).to_owned(),
            status: (history.status_of)(top_up.status).to_owned(),
            tone: tone(top_up.status),
            amount: format.cents(top_up.cents),
            act,
        }
    }

    fn grant(&self, record: &GrantRecord) -> Row {
        let (words, format) = (self.visit.console(), &self.visit.format);
        let history = &self.visit.words().credits.history;
        let grant = &record.grant;
        let is_given = matches!(grant.source, Source::Promotional | Source::Adjustment);
        let is_open = grant.voided_at.is_none() && grant.remaining > Micros::ZERO;
        let reason = record.reason.as_deref().filter(|_| is_given);
        Row {
            when: format.time(record.created_at),
            what: match reason {
                Some(reason) => format!("{}: {reason}", (history.source)(grant.source)),
                None => (history.source)(grant.source).to_owned(),
            },
            status: match grant.voided_at {
                Some(at) => (history.voided)(&format.time(at)),
                None => (words.of_which_left)(&format.usd(grant.remaining)),
            },
            tone: "soft",
            amount: format.usd(grant.amount),
            act: (is_given && is_open)
                .then(|| self.link(ActKind::Void, &grant.id.to_string(), words.void_link)),
        }
    }

    fn charge(&self, charge: &Charge, now: Timestamp) -> Row {
        let (words, format) = (self.visit.console(), &self.visit.format);
        let status = in_short(charge, &self.visit.words().charges, format);
        let is_refundable = charge.state.refunded < charge.details.amount;
        Row {
            when: format.recent_time(charge.created_at, now),
            what: charge.details.spender.operation.to_string(),
            status: status.text,
            tone: status.class,
            amount: format.usd(charge.details.amount),
            act: is_refundable
                .then(|| self.link(ActKind::Refund, &charge.details.id.to_string(), words.refund_link)),
        }
    }
}

/// `POST /console/workspaces/{workspace}/view`.
async fn view(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    existing(&workspace, call.app.engine().workspace(&workspace).await?)?;
    let operator = ConsoleVisit::begin(&call)?.operator;
    let left = (operator.session.expires_at.millis() - call.now.millis()) / 1_000;
    let secret = operator.view_secret(&workspace);
    let mut response = see_other(ROOT);
    let cookie: HeaderValue = cookie::set(Place::Portal, &secret, left.max(1), call.is_secure());
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}
