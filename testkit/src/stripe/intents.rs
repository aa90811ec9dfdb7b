//! PaymentIntents and their charges: the only place where money is received.

use serde_json::{Value, json};

use super::cards::{Card, Decline};
use super::error::StripeError;
use super::lists;
use super::payment_methods::{attach, card_of, named, usable};
use super::router::{Route, route};
use super::world::{Answer, Call, World, int, merged, text};
use super::{checkout, invoices};

pub(super) const ROUTES: &[Route] = &[
    route(
        "POST",
        "payment_intents",
        &[
            "allowed_payment_method_types",
            "amount",
            "automatic_payment_methods",
            "capture_method",
            "confirm",
            "currency",
            "customer",
            "description",
            "error_on_requires_action",
            "metadata",
            "off_session",
            "payment_method",
            "receipt_email",
            "return_url",
            "setup_future_usage",
            "statement_descriptor_suffix",
        ],
        create,
    ),
    route("GET", "payment_intents", &["customer", "created"], list),
    route("GET", "payment_intents/{}", &["client_secret"], get),
    route(
        "POST",
        "payment_intents/{}/confirm",
        &["payment_method", "off_session", "error_on_requires_action", "return_url"],
        confirm_route,
    ),
    route("POST", "payment_intents/{}/cancel", &["cancellation_reason"], cancel_route),
    route("GET", "charges/{}", &[], get_charge),
];

/// Stripe's bounds of a payment in US dollars, in cents.
const AMOUNT_MIN: i64 = 50;
const AMOUNT_MAX: i64 = 99_999_999;

/// Refuses an amount that Stripe would not charge.
pub(super) fn chargeable(amount: i64, param: &str) -> Result<(), StripeError> {
    if amount < AMOUNT_MIN {
        return Err(
            StripeError::invalid("Amount must be at least $0.50 usd", param).with_code("amount_too_small")
        );
    }
    if amount > AMOUNT_MAX {
        return Err(StripeError::invalid("Amount must be no more than $999,999.99", param)
            .with_code("amount_too_large"));
    }
    Ok(())
}

/// What became of an attempt to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Succeeded,
    Declined(Decline),
    NeedsAction,
}

fn create(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let amount = params.integer("amount")?.ok_or_else(|| StripeError::missing_parameter("amount"))?;
    chargeable(amount, "amount")?;
    let currency = params.required("currency")?.to_owned();
    if let Some(customer) = params.text("customer") {
        world.of_parameter("customer", customer, "customer")?;
    }
    let method = match params.text("payment_method") {
        Some(method) => Some(named(world, method, "payment_method")?),
        None => None,
    };
    owned(world, method.as_deref(), params.text("customer"))?;
    let confirm_now = params.flag("confirm")?;
    if params.flag("off_session")? && !confirm_now {
        return Err(StripeError::invalid("off_session needs confirm=true", "off_session"));
    }
    if confirm_now && method.is_none() {
        let message = "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Err(StripeError::invalid(message, "payment_method"));
    }
    let types = params.texts("allowed_payment_method_types");
    let id = new(
        world,
        json!({
            "amount": amount, "currency": currency, "customer": params.or_null("customer"),
            "metadata": merged(&json!({}), params.pairs("metadata")),
            "allowed_payment_method_types": if types.is_empty() { Value::Null } else { json!(types) },
            "description": params.or_null("description"),
            "receipt_email": params.or_null("receipt_email"),
            "setup_future_usage": params.or_null("setup_future_usage"),
            "payment_method": method,
            "status": if method.is_some() { "requires_confirmation" } else { "requires_payment_method" },
        }),
    );
    if let (true, Some(method)) = (confirm_now, method) {
        confirm(world, call, &id, &method)?;
    }
    Ok(world.get(&id).clone())
}

