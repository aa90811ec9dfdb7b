//! What the payer, the bank and the passage of time do: the part of a test.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::cards::{Card, Decline};
use super::customers;
use super::disputes;
use super::events::body_of;
use super::intents;
use super::payment_methods::{self, card_of};
use super::refunds;
use super::router::rendered;
use super::subscriptions;
use super::webhooks::{self, Delivered, Disorder, Waiting, Webhook};
use super::world::{World, int, text};
use super::{StripeStandIn, billing, checkout, clock};

/// The clock, and what is read directly.
impl StripeStandIn {
    /// Seconds since 1970 by the stand-in's own clock.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.world().now
    }

    /// Moves the clock: sessions expire, periods end, invoices are finalized, collected, retried.
    pub fn advance(&self, seconds: i64) {
        clock::advance(&mut self.world(), seconds);
    }

    /// Moves the clock forward to a time.
    pub fn advance_to(&self, at: i64) {
        let mut world = self.world();
        let seconds = at - world.now;
        clock::advance(&mut world, seconds);
    }

    /// An object as the API would answer it, with these fields expanded. Panics if there is none.
    #[must_use]
    pub fn object(&self, id: &str, expand: &[&str]) -> Value {
        let world = self.world();
        let expand: Vec<String> = expand.iter().map(|path| (*path).to_owned()).collect();
        rendered(&world, world.get(id).clone(), &expand)
    }

    /// The objects of a kind, oldest first: `payment_intent`, `checkout.session`.
    #[must_use]
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        let world = self.world();
        world.all(kind).map(|value| rendered(&world, value.clone(), &[])).collect()
    }

    /// How many PaymentIntents of a customer have succeeded.
    #[must_use]
    pub fn payments_succeeded(&self, customer: &str) -> usize {
        succeeded(&self.world(), customer).count()
    }

    /// The cents that were received from a customer, refunds not subtracted.
    #[must_use]
    pub fn cents_received(&self, customer: &str) -> i64 {
        succeeded(&self.world(), customer).map(|intent| int(intent, "amount_received")).sum()
    }

    /// Tax in hundredths of a percent, for sessions and subscriptions with automatic tax.
    pub fn set_tax_basis_points(&self, basis_points: i64) {
        self.world().tax_basis_points = basis_points;
    }

    /// New objects are missing in lists for this long.
    pub fn set_list_lag(&self, seconds: i64) {
        self.world().list_lag = seconds;
    }

    /// The customer's balance in cents; a credit is negative.
    pub fn set_customer_balance(&self, customer: &str, cents: i64) {
        self.world().set(customer, json!({"balance": cents}));
    }
}

fn succeeded<'a>(world: &'a World, customer: &'a str) -> impl Iterator<Item = &'a Value> {
    let of_customer = move |intent: &&Value| text(intent, "customer") == customer;
    world.all("payment_intent").filter(of_customer).filter(|intent| text(intent, "status") == "succeeded")
}

/// The payer.
impl StripeStandIn {
    /// The payer completes an open session with a card.
    ///
    /// # Errors
    /// The card was declined; the session stays open.
    pub fn pay_checkout(&self, session: &str, card: Card) -> Result<(), Decline> {
        checkout::pay(&mut self.world(), session, card)
    }

    /// The payer completes an open session with a method that takes days. Returns the
    /// PaymentIntent, which [`StripeStandIn::settle_delayed`] ends.
    pub fn pay_checkout_delayed(&self, session: &str) -> String {
        checkout::pay_later(&mut self.world(), session)
    }

    /// Ends a delayed payment.
    pub fn settle_delayed(&self, intent: &str, succeeds: bool) {
        let mut world = self.world();
        assert_eq!(text(world.get(intent), "status"), "processing", "only a delayed payment is under way");
        if succeeds {
            intents::succeed(&mut world, intent);
            return;
        }
        let (session, method) = {
            let found = world.get(intent);
            (text(found, "_session").to_owned(), text(found, "payment_method").to_owned())
        };
        let decline = Card::InsufficientFunds.decline().expect("this card is declined");
        intents::fail(&mut world, intent, &method, &decline);
        world.emit("checkout.session.async_payment_failed", &session);
    }

