//! Makes what a payer pays with at Stripe: the page of a top-up, a page to save a card, the billing
//! portal.
//!
//! A top-up is committed before its call is made, and the key of the call follows from the top-up
//! and its generation. So the call may be made again after any answer, also by another server, and
//! makes one page. What is sent follows from the top-up too, except where the payer comes back.
//! After an error that Stripe may repeat for the key for ever, the page is looked for. If it is not
//! there, the call is begun anew: nobody knows the address of a page whose answer was lost, so
//! nobody can pay on it.

use tollkeeper_ledger::{
    PaymentCommand, ProviderCall, ProviderCommand, TopUp, TopUpFailure, TopUpId, TopUpStatus,
};

use super::calls::{NewCheckout, TOP_UP};
use super::client::CallKey;
use super::customer::Payer;
use super::error::{IDEMPOTENCY_ERROR, StripeError, Why};
use super::objects::{CheckoutSession, ObjectId, SessionStatus};
use super::observe::{self, Hint, NotObserved, Subject};
use super::provider::Stripe;
use crate::app::App;

/// How long the page of a top-up can be paid. Stripe allows a day; an hour is left for clocks that
/// differ and for calls that are made again.
const PAGE_SECONDS: i64 = 23 * 3_600;

/// What a payer reads.
pub(super) const DESCRIPTION: &str = "Credit";

/// Why there is no page.
#[derive(Debug)]
pub enum NotPlaced {
    /// It is not known now. The same may be asked again.
    Later(NotObserved),
    /// The same top-up was asked for with another way back.
    OtherReturnUrl,
}

impl<T: Into<NotObserved>> From<T> for NotPlaced {
    fn from(error: T) -> NotPlaced {
        NotPlaced::Later(error.into())
    }
}

