//! Decides what becomes of a subscription: a start, another plan, a payment, an end, and what the
//! present time makes true.
//!
//! A paid plan grants after a payment and never before (i12). A grant names its month and its cause
//! (i11), and its entry comes first; the entry of the month follows it. A tick is one step, so that
//! months of sleep are many small changes. What each entry does is in
//! `payments::subscription_change`. Whether money came in is not decided here.

use super::collected;
use super::grant::paid;
use super::lost;
use super::payments::body;
use super::view::View;
use crate::payments::subscription::{Brings, Cause, Due, Proposal};
use crate::{
    Account, AtOnce, Ends, EntryBody, GrantId, GrantRequest, Micros, Paid, PaymentChange, Payments, Plan,
    PlanId, Plans, Provider, Refusal, Source, Subscription, SubscriptionChange, SubscriptionCommand,
    SubscriptionId, Timestamp, TopUp, bounds,
};

/// Decides a command about the subscription; no entry if it would change nothing.
///
/// # Errors
/// What each command may be refused for.
pub(super) fn decide(
    view: &View,
    account: &Account,
    command: SubscriptionCommand,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    match command {
        SubscriptionCommand::StartOrChange { plan, collected_by } => {
            let change = start_or_change(view, account, &plan, collected_by, now)?;
            Ok(change.map(entry).into_iter().collect())
        }
        SubscriptionCommand::Confirm { change, payment } => {
            let last = last(account).ok_or(Refusal::SubscriptionNotFound)?;
            if last.collected.is_some() {
                let why = "is paid at the payment provider, which says when";
                return Err(Refusal::InvalidField { field: "subscription", why });
            }
            let running = running(account, now).filter(|running| running.id == last.id);
            let running = running.ok_or(Refusal::NothingDue)?;
            check_name(account, running, &payment)?;
            if change {
                pay_change(view, running, payment, now)
            } else {
                confirm(view, running, payment, now)
            }
        }
        SubscriptionCommand::Cancel => {
            let change = cancel(account, now)?;
            Ok(change.map(entry).into_iter().collect())
        }
        SubscriptionCommand::Tick { renews } => tick(view, account, renews, now),
        SubscriptionCommand::Collected { subscription, command } => {
            collected::decide(view, account, subscription, command, now)
        }
    }
}

pub(super) fn entry(change: SubscriptionChange) -> EntryBody {
    body(PaymentChange::Subscription(Box::new(change)))
}

/// The subscription that runs, or the last one.
fn last(account: &Account) -> Option<&Subscription> {
    account.payments.as_deref()?.subscription.as_deref()
}

/// The subscription that runs at `now`.
fn running(account: &Account, now: Timestamp) -> Option<&Subscription> {
    last(account).filter(|last| last.runs_at(now))
}

/// What a request for a plan leads to.
enum Asked {
    /// Nothing: it is so already.
    Nothing,
    /// A new subscription.
    Start,
    /// It goes on as it was.
    Resume,
    /// The change that is planned is dropped.
    DropChange,
    /// Another plan.
    Change(Proposal),
}

/// What a request for a plan leads to, and the terms of the plan.
///
/// # Errors
/// `PlanNotFound`, `PlanIntervalDiffers`, `InvalidField`.
fn asked(
    subscription: Option<&Subscription>,
    plans: &Plans,
    plan: &PlanId,
    now: Timestamp,
) -> Result<(Asked, Plan), Refusal> {
    // The current plan may be retired.
    if let Some(current) = subscription.filter(|current| current.anchor.is_some() && current.plan.id == *plan)
    {
        let is_planned = current.upgrade.is_some() || current.next_plan.is_some();
        let asked = match current.cancels_at {
            Some(_) => Asked::Resume,
            None if is_planned => Asked::DropChange,
            None => Asked::Nothing,
        };
        return Ok((asked, current.plan.clone()));
    }
    let plan = plans.newest().find(plan).ok_or(Refusal::PlanNotFound)?.clone();
    let Some(current) = subscription else { return Ok((Asked::Start, plan)) };
    if current.anchor.is_none() {
        let asked = if current.plan == plan { Asked::Nothing } else { Asked::Start };
        return Ok((asked, plan));
    }
    if current.plan.interval != plan.interval {
        return Err(Refusal::PlanIntervalDiffers);
    }
    let planned = current.upgrade.as_ref().map(|upgrade| &upgrade.plan).or(current.next_plan.as_ref());
    if planned == Some(&plan) {
        return Ok((Asked::Nothing, plan));
    }
    if current.collected.is_some() && plan.is_free() {
        let why = "is free: cancel the subscription, and start this one when it has ended";
        return Err(Refusal::InvalidField { field: "plan", why });
    }
    let proposal = current.propose(&plan, now);
    Ok((Asked::Change(proposal), plan))
}

