//! Subscriptions: their endpoints, their periods, and what an invoice does to them.

use serde_json::{Value, json};

use super::billing::{self, Draft, Line, period_line, set_price};
use super::changes::{Change, apply, drop_pending, expire_pending, upgrade};
use super::error::StripeError;
use super::lists;
use super::periods::period_bound;
use super::router::{Route, route};
use super::world::{Answer, Call, World, int, merged, text};
use super::{AfterRetries, intents};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "subscriptions", &["created", "customer", "price", "status"], list),
    route("GET", "subscriptions/{}", &[], get),
    route(
        "POST",
        "subscriptions/{}",
        &[
            "cancel_at",
            "cancel_at_period_end",
            "default_payment_method",
            "items",
            "metadata",
            "off_session",
            "payment_behavior",
            "proration_behavior",
            "proration_date",
        ],
        update,
    ),
    route("DELETE", "subscriptions/{}", &["invoice_now", "prorate", "cancellation_details"], cancel),
];

/// The days from a failed attempt of a renewal to the next.
const RETRY_DAYS: [i64; 3] = [3, 5, 7];
const DAY_SECONDS: i64 = 24 * 3600;

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("subscription", &call.id).cloned()
}

/// Without a status, canceled subscriptions are left out, as at Stripe.
fn list(world: &mut World, call: &Call) -> Answer {
    let status = call.params.text("status");
    lists::page_of(world, call, "subscription", |subscription| {
        let fits = match status {
            None => text(subscription, "status") != "canceled",
            Some("all") => true,
            Some("ended") => matches!(text(subscription, "status"), "canceled" | "incomplete_expired"),
            Some(wanted) => text(subscription, "status") == wanted,
        };
        let price = text(&first_item(subscription)["price"], "id");
        fits && lists::fits(call, "customer", subscription, "customer")
            && call.params.text("price").is_none_or(|wanted| wanted == price)
    })
}

/// The one item of a subscription.
pub(super) fn first_item(subscription: &Value) -> &Value {
    &subscription["items"]["data"][0]
}

pub(super) fn item_mut(subscription: &mut Value) -> &mut Value {
    &mut subscription["items"]["data"][0]
}

/// What Checkout hands over for a new subscription.
pub(super) struct Start<'a> {
    pub customer: &'a str,
    pub price: &'a str,
    pub method: &'a str,
    pub metadata: Value,
    pub is_taxed: bool,
    pub trial_days: i64,
}

/// Adds a subscription with its first invoice, which is not yet paid. Returns both ids.
pub(super) fn start(world: &mut World, start: &Start<'_>) -> (String, String) {
    let now = world.now;
    let price = world.get(start.price).clone();
    let anchor = now + start.trial_days * DAY_SECONDS;
    let (end, number) = match start.trial_days {
        0 => (period_bound(anchor, &price["recurring"], 1), 1),
        _ => (anchor, 0),
    };
    let trial_end = if start.trial_days > 0 { json!(anchor) } else { Value::Null };
    let id = world.insert(
        "sub_",
        include_str!("shapes/subscription.json"),
        json!({
            "customer": start.customer, "currency": price["currency"], "start_date": now,
            "billing_cycle_anchor": anchor, "default_payment_method": start.method,
            "metadata": start.metadata, "status": "incomplete", "trial_end": trial_end,
            "trial_start": if start.trial_days > 0 { json!(now) } else { Value::Null }, "_periods": number,
        }),
    );
    world.get_mut(&id)["automatic_tax"]["enabled"] = json!(start.is_taxed);
    let item_id = world.next_id("si_");
    let mut item = super::world::shaped(
        include_str!("shapes/subscription_item.json"),
        json!({"id": item_id, "created": now, "current_period_start": now, "current_period_end": end,
            "subscription": id}),
    );
    set_price(&mut item, &price);
    world.get_mut(&id)["items"] = lists::embedded(&[item], 1, "/v1/subscription_items");
    let mut line = period_line(world, &item_id, start.price, (now, end));
    if start.trial_days > 0 {
        line.amount = 0;
    }
    let draft = Draft {
        customer: start.customer.to_owned(),
        subscription: Some(id.clone()),
        reason: "subscription_create",
        lines: vec![line],
        is_taxed: start.is_taxed,
        proration_date: None,
    };
    world.emit("customer.subscription.created", &id);
    let invoice = billing::new_invoice(world, &draft);
    billing::finalize(world, &invoice);
    (id, invoice)
}

/// The line of the next period, after a change if there is one.
pub(super) fn next_line(world: &World, subscription: &Value, change: Option<&Change>) -> Line {
    let item = first_item(subscription);
    let price = change.map_or(text(&item["price"], "id"), |change| change.price.as_str());
    let start = int(item, "current_period_end");
    let recurring = &item["price"]["recurring"];
    let next = int(subscription, "_periods") + 1;
    let end = period_bound(int(subscription, "billing_cycle_anchor"), recurring, next);
    let line = period_line(world, text(item, "id"), price, (start, end));
    Line { amount: line.amount * int(item, "quantity"), ..line }
}

