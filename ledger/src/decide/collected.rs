//! Decides what becomes of a subscription by what the provider that collects it says: that a period
//! or a change was paid, that it will not be, that the subscription ended.
//!
//! The commands say what is. One that changes nothing writes nothing, so they may come twice, late
//! and in any order. Money that fits nothing grants nothing. What a placement says is compared with
//! what the caller saw, so of two servers that place at once one counts. The state, and which
//! periods there are, is in `payments::collected`.

use super::grant::paid;
use super::subscriptions::{check_granted, check_room, entry};
use super::view::View;
use crate::payments::subscription::{Brings, Cause};
use crate::payments::top_up::TopUp;
use crate::{
    Account, CollectedCommand, EntryBody, GrantId, GrantRequest, Paid, PaymentChange, Refusal, Source,
    Subscription, SubscriptionChange, SubscriptionId, Terms, Timestamp, Upgrade,
};

/// The furthest that a period may begin after the clock of this server, in seconds.
const AHEAD_SECONDS: i64 = 86_400;

/// Decides what the provider of this subscription says.
///
/// # Errors
/// `PaymentUnmatched` for a payment that fits nothing, `SubscriptionNotFound`, `InvalidField`.
pub(super) fn decide(
    view: &View,
    account: &Account,
    id: SubscriptionId,
    command: CollectedCommand,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let last = account.payments.as_deref().and_then(|payments| payments.subscription.as_deref());
    let last = last.filter(|last| last.id == id && last.collected.is_some());
    let refusal = match command {
        CollectedCommand::PayPeriod { .. } | CollectedCommand::PayChange { .. } => Refusal::PaymentUnmatched,
        _ => Refusal::SubscriptionNotFound,
    };
    let last = last.ok_or(refusal)?;
    let collected = last.collected.as_deref().expect("it was filtered by that");
    let runs = last.ended_at.is_none();
    if let CollectedCommand::PayPeriod { payment, tax_cents, .. }
    | CollectedCommand::PayChange { payment, tax_cents, .. } = &command
        && let Some(payments) = account.payments.as_deref()
    {
        check_room(payments)?;
        if payments.is_payment(payment) || !Paid::may_tax_be(*tax_cents) {
            return Err(Refusal::PaymentUnmatched);
        }
    }
    let change = match command {
        CollectedCommand::Place { was, is } => {
            if !is.is_possible() {
                return Err(Refusal::InvalidField {
                    field: "reference",
                    why: "must be an id of the provider",
                });
            }
            (collected.placement == *was && was != is).then_some(SubscriptionChange::Placed(*is))
        }
        CollectedCommand::PayPeriod { payment, terms, start, cents, tax_cents } => {
            let paid = Paid { payment, cents, tax_cents };
            return pay_period(view, last, PeriodPaid { paid, terms, start }, now);
        }
        CollectedCommand::PayChange { number, payment, terms, cents, tax_cents } => {
            return pay_change(view, last, (number, Paid { payment, cents, tax_cents }), &terms);
        }
        CollectedCommand::DropChange(number) => {
            let waits = last.upgrade.as_ref().is_some_and(|upgrade| upgrade.number == number);
            (runs && waits).then_some(SubscriptionChange::ChangeDropped { number })
        }
        CollectedCommand::Lapse => {
            let lapses = runs && !last.is_past_due && last.is_late(now);
            lapses.then_some(SubscriptionChange::PastDue)
        }
        CollectedCommand::End => runs.then(|| end(last)).flatten(),
    };
    Ok(change.map(entry).into_iter().collect())
}

/// What a provider says of a period that was paid.
struct PeriodPaid {
    paid: Paid,
    terms: Terms,
    start: Timestamp,
}

/// The credit of a period that was paid, also of one that a later one passed. A sum above its price
/// is refused, and not cut: who read the bill knows what the rest is for, and notes it.
///
/// # Errors
/// `PaymentUnmatched`; `InvalidField` while a month that was paid before is not granted.
fn pay_period(
    view: &View,
    last: &Subscription,
    PeriodPaid { paid, terms, start }: PeriodPaid,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let cents = paid.cents;
    let plan = terms.plan_of(last).filter(|_| TopUp::is_provider_payment(&paid.payment));
    let plan = plan.filter(|plan| cents <= plan.price_cents).ok_or(Refusal::PaymentUnmatched)?;
    let period = last.paid_period(&plan, start, cents);
    // By its own beginning and not by the stated one, because the entry tells only that.
    let period = period.filter(|period| period.start <= now.plus_seconds(AHEAD_SECONDS));
    let period = period.ok_or(Refusal::PaymentUnmatched)?;
    if period.month >= last.months_paid {
        check_granted(Some(last), now)?;
        if last.months_granted < last.months_paid {
            return Err(Refusal::PaymentUnmatched);
        }
    }
    assert!(Terms::of(&plan) == terms, "i12: what is granted must be of the terms that were paid");
    let origin = last.origin(period.start, Cause::Period);
    let reason = terms.reason(cents);
    let (month, start, brings) = (period.month, period.start, period.brings);
    assert!(brings.cents <= cents, "i15: a grant must not have cost more than was paid");
    granted(view, brings, origin, reason, |grant| SubscriptionChange::PeriodPaid {
        month,
        start,
        plan,
        paid,
        cents: brings.cents,
        grant,
    })
}

