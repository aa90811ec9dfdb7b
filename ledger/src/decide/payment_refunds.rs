//! Decides what becomes of money that goes back: losses by payment, and payment refunds.
//!
//! Each command changes what is lost of one payment, or says nothing new. The entry that says so
//! comes first. Then each grant of the payment is brought to the part of it that is now lost (i13),
//! each followed by what becomes of the credit at once. The lost cents are computed in
//! `payments::payment_refund`, what is taken in `lost`.

use super::lost;
use super::payments::body;
use super::returns;
use super::view::View;
use crate::journal::disagreement::assert_no_violation;
use crate::{
    Account, EntryBody, GrantLoss, Micros, PaymentChange, PaymentRefundChange, PaymentRefundCommand,
    PaymentRefundId, PaymentRefundStatus, Payments, Refusal, TopUp, TopUpId, bounds,
};

/// Decides a command about money that goes back; no entry if it says nothing new.
///
/// # Errors
/// What each command may be refused for.
pub(super) fn decide(
    view: &View,
    account: &Account,
    command: PaymentRefundCommand,
) -> Result<Vec<EntryBody>, Refusal> {
    let none = Payments::default();
    let payments = account.payments.as_deref().unwrap_or(&none);
    match command {
        PaymentRefundCommand::ReportLoss { payment, elsewhere_cents, disputed_cents, evidence } => {
            report_loss(account, payments, payment, (elsewhere_cents, disputed_cents), evidence)
        }
        PaymentRefundCommand::Request { top_up, cents, reason, by_hand } => {
            request(view, account, payments, (top_up, cents), reason, by_hand)
        }
        PaymentRefundCommand::Place { refund, reference } => place(payments, refund, reference),
        PaymentRefundCommand::Succeed(refund) => {
            if find(payments, refund)? == PaymentRefundStatus::Succeeded {
                return Ok(Vec::new());
            }
            with_claw_backs(account, PaymentRefundChange::Succeeded { refund }, &refund.to_string())
        }
        PaymentRefundCommand::Fail { refund, reason } => {
            if find(payments, refund)? == PaymentRefundStatus::Failed {
                return Ok(Vec::new());
            }
            with_claw_backs(account, PaymentRefundChange::Failed { refund, reason }, &refund.to_string())
        }
    }
}

/// Says what is lost of a payment elsewhere, at the most what was paid counts.
///
/// # Errors
/// `InvalidField`.
fn report_loss(
    account: &Account,
    payments: &Payments,
    payment: Box<str>,
    (elsewhere_cents, disputed_cents): (i64, i64),
    evidence: Box<str>,
) -> Result<Vec<EntryBody>, Refusal> {
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    if payments.paid_cents(&payment).is_none() {
        return refuse("payment", "must be one that the workspace made");
    }
    if elsewhere_cents < 0 {
        return refuse("elsewhere_cents", "must not be less than zero");
    }
    if !(0..=elsewhere_cents).contains(&disputed_cents) {
        return refuse("disputed_cents", "must be zero to what is lost");
    }
    if evidence.len() > bounds::EVIDENCE_MAX_BYTES {
        return refuse("evidence", "must have at most 2,000 bytes");
    }
    // Earlier versions kept a loss of the grant, which may be another.
    let mut losses =
        payments.lost_parts(&payment).into_iter().filter_map(|part| payments.loss_of(part.grant));
    let is_taken = losses.all(|loss| account.claw_backs.lost_of(loss.grant) == loss.credit);
    if payments.back.elsewhere_cents(&payment) == elsewhere_cents && is_taken {
        return Ok(Vec::new());
    }
    let shown = evidence.clone();
    let change = PaymentRefundChange::Lost { payment, elsewhere_cents, disputed_cents, evidence };
    with_claw_backs(account, change, &shown)
}

