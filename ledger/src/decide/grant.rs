//! Decides what grants credit, and what takes it back from a free grant.
//!
//! A subscription or top-up grant needs the payment it comes from (i12). Credit that would take the
//! workspace beyond the bound of a balance is refused. Whether a payment was made is not decided
//! here; the platform reports it. What becomes of a lost one is in `lost`.

use super::view::View;
use crate::payments::subscription::Cause;
use crate::{
    Account, Draw, EntryBody, Grant, GrantId, GrantRequest, Micros, PaymentChange, Refusal, TopUp, bounds,
};

/// Grants credit that is not of a subscription that runs here, whose grants are made with its
/// months, nor of a top-up that a person confirms.
///
/// # Errors
/// `WorkspaceNotFound`, `InvalidField`.
pub(super) fn ask(view: &View, request: GrantRequest) -> Result<Vec<EntryBody>, Refusal> {
    view.account()?;
    let refuse = |why| Err(Refusal::InvalidField { field: "origin", why });
    if request.origin.as_deref().and_then(Cause::of_origin).is_some() {
        return refuse("must not be of a subscription that runs here");
    }
    if request.origin.as_deref().and_then(TopUp::of_manual_payment).is_some() {
        return refuse("must not be of a top-up, which is confirmed instead");
    }
    // It would take the key under which the payment itself grants.
    if request.source.is_paid_for() && request.origin.as_deref().is_some_and(TopUp::is_provider_payment) {
        return refuse("must not be a payment at the provider, which says itself what it paid");
    }
    grant(view, request)
}

/// Grants credit. Debt is repaid from it first.
///
/// # Errors
/// `WorkspaceNotFound`, `InvalidField`.
pub(super) fn grant(view: &View, request: GrantRequest) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let GrantRequest { source, amount, reason, origin, paid_cents } = request;
    if amount <= Micros::ZERO {
        return Err(Refusal::InvalidField { field: "amount", why: "must be more than zero" });
    }
    if source.is_paid_for() && origin.is_none() {
        return Err(Refusal::InvalidField { field: "source", why: "comes with a payment only" });
    }
    check_balance_bound(account, amount)?;
    assert!(amount <= Micros::MAX, "i10: a grant must not exceed what a balance can hold");
    if account.totals.granted + amount > Micros::new(bounds::TOTAL_MAX_MICROS) {
        let why = "would take all that was ever granted beyond 2^61 micro-units";
        return Err(Refusal::InvalidField { field: "amount", why });
    }
    let open = account.grants.iter().filter(|grant| grant.remaining > Micros::ZERO).count();
    if !source.is_paid_for() && open >= bounds::OPEN_GRANTS_MAX {
        let why = "is free credit, of which a workspace holds at most 1,000 grants that are not spent";
        return Err(Refusal::InvalidField { field: "source", why });
    }
    let n = account.chain.n + 1;
    let id = GrantId(view.fresh_id);
    assert!(account.grants.get(n).is_none(), "i02: a grant must have the number of a new entry");
    assert!(account.grants.find(id).is_none(), "a new grant must have a new id");
    let grant = Grant { id, n, source, amount, remaining: amount, voided_at: None };
    let mut bodies = vec![EntryBody::Granted { grant, reason, origin, paid_cents }];
    let repaid = account.balance.debt.min(amount);
    assert!(repaid >= Micros::ZERO, "i04: debt must not be negative");
    if repaid > Micros::ZERO {
        bodies.push(EntryBody::DebtRepaid { draw: Draw { grant: n, amount: repaid } });
    }
    Ok(bodies)
}

/// Grants the credit of a payment that is kept in `payments`. Right after the grant comes the entry
/// that says what was paid; a repayment of debt, which may spend the grant whole, follows both.
///
/// # Errors
/// `WorkspaceNotFound`, `InvalidField`.
pub(super) fn paid(
    view: &View,
    request: GrantRequest,
    change: impl FnOnce(GrantId) -> PaymentChange,
) -> Result<Vec<EntryBody>, Refusal> {
    let mut bodies = grant(view, request)?;
    let Some(EntryBody::Granted { grant, .. }) = bodies.first() else {
        unreachable!("a grant begins with the entry that grants");
    };
    let follows = EntryBody::Payment(Box::new(change(grant.id)));
    assert!(follows.only_follows(), "i12: an entry that names a grant must follow it");
    bodies.insert(1, follows);
    Ok(bodies)
}

/// Refuses credit that would take what the workspace holds beyond [`Micros::MAX`]. What is pending
/// counts, because it may be refunded at any time.
///
/// # Errors
/// `InvalidField`.
pub(super) fn check_balance_bound(account: &Account, amount: Micros) -> Result<(), Refusal> {
    let held = account.balance.available + account.balance.pending;
    assert!(held <= Micros::MAX, "i10: a workspace must not hold more than a balance can");
    if held.checked_add(amount).is_none_or(|sum| sum > Micros::MAX) {
        let why = "would take the balance beyond 2^53 − 1 micro-units";
        return Err(Refusal::InvalidField { field: "amount", why });
    }
    Ok(())
}

/// Takes back what is unspent of a grant; credit that goes back to it later is taken at once. A
/// grant that is voided already stays as it is. Money goes back by a refund of its payment, so a
/// grant that was paid for is not voided.
///
/// # Errors
/// `WorkspaceNotFound`, `GrantNotFound`, `GrantWasPaid`.
pub(super) fn void(view: &View, id: GrantId, reason: Option<Box<str>>) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let grant = account.grants.find(id).ok_or(Refusal::GrantNotFound)?;
    assert!(
        grant.remaining <= account.balance.available,
        "i04: what remains of a grant must not exceed what is available"
    );
    // A grant of a plan that is free, or of a payment of nothing, is free.
    let is_kept =
        account.payments.as_deref().is_some_and(|payments| payments.payments_of(id).next().is_some());
    if grant.source.is_paid_for() && (view.paid_cents > 0 || is_kept) {
        return Err(Refusal::GrantWasPaid);
    }
    if grant.voided_at.is_some() {
        assert!(grant.remaining == Micros::ZERO, "i03: a voided grant must hold nothing");
        return Ok(Vec::new());
    }
    // The draw names the grant by its number, also if nothing is left.
    let draws = vec![Draw { grant: grant.n, amount: grant.remaining }];
    Ok(vec![EntryBody::GrantVoided { grant: id, draws, reason }])
}
