//! A subscription that is not the workspace's: it is ended, and what was paid for it is sent back.
//!
//! The page of a subscription may be paid after another one took its place, and an old invoice may
//! be paid after a subscription was replaced. What went back before is not sent again. An operator
//! reads of each such payment.

use tollkeeper_ledger::{Provider, TopUp, WorkspaceId};

use super::{NotObserved, Observed, Observer};
use crate::payments::stripe::calls::Marks;
use crate::payments::stripe::client::CallKey;
use crate::payments::stripe::error::StripeError;
use crate::payments::stripe::objects::ObjectId;
use crate::payments::stripe::objects::subscriptions::{Invoice, StripeSubscription};

/// Stripe's code for a payment of which nothing is left to send back.
const ALL_WENT_BACK: &str = "charge_already_refunded";

/// What an operator reads about money for a subscription that is not the workspace's.
const SENT_BACK: &str = "paid for a subscription that is not the workspace's; it was sent back";
const NOT_SENT_BACK: &str = "paid for a subscription that is not the workspace's; it could not be sent back";

impl Observer<'_> {
    /// Ends a subscription that is not the workspace's, and sends back what was paid for it and is
    /// on no grant.
    pub(super) async fn send_back(
        &self,
        workspace: &WorkspaceId,
        found: &StripeSubscription,
        invoices: Vec<Invoice>,
    ) -> Result<Observed, NotObserved> {
        if !found.has_ended() {
            let id = found.id.as_str();
            tracing::error!(%workspace, subscription = id, "a surplus subscription is ended, and its payments are sent back");
            match self.client.end_subscription(&found.id).await {
                Ok(_) | Err(StripeError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let payments = self.payments(workspace).await?;
        for invoice in invoices {
            let payment = TopUp::provider_payment(Provider::Stripe, invoice.id.as_str());
            // What was noted before was sent back, or an operator looks after it.
            if !payments.is_payment(&payment) && !self.is_noted(&payment).await? {
                self.send_invoice_back(workspace, &invoice).await?;
            }
        }
        Ok(Observed::Ours)
    }

    async fn send_invoice_back(&self, workspace: &WorkspaceId, invoice: &Invoice) -> Result<(), NotObserved> {
        let marks = Marks { ledger: &self.ledger, workspace: workspace.as_str(), subject: None };
        let (mut sum, mut is_sent) = (0_i64, true);
        for (payment, paid_cents) in invoice.paid_with() {
            let refunds = self.client.refunds_of(payment).await?;
            let gone = refunds.iter().filter(|refund| refund.takes()).map(|refund| refund.amount);
            let left = paid_cents - gone.fold(0, i64::saturating_add);
            is_sent &= left <= 0 || self.send_payment_back(&marks, payment, left).await?;
            sum = sum.saturating_add(if left > 0 { left } else { paid_cents });
        }
        if sum <= 0 {
            return Ok(());
        }
        let name = TopUp::provider_payment(Provider::Stripe, invoice.id.as_str());
        let why = if is_sent { SENT_BACK } else { NOT_SENT_BACK };
        self.note_unmatched(workspace, invoice, (&name, sum, why)).await
    }

    /// Sends back what is left of a payment. False if Stripe refuses, or if it failed at once. One
    /// that fails later has an event, and is noted then.
    ///
    /// # Errors
    /// Less is left than the list of refunds says, so the list lacks the newest, or as for every
    /// call.
    async fn send_payment_back(
        &self,
        marks: &Marks<'_>,
        payment: &ObjectId,
        cents: i64,
    ) -> Result<bool, NotObserved> {
        let key = CallKey::of(&self.ledger, "surplus", &format!("{payment}:{cents}"), 0);
        match self.client.refund(payment, cents, marks, &key).await {
            Ok(refund) => Ok(refund.takes()),
            Err(error) if error.has_code(ALL_WENT_BACK) => Ok(true),
            Err(error) if error.is_about("amount") => Err(NotObserved::NotListed),
            Err(StripeError::Refused { status: 400, .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