    /// A card that is saved with the customer, without any request.
    #[must_use]
    pub fn save_card(&self, customer: &str, card: Card) -> String {
        let mut world = self.world();
        let id = payment_methods::new_card(&mut world, card);
        payment_methods::attach(&mut world, &id, customer);
        id
    }

    /// From now on a payment method behaves as this card. Its brand and number change with it.
    pub fn set_card(&self, payment_method: &str, card: Card) {
        payment_methods::set_card(&mut self.world(), payment_method, card);
    }

    /// The bank sends a new number for a card: `payment_method.automatically_updated`.
    pub fn renew_card(&self, payment_method: &str, exp_year: i64) {
        let mut world = self.world();
        world.get_mut(payment_method)["card"]["exp_year"] = json!(exp_year);
        world.emit("payment_method.automatically_updated", payment_method);
    }

    /// The payer removes a card in the billing portal.
    pub fn remove_card(&self, payment_method: &str) {
        payment_methods::remove(&mut self.world(), payment_method);
    }

    /// The payer authenticates a payment that requires action.
    pub fn authenticate(&self, intent: &str) {
        let mut world = self.world();
        assert_eq!(text(world.get(intent), "status"), "requires_action", "nothing is to be authenticated");
        intents::succeed(&mut world, intent);
    }

    /// The payer pays an open invoice on its page, also one that is late or uncollectible.
    ///
    /// # Errors
    /// The card was declined.
    pub fn pay_invoice(&self, invoice: &str, card: Card) -> Result<(), Decline> {
        let mut world = self.world();
        let status = text(world.get(invoice), "status").to_owned();
        assert!(matches!(status.as_str(), "open" | "uncollectible"), "a {status} invoice cannot be paid");
        if let Some(decline) = card.decline() {
            return Err(decline);
        }
        let method = payment_methods::new_card(&mut world, card);
        subscriptions::pay_on_page(&mut world, invoice, &method);
        Ok(())
    }

    /// The payer pays a part of an open invoice, with a good card.
    pub fn pay_part_of_invoice(&self, invoice: &str, cents: i64) {
        let mut world = self.world();
        let method = payment_methods::new_card(&mut world, Card::Good);
        billing::pay_part(&mut world, invoice, cents, &method);
    }

    /// The payer cancels in the billing portal, which sets `cancel_at` alone.
    pub fn cancel_in_portal(&self, subscription: &str) {
        let mut world = self.world();
        let end = int(subscriptions::first_item(world.get(subscription)), "current_period_end");
        subscriptions::cancel_at(&mut world, subscription, Some(end), false);
        world.emit("customer.subscription.updated", subscription);
    }
}

/// The merchant at Stripe's dashboard, and the banks.
impl StripeStandIn {
    /// The end of a subscription is taken back at the dashboard.
    pub fn resume_elsewhere(&self, subscription: &str) {
        let mut world = self.world();
        subscriptions::cancel_at(&mut world, subscription, None, false);
        world.emit("customer.subscription.updated", subscription);
    }

    /// A coupon with the duration `once`: it takes a part off the next invoice of a subscription.
    pub fn set_coupon_once(&self, subscription: &str, percent: i64) {
        self.world().set(subscription, json!({"_coupon_percent": percent}));
    }

    /// An item without tax that the next invoice of a subscription has besides its period.
    pub fn add_to_next_invoice(&self, subscription: &str, cents: i64) {
        self.world().set(subscription, json!({"_added": [cents]}));
    }

    /// Refunds that are made from now on begin with this status: `pending`, `requires_action` or
    /// `succeeded`.
    pub fn set_refund_status(&self, status: &'static str) {
        self.world().refund_status = status;
    }

