//! Money of this ledger whose top-up or subscription it does not have: it is a restored copy from
//! before that began. What came in, and what goes back, is noted for an operator.
//!
//! What is there after all is left to be observed again.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{Payments, Provider, SubscriptionId, TopUp, WorkspaceId};

use super::{NotObserved, Observer, Subject, top_up_of};
use crate::app::App;
use crate::payments::stripe::calls::subscriptions::SUBSCRIPTION;
use crate::payments::stripe::objects::subscriptions::StripeSubscription;
use crate::payments::stripe::objects::{DisputeStatus, IntentStatus, ObjectId, PaymentIntent, Reference};
use crate::payments::stripe::provider::Stripe;

/// What an operator reads about such money.
const NO_TOP_UP: &str = "is of a top-up that is not there, as after a restored backup";
const NO_SUBSCRIPTION: &str = "is of a subscription that is not there, as after a restored backup";
const GOES_BACK: &str =
    "goes back of a payment that is not there, as after a restored backup; no credit was taken";

/// Notes the money of an object that cannot be observed because what it belongs to is not there.
/// Returns true if there is money.
///
/// # Errors
/// Why it must be looked at again later: `Missing` if it is there after all.
pub async fn report_missing(
    app: &App,
    stripe: &Stripe,
    subject: Subject,
    id: &ObjectId,
) -> Result<bool, NotObserved> {
    let observer = Observer::new(app, stripe)?;
    match subject {
        Subject::Payment => observer.payment_without_top_up(id).await,
        Subject::Invoice => observer.invoice_without_subscription(id).await,
        Subject::Refund => {
            let refund = observer.client.one_refund(id).await?;
            let money = refund.takes().then_some((refund.amount, refund.currency.as_str()));
            observer.goes_back(id, refund.payment_intent.as_ref(), money).await
        }
        Subject::Dispute => {
            let dispute = observer.client.dispute(id).await?;
            let takes = dispute.status != DisputeStatus::TakesNothing;
            let money = takes.then_some((dispute.amount, dispute.currency.as_str()));
            observer.goes_back(id, dispute.payment_intent.as_ref(), money).await
        }
        Subject::FraudWarning => {
            let warning = observer.client.fraud_warning(id).await?;
            observer.goes_back(id, warning.payment_intent.as_ref(), None).await
        }
        Subject::Subscription => {
            let found = observer.client.subscription(id).await?;
            // Its invoices have events of their own.
            observer.owner_without_subscription(&found).await.map(|_| false)
        }
        // Its payment has an event of its own, and without a workspace no card is charged.
        Subject::Checkout | Subject::PaymentMethod | Subject::Customer => Ok(false),
    }
}

impl Observer<'_> {
    async fn payment_without_top_up(&self, id: &ObjectId) -> Result<bool, NotObserved> {
        let intent = self.client.payment(id).await?;
        if intent.status != IntentStatus::Succeeded {
            return Ok(false);
        }
        let workspace = self.owner_without_top_up(&intent).await?;
        tracing::error!(%workspace, payment = %id, "a payment is of a top-up that is not there; no credit was granted");
        let money = (intent.amount_received, intent.currency.as_str());
        self.note(&workspace, &name_of(id), money, NO_TOP_UP).await?;
        Ok(true)
    }

    async fn invoice_without_subscription(&self, id: &ObjectId) -> Result<bool, NotObserved> {
        let invoice = self.client.invoice(id).await?;
        let Some(subscription) = invoice.subscription() else { return Ok(false) };
        let found = self.client.subscription(subscription).await?;
        let workspace = self.owner_without_subscription(&found).await?;
        let name = name_of(id);
        if !invoice.is_paid() || self.is_noted(&name).await? {
            return Ok(false);
        }
        tracing::error!(%workspace, invoice = %id, "an invoice is of a subscription that is not there; no credit was granted");
        self.note(&workspace, &name, (invoice.total, &invoice.currency), NO_SUBSCRIPTION).await?;
        Ok(true)
    }

    /// Money that goes back of a payment that is not there, if it takes any.
    async fn goes_back(
        &self,
        id: &ObjectId,
        payment: Option<&Reference<PaymentIntent>>,
        money: Option<(i64, &str)>,
    ) -> Result<bool, NotObserved> {
        let Some(payment) = payment else { return Ok(false) };
        let intent = self.client.payment(payment.id()).await?;
        let workspace = if self.owner(&intent.metadata)?.is_some() {
            self.owner_without_top_up(&intent).await?
        } else {
            let invoice = self.client.invoice_of_payment(&intent.id).await?.ok_or(NotObserved::Missing)?;
            let invoice = self.client.invoice(&invoice).await?;
            let subscription = invoice.subscription().ok_or(NotObserved::Missing)?;
            self.owner_without_subscription(&self.client.subscription(subscription).await?).await?
        };
        let Some(money) = money else { return Ok(false) };
        tracing::error!(%workspace, %id, "money goes back of a payment that is not there; no credit was taken");
        self.note(&workspace, &name_of(id), money, GOES_BACK).await?;
        Ok(true)
    }

    /// Whose a payment is, if the ledger does not have its top-up.
    async fn owner_without_top_up(&self, intent: &PaymentIntent) -> Result<WorkspaceId, NotObserved> {
        let workspace = self.owner(&intent.metadata)?.ok_or(NotObserved::Missing)?;
        let top_up = top_up_of(&intent.metadata)?.ok_or(NotObserved::Missing)?;
        let payments = self.app.engine().payments(&workspace).await?;
        let is_there = payments.is_some_and(|payments| payments.top_up(top_up).is_some());
        if is_there { Err(NotObserved::Missing) } else { Ok(workspace) }
    }

    /// Whose a subscription is, if the ledger does not have it.
    async fn owner_without_subscription(
        &self,
        found: &StripeSubscription,
    ) -> Result<WorkspaceId, NotObserved> {
        let workspace = self.owner(&found.metadata)?.ok_or(NotObserved::Missing)?;
        let name = found.metadata.get(SUBSCRIPTION).and_then(|text| text.parse().ok());
        let name: SubscriptionId = name.ok_or(NotObserved::Missing)?;
        let payments = self.app.engine().payments(&workspace).await?;
        let is_there = payments.is_some_and(|payments| has_begun(&payments, name));
        if is_there { Err(NotObserved::Missing) } else { Ok(workspace) }
    }
}

/// True if the ledger has, or had, this subscription: it is the last one, it was paid for here, or
/// its id is older. Ids of one millisecond, or from before a clock was set back, are in no order.
pub(super) fn has_begun(payments: &Payments, name: SubscriptionId) -> bool {
    let is_older = payments.subscription.as_deref().is_some_and(|last| last.id.0 >= name.0);
    is_older || payments.of_subscriptions.iter().any(|payment| payment.subscription == name)
}

/// The name of an object of Stripe in a note.
pub(super) fn name_of(id: &ObjectId) -> String {
    TopUp::provider_payment(Provider::Stripe, id.as_str())
}
