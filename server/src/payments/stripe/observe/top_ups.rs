//! Pages on which top-ups are paid, and payments. Only a payment that succeeded grants.

use tollkeeper_ledger::{
    Command, PaymentCommand, Provider, ProviderCommand, TopUp, TopUpFailure, TopUpId, TopUpWay, WorkspaceId,
};

use super::{NotObserved, Observed, Observer, top_up_of};
use crate::payments::stripe::error::Decline;
use crate::payments::stripe::objects::{
    CheckoutSession, IntentStatus, ObjectId, PaymentIntent, Reference, SessionStatus,
};

/// The currency of every payment, as Stripe writes it.
pub(super) const USD: &str = "usd";

/// What an operator reads about money that fits no top-up.
const NO_FIT: &str = "has another sum or currency than its top-up, or is a second payment of it";

/// What came in for a top-up.
struct Received {
    top_up: TopUpId,
    tax_cents: i64,
    /// Whether it is the whole sum in the right currency, as far as its page says.
    fits: bool,
}

impl Observer<'_> {
    /// A page on which a top-up is paid or a card is saved.
    pub(super) async fn checkout(&self, id: &ObjectId) -> Result<Observed, NotObserved> {
        let session = self.client.checkout(id).await?;
        let Some(workspace) = self.owner(&session.metadata)? else { return Ok(Observed::Foreign) };
        if let Some(subscription) = &session.subscription {
            return self.subscription(subscription.id()).await;
        }
        match top_up_of(&session.metadata)? {
            Some(top_up) => self.paid_page(&workspace, top_up, &session).await,
            None => self.card_page(&workspace, &session).await,
        }
    }

    async fn paid_page(
        &self,
        workspace: &WorkspaceId,
        top_up: TopUpId,
        session: &CheckoutSession,
    ) -> Result<Observed, NotObserved> {
        let intent = session.payment_intent.as_ref().and_then(Reference::whole);
        let is_paid = |intent: &&PaymentIntent| intent.status == IntentStatus::Succeeded;
        if let Some(intent) = intent.filter(is_paid) {
            let observed = self.checkout_succeeded(workspace, top_up, session, intent).await?;
            let method = intent.payment_method.as_ref().and_then(Reference::whole);
            // A card is saved only if the payer agreed.
            let method = method.filter(|_| intent.setup_future_usage.as_deref() == Some("off_session"));
            return match (observed, method) {
                (Observed::Ours, Some(method)) => self.save_card(workspace, method).await,
                (observed, _) => Ok(observed),
            };
        }
        let (status, intent) = (session.status, intent.map(|intent| intent.status));
        let end = match status {
            // A slow payment may still be under way when its page has expired.
            Some(SessionStatus::Expired) if intent != Some(IntentStatus::Processing) => {
                PaymentCommand::Provider(ProviderCommand::ExpireTopUp { top_up })
            }
            Some(SessionStatus::Complete)
                if matches!(intent, Some(IntentStatus::RequiresPaymentMethod | IntentStatus::Canceled)) =>
            {
                PaymentCommand::FailTopUp { top_up, failure: TopUpFailure::NotPaid }
            }
            _ => return Ok(Observed::Ours),
        };
        // The end of a page that another one replaced says nothing about the top-up.
        let payments = self.payments(workspace).await?;
        let known = payments.top_up(top_up).ok_or(NotObserved::Missing)?.at_provider.reference.as_deref();
        if known.is_some_and(|known| known != session.id.as_str()) {
            return Ok(Observed::Ours);
        }
        self.run(workspace, Command::Payment(end)).await
    }

    /// A payment of a top-up.
    pub(super) async fn payment(&self, id: &ObjectId) -> Result<Observed, NotObserved> {
        let intent = self.client.payment(id).await?;
        self.payment_as_fetched(&intent).await
    }

    /// The same, of a payment that was just fetched.
    pub(super) async fn payment_as_fetched(&self, intent: &PaymentIntent) -> Result<Observed, NotObserved> {
        let Some(workspace) = self.owner(&intent.metadata)? else { return Ok(Observed::Foreign) };
        let Some(id) = top_up_of(&intent.metadata)? else { return Ok(Observed::Ours) };
        let payments = self.payments(&workspace).await?;
        match payments.top_up(id).ok_or(NotObserved::Missing)?.way {
            TopUpWay::Automatic => self.automatic(&workspace, id, intent).await,
            // Its page knows what is tax, and whether the payer may try again.
            _ => match self.client.checkout_of(&intent.id).await? {
                Some(session) => self.checkout(&session.id).await,
                None => Err(NotObserved::Missing),
            },
        }
    }

    async fn automatic(
        &self,
        workspace: &WorkspaceId,
        top_up: TopUpId,
        intent: &PaymentIntent,
    ) -> Result<Observed, NotObserved> {
        let failure = match intent.status {
            IntentStatus::Succeeded => return self.automatic_succeeded(workspace, top_up, intent).await,
            // Nobody confirms one whose call was answered by an error in the middle.
            IntentStatus::Canceled | IntentStatus::RequiresConfirmation => TopUpFailure::NotPaid,
            IntentStatus::RequiresPaymentMethod => {
                intent.last_payment_error.as_ref().map_or(TopUpFailure::NotPaid, Decline::failure)
            }
            IntentStatus::RequiresAction => TopUpFailure::AuthenticationNeeded,
            _ => return Ok(Observed::Ours),
        };
        self.fail(workspace, top_up, failure).await
    }

    /// The money of a page is the credit of its top-up.
    async fn checkout_succeeded(
        &self,
        workspace: &WorkspaceId,
        top_up: TopUpId,
        session: &CheckoutSession,
        intent: &PaymentIntent,
    ) -> Result<Observed, NotObserved> {
        let tax_cents = session.tax_cents();
        let is_whole = session.amount_total == Some(intent.amount_received);
        let is_usd = session.currency.as_deref() == Some(USD);
        let received = Received { top_up, tax_cents, fits: is_whole && is_usd };
        self.succeed(workspace, intent, received).await
    }

    async fn automatic_succeeded(
        &self,
        workspace: &WorkspaceId,
        top_up: TopUpId,
        intent: &PaymentIntent,
    ) -> Result<Observed, NotObserved> {
        self.succeed(workspace, intent, Received { top_up, tax_cents: 0, fits: true }).await
    }

    /// Grants the credit of a top-up whose money came in, once. Money that does not fit it grants
    /// nothing.
    async fn succeed(
        &self,
        workspace: &WorkspaceId,
        intent: &PaymentIntent,
        Received { top_up, tax_cents, fits }: Received,
    ) -> Result<Observed, NotObserved> {
        let payment = TopUp::provider_payment(Provider::Stripe, intent.id.as_str());
        let cents = intent.amount_received - tax_cents;
        let succeeded =
            ProviderCommand::SucceedTopUp { top_up, payment: payment.as_str().into(), cents, tax_cents };
        let observed = if fits && intent.currency == USD {
            self.run(workspace, Command::Payment(PaymentCommand::Provider(succeeded))).await?
        } else {
            Observed::Unmatched
        };
        if observed == Observed::Unmatched {
            let (cents, currency) = (intent.amount_received, intent.currency.as_str());
            tracing::error!(%workspace, %top_up, payment, cents, currency, "a payment fits no top-up; no credit was granted");
            self.note(workspace, &payment, (cents, currency), NO_FIT).await?;
        }
        Ok(observed)
    }

    async fn fail(
        &self,
        workspace: &WorkspaceId,
        top_up: TopUpId,
        failure: TopUpFailure,
    ) -> Result<Observed, NotObserved> {
        self.run(workspace, Command::Payment(PaymentCommand::FailTopUp { top_up, failure })).await
    }
}
