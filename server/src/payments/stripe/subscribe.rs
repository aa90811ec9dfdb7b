//! Makes what a subscription is at Stripe: the price of its plan, the page on which its first
//! period is paid, and what this ledger wants of it since: another price, an end.
//!
//! A call says what is to be, compared with what Stripe has, so it may be made again after any
//! answer and by another server. Two calls are different. The page has a key that follows from the
//! subscription and its generation; after an error that Stripe may repeat for ever, the page is
//! looked for, and else begun anew, because nobody knows its address. The change to a dearer plan
//! takes money: its key follows from the number of the change, it is sent for 20 hours at most, and
//! a change that was not taken up by then is dropped. What Stripe says of all that is read in
//! `observe::subscriptions`.

use tollkeeper_ledger::{
    CollectedCommand, Ends, PaymentCommand, Placement, Plan, Subscription, SubscriptionCommand,
    SubscriptionStatus, Terms, Timestamp, bounds,
};

use super::calls::subscriptions::{Change, NewSubscription, SUBSCRIPTION};
use super::client::CallKey;
use super::customer::{Payer, unique};
use super::error::{IDEMPOTENCY_ERROR, StripeError, Why};
use super::objects::subscriptions::StripeSubscription;
use super::objects::{CheckoutSession, ObjectId, SessionStatus};
use super::observe::{self, Hint, NotObserved, Subject};

/// How long the page can be paid. Stripe allows a day; an hour is left for clocks that differ.
const PAGE_SECONDS: i64 = 23 * 3_600;