/// Starts the plan, changes to it, or takes back what is planned.
///
/// # Errors
/// `PlanNotFound`, `PlanIntervalDiffers`, `SubscriptionExists`, `InvalidField`.
fn start_or_change(
    view: &View,
    account: &Account,
    plan: &PlanId,
    collected_by: Option<Provider>,
    now: Timestamp,
) -> Result<Option<SubscriptionChange>, Refusal> {
    let current = running(account, now);
    let (asked, plan) = asked(current, &view.platform.plans, plan, now)?;
    let goes_on = matches!(asked, Asked::Resume | Asked::DropChange | Asked::Change(_));
    if goes_on && current.is_some_and(Subscription::has_ended_at_provider) {
        let why = "The subscription has ended at the payment provider. It grants what was paid, then another one can start.";
        return Err(Refusal::SubscriptionExists { why });
    }
    if goes_on && current.is_some_and(Subscription::is_change_under_way) {
        let why =
            "The payment provider is asked for the last change of the subscription. Try again in a moment.";
        return Err(Refusal::SubscriptionExists { why });
    }
    Ok(match (asked, current) {
        (Asked::Start, _) => {
            check_granted(last(account), now)?;
            check_ended_at_provider(last(account))?;
            let subscription = SubscriptionId(view.fresh_id);
            let is_new = last(account).is_none_or(|last| last.id != subscription);
            assert!(is_new, "i11: a new subscription must have a new id");
            let collected_by = collected_by.filter(|_| !plan.is_free());
            Some(SubscriptionChange::Started { subscription, plan, collected_by })
        }
        (Asked::Resume, _) => Some(SubscriptionChange::Resumed),
        (Asked::DropChange, Some(current)) => {
            Some(SubscriptionChange::ChangeDropped { number: current.changes })
        }
        (Asked::Change(_), Some(current)) if current.plan.is_free() && collected_by.is_some() => {
            let why = "costs money: cancel the free plan, and start this one when it has ended";
            return Err(Refusal::InvalidField { field: "plan", why });
        }
        (Asked::Change(proposal), Some(current)) => {
            let drop_at = current.period_end().expect("a plan is changed only once its subscription runs");
            let at_once = match proposal {
                Proposal::AtOnce { due_cents, credits } => Some(AtOnce { due_cents, credits, drop_at }),
                Proposal::NextPeriod => None,
            };
            assert!(at_once.is_none() || now < drop_at, "a change must be paid within its period");
            Some(SubscriptionChange::ChangeAsked { number: current.changes + 1, plan, at_once })
        }
        (Asked::Nothing | Asked::DropChange | Asked::Change(_), _) => None,
    })
}

/// Ends a subscription with the period that is paid; at once if none is.
///
/// # Errors
/// `SubscriptionNotFound`.
fn cancel(account: &Account, now: Timestamp) -> Result<Option<SubscriptionChange>, Refusal> {
    let current = last(account).filter(|last| last.ended_at.is_none());
    let current = current.ok_or(Refusal::SubscriptionNotFound)?;
    let Some(cancels_at) = current.period_end() else { return Ok(Some(SubscriptionChange::Ended)) };
    if current.cancels_at.is_some() {
        return Ok(None);
    }
    if cancels_at <= now && !current.lags(now) {
        return Ok(Some(SubscriptionChange::Ended));
    }
    Ok(Some(SubscriptionChange::CancelAsked { cancels_at }))
}

/// Grants the oldest period that has begun and was not paid.
///
/// # Errors
/// `NothingDue`, `InvalidField`.
fn confirm(
    view: &View,
    current: &Subscription,
    payment: Box<str>,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let has_begun = current.period_end().is_none_or(|end| end <= now);
    if !has_begun || current.cancels_at.is_some() || current.next_terms().is_free() {
        return Err(Refusal::NothingDue);
    }
    if current.months_granted < current.months_paid {
        // Also of a free plan: its year ends before the next one is paid.
        return Err(LAGS);
    }
    pay_period(view, current, payment, now)
}

/// A month has begun that is not granted yet.
const LAGS: Refusal = Refusal::InvalidField {
    field: "subscription",
    why: "has a month that was paid and will be granted in a moment",
};

