//! Sends the money of payment refunds back to the payer.
//!
//! The ledger took the credit before, in the change that requested the refund. The call is made
//! under a key that follows from the refund and its generation, by the request at once and by the
//! job `jobs::due_payments` until it is answered. If Stripe refuses, the refund fails and its
//! credit comes back. What becomes of a refund later is in `observe`.

use tollkeeper_ledger::{
    PaymentCommand, PaymentRefund, PaymentRefundCommand, PaymentRefundId, Payments, ProviderCall, TopUp,
};

use super::after_error::Next;
use super::calls::PAYMENT_REFUND;
use super::customer::Payer;
use super::error::StripeError;
use super::objects::{ObjectId, Refund};
use super::observe::{self, NotObserved};

impl Payer<'_> {
    /// Sends the money of a payment refund that waits for it. One that does not wait is left as it
    /// is.
    ///
    /// # Errors
    /// It is not known what became of the call. The same is to be done again.
    pub async fn send_back(&self, id: PaymentRefundId) -> Result<(), NotObserved> {
        let payments = self.payments().await?;
        let refund = payments.back.refund(id).ok_or(NotObserved::Missing)?;
        if !refund.waits_for_its_call() {
            return Ok(());
        }
        let (payment, cents) = paid_back(&payments, refund).ok_or(NotObserved::Missing)?;
        let began_at = refund.call_began_at();
        self.check_settled(refund.generation, began_at)?;
        if self.is_key_used_up(began_at) {
            return self.look_for_refund(refund, &payment).await;
        }
        if refund.generation > 0 && self.adopt_refund(refund, &payment).await? {
            return Ok(());
        }
        let text = id.to_string();
        let (marks, key) =
            (self.marks(Some((PAYMENT_REFUND, &text))), self.key(PAYMENT_REFUND, &text, refund.generation));
        match self.client.refund(&payment, cents, &marks, &key).await {
            Ok(made) => self.hear_of_refund(id, &made).await,
            Err(error) => match self.next_after(&error, ProviderCall::PaymentRefund(id), refund.generation) {
                Next::Later => Err(error.into()),
                Next::LookUp => self.look_for_refund(refund, &payment).await,
                Next::Refused => self.refund_refused(refund, &payment, &error).await,
            },
        }
    }

    async fn look_for_refund(&self, refund: &PaymentRefund, payment: &ObjectId) -> Result<(), NotObserved> {
        if self.adopt_refund(refund, payment).await? {
            return Ok(());
        }
        self.begin_anew(ProviderCall::PaymentRefund(refund.id), refund.generation).await
    }

    /// Tells the ledger of the first refund at Stripe that is this one; returns true if there is
    /// one.
    async fn adopt_refund(&self, refund: &PaymentRefund, payment: &ObjectId) -> Result<bool, NotObserved> {
        let id = refund.id.to_string();
        let made = self.client.refunds_of(payment).await?;
        let ours = made.iter().rev().find(|made| made.metadata.get(PAYMENT_REFUND) == Some(&id));
        match ours {
            Some(made) => self.hear_of_refund(refund.id, made).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn hear_of_refund(&self, id: PaymentRefundId, made: &Refund) -> Result<(), NotObserved> {
        observe::refund_as_fetched(self.app, self.stripe, self.workspace, id, made).await
    }

    /// The money cannot go back, as after a dispute: the credit is given back. A refund that was
    /// made before may be the reason.
    async fn refund_refused(
        &self,
        refund: &PaymentRefund,
        payment: &ObjectId,
        error: &StripeError,
    ) -> Result<(), NotObserved> {
        if self.adopt_refund(refund, payment).await? {
            return Ok(());
        }
        let id = refund.id;
        tracing::error!(workspace = %self.workspace, refund = %id, %error, "Stripe refuses a payment refund");
        let reason = error.to_string().into();
        self.run(PaymentCommand::Refund(PaymentRefundCommand::Fail { refund: id, reason })).await
    }
}

/// The payment at Stripe of a payment refund, and what is sent back of it: the tax that was paid on
/// top goes back with it, rounded down.
fn paid_back(payments: &Payments, refund: &PaymentRefund) -> Option<(ObjectId, i64)> {
    let payment = ObjectId::new(TopUp::of_provider_payment(&refund.payment)?)?;
    let is_paid_by = |top_up: &&TopUp| top_up.payment.as_ref() == Some(&refund.payment);
    let top_up = payments.top_ups.iter().find(is_paid_by)?;
    Some((payment, with_tax(refund.cents, top_up.cents, top_up.at_provider.tax_cents)))
}

fn with_tax(cents: i64, paid_cents: i64, tax_cents: i64) -> i64 {
    assert!((1..=paid_cents).contains(&cents), "i13: no more goes back than was paid");
    let paid = i128::from(paid_cents);
    let gross = i128::from(cents) * (paid + i128::from(tax_cents)) / paid;
    i64::try_from(gross).expect("a part of what was paid is an i64")
}

#[cfg(test)]
mod tests {
    use super::with_tax;

    #[test]
    fn the_tax_goes_back_with_its_part() {
        assert_eq!(with_tax(2_500, 2_500, 475), 2_975, "all of it");
        assert_eq!(with_tax(1_250, 2_500, 475), 1_487, "half of it, rounded down");
        assert_eq!(with_tax(1, 2_500, 475), 1);
        assert_eq!(with_tax(700, 2_500, 0), 700);
    }
}
