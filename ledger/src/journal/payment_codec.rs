//! The bytes of entries about payments, which are part of their canonical bytes (`entry_codec`).
//!
//! A change of a family of its own, such as cards, writes and reads itself in its own file.

use super::codec::{Malformed, Reader, Writer};
use super::kind::Kind;
use crate::{
    AutoTopUpChange, CardChange, GrantId, PaymentChange, PaymentRefundChange, ProviderChange,
    SubscriptionChange, TopUpBounds, TopUpFailure, TopUpId, TopUpWay, bounds,
};

/// Appends the bytes of a change.
pub(super) fn write(w: &mut Writer, change: &PaymentChange) {
    match change {
        PaymentChange::TopUpOpened { top_up, cents, way } => {
            w.id(top_up.0);
            w.signed(*cents);
            w.byte(way.code());
        }
        PaymentChange::TopUpSucceeded { top_up, payment, grant, tax_cents } => {
            w.id(top_up.0);
            // Entries of earlier versions have no tax. No payment has an empty name, so one
            // announces the tax.
            if *tax_cents != 0 {
                w.text("");
                w.signed(*tax_cents);
            }
            w.text(payment);
            w.id(grant.0);
        }
        PaymentChange::TopUpExpired(top_up) => w.id(top_up.0),
        PaymentChange::TopUpFailed { top_up, failure } => {
            w.id(top_up.0);
            w.byte(failure.code());
        }
        PaymentChange::Card(change) => change.write(w),
        PaymentChange::AutoTopUp(change) => change.write(w),
        PaymentChange::Provider(change) => change.write(w),
        PaymentChange::Refund(change) => change.write(w),
        PaymentChange::Subscription(change) => change.write(w),
    }
}

/// Reads the bytes of a change of this kind.
pub(super) fn read(r: &mut Reader, kind: Kind) -> Result<PaymentChange, Malformed> {
    Ok(match kind {
        Kind::TopUpOpened => PaymentChange::TopUpOpened {
            top_up: TopUpId(r.id("a top-up")?),
            cents: read_cents(r)?,
            way: TopUpWay::from_code(r.byte("a top-up's way")?)?,
        },
        Kind::TopUpSucceeded => {
            let top_up = TopUpId(r.id("a top-up")?);
            let (payment, tax_cents) = read_paid(r)?;
            let grant = GrantId(r.id("a payment's grant")?);
            PaymentChange::TopUpSucceeded { top_up, payment: payment.into(), grant, tax_cents }
        }
        Kind::TopUpExpired => PaymentChange::TopUpExpired(TopUpId(r.id("a top-up")?)),
        Kind::TopUpFailed => PaymentChange::TopUpFailed {
            top_up: TopUpId(r.id("a top-up")?),
            failure: TopUpFailure::from_code(r.byte("why a top-up failed")?)?,
        },
        Kind::CustomerLinked | Kind::CardSaved | Kind::CardRemoved => {
            PaymentChange::Card(CardChange::read(r, kind)?)
        }
        Kind::AutoTopUpSet | Kind::AutoTopUpPaused | Kind::AutoTopUpStopped => {
            PaymentChange::AutoTopUp(AutoTopUpChange::read(r, kind)?)
        }
        Kind::TopUpPlaced | Kind::CallRenewed => PaymentChange::Provider(ProviderChange::read(r, kind)?),
        Kind::PaymentRefundRequested
        | Kind::PaymentRefundPlaced
        | Kind::PaymentRefundSucceeded
        | Kind::PaymentRefundFailed
        | Kind::PaymentLost => PaymentChange::Refund(PaymentRefundChange::read(r, kind)?),
        kind => PaymentChange::Subscription(Box::new(SubscriptionChange::read(r, kind)?)),
    })
}

/// Reads the cents of a top-up. Others would break assertions of those who show them.
fn read_cents(r: &mut Reader) -> Result<i64, Malformed> {
    const WHAT: &str = "a top-up's cents";
    let cents = r.signed(WHAT)?;
    if TopUpBounds::WIDEST.allow(cents) { Ok(cents) } else { Err(Malformed(WHAT)) }
}

/// Reads the name of a payment, and the tax that an empty name before it announces.
fn read_paid<'a>(r: &mut Reader<'a>) -> Result<(&'a str, i64), Malformed> {
    const WHAT: &str = "the tax on a payment";
    let payment = r.text("a payment")?;
    if !payment.is_empty() {
        return Ok((payment, 0));
    }
    let tax_cents = r.signed(WHAT)?;
    let payment = r.text("a payment")?;
    let fits = (1..=bounds::TOP_UP_MAX_CENTS).contains(&tax_cents) && !payment.is_empty();
    if fits { Ok((payment, tax_cents)) } else { Err(Malformed(WHAT)) }
}