/// Refuses to go on before every month was granted that was paid for and has begun.
///
/// # Errors
/// `InvalidField`.
pub(super) fn check_granted(subscription: Option<&Subscription>, now: Timestamp) -> Result<(), Refusal> {
    let lags = subscription.is_some_and(|last| last.ended_at.is_none() && last.lags(now));
    if lags { Err(LAGS) } else { Ok(()) }
}

/// Refuses to begin another subscription while the provider still collects the last one.
///
/// # Errors
/// `SubscriptionExists`.
fn check_ended_at_provider(last: Option<&Subscription>) -> Result<(), Refusal> {
    let placement = last.and_then(|last| last.collected.as_deref()).map(|collected| &collected.placement);
    let is_collected =
        placement.is_some_and(|placement| placement.reference.is_some() && placement.ends == Ends::No);
    let why = "The last subscription is being ended at the payment provider. Try again in a moment.";
    if is_collected { Err(Refusal::SubscriptionExists { why }) } else { Ok(()) }
}

/// The first month of the next period, which is paid.
fn pay_period(
    view: &View,
    current: &Subscription,
    payment: Box<str>,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let (month, start) = (current.months_paid, current.period_end().unwrap_or(now));
    assert!(start <= now, "i12: a period must have begun before it is paid");
    assert!(month == current.months_granted, "i11: a period must be paid after the last one was granted");
    let brings = current.first_month();
    let paid = Paid { payment, cents: current.next_terms().price_cents, tax_cents: 0 };
    let origin = current.origin(start, Cause::Period);
    granted(view, brings, origin, |grant| SubscriptionChange::Renewed {
        month,
        paid: Some(paid),
        cents: brings.cents,
        grant: Some(grant),
    })
}

/// Refuses a payment that has the name of another one, or one that a top-up or a period that renews
/// by itself will have (i12).
///
/// # Errors
/// `InvalidField`.
fn check_name(account: &Account, current: &Subscription, payment: &str) -> Result<(), Refusal> {
    let payments = account.payments.as_deref().expect("a subscription is one of the payments");
    let of_top_up = TopUp::of_manual_payment(payment).and_then(|id| payments.top_up(id));
    if payments.is_payment(payment) || of_top_up.is_some() || current.renews_as(payment) {
        let why = "must not have the name of another payment";
        return Err(Refusal::InvalidField { field: "payment", why });
    }
    check_room(payments)
}

/// # Errors
/// `InvalidField` if no further payment can be kept.
pub(super) fn check_room(payments: &Payments) -> Result<(), Refusal> {
    let why = "are 12,000 already, the most there can be";
    let is_full = payments.of_subscriptions.len() >= bounds::SUBSCRIPTION_PAYMENTS_MAX;
    if is_full { Err(Refusal::InvalidField { field: "payments", why }) } else { Ok(()) }
}

/// What the change that waits brings, which is paid.
///
/// # Errors
/// `NothingDue`, `InvalidField`.
fn pay_change(
    view: &View,
    current: &Subscription,
    payment: Box<str>,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let upgrade = current.upgrade.as_ref().filter(|upgrade| now < upgrade.drop_at);
    let upgrade = upgrade.ok_or(Refusal::NothingDue)?;
    assert!(upgrade.due_cents > 0, "i12: a change that is paid must cost something");
    let (start, _) = current.period().expect("a change waits only once its subscription runs");
    let brings = current.paid_upgrade(upgrade);
    let origin = current.origin(start, Cause::Change(upgrade.number));
    let (number, paid) = (upgrade.number, Paid { payment, cents: upgrade.due_cents, tax_cents: 0 });
    granted(view, brings, origin, |grant| SubscriptionChange::Changed {
        number,
        paid,
        cents: brings.cents,
        grant,
    })
}

/// Writes the first step that the present time asks for.
///
/// # Errors
/// `InvalidField` if the credit does not fit.
fn tick(view: &View, account: &Account, renews: bool, now: Timestamp) -> Result<Vec<EntryBody>, Refusal> {
    let Some(current) = last(account) else { return Ok(Vec::new()) };
    let Some(due) = current.due(now) else { return Ok(Vec::new()) };
    assert!(current.ended_at.is_none(), "a subscription that has ended must have nothing to do");
    match due {
        Due::DropUpgrade => Ok(vec![entry(SubscriptionChange::ChangeDropped { number: current.changes })]),
        Due::Month if current.plan.is_free() => free_month(view, account, current, now),
        Due::Month => {
            let brings = current.next_month();
            let bodies = month(view, current, current.months_granted, brings)?;
            lost::with_loss_of_month(account, bodies, now)
        }
        Due::End => Ok(vec![entry(SubscriptionChange::Ended)]),
        Due::Period if current.next_terms().is_free() => free_month(view, account, current, now),
        Due::Period if renews => {
            let start = current.period_end().unwrap_or(now);
            check_room(account.payments.as_deref().expect("a subscription is one of the payments"))?;
            pay_period(view, current, current.renewal_payment(start).into(), now)
        }
        Due::Period if current.is_past_due => Ok(Vec::new()),
        Due::Period => Ok(vec![entry(SubscriptionChange::PastDue)]),
    }
}

