//! Decides what is taken or given back when the lost part of a payment is another than before.
//!
//! The command says what *is* lost, so it may come in any order and again: what is taken and owed
//! for the payment becomes its share of the grant's credit, and not more (i13). What is lost of a
//! payment that the workspace keeps is added up in `payments`; of others the caller adds it up.

use super::grant::check_balance_bound;
use super::view::View;
use crate::journal::disagreement::assert_no_violation;
use crate::journal::entry::{LostPart, sum};
use crate::{Account, EntryBody, Grant, GrantId, GrantLoss, Micros, Refusal, Timestamp};

/// Takes or gives back the difference to what was lost before of a grant; nothing if there is none.
/// For a grant of a payment that the workspace keeps, the loss of the payment is reported instead.
///
/// # Errors
/// `WorkspaceNotFound`, `GrantNotFound`, `InvalidField`.
pub(super) fn set_lost(
    view: &View,
    id: GrantId,
    lost_cents: i64,
    evidence: Box<str>,
) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let grant = account.grants.find(id).ok_or(Refusal::GrantNotFound)?;
    let cents = view.paid_cents;
    if cents <= 0 {
        return Err(Refusal::InvalidField { field: "grant", why: "must be one that was paid for" });
    }
    if account.payments.as_deref().is_some_and(|payments| payments.payments_of(id).next().is_some()) {
        let why = "must not be of a payment that is kept; report what is lost of the payment";
        return Err(Refusal::InvalidField { field: "grant", why });
    }
    let why = "must be zero to what was paid for the grant";
    let credit = grant.amount.share(lost_cents, cents);
    let credit = credit.ok_or(Refusal::InvalidField { field: "lost_cents", why })?;
    let loss = GrantLoss { grant: id, lost_cents, paid_cents: cents, credit };
    Ok(towards(account, loss, evidence)?.into_iter().collect())
}

/// The entry that brings what is taken and owed for a grant to its lost part; none if it is that.
///
/// # Errors
/// `InvalidField`.
pub(super) fn towards(
    account: &Account,
    GrantLoss { grant, lost_cents, paid_cents, credit }: GrantLoss,
    evidence: Box<str>,
) -> Result<Option<EntryBody>, Refusal> {
    let grant = account.grants.find(grant).expect("a grant of which a part is lost is in the view");
    let id = grant.id;
    let before = account.claw_backs.lost_of(id);
    assert!(before <= grant.amount, "i13: a payment must not lose more than it brought");
    assert!(credit <= grant.amount, "i13: no more may be lost than the payment brought");
    let lost = LostPart { grant: id, lost_cents, paid_cents, credit, evidence };
    if credit > before {
        return Ok(Some(increased(account, grant, lost, credit - before)));
    }
    if credit < before {
        return Ok(Some(reduced(account, lost, before - credit)?));
    }
    Ok(None)
}

/// A month that is granted, and its loss if its payments were lost before: the month is lost by the
/// same share, and comes back with the rest if they are won.
///
/// # Errors
/// `InvalidField`.
pub(super) fn with_loss_of_month(
    account: &Account,
    mut bodies: Vec<EntryBody>,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let payments = account.payments.as_deref().expect("a month is paid before it is granted");
    let open = payments.of_subscriptions.iter().filter(|payment| payment.months_left > 0);
    let mut lost = open.filter(|payment| payments.lost_cents(&payment.payment) > Some(0));
    let Some(first) = lost.next() else { return Ok(bodies) };
    let evidence = format!("lost before: {}", first.payment);
    let mut after = account.clone();
    for body in &bodies {
        assert_no_violation(after.foresee_at(body, now));
    }
    let granted = bodies.iter().find_map(|body| match body {
        EntryBody::Granted { grant, .. } => Some(grant.id),
        _ => None,
    });
    let granted = granted.expect("a month that was paid for is granted");
    let loss = after.payments.as_deref().and_then(|payments| payments.loss_of(granted));
    let loss = loss.expect("a month is of the payments that paid for it");
    if let Some(body) = towards(&after, loss, evidence.into())? {
        assert_no_violation(after.foresee_at(&body, now));
        bodies.push(body);
    }
    let taken = after.claw_backs.lost_of(granted);
    assert!(taken == loss.credit, "i13: a month must be lost by the share of its payments that is lost");
    Ok(bodies)
}

/// Takes what is unspent of the grant, then what else is available; the rest is owed.
fn increased(account: &Account, grant: &Grant, lost: LostPart, amount: Micros) -> EntryBody {
    assert!(amount > Micros::ZERO, "i13: a claw-back must not grow by nothing");
    let taken = amount.min(account.balance.available);
    let draws = account.grants.plan_from(Some(grant.n), taken);
    assert!(sum(&draws) == taken, "the draws of a claw-back must sum to what it takes");
    let owed = amount - taken;
    assert!(
        owed == Micros::ZERO || taken == account.balance.available,
        "i04: nothing may be owed while credit is available"
    );
    EntryBody::ClawBackIncreased { lost, owed, draws }
}

/// Forgives what is owed, then gives back what was taken last.
///
/// # Errors
/// `InvalidField` if the workspace would hold more than it can.
fn reduced(account: &Account, lost: LostPart, amount: Micros) -> Result<EntryBody, Refusal> {
    let (forgiven, returns) = assert_no_violation(account.claw_backs.clone().reduce(lost.grant, amount));
    assert!(forgiven + sum(&returns) == amount, "i13: just what is lost no more must be given back");
    let loaded = |n: u64| account.grants.get(n).is_some();
    assert!(
        account.claw_backs.drawn_grants().all(loaded),
        "i03: a view must hold the grants from which claw-backs took credit"
    );
    check_balance_bound(account, sum(&returns))?;
    Ok(EntryBody::ClawBackReduced { lost, forgiven, returns })
}
