//! Decides when credit is bought by itself, and by which rule (P5, i14).
//!
//! A charge that ends below the threshold opens a top-up in its own change. So of many callers that
//! race only one opens it, and no charge is decided between. A charge of a workspace without
//! payments pays one test of a pointer. The saved card is charged outside the ledger, after the
//! commit; what comes of it is reported by commands of `payments`.

use super::grant::check_balance_bound;
use super::moved_available;
use super::payments::body;
use super::view::View;
use crate::{
    Account, AutoTopUp, AutoTopUpChange, AutoTopUpCommand, AutoTopUpState, EntryBody, Micros, PaymentChange,
    Payments, Refusal, StopReason, Timestamp, TopUpBounds, TopUpId, TopUpWay, bounds,
};

/// The top-up that a new charge brings about; none for most.
pub(super) fn after_charge(view: &View, opened: &EntryBody, now: Timestamp) -> Vec<EntryBody> {
    let Some(account) = view.account else { return Vec::new() };
    let Some(payments) = account.payments.as_deref() else { return Vec::new() };
    let available = account.balance.available + moved_available(opened.legs());
    assert!(available <= account.balance.available, "i04: a charge must not add credit");
    open(view, account, payments, available, now).into_iter().collect()
}

/// True if a charge that is refused for lack of credit leads to a top-up: the balance may have been
/// low already when the rule was set, a pause ended or a month began.
pub(super) fn may_buy(view: &View, account: &Account, now: Timestamp) -> bool {
    let payments = account.payments.as_deref();
    let available = account.balance.available;
    payments.is_some_and(|payments| open(view, account, payments, available, now).is_some())
}

/// Decides a command about automatic top-ups.
///
/// # Errors
/// `PaymentMethodRequired`, `TopUpOutOfBounds`, `InvalidField`.
pub(super) fn decide(
    view: &View,
    account: &Account,
    command: AutoTopUpCommand,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let payments = account.payments.as_deref();
    match command {
        AutoTopUpCommand::Set { threshold, cents, monthly_cap_cents, allowed } => {
            let payments = payments.filter(|payments| payments.card.is_some());
            let payments = payments.ok_or(Refusal::PaymentMethodRequired)?;
            check_rule(threshold, cents, monthly_cap_cents, allowed)?;
            let is_set = payments.auto_top_up.as_ref().is_some_and(|rule| {
                let numbers = (rule.threshold, rule.cents, rule.monthly_cap_cents);
                rule.is_running() && numbers == (threshold, cents, monthly_cap_cents)
            });
            let change = AutoTopUpChange::Set { threshold, cents, monthly_cap_cents };
            Ok(if is_set { Vec::new() } else { vec![body(PaymentChange::AutoTopUp(change))] })
        }
        AutoTopUpCommand::Stop { why } => Ok(stop(payments, why).into_iter().collect()),
        AutoTopUpCommand::OpenIfLow => {
            let available = account.balance.available;
            let opened = payments.and_then(|payments| open(view, account, payments, available, now));
            Ok(opened.into_iter().collect())
        }
    }
}

/// The entry that stops automatic top-ups; none if they do not run.
fn stop(payments: Option<&Payments>, why: StopReason) -> Option<EntryBody> {
    let rule = payments?.auto_top_up.as_ref()?;
    rule.is_running().then(|| body(PaymentChange::AutoTopUp(AutoTopUpChange::Stopped { why })))
}

/// Refuses a rule that could not close its gap at once, or could buy nothing.
///
/// # Errors
/// `TopUpOutOfBounds`, `InvalidField`.
fn check_rule(
    threshold: Micros,
    cents: i64,
    monthly_cap_cents: i64,
    allowed: TopUpBounds,
) -> Result<(), Refusal> {
    if !allowed.allow(cents) || !TopUpBounds::WIDEST.allow(cents) {
        return Err(Refusal::TopUpOutOfBounds { allowed });
    }
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    if threshold <= Micros::ZERO {
        return refuse("threshold", "must be more than zero");
    }
    if Micros::from_cents(cents) < threshold {
        return refuse("amount_usd", "must buy at least the threshold, so that one top-up closes the gap");
    }
    if monthly_cap_cents < cents {
        return refuse("monthly_cap_usd", "must be at least the amount of one top-up");
    }
    if monthly_cap_cents > bounds::MONTHLY_CAP_MAX_CENTS {
        return refuse("monthly_cap_usd", "must be at most what a balance can hold");
    }
    Ok(())
}

/// The automatic top-up that is to be opened now, when `available` is left; mostly none.
fn open(
    view: &View,
    account: &Account,
    payments: &Payments,
    available: Micros,
    now: Timestamp,
) -> Option<EntryBody> {
    let rule = payments.auto_top_up.as_ref()?;
    let is_low = available < rule.threshold && account.balance.debt == Micros::ZERO;
    if !is_low || !rule.is_ready(now) || account.profile.suspended {
        return None;
    }
    assert!(payments.card.is_some(), "i14: automatic top-ups that run must have a card");
    let &AutoTopUp { cents, monthly_cap_cents, .. } = rule;
    let has_room =
        payments.has_room_for_top_up(now) && payments.pending_top_ups() < bounds::TOP_UPS_PENDING_MAX;
    let bought = payments.automatic_cents(view.windows_around(now).month);
    if payments.pending_automatic().is_some() || !has_room || bought + cents > monthly_cap_cents {
        return None;
    }
    check_balance_bound(account, Micros::from_cents(cents)).ok()?;
    assert!(bought >= 0 && bought + cents <= monthly_cap_cents, "i14: a month must stay within its cap");
    assert!(!matches!(rule.state, AutoTopUpState::Stopped { .. }), "i14: a rule must run to buy");
    let top_up = TopUpId(view.fresh_id);
    assert!(payments.top_up(top_up).is_none(), "a new top-up must have a new id");
    Some(body(PaymentChange::TopUpOpened { top_up, cents, way: TopUpWay::Automatic }))
}