/// The present month of a free plan. It is granted if the workspace was charged since the last
/// grant, else it is skipped, so that nobody gathers credit without using it. Months that have
/// passed bring nothing.
fn free_month(
    view: &View,
    account: &Account,
    current: &Subscription,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let present = current.anchor.and_then(|anchor| anchor.whole_months_until(now));
    let present = present.expect("a free plan has an anchor, and it is due after that");
    assert!(present >= current.months_granted, "i11: a month must be granted once");
    // A year ends before the next one begins, perhaps with another plan.
    let ends = current.months_granted < current.months_paid && present >= current.months_paid;
    let present = if ends { current.months_paid - 1 } else { present };
    let is_used = current.granted_at.is_none_or(|last| account.last_used_at.is_some_and(|used| used >= last));
    if ends || !is_used {
        let skipped = SubscriptionChange::Renewed { month: present, paid: None, cents: 0, grant: None };
        return Ok(vec![entry(skipped)]);
    }
    month(view, current, present, Brings { credits: current.free_terms(present).credits, cents: 0 })
}

/// A month that no payment of its own pays for.
fn month(view: &View, current: &Subscription, month: u32, brings: Brings) -> Result<Vec<EntryBody>, Refusal> {
    assert!(month < bounds::SUBSCRIPTION_MONTHS_MAX, "a subscription must not run longer than it may");
    let start = current.month_start(month).expect("a month begins only once a subscription runs");
    let origin = current.origin(start, Cause::Month);
    granted(view, brings, origin, |grant| SubscriptionChange::Renewed {
        month,
        paid: None,
        cents: brings.cents,
        grant: Some(grant),
    })
}

/// A grant, and the entry that says what it is for.
fn granted(
    view: &View,
    Brings { credits, cents }: Brings,
    origin: Box<str>,
    change: impl FnOnce(GrantId) -> SubscriptionChange,
) -> Result<Vec<EntryBody>, Refusal> {
    let request = GrantRequest {
        source: Source::Subscription,
        amount: credits,
        reason: None,
        origin: Some(origin),
        paid_cents: cents,
    };
    paid(view, request, |grant| PaymentChange::Subscription(Box::new(change(grant))))
}

/// What a request for a plan would cost and bring; it moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// What is to be paid now, in cents.
    pub due_cents: i64,
    /// What it brings once that is paid.
    pub credits_now: Micros,
    /// The credit of each month from then on.
    pub credits_per_month: Micros,
    /// When the plan begins.
    pub from: Timestamp,
}

/// What a request for `plan` would cost and bring at `now`.
///
/// # Errors
/// `PlanNotFound`, `PlanIntervalDiffers`.
pub fn preview(
    payments: &Payments,
    plans: &Plans,
    plan: &PlanId,
    now: Timestamp,
) -> Result<Preview, Refusal> {
    let last = payments.subscription.as_deref();
    let current = last.filter(|last| last.runs_at(now));
    let (asked, plan) = asked(current, plans, plan, now)?;
    let nothing =
        Preview { due_cents: 0, credits_now: Micros::ZERO, credits_per_month: plan.credits, from: now };
    let waits = current.is_some_and(|current| current.anchor.is_none());
    Ok(match asked {
        Asked::Start => {
            let (due_cents, credits_now) = (plan.price_cents, plan.credits);
            Preview { due_cents, credits_now, ..nothing }
        }
        Asked::Nothing if waits => {
            let (due_cents, credits_now) = (plan.price_cents, plan.credits);
            Preview { due_cents, credits_now, ..nothing }
        }
        Asked::Change(Proposal::AtOnce { due_cents, credits }) => {
            Preview { due_cents, credits_now: credits, ..nothing }
        }
        Asked::Change(Proposal::NextPeriod) => {
            let end = current.and_then(Subscription::period_end);
            Preview { from: end.unwrap_or(now), ..nothing }
        }
        Asked::Nothing | Asked::Resume | Asked::DropChange => nothing,
    })
}
