//! Saved and removed cards, and customers that were deleted at Stripe.

use tollkeeper_ledger::{Card, CardCommand, Command, PaymentCommand, WorkspaceId};

use super::{Hint, NotObserved, Observed, Observer};
use crate::payments::stripe::error::StripeError;
use crate::payments::stripe::objects::{
    CheckoutSession, IntentStatus, ObjectId, PaymentMethod, Reference, SetupIntent,
};

impl Observer<'_> {
    /// Saves the card of a page on which a card was saved.
    pub(super) async fn card_page(
        &self,
        workspace: &WorkspaceId,
        session: &CheckoutSession,
    ) -> Result<Observed, NotObserved> {
        let setup: Option<&SetupIntent> = session.setup_intent.as_ref().and_then(Reference::whole);
        let setup = setup.filter(|setup| setup.status == IntentStatus::Succeeded);
        match setup.and_then(|setup| setup.payment_method.as_ref()?.whole()) {
            Some(method) => self.save_card(workspace, method).await,
            None => Ok(Observed::Ours),
        }
    }

    /// Saves a card, unless it was removed since, or a newer one is saved.
    pub(super) async fn save_card(
        &self,
        workspace: &WorkspaceId,
        method: &PaymentMethod,
    ) -> Result<Observed, NotObserved> {
        let (Some(holder), Some(_)) = (&method.customer, &method.card) else { return Ok(Observed::Ours) };
        let payments = self.payments(workspace).await?;
        let customer = payments.customer.as_ref().ok_or(NotObserved::Missing)?;
        if *customer.id != *holder.id().as_str() {
            return Ok(Observed::Ours);
        }
        let other = payments.card.as_ref().filter(|saved| *saved.id != *method.id.as_str());
        if let Some(other) = other.and_then(|saved| ObjectId::new(&saved.id)) {
            // The event of an older page may come late.
            match self.client.payment_method(&other).await {
                Ok(other) if other.customer.is_some() && other.created > method.created => {
                    return Ok(Observed::Ours);
                }
                Ok(_) | Err(StripeError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.run_save(workspace, method).await
    }

    async fn run_save(
        &self,
        workspace: &WorkspaceId,
        method: &PaymentMethod,
    ) -> Result<Observed, NotObserved> {
        let Some(card) = &method.card else { return Ok(Observed::Ours) };
        let card = Card {
            id: method.id.as_str().into(),
            brand: card.brand.as_str().into(),
            last4: card.last4.as_str().into(),
            expires_month: card.exp_month,
            expires_year: card.exp_year,
        };
        self.run(workspace, Command::Payment(PaymentCommand::Card(CardCommand::SaveCard(card)))).await
    }

    /// A card that was removed at Stripe goes here too. A saved one whose bank renewed it is saved
    /// as it is now.
    pub(super) async fn payment_method(&self, id: &ObjectId, hint: &Hint) -> Result<Observed, NotObserved> {
        let method = self.client.payment_method(id).await?;
        let holder = method.customer.as_ref().map(Reference::id).or(hint.customer_before.as_ref());
        let Some(holder) = holder else { return Ok(Observed::Foreign) };
        let customer = self.client.customer(holder).await?;
        let Some(workspace) = self.owner(&customer.metadata)? else { return Ok(Observed::Foreign) };
        if method.customer.is_none() {
            return self.remove_card(&workspace, id.as_str()).await;
        }
        let payments = self.payments(&workspace).await?;
        let is_saved = payments.card.as_ref().is_some_and(|saved| *saved.id == *id.as_str());
        if is_saved { self.run_save(&workspace, &method).await } else { Ok(Observed::Ours) }
    }

    /// The card of a deleted customer can be charged no more.
    pub(super) async fn customer(&self, id: &ObjectId, hint: &Hint) -> Result<Observed, NotObserved> {
        let customer = self.client.customer(id).await?;
        // Of a deleted one only the event still says whose it was.
        let metadata = if customer.deleted { &hint.metadata } else { &customer.metadata };
        let Some(workspace) = self.owner(metadata)? else { return Ok(Observed::Foreign) };
        let payments = self.payments(&workspace).await?;
        let is_linked = payments.customer.as_ref().is_some_and(|linked| *linked.id == *id.as_str());
        match &payments.card {
            Some(card) if customer.deleted && is_linked => self.remove_card(&workspace, &card.id).await,
            _ => Ok(Observed::Ours),
        }
    }

    async fn remove_card(&self, workspace: &WorkspaceId, id: &str) -> Result<Observed, NotObserved> {
        let removed = CardCommand::RemoveCard { id: Some(id.into()) };
        self.run(workspace, Command::Payment(PaymentCommand::Card(removed))).await
    }
}
