//! Decides what becomes of payments: top-ups that are opened, and paid.
//!
//! Credit is granted once, after its payment (i12). The state and what an entry does to it are in
//! `payments`. Whether money came in is not decided here: the platform or its payment provider
//! says so. Debt is repaid from the new credit first, as from every grant.

use super::grant::grant;
use super::view::View;
use crate::payments::top_up::{TopUp, TopUpStatus, TopUpWay};
use crate::{
    Account, EntryBody, GrantRequest, Micros, PaymentChange, PaymentCommand, Refusal, Source, TopUpId, bounds,
};

/// Decides a command about payments; no entry if it would change nothing.
///
/// # Errors
/// `WorkspaceNotFound`, and what each command may be refused for.
pub(super) fn decide(view: &View, command: PaymentCommand) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    match command {
        PaymentCommand::OpenTopUp { cents, way } => {
            let change = open_top_up(account, TopUpId(view.fresh_id), cents, way)?;
            Ok(vec![EntryBody::Payment(Box::new(change))])
        }
        PaymentCommand::ConfirmTopUp(id) => confirm_top_up(view, account, id),
    }
}

/// # Errors
/// `InvalidField`.
fn open_top_up(
    account: &Account,
    top_up: TopUpId,
    cents: i64,
    way: TopUpWay,
) -> Result<PaymentChange, Refusal> {
    if !(1..=bounds::TOP_UP_MAX_CENTS).contains(&cents) {
        return Err(Refusal::InvalidField { field: "amount_usd", why: "must be 0.01 to 999999.99" });
    }
    let payments = account.payments.as_deref();
    if payments.map_or(0, |payments| payments.top_ups.len()) >= bounds::TOP_UPS_MAX {
        let why = "are 10,000 already, the most there can be";
        return Err(Refusal::InvalidField { field: "top_ups", why });
    }
    if payments.map_or(0, |payments| payments.pending_top_ups()) >= bounds::TOP_UPS_PENDING_MAX {
        let why = "wait for their payment already in the number of 100, the most there can be";
        return Err(Refusal::InvalidField { field: "top_ups", why });
    }
    super::grant::check_balance_bound(account, Micros::from_cents(cents))?;
    assert!(
        payments.is_none_or(|payments| payments.top_up(top_up).is_none()),
        "a new top-up must have a new id"
    );
    Ok(PaymentChange::TopUpOpened { top_up, cents, way })
}

/// Grants the credit of a top-up that a person says was paid. One that was paid already changes
/// nothing.
///
/// # Errors
/// `TopUpNotFound`, `InvalidField`.
fn confirm_top_up(view: &View, account: &Account, id: TopUpId) -> Result<Vec<EntryBody>, Refusal> {
    let top_up = account.payments.as_deref().and_then(|payments| payments.top_up(id));
    let top_up = top_up.ok_or(Refusal::TopUpNotFound)?;
    if top_up.status == TopUpStatus::Succeeded {
        assert!(top_up.grant.is_some(), "i12: a top-up that was paid must have its grant");
        return Ok(Vec::new());
    }
    succeed(view, top_up, TopUp::manual_payment(id).into())
}

/// The grant of a payment, and the entry that says which top-up it paid.
fn succeed(view: &View, top_up: &TopUp, payment: Box<str>) -> Result<Vec<EntryBody>, Refusal> {
    assert!(top_up.status == TopUpStatus::Pending, "i12: a top-up must not be paid twice");
    let request = GrantRequest {
        source: Source::TopUp,
        amount: top_up.credits(),
        reason: None,
        origin: Some(payment.clone()),
        paid_cents: top_up.cents,
    };
    let mut bodies = grant(view, request)?;
    let Some(EntryBody::Granted { grant, .. }) = bodies.first() else {
        unreachable!("a grant begins with the entry that grants");
    };
    let change = PaymentChange::TopUpSucceeded { top_up: top_up.id, payment, grant: grant.id };
    // Right after the grant: a repayment of debt may spend it whole.
    bodies.insert(1, EntryBody::Payment(Box::new(change)));
    Ok(bodies)
}
