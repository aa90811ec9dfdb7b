//! Decides what becomes of a top-up by what a payment provider says: that something was made for
//! it, that its money came in, or that its page is over. And that a call left nothing, also one of
//! a payment refund.
//!
//! The commands say what is. One that changes nothing writes nothing, so they may come twice, late
//! and in any order. Money that came in is the truth: it grants its credit also if the top-up
//! failed or expired before. Money that does not fit the top-up grants nothing.

use super::payments::{body, succeed};
use super::view::View;
use crate::payments::card::is_provider_id;
use crate::{
    Account, EntryBody, PaymentChange, ProviderCall, ProviderChange, ProviderCommand, Refusal, TopUp,
    TopUpId, TopUpStatus, TopUpWay, bounds,
};

/// Decides a command about what happened at a payment provider.
///
/// # Errors
/// `TopUpNotFound`, `PaymentUnmatched`, `InvalidField`.
pub(super) fn decide(
    view: &View,
    account: &Account,
    command: ProviderCommand,
) -> Result<Vec<EntryBody>, Refusal> {
    match command {
        ProviderCommand::PlaceTopUp { top_up, reference } => place(account, top_up, reference),
        ProviderCommand::SucceedTopUp { top_up, payment, cents, tax_cents } => {
            let top_up = find(account, top_up)?;
            let is_of_plan = account.payments.as_deref().is_some_and(|payments| {
                payments.of_subscriptions.iter().any(|other| other.payment == payment)
            });
            if is_of_plan || !fits(top_up, &payment, cents, tax_cents) {
                return Err(Refusal::PaymentUnmatched);
            }
            if top_up.status == TopUpStatus::Succeeded {
                assert!(top_up.grant.is_some(), "i12: a top-up that was paid must have its grant");
                return Ok(Vec::new());
            }
            assert!(top_up.payment.is_none(), "i12: a top-up that was not paid must have no payment");
            let reason = TopUp::reason_of(top_up.id).into();
            succeed(view, top_up, payment, Some(reason), tax_cents)
        }
        ProviderCommand::ExpireTopUp { top_up } => {
            let top_up = find(account, top_up)?;
            if !top_up.waits_on_a_page() {
                return Ok(Vec::new());
            }
            assert!(top_up.payment.is_none(), "i12: a top-up that was paid must not expire");
            Ok(vec![body(PaymentChange::TopUpExpired(top_up.id))])
        }
        ProviderCommand::RenewCall { call, lost } => renew(account, call, lost),
    }
}

/// The entry that begins a call anew; none if it is done, or was begun anew before.
///
/// # Errors
/// `TopUpNotFound`, `InvalidField`.
fn renew(account: &Account, call: ProviderCall, lost: u32) -> Result<Vec<EntryBody>, Refusal> {
    let (waits, present) = match call {
        ProviderCall::TopUp(id) => {
            let top_up = find(account, id)?;
            (top_up.waits_for_its_call(), top_up.at_provider.generation)
        }
        ProviderCall::PaymentRefund(id) => {
            let refund = account.payments.as_deref().and_then(|payments| payments.back.refund(id));
            let unknown = Refusal::InvalidField { field: "refund", why: "must be one of the workspace" };
            let refund = refund.ok_or(unknown)?;
            (refund.waits_for_its_call(), refund.generation)
        }
    };
    let next = lost.checked_add(1).filter(|_| waits && present == lost);
    Ok(next.map_or_else(Vec::new, |generation| {
        assert!(generation > present, "a new call must have a new key");
        vec![change(ProviderChange::CallRenewed { call, generation })]
    }))
}

fn change(change: ProviderChange) -> EntryBody {
    body(PaymentChange::Provider(change))
}

fn find(account: &Account, id: TopUpId) -> Result<&TopUp, Refusal> {
    let payments = account.payments.as_deref().ok_or(Refusal::TopUpNotFound)?;
    let top_up = payments.top_up(id).ok_or(Refusal::TopUpNotFound)?;
    assert!(top_up.id == id, "a top-up must be found by its own id");
    Ok(top_up)
}

/// The entry that says what was made for a top-up; none if it needs nothing, or has something.
///
/// # Errors
/// `TopUpNotFound`, `InvalidField`.
fn place(account: &Account, id: TopUpId, reference: Box<str>) -> Result<Vec<EntryBody>, Refusal> {
    let top_up = find(account, id)?;
    let refuse = |why| Err(Refusal::InvalidField { field: "reference", why });
    if !is_provider_id(&reference) {
        return refuse("must be an id of the provider");
    }
    if !top_up.waits_for_its_call() {
        return Ok(Vec::new());
    }
    let other = account.payments.as_deref().and_then(|payments| payments.top_up_of_reference(&reference));
    if other.is_some() {
        return refuse("belongs to another top-up");
    }
    assert!(top_up.way != TopUpWay::Manual, "a provider must place only what is paid there");
    assert!(top_up.at_provider.tax_cents == 0, "tax must not be paid before the top-up is");
    Ok(vec![change(ProviderChange::TopUpPlaced { top_up: id, reference })])
}

/// True if the money pays for the top-up: its sum, its tax, and no second payment.
fn fits(top_up: &TopUp, payment: &str, cents: i64, tax_cents: i64) -> bool {
    let is_first = top_up.payment.as_deref().is_none_or(|paid| paid == payment);
    let is_tax = (0..=bounds::TOP_UP_MAX_CENTS).contains(&tax_cents);
    is_first
        && is_tax
        && cents == top_up.cents
        && top_up.way != TopUpWay::Manual
        && TopUp::is_provider_payment(payment)
}