impl Payer<'_> {
    /// The page of a top-up, which is made if it was not yet. `None` if it can be paid no more.
    ///
    /// # Errors
    /// Why there is no page.
    pub async fn page(&self, id: TopUpId, return_url: &str) -> Result<Option<String>, NotPlaced> {
        let top_up = self.top_up(id).await?;
        if top_up.status != TopUpStatus::Pending {
            return Ok(None);
        }
        if let Some(reference) = top_up.at_provider.reference.as_deref().and_then(ObjectId::new) {
            return Ok(self.client.checkout(&reference).await?.url);
        }
        if !top_up.waits_for_its_call() {
            return Ok(None);
        }
        if self.is_key_used_up(top_up.call_began_at()) {
            // Nobody knows the address of its page. The job gives it up too.
            self.run(PaymentCommand::FailTopUp { top_up: id, failure: TopUpFailure::NotPaid }).await?;
            return Ok(None);
        }
        let customer = self.customer().await?;
        match self.open(&top_up, &customer, return_url).await {
            Ok(session) => Ok(self.placed(id, session).await?),
            Err(error) if error.has_code(IDEMPOTENCY_ERROR) => Err(NotPlaced::OtherReturnUrl),
            Err(error @ StripeError::Refused { status: 400, .. }) => {
                tracing::error!(workspace = %self.workspace, top_up = %id, %error, "Stripe refuses the call of a top-up");
                let failure = TopUpFailure::RefusedByProvider;
                self.run(PaymentCommand::FailTopUp { top_up: id, failure }).await?;
                Ok(None)
            }
            Err(error @ StripeError::Unknown(Why::Status(_))) => {
                Ok(self.look_for(&top_up, &customer, error).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The answer may be saved for the key, so the page is looked for.
    async fn look_for(
        &self,
        top_up: &TopUp,
        customer: &ObjectId,
        error: StripeError,
    ) -> Result<Option<String>, NotObserved> {
        let id = top_up.id.to_string();
        let pages = self.client.checkouts_of(customer).await?.data;
        let page = pages.into_iter().find(|page| page.metadata.get(TOP_UP) == Some(&id));
        if let Some(page) = page {
            return self.placed(top_up.id, page).await;
        }
        let (call, lost) = (ProviderCall::TopUp(top_up.id), top_up.at_provider.generation);
        self.run(PaymentCommand::Provider(ProviderCommand::RenewCall { call, lost })).await?;
        Err(error.into())
    }

    async fn open(
        &self,
        top_up: &TopUp,
        customer: &ObjectId,
        return_url: &str,
    ) -> Result<CheckoutSession, StripeError> {
        let id = top_up.id.to_string();
        // Another customer is another call: the one before was deleted, and its pages with it.
        let call = format!("{id}:{customer}");
        let new = NewCheckout {
            customer,
            cents: top_up.cents,
            description: DESCRIPTION,
            expires_at: top_up.call_began_at().seconds() + PAGE_SECONDS,
            return_url,
            adds_tax: self.app.payments.stripe.adds_tax,
            marks: self.marks(Some((TOP_UP, &id))),
        };
        self.client.open_checkout(&new, &self.key(TOP_UP, &call, top_up.at_provider.generation)).await
    }

    /// Notes the page of a top-up, and returns its address.
    async fn placed(&self, id: TopUpId, page: CheckoutSession) -> Result<Option<String>, NotObserved> {
        let reference = page.id.as_str().into();
        self.run(PaymentCommand::Provider(ProviderCommand::PlaceTopUp { top_up: id, reference })).await?;
        let noted = self.top_up(id).await?.at_provider.reference;
        match noted.as_deref().and_then(ObjectId::new) {
            Some(first) if first != page.id => {
                // Another server made one under the key before. Nobody knows this one's address.
                self.client.expire_checkout(&page.id, &self.fresh_key("expire")).await?;
                Ok(self.client.checkout(&first).await?.url)
            }
            _ => Ok(page.url),
        }
    }

    /// A page on which a card is saved.
    ///
    /// # Errors
    /// Why there is no page.
    pub async fn card_page(&self, return_url: &str) -> Result<Option<String>, NotObserved> {
        let customer = self.customer().await?;
        let key = self.fresh_key("card_page");
        Ok(self.client.open_card_page(&customer, return_url, &self.marks(None), &key).await?.url)
    }

    /// Removes a card at Stripe. One that is not there any more is removed already.
    ///
    /// # Errors
    /// It is not known whether it was removed.
    pub async fn remove_card(&self, id: &str) -> Result<(), NotObserved> {
        let Some(id) = ObjectId::new(id) else { return Ok(()) };
        match self.client.remove_payment_method(&id, &self.fresh_key("remove_card")).await {
            Ok(_) | Err(StripeError::Refused { status: 400 | 404, .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A page of Stripe's for cards, addresses and invoices.
    ///
    /// # Errors
    /// Why there is no page.
    pub async fn billing_portal(&self, return_url: &str) -> Result<String, NotObserved> {
        let customer = self.customer().await?;
        let portal = self.stripe.portal().get_or_try_init(|| self.portal()).await?;
        let key = self.fresh_key("portal_page");
        Ok(self.client.open_portal(&customer, portal, Some(return_url), &key).await?.url)
    }

    /// The portal of this ledger, which is set up once.
    async fn portal(&self) -> Result<ObjectId, StripeError> {
        let portals = self.client.portals().await?.data;
        let is_ours = |ledger: &String| *ledger == self.ledger;
        let known = portals.into_iter().find(|portal| portal.metadata.get("ledger").is_some_and(is_ours));
        if let Some(portal) = known {
            return Ok(portal.id);
        }
        let (client, ledger) = (self.client, &self.ledger);
        let make = move |key: CallKey| async move { client.make_portal(ledger, &key).await };
        let made = self.until_made("portal", self.key("portal", "", 0), make);
        made.await.map(|portal| portal.id)
    }

    async fn top_up(&self, id: TopUpId) -> Result<TopUp, NotObserved> {
        self.payments().await?.top_up(id).cloned().ok_or(NotObserved::Missing)
    }
}

/// Asks Stripe about a top-up that waits on a page, at most every few seconds. Returns the address
/// of the page while it can be paid. Otherwise the ledger knows afterwards what became of it.
pub async fn ask(app: &App, stripe: &Stripe, top_up: &TopUp) -> Option<String> {
    let page = top_up.at_provider.reference.as_deref().and_then(ObjectId::new)?;
    let call = async {
        let session = stripe.client()?.checkout(&page).await?;
        if session.status == Some(SessionStatus::Open) {
            return Ok(session.url);
        }
        observe::observe(app, stripe, Subject::Checkout, &page, &Hint::default()).await?;
        Ok::<_, NotObserved>(None)
    };
    let call = async {
        call.await.unwrap_or_else(|why| {
            tracing::warn!(top_up = %top_up.id, %why, "a top-up is shown as it was known before");
            None
        })
    };
    stripe.asked().once(top_up.id, app.now(), Box::pin(call)).await
}