/// The payment method that an invoice is collected with.
pub(super) fn default_method(world: &World, invoice: &Value) -> Option<String> {
    let subscription = invoice["parent"]["subscription_details"]["subscription"].as_str();
    let own = subscription.and_then(|id| world.get(id)["default_payment_method"].as_str());
    let customer = world.lookup(text(invoice, "customer"));
    let fallback =
        || customer.and_then(|customer| customer["invoice_settings"]["default_payment_method"].as_str());
    // A method that was detached pays nothing.
    let attached = |id: &str| world.lookup(id).is_some_and(|method| !method["customer"].is_null());
    own.filter(|id| attached(id)).or_else(fallback).map(str::to_owned)
}

fn update(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let subscription = world.of_path("subscription", &call.id)?.clone();
    if matches!(text(&subscription, "status"), "canceled" | "incomplete_expired") {
        return Err(StripeError::invalid("A canceled subscription can only update its metadata.", "id"));
    }
    let change = Change::read(world, params, "", &subscription)?;
    let behavior = params.text("proration_behavior").unwrap_or("create_prorations");
    if change.is_some() && !matches!(behavior, "always_invoice" | "none") {
        return Err(StripeError::invalid("The stand-in knows always_invoice and none", "proration_behavior"));
    }
    let payment_behavior = params.text("payment_behavior").unwrap_or("allow_incomplete");
    if !matches!(payment_behavior, "allow_incomplete" | "pending_if_incomplete") {
        return Err(StripeError::invalid("The stand-in does not know this value", "payment_behavior"));
    }
    if params.has("metadata") {
        let metadata = merged(&subscription["metadata"], params.pairs("metadata"));
        world.set(&call.id, json!({"metadata": metadata}));
    }
    if let Some(method) = params.text("default_payment_method") {
        world.of_parameter("payment_method", method, "default_payment_method")?;
        world.set(&call.id, json!({"default_payment_method": method}));
    }
    set_cancellation(world, call, &subscription)?;
    match change {
        Some(change) if behavior == "none" => apply(world, &call.id, &change.price),
        Some(change) => upgrade(world, &call.id, &change, payment_behavior == "pending_if_incomplete"),
        None => {}
    }
    world.emit("customer.subscription.updated", &call.id);
    Ok(world.get(&call.id).clone())
}

/// Sets or takes back the end of a subscription.
fn set_cancellation(world: &mut World, call: &Call, subscription: &Value) -> Result<(), StripeError> {
    let params = &call.params;
    if params.has("cancel_at_period_end") {
        let ends = params.flag("cancel_at_period_end")?;
        let end = int(first_item(subscription), "current_period_end");
        cancel_at(world, &call.id, ends.then_some(end), ends);
    }
    if params.has("cancel_at") {
        let at = params.integer("cancel_at")?;
        cancel_at(world, &call.id, at, false);
    }
    Ok(())
}

/// Sets when a subscription ends; `None` takes it back.
pub(super) fn cancel_at(world: &mut World, id: &str, at: Option<i64>, at_period_end: bool) {
    let asked = at.map(|_| world.now);
    world.set(id, json!({"cancel_at": at, "cancel_at_period_end": at_period_end, "canceled_at": asked}));
    let reason = if at.is_some() { json!("cancellation_requested") } else { Value::Null };
    world.get_mut(id)["cancellation_details"]["reason"] = reason;
}

fn subscription_of(invoice: &Value) -> Option<String> {
    invoice["parent"]["subscription_details"]["subscription"].as_str().map(str::to_owned)
}

/// What a paid invoice does: it activates, applies a pending update, or ends a delay of payment.
pub(super) fn invoice_paid(world: &mut World, invoice: &str) {
    let Some(id) = subscription_of(world.get(invoice)) else { return };
    let subscription = world.get(&id).clone();
    let is_pending = subscription["_pending_invoice"] == invoice;
    if is_pending {
        let price = text(&first_pending(&subscription)["price"], "id").to_owned();
        apply(world, &id, &price);
        world.set(&id, json!({"pending_update": null, "_pending_invoice": null}));
        world.emit("customer.subscription.pending_update_applied", &id);
    }
    let is_late = matches!(text(&subscription, "status"), "past_due" | "unpaid") && !owes(world, &id);
    let is_first = text(&subscription, "status") == "incomplete";
    if is_first && subscription["trial_end"].as_i64().is_some_and(|end| end > world.now) {
        world.set(&id, json!({"status": "trialing"}));
    } else if is_first || is_late {
        world.set(&id, json!({"status": "active"}));
    }
    if is_pending || is_first || is_late {
        world.emit("customer.subscription.updated", &id);
    }
}

fn first_pending(subscription: &Value) -> &Value {
    &subscription["pending_update"]["subscription_items"][0]
}

/// True if a renewal of the subscription is open and was tried in vain.
fn owes(world: &World, id: &str) -> bool {
    world.all("invoice").any(|invoice| {
        text(invoice, "status") == "open"
            && invoice["attempted"] == true
            && subscription_of(invoice).as_deref() == Some(id)
    })
}