/// Takes the credit of a part of a payment, so that its money can be sent back.
///
/// # Errors
/// `TopUpNotFound`, `NothingToRefund`, `InvalidField`, `RefundOutOfBounds`.
fn request(
    view: &View,
    account: &Account,
    payments: &Payments,
    (id, asked): (TopUpId, Option<i64>),
    reason: Box<str>,
    by_hand: bool,
) -> Result<Vec<EntryBody>, Refusal> {
    let top_up = payments.top_up(id).ok_or(Refusal::TopUpNotFound)?;
    let Some((payment, grant)) = top_up.payment.as_deref().zip(top_up.grant) else {
        return Err(Refusal::NothingToRefund);
    };
    let grant = account.grants.find(grant).expect("the grants of the payment are in the view");
    let lost = payments.lost_cents(payment).expect("the top-up was paid by this payment");
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    if grant.amount.share(lost, top_up.cents) != Some(account.claw_backs.lost_of(grant.id)) {
        return refuse(
            "top_up",
            "has a loss that an earlier version kept; report what is lost of its payment",
        );
    }
    let unspent = grant.remaining.whole_units(Micros::from_cents(1));
    let refundable_cents = unspent.min(top_up.cents - lost);
    assert!(refundable_cents >= 0, "i13: no more of a payment may be lost than was paid");
    if refundable_cents == 0 {
        return Err(Refusal::NothingToRefund);
    }
    if payments.back.refunds.len() >= bounds::PAYMENT_REFUNDS_MAX {
        return refuse("refunds", "are 10,000 already, the most there can be");
    }
    let cents = asked.unwrap_or(refundable_cents);
    if !(1..=refundable_cents).contains(&cents) {
        return Err(Refusal::RefundOutOfBounds { refundable_cents });
    }
    // What was paid at a provider can only go back there.
    let by_hand = by_hand && !TopUp::is_provider_payment(payment);
    let refund = PaymentRefundId(view.fresh_id);
    assert!(payments.back.refund(refund).is_none(), "a new payment refund must have a new id");
    let payment = payment.into();
    let change =
        PaymentRefundChange::Requested { refund, top_up: id, payment, cents, asked, reason, by_hand };
    let mut bodies = with_claw_backs(account, change, &refund.to_string())?;
    let taken = bodies.iter().filter_map(EntryBody::legs).map(|legs| legs.amount).sum::<Micros>();
    assert!(taken == Micros::from_cents(cents), "i13: the credit of a payment refund must be taken first");
    if by_hand {
        bodies.push(body_of(PaymentRefundChange::Succeeded { refund }));
    }
    Ok(bodies)
}

/// Notes the provider's own id of a payment refund.
///
/// # Errors
/// `InvalidField`.
fn place(payments: &Payments, id: PaymentRefundId, reference: Box<str>) -> Result<Vec<EntryBody>, Refusal> {
    find(payments, id)?;
    let holder = payments.back.refunds.iter().find(|refund| refund.placed.as_ref() == Some(&reference));
    let refuse = |why| Err(Refusal::InvalidField { field: "reference", why });
    match holder {
        Some(holder) if holder.id == id => return Ok(Vec::new()),
        Some(_) => return refuse("must not be that of another payment refund"),
        None => {}
    }
    if payments.back.refund(id).is_some_and(|refund| refund.placed.is_some()) {
        return refuse("must be the one that the payment refund has");
    }
    if reference.is_empty() || reference.chars().count() > bounds::TEXT_MAX_CHARS {
        return refuse("must have 1 to 255 characters");
    }
    Ok(vec![body_of(PaymentRefundChange::Placed { refund: id, reference })])
}

/// The status of a payment refund.
///
/// # Errors
/// `InvalidField`.
fn find(payments: &Payments, id: PaymentRefundId) -> Result<PaymentRefundStatus, Refusal> {
    let unknown = Refusal::InvalidField { field: "refund", why: "must be one of the workspace" };
    payments.back.refund(id).map(|refund| refund.status).ok_or(unknown)
}

fn body_of(change: PaymentRefundChange) -> EntryBody {
    body(PaymentChange::Refund(change))
}

/// The entry about a payment, and what is taken or given back because of it, grant by grant.
///
/// # Errors
/// `InvalidField` if the workspace would hold more than it can.
fn with_claw_backs(
    account: &Account,
    change: PaymentRefundChange,
    evidence: &str,
) -> Result<Vec<EntryBody>, Refusal> {
    let mut after = account.clone();
    let command = change.command();
    let mut bodies = vec![body_of(change)];
    assert_no_violation(after.foresee(&bodies[0]));
    let payments = after.payments.clone().expect("an entry about a payment leaves payments");
    let payment = command.payment(&payments).expect("the entry is about a payment that is there");
    let losses: Vec<GrantLoss> =
        payments.paid_parts(payment).into_iter().filter_map(|part| payments.loss_of(part.grant)).collect();
    for loss in &losses {
        let towards = lost::towards(&after, *loss, evidence.into())?;
        let followed = returns::with_consequences(Some(&after), towards.into_iter().collect());
        for body in &followed {
            assert_no_violation(after.foresee(body));
        }
        bodies.extend(followed);
    }
    for loss in &losses {
        assert!(
            after.claw_backs.lost_of(loss.grant) == loss.credit,
            "i13: what is taken and owed for a payment must be its lost part"
        );
    }
    Ok(bodies)
}