impl Payer<'_> {
    /// The page on which the first period of the subscription is paid, which is made if it was not
    /// yet. `None` if nothing is to be paid there.
    ///
    /// # Errors
    /// Why there is no page.
    pub async fn subscription_page(&self, return_url: &str) -> Result<Option<String>, NotObserved> {
        let Some(last) = self.pending_subscription().await? else { return Ok(None) };
        let placement = placement(&last)?;
        if let Some(page) = placement.page.as_deref().and_then(ObjectId::new) {
            let session = self.client.checkout(&page).await?;
            if session.status == Some(SessionStatus::Open) {
                return Ok(session.url);
            }
            self.end_of_page(&last, &session).await?;
        } else if begun_at(&last, placement).plus_seconds(bounds::CALL_KEY_SECONDS) <= self.app.now() {
            self.begin_page_anew(&last, placement).await?;
        }
        let Some(last) = self.pending_subscription().await? else { return Ok(None) };
        self.open_page(&last, return_url).await
    }

    /// What became of a page that can be paid no more: the subscription that it brought, or
    /// nothing.
    async fn end_of_page(&self, last: &Subscription, session: &CheckoutSession) -> Result<(), NotObserved> {
        if let Some(subscription) = &session.subscription {
            let (app, stripe) = (self.app, self.stripe);
            observe::observe(app, stripe, Subject::Subscription, subscription.id(), &Hint::default()).await?;
        } else if session.status == Some(SessionStatus::Expired) {
            self.begin_page_anew(last, placement(last)?).await?;
        }
        Ok(())
    }

    async fn begin_page_anew(&self, last: &Subscription, was: &Placement) -> Result<(), NotObserved> {
        let renewed_at = Some(self.app.now());
        let generation = was.generation.saturating_add(1);
        self.place(last, Placement { page: None, generation, renewed_at, ..was.clone() }).await
    }

    async fn open_page(&self, last: &Subscription, return_url: &str) -> Result<Option<String>, NotObserved> {
        let was = placement(last)?;
        let (customer, id) = (self.customer().await?, last.id.to_string());
        let price = self.price_of(&last.plan).await?;
        let new = NewSubscription {
            customer: &customer,
            price: &price,
            expires_at: begun_at(last, was).millis().div_euclid(1_000) + PAGE_SECONDS,
            return_url,
            adds_tax: self.app.payments.stripe.adds_tax,
            marks: self.marks(Some((SUBSCRIPTION, &id))),
        };
        let page = match self
            .client
            .open_subscription_page(&new, &self.key(SUBSCRIPTION, &id, was.generation))
            .await
        {
            Ok(page) => page,
            Err(error @ StripeError::Unknown(Why::Status(_))) => {
                let pages = self.client.checkouts_of(&customer).await?.data;
                let is_of = |page: &CheckoutSession| {
                    page.metadata.get(SUBSCRIPTION) == Some(&id) && page.status == Some(SessionStatus::Open)
                };
                let Some(page) = pages.into_iter().find(is_of) else {
                    self.begin_page_anew(last, was).await?;
                    return Err(error.into());
                };
                page
            }
            Err(error @ StripeError::Refused { status: 400, .. }) => {
                // Otherwise the same was asked for with another way back.
                if !error.has_code(IDEMPOTENCY_ERROR) {
                    tracing::error!(workspace = %self.workspace, %error, "Stripe refuses the page of a subscription");
                }
                self.begin_page_anew(last, was).await?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let is = Placement { page: Some(page.id.as_str().into()), ..was.clone() };
        self.place(last, is).await?;
        let Some(now) = self.pending_subscription().await? else { return Ok(None) };
        match placement(&now)?.page.as_deref().and_then(ObjectId::new) {
            Some(first) if first != page.id => {
                // Another server made one under another key. Nobody knows this one's address.
                self.client.expire_checkout(&page.id, &self.key("expire", page.id.as_str(), 0)).await?;
                Ok(self.client.checkout(&first).await?.url)
            }
            _ => Ok(page.url),
        }
    }

    /// Closes the page of a subscription that waits, before another one takes its place. What was
    /// paid on it is granted first.
    ///
    /// # Errors
    /// It is not known whether the page can be paid.
    pub async fn close_subscription_page(&self) -> Result<(), NotObserved> {
        let Some(last) = self.pending_subscription().await? else { return Ok(()) };
        let page = placement(&last)?.page.as_deref().and_then(ObjectId::new);
        let Some(page) = page else { return Ok(()) };
        match self.client.expire_checkout(&page, &self.fresh_key("expire")).await {
            Ok(_) => Ok(()),
            Err(StripeError::Refused { status: 400, .. }) => {
                let session = self.client.checkout(&page).await?;
                self.end_of_page(&last, &session).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells Stripe what it does not know of the subscription: its price, a change, its end.
    ///
    /// # Errors
    /// Stripe does not know all of it.
    pub async fn place_subscription(&self) -> Result<(), NotObserved> {
        let Some(last) = self.last_subscription().await?.filter(Subscription::wants_placing) else {
            return Ok(());
        };
        let was = placement(&last)?;
        let Some(reference) = was.reference.as_deref().and_then(ObjectId::new) else { return Ok(()) };
        let found = self.client.subscription(&reference).await?;
        let (terms, change, ends) = last.wanted();
        if found.has_ended() {
            return self.look_at(&found).await;
        }
        if ends == Ends::Now {
            match self.client.end_subscription(&reference).await {
                Ok(_) | Err(StripeError::Refused { status: 404, .. }) => {}
                Err(error) => return Err(error.into()),
            }
            return self.place(&last, Placement { ends, ..was.clone() }).await;
        }
        if change == 0 && found.pending_update.is_some() {
            self.void_change(&found).await?;
        }
        if found.terms().as_ref() != Some(&terms) && change == 0 {
            let price = self.price_of(last.next_plan.as_ref().unwrap_or(&last.plan)).await?;
            self.client.change_price(&found, (&price, Change::NextPeriod), &self.fresh_key("price")).await?;
        }
        let ends_at_stripe = if found.is_ending() { Ends::WithPeriod } else { Ends::No };
        if ends != ends_at_stripe && change == 0 {
            let is_ending = ends == Ends::WithPeriod;
            self.client.end_with_period(&reference, is_ending, &self.fresh_key("ends")).await?;
        }
        if change != 0 && was.change != change && !self.ask_for_change(&last, &found).await? {
            return Ok(());
        }
        let ends = if change == 0 { ends } else { ends_at_stripe };
        self.place(&last, Placement { terms: Some(terms), change, ends, ..was.clone() }).await?;
        // It may be paid already.
        if change != 0 { self.look_at(&found).await } else { Ok(()) }
    }

    /// Asks Stripe for the change that waits. False if it was dropped instead.
    async fn ask_for_change(
        &self,
        last: &Subscription,
        found: &StripeSubscription,
    ) -> Result<bool, NotObserved> {
        let Some(upgrade) = &last.upgrade else { return Ok(false) };
        let drop = CollectedCommand::DropChange(upgrade.number);
        if upgrade.asked_at.plus_seconds(bounds::CALL_KEY_SECONDS) <= self.app.now() {
            self.say(last, drop).await?;
            return Ok(false);
        }
        let price = self.price_of(&upgrade.plan).await?;
        let at = upgrade.asked_at.millis().div_euclid(1_000);
        let id = last.id.to_string();
        let key = self.key("change", &id, upgrade.number);
        match self.client.change_price(found, (&price, Change::AtOnce(at)), &key).await {
            Ok(_) => Ok(true),
            Err(error @ (StripeError::Refused { status: 400 | 404, .. } | StripeError::Declined(_))) => {
                tracing::error!(workspace = %self.workspace, %error, "Stripe refuses a change of a plan");
                self.say(last, drop).await?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes back a change that waits at Stripe: its invoice can be paid no more.
    async fn void_change(&self, found: &StripeSubscription) -> Result<(), NotObserved> {
        let Some(invoice) = &found.latest_invoice else { return Ok(()) };
        match self.client.void_invoice(invoice.id(), &self.fresh_key("void")).await {
            Ok(_) => Ok(()),
            // It was paid or voided meanwhile.
            Err(StripeError::Refused { status: 400, .. }) => Err(NotObserved::Missing),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks Stripe what became of the subscription, or of the page on which it begins.
    ///
    /// # Errors
    /// It is not known now.
    pub async fn look_at_subscription(&self) -> Result<(), NotObserved> {
        let Some(last) = self.last_subscription().await? else { return Ok(()) };
        let placement = placement(&last)?;
        if let Some(reference) = placement.reference.as_deref().and_then(ObjectId::new) {
            return self.look_at(&self.client.subscription(&reference).await?).await;
        }
        let page = placement.page.as_deref().and_then(ObjectId::new);
        let Some(page) = page else { return Ok(()) };
        let session = self.client.checkout(&page).await?;
        self.end_of_page(&last, &session).await
    }

    async fn look_at(&self, found: &StripeSubscription) -> Result<(), NotObserved> {
        let (app, stripe) = (self.app, self.stripe);
        observe::observe(app, stripe, Subject::Subscription, &found.id, &Hint::default()).await?;
        Ok(())
    }

    /// The price of a plan, which is made once for its terms.
    async fn price_of(&self, plan: &Plan) -> Result<ObjectId, NotObserved> {
        let terms = Terms::of(plan);
        let Terms { plan: id, price_cents, credits, interval } = &terms;
        let name = format!("{}:{id}:{price_cents}:{}:{}", self.ledger, credits.get(), interval.as_str());
        let price = match self.client.price_named(&name).await? {
            Some(price) => price,
            None => {
                let names = (&*plan.name, name.as_str(), self.ledger.as_str());
                self.client.make_price(&terms, names, &CallKey::new(&format!("price:{name}"))).await?
            }
        };
        if price.terms().as_ref() != Some(&terms) || price.currency != "usd" {
            tracing::error!(price = %price.id, "a price at Stripe has other terms than its name says");
            return Err(NotObserved::Missing);
        }
        Ok(price.id)
    }

    /// A key for a call that only says what is to be.
    fn fresh_key(&self, call: &str) -> CallKey {
        self.key(call, &unique(), 0)
    }

    async fn pending_subscription(&self) -> Result<Option<Subscription>, NotObserved> {
        let waits =
            |last: &Subscription| last.status() == SubscriptionStatus::Pending && last.collected.is_some();
        Ok(self.last_subscription().await?.filter(waits))
    }

    async fn last_subscription(&self) -> Result<Option<Subscription>, NotObserved> {
        Ok(self.payments().await?.subscription.as_deref().filter(|last| last.collected.is_some()).cloned())
    }

    async fn place(&self, last: &Subscription, is: Placement) -> Result<(), NotObserved> {
        let was = Box::new(placement(last)?.clone());
        self.say(last, CollectedCommand::Place { was, is: Box::new(is) }).await
    }

    async fn say(&self, last: &Subscription, command: CollectedCommand) -> Result<(), NotObserved> {
        let command = SubscriptionCommand::Collected { subscription: last.id, command };
        self.run(PaymentCommand::Subscription(command)).await
    }
}

/// What Stripe knows of a subscription that it collects.
fn placement(last: &Subscription) -> Result<&Placement, NotObserved> {
    last.collected.as_deref().map(|collected| &collected.placement).ok_or(NotObserved::Missing)
}

fn begun_at(last: &Subscription, placement: &Placement) -> Timestamp {
    placement.renewed_at.unwrap_or(last.started_at)
}
