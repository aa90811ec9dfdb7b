//! Charges the saved card for automatic top-ups.
//!
//! A charge of an operation only opens the top-up; nothing is sent in the middle of it. After its
//! commit the job `jobs::due_payments` makes the call here, under a key that follows from the
//! top-up and its generation. So the card is charged once, however often the call is made. What a
//! payment says is in `observe`; a webhook event says the same again. Calls whose answer is not
//! known are in `after_error`.

use tollkeeper_ledger::{
    CardCommand, PaymentCommand, Payments, ProviderCall, ProviderCommand, TopUp, TopUpFailure, TopUpId,
    TopUpWay,
};

use super::after_error::Next;
use super::calls::{NewPayment, TOP_UP};
use super::customer::Payer;
use super::error::StripeError;
use super::objects::{IntentStatus, ObjectId, PaymentIntent};
use super::observe::{self, NotObserved};
use super::place::DESCRIPTION;

impl Payer<'_> {
    /// Charges the saved card for a top-up that waits for it. One that does not wait is left as it
    /// is.
    ///
    /// # Errors
    /// It is not known what became of the call. The same is to be done again.
    pub async fn charge_card(&self, id: TopUpId) -> Result<(), NotObserved> {
        let payments = self.payments().await?;
        let top_up = payments.top_up(id).ok_or(NotObserved::Missing)?;
        if top_up.way != TopUpWay::Automatic || !top_up.waits_for_its_call() {
            return Ok(());
        }
        let (customer, card) = payer_of(&payments);
        let (Some(customer), Some(card)) = (&customer, &card) else {
            // The card was removed after the top-up was opened. It may have been charged before.
            let is_known = match &customer {
                Some(customer) => self.adopt_payments(top_up, customer).await?,
                None => false,
            };
            return if is_known { Ok(()) } else { self.fail_top_up(id, TopUpFailure::NotPaid).await };
        };
        let (text, generation) = (id.to_string(), top_up.at_provider.generation);
        let began_at = top_up.call_began_at();
        self.check_settled(generation, began_at)?;
        if self.is_key_used_up(began_at) {
            return self.look_for_payment(top_up, customer).await;
        }
        if generation > 0 && self.adopt_payments(top_up, customer).await? {
            return Ok(());
        }
        let new = NewPayment {
            customer,
            payment_method: card,
            cents: top_up.cents,
            description: DESCRIPTION,
            marks: self.marks(Some((TOP_UP, &text))),
        };
        match self.client.pay(&new, &self.key(TOP_UP, &text, generation)).await {
            Ok(intent) => self.hear_of_payment(id, &intent).await,
            Err(StripeError::Declined(decline)) => self.fail_top_up(id, decline.failure()).await,
            Err(error) => match self.next_after(&error, ProviderCall::TopUp(id), generation) {
                Next::Later => Err(error.into()),
                Next::LookUp => self.look_for_payment(top_up, customer).await,
                Next::Refused => self.payment_refused(id, customer, card, &error).await,
            },
        }
    }

    /// The call cannot be sent any more, or its error is saved for the key: what it made is looked
    /// for.
    async fn look_for_payment(&self, top_up: &TopUp, customer: &ObjectId) -> Result<(), NotObserved> {
        if self.adopt_payments(top_up, customer).await? {
            return Ok(());
        }
        self.begin_anew(ProviderCall::TopUp(top_up.id), top_up.at_provider.generation).await
    }

    /// Tells the ledger of all payments of a top-up, the one that succeeded first; returns true if
    /// there is one.
    async fn adopt_payments(&self, top_up: &TopUp, customer: &ObjectId) -> Result<bool, NotObserved> {
        let id = top_up.id.to_string();
        let mut found = self.client.payments_of(customer).await?;
        found.retain(|intent| intent.metadata.get(TOP_UP) == Some(&id));
        found.sort_by_key(|intent| intent.status != IntentStatus::Succeeded);
        for intent in &found {
            self.hear_of_payment(top_up.id, intent).await?;
        }
        Ok(!found.is_empty())
    }

    /// Tells the ledger what a payment says. One that is under way is noted.
    async fn hear_of_payment(&self, id: TopUpId, intent: &PaymentIntent) -> Result<(), NotObserved> {
        observe::payment_as_fetched(self.app, self.stripe, intent).await?;
        let reference = intent.id.as_str().into();
        self.run(PaymentCommand::Provider(ProviderCommand::PlaceTopUp { top_up: id, reference })).await
    }

    /// Stripe refuses the request itself: because the card is gone, or for a reason that an
    /// operator must look at.
    async fn payment_refused(
        &self,
        id: TopUpId,
        customer: &ObjectId,
        card: &ObjectId,
        error: &StripeError,
    ) -> Result<(), NotObserved> {
        if self.is_card_of(card, customer, error).await? {
            tracing::error!(workspace = %self.workspace, top_up = %id, %error, "Stripe refuses to charge a card");
            return self.fail_top_up(id, TopUpFailure::RefusedByProvider).await;
        }
        let removed = CardCommand::RemoveCard { id: Some(card.as_str().into()) };
        self.run(PaymentCommand::Card(removed)).await?;
        if self.payments().await?.card.is_some() {
            // The payer has saved another card meanwhile, which is charged instead.
            return Err(error.clone().into());
        }
        self.fail_top_up(id, TopUpFailure::HardDecline).await
    }

    /// True if the card is the customer's. If Stripe knows neither, the key of the API is of
    /// another account, which an operator can mend.
    async fn is_card_of(
        &self,
        card: &ObjectId,
        customer: &ObjectId,
        refused: &StripeError,
    ) -> Result<bool, NotObserved> {
        match self.client.payment_method(card).await {
            Ok(method) => Ok(method.customer.is_some_and(|holder| holder.id() == customer)),
            Err(StripeError::Refused { status: 404, .. }) => match self.client.customer(customer).await {
                Ok(_) => Ok(false),
                Err(StripeError::Refused { status: 404, .. }) => Err(refused.clone().into()),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn fail_top_up(&self, top_up: TopUpId, failure: TopUpFailure) -> Result<(), NotObserved> {
        self.run(PaymentCommand::FailTopUp { top_up, failure }).await
    }
}

/// The customer and the card that are charged.
fn payer_of(payments: &Payments) -> (Option<ObjectId>, Option<ObjectId>) {
    let customer = payments.customer.as_ref().and_then(|customer| ObjectId::new(&customer.id));
    let card = payments.card.as_ref().and_then(|card| ObjectId::new(&card.id));
    (customer, card)
}
