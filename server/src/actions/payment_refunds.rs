//! Sending money back to the payer of a top-up. The credit is taken first; then the money is sent,
//! by the platform itself or by the provider that took it.

use std::time::Duration;

use tollkeeper_engine::{Output, Reads};
use tollkeeper_ledger::{
    Command, IdempotencyKey, PaymentCommand, PaymentRefund, PaymentRefundCommand, PaymentRefundId, TopUp,
    TopUpId, WorkspaceId,
};

use crate::http::call::{Call, existing, wrong_output};
use crate::http::problem::Problem;
use crate::http::refusal::top_up_not_found;
use crate::payments::stripe::customer::Payer;

/// How long a request waits until the money is sent. The job goes on.
const SEND_TIME: Duration = Duration::from_secs(5);

/// Sends money back: `cents`, or all whose credit is unspent if `None`. Returns the refund as it is
/// then, and whether it was requested before under the same key.
///
/// # Errors
/// The workspace has no such top-up, the money cannot be sent back, or the ledger refuses.
pub async fn request(
    call: &Call,
    workspace: &WorkspaceId,
    key: IdempotencyKey,
    top_up: TopUpId,
    (cents, reason): (Option<i64>, Box<str>),
) -> Result<(PaymentRefund, bool), Problem> {
    let payments = existing(workspace, call.app.engine().payments(workspace).await?)?;
    // Money that a provider took is sent back there.
    let payment = payments.top_up(top_up).ok_or_else(top_up_not_found)?.payment.as_deref();
    let by_hand = payment.is_none_or(|payment| TopUp::of_provider_payment(payment).is_none());
    if !by_hand && call.app.stripe.is_none() {
        let why = "was paid at Stripe, which does not take the payments of this server now";
        return Err(Problem::field("top_up", why));
    }
    let command = PaymentRefundCommand::Request { top_up, cents, reason, by_hand };
    let command = Command::Payment(PaymentCommand::Refund(command));
    let answer = call.run(workspace, Some(key), command).await?;
    let Output::PaymentRefund(refund, _) = answer.output else {
        return Err(wrong_output("a payment refund"));
    };
    let present = if by_hand { None } else { send(call, workspace, refund.id).await? };
    Ok((present.unwrap_or(*refund), answer.replayed))
}

/// Sends the money of a refund, so that the answer mostly says what became of it. If it cannot be
/// sent now, the job sends it later. Returns the refund as it is then.
async fn send(
    call: &Call,
    workspace: &WorkspaceId,
    id: PaymentRefundId,
) -> Result<Option<PaymentRefund>, Problem> {
    if let Some(stripe) = &call.app.stripe {
        let sent = async { Payer::new(&call.app, stripe, workspace)?.send_back(id).await };
        match tokio::time::timeout(SEND_TIME, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!(%workspace, refund = %id, %why, "a payment refund is sent later"),
            Err(_) => tracing::warn!(%workspace, refund = %id, "a payment refund is not answered in time"),
        }
    }
    let payments = existing(workspace, call.app.engine().payments(workspace).await?)?;
    Ok(payments.back.refund(id).cloned())
}
