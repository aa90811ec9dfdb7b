//! Decides what becomes of payments: top-ups that are opened, are paid, fail, or are given up.
//! Cards, automatic top-ups and subscriptions are in `cards`, `auto_top_up` and `subscriptions`.
//!
//! Credit is granted once, after its payment (i12). The state and what an entry does to it are in
//! `payments`. Whether money came in is not decided here: the platform or its payment provider
//! says so. Debt is repaid from the new credit first, as from every grant.

use super::grant::{check_balance_bound, paid};
use super::payment_refunds;
use super::subscriptions;
use super::view::View;
use super::{at_provider, auto_top_up, cards};
use crate::{
    Account, EntryBody, GrantRequest, IdempotencyKey, Micros, PaymentChange, PaymentCommand, Refusal, Source,
    SubscriptionCommand, Timestamp, TopUp, TopUpBounds, TopUpFailure, TopUpId, TopUpStatus, TopUpWay, bounds,
};

/// Decides a command about payments; no entry if it would change nothing.
///
/// # Errors
/// `WorkspaceNotFound`, and what each command may be refused for.
pub(super) fn decide(
    view: &View,
    command: PaymentCommand,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    match command {
        PaymentCommand::OpenTopUp { cents, way, allowed } => {
            assert!(way != TopUpWay::Automatic, "i14: only its rule may open an automatic top-up");
            check_new(account, cents, allowed, now)?;
            let top_up = TopUpId(view.fresh_id);
            let is_new = account.payments.as_deref().is_none_or(|payments| payments.top_up(top_up).is_none());
            assert!(is_new, "a new top-up must have a new id");
            let change = PaymentChange::TopUpOpened { top_up, cents, way };
            Ok(vec![body(change)])
        }
        PaymentCommand::ConfirmTopUp(id) => confirm_top_up(view, account, id),
        PaymentCommand::ExpireTopUp(id) => expire_top_up(account, id, now),
        PaymentCommand::FailTopUp { top_up, failure } => fail_top_up(account, top_up, failure, now),
        PaymentCommand::Card(command) => cards::decide(account, command),
        PaymentCommand::AutoTopUp(command) => auto_top_up::decide(view, account, command, now),
        PaymentCommand::Provider(command) => at_provider::decide(view, account, command),
        PaymentCommand::Refund(command) => payment_refunds::decide(view, account, command),
        PaymentCommand::Subscription(command) => subscriptions::decide(view, account, command, now),
    }
}

/// Refuses a tick under a key: its grants have none, because their months are counted.
///
/// # Errors
/// `InvalidField`.
pub(super) fn check_key(command: &PaymentCommand, key: Option<&IdempotencyKey>) -> Result<(), Refusal> {
    let is_tick = matches!(command, PaymentCommand::Subscription(SubscriptionCommand::Tick { .. }));
    if is_tick && key.is_some() {
        return Err(Refusal::InvalidField { field: "idempotency_key", why: "must not come with a tick" });
    }
    Ok(())
}

/// The entry of a change.
pub(super) fn body(change: PaymentChange) -> EntryBody {
    EntryBody::Payment(Box::new(change))
}

/// Refuses a top-up of another size than is allowed, one too many, and one whose credit would not
/// fit.
///
/// # Errors
/// `TopUpOutOfBounds`, `InvalidField`.
fn check_new(account: &Account, cents: i64, allowed: TopUpBounds, now: Timestamp) -> Result<(), Refusal> {
    if !allowed.allow(cents) || !TopUpBounds::WIDEST.allow(cents) {
        return Err(Refusal::TopUpOutOfBounds { allowed });
    }
    let payments = account.payments.as_deref();
    let (has_room, pending) =
        payments.map_or((true, 0), |it| (it.has_room_for_top_up(now), it.pending_top_ups()));
    let refuse = |why| Err(Refusal::InvalidField { field: "top_ups", why });
    if !has_room {
        return refuse("are 10,000 in 120 days, the most there can be");
    }
    if pending >= bounds::TOP_UPS_PENDING_MAX {
        return refuse("that wait for their payment are 100 already; one must be paid or end first");
    }
    check_balance_bound(account, Micros::from_cents(cents))
}

/// Grants the credit of a top-up that a person says was paid. The money came in, so one that was
/// given up grants too. One that was paid already changes nothing.
///
/// # Errors
/// `TopUpNotFound`, `InvalidField`.
fn confirm_top_up(view: &View, account: &Account, id: TopUpId) -> Result<Vec<EntryBody>, Refusal> {
    let top_up = find_top_up(account, id)?;
    if top_up.status == TopUpStatus::Succeeded {
        assert!(top_up.grant.is_some(), "i12: a top-up that was paid must have its grant");
        return Ok(Vec::new());
    }
    if top_up.way != TopUpWay::Manual {
        let why = "cannot be confirmed: the payment provider says when it was paid";
        return Err(Refusal::InvalidField { field: "top_up", why });
    }
    succeed(view, top_up, TopUp::manual_payment(id).into(), None, 0)
}

/// Gives up a top-up that nobody paid in time. One that may still wait, or that ended, is left as
/// it is.
///
/// # Errors
/// `TopUpNotFound`.
fn expire_top_up(account: &Account, id: TopUpId, now: Timestamp) -> Result<Vec<EntryBody>, Refusal> {
    let top_up = find_top_up(account, id)?;
    if !top_up.is_late(now) {
        return Ok(Vec::new());
    }
    assert!(top_up.payment.is_none(), "i12: a top-up that was paid must not expire");
    Ok(vec![body(PaymentChange::TopUpExpired(id))])
}

fn find_top_up(account: &Account, id: TopUpId) -> Result<&TopUp, Refusal> {
    let top_up = account.payments.as_deref().and_then(|payments| payments.top_up(id));
    top_up.ok_or(Refusal::TopUpNotFound)
}

/// The grant of a payment, and the entry that says which top-up it paid.
pub(super) fn succeed(
    view: &View,
    top_up: &TopUp,
    payment: Box<str>,
    reason: Option<Box<str>>,
    tax_cents: i64,
) -> Result<Vec<EntryBody>, Refusal> {
    assert!(tax_cents >= 0, "i15: tax must not be below zero");
    assert!(top_up.status != TopUpStatus::Succeeded, "i12: a top-up must not be paid twice");
    let request = GrantRequest {
        source: Source::TopUp,
        amount: top_up.credits(),
        reason,
        origin: Some(payment.clone()),
        paid_cents: top_up.cents,
    };
    let top_up = top_up.id;
    paid(view, request, |grant| PaymentChange::TopUpSucceeded { top_up, payment, grant, tax_cents })
}

/// A top-up that waits was not paid. What was paid stays paid, and what failed stays failed. The
/// rule of an automatic one waits then, or stops.
///
/// # Errors
/// `TopUpNotFound`.
fn fail_top_up(
    account: &Account,
    id: TopUpId,
    failure: TopUpFailure,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let top_up = find_top_up(account, id)?;
    if top_up.status != TopUpStatus::Pending {
        return Ok(Vec::new());
    }
    let mut bodies = vec![body(PaymentChange::TopUpFailed { top_up: id, failure })];
    let rule = account.payments.as_deref().and_then(|payments| payments.auto_top_up.as_ref());
    let rule = rule.filter(|rule| rule.is_running());
    if let (TopUpWay::Automatic, Some(rule)) = (top_up.way, rule) {
        bodies.push(body(PaymentChange::AutoTopUp(rule.after_failure(failure, now))));
    }
    Ok(bodies)
}
