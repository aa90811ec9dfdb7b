//! Makes what a subscription is at Stripe: the price of its plan, the page on which its first
//! period is paid, and what this ledger wants of it since: another price, an end.
//!
//! A call says what is to be, compared with what Stripe has, so it may be made again after any
//! answer and by another server. It leaves a mark on the subscription, so that what it did is not
//! taken for what somebody else did there. Two calls are different. The page has a key that follows
//! from the subscription and its generation; after an error that Stripe may repeat for ever, the
//! page is looked for, and else begun anew, because nobody knows its address. The change to a
//! dearer plan takes money: its key follows from the number of the change, it is sent for 20 hours
//! at most, and a change that was not taken up by then is dropped. What Stripe says of all that is
//! read in `observe::subscriptions`.

use tollkeeper_ledger::{
    CollectedCommand, Ends, PaymentCommand, Placement, Plan, Subscription, SubscriptionCommand,
    SubscriptionStatus, Terms, Timestamp, Upgrade, bounds,
};

use super::calls::subscriptions::{NewSubscription, NextPeriod, SUBSCRIPTION};
use super::customer::{Payer, unique};
use super::error::{IDEMPOTENCY_ERROR, StripeError, Why};
use super::objects::subscriptions::{Line, StripeSubscription};
use super::objects::{CheckoutSession, ObjectId, SessionStatus};
use super::observe::{self, Hint, NotObserved, Subject};

/// How long the page can be paid. Stripe allows a day; an hour is left for clocks that differ.
const PAGE_SECONDS: i64 = 23 * 3_600;

/// How long before its key is used up the call for a change is sent no more. A request takes less
/// than a minute, with all its tries.
const LAST_CALL_SECONDS: i64 = 300;

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
            expires_at: begun_at(last, was).seconds() + PAGE_SECONDS,
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
                if session.status == Some(SessionStatus::Open) {
                    return Err(NotObserved::Unanswered);
                }
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
        if change != 0 {
            return self.place_change(&last, &found).await;
        }
        if found.pending_update.is_some() {
            self.void_change(&found).await?;
        }
        let price = match found.terms() {
            Some(known) if known == terms => None,
            _ => Some(self.price_of(last.next_plan.as_ref().unwrap_or(&last.plan)).await?),
        };
        let is_ending = (ends != found.ends()).then_some(ends == Ends::WithPeriod);
        let mut mark = found.mark().map(str::to_owned);
        if price.is_some() || is_ending.is_some() {
            let fresh = unique();
            let next = NextPeriod { price: price.as_ref(), is_ending, mark: &fresh };
            self.client.set_next_period(&found, next, &self.key("next", &fresh, 0)).await?;
            mark = Some(fresh);
        }
        let mark = mark.map(Into::into);
        self.place(&last, Placement { terms: Some(terms), change, ends, mark, ..was.clone() }).await
    }

    /// Asks Stripe for the change that waits, and notes that it was asked for. Until it is paid or
    /// dropped nothing else is placed.
    async fn place_change(&self, last: &Subscription, found: &StripeSubscription) -> Result<(), NotObserved> {
        let (was, Some(upgrade)) = (placement(last)?, &last.upgrade) else { return Ok(()) };
        if was.change != upgrade.number {
            let mut mark = was.mark.clone();
            if !self.is_change_asked(upgrade, found).await? {
                let key_ends_at = upgrade.asked_at.plus_seconds(bounds::CALL_KEY_SECONDS);
                if key_ends_at <= self.app.now() {
                    return self.say(last, CollectedCommand::DropChange(upgrade.number)).await;
                }
                if key_ends_at.plus_seconds(-LAST_CALL_SECONDS) <= self.app.now() {
                    // The last request may be under way.
                    return Err(NotObserved::Unanswered);
                }
                if found.pending_update.is_some() {
                    self.void_change(found).await?;
                }
                mark = self.undo_next_price(last, found).await?;
                if !self.ask_for_change(last, upgrade, found).await? {
                    return Ok(());
                }
            }
            let terms = Some(Terms::of(&last.plan));
            let is = Placement { terms, change: upgrade.number, ends: found.ends(), mark, ..was.clone() };
            self.place(last, is).await?;
        }
        // It may be paid already.
        self.look_at(found).await
    }

    /// True if Stripe has carried out the call for the change that waits, although no answer said
    /// so: it is in force, or the last invoice is that of the change.
    async fn is_change_asked(
        &self,
        upgrade: &Upgrade,
        found: &StripeSubscription,
    ) -> Result<bool, NotObserved> {
        let terms = Some(Terms::of(&upgrade.plan));
        if found.terms() == terms {
            return Ok(true);
        }
        let waits = found.pending_update.as_ref().is_some_and(|pending| pending.terms() == terms);
        let Some(latest) = found.latest_invoice.as_ref().filter(|_| waits) else { return Ok(false) };
        let invoice = self.client.invoice(latest.id()).await?;
        let lines = self.client.lines_of(&invoice).await?;
        let is_from = |line: &Line| line.period.start == upgrade.asked_at.seconds();
        Ok(lines.iter().any(|line| line.is_proration() && is_from(line)))
    }

    /// Gives the subscription the price of its plan again if another was to be paid next, so that
    /// the change is reckoned from what was paid. Returns the mark that the subscription has then.
    async fn undo_next_price(
        &self,
        last: &Subscription,
        found: &StripeSubscription,
    ) -> Result<Option<Box<str>>, NotObserved> {
        let mark = found.mark().map(Into::into);
        if found.terms().as_ref() == Some(&Terms::of(&last.plan)) {
            return Ok(mark);
        }
        let price = self.price_of(&last.plan).await?;
        let (id, number) = (last.id.to_string(), last.changes);
        // The key is fixed: sent again after the change, the call is not carried out twice.
        let mark = format!("{id}:{number}");
        let next = NextPeriod { price: Some(&price), is_ending: None, mark: &mark };
        self.client.set_next_period(found, next, &self.key("undo", &id, number)).await?;
        Ok(Some(mark.into()))
    }

    /// Makes the call for the change that waits. False if the change was dropped instead.
    async fn ask_for_change(
        &self,
        last: &Subscription,
        upgrade: &Upgrade,
        found: &StripeSubscription,
    ) -> Result<bool, NotObserved> {
        let price = self.price_of(&upgrade.plan).await?;
        let from_seconds = upgrade.asked_at.seconds();
        let key = self.key("change", &last.id.to_string(), upgrade.number);
        match self.client.change_at_once(found, (&price, from_seconds), &key).await {
            Ok(_) => Ok(true),
            Err(error @ (StripeError::Refused { status: 400 | 404, .. } | StripeError::Declined(_))) => {
                tracing::error!(workspace = %self.workspace, %error, "Stripe refuses a change of a plan");
                self.say(last, CollectedCommand::DropChange(upgrade.number)).await?;
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
                match self.client.make_price(&terms, names, &self.fresh_key("price")).await {
                    Ok(made) => made,
                    // Stripe keeps a name for one price, so another request made it first.
                    Err(error @ StripeError::Refused { status: 400, .. }) => {
                        self.client.price_named(&name).await?.ok_or(error)?
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if price.terms().as_ref() != Some(&terms) || price.currency != "usd" {
            tracing::error!(price = %price.id, "a price at Stripe has other terms than its name says");
            return Err(NotObserved::Missing);
        }
        Ok(price.id)
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
