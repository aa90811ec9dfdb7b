//! Changes of a subscription's price: prorated, invoiced at once, or waiting for their payment.

use serde_json::{Value, json};

use super::billing::{self, Draft, Line, set_price};
use super::error::StripeError;
use super::params::Params;
use super::periods::prorated;
use super::subscriptions::{default_method, first_item, item_mut};
use super::world::{World, int, text};

/// How long an unpaid change waits, in seconds.
const PENDING_SECONDS: i64 = 23 * 3600;

/// A change of the price that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub price: String,
    /// The time from which it is prorated.
    pub at: i64,
}

impl Change {
    /// Reads `items` and `proration_date` below a prefix.
    pub(super) fn read(
        world: &World,
        params: &Params,
        prefix: &str,
        subscription: &Value,
    ) -> Result<Option<Change>, StripeError> {
        let items = params.list(&format!("{prefix}items"));
        let Some(asked) = items.first() else { return Ok(None) };
        let item = first_item(subscription);
        if items.len() > 1 || asked.text("id") != item["id"].as_str() {
            return Err(StripeError::invalid("A subscription has one item, named by its id", "items[0][id]"));
        }
        let price = asked.required("price")?;
        let found = world.of_parameter("price", price, "items[0][price]")?;
        let rhythm = |price: &Value| {
            let recurring = &price["recurring"];
            (text(recurring, "interval").to_owned(), int(recurring, "interval_count"))
        };
        if rhythm(found) != rhythm(&item["price"]) {
            return Err(StripeError::invalid("The stand-in keeps the interval", "items[0][price]"));
        }
        let at = params.integer(&format!("{prefix}proration_date"))?.unwrap_or(world.now);
        if !(int(item, "current_period_start")..=int(item, "current_period_end")).contains(&at) {
            return Err(StripeError::invalid("It lies outside the current period", "proration_date"));
        }
        Ok(Some(Change { price: price.to_owned(), at }))
    }

    /// The unused time of the old price, and the remaining time of the new one.
    pub(super) fn proration_lines(&self, world: &World, subscription: &Value) -> Vec<Line> {
        let item = first_item(subscription);
        let (start, end) = (int(item, "current_period_start"), int(item, "current_period_end"));
        // What is credited is what was paid, after the coupon.
        let paid_percent = 100 - int(subscription, "_paid_off_percent");
        let share = |price: &Value, sign: i64, what: &str| Line {
            amount: sign
                * prorated(int(price, "unit_amount"), end - self.at, end - start)
                * if sign < 0 { paid_percent } else { 100 }
                / 100,
            discount: 0,
            description: format!("{what} time on {}", text(world.get(text(price, "product")), "name")),
            start: self.at,
            end,
            price: text(price, "id").to_owned(),
            item: item["id"].as_str().map(str::to_owned),
            proration: true,
        };
        vec![share(&item["price"], -1, "Unused"), share(world.get(&self.price), 1, "Remaining")]
    }
}

/// Puts a price in force.
pub(super) fn apply(world: &mut World, id: &str, price: &str) {
    let price = world.get(price).clone();
    set_price(item_mut(world.get_mut(id)), &price);
}

/// Invoices a change at once. With `waits`, an unpaid one leaves the price as it is.
pub(super) fn upgrade(world: &mut World, id: &str, change: &Change, waits: bool) {
    let subscription = world.get(id).clone();
    drop_pending(world, id);
    let draft = Draft {
        customer: text(&subscription, "customer").to_owned(),
        subscription: Some(id.to_owned()),
        reason: "subscription_update",
        lines: billing::with_extras(world, &subscription, change.proration_lines(world, &subscription)),
        is_taxed: subscription["automatic_tax"]["enabled"] == true,
        proration_date: Some(change.at),
    };
    let end = int(first_item(&subscription), "current_period_end");
    let mut item = first_item(&subscription).clone();
    set_price(&mut item, world.get(&change.price));
    if !waits {
        apply(world, id, &change.price);
    }
    let invoice = billing::new_invoice(world, &draft);
    billing::use_up_extras(world, id);
    billing::finalize(world, &invoice);
    let method = default_method(world, world.get(&invoice));
    if waits {
        let expires = (world.now + PENDING_SECONDS).min(end);
        let pending = json!({"billing_cycle_anchor": null, "cancel_at_period_end": null, "discount": null,
            "discounts": null, "expires_at": expires, "metadata": null, "subscription_items": [item],
            "trial_end": null, "trial_from_plan": null});
        world.set(id, json!({"pending_update": pending, "_pending_invoice": invoice}));
    }
    billing::collect(world, &invoice, method.as_deref(), true);
}

/// Forgets a pending update and voids its invoice. True if there was one.
pub(super) fn drop_pending(world: &mut World, id: &str) -> bool {
    let Some(invoice) = world.get(id)["_pending_invoice"].as_str().map(str::to_owned) else { return false };
    world.set(id, json!({"pending_update": null, "_pending_invoice": null}));
    if text(world.get(&invoice), "status") == "open" {
        billing::close(world, &invoice, "void");
    }
    true
}

/// The time of a pending update is over.
pub(super) fn expire_pending(world: &mut World, id: &str) {
    if drop_pending(world, id) {
        world.emit("customer.subscription.pending_update_expired", id);
    }
}