    /// A refund at the dashboard, which no request of the merchant's server has made.
    #[must_use]
    pub fn refund_elsewhere(&self, intent: &str, cents: i64) -> String {
        let mut world = self.world();
        let charge = text(world.get(intent), "latest_charge").to_owned();
        let found = world.get(&charge).clone();
        let id = refunds::new(&mut world, &found, cents, Value::Null);
        refunds::announce(&mut world, &id, &charge);
        id
    }

    /// Moves a refund to `succeeded`, `failed` or `canceled`.
    pub fn finish_refund(&self, refund: &str, status: &str) {
        refunds::set_status(&mut self.world(), refund, status);
    }

    /// Opens a dispute: status `needs_response`, or `warning_needs_response` for an inquiry.
    #[must_use]
    pub fn open_dispute(&self, intent: &str, cents: i64, status: &str) -> String {
        disputes::open(&mut self.world(), intent, cents, status)
    }

    /// Changes the amount of a dispute.
    pub fn set_dispute_amount(&self, dispute: &str, cents: i64) {
        disputes::set_amount(&mut self.world(), dispute, cents);
    }

    /// Moves a dispute: `under_review`, `won`, `lost`, `appeal_under_review`, `warning_closed`.
    /// An appeal that is won moves a lost dispute to `appeal_under_review`, then to `won`.
    pub fn set_dispute_status(&self, dispute: &str, status: &str) {
        disputes::set_status(&mut self.world(), dispute, status);
    }

    /// The card's network reports a payment as probably fraudulent.
    #[must_use]
    pub fn warn_of_fraud(&self, intent: &str) -> String {
        disputes::warn(&mut self.world(), intent)
    }

    /// The quantity of a subscription is set at the dashboard, without proration. It multiplies
    /// the price from the next period on.
    pub fn set_quantity(&self, subscription: &str, quantity: i64) {
        let mut world = self.world();
        subscriptions::item_mut(world.get_mut(subscription))["quantity"] = json!(quantity);
        world.emit("customer.subscription.updated", subscription);
    }

    /// Shows an object in another currency, as if it had been made in that.
    pub fn set_currency(&self, object: &str, currency: &str) {
        self.world().set(object, json!({"currency": currency}));
    }

    /// Ends a subscription at once, at the dashboard.
    pub fn end_subscription(&self, subscription: &str) {
        subscriptions::end(&mut self.world(), subscription, "cancellation_requested");
    }

    /// Deletes a customer at the dashboard.
    pub fn delete_customer(&self, customer: &str) {
        customers::remove(&mut self.world(), customer);
    }

    /// Voids an open invoice at the dashboard.
    pub fn void_invoice(&self, invoice: &str) {
        billing::close(&mut self.world(), invoice, "void");
    }

    /// The card behind a payment method.
    #[must_use]
    pub fn card(&self, payment_method: &str) -> Card {
        card_of(&self.world(), payment_method)
    }
}

/// Webhooks.
impl StripeStandIn {
    /// The webhooks that wait, in the order in which they arose. Nothing is taken.
    #[must_use]
    pub fn pending_events(&self) -> Vec<Webhook> {
        let world = self.world();
        world.webhooks.waiting().iter().map(|waiting| signed(&world, &waiting.event, world.now)).collect()
    }

    /// Takes every webhook that waits.
    pub fn take_events(&self) -> Vec<Webhook> {
        let events = self.pending_events();
        self.world().webhooks.clear();
        events
    }

    /// The webhook of an event, signed at a time with the secrets in force.
    #[must_use]
    pub fn webhook_at(&self, event: &str, at: i64) -> Webhook {
        signed(&self.world(), event, at)
    }

    /// The value of `Stripe-Signature` for any body, time and secrets.
    #[must_use]
    pub fn signature(secrets: &[&str], at: i64, body: &[u8]) -> String {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        webhooks::signature(&secrets, at, body)
    }

