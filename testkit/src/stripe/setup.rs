//! SetupIntents: saving a card without a payment.

use serde_json::{Value, json};

use super::cards::{Card, Decline};
use super::error::StripeError;
use super::lists;
use super::payment_methods::{attach, card_of, named};
use super::router::{Route, route};
use super::world::{Answer, Call, World, merged, text};

pub(super) const ROUTES: &[Route] = &[
    route(
        "POST",
        "setup_intents",
        &[
            "allowed_payment_method_types",
            "confirm",
            "customer",
            "metadata",
            "payment_method",
            "return_url",
            "usage",
        ],
        create,
    ),
    route("GET", "setup_intents", &["customer", "payment_method", "created"], list),
    route("GET", "setup_intents/{}", &["client_secret"], get),
    route("POST", "setup_intents/{}/confirm", &["payment_method", "return_url"], confirm_route),
    route("POST", "setup_intents/{}/cancel", &["cancellation_reason"], cancel),
];

fn create(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    if let Some(customer) = params.text("customer") {
        world.of_parameter("customer", customer, "customer")?;
    }
    let method = match params.text("payment_method") {
        Some(method) => Some(named(world, method, "payment_method")?),
        None => None,
    };
    let id = new(world, params.text("customer"), merged(&json!({}), params.pairs("metadata")));
    if let Some(method) = method {
        world.set(&id, json!({"payment_method": method, "status": "requires_confirmation"}));
        if params.flag("confirm")? {
            confirm(world, &id, &method)?;
        }
    }
    Ok(world.get(&id).clone())
}

/// Adds a SetupIntent.
pub(super) fn new(world: &mut World, customer: Option<&str>, metadata: Value) -> String {
    let fields = json!({"customer": customer, "metadata": metadata});
    let id = world.insert("seti_", include_str!("shapes/setup_intent.json"), fields);
    let secret = format!("{id}_secret_standin");
    world.set(&id, json!({"client_secret": secret}));
    world.emit("setup_intent.created", &id);
    id
}

fn confirm(world: &mut World, id: &str, method: &str) -> Result<(), StripeError> {
    let Err(decline) = save(world, id, method) else { return Ok(()) };
    let intent = super::router::rendered(world, world.get(id).clone(), &[]);
    Err(StripeError::card(&decline, Some(("setup_intent", intent)), Value::Null))
}

/// Saves the card with the customer of the SetupIntent.
pub(super) fn save(world: &mut World, id: &str, method: &str) -> Result<(), Decline> {
    let card = card_of(world, method);
    if let Some(decline) = card.decline().filter(|_| card != Card::DeclinedAfterSaving) {
        let shown = super::router::rendered(world, world.get(method).clone(), &[]);
        let mut error = json!({"type": "card_error", "code": decline.code, "message": decline.message,
            "payment_method": shown});
        if let Some(code) = decline.decline_code {
            error["decline_code"] = json!(code);
        }
        world.set(
            id,
            json!({"status": "requires_payment_method", "payment_method": null, "last_setup_error": error}),
        );
        world.emit("setup_intent.setup_failed", id);
        return Err(decline);
    }
    world.set(id, json!({"status": "succeeded", "payment_method": method, "last_setup_error": null}));
    let customer = text(world.get(id), "customer").to_owned();
    if !customer.is_empty() {
        attach(world, method, &customer);
    }
    world.emit("setup_intent.succeeded", id);
    Ok(())
}

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("setup_intent", &call.id).cloned()
}

fn list(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "setup_intent", |intent| {
        lists::fits(call, "customer", intent, "customer")
            && lists::fits(call, "payment_method", intent, "payment_method")
    })
}

fn is_open(intent: &Value) -> Result<(), StripeError> {
    match text(intent, "status") {
        "succeeded" | "canceled" => {
            Err(StripeError::state("setup_intent_unexpected_state", "This SetupIntent is closed."))
        }
        _ => Ok(()),
    }
}

fn confirm_route(world: &mut World, call: &Call) -> Answer {
    let intent = world.of_path("setup_intent", &call.id)?.clone();
    is_open(&intent)?;
    let method = call.params.text("payment_method").unwrap_or(text(&intent, "payment_method")).to_owned();
    if method.is_empty() {
        return Err(StripeError::missing_parameter("payment_method"));
    }
    let method = named(world, &method, "payment_method")?;
    confirm(world, &call.id, &method)?;
    Ok(world.get(&call.id).clone())
}

fn cancel(world: &mut World, call: &Call) -> Answer {
    is_open(world.of_path("setup_intent", &call.id)?)?;
    let reason = call.params.or_null("cancellation_reason");
    world.set(&call.id, json!({"status": "canceled", "cancellation_reason": reason}));
    world.emit("setup_intent.canceled", &call.id);
    Ok(world.get(&call.id).clone())
}