/// A payment method of one customer pays for no other, and one that was removed for none.
fn owned(world: &World, method: Option<&str>, customer: Option<&str>) -> Result<(), StripeError> {
    if let Some(method) = method {
        usable(world, method)?;
    }
    let owner = method.map(|method| text(world.get(method), "customer")).unwrap_or_default();
    if !owner.is_empty() && customer != Some(owner) {
        let message = "The provided PaymentMethod belongs to another customer.";
        return Err(StripeError::invalid(message, "payment_method"));
    }
    Ok(())
}

/// Adds a PaymentIntent.
pub(super) fn new(world: &mut World, fields: Value) -> String {
    let id = world.insert("pi_", include_str!("shapes/payment_intent.json"), fields);
    let secret = format!("{id}_secret_standin");
    world.set(&id, json!({"client_secret": secret}));
    world.emit("payment_intent.created", &id);
    id
}

fn confirm(world: &mut World, call: &Call, id: &str, method: &str) -> Result<(), StripeError> {
    let off_session = call.params.flag("off_session")?;
    let error_on_action = call.params.flag("error_on_requires_action")?;
    let attempt = match attempt(world, id, method, off_session) {
        Attempt::NeedsAction if error_on_action => {
            let decline = Card::authentication_required();
            fail(world, id, method, &decline);
            Attempt::Declined(decline)
        }
        other => other,
    };
    let Attempt::Declined(decline) = attempt else { return Ok(()) };
    let intent = super::router::rendered(world, world.get(id).clone(), &[]);
    let charge = intent["latest_charge"].clone();
    Err(StripeError::card(&decline, Some(("payment_intent", intent)), charge))
}

/// Tries to pay with this payment method.
pub(super) fn attempt(world: &mut World, id: &str, method: &str, off_session: bool) -> Attempt {
    world.set(id, json!({"payment_method": method}));
    let card = card_of(world, method);
    if card == Card::NeedsAuthentication && off_session {
        let decline = Card::authentication_required();
        fail(world, id, method, &decline);
        return Attempt::Declined(decline);
    }
    if card == Card::NeedsAuthentication {
        let url = world.page(&format!("/authenticate/{id}"));
        let action = json!({"type": "redirect_to_url", "redirect_to_url": {"return_url": null, "url": url}});
        world.set(id, json!({"status": "requires_action", "next_action": action}));
        world.emit("payment_intent.requires_action", id);
        return Attempt::NeedsAction;
    }
    match card.decline() {
        Some(decline) => {
            fail(world, id, method, &decline);
            Attempt::Declined(decline)
        }
        None => {
            succeed(world, id);
            Attempt::Succeeded
        }
    }
}

fn new_charge(world: &mut World, intent: &Value, fields: Value) -> String {
    let method = text(intent, "payment_method").to_owned();
    let details = json!({"type": "card", "card": card_of(world, &method).charge_details()});
    let id = world.insert("ch_", include_str!("shapes/charge.json"), fields);
    let receipt = world.page(&format!("/receipts/{id}"));
    world.set(
        &id,
        json!({
            "amount": intent["amount"], "currency": intent["currency"], "customer": intent["customer"],
            "metadata": intent["metadata"], "payment_intent": intent["id"], "payment_method": method,
            "payment_method_details": details, "receipt_email": intent["receipt_email"],
            "receipt_url": receipt,
        }),
    );
    id
}

fn outcome(kind: &str, decline: Option<&Decline>) -> Value {
    let advice = decline.and_then(|decline| decline.advice_code);
    json!({
        "advice_code": advice, "network_advice_code": null, "network_decline_code": null,
        "network_status": if decline.is_some() { "declined_by_network" } else { "approved_by_network" },
        "reason": decline.and_then(|decline| decline.decline_code), "risk_level": "normal",
        "seller_message": if decline.is_some() { "The bank declined it." } else { "Payment complete." },
        "type": kind,
    })
}