    /// The secrets that sign from now on.
    pub fn set_webhook_secrets(&self, secrets: &[&str]) {
        self.world().webhooks.secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    }

    /// From now on new webhooks are lost, doubled, delayed and shuffled by this seed.
    pub fn mistreat_webhooks(&self, seed: u64, disorder: Disorder) {
        self.world().webhooks.mistreat(seed, disorder);
    }

    /// Ends the mistreatment of webhooks.
    pub fn treat_webhooks_well(&self) {
        self.world().webhooks.treat_well();
    }

    /// Sends the events with these ids, in this order; an id may occur twice. They are not retried.
    /// Blocks until the last is answered, so an asynchronous test calls it from a blocking thread.
    pub fn deliver(&self, url: &str, events: &[&str]) -> Vec<Delivered> {
        events.iter().map(|event| self.send(url, event)).collect()
    }

    /// Sends every webhook that is due by the clock. One that is not answered with 2xx waits for
    /// its next attempt. Blocks as [`StripeStandIn::deliver`] does.
    pub fn deliver_due(&self, url: &str) -> Vec<Delivered> {
        let send = |waiting| self.note(waiting, |event| self.send(url, event));
        self.take_due().into_iter().map(send).collect()
    }

    /// The same to a receiver in this process, which answers each webhook with a status. If this is
    /// dropped, the receiver has not answered what is left.
    pub async fn deliver_due_to(&self, receiver: impl AsyncFn(Webhook) -> u16) -> Vec<Delivered> {
        let mut results = Vec::new();
        let mut left = NotAnswered { stand_in: self, waiting: self.take_due().into() };
        while let Some(next) = left.waiting.front() {
            let webhook = self.webhook_at(&next.event, self.now());
            let (event, kind) = (webhook.id.clone(), webhook.kind.clone());
            let status = Some(receiver(webhook).await);
            let sent = |_: &str| Delivered { event, kind, status };
            results.extend(left.waiting.pop_front().map(|waiting| self.note(waiting, sent)));
        }
        results
    }

    fn take_due(&self) -> Vec<Waiting> {
        let mut world = self.world();
        let now = world.now;
        world.webhooks.take_due(now)
    }

    /// Sends a webhook; it waits for its next attempt if it is not answered with 2xx.
    fn note(&self, waiting: Waiting, send: impl FnOnce(&str) -> Delivered) -> Delivered {
        let result = send(&waiting.event);
        if !result.status.is_some_and(|status| (200..300).contains(&status)) {
            let mut world = self.world();
            let now = world.now;
            world.webhooks.again(waiting, now);
        }
        result
    }

    fn send(&self, url: &str, event: &str) -> Delivered {
        // The lock is not held while the receiver fetches the object.
        let webhook = self.webhook_at(event, self.now());
        let status = webhooks::send(url, &webhook);
        Delivered { event: webhook.id, kind: webhook.kind, status }
    }
}

/// Webhooks that were sent and not answered yet.
struct NotAnswered<'a> {
    stand_in: &'a StripeStandIn,
    waiting: VecDeque<Waiting>,
}

impl Drop for NotAnswered<'_> {
    fn drop(&mut self) {
        let mut world = self.stand_in.world();
        let now = world.now;
        self.waiting.drain(..).for_each(|waiting| world.webhooks.again(waiting, now));
    }
}

fn signed(world: &World, event: &str, at: i64) -> Webhook {
    let value = body_of(world, event);
    let body = value.to_string().into_bytes();
    let header = webhooks::signature(&world.webhooks.secrets, at, &body);
    Webhook {
        id: event.to_owned(),
        kind: text(&value, "type").to_owned(),
        object: text(&value["data"]["object"], "id").to_owned(),
        headers: vec![
            ("content-type".to_owned(), "application/json; charset=utf-8".to_owned()),
            ("stripe-signature".to_owned(), header),
        ],
        body,
    }
}
