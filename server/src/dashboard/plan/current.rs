//! What the page about the plan shows of the subscription: its period, what is due, what is
//! planned.

use tollkeeper_ledger::{Micros, Subscription, SubscriptionStatus, Timestamp};

use super::price_of;
use crate::actions::subscriptions;
use crate::dashboard::frame::Visit;
use crate::http::call::Call;

/// The plan that runs, waits for its first payment, or has ended.
pub struct Current {
    pub id: String,
    pub name: String,
    pub status: &'static str,
    /// The class of the status: colour is never alone.
    pub tone: &'static str,
    pub price: String,
    pub credits: String,
    pub facts: Vec<(&'static str, String)>,
    /// What is due or planned, a sentence each.
    pub lines: Vec<String>,
    /// What the payer has to do; empty for nothing.
    pub instructions: String,
    /// Whether the first period can be paid on a page of the provider.
    pub can_pay: bool,
    /// Whether the provider collects a period that is past due, and has a page to change the card.
    pub can_change_card: bool,
    /// The button that takes back what is planned.
    pub keep: Option<String>,
    pub can_cancel: bool,
}

impl Current {
    /// What is shown of a subscription. `can_pay`: its first period can be paid on a page.
    pub fn of(call: &Call, visit: &Visit<'_>, last: &Subscription, can_pay: bool) -> Current {
        let (words, format) = (&visit.words().plan, &visit.format);
        let status = last.status();
        let (due, by_hand) = (subscriptions::due(last), last.collected.is_none());
        let waits = by_hand && (due > Micros::ZERO || last.upgrade.is_some());
        let is_planned = last.upgrade.is_some() || last.next_plan.is_some() || last.cancels_at.is_some();
        let runs = status != SubscriptionStatus::Ended && last.anchor.is_some();
        let tone = match status {
            SubscriptionStatus::Active => "good",
            SubscriptionStatus::Pending | SubscriptionStatus::Canceled => "warn",
            SubscriptionStatus::PastDue => "bad",
            SubscriptionStatus::Ended => "soft",
        };
        Current {
            id: last.plan.id.to_string(),
            name: last.plan.name.to_string(),
            status: (words.status_of)(status),
            tone,
            price: price_of(visit, &last.plan),
            credits: (words.credits_per_month)(&format.micro_units(last.plan.credits)),
            facts: facts(visit, last, due),
            lines: lines(visit, last, due),
            instructions: if waits { call.app.payments.instructions.clone() } else { String::new() },
            can_pay,
            can_change_card: !by_hand && status == SubscriptionStatus::PastDue && call.app.stripe.is_some(),
            keep: (runs && is_planned).then(|| (words.keep)(&last.plan.name)),
            can_cancel: !matches!(status, SubscriptionStatus::Ended | SubscriptionStatus::Canceled),
        }
    }
}

fn date(visit: &Visit<'_>, at: Timestamp) -> String {
    visit.format.date(visit.format.date_at(at))
}

fn facts(visit: &Visit<'_>, last: &Subscription, due: Micros) -> Vec<(&'static str, String)> {
    let words = &visit.words().plan;
    if last.status() == SubscriptionStatus::Ended {
        return Vec::new();
    }
    let period = last
        .period()
        .map(|(start, end)| (words.period, (words.period_text)(&date(visit, start), &date(visit, end))));
    let next = last.next_grant_at().map_or_else(|| words.no_next_grant.to_owned(), |at| date(visit, at));
    let mut facts: Vec<_> = period.into_iter().collect();
    facts.push((words.next_grant, next));
    if due > Micros::ZERO {
        facts.push((words.due, visit.format.usd(due)));
    }
    facts
}

fn lines(visit: &Visit<'_>, last: &Subscription, due: Micros) -> Vec<String> {
    let (words, format) = (&visit.words().plan, &visit.format);
    let (name, due) = (&*last.plan.name, format.usd(due));
    let mut lines = match (last.status(), last.ended_at) {
        (SubscriptionStatus::Pending, _) => vec![(words.pending_text)(name, &due)],
        (SubscriptionStatus::PastDue, _) => vec![(words.past_due_text)(&due)],
        (SubscriptionStatus::Ended, Some(at)) => return vec![(words.ended)(name, &date(visit, at))],
        _ => Vec::new(),
    };
    lines.extend(last.cancels_at.map(|at| (words.cancels)(&date(visit, at))));
    if let (Some(next), Some((_, end))) = (&last.next_plan, last.period()) {
        lines.push((words.next_plan)(&next.name, &date(visit, end)));
    }
    lines.extend(last.upgrade.as_ref().map(|upgrade| {
        let (due, brings) = (format.cents(upgrade.due_cents), format.micro_units(upgrade.credits));
        (words.change_waits)(&upgrade.plan.name, &due, &brings, &date(visit, upgrade.drop_at))
    }));
    lines
}