/// Receives the money of a PaymentIntent, and carries out what waited for it.
pub(super) fn succeed(world: &mut World, id: &str) {
    let intent = world.get(id).clone();
    assert_ne!(text(&intent, "status"), "succeeded", "a PaymentIntent succeeds once");
    let amount = int(&intent, "amount");
    let charge = new_charge(
        world,
        &intent,
        json!({"amount_captured": amount, "captured": true, "paid": true, "status": "succeeded",
            "outcome": outcome("authorized", None)}),
    );
    world.set(
        id,
        json!({"status": "succeeded", "amount_received": amount, "latest_charge": charge,
            "next_action": null, "last_payment_error": null}),
    );
    world.emit("charge.succeeded", &charge);
    world.emit("payment_intent.succeeded", id);
    let (method, customer) = (text(&intent, "payment_method"), text(&intent, "customer"));
    if !intent["setup_future_usage"].is_null() && !customer.is_empty() && !method.is_empty() {
        attach(world, method, customer);
    }
    if let Some(invoice) = intent["_invoice"].as_str() {
        invoices::mark_paid(world, invoice, Some(id));
    }
    if let Some(session) = intent["_session"].as_str() {
        checkout::money_arrived(world, session, id);
    }
}

/// Records a decline; the PaymentIntent waits for another payment method.
pub(super) fn fail(world: &mut World, id: &str, method: &str, decline: &Decline) {
    let intent = world.get(id).clone();
    let charge = new_charge(
        world,
        &intent,
        json!({"status": "failed", "failure_code": decline.code, "failure_message": decline.message,
            "outcome": outcome("issuer_declined", Some(decline)), "receipt_url": null}),
    );
    let shown = super::router::rendered(world, world.get(method).clone(), &[]);
    let mut error = json!({"type": "card_error", "code": decline.code, "message": decline.message,
        "charge": charge, "payment_method": shown});
    if let Some(code) = decline.decline_code {
        error["decline_code"] = json!(code);
    }
    if let Some(code) = decline.advice_code {
        error["advice_code"] = json!(code);
    }
    world.set(
        id,
        json!({"status": "requires_payment_method", "payment_method": null, "next_action": null,
            "last_payment_error": error, "latest_charge": charge}),
    );
    world.emit("charge.failed", &charge);
    world.emit("payment_intent.payment_failed", id);
}

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("payment_intent", &call.id).cloned()
}

fn get_charge(world: &mut World, call: &Call) -> Answer {
    world.of_path("charge", &call.id).cloned()
}

fn list(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "payment_intent", |intent| lists::fits(call, "customer", intent, "customer"))
}

fn unexpected_state(intent: &Value) -> StripeError {
    let message = format!("This PaymentIntent's status is {}.", text(intent, "status"));
    StripeError::state("payment_intent_unexpected_state", &message)
}

fn confirm_route(world: &mut World, call: &Call) -> Answer {
    let intent = world.of_path("payment_intent", &call.id)?.clone();
    if !matches!(text(&intent, "status"), "requires_payment_method" | "requires_confirmation") {
        return Err(unexpected_state(&intent));
    }
    let method = call.params.text("payment_method").unwrap_or(text(&intent, "payment_method")).to_owned();
    if method.is_empty() {
        return Err(StripeError::missing_parameter("payment_method"));
    }
    let method = named(world, &method, "payment_method")?;
    owned(world, Some(&method), intent["customer"].as_str())?;
    confirm(world, call, &call.id, &method)?;
    Ok(world.get(&call.id).clone())
}

fn cancel_route(world: &mut World, call: &Call) -> Answer {
    let intent = world.of_path("payment_intent", &call.id)?.clone();
    if matches!(text(&intent, "status"), "succeeded" | "canceled" | "processing") {
        return Err(unexpected_state(&intent));
    }
    cancel(world, &call.id, call.params.text("cancellation_reason").unwrap_or("requested_by_customer"));
    Ok(world.get(&call.id).clone())
}

/// Gives a PaymentIntent up.
pub(super) fn cancel(world: &mut World, id: &str, reason: &str) {
    let now = world.now;
    world.set(
        id,
        json!({"status": "canceled", "canceled_at": now, "cancellation_reason": reason, "next_action": null}),
    );
    world.emit("payment_intent.canceled", id);
}