/// What a closed invoice does: its pending update is forgotten.
pub(super) fn invoice_closed(world: &mut World, invoice: &str) {
    let Some(id) = subscription_of(world.get(invoice)) else { return };
    if world.get(&id)["_pending_invoice"] == invoice {
        world.set(&id, json!({"pending_update": null, "_pending_invoice": null}));
        world.emit("customer.subscription.pending_update_expired", &id);
    }
}

/// What a failed attempt does: a renewal is tried again, then given up.
pub(super) fn payment_failed(world: &mut World, invoice: &str) {
    let found = world.get(invoice).clone();
    let Some(id) = subscription_of(&found) else { return };
    let subscription = world.get(&id).clone();
    if subscription["_pending_invoice"] == invoice || text(&found, "billing_reason") == "subscription_create"
    {
        return;
    }
    if text(&subscription, "status") == "active" {
        world.set(&id, json!({"status": "past_due"}));
        world.emit("customer.subscription.updated", &id);
    }
    let attempts = usize::try_from(int(&found, "attempt_count")).unwrap_or_default();
    if let Some(days) = attempts.checked_sub(1).and_then(|done| RETRY_DAYS.get(done)) {
        let next = world.now + days * DAY_SECONDS;
        world.set(invoice, json!({"next_payment_attempt": next, "auto_advance": true}));
        return;
    }
    match world.options.after_retries {
        AfterRetries::Cancel => end(world, &id, "payment_failed"),
        AfterRetries::Unpaid => {
            world.set(&id, json!({"status": "unpaid"}));
            world.emit("customer.subscription.updated", &id);
        }
        AfterRetries::PastDue => {}
    }
}

/// Ends a subscription now. Its open invoices stay payable, and are not tried again.
pub(super) fn end(world: &mut World, id: &str, reason: &str) {
    drop_pending(world, id);
    let now = world.now;
    let asked = world.get(id)["canceled_at"].as_i64().unwrap_or(now);
    world.set(id, json!({"status": "canceled", "ended_at": now, "canceled_at": asked}));
    world.get_mut(id)["cancellation_details"]["reason"] = json!(reason);
    let of_subscription = |invoice: &&Value| subscription_of(invoice).as_deref() == Some(id);
    let waiting = |invoice: &&Value| matches!(text(invoice, "status"), "open" | "draft");
    let invoices = world.all("invoice").filter(of_subscription).filter(waiting);
    let invoices: Vec<String> = invoices.map(|invoice| text(invoice, "id").to_owned()).collect();
    for invoice in invoices {
        let fields = json!({"next_payment_attempt": null, "auto_advance": false,
            "automatically_finalizes_at": null});
        world.set(&invoice, fields);
    }
    world.emit("customer.subscription.deleted", id);
}

fn cancel(world: &mut World, call: &Call) -> Answer {
    let subscription = world.of_path("subscription", &call.id)?;
    if text(subscription, "status") == "canceled" {
        return Err(StripeError::no_such("subscription", &call.id));
    }
    end(world, &call.id, "cancellation_requested");
    Ok(world.get(&call.id).clone())
}

/// Begins the next period: a draft invoice at the price in force, or the end.
pub(super) fn renew(world: &mut World, id: &str) {
    let subscription = world.get(id).clone();
    if subscription["cancel_at"].as_i64().is_some_and(|at| at <= world.now) {
        end(world, id, "cancellation_requested");
        return;
    }
    expire_pending(world, id);
    let line = next_line(world, &subscription, None);
    let item = item_mut(world.get_mut(id));
    item["current_period_start"] = json!(line.start);
    item["current_period_end"] = json!(line.end);
    let status = match text(&subscription, "status") {
        "trialing" => "active",
        other => other,
    };
    world.set(id, json!({"_periods": int(&subscription, "_periods") + 1, "status": status}));
    let draft = Draft {
        customer: text(&subscription, "customer").to_owned(),
        subscription: Some(id.to_owned()),
        reason: "subscription_cycle",
        lines: billing::with_extras(world, &subscription, vec![line]),
        is_taxed: subscription["automatic_tax"]["enabled"] == true,
        proration_date: None,
    };
    let invoice = billing::new_invoice(world, &draft);
    billing::use_up_extras(world, id);
    // The invoices of an unpaid subscription stay drafts.
    if status != "unpaid" {
        let at = world.now + billing::DRAFT_SECONDS;
        world.set(&invoice, json!({"auto_advance": true, "automatically_finalizes_at": at}));
    }
    world.emit("customer.subscription.updated", id);
}

/// Pays an invoice of a subscription as a payer does on its page.
pub(super) fn pay_on_page(world: &mut World, invoice: &str, method: &str) {
    let found = world.get(invoice).clone();
    match found["_intent"].as_str().map(str::to_owned) {
        Some(intent) => {
            world.set(&intent, json!({"payment_method": method}));
            intents::succeed(world, &intent);
        }
        None => billing::mark_paid(world, invoice, None),
    }
}