/// The credit of the change that waits.
///
/// # Errors
/// `PaymentUnmatched` if another change waits, or none.
fn pay_change(
    view: &View,
    last: &Subscription,
    (number, paid): (u32, Paid),
    terms: &Terms,
) -> Result<Vec<EntryBody>, Refusal> {
    let cents = paid.cents;
    let upgrade = last.upgrade.as_ref().filter(|_| TopUp::is_provider_payment(&paid.payment));
    // One that was asked for before may be paid while another one waits.
    let upgrade = upgrade.filter(|upgrade| upgrade.number == number && Terms::of(&upgrade.plan) == *terms);
    let upgrade = upgrade.filter(|upgrade| last.is_change_paid(upgrade.due_cents, cents));
    let mut upgrade = upgrade.ok_or(Refusal::PaymentUnmatched)?.clone();
    upgrade.due_cents = cents;
    let (start, _) = last.period().ok_or(Refusal::PaymentUnmatched)?;
    let brings = last.paid_upgrade(&upgrade);
    assert!(number == last.changes, "i12: the change that is paid must be the last that was asked for");
    let origin = last.origin(start, Cause::Change(number));
    let reason = format!("{CHANGE}{cents} cents");
    granted(view, brings, origin, reason, |grant| SubscriptionChange::Changed {
        number,
        paid,
        cents: brings.cents,
        grant,
    })
}

/// Begins the reason of a grant of a change. The cents follow, which an audit reads.
const CHANGE: &str = "change of a plan paid with ";

/// The command that made a grant of a subscription that a provider collects. The terms of a change
/// are those that the subscription waited for. The tax is in the entry that follows, and is taken
/// from there ([`EntryBody::with_words_of`]).
pub(super) fn of_grant(
    origin: &str,
    payment: &str,
    reason: Option<&str>,
    last: Option<&Subscription>,
) -> Option<(SubscriptionId, CollectedCommand)> {
    if !TopUp::is_provider_payment(payment) {
        return None;
    }
    let (id, start) = Subscription::of_origin(origin)?;
    let (reason, payment) = (reason?, payment.into());
    if let Some(cents) = reason.strip_prefix(CHANGE).and_then(|rest| rest.strip_suffix(" cents")) {
        let Upgrade { number, plan, .. } = last?.upgrade.as_ref()?;
        let (number, terms, cents) = (*number, Terms::of(plan), cents.parse().ok()?);
        return Some((id, CollectedCommand::PayChange { number, payment, terms, cents, tax_cents: 0 }));
    }
    let (terms, cents) = Terms::of_reason(reason)?;
    Some((id, CollectedCommand::PayPeriod { payment, terms, start, cents, tax_cents: 0 }))
}

/// A subscription that ended at its provider. One with months to come ends after them.
fn end(last: &Subscription) -> Option<SubscriptionChange> {
    let Some(cancels_at) = last.period_end() else { return Some(SubscriptionChange::Ended) };
    if last.months_granted == last.months_paid {
        return Some(SubscriptionChange::Ended);
    }
    assert!(last.months_granted < last.months_paid, "i11: a month must be paid before it is granted");
    last.cancels_at.is_none().then_some(SubscriptionChange::CancelAsked { cancels_at })
}

/// A grant that was paid at a provider, and the entry that says what it is for.
fn granted(
    view: &View,
    Brings { credits, cents }: Brings,
    origin: Box<str>,
    reason: String,
    change: impl FnOnce(GrantId) -> SubscriptionChange,
) -> Result<Vec<EntryBody>, Refusal> {
    let request = GrantRequest {
        source: Source::Subscription,
        amount: credits,
        reason: Some(reason.into()),
        origin: Some(origin),
        paid_cents: cents,
    };
    paid(view, request, |grant| PaymentChange::Subscription(Box::new(change(grant))))
}
